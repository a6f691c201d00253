"""A PN532 that plays a card, with its host on one side and a reader on the other, in one thread."""

from collections.abc import Callable

from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.medium import Ask, Heard, drive
from emulator.radio.pcd import Found, find
from tests.pn532_host import Host

UID = bytes.fromhex("08A1B2C3")
CARD = Found(b"\x04\x00", UID, 0x20)
ATS = bytes.fromhex("06753392034B")  # the chip's, with one historical byte
LISTEN_NS = 2_000_000


def init(mode: str = "01", sak: str = "20", historical: str = "4B") -> str:
    size = f"{len(historical) // 2:02X}"
    return f"8C {mode} 0400 A1B2C3 {sak}" + "00" * 28 + "00" + size + historical


class Listening:
    """A chip that plays a card: its host answers from within the reader's turn.

    on_answer: what the host does when the chip's running command ends, with its code and data.
    """

    def __init__(self, *, parameters: str = "00", command: str = "") -> None:
        self.air = Air(Unpaced())
        self.host = Host(air=self.air)
        self.code = 0
        self.came: list[str] = []
        self.on_answer: Callable[[str], None] = lambda data: None
        self.host.chip.on_news(self._news)
        self.host.ask("12" + parameters)
        self.start(command or init())

    def start(self, command: str) -> None:
        """A command of the host that waits for the reader, unless something is there already."""
        self.code = int(command[:2], 16)
        data = self.host.start(command)
        if data is not None:
            self._take(data)

    def _news(self) -> None:
        data = self.host.resume(self.code)
        if data is not None:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.came.append(data.hex())
        self.on_answer(data.hex())

    def found(self) -> Found | None:
        self.air.field_on()
        return drive(find(), self.air)

    def hears(self, body: str) -> Heard:
        return self.air.exchange(Ask(bytes.fromhex(body), LISTEN_NS))
