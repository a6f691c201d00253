"""From bytes back to words: any exchange, FCI, record, ATR or ATS as named fields.

Everything is looked up in the command table and the file table; nothing is restated here.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from apdu.codec import Record, WireError
from apdu.command import Command, Response
from apdu.commands import READ_BINARY, READ_RECORD, SAM_TABLE, SELECT, TABLE, UPDATE_CACHE
from apdu.files import FILES, PublicInfo, Structure, layout_of
from apdu.secret import has_secret
from apdu.show import Line, hexed, record_lines
from apdu.spec import BinaryRef, Call, CommandSpec, CommandTable, Refuse
from apdu.sw import SW, describe
from apdu.tlv import DEEPEST, Tlv, demand_depth, parse_all
from apdu.value import value

_FILLER = re.compile(r"(00)+|00 x \d+")


@value
class Explanation:
    """What some bytes say. kind: command, response, FCI, record, ATR, ATS or unknown."""

    kind: str
    title: str
    lines: list[Line]
    sw: int | None = None

    @property
    def status(self) -> str:
        """The status word in words, or nothing."""
        return "" if self.sw is None else f"{self.sw:04X} {describe(self.sw)}"

    def brief(self) -> str:
        """The fields on one line, without filler and reserved bytes."""
        shown = (
            f"{n.label} {n.value}".strip()
            for n in self.lines
            if n.value
            and not n.label.startswith(("rfu", "reserved"))
            and not _FILLER.fullmatch(n.value)
        )
        return ", ".join(shown)

    def text(self) -> str:
        """Several lines for a terminal."""
        head = f"{self.kind}: {self.title}" if self.title else self.kind
        if self.sw is not None:
            head += f" -> {self.status}" if self.title else f": {self.status}"
        width = max((len(n.label) + 2 * n.depth for n in self.lines), default=0)
        rows = [
            f"  {'  ' * n.depth}{n.label:<{width - 2 * n.depth}}  {n.value}"
            + (f"  ({n.note})" if n.note else "")
            for n in self.lines
        ]
        return "\n".join([head, *rows])


_TAGS = {
    0x6F: "FCI template",
    0x84: "DF name",
    0xA5: "proprietary template",
    0xBF0C: "issuer's directory",
    0x61: "application template",
    0x4F: "AID",
    0x50: "label",
    0x87: "priority",
    0x88: "SFI of the directory",
    0x9F08: "application version",
    0x9F0C: "issuer data, EF15",
    0x9F12: "preferred name",
    0xDF00: "algorithms (inferred)",
    0xDF0A: "face verification",
    0x5F2D: "language",
    0x9F11: "issuer code table",
}
_TEXT_TAGS = {0x50, 0x84, 0x9F12, 0x5F2D}


def tlv_lines(data: bytes, depth: int = 0) -> list[Line]:
    """Data objects with their names, nested. Raises WireError if they are not well-formed."""
    lines: list[Line] = []
    demand_depth(DEEPEST - depth)
    for item in parse_all(data):
        tag = f"{item.tag:02X}"
        label, note = (_TAGS[item.tag], tag) if item.tag in _TAGS else (tag, "")
        if item.is_constructed:
            lines.append(Line(label, "", note, depth))
            lines += tlv_lines(item.value, depth + 1)
            continue
        shown = hexed(item.value)
        if item.tag in _TEXT_TAGS and item.value.isascii() and item.value.decode().isprintable():
            shown += f' "{item.value.decode()}"'
        lines.append(Line(label, shown, note, depth))
        if item.tag == 0x9F0C and len(item.value) == PublicInfo.size():
            lines += record_lines(PublicInfo.parse(item.value), depth + 1)
    return lines


_Found = tuple[CommandSpec[Any, Any], Call[Any]] | None


def find_call(command: bytes) -> _Found:
    """The statement of a command and its parts, of the card's or the PSAM's table."""
    header = command[:4]
    for table in (TABLE, SAM_TABLE):
        spec = table.route(header)
        if isinstance(spec, SW):
            continue
        try:
            return spec, CommandTable.shape(spec, command)
        except Refuse:
            continue
    return None


def explain_exchange(command: bytes, response: bytes) -> tuple[Explanation, Explanation]:
    """A C-APDU and the R-APDU that answers it, as `explain_command` and `explain_response` say.

    >>> asked, said = explain_exchange(bytes.fromhex("805C000204"), bytes.fromhex("000013889000"))
    >>> asked.title, said.lines[0].value
    ('GET BALANCE', '50.00')
    """
    found = find_call(command)
    return _command(command, found), _response(response, found)


def explain_command(command: bytes) -> Explanation:
    """A C-APDU by the table; one the table does not know is taken apart by ISO 7816-4 alone.

    >>> print(explain_command(bytes.fromhex("805C000204")).text())
    command: GET BALANCE
      kind  available
      Le    4
    """
    return _command(command, find_call(command))


def _command(command: bytes, found: _Found) -> Explanation:
    if found is None:
        return _foreign(command)
    spec, call = found
    lines = [*_parameters(spec, call.p1, call.p2)]
    if spec is UPDATE_CACHE:
        lines += content_lines(call.p2 >> 3, command[5 : 5 + command[4]])
    elif isinstance(call.data, Record):
        lines += record_lines(call.data)
    if call.ne is not None:
        lines.append(Line("Le", str(call.ne)))
    return Explanation("command", spec.name, lines)


@lru_cache(maxsize=1024)
def _parameters(spec: CommandSpec[Any, Any], p1: int, p2: int) -> tuple[Line, ...]:
    """P1 and P2 in words. Remembered: a day's traces hold the same few."""
    return tuple(Line(name, said) for name, said in spec.params.describe(p1, p2).items())


