"""The tables of Wireshark's post-dissector, written out of the command table as Lua.

What they mean to it is said in `purse.lua`, which follows them in the file.
"""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final

from apdu.codec import Field, Record, Show
from apdu.commands import TABLE
from apdu.files import EF1A, FILES, FileSpec, layout_of
from apdu.spec import BinaryRef, CommandSpec, Fixed, RecordRef
from apdu.sw import describe

Lua = Mapping[Any, Any] | Iterable[Any] | str | int | None

SIGN: Final = "-- Made by tapbench"
"""How a file of ours begins."""

_SHOWS: Final = {
    Show.MONEY: "money",
    Show.DATE: "date",
    Show.TIME: "time",
    Show.MOMENT: "moment",
    Show.DIGITS: "digits",
    Show.SECRET: "secret",
}
_WHERE: Final[Mapping[type, str]] = {BinaryRef: "binary", RecordRef: "record"}


def script() -> str:
    """The whole post-dissector."""
    tables: dict[str, Lua] = {
        "COMMANDS": _commands(),
        "FILES": {sfi: list(_layouts(spec)) for sfi, spec in FILES.items()},
        "FIELDS": _kinds(),
        "STATUS": _statuses(),
    }
    head = [f"{SIGN} out of its command table; do not edit.", ""]
    parts = [f"local {name} = {written(table)}\n" for name, table in tables.items()]
    return "\n".join([*head, *parts, files(__package__).joinpath("purse.lua").read_text("utf-8")])


def written(said: Lua, depth: int = 0) -> str:
    """A value as a Lua expression; a table's entries that are None are left out."""
    if said is None:
        return "nil"
    if isinstance(said, int):
        return str(said)
    if isinstance(said, str):
        # Lua reads the decimal escape of every byte; UTF-8 goes through as it is.
        return '"' + "".join(_escaped(c) for c in said) + '"'
    margin = "  " * (depth + 1)
    if isinstance(said, Mapping):
        rows = [f"[{written(k)}] = {written(v, depth + 1)}" for k, v in said.items() if v]
    else:
        rows = [written(item, depth + 1) for item in said]
    inside = ", ".join(rows)
    if depth and len(inside) < 80 and "\n" not in inside:
        return f"{{ {inside} }}" if rows else "{}"
    return "{\n" + "".join(f"{margin}{row},\n" for row in rows) + "  " * depth + "}"


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\{ord(character):03d}"


def _commands() -> dict[str, Lua]:
    families: dict[tuple[int, int], list[CommandSpec[Any, Any]]] = {}
    for spec in TABLE:
        families.setdefault((spec.cla, spec.ins), []).append(spec)
    out: dict[str, Lua] = {}
    for (cla, ins), specs in families.items():
        for spec in specs:
            # Where an instruction is several commands, P1 is what tells them apart.
            ends = {f"{p1:02X}" for p1, _ in spec.params.examples()} if len(specs) > 1 else {""}
            for end in sorted(ends):
                out[f"{cla:02X}{ins:02X}{end}"] = _command(spec)
    return out


def _command(spec: CommandSpec[Any, Any]) -> Lua:
    meanings = spec.params.meanings if isinstance(spec.params, Fixed) else {}
    return {
        "name": spec.name,
        "where": _WHERE.get(type(spec.params)),
        "says": {f"{p1:02X}{p2:02X}": said for (p1, p2), said in meanings.items()},
        "data": _record(spec.data),
        "reply": _record(spec.reply),
        "reasons": {int(sw): reason for sw, reason in spec.errors.items()},
    }


def _record(kind: type[Any] | None) -> dict[str, Lua] | None:
    if kind is None or not issubclass(kind, Record):
        return None
    fields = [_field(field) for field in kind.FIELDS]
    return {"least": kind.SIZES[0], "most": kind.SIZES[-1], "fields": fields}


def _field(field: Field) -> Lua:
    shown = _SHOWS.get(field.show, "plain")
    values = dict(field.values) or None
    return [field.name, field.offset, field.size, shown, *([values] if values else [])]


def _layouts(spec: FileSpec) -> Iterable[Lua]:
    if spec is not EF1A:
        return [_layout(spec, spec.layout, None)]
    found = {
        head.hex().upper(): layout_of(spec.sfi, head + bytes(spec.size - 2))
        for head in (bytes([0x27, number]) for number in range(1, spec.count + 1))
    }
    return [_layout(spec, layout, head) for head, layout in found.items() if layout is not None]


def _layout(spec: FileSpec, layout: type[Record], head: str | None) -> Lua:
    name = f"EF{spec.sfi:02X}, {spec.name}"
    return {"name": name, "id": head} | (_record(layout) or {})


def _records() -> Iterable[type[Record]]:
    for spec in TABLE:
        yield from (kind for kind in (spec.data, spec.reply) if kind and issubclass(kind, Record))
    for file in FILES.values():
        yield file.layout
    for number in range(1, EF1A.count + 1):
        layout = layout_of(EF1A.sfi, bytes([0x27, number]) + bytes(EF1A.size - 2))
        if layout is not None:
            yield layout


def _kinds() -> dict[str, str]:
    """Each field's type in Wireshark: a number if it is one in every record that has it."""
    kinds: dict[str, str] = {}
    for record in _records():
        for field in record.FIELDS:
            is_number = field.show in (Show.NUMBER, Show.MONEY)
            kind = "uint" if is_number and kinds.get(field.name, "uint") == "uint" else "bytes"
            kinds[field.name] = kind
    return kinds


def _statuses() -> dict[int, str]:
    words = {sw: describe(sw) for sw in range(0x10000)}
    return {sw: said for sw, said in words.items() if said != "unknown status word"}
