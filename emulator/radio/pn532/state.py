"""What a PN532 knows between two commands, and its own antenna in the field.

Handlers of commands (`housekeeping`, `initiator`, `target`) are functions of this state and of the
command's parameters. Most answer at once, with bytes. Those that may have to wait for the outside
world without end are generators: they yield whenever the host may break in, and return the bytes.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final

from apdu.value import value
from emulator.radio.medium import Ask, Field, Heard, Radio, T, Trouble
from emulator.radio.pcd import Found, PcdIsoDep
from emulator.radio.pn532.antenna import Antenna
from emulator.radio.pn532.link import HostLink
from emulator.radio.pn532.registers import FIELD_BITS, FIFO_SIZE, Reg, Registers
from emulator.radio.pn532.status import OF_TROUBLE, Status

RETRY_NS: Final = 5_000_000
"""From one unsuccessful poll to the next (decided; a poll of the chip takes some milliseconds)."""
FOR_EVER: Final = 0xFF
"""A number of retries that means without end."""
MAX_FETCH: Final = 262
"""Bytes from the air in one frame to the host."""
DEFAULT_TIMEOUT: Final = 0x0A  # 51.2 ms

PARAMETERS_AT_RESET: Final = 0x14
AUTOMATIC_RATS: Final = 0x10
RUNS_PICC: Final = 0x20
REMOVE_PRE_POSTAMBLE: Final = 0x40


_SILENCE: Final = Heard(b"", Trouble.TIMEOUT)


@value
class Pause:
    """Wait for so long, or until the host says something. None: until the antenna has news."""

    ns: int | None = None


NO_PAUSE: Final = Pause(0)

Work = Generator[Pause, None, bytes]
"""A command that takes its time."""
Handler = Callable[["State", bytes], "bytes | Work"]


@dataclass(slots=True)
class Target:
    """A card that the chip has listed. isodep: None if ISO/IEC 14443-4 does not run."""

    number: int
    found: Found
    isodep: PcdIsoDep | None
    ats: bytes = b""
    is_selected: bool = True
    outgoing: bytes = b""  # parts of a command that goes on
    incoming: bytes = b""  # what the host has not fetched yet


@dataclass(slots=True)
class State:
    """The chip."""

    air: Field
    antenna: Antenna
    registers: Registers = field(default_factory=Registers)
    link: HostLink = field(default_factory=HostLink)
    parameters: int = PARAMETERS_AT_RESET
    wakes_by_field: bool = False
    timeout: int = DEFAULT_TIMEOUT  # of raw frames: 100 us * 2^(n - 1), 0 for none
    com_retries: int = 0
    atr_retries: int = FOR_EVER
    passive_retries: int = FOR_EVER
    targets: list[Target] = field(default_factory=list)
    last_error: int = 0
    last_trouble: Status = Status.OK  # of the last frame that was sent
    gpio: dict[str, int] = field(default_factory=lambda: {"p3": 0x3F, "p7": 0x06})
    fetched: bytes = b""  # what the host has not fetched of a command to the target
    pending: bytes = b""  # parts of the target's response that goes on
    is_field_ours: bool = False

    @property
    def sees_foreign_field(self) -> bool:
        """Whether another reader's field is on."""
        return self.antenna.is_in_field and not self.is_field_ours

    def field_on(self) -> bool:
        """Switch our field on. Returns whether it is: not if there is another one."""
        if self.sees_foreign_field:
            return False
        if not self.is_field_ours:
            self.is_field_ours = True
            self.registers[Reg.TX_CONTROL] |= FIELD_BITS
            self.air.field_on()
        return True

    def field_off(self) -> None:
        """Switch our field off. Another reader's field stays as it is."""
        if self.is_field_ours:
            self.air.field_off()
            self.is_field_ours = False
            self.registers[Reg.TX_CONTROL] &= ~FIELD_BITS

    def exchange(self, ask: Ask) -> Heard:
        """Send a frame and listen. What is not answered stays in the FIFO: hosts look there."""
        heard = self.air.exchange(ask) if self.is_field_ours else _SILENCE
        self.last_trouble = OF_TROUBLE[heard.trouble]
        self.registers.fifo.clear()
        if heard.trouble is Trouble.TIMEOUT:
            self.registers.fifo += ask.data[:FIFO_SIZE]
        return heard

    def drive(self, conversation: Radio[T]) -> T:
        """Carry a reader's conversation to its end at once."""
        steps = self.converse(conversation)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result

    def converse(self, conversation: Radio[T]) -> Generator[Pause, None, T]:
        """Carry a reader's conversation to its end; the host may break in after each frame.

        It has to be able to: a card that asks for more time can go on for minutes.
        """
        try:
            ask = next(conversation)
            while True:
                ask = conversation.send(self.exchange(ask))
                yield NO_PAUSE
        except StopIteration as end:
            result: T = end.value
            return result

    def failed(self, status: Status) -> bytes:
        """The status byte of an error, which is kept for GetGeneralStatus."""
        self.last_error = status
        return bytes([status])

    def told(self, data: bytes) -> bytes:
        """What came from the air, with its status byte, if it fits a frame to the host."""
        if len(data) > MAX_FETCH:
            return self.failed(Status.BUFFER)
        return bytes([Status.OK]) + data

    def target(self, number: int) -> Target | None:
        """The listed target of a number."""
        return next((target for target in self.targets if target.number == number), None)
