"""How a case fills a blank card by APDUs (annex 1 to 6)."""

from apdu.file_commands import (
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    SELECT_FILE,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
)
from apdu.files import EF1A, EF15
from apdu.key_commands import VERIFY_PIN
from apdu.order import fresh_trip, public_info
from apdu.personal import MF
from apdu.records import Content, SelectId
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
