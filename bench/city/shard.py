"""One shard played: all its taps in the order of the day, then upload, clearing and the books.

Each tap is the whole transaction of `reader.gate` with our card: the card is made live, tapped and
packed again. Everything random comes from the plan, so a shard that is played twice, or elsewhere,
comes to the same.
"""

import os
import resource
import sys
from array import array
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from statistics import median
from time import perf_counter, process_time

import fixtures
from bench.city.books import Carry, batches_of, office, untouched
from bench.city.cards import holding, issue_of
from bench.city.lanes import Clock, Lane, Lanes
from bench.city.plan import CityPlan, Trip, network, plan_shard, stations
from bench.city.result import TAP_PARTS, Cost, ShardResult, Tally
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.state import Chip, Image
from reader.gate import Outcome, Verdict
from reader.session import run
from reader.transport.base import Transport
from reader.transport.inprocess import InProcess

COLUMNS = {
    "card": "Q",
    "entry_station": "H",
    "exit_station": "H",
    "entered": "I",
    "left": "I",
    "fare": "i",
    "balance": "i",
    "counter": "H",
}
"""What a shard tells of each trip, with the type code of `array`."""

LOOKED_AT = 64
"""Of so many taps one is timed in parts, and its flyweight is held against the card."""

MOST_AWAKE = 1024
"""Cards of people on their way that stay live; another one is made again from its flyweight."""

_REFUSALS_TOLD = 3
_POINTER = 8


class _Slot:
    """A store for the one live card of a shard."""

    __slots__ = ("image",)

    def __init__(self) -> None:
        self.image: Image

    def load(self) -> Image:
        """See emulator.card.store.Store."""
        return self.image

    def commit(self, image: Image) -> None:
        """See emulator.card.store.Store."""
        self.image = image


class _Timed:
    """A transport that adds up how long its peer takes."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner.transmit
        self.took = 0.0

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        start = perf_counter()
        said = self._inner(command)
        self.took += perf_counter() - start
        return said


class _Watch:
    """Adds up cpu seconds by part."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = process_time()

    def lap(self, part: str) -> None:
        """What was done since the last lap was that part."""
        now = process_time()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now