def _foreign(command: bytes) -> Explanation:
    try:
        c = Command.parse(command)
    except WireError as error:
        shown = f"{len(command)}, not shown" if has_secret(command) else hexed(command)
        return Explanation("unknown", str(error), [Line("bytes", shown)])
    lines = [Line("CLA", f"{c.cla:02X}"), Line("INS", f"{c.ins:02X}")]
    lines += [Line("P1 P2", f"{c.p1:02X} {c.p2:02X}")]
    if c.data:
        # Not shown: what we do not know may be a PIN or a key.
        lines.append(Line("data", f"{len(c.data)} bytes"))
    if c.ne is not None:
        lines.append(Line("Le", str(c.ne)))
    refusal = TABLE.route(bytes(command[:4]))
    why = describe(refusal) if isinstance(refusal, SW) else "its length does not fit"
    return Explanation("command", f"not in the table, {why}", lines)


def content_lines(sfi: int, content: bytes) -> list[Line]:
    """A file's content or record by the file table, or in hexadecimal."""
    layout = layout_of(sfi, content)
    return record_lines(layout.parse(content)) if layout else [Line("data", hexed(content))]


def explain_response(response: bytes, command: bytes | None = None) -> Explanation:
    """An R-APDU; its data is taken apart if the command it answers is given."""
    return _response(response, None if command is None else find_call(command))


def _response(response: bytes, found: _Found) -> Explanation:
    try:
        r = Response.parse(response)
    except WireError as error:
        return Explanation("unknown", str(error), [])
    if found is None:
        lines = _guessed(r.data)
        return Explanation("response", "", lines, r.sw)
    spec, call = found
    return Explanation("response", spec.name, _reply_lines(spec, call, r), r.sw)


def _guessed(data: bytes) -> list[Line]:
    if data[:1] == b"\x6f":
        try:
            return tlv_lines(data)
        except WireError:
            pass
    return [Line("data", hexed(data))] if data else []


def _reply_lines(
    spec: CommandSpec[Any, Any],
    call: Call[Any],
    response: Response,
) -> list[Line]:
    data = response.data
    if not data:
        reason = {int(k): v for k, v in spec.errors.items()}.get(response.sw)
        return [Line("reason", reason)] if reason else []
    try:
        if spec is SELECT:
            return tlv_lines(data)
        if spec is READ_BINARY:
            sfi, offset = BinaryRef.split(call.p1, call.p2)
            return content_lines(sfi, data) if sfi and not offset else [Line("data", hexed(data))]
        if spec is READ_RECORD:
            return content_lines(call.p2 >> 3, data)
        reply = spec.parse_reply(data)
        return record_lines(reply) if isinstance(reply, Record) else _guessed(data)
    except WireError as error:
        return [Line("data", hexed(data), str(error))]


