"""The registers of the PN532: those of its contactless unit, and the rest.

A register is a byte at an address: 63xx is the contactless interface unit (CIU, a PN512), FFxx the
ports. Most are memory and nothing else: analog settings mean nothing here. Those with an effect:

TxMode, RxMode  checksums on or off, bit rate, kind of modulation of raw frames
ManualRCV       ParityDisable: parity bits are the host's, nine bits a byte
BitFraming      TxLastBits: bits of the last byte to send; StartSend
TxControl       the field on or off
FIFO, Command   Transceive with StartSend sends the FIFO and puts the answer there
Control         RxLastBits, what was heard of the last byte
CommIRq         what happened; a written byte clears or sets the bits it marks
TCounterVal     the timer, stopped by the fifth bit of an answer

The CIU's other commands do nothing. AutoColl is among them: what nfcpy programs by hand to listen
as a FeliCa card is never spoken to.

Source: PN532/C1 data sheet, 8.6.23 (grade K).
"""

from typing import Final

FIFO_SIZE: Final = 64


class Reg:
    """Addresses of the registers that mean something here. Plain numbers: they are quick keys."""

    MODE = 0x6301
    TX_MODE = 0x6302
    RX_MODE = 0x6303
    TX_CONTROL = 0x6304
    TX_AUTO = 0x6305
    MANUAL_RCV = 0x630D
    T_MODE = 0x631A
    T_PRESCALER = 0x631B
    T_COUNTER_HI = 0x631E
    T_COUNTER_LO = 0x631F
    COMMAND = 0x6331
    COMM_IRQ = 0x6334
    DIV_IRQ = 0x6335
    ERROR = 0x6336
    FIFO_DATA = 0x6339
    FIFO_LEVEL = 0x633A
    CONTROL = 0x633C
    BIT_FRAMING = 0x633D


CRC: Final = 0x80  # TxMode, RxMode
PARITY_DISABLE: Final = 0x10  # ManualRCV
FIELD_BITS: Final = 0x03  # TxControl: both antenna drivers
FLUSH: Final = 0x80  # FIFOLevel
SET_MARKED: Final = 0x80  # interrupt requests
START_SEND: Final = 0x80  # BitFraming
LAST_BITS: Final = 0x07  # BitFraming, Control
COMMAND_MASK: Final = 0x0F
TRANSCEIVE: Final = 0x0C
BUFFER_OVERFLOW: Final = 0x10  # Error
IRQ_TIMER: Final = 0x01
IRQ_IDLE: Final = 0x10
IRQ_RECEIVED: Final = 0x20
IRQ_SENT: Final = 0x40

TYPE_A: Final = 0x00
ACTIVE: Final = 0x01
FELICA: Final = 0x02
TYPE_B: Final = 0x03

# After the firmware has started; what is not named is 0.
_RESET = {
    Reg.MODE: 0x3B,
    Reg.TX_MODE: CRC,
    Reg.RX_MODE: CRC,
    Reg.TX_CONTROL: 0x80,
    Reg.TX_AUTO: 0x40,  # Force100ASK
    0x6306: 0x10,
    0x6307: 0x84,
    0x6308: 0x84,
    0x6309: 0x4D,
    0x630C: 0x62,
    0x6313: 0x88,
    0x6314: 0x26,
    0x6315: 0x87,
    0x6316: 0x48,
    0x6317: 0x88,
    0x6318: 0x20,
    0x6319: 0x20,
    0x6327: 0x80,  # Version
    Reg.COMM_IRQ: 0x14,
    0x6337: 0x21,
    0x633B: 0x08,
    Reg.CONTROL: 0x10,  # Initiator
    0x633E: 0xA0,
    0xFFB0: 0xFF,  # port 3
    0xFFF7: 0xFF,  # port 7
}


