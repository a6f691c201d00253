"""Where gates are judged: our own terminals on any road."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter_ns
from typing import Any, Protocol

import fixtures
from bench.conformance.case import Need
from bench.conformance.gate.played import PlayedCard
from bench.conformance.gate.post import MORNING, Post
from bench.conformance.stand import changed
from bench.roads import FIELDS, WAIT_S, InProcessCoupler
from bench.scenario import BUS_TERMINAL, ENTRY_TERMINAL, EXIT_TERMINAL, LAB_WHITE_LIST, sam_keys
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from emulator.card.profile import Profile
from emulator.picc import Picc
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from fixtures.policy import load_policy
from reader.fares.bus import Heading
from reader.gate import Direction, Gate, GateConfig
from reader.journal import JournalError, MemoryJournal, TapJournal
from reader.lane import Lane
from reader.modes import Mode
from reader.months import MonthBook
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.psam import Psam
from reader.session import ProtocolError, StatusError
from reader.taprecord import TapRecord
from reader.terminal import Terminal
from reader.transactions import Receipt
from reader.transport.base import CardLost, Coupler, NoCard, Transport
from reader.transport.decorators import CutPoint
from reader.validator import BusConfig, Door, Validator


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a tap, as far as the gate tells. reason, fare: None where it does not.

    is_vague: it stayed shut, and whether it refused or asked for the card again is not known.
    """

    verdict: Verdict
    reason: Reject | None = None
    fare: int | None = None
    detail: str = ""
    is_vague: bool = False

    @property
    def words(self) -> str:
        """For a report."""
        said = self.verdict.value
        if self.reason is not None:
            said += f", {self.reason.code} {self.reason.en}"
        return f"{said} {self.detail}".rstrip()


class GateStand(Protocol):
    """A gate under test, with the card that plays before it.

    declared: what the card says it is. abilities: what cases may ask for. card: the one that plays;
    the bench made it and may look into it. begins: when a case begins.
    """

    name: str
    declared: Profile
    abilities: frozenset[Need]
    played: PlayedCard
    card: Card
    begins: datetime

    def place(self, setup: Mapping[str, Any]) -> None:
        """A new card and gates without a memory, for the next case. setup: see `Case`."""
        ...

    def bring(self, setup: Mapping[str, Any]) -> Card:
        """Another card, before the same gates. Returns the one that was there."""
        ...

    def hold(self, card: Card) -> None:
        """A card that was there before comes back."""
        ...

    def wait(self, time: timedelta) -> None:
        """So much time goes by before the next tap."""
        ...

    def records(self, post: Post) -> Sequence[TapRecord]:
        """What the gate at a post has kept and closed. Needs RECORDS."""
        ...

    def open_records(self, post: Post) -> Sequence[TapRecord]:
        """What it has promised and not closed. Needs RECORDS."""
        ...

    def leave_room(self, post: Post, count: int | None) -> None:
        """Its store takes so many records more, a promise being one; None: any. Needs RECORDS."""
        ...

    def restart(self, post: Post) -> None:
        """Switch the gate at a post off and on. Needs POST."""
        ...

    def tap(self, post: Post, at: datetime) -> Heard:
        """Hold the card to the gate at a post. Raises TransportError if there is no gate."""
        ...

    def tap_pair(self, post: Post, at: datetime, other: Card) -> list[Heard]:
        """Hold two cards to it at once, until it serves none any more. Needs PAIR."""
        ...


PAIRED = ("inproc",)
"""Roads on which two cards can be held to our gates at once."""


