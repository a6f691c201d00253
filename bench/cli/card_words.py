"""A card in words: a tree of named values to look at, and what differs between two cards.

Keys are shown as check values and PINs as lengths, never as what they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apdu.commands import ED, EP
from apdu.files import EF1A, FILES, LogRecord
from apdu.records import TRANSACTION_KINDS
from apdu.show import Line, hexed, money, record_lines
from apdu.trace import content_lines
from emulator.card.cardfile import CardFile
from emulator.card.dialect import switches
from emulator.card.personalise import fresh_trip
from emulator.card.security import ALWAYS, NEVER
from emulator.card.state import (
    Directory,
    File,
    FileHead,
    KeyEntry,
    KeyKind,
    Kind,
    Proof,
    Purse,
)

PURSES = {ED: "ED", EP: "EP"}

_KEYS = {
    (KeyKind.TAC, 0): "DTK",
    (KeyKind.MAINTENANCE, 0): "DAMK, maintenance",
    (KeyKind.MAINTENANCE, 1): "DBK, block",
    (KeyKind.MAINTENANCE, 2): "DUBK, unblock",
    (KeyKind.MAINTENANCE, 3): "record protection",
    (KeyKind.PIN_UNBLOCK, 0): "DPUK, PIN unblock",
    (KeyKind.PIN_RELOAD, 0): "DRPK, PIN reload",
    (KeyKind.EXTERNAL, 0): "DACK, external authentication",
}
_KINDS = {
    KeyKind.LIMIT: "DUK, overdraft limit",
    KeyKind.UNLOAD: "DULK, unload",
    KeyKind.PURCHASE: "DPK, purchase",
    KeyKind.LOAD: "DLK, load",
}
_ZERO = re.compile(r"(00)+|00 x \d+|0|0\.00")
_RIGHTS = {ALWAYS: "always", NEVER: "never"}


@dataclass(frozen=True, slots=True)
class Node:
    """A named value with what is in it.

    hidden: compared, never shown.  is_log: children are records, the newest first.
    short:  enough to show instead of the children.
    """

    label: str
    value: str = ""
    note: str = ""
    children: tuple["Node", ...] = ()
    hidden: bytes = b""
    is_log: bool = False
    short: str = ""


def card_node(card: CardFile) -> Node:
    """A whole card."""
    radio, image = card.contactless, card.image
    told = (
        Node("profile", card.profile),
        Node("ATQA", hexed(radio.atqa)),
        Node("SAK", f"{radio.sak:02X}"),
        Node("UID", hexed(radio.uid)),
        Node("ATS", hexed(radio.ats)),
        Node("dialect", _dialect(card), "switches that are not at their default"),
        Node("alive", "no, blocked for ever" if image.is_dead else "yes"),
        Node("algorithm", f"{image.algorithm:02X}", "of 80 CD"),
        Node("algorithms blocked", f"{image.blocked_algorithms:02X}", "a bit each"),
    )
    return Node(card.title, "", "", (*told, *map(_directory, image.directories)))


def _dialect(card: CardFile) -> str:
    told = ((s.name, str(getattr(card.dialect, s.name)), s.default) for s in switches())
    return ", ".join(f"{name} {now}" for name, now, usual in told if now != usual) or "default"


def _directory(one: Directory) -> Node:
    head = one.head
    name = head.name.decode() if head.name.isascii() and head.name.decode().isprintable() else ""
    children = [
        Node("blocked", one.blocked.value),
        Node("wrong MACs in a row", str(one.strikes)),
        Node("failed unblocks in a row", str(one.unblock_strikes)),
        Node("rights", _rights(create=head.create, erase=head.erase)),
        Node("space", f"{head.space} bytes" if head.space != 0xFFFF else "no limit"),
        Node("FCI", f"{head.fci:02X}", "which file it shows"),
    ]
    if one.has_key_file:
        value = f"{one.key_space} bytes, {_rights(add=one.add_right)}"
        children.append(Node("key file", value, "", tuple(map(_key, one.keys.values()))))
    children += [_purse(which, purse) for which, purse in sorted(one.purses.items())]
    if one.proofs:
        proofs = tuple(_proof(kind, proof) for kind, proof in sorted(one.proofs.items()))
        children.append(Node("proofs", "", "of the last transaction of each type", proofs))
    logs = {purse.log for purse in one.purses.values()}
    children += [_file(file, logs) for _, file in sorted(one.files.items())]
    above = f"in directory {head.parent}" if head.parent else ""
    return Node(f"{head.fid:04X} {hexed(head.name)}", name, above, tuple(children))


def _rights(**rights: int) -> str:
    return ", ".join(f"{name} {_RIGHTS.get(byte, f'{byte:02X}')}" for name, byte in rights.items())


def _key(key: KeyEntry) -> Node:
    kind, kid = key.kind, key.kid
    what = _KEYS.get((kind, kid)) or _KINDS.get(kind) or kind.name.lower()
    told = [_rights(use=key.usage, change=key.change)]
    if KeyKind.MAINTENANCE <= kind <= KeyKind.PIN:
        told.append(f"{key.tries_left} of {key.algorithm >> 4} tries left")
        told.append(f"{'state after' if kind in _PASSES else 'version'} {key.version:02X}")
    else:
        told.append(f"version {key.version:02X}, algorithm {key.algorithm:02X}")
    if key.guard:
        told.append(f"guard {key.guard:02X}")
    if key.secret is None:
        told.insert(0, f"{len(key.pin)} bytes, not shown")
    else:
        told.insert(0, f"check value {hexed(key.secret.check_value)}")
    secret = key.pin if key.secret is None else key.secret.expose()
    return Node(f"{kind:02X} id {kid:02X}", ", ".join(told), what, (), secret)


_PASSES = (KeyKind.EXTERNAL, KeyKind.PIN)


def _purse(which: int, purse: Purse) -> Node:
    amounts = (
        ("ceiling A", purse.ceiling),
        ("actual balance B", purse.actual),
        ("overdraft limit C", purse.limit),
        ("overdraft in use D", purse.used),
    )
    return Node(
        f"purse {PURSES.get(which, f'{which:02X}')}",
        f"{money(purse.available)} yuan available",
        "",
        (
            *(Node(name, money(fen)) for name, fen in amounts),
            Node("next online number", str(purse.online_seq), "load, unload, limit"),
            Node("next offline number", str(purse.offline_seq), "purchase"),
            Node("right", _rights(use=purse.usage)),
            Node("log", f"EF{purse.log:02X}" if purse.log else "none"),
        ),
    )


def _proof(kind: int, proof: Proof) -> Node:
    name = TRANSACTION_KINDS.get(kind, "unknown")
    value = f"number {proof.seq}, MAC2 {hexed(proof.mac2)}, TAC {hexed(proof.tac)}"
    return Node(f"type {kind:02X}", value, name)


def _file(file: File, logs: set[int]) -> Node:
    head, content = file.head, file.content
    spec = FILES.get(head.fid)
    label = f"EF{head.fid:02X}" if head.fid < 0x20 else f"{head.fid:04X}"
    note = spec.name if spec else ("transaction log" if head.fid in logs else "")
    if isinstance(content, bytes):
        value = f"transparent, {len(content)} bytes, {_attributes(file)}"
        return Node(label, value, note, _lines(content_lines(head.fid, content)))
    records = tuple(_record(head, i, one, logs) for i, one in enumerate(content, 1))
    value = f"{head.kind.name.lower()}, {len(content)} of {head.count} records of {head.size} bytes"
    if head.kind is Kind.VARIABLE:
        value = f"variable, {len(content)} records in {head.size} bytes"
    is_log = head.kind is Kind.CYCLIC
    return Node(label, f"{value}, {_attributes(file)}", note, records, b"", is_log)


def _attributes(file: File) -> str:
    head = file.head
    told = _rights(read=head.read, write=head.write)
    if head.guard:
        told += f", guard {head.guard:02X}"
    told += f", protection {head.protection:02X}"
    return told if file.is_written else f"{told}, never written"


def _record(head: FileHead, number: int, content: bytes, logs: set[int]) -> Node:
    lines = content_lines(head.fid, content)
    if head.fid in logs and len(content) == LogRecord.size():
        lines = record_lines(LogRecord.parse(content))
    is_fresh = head.fid == EF1A.sfi and content == fresh_trip(number)
    return Node(f"record {number}", children=_lines(lines), short="as issued" if is_fresh else "")


def _lines(lines: list[Line]) -> tuple[Node, ...]:
    return tuple(Node(line.label.replace("_", " "), line.value, line.note) for line in lines)


# Differences


def differences(old: Node, new: Node, at: str = "") -> Iterator[str]:
    """Sentences, one for each value that differs; none for two equal trees."""
    if old.value != new.value:
        before, after = _different_parts(old.value, new.value)
        yield f"{at or old.label}: {before} -> {after}"
    elif old.hidden != new.hidden:
        yield f"{at}: another one of the same length"
    if old.is_log and new.is_log:
        newer = _newer(old.children, new.children)
        if newer:
            for one in new.children[:newer]:
                yield f"{at}: new {one.label}: {_brief(one)}"
            return
    yield from _children(old, new, at)


def _different_parts(old: str, new: str) -> tuple[str, str]:
    """What differs of two lists in words, all of it if nothing but their order does."""
    before, after = old.split(", "), new.split(", ")
    gone = ", ".join(part for part in before if part not in after)
    come = ", ".join(part for part in after if part not in before)
    if not gone and not come:
        gone, come = old, new
    return gone or "nothing", come or "nothing"


def _children(old: Node, new: Node, at: str) -> Iterator[str]:
    mine, others = _named(old), _named(new)
    for label in dict.fromkeys((*mine, *others)):
        place = f"{at}, {label}" if at else label
        if label not in others:
            yield f"{place}: gone, it was {_brief(mine[label])}"
        elif label not in mine:
            yield f"{place}: new, {_brief(others[label])}"
        else:
            yield from differences(mine[label], others[label], place)


def _named(node: Node) -> dict[str, Node]:
    """Children by label; of two with one label, as nested data objects may be, by place too."""
    named: dict[str, Node] = {}
    for child in node.children:
        label, n = child.label, 2
        while label in named:
            label, n = f"{child.label} ({n})", n + 1
        named[label] = child
    return named


def _newer(old: tuple[Node, ...], new: tuple[Node, ...]) -> int:
    """How many records are on top of the old ones, 0 if the old ones are not there as they were."""
    before, after = [n.children for n in old], [n.children for n in new]
    if before == after:
        return 0
    for n in range(1, len(after) + 1):
        kept = after[n:]
        # All old records are below the new ones, or as many of them as a full log has room for.
        if kept == before[: len(kept)] and (len(kept) == len(before) or kept):
            return n
    return 0


def _brief(node: Node) -> str:
    """A node on one line, without what is zero or reserved."""
    told = [node.value] if node.value else []
    told += [
        f"{c.label} {c.value}"
        for c in node.children
        if c.value and not c.label.startswith(("rfu", "reserved")) and not _ZERO.fullmatch(c.value)
    ]
    return ", ".join(told) or "nothing in it"
