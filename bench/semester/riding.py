"""Rides: by metro and by bus, with all that riders do when a barrier stays closed.

A card taken away too early is tapped again; too little money is topped up; who left without tapping
out goes to the desk. Each part of a ride is done at its own time of the day.
"""

from collections.abc import Callable
from random import Random

from bench.semester.dealings import CUT, Dealings, taken_away
from bench.semester.people import Student
from bench.semester.tally import Tally
from bench.semester.town import Town
from emulator.card.card import Card as Chip
from reader.fare import Station
from reader.fares.bus import Heading
from reader.gate import Direction, Outcome, Reject, Verdict
from reader.terminal import Terminal
from reader.transport.base import Transport, TransportError
from reader.transport.inprocess import InProcess
from reader.validator import Door

Plan = Callable[[int, Callable[[], None]], None]
"""Does something at a second of the day, later on."""

_TRIES, _COMMANDS, _AGAIN_S = 4, 9, 3
_FORGETS_EXIT, _FORGETS_DOOR = 0.003, 0.01
_RAIL, _STREET = 0.7, 0.9
_NEEDS_MONEY = (Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW)
_GIVES_UP = 4


class Riding:
    """Rides of students, and of who finds their phones."""

    def __init__(self, town: Town, dealings: Dealings, tally: Tally, chance: Random) -> None:
        self._town, self._dealings = town, dealings
        self._tally, self._chance = tally, chance

    def there_and_back(self, who: Student, plan: Plan) -> None:
        """Plan a day's rides: out in the morning, home in the evening."""
        chance = self._chance
        out, home = chance.sample(self._town.stations, 2)
        morning = chance.randint(6 * 3600, 11 * 3600)
        evening = chance.randint(15 * 3600, 20 * 3600)
        kind = chance.random()
        for start, origin, target in ((morning, home, out), (evening, out, home)):
            if kind < _RAIL:
                plan(start, lambda a=origin, b=target: self._by_metro(who, a, b, plan))  # type: ignore[misc]
            elif kind < _STREET:
                plan(start, lambda: self._by_bus(who, plan))
            else:
                plan(start, lambda: self._by_flat_bus(who))

    def found(self, chip: Chip) -> bool:
        """Somebody rides with a card that is not theirs. Returns whether they came in."""
        origin, target = self._chance.sample(self._town.stations, 2)
        if self._tap(chip, self._town.gate(origin, Direction.ENTRY)) is not None:
            return False
        self._town.clock.tick(1800)
        self._tap(chip, self._town.gate(target, Direction.EXIT))
        self._tally.counts["rides with a found phone"] += 1
        return True

    def close_trip(self, who: Student) -> bool:
        """Have staff close a trip that was not tapped out. Returns whether it is closed."""
        if who.chip is None:
            return False
        desk = self._town.staff
        for _ in range(2):
            who.chip.power_on()
            said = desk.serve_card(desk.missing_exit(), InProcess(who.chip))
            who.chip.power_off()
            if said.verdict is Verdict.PASS:
                self._tally.counts["trips closed at a desk"] += 1
                return True
            self._refused(said.reason)
            if said.reason not in _NEEDS_MONEY or not self._pay_in(who):
                return False
        return False

    def _by_metro(self, who: Student, origin: Station, target: Station, plan: Plan) -> None:
        if not self._is_let_in(who, self._town.gate(origin, Direction.ENTRY)):
            return
        if self._chance.random() < _FORGETS_EXIT:
            self._tally.counts["metro rides left without tapping out"] += 1
            return
        gate = self._town.gate(target, Direction.EXIT)
        now = self._town.clock()
        second = now.hour * 3600 + now.minute * 60 + now.second
        plan(second + self._chance.randint(900, 4200), lambda: self._leave(who, gate))

    def _by_bus(self, who: Student, plan: Plan) -> None:
        door, stops = self._town.door(Door.BOARD), self._town.door(Door.BOARD).config.line.stops
        begin = self._chance.randrange(len(stops) - 1)
        door.at_stop(stops[begin], Heading.UP)
        if not self._is_let_in(who, door):
            return
        if self._chance.random() < _FORGETS_DOOR:
            self._tally.counts["bus rides left without tapping off"] += 1
            return
        self._town.clock.tick(self._chance.randint(300, 1500))
        out = self._town.door(Door.ALIGHT)
        out.at_stop(stops[self._chance.randrange(begin + 1, len(stops))], Heading.UP)
        self._leave(who, out)

    def _by_flat_bus(self, who: Student) -> None:
        door = self._town.door(Door.SINGLE)
        self._is_let_in(who, door)

    def _is_let_in(self, who: Student, terminal: Terminal) -> bool:
        """Tap in, and do what the refusal asks for."""
        if who.chip is None or who.refusals >= _GIVES_UP:
            return False
        if who.chip.purse.actual < who.plan.low and self._chance.random() < 0.9:
            self._pay_in(who)
        for _ in range(3):
            reason = self._tap(who.chip, terminal)
            if reason is None:
                return True
            if not self._has_mended(who, reason):
                return False
        return False

    def _leave(self, who: Student, terminal: Terminal) -> None:
        """Tap out; who has not enough pays in first."""
        for _ in range(3):
            if who.chip is None:
                return
            reason = self._tap(who.chip, terminal)
            if reason not in _NEEDS_MONEY:
                return
            self._pay_in(who)

    def _has_mended(self, who: Student, reason: Reject) -> bool:
        if reason is Reject.EXPIRED:
            who.refusals += 1
            return False
        if reason in _NEEDS_MONEY:
            return self._pay_in(who)
        return reason is Reject.ALREADY_ENTERED and self.close_trip(who)

    def _pay_in(self, who: Student) -> bool:
        return self._dealings.top_up(who, who.plan.amount)

    def _tap(self, chip: Chip, terminal: Terminal) -> Reject | None:
        """Tap until there is a verdict. Returns why it was refused, None if it was let through."""
        for attempt in range(_TRIES):
            said = self._once(chip, terminal, is_first=attempt == 0)
            self._town.clock.tick(_AGAIN_S)
            self._tally.counts["taps"] += 1
            if said is None or said.verdict is Verdict.TAP_AGAIN:
                self._tally.counts["taps torn and tapped again"] += 1
                continue
            self._refused(said.reason)
            if said.missed is not None:
                self._tally.counts["bus rides collected later"] += 1
            return said.reason
        raise AssertionError(f"no verdict after {_TRIES} taps")

    def _once(self, chip: Chip, terminal: Terminal, *, is_first: bool) -> Outcome | None:
        chip.power_on()
        link: Transport = InProcess(chip)
        if is_first and self._chance.random() < CUT / 4:
            link = taken_away(chip, self._chance, _COMMANDS)
        try:
            return terminal.pass_(link)
        except TransportError:
            return None
        finally:
            chip.power_off()

    def _refused(self, reason: Reject | None) -> None:
        if reason is not None:
            self._tally.refusals[f"gate: {reason.en}"] += 1
