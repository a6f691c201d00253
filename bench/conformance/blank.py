"""How a case fills a blank card by APDUs (annex 1 to 6)."""

from collections.abc import Iterable

from apdu.crypto import Key
from apdu.file_commands import (
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    GET_CHALLENGE,
    SELECT_FILE,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
)
from apdu.files import EF1A, EF15
from apdu.key_commands import (
    EXTERNAL_AUTHENTICATE,
    VERIFY_PIN,
    WRITE_KEY,
    WRITE_KEY_MAC,
)
from apdu.order import fresh_trip, public_info
from apdu.personal import MF
from apdu.purse import external_authenticate, secure_messaging_encrypt
from apdu.records import Content, Cryptogram, KeyData, Protected, SelectId
from bench.conformance.lab import Lab
from bench.conformance.workshop import application, directory, key_file
from bench.conformance.writes import under_mac
from emulator.card.personalise import order_of


def send_all(lab: Lab, *commands: bytes) -> None:
    """Commands that must all succeed."""
    for command in commands:
        lab.must(lab.send(command))


def make_application(lab: Lab, guard: int) -> None:
    """Fill the blank card, leave the application and enter it again: its rights hold now."""
    send_all(lab, *application(lab.keys, lab.pin, guard))
    info, trip = public_info(order_of(lab.declared)).build(), fresh_trip(1)
    pair = (0x80 | EF15.sfi, 0)
    if guard:
        lab.must(under_mac(lab, UPDATE_BINARY_MAC, pair, info))
        lab.must(under_mac(lab, APPEND_RECORD_MAC, (0, EF1A.sfi << 3), trip))
    else:
        lab.done_ok(UPDATE_BINARY, Content(info), pair)
        lab.done_ok(APPEND_RECORD, Content(trip), (0, EF1A.sfi << 3))
    enter_anew(lab)
    lab.done_ok(VERIFY_PIN)


def enter_anew(lab: Lab) -> None:
    """Leave the purse and enter it again: nothing has been proved."""
    lab.done_ok(SELECT_FILE, SelectId(MF))
    lab.must(lab.select())


def open_directory(lab: Lab, **more: int) -> None:
    """An application directory with a key file, entered for the first time."""
    send_all(lab, *directory(**more), key_file())


def add_key(lab: Lab, kind: int, kid: int, attributes: Iterable[int], value: bytes) -> None:
    """WRITE KEY for a new key in the clear. kind: may carry protection bits (annex 4.1)."""
    field = bytes((kind, *attributes)) + value
    lab.done_ok(WRITE_KEY, KeyData(field), (0x01, kid))


def present(lab: Lab, key: Key, kid: int = 0) -> bytes:
    """EXTERNAL AUTHENTICATE with a key of this directory. Returns the answer (4.10)."""
    challenge = lab.done_ok(GET_CHALLENGE)
    return authenticate(lab, key, challenge, kid)


def authenticate(lab: Lab, key: Key, challenge: bytes, kid: int = 0) -> bytes:
    """EXTERNAL AUTHENTICATE over a challenge had before. Returns the answer."""
    cryptogram = Cryptogram(external_authenticate(key, challenge))
    return lab.send(EXTERNAL_AUTHENTICATE.command(cryptogram, 0x00, kid))


def hidden_key(lab: Lab, p1: int, kid: int, field: bytes, master: Key) -> bytes:
    """WRITE KEY enciphered and under MAC (annex 4.2). Returns the answer.

    p1: 01 for a new key, or the type byte of the stored one. master: 39 id 00 of the directory.
    """
    lab.done_ok(GET_CHALLENGE)
    hidden = secure_messaging_encrypt(master, field)
    mac = lab.sm_mac(master, WRITE_KEY_MAC, p1, kid, hidden)
    return lab.send(WRITE_KEY_MAC.command(Protected(hidden + mac), p1, kid))