class Registers:
    """The register file. `fifo` is the buffer between host and air."""

    def __init__(self) -> None:
        self.fifo = bytearray()
        self._values: dict[int, int] = dict(_RESET)

    def read(self, address: int) -> int:
        """What a host reads; reading the FIFO takes the byte out."""
        if address == Reg.FIFO_DATA:
            return self.fifo.pop(0) if self.fifo else 0
        if address == Reg.FIFO_LEVEL:
            return len(self.fifo)
        return self._values.get(address, 0)

    def write(self, address: int, byte: int) -> None:
        """What a host writes. What follows from it on the air is the caller's."""
        match address:
            case Reg.FIFO_DATA:
                self._push(byte)
            case Reg.FIFO_LEVEL:
                if byte & FLUSH:
                    self.fifo.clear()
                    self[Reg.ERROR] &= ~BUFFER_OVERFLOW
            case Reg.COMM_IRQ | Reg.DIV_IRQ:
                marked = byte & ~SET_MARKED
                held = self[address]
                self[address] = held | marked if byte & SET_MARKED else held & ~marked
            case Reg.CONTROL:
                self[address] = byte & ~LAST_BITS | self[address] & LAST_BITS
            case Reg.ERROR | Reg.T_COUNTER_HI | Reg.T_COUNTER_LO:
                pass  # read only
            case _:
                self[address] = byte

    def __getitem__(self, address: int) -> int:
        return self._values.get(address, 0)

    def __setitem__(self, address: int, byte: int) -> None:
        self._values[address] = byte & 0xFF

    @property
    def rates(self) -> tuple[int, int]:
        """Bit rates to the other side and back, 0 for 106 kbit/s."""
        return self[Reg.TX_MODE] >> 4 & 0x07, self[Reg.RX_MODE] >> 4 & 0x07

    @property
    def is_type_a(self) -> bool:
        """Whether raw frames are those of ISO/IEC 14443 type A."""
        return not (self[Reg.TX_MODE] | self[Reg.RX_MODE]) & 0x03

    @property
    def is_parity_by_host(self) -> bool:
        """Whether the host sends and gets the parity bits."""
        return bool(self[Reg.MANUAL_RCV] & PARITY_DISABLE)

    @property
    def tx_last_bits(self) -> int:
        """Bits of the last byte that are sent, 1 to 8."""
        return self[Reg.BIT_FRAMING] & LAST_BITS or 8

    def modulate(self, kind: int, rates: tuple[int, int] = (0, 0)) -> None:
        """Set frames up as the firmware does before it polls: whole, with parity and checksum.

        rates: to the other side and back.
        """
        self[Reg.TX_MODE] = CRC | rates[0] << 4 | kind
        self[Reg.RX_MODE] = CRC | rates[1] << 4 | kind
        self[Reg.MANUAL_RCV] &= ~PARITY_DISABLE
        self[Reg.BIT_FRAMING] = 0

    def set_rx_last_bits(self, bits: int) -> None:
        """Note how many bits of the last byte were heard, 8 for all."""
        self[Reg.CONTROL] = self[Reg.CONTROL] & ~LAST_BITS | bits & LAST_BITS

    def stop_timer(self, carrier_periods: int | None) -> None:
        """Let the timer, which ran down from FFFF, stop after a time; None: it ran to its end."""
        if carrier_periods is None:
            self[Reg.T_COUNTER_HI] = self[Reg.T_COUNTER_LO] = 0
            return
        prescaler = (self[Reg.T_MODE] & 0x0F) << 8 | self[Reg.T_PRESCALER]
        left = max(0, 0xFFFF - carrier_periods // (2 * prescaler + 1))
        self[Reg.T_COUNTER_HI] = left >> 8
        self[Reg.T_COUNTER_LO] = left

    def _push(self, byte: int) -> None:
        if len(self.fifo) < FIFO_SIZE:
            self.fifo.append(byte)
        else:
            self[Reg.ERROR] |= BUFFER_OVERFLOW
