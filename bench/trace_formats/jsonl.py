"""Our own format: JSON Lines, one event a line, which loses nothing (docs/traces.md).

The first line is a header with the format's name and version. Keys at their usual value are left
out; `sw` and `clock` are for people and search, and are not read back.
"""

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from apdu.event import Event, Layer, Source, Trace
from bench.clock import SHANGHAI
from bench.trace_formats.format import Format, TraceError, shortened

NAME: Final = "tapbench-trace"
VERSION: Final = 1

Json = dict[str, Any]

# Keys named as the fields of Event, and the value at which they are left out.
_REST: Final[Json] = {
    "to": "card",
    "duration_ns": 0,
    "head": 0,
    "tap": 0,
    "gate": "",
    "name": "",
    "note": "",
}
_FAR: Final = 2**63 - 1


def event_json(event: Event, started: datetime | None = None) -> Json:
    """An event as the object on its line. started: adds the key `clock`."""
    line: Json = {"t_ns": event.t_ns, "dir": event.source.value, "layer": event.layer.value}
    if event.data:
        line["hex"] = event.data.hex().upper()
    if event.has_crc is not False or event.layer is Layer.RF:
        line["crc"] = event.has_crc
    if event.tail != 8 or event.head:
        line["bits"] = 8 * len(event.data) - (8 - event.tail) - event.head
    if event.parity is not None:
        line["parity"] = event.parity.hex()[1::2]
    for key, usual in _REST.items():
        said = getattr(event, key)
        if said != usual:
            line[key] = said
    return line | _status(event) | _clock(event, started)


def _status(event: Event) -> Json:
    if event.layer is not Layer.APDU or event.source is not Source.PICC or len(event.data) < 2:
        return {}
    return {"sw": event.data[-2:].hex().upper()}


def _clock(event: Event, started: datetime | None) -> Json:
    if started is None:
        return {}
    try:
        at = (started + timedelta(microseconds=event.t_ns // 1000)).astimezone(SHANGHAI)
    except OverflowError:  # beyond the years a calendar has
        return {}
    return {"clock": at.isoformat(timespec="microseconds")}


def event_of(line: Json) -> Event:
    """The event of an object; keys it does not know are skipped. Raises TraceError."""
    data = _hex(line)
    head = _whole(line, "head", 0, 7)
    bits = _whole(line, "bits", -14, 8 * len(data)) if "bits" in line else 8 * len(data) - head
    tail = bits + head - 8 * len(data) + 8
    if not 1 <= tail <= 8:
        raise TraceError(f"'bits' is {bits}, which does not fit {len(data)} bytes")
    return Event(
        t_ns=_whole(line, "t_ns", -_FAR, _FAR, needed=True),
        source=_one_of(line, "dir", Source),
        layer=_one_of(line, "layer", Layer),
        data=data,
        duration_ns=_whole(line, "duration_ns", 0, _FAR),
        tail=tail,
        head=head,
        parity=_parity(line),
        has_crc=_crc(line),
        to=_text(line, "to"),
        tap=_whole(line, "tap", 0, _FAR),
        gate=_text(line, "gate"),
        name=_text(line, "name"),
        note=_text(line, "note"),
    )


def _wrong(line: Json, key: str, expected: str) -> TraceError:
    if key not in line:
        return TraceError(f"'{key}' is missing; expected {expected}")
    return TraceError(f"'{key}' is {shortened(repr(line[key]))}; expected {expected}")


def _hex(line: Json) -> bytes:
    try:
        return bytes.fromhex(line.get("hex", ""))
    except (TypeError, ValueError):
        raise _wrong(line, "hex", "an even number of digits 0-9 and A-F") from None


def _whole(line: Json, key: str, least: int, most: int, needed: bool = False) -> int:
    said = line.get(key, None if needed else 0)
    if type(said) is not int or not least <= said <= most:
        raise _wrong(line, key, f"a whole number from {least} to {most}")
    return said


E = TypeVar("E", bound=StrEnum)


def _one_of(line: Json, key: str, kind: type[E]) -> E:
    try:
        return kind(str(line.get(key)))
    except ValueError:
        raise _wrong(line, key, f"one of {', '.join(kind)}") from None


def _text(line: Json, key: str) -> str:
    said = line.get(key, _REST[key])
    if not isinstance(said, str):
        raise _wrong(line, key, "a text")
    return said


def _parity(line: Json) -> bytes | None:
    said = line.get("parity")
    if said is None:
        return None
    if not isinstance(said, str) or set(said) - {"0", "1"}:
        raise _wrong(line, "parity", "digits 0 and 1")
    return bytes(map(int, said))


def _crc(line: Json) -> bool | None:
    said = line.get("crc", False)
    if said is not None and not isinstance(said, bool):
        raise _wrong(line, "crc", "true, false or null")
    return said


def dump(trace: Trace) -> bytes:
    """A recording as JSON Lines. Raises TraceError."""
    header: Json = {"format": NAME, "version": VERSION}
    if trace.started is not None:
        if trace.started.tzinfo is None:
            raise TraceError("the time it started has no zone")
        header["started"] = trace.started.isoformat()
    if trace.title:
        header["title"] = trace.title
    if any(max(abs(e.t_ns), e.duration_ns) > _FAR for e in trace.events):
        raise TraceError("something in it is more than 292 years from its beginning")
    lines = [header, *(event_json(event, trace.started) for event in trace.events)]
    return "".join(f"{compact(line)}\n" for line in lines).encode()


def compact(line: Json) -> str:
    """An object on one line. Text is written as it is if UTF-8 has it."""
    text = json.dumps(line, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(line)
    return text


def load(data: bytes) -> Trace:
    """Read JSON Lines; blank lines are skipped. Raises TraceError."""
    trace: Trace | None = None
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            line = _parsed(raw)
            if trace is None:
                trace = _begin(line)
            else:
                trace.events.append(event_of(line))
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
    if trace is None:
        raise TraceError(f"it is empty; expected a header with format {NAME}")
    return trace


def _parsed(raw: bytes) -> Json:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        text = shortened(raw.decode(errors="replace"))
        raise TraceError(f"expected a JSON object, not '{text}'") from None
    if not isinstance(line, dict):
        raise TraceError(f"expected a JSON object, not {shortened(repr(line))}")
    return line


def _begin(header: Json) -> Trace:
    if header.get("format") != NAME:
        raise _wrong(header, "format", NAME)
    if header.get("version") != VERSION:
        raise _wrong(header, "version", str(VERSION))
    started = header.get("started")
    title = header.get("title", "")
    if not isinstance(title, str):
        raise _wrong(header, "title", "a text")
    return Trace(started=None if started is None else _moment(header), title=title)


def _moment(header: Json) -> datetime:
    try:
        started = datetime.fromisoformat(header["started"])
    except (TypeError, ValueError):
        started = None
    if started is None or started.tzinfo is None:
        raise _wrong(header, "started", "a time such as 2026-10-01T08:00:00+08:00")
    return started


def _sniff(data: bytes) -> bool:
    first = data.lstrip()[:200]
    return first.startswith(b"{") and NAME.encode() in first


def _keeps(trace: Trace) -> Trace:
    return Trace(list(trace.events), trace.started, trace.title)


FORMAT: Final = Format(
    name="jsonl",
    title="JSON Lines trace",
    suffixes=(".jsonl", ".ndjson"),
    load=load,
    dump=dump,
    sniff=_sniff,
    keeps=_keeps,
    holds=frozenset(Layer),
)
