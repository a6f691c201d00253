"""From a profile and root keys to a card ready for its first tap."""

from collections.abc import Mapping
from functools import lru_cache

from apdu.bcd import pack_date
from apdu.codec import Record
from apdu.commands import AID_PPSE, AID_PURSE
from apdu.crypto import Key
from apdu.files import EF1A, FILES, Interop, PublicInfo, Structure
from apdu.purse import card_key
from apdu.tlv import Tlv
from emulator.card.card import Card
from emulator.card.env import Env, SystemEnv
from emulator.card.profile import Profile
from emulator.card.state import Application, Blocked, CardKeys, Chip, Content, Image, Purse
from emulator.card.store import MemoryStore, Store

KEY_INDEX = 1
"""The key index terminals name in INITIALIZE (protocol reference 4.13)."""

THREE_DES = 0x00
"""Algorithm id of T-Union captures (protocol reference 5.8, V4)."""

_FRESH_TRIPS = tuple(bytes((0x27, n, 0x7D, 1, 1)) + bytes(123) for n in range(1, EF1A.count + 1))
"""EF1A as issued: records 2701 to 2712, valid, for segmented fares, free, state initial (3.8)."""


@lru_cache
def ppse() -> Application:
    """The directory a reader selects first; it lists the purse alone (2.3, Q3)."""
    entry = Tlv.make(
        0x61, Tlv.make(0x4F, AID_PURSE), Tlv.make(0x50, b"MOT_T_EP"), Tlv.make(0x87, b"\x01")
    )
    fci = Tlv.make(0x6F, Tlv.make(0x84, AID_PPSE), Tlv.make(0xA5, Tlv.make(0xBF0C, entry)))
    return Application(AID_PPSE, bytes(fci), None, {}, has_purse=False)


@lru_cache
def purse_application() -> Application:
    """The T-Union purse with its plain FCI of 51 bytes (2.4, Q4)."""
    ef15 = PublicInfo.size()
    whole = Tlv.make(
        0x6F,
        Tlv.make(0x84, AID_PURSE),
        Tlv.make(0xA5, Tlv.make(0x9F08, b"\x02"), Tlv.make(0x9F0C, bytes(ef15))),
    )
    return Application(AID_PURSE, bytes(whole)[:-ef15], 0x15, FILES, has_purse=True)


def public_info(profile: Profile) -> PublicInfo:
    """EF15 of a new card. Byte 28 repeats the card kind as a hint (Q1)."""
    return PublicInfo(
        issuer=profile.issuer,
        application_type=0x02,
        enabled=profile.enabled,
        serial=profile.serial,
        start_date=pack_date(profile.start_date),
        end_date=pack_date(profile.end_date),
        fci1=profile.card_kind,
        fci2=0x00,
    )


def new_image(profile: Profile) -> Image:
    """The durable state of a card as issued: empty logs, no trip, no proof."""
    interop = Interop(
        country=profile.country,
        province=profile.province,
        city=profile.city,
        interop=int(profile.interop),
        card_kind=profile.card_kind,
        reserved=bytes(49),
    )
    known: dict[int, Record] = {0x15: public_info(profile), 0x17: interop}
    files: dict[int, Content] = {
        sfi: () if spec.structure is Structure.CYCLIC else bytes(spec.size)
        for sfi, spec in FILES.items()
    }
    files |= {sfi: rec.build() for sfi, rec in known.items()}
    files[EF1A.sfi] = _FRESH_TRIPS
    purse = Purse(
        ceiling=profile.ceiling,
        actual=profile.balance,
        limit=profile.overdraft_limit,
        used=0,
        online_seq=profile.online_seq,
        offline_seq=profile.offline_seq,
    )
    return Image(files, purse, {}, Blocked.NO)


def card_keys(profile: Profile, roots: Mapping[str, Key]) -> CardKeys:
    """The card's own keys, diversified from the roots PMK, LMK and TMK (5.1, 5.2)."""
    dpk, dlk, dtk = (
        card_key(roots[name], profile.issuer, profile.serial) for name in ("PMK", "LMK", "TMK")
    )
    return CardKeys(dpk, dlk, dtk)


def personalise(
    profile: Profile,
    roots: Mapping[str, Key],
    env: Env | None = None,
    store: Store | None = None,
) -> Card:
    """A card of that profile. env: its randomness; store: where it lives, memory if left out."""
    chip = Chip(
        applications=(ppse(), purse_application()),
        keys=card_keys(profile, roots),
        key_index=KEY_INDEX,
        key_version=profile.key_version,
        algorithm=THREE_DES,
        env=env or SystemEnv(),
    )
    return Card(chip, store or MemoryStore(new_image(profile)), profile.contactless)
