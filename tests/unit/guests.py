"""A guest that says what it is told to, for tests of the air around it."""

from dataclasses import dataclass, field

from apdu.event import Event, Source
from apdu.frame import Frame
from emulator.radio.air import Air
from emulator.radio.clock import Clock, VirtualClock
from emulator.radio.faults import Fault, Faults, Script
from emulator.radio.medium import Ask, Reply
from emulator.radio.timing import GUARD_NS

MS = 1_000_000
TIMEOUT_NS = 2 * MS
ANSWER = b"\x0a\x0b\x0c"


@dataclass
class Parrot:
    """Answers each frame with `answer` and a checksum, `after_ns` late; None is silence."""

    answer: bytes | Frame | None = ANSWER
    after_ns: int = 0
    heard: list[Frame] = field(default_factory=list)
    powers: list[str] = field(default_factory=list)
    leaves: list[int | None] = field(default_factory=list)
    timeouts: list[int] = field(default_factory=list)
    is_on: bool = False

    def field_on(self) -> None:
        if not self.is_on:
            self.powers.append("on")
        self.is_on = True

    def field_off(self) -> None:
        if self.is_on:
            self.powers.append("off")
        self.is_on = False

    def leaves_after(self, ns: int | None) -> None:
        self.leaves.append(ns)

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        if not self.is_on:
            return None
        self.heard.append(frame)
        self.timeouts.append(timeout_ns)
        if self.answer is None:
            return None
        frame = self.answer if isinstance(self.answer, Frame) else Frame.whole(self.answer)
        return Reply(frame, self.after_ns)


@dataclass
class Bench:
    """An air with guests in it, its field on, and what it reports."""

    air: Air
    seen: list[Event]

    @property
    def now_ns(self) -> int:
        return self.air.clock.now_ns()

    def frames(self, source: Source | None = None) -> list[Event]:
        return [
            event
            for event in self.seen
            if event.source is not Source.FIELD and (source is None or event.source is source)
        ]

    def notes(self) -> list[str]:
        return [event.note for event in self.frames()]


def bench(
    *guests: Parrot,
    faults: Faults | list[Fault] | None = None,
    stranger: Parrot | None = None,
    clock: Clock | None = None,
) -> Bench:
    seen: list[Event] = []
    given = faults if faults is not None and not isinstance(faults, list) else Script(faults or [])
    air = Air(clock or VirtualClock(), given, seen.append, stranger)
    for guest in guests:
        air.bring(guest)
    air.field_on()
    return Bench(air, seen)


def ask(data: bytes = b"\x01", timeout_ns: int = TIMEOUT_NS) -> Ask:
    return Ask(data, timeout_ns)


FIRST_NS = GUARD_NS
"""When the first frame begins."""
