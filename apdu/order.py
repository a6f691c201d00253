"""What an issuer decides of one card before it is made, and what follows from that alone.

The card's own keys with the root each comes from, and what its files hold when it is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from apdu.bcd import pack_date
from apdu.crypto import Key
from apdu.file_commands import AID_PURSE
from apdu.files import Holder, Interop, PublicInfo
from apdu.purse import card_key
from apdu.sm4 import Sm4Key
from apdu.tlv import Tlv

AID_CJT = bytes.fromhex("A00000000386980701")
"""The housing ministry's purse (2.2)."""

AID_CASH = bytes.fromhex("A000000632010106")
"""T-Union electronic cash, which the PPSE of some cards lists first (2.2, 2.3)."""

_SIZES = {"issuer": 8, "serial": 10, "country": 4, "province": 2, "city": 2}
_PIN_SIZES = range(2, 9)


@dataclass(frozen=True, slots=True)
class CardOrder:
    """One card as an issuer orders it.

    issuer: EF15[0..7], 8 bytes. serial: EF15[10..19], 10 bytes.
    start_date, end_date: first and last valid day. card_kind: EF17[10], 02 a student.
    country: 4 bytes; province, city: 2 bytes each. interop: valid nationwide.
    key_version, algorithm: what the purse's keys say of themselves in INITIALIZE.
    has_ed: an electronic deposit beside the purse.
    kind_in_ef15: EF15[28] repeats the card kind (Q1). ec_in_ppse: the PPSE lists electronic cash
    too (Q3). cjt_application: the housing ministry's purse beside ours (2.2).
    sm4: the experimental SM4 purse (5.9).
    Raises ValueError for a field of the wrong size.
    """

    issuer: bytes
    serial: bytes
    start_date: date
    end_date: date
    card_kind: int = 0x02
    country: bytes = bytes.fromhex("00000156")
    province: bytes = bytes.fromhex("1000")
    city: bytes = bytes.fromhex("1000")
    interop: bool = True
    enabled: int = 0x01
    key_version: int = 0x01
    algorithm: int = 0x00
    pin: bytes = field(default=bytes.fromhex("123456"), repr=False)
    has_ed: bool = False
    kind_in_ef15: bool = True
    ec_in_ppse: bool = False
    cjt_application: bool = False
    sm4: bool = False

    def __post_init__(self) -> None:
        for name, size in _SIZES.items():
            found = len(getattr(self, name))
            if found != size:
                raise ValueError(f"the order's {name} has {found} bytes, expected {size}")
        if len(self.pin) not in _PIN_SIZES:
            raise ValueError(f"the order's PIN has {len(self.pin)} bytes, expected 2 to 8")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys one card gets, by their names in protocol reference 5.1."""

    dpk: Key
    dlk: Key
    dtk: Key
    dulk: Key
    duk: Key
    damk: Key
    dbk: Key
    dubk: Key
    dack: Key
    dpuk: Key
    drpk: Key
    record: Key


ROOTS = {
    "dpk": "PMK",
    "dlk": "LMK",
    "dtk": "TMK",
    "dulk": "UMK",
    "duk": "OMK",
    "damk": "AMK",
    "dbk": "BMK",
    "dubk": "BUMK",
    "dack": "AMK",
    "dpuk": "PUMK",
    "drpk": "PRMK",
    "record": "AMK",
}
"""Which root each key comes from; DACK and record protection share AMK, our decision."""

SM4_KEYS = ("dpk", "dlk", "dtk", "dulk", "duk")
"""Keys that the experimental SM4 purse diversifies and uses under SM4 (5.9)."""


def card_secrets(
    issuer: bytes, serial: bytes, roots: Mapping[str, Key], *, sm4: bool = False
) -> Secrets:
    """The card's own keys, diversified from the roots (5.1, 5.2). roots: by names of `ROOTS`."""
    known = {root: card_key(roots[root], issuer, serial) for root in set(ROOTS.values())}
    if sm4:
        known |= {
            name: card_key(Sm4Key(roots[ROOTS[name]].expose()), issuer, serial) for name in SM4_KEYS
        }
    return Secrets(**{name: known.get(name, known[root]) for name, root in ROOTS.items()})


def public_info(order: CardOrder) -> PublicInfo:
    """EF15 of a new card. Byte 28 repeats the card kind if the order says so (Q1)."""
    return PublicInfo(
        issuer=order.issuer,
        application_type=0x03 if order.has_ed else 0x02,
        enabled=order.enabled,
        serial=order.serial,
        start_date=pack_date(order.start_date),
        end_date=pack_date(order.end_date),
        fci1=order.card_kind if order.kind_in_ef15 else 0x00,
        fci2=0x00,
    )


def holder() -> Holder:
    """EF16 of a new card: never personal data (3.3)."""
    return Holder(0, 0, bytes(20), bytes(32), 0)


def interop(order: CardOrder) -> Interop:
    """EF17 of a new card."""
    return Interop(
        country=order.country,
        province=order.province,
        city=order.city,
        interop=int(order.interop),
        card_kind=order.card_kind,
        reserved=bytes(49),
    )


def ppse_entries(with_cash: bool) -> bytes:
    """The PPSE's directory entries: the purse, and electronic cash before it if wanted (2.3)."""
    labelled = [(AID_PURSE, b"MOT_T_EP")]
    if with_cash:
        labelled.insert(0, (AID_CASH, b"MOT_T_CASH"))
    return b"".join(
        Tlv.make(0x61, Tlv.make(0x4F, aid), Tlv.make(0x50, label), Tlv.make(0x87, bytes((rank,))))
        for rank, (aid, label) in enumerate(labelled, 1)
    )


def fresh_trip(number: int) -> bytes:
    """An EF1A record as issued: 27NN, valid, segmented fares, free, state initial (3.8)."""
    return bytes((0x27, number, 0x7D, 0x01, 0x01)) + bytes(123)
