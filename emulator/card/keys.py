"""PIN, authentication, blocking and the algorithm commands (4.10, 4.11, 4.19, 4.21)."""

from dataclasses import replace

from apdu.crypto import compare_digest
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    BLOCK_ALGORITHM,
    CARD_BLOCK,
    CHANGE_ALGORITHM,
    CHANGE_PIN,
    EXTERNAL_AUTHENTICATE,
    GET_ALGORITHM,
    INTERNAL_AUTHENTICATE,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
)
from apdu.purse import external_authenticate, reload_pin_mac
from apdu.records import (
    ChangePin,
    Cryptogram,
    InternalData,
    OnlyMac,
    Pin,
    Protected,
    ReloadPin,
)
from apdu.spec import Call, Refuse
from apdu.sw import SW
from emulator.card.handlers import handles
from emulator.card.security import (
    BLOCK_ID,
    MAINTENANCE_ID,
    UNBLOCK_ID,
    demand,
    demand_tries,
    fail_try,
    key_of,
    mac_is_right,
    maintenance_key,
    secret_of,
    succeeded,
    with_keys,
)
from emulator.card.state import (
    Blocked,
    CardState,
    Chip,
    KeyEntry,
    KeyKind,
    at_rest,
    kept,
)

UNBLOCK_TRIES = 3
"""Failed APPLICATION UNBLOCKs in a row that block for good (4.19)."""

PIN_SIZES = range(2, 7)


def _pin(card: CardState, kid: int) -> KeyEntry:
    """A PIN that may be used and is not locked."""
    entry = key_of(card.directory, KeyKind.PIN, kid, SW.KEY_INDEX)
    demand(card, entry.usage)
    demand_tries(entry)
    return entry


def _unpadded(pin: bytes) -> bytes:
    """FF at the end of a PIN is padding (annex 4.1); a PIN of FF alone keeps one."""
    return pin.rstrip(b"\xff") or b"\xff"


def _same_pin(entry: KeyEntry, pin: bytes) -> bool:
    return compare_digest(_unpadded(entry.pin), _unpadded(pin))


@handles(VERIFY_PIN)
def verify_pin(card: CardState, call: Call[Pin], chip: Chip) -> tuple[CardState, bytes]:
    """Compare the PIN: right, and the register takes its successor; wrong costs a try (4.11)."""
    entry = _pin(card, call.p2)
    if not _same_pin(entry, call.data.pin):
        raise fail_try(card, entry)
    return succeeded(card, entry, pin=True), b""


@handles(CHANGE_PIN)
def change_pin(card: CardState, call: Call[ChangePin], chip: Chip) -> tuple[CardState, bytes]:
    """Replace the PIN by its holder. The data are split at the stored PIN's length (annex 8)."""
    entry = _pin(card, call.p2)
    pins, size = call.data.pins, len(_unpadded(entry.pin))
    old, mark, new = pins[:size], pins[size : size + 1], pins[size + 1 :]
    if mark != b"\xff" or not _same_pin(entry, old):
        raise fail_try(card, entry)
    if len(new) not in PIN_SIZES:
        raise Refuse(SW.WRONG_DATA)
    return kept(card, with_keys(card.directory, replace(entry.restored(), pin=new))), b""


@handles(RELOAD_PIN)
def reload_pin(card: CardState, call: Call[ReloadPin], chip: Chip) -> tuple[CardState, bytes]:
    """Replace a PIN by the issuer, even a locked one; MAC over the PIN alone (4.11)."""
    entry = key_of(card.directory, KeyKind.PIN, call.p2, SW.KEY_INDEX)
    reload = key_of(card.directory, KeyKind.PIN_RELOAD, 0, SW.KEY_INDEX)
    demand(card, reload.usage)
    demand_tries(reload)
    new, mac = call.data.field[:-4], call.data.field[-4:]
    if not compare_digest(reload_pin_mac(secret_of(reload), new), mac):
        raise fail_try(card, reload, SW.MAC_INVALID)
    entries = (replace(entry.restored(), pin=new), reload.restored())
    return kept(card, with_keys(card.directory, *entries)), b""


@handles(PIN_UNBLOCK)
def pin_unblock(card: CardState, call: Call[Protected], chip: Chip) -> tuple[CardState, bytes]:
    """Give a locked PIN a new value, enciphered and under MAC (4.11, annex 8)."""
    content = call.data.content
    if len(content) not in (8, 16):
        raise Refuse(SW.WRONG_LENGTH)
    entry = key_of(card.directory, KeyKind.PIN, call.p1, SW.KEY_INDEX)
    unblock = key_of(card.directory, KeyKind.PIN_UNBLOCK, 0, SW.KEY_INDEX)
    demand(card, unblock.usage)
    demand_tries(unblock)
    key = secret_of(unblock)
    if not mac_is_right(card, call, key, content, call.data.mac):
        raise fail_try(card, unblock, SW.MAC_WRONG)
    plain = key.decrypt(content)
    new, padding = plain[1 : 1 + plain[0]], plain[1 + plain[0] :]
    if plain[0] not in PIN_SIZES or padding.rstrip(b"\0") != b"\x80":
        raise fail_try(card, unblock, SW.MAC_WRONG)
    entries = (replace(entry.restored(), pin=new), unblock.restored())
    return kept(card, with_keys(card.directory, *entries)), b""