class Street:
    """A shard under way: its lanes, and its cards at rest."""

    def __init__(self, plan: CityPlan, number: int) -> None:
        self.watch = _Watch()
        planned = plan_shard(plan, number)
        self.trips = planned.trips
        self.tally = Tally(trips=len(planned.trips), cards=len(planned.opening))
        self.tally.money.opening = sum(planned.opening)
        self._opening = planned.opening
        self.clock = Clock(plan.day)
        self.lanes = Lanes(number, self.clock, fixtures.load_roots()["PMK"])
        self.issue = issue_of(plan.day)
        self.first_card = number * plan.shard_trips
        self.cards = [self.issue.fresh(fen) for fen in planned.opening]
        self._awake: dict[int, Image] = {}
        """Images of cards that are inside, as many as MOST_AWAKE."""
        self._slot = _Slot()
        self._slot.image = self.issue.image
        env = SeededEnv(f"city {plan.seed} {number}")
        chip = Chip(self.issue.dialect, env, {})
        self._card = Card(chip, self._slot, self.issue.contactless)
        self._link = InProcess(self._card)
        self._looked: dict[str, list[float]] = {part: [] for part in TAP_PARTS}
        self._after = [(0, 0)] * len(self.trips)
        """Balance and counter after each trip."""
        self._fares: list[int | None] = [None] * len(self.trips)
        """What each trip cost, if it was ended."""
        self._spent = [0.0, 0.0, 0.0]
        """Seconds in making cards live, taps, and packing cards."""
        self.watch.lap("plan")

    def taps(self) -> Iterator[tuple[int, int, int]]:
        """Second, trip and direction of every tap, in order: in is 0, out is 1."""
        events = [(trip.entered, at, 0) for at, trip in enumerate(self.trips)]
        events += [(trip.left, at, 1) for at, trip in enumerate(self.trips)]
        events.sort()
        self.watch.lap("plan")
        return iter(events)

    def play(self) -> None:
        """All taps of the day."""
        for count, (second, at, way) in enumerate(self.taps()):
            trip = self.trips[at]
            lane = self.lanes[2 * (trip.target if way else trip.origin) + way]
            self.clock.second = second
            is_looked_at = not count % LOOKED_AT
            outcome, image = self.tap(trip.card, lane, is_looked_at)
            if outcome.verdict is not Verdict.PASS:
                self._refused(trip.card, lane, outcome)
                continue
            if is_looked_at:
                self._demand_same(trip.card, image)
            self._count(at, trip, lane, outcome.fare)
        self._share()

    def tap(self, card: int, lane: Lane, is_looked_at: bool = False) -> tuple[Outcome, Image]:
        """Tap a card at a lane, now. Returns the card's whole image too, as the tap left it.

        is_looked_at: the tap is timed in parts.
        """
        spent = self._spent
        begin = perf_counter()
        kept = self.cards[card]
        image = self._awake.pop(card, None)
        if image is None:
            image = self.issue.unpack(self.first_card + card, kept, self.lanes)
        self._slot.image = image
        self._card.power_on()
        live = perf_counter()
        outcome = self._looked_at(lane) if is_looked_at else lane.gate.pass_(self._link)
        done = perf_counter()
        if outcome.verdict is Verdict.PASS:
            self.cards[card] = self.issue.pack(kept, self._slot.image, self.lanes)
            if not lane.is_exit and len(self._awake) < MOST_AWAKE:
                self._awake[card] = self._slot.image
        spent[0] += live - begin
        spent[1] += done - live
        spent[2] += perf_counter() - done
        return outcome, self._slot.image

    def _demand_same(self, card: int, image: Image) -> None:
        number = self.first_card + card
        if self.issue.unpack(number, self.cards[card], self.lanes) != image:
            raise AssertionError(f"card {number} is not what its flyweight says")

    def _share(self) -> None:
        """Book the processor's time of all taps by their shares of the clock's."""
        parts, spent = self.watch.parts, self._spent
        whole = sum(spent)
        self.watch.lap("tap")
        cpu = parts["tap"]
        for part, took in zip(("wake", "tap", "rest"), spent, strict=True):
            parts[part] = cpu * took / whole

    def _looked_at(self, lane: Lane) -> Outcome:
        """A tap timed in parts."""
        card, psam = _Timed(self._link), _Timed(lane.psam)
        begin = perf_counter()
        outcome = run(lane.gate.tap(), {"card": card, "psam": psam})
        whole = perf_counter() - begin
        for part, took in zip(
            TAP_PARTS, (card.took, psam.took, whole - card.took - psam.took), strict=True
        ):
            self._looked[part].append(took)
        return outcome

    def _count(self, at: int, trip: Trip, lane: Lane, fare: int) -> None:
        tally, hour = self.tally, self.clock.second // 3600
        tally.taps += 1
        if not lane.is_exit:
            tally.entries[hour] += 1
            tally.way_in[trip.origin] += 1
            return
        tally.exits[hour] += 1
        tally.way_out[trip.target] += 1
        tally.by_fare[fare] += 1
        tally.money.fares += fare
        balance, counter, _ = holding(self.cards[trip.card])
        self._after[at], self._fares[at] = (balance, counter), fare

    def _refused(self, card: int, lane: Lane, outcome: Outcome) -> None:
        if len(self.tally.problems) < _REFUSALS_TOLD:
            reason = outcome.reason.en if outcome.reason else "tap again"
            self.tally.problems.append(
                f"the {lane.gate.stage} gate at {lane.gate.where} did not let card "
                f"{self.first_card + card} "
                f"through: {reason} {outcome.detail}".rstrip()
            )

    def clear(self, carry: Carry) -> str:
        """Upload and clear everything, and see that it adds up. Returns the shard's digest."""
        tally, watch, digest = self.tally, self.watch, sha256()
        lanes = list(self.lanes)
        books = office()
        books.open(lanes)
        watch.lap("clearing")
        closing = self.clock.midnight + timedelta(days=1, seconds=-1)
        messages = [one for lane in lanes for one in batches_of(lane, carry)]
        for message in messages:
            digest.update(message)
        watch.lap("upload")
        tally.problems += [
            f"clearing refused a batch: {refused}" for refused in books.receive(messages, closing)
        ]
        books.close(tally)
        watch.lap("clearing")
        for kept in self.cards:
            balance, counter, tac = holding(kept)
            tally.money.closing += balance
            digest.update(b"%d %d %s\n" % (balance, counter, tac.hex().encode()))
        self._demand()
        return digest.hexdigest()

    def _demand(self) -> None:
        """See that nothing is missing."""
        tally, places, rails = self.tally, stations(), network()
        tariff = [rails.fare(places[one.origin], places[one.target]) for one in self.trips]
        tally.money.tariff = sum(tariff)
        tally.problems += tally.money.faults() + self._unlike(tariff)
        for what, found in (
            ("taps passed", tally.taps),
            ("records cleared", tally.records),
            ("right TACs", tally.tacs),
        ):
            if found != 2 * tally.trips:
                tally.problems.append(f"{tally.trips} trips have {found} {what}")

    def _unlike(self, tariff: list[int]) -> list[str]:
        """What is wrong trip by trip and card by card, which sums may hide: in sentences."""
        left = list(self._opening)
        for trip, fare in zip(self.trips, self._fares, strict=True):
            left[trip.card] -= fare or 0
        cards = sum(holding(one)[0] != due for one, due in zip(self.cards, left, strict=True))
        trips = sum(one not in (None, due) for one, due in zip(self._fares, tariff, strict=True))
        found = []
        if cards:
            found.append(f"cards that do not hold what they had less their fares: {cards}")
        if trips:
            found.append(f"trips that cost something else than the tariff says: {trips}")
        return found

    def columns(self) -> dict[str, bytes]:
        """All ended trips, as they were planned one after the other."""
        made = {name: array(code) for name, code in COLUMNS.items()}
        for trip, fare, (balance, counter) in zip(
            self.trips, self._fares, self._after, strict=True
        ):
            if fare is None:
                continue
            values = (
                self.first_card + trip.card,
                trip.origin,
                trip.target,
                trip.entered,
                trip.left,
                fare,
                balance,
                counter,
            )
            for column, one in zip(made.values(), values, strict=True):
                column.append(one)
        return {name: column.tobytes() for name, column in made.items()}

    @property
    def tap_us(self) -> dict[str, float]:
        """Microseconds of a tap in parts: medians, for a busy machine stops some taps halfway."""
        return {part: median(took) * 1e6 for part, took in self._looked.items()}

    @property
    def card_b(self) -> float:
        """Bytes of a card at rest: the flyweight and its place in the list."""
        return sum(sys.getsizeof(kept) + _POINTER for kept in self.cards) / len(self.cards)


def peak_mib() -> float:
    """Most memory this process ever had, MiB."""
    try:
        # `getrusage` begins with what the process had that started this one.
        with open("/proc/self/status", encoding="ascii") as status:
            own = next(line for line in status if line.startswith("VmHWM:"))
        return int(own.split()[1]) / 1024
    except (OSError, StopIteration):
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / (1024 * 1024 if sys.platform == "darwin" else 1024)


def warm() -> int:
    """Load what every shard needs. Returns this process's number."""
    office(), stations()
    return os.getpid()


def play_shard(plan: CityPlan, number: int, carry: Carry = untouched) -> ShardResult:
    """Play a shard. carry: what becomes of records on their way to clearing."""
    begin, worked = perf_counter(), process_time()
    street = Street(plan, number)
    street.play()
    digest = street.clear(carry)
    columns = street.columns()
    street.watch.lap("books")
    cost = Cost(
        perf_counter() - begin,
        process_time() - worked,
        street.watch.parts,
        street.tap_us,
        peak_mib(),
        street.card_b,
        os.getpid(),
    )
    return ShardResult(number, digest, street.tally, cost, columns)
