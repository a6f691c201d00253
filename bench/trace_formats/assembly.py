"""APDUs put together from the frames of a recording, by the rules of ISO/IEC 14443-4.

A recording shows what both sides sent, not what each of them received: a frame that is there may
have been lost on its way, and one that arrived may be missing. Block numbers tell a repetition from
something new (protocol reference 1.6), so the machine needs no more than them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from apdu.blocks import NUMBER, RATS, Block, Kind
from apdu.event import Event, Layer, Source
from apdu.frame import HLTA, REQA, SELECT_CODES, WUPA, Frame
from apdu.value import value


@value
class ApduExchange:
    """One command and its answer, put together from whatever was recorded.

    to:               `card` or `psam`.
    response:         None if it was lost.
    start_ns, end_ns: when the command began, and when the answer had arrived or the command ended.
    tap:              which tap of the recording; 0 if it does not say.
    """

    to: str
    command: bytes
    response: bytes | None
    start_ns: int
    end_ns: int
    tap: int


@value
class Placed:
    """An exchange and its place among the events of a recording.

    begin: of the command or its first frame. end: of the answer or its last one, None if lost.
    """

    exchange: ApduExchange
    begin: int
    end: int | None


def assembled(events: Iterable[Event]) -> list[Placed]:
    """Whole exchanges out of the frames among events, in the order in which they ended."""
    assembly = _Assembly()
    for at, event in enumerate(events):
        if event.layer is Layer.RF:
            assembly.take(event, at)
    assembly.end_session()
    return assembly.out


def body_of(frame: Event) -> bytes | None:
    """A frame's bytes without its checksum; None if it has no good one or a wrong parity bit."""
    whole = Frame(frame.data, frame.tail, frame.head, frame.parity)
    if frame.has_crc:
        return whole.body()
    is_good = frame.tail == 8 and not frame.head and whole.has_right_parity
    return frame.data if frame.has_crc is None and is_good else None


@dataclass(slots=True)
class _Command:
    """The command a reader sends on one channel, and what came back so far.

    block: its last I-block. is_taken: whether the card acknowledged that part of a chain.
    number: of the answer's last I-block. begin: where its first frame stands.
    """

    block: Block
    begin: int
    start_ns: int
    end_ns: int
    tap: int
    parts: list[bytes]
    is_taken: bool = False
    answer: list[bytes] = field(default_factory=list)
    number: int | None = None

    def is_repeated_by(self, block: Block) -> bool:
        """Whether the reader sends the same part again, rule 6."""
        return not self.is_taken and (block.pcb, block.inf) == (self.block.pcb, self.block.inf)

    def is_continued_by(self, block: Block) -> bool:
        """Whether an I-block is the next part of the chain, rules 7 and B."""
        return self.block.has_more and block.number != self.block.number

    def done(self, response: bytes | None, end: int | None) -> Placed:
        """What the command has come to."""
        command = b"".join(self.parts)
        exchange = ApduExchange("card", command, response, self.start_ns, self.end_ns, self.tap)
        return Placed(exchange, self.begin, end)


@dataclass(slots=True)
class _Assembly:
    """Fed with every frame in order. channels: the open command of each CID, or of None."""

    out: list[Placed] = field(default_factory=list)
    channels: dict[int | None, _Command] = field(default_factory=dict)
    tap: int = 0
    is_block_asked: bool = False

    def take(self, frame: Event, at: int) -> None:
        if frame.tap != self.tap or frame.source is Source.FIELD:
            self.end_session()
            self.tap = frame.tap
        if frame.source is Source.PCD:
            self._asked(frame, at)
        elif frame.source is Source.PICC and self.is_block_asked:
            self._answered(frame, at)

    def end_session(self) -> None:
        """The link is gone: a command without an answer will not get one."""
        for cid in list(self.channels):
            self._give_up(cid)
        self.is_block_asked = False

    def _give_up(self, cid: int | None) -> None:
        command = self.channels.pop(cid, None)
        if command is not None and not command.block.has_more:
            self.out.append(command.done(None, None))

    def _asked(self, frame: Event, at: int) -> None:
        body = body_of(frame)
        if not body and frame.has_crc is not False:
            return  # noise: what follows still answers what was asked before
        block = Block.parse(body) if body else None
        self.is_block_asked = block is not None
        if block is None:
            if body is None or _begins_anew(body):
                self.end_session()
        elif block.kind is Kind.DESELECT:
            self._give_up(block.cid)
        elif block.kind is Kind.I_BLOCK:
            self._command(block, frame, at)

    def _command(self, block: Block, frame: Event, at: int) -> None:
        end_ns = frame.t_ns + frame.duration_ns
        command = self.channels.get(block.cid)
        if command is not None and command.is_repeated_by(block):
            return
        if command is not None and command.is_continued_by(block):
            command.parts.append(block.inf)
            command.block, command.end_ns, command.is_taken = block, end_ns, False
            return
        self._give_up(block.cid)
        self.channels[block.cid] = _Command(block, at, frame.t_ns, end_ns, frame.tap, [block.inf])

    def _answered(self, frame: Event, at: int) -> None:
        body = body_of(frame)
        block = Block.parse(body) if body else None
        command = self.channels.get(block.cid) if block else None
        if block is None or command is None:
            return
        if block.kind is Kind.R_BLOCK:  # rule 7: with the reader's number it takes the part
            command.is_taken = command.block.has_more and block.number == command.block.number
        elif block.kind is Kind.I_BLOCK and not command.block.has_more:
            self._answer(command, block, frame, at)

    def _answer(self, command: _Command, block: Block, frame: Event, at: int) -> None:
        expected = command.block.number if command.number is None else command.number ^ NUMBER
        if block.number != expected:
            return  # a part sent again, rule 11
        command.number = block.number
        command.answer.append(block.inf)
        if block.has_more:
            return
        del self.channels[block.cid]
        command.end_ns = frame.t_ns + frame.duration_ns
        if any(command.parts) or any(command.answer):  # else a presence check by empty I-blocks
            self.out.append(command.done(b"".join(command.answer), at))


def _begins_anew(body: bytes) -> bool:
    """Whether a reader polls, selects, halts or activates a card: the link before is gone."""
    return body[0] in (RATS, *SELECT_CODES) or body in (REQA, WUPA, HLTA)
