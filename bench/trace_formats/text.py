"""Plain text: `> ` a command, `< ` its answer, in hexadecimal; what people paste into a report.

The PSAM's lines say so, `psam> ` and `psam< `. A tap begins with the line `# tap N`; every other
line with `#` is a remark. Read: also `>>`, `->`, `=>` and their mirror images, a time before the
arrow, digits in groups, of either case, with colons or 0x, words behind a colon, and bytes that go
on in the next line.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Final

from apdu.event import Layer, Trace
from bench.trace_formats.format import Format, TraceError, shortened
from bench.trace_formats.layers import ApduExchange, apdu_events, exchanges

# A date, hours and minutes, each if wanted, and seconds; in brackets if wanted.
_TIME: Final = (
    r"[\[(]?(?:\d{4}-\d\d-\d\d[T ])?"
    r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d\d?):)?"
    r"(?P<seconds>\d{1,12}(?:[.,]\d{1,12})?)s?[\])]?:?"
)
_LINE: Final = re.compile(
    rf"(?:{_TIME}\s+)?(?P<to>[A-Za-z]\w*)?\s*(?P<arrow>->|=>|>>?|<-|<=|<<?)(?P<bytes>.*)"
)
_ARROW: Final = re.compile(r"[<>]")
_MORE: Final = re.compile(r"[0-9A-Fa-f]{2}[0-9A-Fa-f\s]*(\s:\s.*|#.*)?")
_TAP: Final = re.compile(r"#\s*tap (\d{1,9})")
_WORDS: Final = re.compile(r"\s:\s.*|\s*#.*")
_BETWEEN: Final = re.compile(r"0[xX]|[\s:,]+")
_PEERS: Final = ("card", "psam")
_SECOND: Final = 10**9


def dump(trace: Trace) -> bytes:
    """A recording's exchanges as text. Raises TraceError."""
    lines: list[str] = []
    tap = 0
    for said in exchanges(trace):
        if said.to not in _PEERS:
            raise TraceError(f"something was said to '{shortened(said.to)}'; expected card or psam")
        if said.tap != tap:
            lines.append(f"# tap {said.tap}")
            tap = said.tap
        peer = "" if said.to == "card" else said.to
        lines.append(f"{peer}> {said.command.hex().upper()}")
        if said.response is not None:
            lines.append(f"{peer}< {said.response.hex().upper()}")
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass(slots=True)
class _Reader:
    """last: where bytes of a next line go on. unanswered: exchanges by peer, as indices of out.

    prose: the first line before all commands that is none, such as a program's greeting.
    """

    out: list[ApduExchange] = field(default_factory=list)
    unanswered: dict[str, int] = field(default_factory=dict)
    last: int | None = None
    tap: int = 0
    first_ns: int | None = None
    t_ns: int = 0
    prose: str = ""

    def line(self, text: str) -> None:
        if not text:
            return
        if text.startswith("#"):
            if (tap := _TAP.fullmatch(text)) is not None:
                self.tap = int(tap[1])
            return
        found = _LINE.fullmatch(text)
        if found is not None:
            self._said(found)
        elif self.last is not None and _MORE.fullmatch(text):
            self._more(self.last, _bytes(text))
        elif self.last is None and not _ARROW.search(text):
            self.prose = self.prose or text
        else:
            raise TraceError(f"expected > or <, not '{shortened(text)}'")

    def _said(self, found: re.Match[str]) -> None:
        to = (found["to"] or _PEERS[0]).lower()
        if to not in _PEERS:
            raise TraceError(f"expected card or psam before the arrow, not '{shortened(to)}'")
        data = _bytes(found["bytes"])
        self._clock(found)
        if ">" in found["arrow"]:
            self.last = self.unanswered[to] = len(self.out)
            self.out.append(ApduExchange(to, data, None, self.t_ns, self.t_ns, self.tap))
            return
        if to not in self.unanswered:
            raise TraceError("expected a command before its answer")
        self.last = self.unanswered.pop(to)
        self.out[self.last] = replace(self.out[self.last], response=data, end_ns=self.t_ns)

    def _clock(self, found: re.Match[str]) -> None:
        """The time of a line; one without is at the time of the line before."""
        if found["seconds"] is None:
            return
        whole, _, rest = found["seconds"].replace(",", ".").partition(".")
        minutes = int(found["hours"] or 0) * 60 + int(found["minutes"] or 0)
        t_ns = (minutes * 60 + int(whole)) * _SECOND + int(rest.ljust(9, "0")[:9])
        if self.first_ns is None:
            self.first_ns = t_ns
        self.t_ns = t_ns - self.first_ns

    def _more(self, at: int, data: bytes) -> None:
        said = self.out[at]
        if said.response is None:
            self.out[at] = replace(said, command=said.command + data)
        else:
            self.out[at] = replace(said, response=said.response + data)


def _bytes(text: str) -> bytes:
    digits = _WORDS.sub("", text)
    try:
        return bytes.fromhex(_BETWEEN.sub("", digits))
    except ValueError:
        shown = shortened(digits.strip())
        raise TraceError(f"'{shown}' is not hexadecimal, or half a byte is missing") from None


def load(data: bytes) -> Trace:
    """Read text. Raises TraceError."""
    reader = _Reader()
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        try:
            reader.line(line.strip())
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
    if reader.prose and not reader.out:
        raise TraceError(f"expected > or < in some line, the first is '{shortened(reader.prose)}'")
    return Trace(apdu_events(reader.out))


def _sniff(data: bytes) -> bool:
    head = data[:4096].decode("utf-8-sig", "replace")
    return "\0" not in head and any(_is_said(line.strip()) for line in head.splitlines())


def _is_said(text: str) -> bool:
    found = _LINE.fullmatch(text)
    if found is None or (found["to"] or _PEERS[0]).lower() not in _PEERS:
        return False
    try:
        return bool(_bytes(found["bytes"]))
    except TraceError:
        return False


def _keeps(trace: Trace) -> Trace:
    """Bytes, order, who was spoken to and the tap; no time."""
    return Trace(apdu_events(replace(x, start_ns=0, end_ns=0) for x in exchanges(trace)))


FORMAT: Final = Format(
    name="text",
    title="plain text",
    suffixes=(".txt", ".apdu"),
    load=load,
    dump=dump,
    sniff=_sniff,
    keeps=_keeps,
    holds=frozenset({Layer.APDU}),
)
