"""The log of pcsc-spy, as pcsc-lite 1.9.9 writes it: what a program asked PC/SC, call by call.

Each line is `THREAD@text`. A call begins with `>|seconds|microseconds|function`, has a parameter a
line and ends with `<|seconds|microseconds|function|error|code` (domain reference 7.3). Written:
a connection to the card for each tap, one to the PSAM if there is one, and their SCardTransmit.
Read: those of any program; calls that transmit nothing are skipped.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from apdu.event import Layer, Trace
from bench.trace_formats.format import Format, TraceError, shortened
from bench.trace_formats.layers import ApduExchange, apdu_events, exchanges
from bench.trace_formats.wallclock import begin_ns, rebased

_LINE: Final = re.compile(r"([0-9A-Fa-f]+)@(.*)")
_BEGIN: Final = re.compile(r">\|(\d+)\|(\d+)\|(\w+)")
_END: Final = re.compile(r"<\|(\d+)\|(\d+)\|(\w+)\|[^|]*\|0x([0-9A-Fa-f]+)")
_OLD: Final = "PCSC SPY VERSION"
_SAM: Final = re.compile(r"\bP?SAM\b", re.IGNORECASE)
"""In the name of a reader: its slot is the PSAM's."""

_READERS: Final = {"card": "tapbench", "psam": "tapbench PSAM"}
_CONTEXT: Final = 0x01000000
_HANDLES: Final = {"card": 0x00C0FFEE, "psam": 0x005A5A5A}
# Which parameter of SCardTransmit is the command: older logs lack the two lines of each
# SCARD_IO_REQUEST and have five parameters.
_SENT, _OLD_SENT, _OLD_COUNT = 4, 2, 5
_T1: Final = 2
_PCI_SIZE: Final = 16
_SHARED: Final = 2
_ANY_PROTOCOL: Final = 3
_THREAD: Final = "1"
_DONE: Final = "Command successful.|0x00000000"
_REMOVED: Final = "Card was removed.|0x80100069"
_MICROSECOND: Final = 1000


def dump(trace: Trace) -> bytes:
    """A recording's exchanges as calls. Raises TraceError."""
    calls = _calls(trace)
    first = calls[0].start_ns if calls else 0
    # A log without length would make pcsc-spy divide by zero in its statistics.
    last = max((call.end_ns for call in calls), default=0) + _MICROSECOND
    peers = [p for p in _HANDLES if p == "card" or any(call.to == p for call in calls)]
    lines = [*_call("SCardEstablishContext", [_hex(2), _hex(_CONTEXT)], first)]
    for peer in peers[1:]:
        lines += _connect(peer, first)
    tap = 0
    for call in calls:
        if call.tap != tap:
            lines += _disconnect("card", call.start_ns) if tap else []
            lines += _connect("card", call.start_ns)
            tap = call.tap
        lines += _transmit(call)
    for peer in peers if tap else ():
        lines += _disconnect(peer, last)
    lines += _call("SCardReleaseContext", [_hex(_CONTEXT)], last)
    return "".join(f"{_THREAD}@{line}\n" for line in lines).encode()


def _calls(trace: Trace) -> list[ApduExchange]:
    """The exchanges by the wall clock in whole microseconds, the taps numbered from 1."""
    begin = begin_ns(trace)
    out: list[ApduExchange] = []
    tap, recorded = 0, -1
    for call in exchanges(trace):
        if call.to not in _HANDLES:
            raise TraceError(f"something was said to '{shortened(call.to)}'; expected card or psam")
        if call.tap != recorded:
            tap, recorded = tap + 1, call.tap
        start, end = (_whole(begin + at) for at in (call.start_ns, call.end_ns))
        out.append(replace(call, start_ns=start, end_ns=max(start, end), tap=tap))
    return out


def _whole(ns: int) -> int:
    if ns < 0:
        raise TraceError("something in it happened before 1970")
    return ns - ns % _MICROSECOND


def _hex(number: int) -> str:
    return f"0x{number:08X}"


def _buffer(data: bytes) -> list[str]:
    return [_hex(len(data)), "".join(f"{byte:02X} " for byte in data)]


def _call(
    name: str, parameters: list[str], start_ns: int, end_ns: int = 0, result: str = _DONE
) -> Iterator[str]:
    yield f">|{_stamp(start_ns)}|{name}"
    yield from parameters
    yield f"<|{_stamp(end_ns or start_ns)}|{name}|{result}"