class OwnGates:
    """Our own terminals, made as posts need them (`GateStand`). Their PSAMs hold the test keys."""

    def __init__(
        self, name: str, profile: Profile, seed: int, played: PlayedCard, coupler: Coupler
    ) -> None:
        self.name = name
        self.abilities = frozenset(Need) - (frozenset() if name in PAIRED else {Need.PAIR})
        self.declared = profile
        self.played = played
        self.begins = MORNING
        self._profile = profile
        self._seed = seed
        self._coupler = coupler
        self._at = MORNING
        self._terminals: dict[str, Terminal] = {}
        self._journals: dict[str, _LabJournal] = {}
        self._numbers: Counter[bytes] = Counter()
        self.place({})

    def place(self, setup: Mapping[str, Any]) -> None:
        """See GateStand."""
        self.declared = changed(self._profile, setup)
        self.played.power_off()
        self.card: Card = self._made(self.declared)
        self.played.put(self.card)
        self._terminals, self._journals, self._numbers = {}, {}, Counter()
        self._months = MonthBook(load_network(), load_policy())

    def bring(self, setup: Mapping[str, Any]) -> Card:
        """See GateStand."""
        before = self.card
        self.hold(self._made(changed(self._profile, setup)))
        return before

    def hold(self, card: Card) -> None:
        """See GateStand."""
        self.played.power_off()
        self.card = card
        self.played.swap(card)

    def tap(self, post: Post, at: datetime) -> Heard:
        """See GateStand. What the gate does not decide but fails at is a refusal with its words."""
        self._at = at
        terminal = self._terminal(post)
        return self._passed(terminal, self._coupler.wait_card(WAIT_S))

    def tap_pair(self, post: Post, at: datetime, other: Card) -> list[Heard]:
        """See GateStand: as the field rules around a tap have it (`reader.lane`)."""
        self._at = at
        terminal = self._terminal(post)
        lane = Lane(
            terminal.pass_,
            _PairCoupler(self.played, other),
            terminal.policy,
            sleep=lambda seconds: None,
            is_serving=lambda: terminal.is_serving,
        )
        turns = (lane.serve_one(0.0) for _ in range(_PAIR + 1))
        return [_heard(turn.outcome) for turn in turns if turn is not None and turn.outcome]

    def _passed(self, terminal: Terminal, card: Transport) -> Heard:
        try:
            return _heard(terminal.pass_(_Tearing(card, self.played)))
        except CardLost as lost:
            return Heard(Verdict.TAP_AGAIN, detail=str(lost))
        except (ProtocolError, StatusError) as error:
            return Heard(Verdict.REJECT, Reject.CARD_REFUSED, detail=str(error))
        except JournalError as error:
            return Heard(Verdict.REJECT, Reject.FAULT, detail=str(error))
        finally:
            self.played.knobs.cut = None

    def wait(self, time: timedelta) -> None:
        """See GateStand: each tap says when it is."""

    def records(self, post: Post) -> Sequence[TapRecord]:
        """See GateStand."""
        self._terminal(post)
        return self._journals[repr(post)].records

    def open_records(self, post: Post) -> Sequence[TapRecord]:
        """See GateStand."""
        self._terminal(post)
        return self._journals[repr(post)].pending()

    def leave_room(self, post: Post, count: int | None) -> None:
        """See GateStand."""
        self._terminal(post)
        self._journals[repr(post)].room = count

    def restart(self, post: Post) -> None:
        """See GateStand: the journal and the PSAM's numbers are what is left."""
        before = self._terminal(post)
        psam = before.psam
        assert isinstance(psam, Psam)
        psam.power_off()
        self._terminals[repr(post)] = self._make(post, self._journals[repr(post)], psam)

    def _made(self, profile: Profile) -> Card:
        env = SeededEnv(f"conformance {self._seed}")
        return personalise(profile, fixtures.load_roots(), env)

    def _terminal(self, post: Post) -> Terminal:
        key = repr(post)
        if key not in self._terminals:
            journal = _LabJournal(b"GATE%04d" % len(self._terminals))
            psam = make_psam(post, self._numbers[first_number(post)])
            self._numbers[first_number(post)] += 1
            self._journals[key] = journal
            self._terminals[key] = self._make(post, journal, psam)
        return self._terminals[key]

    def _make(self, post: Post, journal: TapJournal, psam: Psam) -> Terminal:
        return make_terminal(post, lambda: self._at, journal, psam, self._months)


class _LabJournal(MemoryJournal):
    """A journal that can be full. room: how many records more it takes; None for any."""

    room: int | None = None

    def promise(self, record: TapRecord) -> None:
        """See TapJournal."""
        self._take_room()
        super().promise(record)

    def taken(self, receipt: Receipt) -> None:
        """See TapJournal."""
        self._take_room()
        super().taken(receipt)

    def _take_room(self) -> None:
        if self.room is None:
            return
        if not self.room:
            raise JournalError("the journal takes no record")
        self.room -= 1


def _heard(outcome: Outcome) -> Heard:
    return Heard(outcome.verdict, outcome.reason, outcome.charged, outcome.detail)


