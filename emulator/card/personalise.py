"""From a profile and root keys to a card ready for its first tap, by the commands an issuer sends.

A profile says more than an issuer can order: `order_of` takes out of it what can be, and
`apdu.personal` makes that card of a blank one. Nothing reaches the image beside those commands but
what no command can say: a starting balance, a ceiling, transaction numbers and a past
(`emulator.card.preset`).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from apdu import order as _order
from apdu.crypto import Key
from apdu.file_commands import AID_PPSE
from apdu.files import Interop, PublicInfo
from apdu.fmcos import ALWAYS, BY_MASTER, NEVER
from apdu.order import CardOrder
from apdu.order import Secrets as Secrets
from apdu.order import fresh_trip as fresh_trip
from apdu.personal import DIR, MF, Script, bare_script, transport_script
from apdu.personal import PersonalisationError as PersonalisationError
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, SystemEnv
from emulator.card.issuing import blank
from emulator.card.preset import preset
from emulator.card.preset import purse_index as purse_index
from emulator.card.profile import Profile
from emulator.card.state import Blocked, Chip, DirectoryHead, Image
from emulator.card.store import MemoryStore, Store
from emulator.picc import Contactless


def order_of(profile: Profile) -> CardOrder:
    """What an issuer would order to get this profile's card."""
    dialect = profile.dialect
    return CardOrder(
        issuer=profile.issuer,
        serial=profile.serial,
        start_date=profile.start_date,
        end_date=profile.end_date,
        card_kind=profile.card_kind,
        country=profile.country,
        province=profile.province,
        city=profile.city,
        interop=profile.interop,
        enabled=profile.enabled,
        key_version=profile.key_version,
        algorithm=profile.algorithm,
        pin=profile.pin,
        has_ed=profile.has_ed,
        kind_in_ef15=dialect.kind_in_ef15,
        ec_in_ppse=dialect.ec_in_ppse,
        cjt_application=dialect.cjt_application,
        sm4=dialect.sm4,
    )


def card_secrets(profile: Profile, roots: Mapping[str, Key]) -> Secrets:
    """The card's own keys, diversified from the roots (5.1, 5.2)."""
    return _order.card_secrets(profile.issuer, profile.serial, roots, sm4=profile.dialect.sm4)


def public_info(profile: Profile) -> PublicInfo:
    """EF15 of a new card of that profile."""
    return _order.public_info(order_of(profile))


def interop(profile: Profile) -> Interop:
    """EF17 of a new card of that profile."""
    return _order.interop(order_of(profile))


def script(profile: Profile, secrets: Secrets) -> Script:
    """All commands that turn a blank card into this profile's card."""
    return bare_script(order_of(profile), secrets)


def blank_image(name: bytes = AID_PPSE, right: int = ALWAYS) -> Image:
    """A card with an empty MF (annex 1, state BLANK).

    right: to create and erase in the MF once it has been filled and left. Free on a blank card;
    a card in service has NEVER, or any reader could empty it with ERASE DF.
    """
    head = DirectoryHead(int.from_bytes(MF, "big"), name, 0, 0xFFFF, right, right, 0xC0 | DIR)
    return Image((blank(head),), False, 0x00, 0)


def stock_image(transport: Key) -> Image:
    """A card as its maker ships it: nothing is made on it or erased without the transport key.

    transport: 16 bytes. An issuer opens such a card with `issuer.opening.personalise_card`.
    """
    store = MemoryStore(blank_image(right=BY_MASTER))
    chip = Chip(Dialect(), _Repeatable(), {})
    play(Card(chip, store, _NO_RADIO), transport_script(transport))
    return store.load()


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


_NO_RADIO = Contactless(bytes(2), 0, bytes(4), b"")


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
