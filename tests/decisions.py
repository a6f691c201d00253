"""The rules of a terminal once more, said plainly: what the real one is compared with.

From a profile's declared fields, the terminal and the modes to the outcome a passenger gets, by
protocol reference 6.10, domain facts 3, 4.1 D and 4.2. Nothing of `reader` is used; refusals are
words, and every number stands here a second time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from emulator.card.profile import Profile

TODAY = date(2025, 9, 8)
NOW = datetime(2025, 9, 8, 8, 1, 42)
OUR_CITY = "1000"
OUR_PAIR = ("09981001", "31052280")
LISTED = "03105228009900000111"
OUR_ALGORITHMS = (0, 1)
LOWEST_RAIL, RAIL_MINIMUM, MOST_MONEY = 300, 300, 100_000
RAIL_FARE = {("080013", "080019"): 400}  # 2553 + 2558 + 1017 m: beyond 6 km, not beyond 12
EXIT_HERE = "080019"
FOUR_HOURS = timedelta(hours=4)

BUS_TO_THE_END, BUS_RIDE, FLAT_FARE = 800, 300, 200  # 40 km, 10 001 m, one tap
BUS_LOWEST = 200
SHARE = {1: 50, 2: 25, 3: 100, 4: 100, 5: 100}  # normal, student, senior, test, military
OUR_BUS = ("012C", "BUS00001")

CODES = {
    "EMERGENCY": 10,
    "CLOSED": 11,
    "FAULT": 12,
    "MAINTENANCE": 13,
    "NOT_OUR_CARD": 18,
    "BLOCKED": 20,
    "ISSUER_UNKNOWN": 21,
    "IIN_MISMATCH": 22,
    "NOT_ENABLED": 30,
    "NOT_YET_VALID": 31,
    "EXPIRED": 32,
    "BLACKLISTED": 33,
    "NOT_INTEROPERABLE": 36,
    "KIND_NOT_ACCEPTED": 37,
    "TRIP_LOCKED": 40,
    "ALREADY_ENTERED": 41,
    "NOT_ENTERED": 42,
    "NOT_ALIGHTED": 43,
    "NOT_BOARDED": 46,
    "STATION_UNKNOWN": 47,
    "OVER_TIME": 54,
    "BALANCE_IMPLAUSIBLE": 60,
    "ZERO_BALANCE": 61,
    "BALANCE_TOO_LOW": 65,
    "CARD_REFUSED": 78,
}


@dataclass(frozen=True)
class Expected:
    """refusal: its name, or None for who passes. fare, collected: fen. is_open: in an emergency."""

    refusal: str | None = None
    fare: int = 0
    collected: int = 0
    is_open: bool = False

    def in_short(self) -> str:
        """As `docs/decisions.md` writes it."""
        text = yuan(self.fare)
        if self.is_open:
            text = "open"
        if self.refusal:
            text = f"{self.refusal} {CODES[self.refusal]}"
        return f"{text} + {yuan(self.collected)}" if self.collected else text


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


@dataclass(frozen=True)
class Rail:
    """EF1A record 2701, read by the offsets of protocol reference 3.8."""

    raw: bytes

    @property
    def is_locked(self) -> bool:
        return self.raw[5] != 0

    @property
    def is_open(self) -> bool:
        return self.raw[14] in (1, 3)

    @property
    def entered_at(self) -> datetime:
        return datetime.strptime(self.raw[67:74].hex(), "%Y%m%d%H%M%S")

    @property
    def station(self) -> str:
        """Line and station code of the entry, as EF1E has them."""
        return f"{self.raw[85]:02X}00{self.raw[38]:02X}"


@dataclass(frozen=True)
class Bus:
    """EF1A record 2702 (3.9)."""

    raw: bytes

    @property
    def is_locked(self) -> bool:
        return self.raw[5] != 0

    @property
    def is_open(self) -> bool:
        return self.raw[14] == 1

    @property
    def is_ours(self) -> bool:
        return (self.raw[27:29].hex().upper(), self.raw[30:38].decode("ascii")) == OUR_BUS

    @property
    def marked(self) -> int:
        return int.from_bytes(self.raw[53:57], "big")


def expected(profile: Profile, case: str, modes: Collection[str]) -> Expected:
    """What must become of the card's first tap at a terminal of that name, in these modes."""
    if "emergency" in modes:
        # Released; entry shown as forbidden (4.2).
        is_way_out = case.startswith(("exit", "alight"))
        return Expected(is_open=True) if is_way_out else Expected("EMERGENCY")
    for mode in ("closed", "fault", "maintenance"):
        if mode in modes:
            return Expected(mode.upper())
    refusal = of_the_card(profile, modes)
    if refusal:
        return Expected(refusal)
    where = entry if case == "entry" else leaving if case.startswith("exit") else None
    if where is not None:
        return where(profile, Rail(record(profile, 1)), modes)
    bus = boarding if case.startswith(("board", "single")) else alighting
    return bus(profile, Bus(record(profile, 2)), case, modes)


def record(profile: Profile, number: int) -> bytes:
    """Record 27NN of EF1A: the profile's own, or the one cards are issued with."""
    own = profile.trip_record
    if own is not None and own[1] == number:
        return own
    return bytes((0x27, number, 125, 1, 1)) + bytes(123)


# The card itself: protocol reference 6.10 from the blocked application to its kind