@handles(EXTERNAL_AUTHENTICATE)
def authenticate_external(
    card: CardState, call: Call[Cryptogram], chip: Chip
) -> tuple[CardState, bytes]:
    """Accept a terminal that has the key: the register takes the key's successor (4.10)."""
    entry = key_of(card.directory, KeyKind.EXTERNAL, call.p2, SW.REFERENCE_NOT_FOUND)
    demand(card, entry.usage)
    demand_tries(entry)
    if card.challenge is None:
        raise Refuse(SW.RANDOM_UNUSABLE)
    expected = external_authenticate(secret_of(entry), card.challenge)
    if not compare_digest(expected, call.data.cryptogram):
        raise fail_try(card, entry)
    return succeeded(card, entry, pin=False), b""


_INTERNAL = (KeyKind.ENCRYPT, KeyKind.DECRYPT, KeyKind.MAC)


@handles(INTERNAL_AUTHENTICATE)
def authenticate_internal(
    card: CardState, call: Call[InternalData], chip: Chip
) -> tuple[CardState, bytes]:
    """Encipher, decipher or MAC with a key made for it (4.10)."""
    is_other = any((kind, call.p2) in card.directory.keys for kind in _INTERNAL)
    missing = SW.WRONG_FILE_STRUCTURE if is_other else SW.REFERENCE_NOT_FOUND
    entry = key_of(card.directory, _INTERNAL[call.p1], call.p2, missing)
    demand(card, entry.usage)
    key, data = secret_of(entry), call.data.data
    if entry.kind is KeyKind.MAC:
        return card, key.retail_mac(data)
    if len(data) % 8:
        raise Refuse(SW.WRONG_LENGTH)
    return card, key.encrypt(data) if entry.kind is KeyKind.ENCRYPT else key.decrypt(data)


def _check(card: CardState, call: Call[OnlyMac], kid: int) -> bool:
    entry = maintenance_key(card.directory, kid)
    return mac_is_right(card, call, secret_of(entry), b"", call.data.mac)


@handles(APPLICATION_BLOCK)
def block_application(card: CardState, call: Call[OnlyMac], chip: Chip) -> tuple[CardState, bytes]:
    """Block for a time (P2 00) or for good (P2 01). Every gate's PSAM has the key (4.19, 6.7)."""
    directory = card.directory
    if directory.blocked is Blocked.PERMANENT:
        raise Refuse(SW.PERMANENTLY_BLOCKED)
    if not _check(card, call, BLOCK_ID):
        raise Refuse(SW.MAC_WRONG)
    blocked = Blocked.PERMANENT if call.p2 else Blocked.TEMPORARY
    if blocked is directory.blocked:
        return at_rest(card), b""  # blocking twice is 9000 and changes nothing
    return kept(card, replace(directory, blocked=blocked)), b""


@handles(APPLICATION_UNBLOCK)
def unblock_application(
    card: CardState, call: Call[OnlyMac], chip: Chip
) -> tuple[CardState, bytes]:
    """Lift a temporary block. The third failure in a row blocks for good (4.19)."""
    directory = card.directory
    if directory.blocked is Blocked.PERMANENT:
        raise Refuse(SW.PERMANENTLY_BLOCKED)
    if not _check(card, call, UNBLOCK_ID):
        strikes = directory.unblock_strikes + 1
        lost = strikes >= UNBLOCK_TRIES
        blocked = Blocked.PERMANENT if lost else directory.blocked
        after = replace(directory, unblock_strikes=strikes, blocked=blocked)
        sw = SW.PERMANENTLY_BLOCKED if lost else SW.MAC_WRONG
        raise Refuse(sw, after=kept(card, after))
    return kept(card, replace(directory, blocked=Blocked.NO, unblock_strikes=0, strikes=0)), b""


@handles(CARD_BLOCK)
def block_card(card: CardState, call: Call[OnlyMac], chip: Chip) -> tuple[CardState, bytes]:
    """Kill the card: every later command is 6A81 (4.19). The key is DAMK, our decision."""
    if not _check(card, call, MAINTENANCE_ID):
        raise Refuse(SW.MAC_WRONG)
    return at_rest(card, replace(card.image, is_dead=True)), b""


@handles(GET_ALGORITHM)
def get_algorithm(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """The algorithm in force: 00 international, 03 SM (inferred).

    Cards of one algorithm do not know the instruction: the pipeline refuses it (4.21).
    """
    return card, bytes((card.image.algorithm,))


@handles(CHANGE_ALGORITHM)
def change_algorithm(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Put another algorithm in force. It is reported; the purse keeps to 3DES (4.21, Q22)."""
    if card.image.blocked_algorithms & _bit(call.p2):
        raise Refuse(SW.CONDITIONS_OF_USE)
    return at_rest(card, replace(card.image, algorithm=call.p2)), b""


@handles(BLOCK_ALGORITHM)
def block_algorithm(card: CardState, call: Call[OnlyMac], chip: Chip) -> tuple[CardState, bytes]:
    """Forbid an algorithm for good, under the maintenance key (inferred)."""
    if not _check(card, call, MAINTENANCE_ID):
        raise Refuse(SW.MAC_WRONG)
    blocked = card.image.blocked_algorithms | _bit(0x00 if call.p2 == 0x01 else 0x03)
    return at_rest(card, replace(card.image, blocked_algorithms=blocked)), b""


def _bit(algorithm: int) -> int:
    return 1 << algorithm
