"""Cards in the field of a PN532 whose host is a test, and what the chip says of them."""

from dataclasses import replace

from apdu.frame import Frame
from emulator.picc import Contactless
from emulator.radio.air import Air
from emulator.radio.medium import Reply
from emulator.radio.station import Station
from tests.pn532_host import Host
from tests.unit.pcd import PHONE, EchoCard

COMMAND = "00B0950000"
ECHO = COMMAND.lower() + "9000"
LISTED = "01 01 0004 20 04 0411a2b3 0578807002".replace(" ", "")
FIRST_TRY = "32 05 FF 01 00"  # MxRtyPassiveActivation 0
NO_RATS = "12 00"

OTHER = replace(PHONE, uid=bytes.fromhex("0411A2B4"))
LONG = replace(PHONE, uid=bytes.fromhex("04112233445566"), atqa=b"\x44\x00")


def a_card(contactless: Contactless = PHONE) -> EchoCard:
    return EchoCard(contactless)


def a_host(*cards: EchoCard, air: Air | None = None) -> Host:
    host = Host(*(Station(card) for card in cards), air=air)
    host.ask(FIRST_TRY)
    return host


class Asleep:
    """A guest that answers REQA and nothing else."""

    def field_on(self) -> None: ...
    def field_off(self) -> None: ...

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        return Reply(Frame(b"\x04\x00")) if frame.data == b"\x26" else None
