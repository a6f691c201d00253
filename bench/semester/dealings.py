"""What students and the office do with each other: each wish is asked for until it has an answer.

A card may be taken away at any command, before it gets it or after it has acted, and the payer may
not answer; the same is then asked for again with the same key.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from sqlalchemy.orm import Session

from bench.office import blank_card
from bench.semester.people import FIRST_DAY, GOOD_PHONE, OLD_APP, Student
from bench.semester.tally import Tally
from bench.semester.town import OUTLET, Town
from bench.semester.watch import LoadWatch
from emulator.card.card import Card as Chip
from emulator.card.env import SeededEnv
from issuer import accounts, losses, openings, renewals, returns, topups
from issuer.database import transact
from issuer.errors import RuleError
from issuer.office import Office
from issuer.payer import Mishap, PayerAway
from issuer.phones import Phone
from issuer.refunds import Channel
from issuer.refusal import Refusal
from issuer.topup_book import Ended
from reader.session import Txn, run
from reader.transport.base import Transport, TransportError
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess

T = TypeVar("T")

CUT = 0.03
"""The chance that a card is taken away in the middle of an operation."""

_COMMANDS, _TRIES, _RETRY_S = (4, 8, 40), 12, 5
_LOAD_COMMANDS = 5
_CASH, _WALKS_AWAY = 0.05, 0.01
_MISHAPS = ((0.01, Mishap.LOST_BEFORE), (0.025, Mishap.LOST_AFTER), (0.032, Mishap.DECLINED))


def payer_mishaps(chance: Random, tally: Tally) -> Callable[[str, str], Mishap | None]:
    """What goes wrong with the payer: some answers are lost, and some charges declined."""

    def mishap(kind: str, key: str) -> Mishap | None:
        drawn = chance.random()
        for limit, what in _MISHAPS:
            if drawn < limit and (what is not Mishap.DECLINED or kind == "charge"):
                tally.counts[f"payer: {what.name.lower().replace('_', ' ')}"] += 1
                return what
        return None

    return mishap


@dataclass
class Dealings:
    """The office as students meet it. chips: every card that was opened, by serial."""

    office: Office
    town: Town
    tally: Tally
    chance: Random
    seed: int

    def __post_init__(self) -> None:
        self.chips: dict[bytes, Chip] = {}
        self._watches: dict[int, LoadWatch] = {}
        log_in = transact(self.office.engine, lambda s: accounts.log_in(s, "outlet-1"))
        self._outlet = log_in.id

    def prove(self, who: Student) -> None:
        """Log in and prove whose the account is; who mistypes has to do it again."""
        office = self.office
        who.account = transact(
            office.engine, lambda s: accounts.log_in(s, f"student{who.number}")
        ).id
        if who.plan.mistypes:
            self._claim(who, replace(who.claim, name="Studnet"))
        self._claim(who, who.claim)
        who.is_proven = True
        self.tally.counts["identities proven"] += 1

    def _claim(self, who: Student, claim: accounts.Claim) -> None:
        office, at = self.office, self.office.now()
        token = transact(office.engine, lambda s: accounts.begin_check(s, who.account, at))

        def work(session: Session) -> accounts.Held | Refusal:
            return accounts.authenticate(
                session, office.documents, who.account, token, claim, at, office.policy
            )

        said = transact(office.engine, work)
        if isinstance(said, Refusal):
            self.refused(f"{said.rule} {said.reason}")

    def open(self, who: Student, phone: Phone) -> bool:
        """Ask the rules, and open a card. Returns whether there is one."""
        broken = [one for one in openings.check(self.office, who.account, phone) if one.is_failed]
        for one in broken:
            self.refused(f"{one.rule} not_eligible")
        if broken:
            return False
        who.opened += 1
        chip = blank_card(SeededEnv(f"semester {self.seed} {who.number} {who.opened}"))
        key = who.key("open")
        office, account = self.office, who.account
        card = self.present(chip, lambda: openings.open_card(office, account, key, phone))
        who.chip, who.card = chip, card
        self.chips[card.serial] = chip
        self.tally.counts["cards opened" if who.opened == 1 else "replacements opened"] += 1
        return True

    def top_up(self, who: Student, amount: int) -> bool:
        """Top up by phone, or in cash at an outlet. Returns whether the money is on the card."""
        assert who.chip is not None
        is_cash = self.chance.random() < _CASH
        key, office = who.key("outlet" if is_cash else "topup"), self.office
        account = self._outlet if is_cash else who.account
        make = topups.outlet_top_up if is_cash else topups.top_up
        key = f"{who.number}-{key}"
        walks_away = not is_cash and self.chance.random() < _WALKS_AWAY
        try:
            if walks_away and self._given_up(who, key, amount):
                return False
            self.present(who.chip, lambda: make(office, account, key, amount))
        except RuleError as no:
            self.refused(f"{no.rule} {no.reason}")
            return False
        self.tally.counts["top-ups in cash" if is_cash else "top-ups by phone"] += 1
        self.tally.money["topped up in cash" if is_cash else "topped up by phone"] += amount
        self.tally.topups[(self.town.clock().date() - FIRST_DAY).days // 7] += amount
        return True

    def _given_up(self, who: Student, key: str, amount: int) -> bool:
        """Take the card away in the middle of a top-up, and cancel it. Returns whether that went.

        It does not if the card was credited already: then it is told so, and has the money.
        """
        office, account, chip = self.office, who.account, who.chip
        assert chip is not None
        link = self._watch(chip).link(taken_away(chip, self.chance, _LOAD_COMMANDS))
        chip.power_on()
        with suppress(TransportError, PayerAway):
            run(topups.top_up(office, account, key, amount), {"card": link})
            return False
        try:
            self.present(chip, lambda: topups.cancel(office, account, key))
        except RuleError as no:
            if no.reason != Ended.CREDITED:
                raise
            self.tally.counts["top-ups that were on the card when cancelled"] += 1
            return False
        self.tally.counts["top-ups cancelled"] += 1
        return True

    def renew(self, who: Student) -> bool:
        """Renew the card. Returns whether it is valid longer now."""
        assert who.chip is not None
        key, office, account = who.key("renew"), self.office, who.account
        try:
            who.card = self.present(who.chip, lambda: renewals.renew(office, account, key))
        except RuleError as no:
            self.refused(f"{no.rule} {no.reason}")
            return False
        month = self.town.clock().month
        self.tally.counts["renewals" if month < 10 else "late renewals"] += 1
        return True

    def report_lost(self, who: Student) -> None:
        """Report the card lost."""
        loss = losses.report_lost(self.office, who.account, who.key("lost"))
        who.settles = loss.settles.date()
        self.tally.counts["cards reported lost"] += 1
        self.tally.money["frozen with lost cards"] += loss.frozen

    def settle(self) -> None:
        """Settle the lost cards whose time has come."""
        for one in losses.settle(self.office, self.office.now()):
            self.tally.counts["lost cards settled"] += 1
            self.tally.money["spent on rides by lost cards"] += one.rides
            self.tally.money["left on lost cards"] += one.left

    def carry(self, who: Student) -> None:
        """Put what the lost card held on the new one, if no top-up has brought it along."""
        assert who.chip is not None
        key, office, account = who.key("carry"), self.office, who.account
        try:
            self.present(who.chip, lambda: topups.carry(office, account, key))
        except RuleError as no:
            self.refused(f"{no.rule} {no.reason}")
            return
        self.tally.counts["balances carried over by themselves"] += 1

    def refund_lost(self, who: Student) -> None:
        """Have an outlet pay out what the lost card held."""
        assert who.card is not None
        key, serial = f"{who.number}-{who.key('refund')}", who.card.serial
        paid = returns.outlet_refund(self.office, self._outlet, key, serial)
        self.tally.counts["refunds for lost cards"] += 1
        self.tally.money["refunded for lost cards"] += paid.amount

    def give_back(self, who: Student) -> bool:
        """Return the card and get its money back. Returns whether it is returned."""
        assert who.chip is not None
        key, office, account = who.key("return"), self.office, who.account
        try:
            done = self.present(who.chip, lambda: returns.give_back(office, account, key))
        except RuleError as no:
            self.refused(f"{no.rule} {no.reason}")
            return False
        self.tally.counts["cards returned"] += 1
        who.chip = None
        if self._refund(who):
            return True
        assert done.channel is Channel.OUTLET
        key, serial = f"{who.number}-{who.key('refund')}", done.card.serial
        paid = returns.outlet_refund(office, self._outlet, key, serial)
        self.tally.counts["refunds at an outlet"] += 1
        self.tally.money["refunded at outlets"] += paid.amount
        return True

    def _refund(self, who: Student) -> bool:
        """Ask for the refund in the App. Returns whether that pays it."""
        key = who.key("refund")
        for _ in range(_TRIES):
            try:
                paid = returns.refund(self.office, who.account, key)
            except PayerAway:
                self.town.clock.tick(_RETRY_S)
                continue
            except RuleError as no:
                self.refused(f"{no.rule} {no.reason}")
                return False
            self.tally.counts["refunds in the App"] += 1
            self.tally.money["refunded in the App"] += paid.amount
            return True
        raise AssertionError("the payer never answered to a refund")

    def refused(self, reason: str) -> None:
        """A rule has said no."""
        self.tally.refusals[reason] += 1

    def present(self, chip: Chip, make: Callable[[], Txn[T]]) -> T:
        """Bring an operation to its end, however often the card leaves or the payer is silent."""
        for _ in range(_TRIES):
            chip.power_on()
            try:
                return run(make(), {"card": self._link(chip)})
            except TransportError:
                self.tally.counts["operations cut and resumed"] += 1
            except PayerAway:
                self.tally.counts["operations resumed after the payer's silence"] += 1
            finally:
                chip.power_off()
                self.town.clock.tick(_RETRY_S)
        raise AssertionError("an operation never came to an end")

    def _link(self, chip: Chip) -> Transport:
        """The card, which is sometimes taken away. What outlets see of loads stays with it."""
        link: Transport = InProcess(chip)
        if self.chance.random() < CUT:
            link = taken_away(chip, self.chance, self.chance.choice(_COMMANDS))
        return self._watch(chip).link(link)

    def _watch(self, chip: Chip) -> LoadWatch:
        watch = self._watches.get(id(chip))
        if watch is None:
            watch = LoadWatch(OUTLET, self.town.operator, self.town.loaded)
            self._watches[id(chip)] = watch
        return watch


def taken_away(chip: Chip, chance: Random, commands: int) -> Transport:
    """A card that leaves at one of so many commands, before it gets it or after it has acted."""

    def leave() -> None:
        chip.power_on()

    at, point = chance.randint(1, commands), chance.choice(list(CutPoint))
    return Cutting(InProcess(chip), at, point, leave)


def phone_of(who: Student) -> Phone:
    """The phone a student comes with first."""
    return replace(GOOD_PHONE, app=OLD_APP) if who.plan.has_old_app else GOOD_PHONE
