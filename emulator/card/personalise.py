"""From a profile and root keys to a card ready for its first tap, by the commands an issuer sends.

A blank card holds an empty MF. `script` yields the commands that make it this profile's card, FMCOS
style: directories, key files, keys, files, purses, contents, protected where the file is. Nothing
reaches the image beside them but what no command can say: a starting balance, a ceiling,
transaction numbers and a past (`emulator.card.preset`).
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from apdu.bcd import pack_date
from apdu.commands import ED, EP
from apdu.crypto import Key
from apdu.file_commands import (
    AID_PPSE,
    AID_PURSE,
    APPEND_RECORD_MAC,
    CREATE_FILE,
    GET_CHALLENGE,
    SELECT,
    SELECT_FILE,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
)
from apdu.files import EF1A, EF1E, EF15, EF16, EF17, EF18, Holder, Interop, PublicInfo
from apdu.key_commands import WRITE_KEY
from apdu.purse import card_key, secure_messaging_mac
from apdu.records import (
    Content,
    CreateFileData,
    KeyData,
    Protected,
    SelectId,
    SelectName,
)
from apdu.sm4 import Sm4Key
from apdu.spec import CommandSpec
from apdu.tlv import Tlv
from emulator.card.card import Card
from emulator.card.env import Env, SystemEnv
from emulator.card.issuing import blank
from emulator.card.preset import preset
from emulator.card.preset import purse_index as purse_index
from emulator.card.profile import Profile
from emulator.card.security import (
    ALWAYS,
    BLOCK_ID,
    MAINTENANCE_ID,
    NEVER,
    RECORD_ID,
    UNBLOCK_ID,
)
from emulator.card.state import (
    Blocked,
    Chip,
    DirectoryHead,
    Image,
    KeyKind,
    Kind,
)
from emulator.card.store import MemoryStore, Store

AID_CJT = bytes.fromhex("A00000000386980701")
"""The housing ministry's purse (2.2)."""

AID_CASH = bytes.fromhex("A000000632010106")
"""T-Union electronic cash, which the PPSE of some cards lists first (2.2, 2.3)."""

KEY_INDEX = 1
"""The key index terminals name in INITIALIZE (4.13), and so the id of the purse's keys."""

PURSE_DF, CJT_DF = 0x3F01, 0x3F02
_ED_LOG = 0x0019
_DIR = 0x0001
_ALWAYS_MAC = 0x80
_THREE_TRIES = 0x33
_AFTER_PIN = 0xF1
_FREE, _RECORD_KEY = 0xFF, 0xFC
"""Protection bytes: reading free, writing under key 36 id 00 or id 03 (annex 3.3)."""

_KEY_FILE_SIZE = 0x0300


class PersonalisationError(Exception):
    """The card refused a command of the script: a bug of ours, or a card that is not blank."""


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


