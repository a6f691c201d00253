"""What is counted while people pass."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.throughput.crowd.people import Passenger
from bench.throughput.crowd.taps import Tapped

GAVE_UP = "gave up after {} taps"


@dataclass
class Series:
    """A number that changes now and then, such as a queue's length: (instant ns, number)."""

    points: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])

    def note(self, now_ns: int, number: int) -> None:
        """It is this from now on."""
        if self.points[-1][0] == now_ns:
            self.points[-1] = now_ns, number
        elif self.points[-1][1] != number:
            self.points.append((now_ns, number))

    def mean(self, end_ns: int) -> float:
        """Over time, up to an instant."""
        area = 0
        for (start_ns, number), (next_ns, _) in zip(
            self.points, [*self.points[1:], (end_ns, 0)], strict=True
        ):
            area += number * max(0, min(next_ns, end_ns) - start_ns)
        return area / end_ns if end_ns else 0.0

    @property
    def longest(self) -> int:
        """The greatest number there was."""
        return max(number for _, number in self.points)

    def thinned(self, step_ns: int, end_ns: int) -> list[tuple[float, int]]:
        """For a chart: (seconds, the greatest number in the step before)."""
        found: list[tuple[float, int]] = []
        at, last = 0, 0
        for edge_ns in range(step_ns, end_ns + step_ns, step_ns):
            most = last
            while at < len(self.points) and self.points[at][0] < edge_ns:
                last = self.points[at][1]
                most = max(most, last)
                at += 1
            found.append(((edge_ns - step_ns) / 1e9, most))
        return found


@dataclass
class Tally:
    """Of one gate or of many. Times: ns, in the order in which they came.

    arrived: people who came. passed: went through; released: of them, without a tap, in an
    emergency. rejected: by reason. taps: presentations; again: of them, after one that came to
    nothing. field, apdus: of every presentation that came to a verdict. waited: in a queue, until
    the way to the reader was free. parts: ns by what the exchanges were for.
    """

    arrived: int = 0
    passed: int = 0
    released: int = 0
    taps: int = 0
    again: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    field_ns: list[int] = field(default_factory=list)
    apdus_ns: list[int] = field(default_factory=list)
    passes_ns: list[int] = field(default_factory=list)
    waited_ns: list[int] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)
    waiting: Series = field(default_factory=Series)
    on_end: Callable[[], None] = lambda: None

    @property
    def refused(self) -> int:
        """People who went away."""
        return sum(self.rejected.values())

    @property
    def ended(self) -> int:
        """People who are no longer here."""
        return self.passed + self.refused

    def present(self) -> int:
        """People who have come and are still here."""
        return self.arrived - self.ended

    def arrives(self, now_ns: int) -> None:
        """Somebody has come."""
        self.arrived += 1
        self.waiting.note(now_ns, self.present())

    def had_turn(self, who: Passenger, turn_ns: int) -> None:
        """Somebody has tapped. turn_ns: when the way to the reader was free for them."""
        self.waited_ns.append(turn_ns - who.arrived_ns)

    def tapped(self, tapped: Tapped, attempt: int) -> None:
        """A card was held against a reader."""
        self.taps += 1
        self.again += attempt > 0
        if tapped.outcome is not None:
            self.field_ns.append(tapped.field)
            self.apdus_ns.append(tapped.apdus)
            for name, took_ns in tapped.parts:
                self.parts[name] += took_ns

    def passes(self, now_ns: int, released: bool = False) -> None:
        """Somebody went through."""
        self.passed += 1
        self.released += released
        self.passes_ns.append(now_ns)
        self._ends(now_ns)

    def goes_away(self, reason: str, now_ns: int) -> None:
        """Somebody was refused, or gave up."""
        self.rejected[reason] += 1
        self._ends(now_ns)

    def _ends(self, now_ns: int) -> None:
        self.waiting.note(now_ns, self.present())
        self.on_end()


def merged(tallies: Sequence[Tally]) -> Tally:
    """What several runs counted, in one, but for the instants, which are each run's own."""
    whole = Tally()
    for one in tallies:
        for name in ("arrived", "passed", "released", "taps", "again"):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        whole.rejected.update(one.rejected)
        whole.parts.update(one.parts)
        for times in ("field_ns", "apdus_ns", "waited_ns"):
            getattr(whole, times).extend(getattr(one, times))
    return whole
