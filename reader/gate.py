"""The gate: decides about one card at a time and says why.

`Gate.tap` is the one way a card is passed: a transaction that reads, decides, debits or recovers,
and ends with an `Outcome`. A refused passage is a value, not an error; a broken link is an error
(`reader.transport.base`), except the card lost at DEBIT, which the gate remembers and resolves at
the card's next tap (protocol reference 6.8).

The order of decisions is that of protocol reference 6.10.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from apdu.bcd import Moment, digits, is_decimal, unpack_date
from apdu.files import RailTrip
from apdu.records import InitPurchaseReply
from apdu.sw import SW
from apdu.value import value
from reader.fare import Network, Station, UnknownStation
from reader.journal import JournalError, TapJournal
from reader.psam_link import SecureModule
from reader.session import ProtocolError, StatusError, Txn, run
from reader.taprecord import promised
from reader.transactions import (
    Blocked,
    CardView,
    Interrupted,
    Promise,
    Receipt,
    Unproven,
    Unresolved,
    balance,
    entry,
    exit,
    read_card,
    recover,
    select_purse,
)
from reader.transport.base import Transport, TransportError, exclusively
from reader.trips import Place, entry_platform, is_inside

MOST_UNRESOLVED = 1000
"""Lost debits a gate remembers; the oldest is forgotten first."""


class Direction(Enum):
    """Which way the gate lets people through."""

    ENTRY = "entry"
    EXIT = "exit"


class Reject(Enum):
    """Why a passage is refused: text for the passenger in Chinese and English.

    The order is the order of decisions. code: the laboratory's reject code where one is public.
    """

    NOT_OUR_CARD = ("不是交通卡", "not a transit card", None)
    BLOCKED = ("卡片已锁定，请到服务窗口", "card blocked, please see staff", None)
    ISSUER_UNKNOWN = ("发卡机构不在白名单", "issuer not accepted here", 2449)
    IIN_MISMATCH = ("卡号与发卡机构不符", "card number does not belong to its issuer", 5469)
    NOT_ENABLED = ("卡片未启用", "card not enabled", None)
    NOT_YET_VALID = ("卡片未到启用日期", "card not valid yet", None)
    EXPIRED = ("卡片已过有效期，请在App延期", "card expired, please renew it in the app", None)
    BLACKLISTED = ("黑名单卡，请到服务窗口", "card on the blacklist, please see staff", None)
    NOT_INTEROPERABLE = ("异地非互通卡", "card of another city without interoperation", None)
    TRIP_LOCKED = ("行程记录已锁定", "trip record locked", None)
    ALREADY_ENTERED = ("无出站记录，请到服务窗口", "no exit record, please see staff", None)
    NOT_ENTERED = ("无进站记录，请到服务窗口", "no entry record, please see staff", None)
    STATION_UNKNOWN = (
        "进站车站未知，请到服务窗口",
        "entry station unknown, please see staff",
        None,
    )
    BALANCE_IMPLAUSIBLE = ("余额异常，请到服务窗口", "balance implausible, please see staff", None)
    ZERO_BALANCE = ("余额为零，请充值", "no money on the card, please top up", 2731)
    BALANCE_TOO_LOW = ("余额不足，请充值", "balance too low, please top up", None)
    UNPROVEN = ("交易待核实，请到服务窗口", "earlier debit to be checked, please see staff", None)
    CARD_REFUSED = ("卡片处理失败，请到服务窗口", "the card refused, please see staff", None)

    def __init__(self, zh: str, en: str, code: int | None) -> None:
        self.zh = zh
        self.en = en
        self.code = code


class Verdict(Enum):
    """What the barrier does."""

    PASS = "pass"  # noqa: S105 - not a password
    REJECT = "reject"
    TAP_AGAIN = "tap again"


@value
class Outcome:
    """What became of a tap. fare: fen charged in this tap, 0 when it was recovered."""

    verdict: Verdict
    reason: Reject | None = None
    detail: str = ""
    view: CardView | None = None
    receipt: Receipt | None = None
    fare: int = 0


@dataclass(frozen=True)
class GateConfig:
    """A gate's place and rules.

    white_list:  pairs of issuer code (8 digits) and IIN (8 digits).
    blacklist:   serials, 10 bytes each, as EF15[10..19].
    max_balance: fen; more than this is implausible (6.10).
    min_balance: fen at entry; None takes the network's lowest fare.
    max_fare:    fen marked at entry; None takes the network's highest fare from here.
    """

    network: Network
    station: Station
    direction: Direction
    white_list: frozenset[tuple[str, str]]
    blacklist: frozenset[bytes] = frozenset()
    max_balance: int = 100_000
    min_balance: int | None = None
    max_fare: int | None = None


class Gate:
    """A gate with its PSAM. clock: local (Asia/Shanghai) time.

    journal: keeps each debit before it is sent and each record before the barrier opens; what it
    holds open from before, the gate resolves. If it raises JournalError, the tap ends without PASS.
    """

    def __init__(
        self,
        config: GateConfig,
        psam: SecureModule,
        clock: Callable[[], datetime],
        journal: TapJournal | None = None,
    ) -> None:
        self.config = config
        self.unresolved: dict[bytes, Unresolved] = {}
        self._journal = journal
        self._reload()
        self._last_seq: int | None = None
        self._sent: int | None = None
        self.psam = psam
        self._clock = clock
        network, station = config.network, config.station
        self.place = Place(
            network.city,
            network.institution,
            network.operator,
            station.line,
            station.code,
            network.max_fare_from(station) if config.max_fare is None else config.max_fare,
        )
        self._min_balance = network.min_fare if config.min_balance is None else config.min_balance

    def pass_(self, card: Transport) -> Outcome:
        """Pass one card over a transport. Raises TransportError, ProtocolError.

        Raises StatusError only if the PSAM refuses for a reason of its own: the gate is broken.
        """
        with exclusively(card):
            return run(self.tap(), {"card": card, "psam": self.psam})

    def tap(self) -> Txn[Outcome]:
        """One tap, from SELECT to the verdict."""
        at = Moment.of(self._clock())
        try:
            info = yield from select_purse()
        except Blocked as blocked:
            return Outcome(Verdict.REJECT, Reject.BLOCKED, str(blocked))
        except StatusError as refused:
            return Outcome(Verdict.REJECT, Reject.NOT_OUR_CARD, str(refused))
        try:
            if info.serial in self.unresolved:
                known = yield from self._resolved(info.serial)
                if known is not None:
                    return known
            return (yield from self._judged(at))
        except StatusError as refused:
            if refused.to == "psam" and refused.sw != SW.KEY_INDEX:
                raise
            # The card refused, or named a key that the PSAM does not have.
            return Outcome(Verdict.REJECT, Reject.CARD_REFUSED, str(refused))

    def _resolved(self, serial: bytes) -> Txn[Outcome | None]:
        """What became of this card's lost debit: None if nothing was taken, and the tap goes on."""
        lost = self.unresolved[serial]
        try:
            is_last = lost.terminal_seq == self._last_seq
            receipt = yield from recover(lost, is_last)
        except Unproven as unproven:
            return Outcome(Verdict.REJECT, Reject.UNPROVEN, str(unproven))
        except TransportError as again:
            return Outcome(Verdict.TAP_AGAIN, detail=str(again))
        self._keep(receipt, lost.terminal_seq)
        del self.unresolved[serial]
        return None if receipt is None else Outcome(Verdict.PASS, receipt=receipt)

    def _judged(self, at: Moment) -> Txn[Outcome]:
        """Read, decide, and let through."""
        view = yield from read_card()
        reason = self._judge(view, at)
        if reason is not None:
            return Outcome(Verdict.REJECT, reason, view=view)
        self._last_seq = None  # whatever comes now, the PSAM's latest transaction is another
        self._sent = None
        passing = self._enter if self.config.direction is Direction.ENTRY else self._leave
        try:
            outcome = yield from passing(view, at)
        except Interrupted as interrupted:
            self._remember(interrupted.unresolved)
            return Outcome(Verdict.TAP_AGAIN, detail=str(interrupted), view=view)
        except (StatusError, ProtocolError, TransportError):
            self._void()  # DEBIT was not sent, or the card refused it for certain
            raise
        return outcome

    def _promise(self, view: CardView) -> Promise | None:
        """What keeps a debit before it is sent, if there is a journal."""
        journal, trip = self._journal, view.trip
        if journal is None:
            return None
        origin = None
        if self.config.direction is Direction.EXIT:
            line, code = entry_platform(trip)
            origin = (bytes((line, 0)), bytes((code, 0)), trip.entry_time)

        def keep(lost: Unresolved) -> None:
            self._sent = lost.terminal_seq
            journal.promise(promised(lost, self.place, journal.gate, origin))

        return keep

    def _keep(self, receipt: Receipt | None, terminal_seq: int) -> None:
        """Write how a debit ended, before the barrier opens. Raises JournalError."""
        if self._journal is None:
            return
        try:
            if receipt is None:
                self._journal.void(terminal_seq)
            else:
                self._journal.taken(receipt)
        except JournalError:
            self._reload()  # the card proves it at its next tap
            raise

    def _void(self) -> None:
        """Close the promise of a debit that was certainly not taken."""
        sent, self._sent = self._sent, None
        if sent is not None:
            self._keep(None, sent)

    def _reload(self) -> None:
        """Take over what the journal holds open."""
        for record in self._journal.pending() if self._journal else []:
            self.unresolved[record.serial] = record.unresolved()

    def _remember(self, lost: Unresolved) -> None:
        if len(self.unresolved) >= MOST_UNRESOLVED:
            del self.unresolved[next(iter(self.unresolved))]
        self.unresolved[lost.info.serial] = lost
        self._last_seq = lost.terminal_seq

    def _judge(self, view: CardView, at: Moment) -> Reject | None:
        """All decisions that need no money, in their order (6.10)."""
        for check in (self._issuer, self._validity, self._place, self._trip):
            reason = check(view, at)
            if reason is not None:
                return reason
        return None

    def _issuer(self, view: CardView, at: Moment) -> Reject | None:
        issuer = view.info.issuer.hex()[:8]
        # The serial is a 0 and the 19 digits of the PAN, whose first 8 are the IIN (3.2).
        pair = (issuer, view.info.serial.hex()[1:9])
        if pair in self.config.white_list:
            return None
        known = any(listed == issuer for listed, _ in self.config.white_list)
        return Reject.IIN_MISMATCH if known else Reject.ISSUER_UNKNOWN

    def _validity(self, view: CardView, at: Moment) -> Reject | None:
        # Days are compared as YYYYMMDD in BCD, which sorts as days do; both ends are valid days.
        info = view.info
        if info.enabled != 0x01:
            return Reject.NOT_ENABLED
        if not is_decimal(info.start_date) or at.date < info.start_date:
            return Reject.NOT_YET_VALID
        if not is_decimal(info.end_date) or self._tested_day(view, at) > info.end_date:
            return Reject.EXPIRED
        if info.serial in self.config.blacklist:
            return Reject.BLACKLISTED
        return None

    def _tested_day(self, view: CardView, at: Moment) -> bytes:
        """The day validity is tested against: at exit that of entry, so as to trap nobody."""
        trip = view.trip
        leaving = self.config.direction is Direction.EXIT
        return trip.entry_time[:4] if leaving and is_inside(trip) and _is_day(trip) else at.date

    def _place(self, view: CardView, at: Moment) -> Reject | None:
        if view.interop.city != self.place.city and view.interop.interop != 1:
            return Reject.NOT_INTEROPERABLE
        return None

    def _trip(self, view: CardView, at: Moment) -> Reject | None:
        if view.trip.lock:
            return Reject.TRIP_LOCKED
        inside = is_inside(view.trip)
        if self.config.direction is Direction.ENTRY:
            return Reject.ALREADY_ENTERED if inside else None
        return None if inside else Reject.NOT_ENTERED

    def _enter(self, view: CardView, at: Moment) -> Txn[Outcome]:
        held = yield from balance()
        reason = None
        if held > self.config.max_balance:
            reason = Reject.BALANCE_IMPLAUSIBLE
        elif held == 0:
            reason = Reject.ZERO_BALANCE
        elif held < self._min_balance:
            reason = Reject.BALANCE_TOO_LOW
        if reason is not None:
            return Outcome(Verdict.REJECT, reason, view=view)
        promise = self._promise(view)
        receipt = yield from entry(view, self.place, self.psam.terminal, at, promise)
        self._keep(receipt, receipt.terminal_seq)
        return Outcome(Verdict.PASS, view=view, receipt=receipt)

    def _leave(self, view: CardView, at: Moment) -> Txn[Outcome]:
        network = self.config.network
        try:
            if view.trip.entry_city != self.place.city:
                raise UnknownStation(f"the trip began in city {digits(view.trip.entry_city)}")
            entered_at = network.at(*entry_platform(view.trip))
        except UnknownStation as unknown:
            return Outcome(Verdict.REJECT, Reject.STATION_UNKNOWN, str(unknown), view)
        fare = network.fare(entered_at, self.config.station)
        place, terminal = self.place, self.psam.terminal
        try:
            promise = self._promise(view)
            receipt = yield from exit(view, place, terminal, fare, at, self._accept, promise)
        except _Declined:
            return Outcome(Verdict.REJECT, Reject.BALANCE_IMPLAUSIBLE, view=view)
        except StatusError as refused:
            if (refused.to, refused.sw) == ("card", SW.BALANCE_TOO_LOW):
                self._void()
                return Outcome(Verdict.REJECT, Reject.BALANCE_TOO_LOW, view=view)
            raise
        self._keep(receipt, receipt.terminal_seq)
        return Outcome(Verdict.PASS, view=view, receipt=receipt, fare=fare)

    def _accept(self, offer: InitPurchaseReply) -> None:
        """At exit the balance is known from the offer: the ladder reads none before (6.2)."""
        if offer.balance - offer.overdraft_limit > self.config.max_balance:
            raise _Declined


def _is_day(trip: RailTrip) -> bool:
    """Whether the trip's entry time begins with a day there is."""
    try:
        unpack_date(trip.entry_time[:4])
    except ValueError:
        return False
    return True


class _Declined(Exception):
    """The gate does not like the card's offer."""


def parse_white_list(lines: Iterable[str]) -> frozenset[tuple[str, str]]:
    """White list of the laboratory's form: a header line, then issuer and IIN, 8 digits each."""
    pairs = set()
    for number, line in enumerate(lines, 1):
        if number == 1 or not line.strip():
            continue
        parts = line.split()
        if len(parts) != 2 or not all(len(p) == 8 and p.isdecimal() for p in parts):
            raise ValueError(f"white list line {number}: expected two numbers of 8 digits")
        pairs.add((parts[0], parts[1]))
    return frozenset(pairs)