_ROOTS = {
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


_SM4_KEYS = ("dpk", "dlk", "dtk", "dulk", "duk")
"""Keys that the experimental SM4 purse diversifies and uses under SM4 (5.9)."""


def card_secrets(profile: Profile, roots: Mapping[str, Key]) -> Secrets:
    """The card's own keys, diversified from the roots (5.1, 5.2)."""
    known = {
        root: card_key(roots[root], profile.issuer, profile.serial) for root in set(_ROOTS.values())
    }
    if profile.dialect.sm4:
        known |= {
            name: card_key(Sm4Key(roots[_ROOTS[name]].expose()), profile.issuer, profile.serial)
            for name in _SM4_KEYS
        }
    return Secrets(**{name: known.get(name, known[root]) for name, root in _ROOTS.items()})


def blank_image(name: bytes = AID_PPSE, right: int = ALWAYS) -> Image:
    """A card with an empty MF (annex 1, state BLANK).

    right: to create and erase in the MF once it has been filled and left. Free on a blank card;
    a card in service has NEVER, or any reader could empty it with ERASE DF.
    """
    head = DirectoryHead(0x3F00, name, 0, 0xFFFF, right, right, 0xC0 | _DIR)
    return Image((blank(head),), False, 0x00, 0)


def ppse_entries(with_cash: bool) -> bytes:
    """The PPSE's directory entries: the purse, and electronic cash before it if wanted (2.3)."""
    labelled = [(AID_PURSE, b"MOT_T_EP")]
    if with_cash:
        labelled.insert(0, (AID_CASH, b"MOT_T_CASH"))
    return b"".join(
        Tlv.make(0x61, Tlv.make(0x4F, aid), Tlv.make(0x50, label), Tlv.make(0x87, bytes((order,))))
        for order, (aid, label) in enumerate(labelled, 1)
    )


def public_info(profile: Profile) -> PublicInfo:
    """EF15 of a new card. Byte 28 repeats the card kind if the dialect says so (Q1)."""
    hint = profile.card_kind if profile.dialect.kind_in_ef15 else 0x00
    return PublicInfo(
        issuer=profile.issuer,
        application_type=0x03 if profile.has_ed else 0x02,
        enabled=profile.enabled,
        serial=profile.serial,
        start_date=pack_date(profile.start_date),
        end_date=pack_date(profile.end_date),
        fci1=hint,
        fci2=0x00,
    )


def interop(profile: Profile) -> Interop:
    """EF17 of a new card."""
    return Interop(
        country=profile.country,
        province=profile.province,
        city=profile.city,
        interop=int(profile.interop),
        card_kind=profile.card_kind,
        reserved=bytes(49),
    )


def fresh_trip(number: int) -> bytes:
    """An EF1A record as issued: 27NN, valid, segmented fares, free, state initial (3.8)."""
    return bytes((0x27, number, 0x7D, 0x01, 0x01)) + bytes(123)


Script = Generator[bytes, bytes, None]
"""Commands out, answers in; raises PersonalisationError at the first that is not 9000."""


def _send(command: bytes) -> Generator[bytes, bytes, bytes]:
    answer = yield command
    if answer[-2:] != b"\x90\x00":
        sent, said = command[:5].hex().upper(), answer[-2:].hex().upper()
        raise PersonalisationError(f"the card answers {said} to {sent}")
    return answer[:-2]


def _create(fid: int, *header: int, name: bytes = b"") -> Script:
    data = CreateFileData(bytes(header) + name)
    yield from _send(CREATE_FILE.command(data, fid >> 8, fid & 0xFF))


def _write_key(kind: KeyKind, kid: int, attributes: tuple[int, ...], secret: bytes) -> Script:
    data = KeyData(bytes((kind, *attributes)) + secret)
    yield from _send(WRITE_KEY.command(data, 0x01, kid))


def _under_mac(
    spec: CommandSpec[Protected, bytes], key: Key, p1: int, p2: int, data: bytes
) -> Script:
    challenge = yield from _send(GET_CHALLENGE.command(None))
    head = bytes((spec.cla, spec.ins, p1, p2, len(data) + 4))
    mac = secure_messaging_mac(key, challenge, head + data)
    yield from _send(spec.command(Protected(data + mac), p1, p2))


def script(profile: Profile, secrets: Secrets) -> Script:
    """All commands that turn a blank card into this profile's card."""
    yield from _directory(profile)
    yield from _application(profile, secrets, PURSE_DF, AID_PURSE)
    if profile.dialect.cjt_application:
        yield from _send(SELECT_FILE.command(SelectId(b"\x3f\x00")))
        yield from _application(profile, secrets, CJT_DF, AID_CJT)
    yield from _send(SELECT_FILE.command(SelectId(b"\x3f\x00")))


def _directory(profile: Profile) -> Script:
    """The MF's key file and the PPSE's entries; the MF stays open until it is left."""
    yield from _send(SELECT_FILE.command(SelectId(b"\x3f\x00")))
    entries = ppse_entries(profile.dialect.ec_in_ppse)
    yield from _create(0x0000, Kind.KEYS, 0x00, 0x30, 0x01, NEVER, 0xFF, 0xFF)
    yield from _create(_DIR, Kind.TRANSPARENT, 0, len(entries), ALWAYS, NEVER, 0xFF, _FREE)
    yield from _send(UPDATE_BINARY.command(Content(entries), 0x80 | _DIR, 0))
    applications = [(PURSE_DF, AID_PURSE)]
    if profile.dialect.cjt_application:
        applications.append((CJT_DF, AID_CJT))
    for fid, name in applications:
        header = (Kind.DIRECTORY, 0x20, 0x00, NEVER, NEVER, 0x80 | EF15.sfi, 0xFF, 0xFF)
        yield from _create(fid, *header, name=name)


def _application(profile: Profile, secrets: Secrets, fid: int, name: bytes) -> Script:
    yield from _send(SELECT.command(SelectName(name)))
    high, low = divmod(_KEY_FILE_SIZE, 256)
    yield from _create(0x0000, Kind.KEYS, high, low, 0x80 | EF15.sfi, NEVER, 0xFF, 0xFF)
    yield from _keys(profile, secrets)
    yield from _files(profile)
    yield from _contents(profile, secrets)


def _keys(profile: Profile, s: Secrets) -> Script:
    """Every key of 5.1 at its FMCOS type. Change right EF: none is ever changed again."""
    purse = (ALWAYS, NEVER, profile.key_version, profile.algorithm)
    tries = (ALWAYS, NEVER, 0xFF, _THREE_TRIES)
    for kind, kid, attributes, key in (
        (KeyKind.EXTERNAL, 0, (ALWAYS, NEVER, 0x44, _THREE_TRIES), s.dack),
        (KeyKind.PURCHASE, KEY_INDEX, purse, s.dpk),
        (KeyKind.LOAD, KEY_INDEX, purse, s.dlk),
        (KeyKind.UNLOAD, KEY_INDEX, purse, s.dulk),
        (KeyKind.LIMIT, KEY_INDEX, purse, s.duk),
        (KeyKind.TAC, 0, purse, s.dtk),
        (KeyKind.MAINTENANCE, MAINTENANCE_ID, tries, s.damk),
        (KeyKind.MAINTENANCE, BLOCK_ID, tries, s.dbk),
        (KeyKind.MAINTENANCE, UNBLOCK_ID, tries, s.dubk),
        (KeyKind.MAINTENANCE, RECORD_ID, tries, s.record),
        (KeyKind.PIN_UNBLOCK, 0, tries, s.dpuk),
        (KeyKind.PIN_RELOAD, 0, tries, s.drpk),
    ):
        yield from _write_key(kind, kid, attributes, key.expose())
    yield from _write_key(KeyKind.PIN, 0, (ALWAYS, NEVER, 0x01, _THREE_TRIES), profile.pin)


def _files(profile: Profile) -> Script:
    guarded = Kind.TRANSPARENT | _ALWAYS_MAC
    for spec in (EF15, EF16, EF17):
        yield from _create(spec.sfi, guarded, 0, spec.size, ALWAYS, ALWAYS, 0xFF, _FREE)
    yield from _create(EF18.sfi, Kind.CYCLIC, EF18.count, EF18.size, ALWAYS, NEVER, 0xFF, _FREE)
    for spec, kind in ((EF1A, Kind.LINEAR), (EF1E, Kind.CYCLIC)):
        yield from _create(
            spec.sfi, kind | _ALWAYS_MAC, spec.count, spec.size, ALWAYS, ALWAYS, 0xFF, _RECORD_KEY
        )
    yield from _create(EP, Kind.PURSE, 0x02, 0x08, ALWAYS, 0x00, 0xFF, EF18.sfi)
    if profile.has_ed:
        yield from _create(_ED_LOG, Kind.CYCLIC, 10, EF18.size, ALWAYS, NEVER, 0xFF, _FREE)
        yield from _create(ED, Kind.PURSE, 0x02, 0x08, _AFTER_PIN, 0x00, 0xFF, _ED_LOG)


def _contents(profile: Profile, s: Secrets) -> Script:
    holder = Holder(0, 0, bytes(20), bytes(32), 0)  # never personal data (3.3)
    for spec, rec in (
        (EF15, public_info(profile)),
        (EF16, holder),
        (EF17, interop(profile)),
    ):
        yield from _under_mac(UPDATE_BINARY_MAC, s.damk, 0x80 | spec.sfi, 0, rec.build())
    for number in range(1, EF1A.count + 1):
        yield from _under_mac(APPEND_RECORD_MAC, s.record, 0x00, EF1A.sfi << 3, fresh_trip(number))


def play(card: Card, commands: Script) -> None:
    """Send a script to a card. Raises PersonalisationError."""
    try:
        command = next(commands)
        while True:
            command = commands.send(card.process(command))
    except StopIteration:
        return


class _Repeatable:
    """Challenges for a script: any will do, and the image must not depend on them."""

    def random(self, n: int) -> bytes:
        return bytes(n)


def new_image(profile: Profile, roots: Mapping[str, Key]) -> Image:
    """The image of a new card, made by personalising a blank one.

    Cards that differ in nothing but what `preset` sets share one personalisation, and so the parts
    of their images that never change.
    """
    made = replace(
        profile,
        name="",
        title="",
        balance=0,
        ceiling=0,
        overdraft_limit=0,
        overdraft_used=0,
        online_seq=0,
        offline_seq=0,
        trip_record=None,
        transactions=(),
        trips=(),
        blocked=Blocked.NO,
    )
    return preset(_personalised(made, card_secrets(profile, roots)), profile)


@lru_cache(maxsize=128)
def _personalised(profile: Profile, secrets: Secrets) -> Image:
    store = MemoryStore(blank_image(right=NEVER))
    maker = Card(Chip(profile.dialect, _Repeatable(), {}), store, profile.contactless)
    play(maker, script(profile, secrets))
    return store.load()


def personalise(
    profile: Profile,
    roots: Mapping[str, Key],
    env: Env | None = None,
    store: Store | None = None,
) -> Card:
    """A card of that profile. env: its randomness; store: where it lives, memory if left out."""
    chip = Chip(profile.dialect, env or SystemEnv(), {})
    return Card(chip, store or MemoryStore(new_image(profile, roots)), profile.contactless)
