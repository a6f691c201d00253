"""One aisle of a station as a SimPy process: a queue, a reader each way, and one barrier.

The time from one person to the next is gap + tap + barrier (domain facts 4.3). Before a normally
closed barrier everybody waits until it has moved, walks, and only then may the next one come to the
reader. Through a normally open one people walk on while the next ones tap; it moves for a refusal,
and back for the next who may pass.
"""

from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Any

import simpy

from bench.throughput.crowd.model import is_over
from bench.throughput.crowd.numbers import SECOND_NS
from bench.throughput.crowd.people import Pace, Passenger
from bench.throughput.crowd.tally import GAVE_UP, Series, Tally
from bench.throughput.crowd.taps import Reader
from bench.throughput.crowd.terminals import ENTRY
from bench.throughput.crowd.virtual import Virtual
from reader.barrier import NORMALLY_OPEN, Barrier
from reader.modes import Mode
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.validator import Door

Process = Generator[simpy.Event, Any, None]
Telling = Generator[simpy.Event, Any, Outcome | None]

ELSEWHERE = frozenset({Reject.CLOSED, Reject.FAULT, Reject.MAINTENANCE})
"""Refusals of the gate, not of the passenger, who goes to another one."""

WAYS_IN = frozenset({ENTRY, Door.BOARD.value, Door.SINGLE.value})