class _Tearing:
    """The transport of one tap, on which the played card can be lost."""

    def __init__(self, link: Transport, played: PlayedCard) -> None:
        self._link = link
        self._played = played
        self._count = 0

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        cut = self._played.knobs.cut
        if cut is None or not command.startswith(cut.head):
            return self._link.transmit(command)
        self._count += 1
        if self._count != cut.nth:
            return self._link.transmit(command)
        if cut.point is CutPoint.AFTER:
            self._link.transmit(command)
        self._played.power_off()
        raise CardLost(f"the card left the field {cut.point.value}")


_PAIR = 2


class _PairCoupler:
    """A reader that tells two cards apart (`reader.lane`), without a road."""

    def __init__(self, *cards: Picc) -> None:
        self._cards = cards
        self._next = 0

    def wait_card(self, timeout_s: float) -> Transport:
        """See Coupler. Raises NoCard when all had their turn."""
        card = self.next_card()
        if card is None:
            raise NoCard("no card is in the field")
        return card

    def next_card(self) -> Transport | None:
        """See `reader.lane`."""
        if self._next == len(self._cards):
            return None
        card = self._cards[self._next]
        self._next += 1
        return InProcessCoupler(card).wait_card(0.0)

    def cards_in_field(self) -> int:
        """See `reader.lane`."""
        return len(self._cards)

    def wait_gone(self, timeout_s: float) -> bool:
        """See Coupler: who turned them away, or has served them all, sees them go."""
        self._next = len(self._cards)
        return True

    def close(self) -> None:
        """See Coupler."""


_NUMBERS = {"entry": ENTRY_TERMINAL, "exit": EXIT_TERMINAL}


def first_number(post: Post) -> bytes:
    """The terminal number, 6 bytes, of the first terminal that does what one at a post does."""
    return _NUMBERS.get(post.direction, BUS_TERMINAL)


def make_psam(post: Post, number: int = 0) -> Psam:
    """A PSAM with the test keys for a post.

    number: tells those of several terminals apart, by terminal number and transaction numbers.
    """
    first = int(first_number(post).hex()) + number
    return Psam(bytes.fromhex(f"{first:012d}"), sam_keys(), 0x101 + 0x1000 * number)


def make_terminal(
    post: Post,
    clock: Callable[[], datetime],
    journal: TapJournal | None,
    psam: Psam,
    months: MonthBook | None = None,
) -> Terminal:
    """A terminal of ours at a post. months: what gates count together."""
    policy = load_policy()
    if post.policy:
        table = {name: getattr(policy, name) for name in Policy.__slots__} | dict(post.policy)
        policy = Policy(**table)
    terminal: Terminal
    if post.direction in ("entry", "exit"):
        network = load_network()
        station = network.station(post.station)
        way = Direction(post.direction)
        config = GateConfig(
            network,
            station,
            way,
            LAB_WHITE_LIST,
            post.listed,
            policy,
            emergencies=post.emergencies,
        )
        terminal = Gate(config, psam, clock, journal, months)
    else:
        terminal = _validator(post, policy, psam, clock, journal)
    terminal.modes = frozenset(Mode(word) for word in post.modes)
    return terminal


def _validator(
    post: Post,
    policy: Policy,
    psam: Psam,
    clock: Callable[[], datetime],
    journal: TapJournal | None,
) -> Validator:
    buses = load_buses()
    line = buses.line(post.line)
    stop = line.stop(post.stop) if post.stop else line.stops[0]
    config = BusConfig(
        buses,
        line,
        Door(post.direction),
        LAB_WHITE_LIST,
        post.vehicle.encode("ascii"),
        post.listed,
        policy,
    )
    validator = Validator(config, psam, clock, journal)
    validator.at_stop(stop, Heading(post.heading))
    return validator


@contextmanager
def own_gates(road: str = "inproc", profile: str = "student", seed: int = 1) -> Iterator[OwnGates]:
    """Our own gates on one of `bench.roads.FIELDS`. The card holds 50.00 yuan unless it says so."""
    declared = fixtures.load_profile(profile)
    if not declared.balance:
        declared = declared.with_balance(5000)
    played = PlayedCard(fixtures.card(profile), perf_counter_ns)
    with FIELDS[road](played, None, played.shown) as coupler:
        yield OwnGates(road, declared, seed, played, coupler)