def explain_atr(atr: bytes) -> Explanation:
    """An ATR; the form PC/SC gives contactless cards is recognised (PC/SC part 3)."""
    lines = [Line("TS", f"{atr[0]:02X}", "direct convention" if atr[0] == 0x3B else "inverse")]
    count = atr[1] & 0x0F
    if atr[2:4] == b"\x80\x01":
        lines.append(Line("form", "contactless", "PC/SC part 3: TD1 80, TD2 01"))
        lines.append(Line("historical", hexed(atr[4 : 4 + count]) or "none", "of the ATS"))
        xor = 0
        for byte in atr[1:]:
            xor ^= byte
        lines.append(Line("TCK", f"{atr[-1]:02X}", "right" if xor == 0 else "wrong"))
    else:
        lines.append(Line("historical", str(count), "bytes"))
    return Explanation("ATR", "answer to reset", lines)


_FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
FC_HZ = 13_560_000
"""Carrier frequency (ISO/IEC 14443-2)."""


def explain_ats(ats: bytes) -> Explanation:
    """An answer to select, by its format byte (protocol reference 1.3)."""
    lines = [Line("TL", str(ats[0]), "length of the ATS")]
    at = 2
    t0 = ats[1] if len(ats) > 1 else 0x02
    size = _FRAME_SIZES[min(t0 & 0x0F, 8)]
    lines.append(Line("FSCI", str(t0 & 0x0F), f"frames of {size} bytes to the card"))
    if t0 & 0x10 and at < len(ats):
        rates = "106 kbit/s only" if ats[at] & 0x77 == 0 else f"{ats[at]:08b}"
        lines.append(Line("TA", f"{ats[at]:02X}", rates))
        at += 1
    if t0 & 0x20 and at < len(ats):
        fwi, sfgi = ats[at] >> 4, ats[at] & 0x0F
        wait_ms = 4096 / FC_HZ * (1 << fwi) * 1000
        lines.append(Line("TB", f"{ats[at]:02X}", f"FWI {fwi}, {wait_ms:.2f} ms; SFGI {sfgi}"))
        at += 1
    if t0 & 0x40 and at < len(ats):
        cid, nad = ats[at] >> 1 & 1, ats[at] & 1
        has = {1: "supported", 0: "not supported"}
        lines.append(Line("TC", f"{ats[at]:02X}", f"CID {has[cid]}, NAD {has[nad]}"))
        at += 1
    lines.append(Line("historical", hexed(ats[at:]) or "none"))
    return Explanation("ATS", "answer to select", lines)


def _explain_fci(data: bytes) -> Explanation:
    return Explanation("FCI", "file control information", tlv_lines(Tlv(data)))


def _explain_record(data: bytes) -> Explanation | None:
    for spec in FILES.values():
        layout = layout_of(spec.sfi, data)
        if layout is not None:
            kind = "file" if spec.structure is Structure.TRANSPARENT else "record of"
            title = f"EF{spec.sfi:02X}, {spec.name}"
            return Explanation(f"{kind}", title, record_lines(layout.parse(data)))
    return None


def explain(data: bytes, command: bytes | None = None) -> Explanation:
    """Whatever these bytes look like. command: the command before them, if there was one.

    Tried in this order: an answer to the command before, ATR, FCI, a known file or record by its
    length, a command of the table, ATS, response, any command.
    """
    if command is not None and len(data) >= 2:
        return explain_response(data, command)
    for test, words in _TESTS:
        if test(data):
            try:
                found = words(data)
            except (WireError, IndexError):
                continue
            if found is not None:
                return found
    return explain_command(data)


def _is_response(data: bytes) -> bool:
    return len(data) >= 2 and describe(int.from_bytes(data[-2:], "big")) != "unknown status word"


_TESTS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Explanation | None]], ...] = (
    (lambda d: len(d) > 3 and d[0] in (0x3B, 0x3F), explain_atr),
    (lambda d: d[:1] == b"\x6f", _explain_fci),
    (lambda d: True, _explain_record),
    (lambda d: find_call(d) is not None, explain_command),
    (lambda d: 0 < len(d) == d[0] < 21, explain_ats),
    (_is_response, explain_response),
)


def is_command(data: bytes) -> bool:
    """Whether the bytes are a command of the card's or the PSAM's table."""
    return find_call(data) is not None