def of_the_card(profile: Profile, modes: Collection[str]) -> str | None:
    issuer, iin = profile.issuer.hex()[:8], profile.serial.hex()[1:9]
    is_here = profile.city.hex() == OUR_CITY
    questions = (
        ("BLOCKED", profile.blocked.value != "no"),
        ("ISSUER_UNKNOWN", issuer != OUR_PAIR[0]),
        ("IIN_MISMATCH", iin != OUR_PAIR[1]),
        ("NOT_ENABLED", profile.enabled != 1),
        ("NOT_YET_VALID", profile.start_date > TODAY and "date_free" not in modes),
        ("EXPIRED", profile.end_date < TODAY and "date_free" not in modes),
        ("BLACKLISTED", profile.serial.hex() == LISTED),
        ("NOT_INTEROPERABLE", not is_here and not profile.interop),
    )
    return next((refusal for refusal, is_so in questions if is_so), None)


def available(profile: Profile) -> int:
    return profile.balance + profile.overdraft_limit - profile.overdraft_used


def is_implausible(profile: Profile) -> bool:
    """By the card's own money: what an issuer lends is not on it (6.10, S1 reads P1 03)."""
    return profile.balance - profile.overdraft_used > MOST_MONEY


def of_the_money(profile: Profile, needed: int, modes: Collection[str]) -> str | None:
    """What is asked before the debit where a card comes in."""
    if is_implausible(profile):
        return "BALANCE_IMPLAUSIBLE"
    if "fare_free" in modes:
        return None
    if available(profile) == 0:
        return "ZERO_BALANCE"
    return "BALANCE_TOO_LOW" if available(profile) < needed else None


def of_the_debit(profile: Profile, fare: int, *, has_trip: bool, already: int = 0) -> str | None:
    """What card and PSAM ask for, in their order.

    has_trip: EF1A is written, not EF1E alone. already: debits of this tap.
    """
    if profile.offline_seq + already >= 0xFFFF:
        return "CARD_REFUSED"  # 9402
    if available(profile) < fare:
        return "BALANCE_TOO_LOW"  # 9401
    if is_implausible(profile):
        return "BALANCE_IMPLAUSIBLE"  # as the offer shows
    has_key = profile.key_version == 1 and profile.algorithm in OUR_ALGORITHMS
    # Ladders 6.1 to 6.3: DEBIT with P1 01, 80 DC of EF1A with P1 01 and P2 SFI<<3.
    takes_debit = profile.dialect.debit_p1 != "02"
    # A card of the dialect "number" wants P2 SFI<<3|4 of EF1E too.
    takes_record = profile.dialect.cache_address not in (
        ("zero", "number") if has_trip else ("number",)
    )
    return None if has_key and takes_debit and takes_record else "CARD_REFUSED"


def is_free(modes: Collection[str]) -> bool:
    return "fare_free" in modes or "train_fault" in modes


# Rail: domain facts 4.1 D, 3.2


def entry(profile: Profile, trip: Rail, modes: Collection[str]) -> Expected:
    if trip.is_locked:
        return Expected("TRIP_LOCKED")
    if trip.is_open and "order_free" not in modes:
        return Expected("ALREADY_ENTERED")
    refusal = of_the_money(profile, RAIL_MINIMUM, modes)
    return Expected(refusal or of_the_debit(profile, 0, has_trip=True))


def leaving(profile: Profile, trip: Rail, modes: Collection[str]) -> Expected:
    if trip.is_locked:
        return Expected("TRIP_LOCKED")
    if not trip.is_open and "order_free" not in modes:
        return Expected("NOT_ENTERED")
    fare = LOWEST_RAIL
    if trip.is_open:
        is_long = NOW - trip.entered_at > FOUR_HOURS
        if is_long and not {"time_free", "train_fault"} & set(modes):
            return Expected("OVER_TIME")
        fare = RAIL_FARE[trip.station, EXIT_HERE]
    if is_free(modes):
        fare = 0
    refusal = of_the_debit(profile, fare, has_trip=True)
    return Expected(refusal) if refusal else Expected(fare=fare)


# Buses: domain facts 3.1, 3.3


def percent(profile: Profile) -> int:
    """Another city's card is a normal one; an unknown kind pays in full (3.1, 3.4)."""
    if profile.city.hex() != OUR_CITY:
        return SHARE[1]
    return SHARE.get(profile.card_kind, 100)


def boarding(profile: Profile, ride: Bus, case: str, modes: Collection[str]) -> Expected:
    if ride.is_locked:
        return Expected("TRIP_LOCKED")
    is_flat = case == "single"
    full = FLAT_FARE if is_flat else BUS_TO_THE_END
    is_looked_at = not is_free(modes) and "order_free" not in modes
    missed = ride.marked if ride.is_open and is_looked_at else 0
    needed = full * percent(profile) // 100
    refusal = of_the_money(profile, missed + needed, modes)
    if refusal:
        return Expected(refusal)
    if missed:
        refusal = of_the_debit(profile, missed, has_trip=True)
        if refusal:
            return Expected(refusal)
    fare = needed if is_flat and not is_free(modes) else 0
    refusal = of_the_debit(profile, fare, has_trip=not is_flat, already=int(missed > 0))
    return Expected(refusal, 0 if refusal else fare, missed)


def alighting(profile: Profile, ride: Bus, case: str, modes: Collection[str]) -> Expected:
    if ride.is_locked:
        return Expected("TRIP_LOCKED")
    is_here = ride.is_open and ride.is_ours
    if not is_here and "order_free" not in modes:
        return Expected("NOT_BOARDED")
    full = BUS_RIDE if is_here else BUS_LOWEST
    fare = 0 if is_free(modes) else full * percent(profile) // 100
    refusal = of_the_debit(profile, fare, has_trip=True)
    return Expected(refusal) if refusal else Expected(fare=fare)