class Aisle:
    """One aisle. readers: by direction. tallies: told of everything, this aisle's own first.

    move: takes people to whom this aisle no longer serves; without it they wait here.
    """

    def __init__(
        self,
        env: Virtual,
        readers: Mapping[str, Reader],
        policy: Policy,
        pace: Pace,
        tallies: tuple[Tally, ...],
        move: Callable[[list[Passenger]], None] | None = None,
    ) -> None:
        self.readers = readers
        self.barrier = Barrier.of(policy, lambda: env.now_ns / SECOND_NS)
        self.queue: deque[Passenger] = deque()
        self.length = Series()
        self.walking = 0
        self.busy_ns = self.down_ns = 0
        self.serving: Passenger | None = None
        self.modes: frozenset[Mode] = frozenset()
        self._env, self._pace, self._tallies, self._move = env, pace, tallies, move
        self._is_normally_open = policy.barrier == NORMALLY_OPEN
        self._wake = env.event()
        self._down_since_ns = self._serving_since_ns = 0
        env.process(self._run())

    @property
    def people(self) -> int:
        """How many stand here, the one at the reader among them."""
        return len(self.queue) + (self.serving is not None)

    @property
    def is_down(self) -> bool:
        """Whether it is out of service: a mode stops it that is no emergency."""
        return any(mode.rule.stops in ELSEWHERE for mode in self.modes) and not self.is_released

    @property
    def is_released(self) -> bool:
        """Whether it stands open for an emergency."""
        return Mode.EMERGENCY in self.modes

    def serves(self, direction: str) -> bool:
        """Whether people of this direction may queue here: in an emergency everywhere."""
        if self.is_released and direction not in WAYS_IN:
            return True
        return direction in self.readers and not self.is_down

    def join(self, who: Passenger) -> None:
        """Somebody stands behind the others."""
        self.queue.append(who)
        self._note()
        self._rouse()

    def leave(self) -> Passenger:
        """Who stands last goes to another queue. There is somebody."""
        who = self.queue.pop()
        self._note()
        return who

    def set_modes(self, modes: frozenset[Mode]) -> list[Passenger]:
        """The station sets this aisle's modes. Returns who stands here and must go elsewhere."""
        was_down = self.is_down
        self.modes = modes
        for reader in self.readers.values():
            reader.terminal.modes = modes
        self.barrier.follow(modes)
        if self.is_down and not was_down:
            self._down_since_ns = self._env.now_ns
        elif was_down and not self.is_down:
            self.down_ns += self._env.now_ns - self._down_since_ns
        leaving = [who for who in self.queue if not self._keeps(who)]
        self.queue = deque(who for who in self.queue if self._keeps(who))
        self._note()
        self._rouse()
        return leaving

    def _keeps(self, who: Passenger) -> bool:
        """Whether somebody may stay in the queue: where nobody can take them on, they do."""
        if self._move is None:
            return True
        return self.serves(who.direction) and not (self.is_released and who.direction in WAYS_IN)

    def finish(self) -> None:
        """The run is over: what still lasts is counted up to now. Called once."""
        if self.serving is not None:
            self.busy_ns += self._env.now_ns - self._serving_since_ns
        if self.is_down:
            self.down_ns += self._env.now_ns - self._down_since_ns
            self._down_since_ns = self._env.now_ns

    def _rouse(self) -> None:
        if not self._wake.triggered:
            self._wake.succeed()

    def _note(self) -> None:
        self.length.note(self._env.now_ns, self.people)

    def _run(self) -> Process:
        while True:
            if self.is_down or not self.queue:
                self._wake = self._env.event()
                yield self._wake
                continue
            self._serving_since_ns = self._env.now_ns
            self.serving = self.queue.popleft()
            yield from self._serve(self.serving)
            self.serving = None
            self.busy_ns += self._env.now_ns - self._serving_since_ns
            self._note()

    def _serve(self, who: Passenger) -> Process:
        turn_ns = self._env.now_ns
        yield self._env.timeout(who.walk_ns)
        if self.is_released:
            yield from self._let_out(who)
            return
        if who.direction not in self.readers:  # an emergency has ended meanwhile
            self._send_elsewhere(who)
            return
        reader = self.readers[who.direction]
        outcome = yield from self._tap_until_decided(reader, who)
        if outcome is not None and outcome.reason in ELSEWHERE:
            self._send_elsewhere(who)
            return
        reader.done(who)
        for tally in self._tallies:
            tally.had_turn(who, turn_ns)
        yield from self._decided(reader, outcome)

    def _tap_until_decided(self, reader: Reader, who: Passenger) -> Telling:
        outcome = None
        for attempt in range(self._pace.tries):
            if attempt:
                yield self._env.after(self._pace.retap)
            outcome = reader.stopped()
            if outcome is None:
                outcome = yield from self._tap(reader, who, attempt)
            if is_over(outcome):
                break
        return outcome

    def _tap(self, reader: Reader, who: Passenger, attempt: int) -> Telling:
        tapped = reader.present(who, attempt, self._env.now_ns)
        for tally in self._tallies:
            tally.tapped(tapped, attempt)
        yield self._env.timeout(tapped.end - self._env.now_ns)
        return tapped.outcome

    def _decided(self, reader: Reader, outcome: Outcome | None) -> Process:
        was_open = self.barrier.position().is_open
        if outcome is not None:
            self.barrier.decided(outcome)
        if outcome is None or outcome.verdict is Verdict.TAP_AGAIN:
            yield from self._turn_away(GAVE_UP.format(self._pace.tries))
        elif outcome.verdict is Verdict.PASS:
            yield from self._let_through(reader, was_open, outcome.released)
        else:
            assert outcome.reason is not None
            yield from self._turn_away(outcome.reason.en)

    def _let_through(self, reader: Reader, was_open: bool, released: bool) -> Process:
        if not was_open:
            yield self._env.after(self._pace.open)
        if self._is_normally_open:
            self._env.process(self._walk(reader, released))
        else:
            yield from self._walk(reader, released)

    def _walk(self, reader: Reader, released: bool) -> Process:
        self.walking += self._is_normally_open  # else they are still at the reader
        yield self._env.after(self._pace.walk)
        self.walking -= self._is_normally_open
        self.barrier.walked()
        reader.walked()
        for tally in self._tallies:
            tally.passes(self._env.now_ns, released)

    def _turn_away(self, reason: str) -> Process:
        yield self._env.after(self._pace.back_out)
        for tally in self._tallies:
            tally.goes_away(reason, self._env.now_ns)

    def _let_out(self, who: Passenger) -> Process:
        """An emergency: who leaves walks on, who wants in reads that they may not."""
        reader = self.readers.get(who.direction)  # none: out through a gate for the way in
        outcome = None if reader is None else reader.stopped()
        if outcome is not None and outcome.verdict is Verdict.REJECT:
            yield from self._turn_away(Reject.EMERGENCY.en)
            return
        self.barrier.walked()
        for tally in self._tallies:
            tally.passes(self._env.now_ns, released=True)

    def _send_elsewhere(self, who: Passenger) -> None:
        if self._move is None:
            self.queue.appendleft(who)
        else:
            self._move([who])