def _stamp(ns: int) -> str:
    seconds, microseconds = divmod(ns // _MICROSECOND, 10**6)
    return f"{seconds}|{microseconds}"


def _connect(peer: str, at_ns: int) -> Iterator[str]:
    asked = [_hex(_CONTEXT), _READERS[peer], _hex(_SHARED), _hex(_ANY_PROTOCOL)]
    return _call("SCardConnect", [*asked, _hex(0), _hex(0), _hex(_HANDLES[peer]), _hex(_T1)], at_ns)


def _disconnect(peer: str, at_ns: int) -> Iterator[str]:
    return _call("SCardDisconnect", [_hex(_HANDLES[peer]), _hex(0)], at_ns)


def _transmit(call: ApduExchange) -> Iterator[str]:
    pci = [_hex(_T1), _hex(_PCI_SIZE)]
    parameters = [_hex(_HANDLES[call.to]), *pci, *_buffer(call.command)]
    parameters += [*pci, *_buffer(call.response or b"")]
    result = _REMOVED if call.response is None else _DONE
    return _call("SCardTransmit", parameters, call.start_ns, call.end_ns, result)


@dataclass(slots=True)
class _Call:
    """A call whose end has not been read. line: where it begins."""

    name: str
    start_ns: int
    line: int
    parameters: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    """open_calls: by thread. connections: who is behind a handle.

    is_fresh: whether a card was connected or reset since the last command, which begins a tap.
    """

    out: list[ApduExchange] = field(default_factory=list)
    open_calls: dict[str, _Call] = field(default_factory=dict)
    connections: dict[int, str] = field(default_factory=dict)
    tap: int = 0
    is_fresh: bool = True

    def line(self, text: str, number: int) -> None:
        found = _LINE.fullmatch(text)
        if found is None:
            raise TraceError(f"expected THREAD@text, not '{shortened(text)}'")
        thread, said = found.groups()
        begin, end = _BEGIN.fullmatch(said), _END.fullmatch(said)
        if begin is not None:
            self.open_calls[thread] = _Call(begin[3], _ns(begin), number)
            return
        call = self.open_calls.get(thread)
        if call is None:
            raise TraceError(f"expected the beginning of a call, not '{shortened(said)}'")
        if end is None:
            call.parameters.append(said)
            return
        if end[3] != call.name:
            raise TraceError(f"{call.name} of line {call.line} ends as {shortened(end[3])}")
        del self.open_calls[thread]
        self.ended(call, _ns(end), is_done=int(end[4], 16) == 0)

    def ended(self, call: _Call, end_ns: int, is_done: bool) -> None:
        """Take a call that has come back."""
        if call.name == "SCardTransmit":
            sent = _SENT if len(call.parameters) > _OLD_COUNT else _OLD_SENT
            self.transmitted(call, end_ns, sent, is_done)
        elif call.name == "SCardConnect" and is_done:
            reader, handle = _at(call, 1), _number(call, -2)
            self.connections[handle] = "psam" if _SAM.search(reader) else "card"
            self.is_fresh |= self.connections[handle] == "card"
        elif call.name == "SCardReconnect" and is_done and _number(call, 3):  # with a reset
            self.is_fresh |= self.connections.get(_number(call, 0), "card") == "card"

    def transmitted(self, call: _Call, end_ns: int, sent: int, is_done: bool) -> None:
        """Take an exchange. sent: which parameter is the command; the answer has twice that."""
        command = _bytes(call, sent)
        response = _bytes(call, 2 * sent) if is_done else None
        to = self.connections.get(_number(call, 0), "card")
        self.tap += self.is_fresh
        self.is_fresh = False
        self.out.append(ApduExchange(to, command, response, call.start_ns, end_ns, self.tap))


def _ns(found: re.Match[str]) -> int:
    return (int(found[1]) * 10**6 + int(found[2])) * _MICROSECOND


def _at(call: _Call, index: int) -> str:
    try:
        return call.parameters[index]
    except IndexError:
        said = f"{call.name} of line {call.line} has {len(call.parameters)} parameters"
        raise TraceError(f"{said}, too few") from None


def _number(call: _Call, index: int) -> int:
    text = _at(call, index)
    try:
        return int(text, 16)
    except ValueError:
        said = f"'{shortened(text)}' in {call.name} of line {call.line}"
        raise TraceError(f"{said} is no number") from None


def _bytes(call: _Call, index: int) -> bytes:
    text = _at(call, index)
    size = _number(call, index - 1)
    try:
        data = b"" if text == "NULL" else bytes.fromhex(text)
    except ValueError:
        said = f"'{shortened(text)}' in {call.name} of line {call.line}"
        raise TraceError(f"{said} is not hexadecimal") from None
    if text != "NULL" and size != len(data):
        raise TraceError(f"{call.name} of line {call.line} says {size} bytes and has {len(data)}")
    return data


def load(data: bytes) -> Trace:
    """Read a log. A call that never came back, as when the program was stopped, has no answer.

    Raises TraceError.
    """
    text = data.decode(errors="replace")
    if text.startswith(_OLD):
        raise TraceError("it is of a pcsc-lite older than 1.9; record it again with that or later")
    if text and not text.endswith("\n"):
        raise TraceError(f"it ends inside line {text.count(chr(10)) + 1}")
    reader = _Reader()
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            reader.line(line, number)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
    for call in reader.open_calls.values():
        if call.name == "SCardTransmit" and len(call.parameters) > _SENT:
            reader.transmitted(call, call.start_ns, _SENT, is_done=False)
    if not data:
        raise TraceError("it is empty")
    return _recording(sorted(reader.out, key=lambda call: call.start_ns))


def _recording(calls: Iterable[ApduExchange]) -> Trace:
    events = apdu_events(calls)
    started, base_ns = rebased(event.t_ns for event in events)
    return Trace([replace(e, t_ns=e.t_ns - base_ns) for e in events], started)


def _sniff(data: bytes) -> bool:
    first = data[:200].split(b"\n")[0].decode(errors="replace")
    found = _LINE.fullmatch(first)
    return first.startswith(_OLD) or (found is not None and _BEGIN.fullmatch(found[2]) is not None)


def _keeps(trace: Trace) -> Trace:
    return _recording(_calls(trace))


FORMAT: Final = Format(
    name="pcscspy",
    title="pcsc-spy log",
    suffixes=(".spy", ".log"),
    load=load,
    dump=dump,
    sniff=_sniff,
    keeps=_keeps,
    holds=frozenset({Layer.APDU}),
)
