"""How a command is stated: header, request, answer, states, refusals, clause. Once.

`apdu.commands` states each command with the words of this module. Dispatch in the card and the
PSAM, the terminal's calls, the trace decoder and the tests all read those statements.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from apdu.codec import Record, WireError
from apdu.command import body
from apdu.sw import SW
from apdu.value import value

Q = TypeVar("Q", bound=Record | None)
"""The request record of a command; None when it carries no data."""

A = TypeVar("A", bound=Record | bytes)
"""The answer of a command: a record, or plain bytes."""


class State(Enum):
    """States of the transaction machine (protocol reference 4.2)."""

    __hash__ = object.__hash__  # an enum's own is computed in Python, on every command

    IDLE = "idle"
    LOAD = "load"
    UNLOAD = "unload"
    UPDATE_LIMIT = "update limit"
    PURCHASE = "purchase"
    CAPP_INIT = "CAPP begun"
    CAPP_CACHED = "CAPP with cached records"


ANY = frozenset(State)


class Refuse(Exception):
    """A card or PSAM refuses a command. Raised by handlers, caught by the pipeline alone.

    data:  bytes that go out before the status word (SELECT of a blocked application).
    after: the state to keep, for the few refusals that change it; None keeps the old one.
    """

    def __init__(self, sw: int, data: bytes = b"", after: object = None) -> None:
        super().__init__(sw)
        self.sw = sw
        self.data = data
        self.after = after


class Params(Protocol):
    """The legal values of P1 and P2 and what they mean."""

    def accepts(self, p1: int, p2: int) -> bool:
        """Whether the pair is legal; if not the answer is 6A86."""
        ...

    def describe(self, p1: int, p2: int) -> dict[str, str]:
        """Named parts of a legal pair, for people."""
        ...

    def examples(self) -> list[tuple[int, int]]:
        """Legal pairs, the usual one first: for derived tests."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """P1 and P2 from a closed list. meanings: what a pair says, if it says anything."""

    pairs: tuple[tuple[int, int], ...]
    meanings: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def accepts(self, p1: int, p2: int) -> bool:
        """See Params."""
        return (p1, p2) in self.pairs

    def describe(self, p1: int, p2: int) -> dict[str, str]:
        """See Params."""
        return {"kind": self.meanings[p1, p2]} if (p1, p2) in self.meanings else {}

    def examples(self) -> list[tuple[int, int]]:
        """See Params."""
        return list(self.pairs)


@dataclass(frozen=True, slots=True)
class Wild:
    """P1 and P2 checked one by one: a closed list each, or None for any value.

    names: what the parts are called. usual: pairs for examples, the usual one first.
    """

    p1: tuple[int, ...] | None
    p2: tuple[int, ...] | None
    names: tuple[str, str]
    usual: tuple[tuple[int, int], ...]

    def accepts(self, p1: int, p2: int) -> bool:
        """See Params."""
        return (self.p1 is None or p1 in self.p1) and (self.p2 is None or p2 in self.p2)

    def describe(self, p1: int, p2: int) -> dict[str, str]:
        """See Params."""
        named = zip(self.names, (p1, p2), strict=True)
        return {name: f"{value:02X}" for name, value in named if name}

    def examples(self) -> list[tuple[int, int]]:
        """See Params."""
        return list(self.usual)


@dataclass(frozen=True, slots=True)
class BinaryRef:
    """READ BINARY: P1 80+SFI and P2 the offset, or a 15-bit offset into the current EF (4.5)."""

    def accepts(self, p1: int, p2: int) -> bool:
        """See Params. SFI 00 and 1F name no file; bits 6 and 7 of P1 are zero with an SFI."""
        return p1 < 0x80 or 0x81 <= p1 <= 0x9E

    def describe(self, p1: int, p2: int) -> dict[str, str]:
        """See Params."""
        sfi, offset = self.split(p1, p2)
        where = {"file": f"EF{sfi:02X}"} if sfi is not None else {"file": "current EF"}
        return where | {"offset": str(offset)}

    def examples(self) -> list[tuple[int, int]]:
        """See Params."""
        return [(0x95, 0), (0x96, 0), (0x97, 10), (0x00, 0)]

    @staticmethod
    def split(p1: int, p2: int) -> tuple[int | None, int]:
        """SFI (None: the current EF) and offset."""
        return (p1 & 0x1F, p2) if p1 & 0x80 else (None, p1 << 8 | p2)


@dataclass(frozen=True, slots=True)
class RecordRef:
    """Record commands: P1 a record number, P2 SFI and a mode in its low three bits.

    Mode 4: P1 is the number. Mode 0: P1 is an identifier; EF1A's identifiers 27NN are numbered
    in record order, so NN serves as both (4.7, Q10).

    sfis: the purse's files the command is for, with their modes; other files take `modes`.
    zero: files whose P1 is 00: the record is a new one.
    current: whether SFI 0 means the current file (annex 10).
    """

    modes: tuple[int, ...]
    sfis: Mapping[int, tuple[int, ...]]
    zero: frozenset[int] = frozenset()
    current: bool = False

    def accepts(self, p1: int, p2: int) -> bool:
        """See Params."""
        sfi = p2 >> 3
        if p1 and sfi in self.zero:
            return False
        if sfi in (0, 0x1F) and not (sfi == 0 and self.current):
            return False
        return p2 & 0x07 in self.sfis.get(sfi, self.modes)

    def describe(self, p1: int, p2: int) -> dict[str, str]:
        """See Params."""
        sfi = p2 >> 3
        return {"file": f"EF{sfi:02X}" if sfi else "current EF", "record": str(p1)}

    def examples(self) -> list[tuple[int, int]]:
        """See Params."""
        return [
            (0 if sfi in self.zero else 1, sfi << 3 | mode)
            for sfi, modes in self.sfis.items()
            for mode in modes
        ]


@dataclass(frozen=True, slots=True)
class CommandSpec(Generic[Q, A]):
    """One command, stated once.

    data:    request record, or None. May be optional only through several specs.
    reply:   answer record, or bytes for answers whose shape depends on the request.
    ne:      the Le a terminal sends (256 is Le 00), None for no Le.
    when:    states in which the command is legal; elsewhere 6901.
    then:    state after success. Every refusal, and success of a command without `then`, is IDLE.
    errors:  status words its handler may answer, with the reason. The pipeline's own words
             (6E00, 6D00, 6A86, 6700, 6901, blocked, 6581) are not repeated here.
    le_rule: False if the handler judges Le itself (reads, GET CHALLENGE).
    if_blocked: legal while the application is blocked.
    """

    name: str
    cla: int
    ins: int
    params: Params
    data: type[Any] | None
    reply: type[Any]
    clause: str
    ne: int | None = None
    when: frozenset[State] = ANY
    then: State = State.IDLE
    errors: Mapping[SW, str] = field(default_factory=dict)
    le_rule: bool = True
    if_blocked: bool = False
    grade: str = "C"
    usual: tuple[int, int] = field(init=False)
    _tail: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """The usual P1 and P2 are the first example: worked out once, as terminals need them."""
        object.__setattr__(self, "usual", self.params.examples()[0])
        object.__setattr__(self, "_tail", b"" if self.ne is None else bytes((self.ne & 0xFF,)))

    def command(self, data: Q, p1: int | None = None, p2: int | None = None) -> bytes:
        """The C-APDU a terminal sends. P1 and P2 default to the usual pair.

        Raises WireError if the data do not fit.
        """
        if p1 is None:
            p1 = self.usual[0]
        if p2 is None:
            p2 = self.usual[1]
        if data is None:
            return bytes((self.cla, self.ins, p1, p2)) + self._tail
        content = data.build()
        return bytes((self.cla, self.ins, p1, p2, len(content))) + content + self._tail

    def parse_reply(self, data: bytes) -> A:
        """The answer's data as declared. Raises WireError if its length is wrong."""
        if self.reply is bytes:
            return data  # type: ignore[return-value]
        parsed: A = self.reply.parse(data)
        return parsed

    def __hash__(self) -> int:
        return hash((self.name, self.cla, self.ins))


