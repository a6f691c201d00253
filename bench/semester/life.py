"""The school year, day by day: what happens is planned for a second of the day, and done in order.

openings in September; rides, top-ups and lost phones all the year; renewals from 30 July, some too
late; returns and refunds at graduation in July.
"""

import heapq
from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from bench.semester.dealings import Dealings, phone_of
from bench.semester.people import FIRST_DAY, GOOD_PHONE, Student, roster_of
from bench.semester.riding import Riding
from bench.semester.tally import Tally
from bench.semester.town import Town
from issuer import roster
from issuer.office import Office

Progress = Callable[[int, int], None]
"""Is told after each day how many are over, of how many."""

_GRADUATED = (7, 21)
"""Month and day on which the schools strike those who have graduated off the roster."""

_UPLOADS, _FETCHES, _SETTLES = 84_600, 84_900, 85_200
_BREAKS = (((1, 17), (2, 22)), ((7, 12), (8, 23)), ((10, 1), (10, 7)))


class Life:
    """A school year in the making."""

    def __init__(
        self,
        office: Office,
        town: Town,
        dealings: Dealings,
        students: list[Student],
        chance: Random,
    ) -> None:
        self._office, self._town, self._dealings = office, town, dealings
        self._tally: Tally = dealings.tally
        self._riding = Riding(town, dealings, self._tally, chance)
        self._students, self._chance = students, chance
        self._todo: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0

    def live(self, days: int, progress: Progress) -> None:
        """Live so many days."""
        self._take_roster(graduated=False)
        for number in range(days):
            self._day(FIRST_DAY + timedelta(days=number), number)
            progress(number + 1, days)
        self._town.upload(days, is_last=True)

    def _day(self, today: date, number: int) -> None:
        self._todo.clear()
        if (today.month, today.day) == _GRADUATED:
            self._plan(3600, lambda: self._take_roster(graduated=True))
        for who in self._students:
            self._plan_for(who, today)
        while self._todo:
            second, _, act = heapq.heappop(self._todo)
            self._town.clock.set(today, second)
            act()
        self._night(today, number)

    def _night(self, today: date, number: int) -> None:
        """Gates send what they have and fetch the blacklist; what is lost for long is settled."""
        clock = self._town.clock
        clock.set(today, _UPLOADS)
        self._town.upload(number)
        clock.set(today, _FETCHES)
        self._tally.counts["blacklist updates at the gates"] += self._town.fetch()
        clock.set(today, _SETTLES)
        self._dealings.settle()
        if number % 7 == 6:
            self._tally.on_cards.append(
                sum(who.chip.purse.actual for who in self._students if who.chip is not None)
            )

    def _take_roster(self, graduated: bool) -> None:
        told = roster_of(self._students, graduated)
        taken = roster.take(self._office.engine, self._office.documents, told)
        self._tally.counts["roster lines new"] += taken.added
        self._tally.counts["roster lines changed"] += taken.changed

    def _plan(self, second: int, act: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._todo, (second, self._planned, act))

    def _plan_for(self, who: Student, today: date) -> None:
        """Everything a student does on a day."""
        if who.is_refused or today < who.plan.opens:
            return
        if who.reported is not None or who.found is not None:
            self._plan_loss(who, today)
        elif who.chip is None and who.card is None:
            self._plan(self._hour(8, 20), lambda: self._arrive(who, today))
        if who.chip is not None:
            self._plan_with_card(who, today)

    def _plan_with_card(self, who: Student, today: date) -> None:
        if self._leaves(who, today):
            self._plan(self._hour(21, 22), lambda: self._say_goodbye(who))
        if self._wants_renewal(who, today):
            self._plan(self._hour(7, 21), lambda: self._renew(who))
        if self._chance.random() < who.plan.rides * _weight(today):
            self._riding.there_and_back(who, self._plan)
        if who.plan.loses == today:
            self._plan(self._hour(22, 23), lambda: self._lose(who))

    def _arrive(self, who: Student, today: date) -> None:
        """The first card: log in, prove, have the phone looked at, open."""
        if not who.is_proven:
            self._dealings.prove(who)
        phone = phone_of(who) if today == who.plan.opens else GOOD_PHONE
        is_open = self._dealings.open(who, phone)
        # What a newer App does not mend, the school's standing, no other day does either.
        who.is_refused = not is_open and phone is GOOD_PHONE
        if is_open:
            self._dealings.top_up(who, who.plan.amount)

    def _leaves(self, who: Student, today: date) -> bool:
        return who.plan.leaves is not None and today >= who.plan.leaves

    def _say_goodbye(self, who: Student) -> None:
        """Return the card; the next day again, if the rules have refused it."""
        if who.chip is not None and not self._dealings.give_back(who):
            self._riding.close_trip(who)

    def _wants_renewal(self, who: Student, today: date) -> bool:
        on = who.plan.renews[today.year]
        is_due = who.card is not None and who.card.end_date.year == today.year
        return is_due and on is not None and today >= on

    def _renew(self, who: Student) -> None:
        if who.chip is None:
            return
        if self._dealings.renew(who):
            who.refusals = 0
        else:
            who.plan.renews[self._town.clock().year] = None  # refused once, it is not asked again

    def _lose(self, who: Student) -> None:
        """The phone is gone, and its holder finds out tomorrow."""
        if who.chip is not None:
            who.found, who.chip = who.chip, None
            self._tally.counts["phones lost"] += 1

    def _plan_loss(self, who: Student, today: date) -> None:
        found = who.found
        if who.reported is None:
            self._plan(self._hour(9, 12), lambda: self._report(who, today))
        elif who.plan.wants_another and who.chip is None:
            if today == who.reported + timedelta(days=2):
                self._plan(self._hour(9, 12), lambda: self._replace(who))
        elif who.settles is not None and today > who.settles:
            self._plan(self._hour(9, 12), lambda: self._end_loss(who))
        if found is not None and self._chance.random() < 0.4:
            self._plan(self._hour(6, 20), lambda: self._found(who))

    def _found(self, who: Student) -> None:
        """Who found the phone rides with it until a gate does not let it."""
        if who.found is not None and not self._riding.found(who.found) and who.reported:
            who.found = None

    def _report(self, who: Student, today: date) -> None:
        self._dealings.report_lost(who)
        who.reported = today

    def _replace(self, who: Student) -> None:
        if not self._dealings.open(who, GOOD_PHONE):
            who.is_refused = True

    def _end_loss(self, who: Student) -> None:
        """The lost card is settled: its money comes along, or is paid out."""
        if who.chip is None:
            self._dealings.refund_lost(who)
            who.is_refused = True
        else:
            self._dealings.carry(who)
        who.reported = who.settles = None
        who.found = None

    def _hour(self, first: int, last: int) -> int:
        return self._chance.randint(first * 3600, last * 3600)


def _weight(day: date) -> float:
    """How much is ridden: school days, weekends, breaks."""
    is_break = any(first <= (day.month, day.day) <= last for first, last in _BREAKS)
    if is_break:
        return 0.25
    return 0.4 if day.weekday() >= 5 else 1.0
