"""What a case works with: a card in a field, everybody it deals with, and a list of what was said.

A case sends commands with the methods of `Desk` and states what it requires with `must`,
`must_be` and `require`. The first requirement that does not hold ends the case (`Broken`).
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, cast

from apdu.codec import Record
from apdu.command import Response
from apdu.commands import AID_PURSE, EP, GET_BALANCE, SELECT
from apdu.order import Secrets
from apdu.records import SelectName
from apdu.spec import State
from apdu.sw import describe
from bench.conformance.case import Broken
from bench.conformance.chinese import both_of
from bench.conformance.desk import Desk, Spec, Step
from bench.conformance.radio import Radio
from bench.conformance.stand import FrameStand, Stand
from bench.conformance.words import Words
from emulator.card.profile import Profile
from reader.transport.base import TransportError
from reader.transport.decorators import CutPoint


@dataclass(frozen=True, slots=True)
class Said:
    """One exchange. response: None if it was lost. note: what happened beside it. took: ns.

    is_frame: both are frames without CRC (`bench.conformance.radio`), None is silence.
    """

    command: bytes
    response: bytes | None
    took_ns: int = 0
    note: str = ""
    is_frame: bool = False


class _Ear:
    """A transport that keeps what was said."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab

    def transmit(self, command: bytes) -> bytes:
        lab = self._lab
        start = lab.now_ns()
        try:
            response = lab.stand.link.transmit(command)
        except TransportError:
            lab.said.append(Said(command, None, lab.now_ns() - start))
            raise
        lab.said.append(Said(command, response, lab.now_ns() - start))
        return response


_NO_KEYS: Any = None


class Lab(Desk):
    """One card for one case. stand: where it lies. said: everything so far, in order."""

    def __init__(self, stand: Stand, now_ns: Callable[[], int]) -> None:
        self.stand = stand
        self.now_ns = now_ns
        self.said: list[Said] = []
        self._radio: Radio | None = None
        keys: Secrets = stand.keys or _NO_KEYS  # cases without KEYS never touch them
        super().__init__(_Ear(self), keys, stand.declared.pin)

    @property
    def declared(self) -> Profile:
        """What the card says it is: dialect, purses, identity. Expectations come from here."""
        return self.stand.declared

    # The field

    @property
    def radio(self) -> Radio:
        """The reader's side of the air, frame by frame. Needs FRAMES."""
        if self._radio is None:
            self._radio = Radio(self, cast(FrameStand, self.stand))  # its abilities promise it
        return self._radio

    def aired(self, frame: bytes, answer: bytes | None, note: str = "") -> None:
        """Keep what was said in frames."""
        self.said.append(Said(frame, answer, note=note, is_frame=True))

    def reset(self) -> None:
        """The field goes off and on: everything volatile is lost. Needs CUT where it matters."""
        self.stand.reset()
        self.said.append(Said(b"", None, note="field off and on"))
        self.forget()

    def cut(self, command: bytes, point: CutPoint) -> None:
        """Send a command and lose the card at it, then find it again. Needs CUT.

        BEFORE: the card never gets the command. AFTER: it has acted, and nobody hears it.
        """
        if point is CutPoint.AFTER:
            self.stand.link.transmit(command)
        self.said.append(Said(command, None, note=f"lost {point.value}"))
        self.reset()

    def forget(self) -> None:
        """What the desk knows of a transaction and of a challenge is worth nothing any more."""
        self.state = State.IDLE
        self.challenge = None

    # The ordinary

    def select(self) -> bytes:
        """Select the purse. Returns the answer, whatever it is."""
        return self.ask(SELECT, SelectName(AID_PURSE))

    def balance(self, p1: int = 0x00) -> int:
        """GET BALANCE of the purse, in fen; p1: 00 available, 03 actual (4.12)."""
        response = self.must(self.ask(GET_BALANCE, pair=(p1, EP)))
        return int.from_bytes(response.data, "big")

    def run(self, *steps: "Spec | Step") -> bytes:
        """Several commands that must all succeed. Returns the last answer's data."""
        data = b""
        for step in steps:
            spec, pair = step if isinstance(step, tuple) else (step, None)
            data = self.done_ok(spec, pair=pair)
        return data

    def done_ok(self, spec: Spec, data: Record | None = None, pair: Any = None) -> bytes:  # noqa: ANN401
        """One command that must succeed. Returns its answer's data."""
        return self.must(self.ask(spec, data, pair)).data

    # Requirements, about the last exchange

    def must(
        self, response: bytes, *words: int, clause: str = "", why: Words | None = None
    ) -> Response:
        """The answer ends with one of these status words, 9000 if none is named.

        clause: if it is another than the case's own. why: the requirement in words.
        Returns the answer taken apart. Raises Broken.
        """
        wanted = words or (0x9000,)
        parsed = Response.parse(response)
        if parsed.sw not in wanted:
            names = [both_of(f"{sw:04X} {describe(sw)}") for sw in wanted]
            expected = Words(*(" / ".join(said) for said in zip(*map(astuple, names), strict=True)))
            if why is not None:
                expected = Words(f"{why.en}: {expected.en}", f"{why.zh}：{expected.zh}")
            size = len(response)
            raise Broken(
                expected,
                f"{parsed.sw:04X} {describe(parsed.sw)}",
                clause,
                self._last(),
                (size - 2, size),
            )
        return parsed

    def must_be(
        self, came: bytes, wanted: bytes, what: Words, *, clause: str = "", at: int = 0
    ) -> None:
        """These bytes of the last answer are what they have to be, byte for byte.

        at: where in the answer they begin. The report points at the first byte that differs.
        """
        if came == wanted:
            return
        pairs = enumerate(zip(came, wanted, strict=False))
        first = next((n for n, (a, b) in pairs if a != b), min(len(came), len(wanted)))
        shown = wanted.hex().upper()
        raise Broken(
            Words(f"{what.en} {shown}".rstrip(), f"{what.zh} {shown}".rstrip()),
            came.hex().upper() or "nothing",
            clause,
            self._last(),
            (at + first, at + max(first + 1, len(came))),
        )

    def require(
        self, holds: bool, expected: Words, came: object, *, clause: str = "", at: int | None = None
    ) -> None:
        """Any other requirement. at: the exchange that shows it, the last one if left out."""
        if not holds:
            raise Broken(expected, str(came), clause, self._last() if at is None else at)

    def _last(self) -> int | None:
        return len(self.said) - 1 if self.said else None