@value
class Call(Generic[Q]):
    """A command that passed the table's checks: what a handler gets."""

    spec: CommandSpec[Q, Any]
    p1: int
    p2: int
    data: Q
    ne: int | None


ROUTES_KEPT = 1024
"""Legal headers a table remembers: a gate uses about twenty."""


class CommandTable:
    """All commands of one card, and the static checks on any bytes."""

    def __init__(self, specs: Iterable[CommandSpec[Any, Any]]) -> None:
        self.specs = tuple(specs)
        self._classes = {s.cla for s in self.specs}
        self._families: dict[tuple[int, int], list[CommandSpec[Any, Any]]] = {}
        for spec in self.specs:
            self._families.setdefault((spec.cla, spec.ins), []).append(spec)
        self._routes: dict[bytes, CommandSpec[Any, Any] | SW] = {}

    def __iter__(self) -> Iterator[CommandSpec[Any, Any]]:
        return iter(self.specs)

    def route(self, header: bytes) -> CommandSpec[Any, Any] | SW:
        """The command a 4-byte header means, or 6E00, 6D00 or 6882, 6A86 in that order (4.1, 4.23).

        The first answers for legal headers are remembered, those of an ordinary day among them;
        refusals are not, so hostile input cannot grow the memory.
        """
        found = self._routes.get(header)
        if found is None:
            found = self._find(header)
            if isinstance(found, CommandSpec) and len(self._routes) < ROUTES_KEPT:
                self._routes[bytes(header)] = found
        return found

    def _find(self, header: bytes) -> CommandSpec[Any, Any] | SW:
        if len(header) < 4:
            return SW.WRONG_LENGTH
        cla, ins, p1, p2 = header
        if cla not in self._classes:
            return SW.CLA_UNKNOWN
        family = self._families.get((cla, ins))
        if family is None:
            # 4.23: a command without secure messaging, asked for with it (bit 3 of CLA).
            is_plain = cla & 0x04 and (cla & ~0x04, ins) in self._families
            return SW.SECURE_MESSAGING_NOT_SUPPORTED if is_plain else SW.INS_UNKNOWN
        for spec in family:
            if spec.params.accepts(p1, p2):
                return spec
        return SW.WRONG_P1P2

    @staticmethod
    def shape(spec: CommandSpec[Any, Any], command: bytes) -> Call[Any]:
        """Check Lc, Le and the data's length against the statement. Raises Refuse(6700)."""
        size, layout = len(command), spec.data
        if size == 5 and layout is None:  # a read, the most frequent form by far
            return Call(spec, command[2], command[3], None, command[4] or 256)
        try:
            if size > 6 and command[4] == size - 6 and layout is not None:  # data, and Le
                asked = layout.parse(command[5:-1])
                return Call(spec, command[2], command[3], asked, command[-1] or 256)
            data, ne = body(command)
            if layout is None:
                if data:
                    raise Refuse(SW.WRONG_LENGTH)
                return Call(spec, command[2], command[3], None, ne)
            return Call(spec, command[2], command[3], layout.parse(data), ne)
        except WireError:
            raise Refuse(SW.WRONG_LENGTH) from None


def answer_of(spec: CommandSpec[Any, Any], reply: Record | bytes, ne: int | None) -> bytes:
    """The answer's bytes, checked against Le.

    Le absent, 00 or at least the answer's length is fine; a smaller Le is 6700 (4.1: "Lc/Le").
    Raises Refuse.
    """
    out = reply if isinstance(reply, bytes) else reply.build()
    if ne is not None and ne < len(out) and spec.le_rule:
        raise Refuse(SW.WRONG_LENGTH)
    return out
