"""What a reader sees of any card with the purse. Changes nothing on it."""

from typing import Any

from apdu.bcd import is_decimal
from apdu.files import EF1A, EF1E, EF18
from reader.session import run
from reader.transactions import balance, read_card, select_purse
from tests.hardware.guard import Guard


def test_the_card_introduces_itself(link: Any) -> None:
    if hasattr(link, "identity"):  # over nfcpy
        assert len(link.identity.uid) in (4, 7, 10)
        assert link.identity.sak & 0x20
    else:
        assert link.atr[:1] == b"\x3b"


def test_the_purse_is_found_through_the_directory(card: Guard) -> None:
    info = run(select_purse(), {"card": card})
    assert info == card.info
    assert is_decimal(info.serial)


def test_the_files_of_a_tap_can_be_read(card: Guard) -> None:
    view = run(read_card(), {"card": card})
    assert view.info == card.info
    assert run(balance(), {"card": card}) >= 0


def test_records_come_whole_time_after_time(card: Guard) -> None:
    """128 bytes are chained by readers with small frames."""
    read = bytes.fromhex("00B201") + bytes([EF1A.sfi << 3 | 4, 0])
    record = card.transmit(read)
    assert len(record) == 128 + 2
    assert [card.transmit(read) for _ in range(20)] == [record] * 20


def test_logs_have_records_of_their_size(card: Guard) -> None:
    for file in (EF18, EF1E):
        answer = card.transmit(bytes([0x00, 0xB2, 0x01, file.sfi << 3 | 4, 0x00]))
        assert answer[-2:] == b"\x6a\x83" or len(answer) == file.size + 2


def test_an_unknown_application_is_refused(card: Guard) -> None:
    assert card.transmit(bytes.fromhex("00A4040005F000000001")) == b"\x6a\x82"


def test_the_card_can_be_activated_again(coupler: Any, card: Guard, request: Any) -> None:
    again = coupler.wait_card(request.config.getoption("wait"))
    assert run(select_purse(directory=False), {"card": again}) == card.info


def test_presence_is_noticed_without_an_apdu(link: Any) -> None:
    if hasattr(link, "is_present"):  # over nfcpy; PC/SC asks the service
        assert link.is_present()
