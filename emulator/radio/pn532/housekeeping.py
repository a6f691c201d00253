"""Commands that have nothing to do with a card: tests, registers, ports, line, power, settings."""

from typing import Final

from apdu.frame import Frame
from emulator.radio.medium import Ask
from emulator.radio.pn532.link import RATES
from emulator.radio.pn532.registers import (
    COMMAND_MASK,
    CRC,
    FIELD_BITS,
    IRQ_IDLE,
    IRQ_RECEIVED,
    IRQ_SENT,
    IRQ_TIMER,
    START_SEND,
    TRANSCEIVE,
    Reg,
)
from emulator.radio.pn532.state import REMOVE_PRE_POSTAMBLE, Pause, State, Work
from emulator.radio.pn532.status import Status
from emulator.radio.timing import BIT, card_delay

FIRMWARE: Final = bytes.fromhex("32010607")
"""PN532, version 1.6; ISO/IEC 14443 A and B, ISO 18092."""

CIU_TIMEOUT_NS: Final = 5_000_000
"""How long Transceive by hand listens (decided; hosts that do so read the FIFO at once)."""

_POLLS = 0x80  # of the polling test
_SFR = 0xFF00
_HEARD_BITS = 5  # the timer stops when so many bits of an answer have come
_TIMER_LAG = 49  # the timer starts late by so many carrier periods; libnfc corrects it
_FROM_LINE = 0x10  # PowerDown: HSU wakes the chip
_FROM_FIELD = 0x08  # the RF level detector does
_VALIDATE = 0x80  # WriteGPIO
_P3_PINS, _P7_PINS = 0x3F, 0x06


def diagnose(chip: State, parameters: bytes) -> bytes | Work:
    """Diagnose: tests of the line, of memory, of the antenna and of the card's presence."""
    match parameters[0]:
        case 0x00:
            return parameters
        case 0x01 | 0x02 | 0x07:  # ROM, RAM, antenna
            return b"\x00"
        case 0x04:  # polls a FeliCa target 128 times and counts the failures
            return bytes([_POLLS])
        case 0x05:
            return _echo_back()
        case _:
            return _presence(chip)


def _presence(chip: State) -> Work:
    for target in chip.targets:
        if target.is_selected and target.isodep is not None:
            is_present = yield from chip.converse(target.isodep.is_present())
            return bytes([Status.OK if is_present else Status.TIMEOUT])
    return bytes([Status.CONTEXT])


def _echo_back() -> Work:
    """A target that answers each frame with itself, until the next command. No peer is there."""
    while True:
        yield Pause()


def get_firmware_version(chip: State, parameters: bytes) -> bytes:
    """GetFirmwareVersion."""
    return FIRMWARE


def get_general_status(chip: State, parameters: bytes) -> bytes:
    """GetGeneralStatus: the last error, whether there is a foreign field, and the targets."""
    said = bytes([chip.last_error, chip.sees_foreign_field, len(chip.targets)])
    for target in chip.targets:
        to_card, from_card = target.isodep.rates if target.isodep else (0, 0)
        said += bytes([target.number, from_card, to_card, 0x00])  # a type A card
    return said + b"\x00"  # no security module


def read_register(chip: State, parameters: bytes) -> bytes:
    """ReadRegister: any number of two-byte addresses."""
    read = chip.registers.read
    return bytes(
        [
            read(parameters[at] << 8 | parameters[at + 1]) & 0xFF
            for at in range(0, len(parameters), 2)
        ]
    )


def write_register(chip: State, parameters: bytes) -> bytes:
    """WriteRegister: any number of addresses, each with its byte."""
    registers = chip.registers
    for at in range(0, len(parameters), 3):
        address = parameters[at] << 8 | parameters[at + 1]
        byte = parameters[at + 2]
        if address == Reg.TX_CONTROL:
            (chip.field_on if byte & FIELD_BITS else chip.field_off)()
            is_on = FIELD_BITS if chip.is_field_ours else 0
            byte = byte & ~FIELD_BITS | byte & is_on
        registers.write(address, byte)
        is_transceive = registers[Reg.COMMAND] & COMMAND_MASK == TRANSCEIVE
        if address == Reg.BIT_FRAMING and byte & START_SEND and is_transceive:
            _transceive(chip)
    return b""


def _transceive(chip: State) -> None:
    """The CIU's Transceive, by hand: the FIFO goes out, and the answer comes in."""
    registers = chip.registers
    data, tail = bytes(registers.fifo), registers.tx_last_bits
    registers.fifo.clear()
    registers[Reg.BIT_FRAMING] &= ~START_SEND
    if not data or not registers.is_type_a:
        registers[Reg.COMM_IRQ] |= IRQ_SENT | IRQ_TIMER
        return
    adds_crc = tail == 8 and bool(registers[Reg.TX_MODE] & CRC)
    wants_crc = bool(registers[Reg.RX_MODE] & CRC)
    ask = Ask(data, CIU_TIMEOUT_NS, tail, adds_crc, wants_crc, registers.rates)
    heard = chip.exchange(ask)
    if heard.trouble:
        registers.fifo.clear()
        registers[Reg.COMM_IRQ] |= IRQ_SENT | IRQ_TIMER
        registers.stop_timer(None)
        return
    for byte in heard.data:
        registers.write(Reg.FIFO_DATA, byte)
    delay = card_delay(Frame(data, rate=registers.rates[0]))
    registers.stop_timer(delay + _HEARD_BITS * BIT - _TIMER_LAG)
    registers[Reg.COMM_IRQ] |= IRQ_SENT | IRQ_RECEIVED | IRQ_IDLE
    registers.set_rx_last_bits(8)


def read_gpio(chip: State, parameters: bytes) -> bytes:
    """ReadGPIO: ports 3 and 7, and the two pins that choose the host's interface, 0 for HSU."""
    return bytes([chip.gpio["p3"], chip.gpio["p7"], 0x00])


def write_gpio(chip: State, parameters: bytes) -> bytes:
    """WriteGPIO: a port changes if its validation bit is set."""
    p3, p7 = parameters
    if p3 & _VALIDATE:
        chip.gpio["p3"] = p3 & _P3_PINS
    if p7 & _VALIDATE:
        chip.gpio["p7"] = p7 & _P7_PINS
    return b""


def set_serial_baud_rate(chip: State, parameters: bytes) -> bytes:
    """SetSerialBaudRate: from the host's ACK for the answer on."""
    chip.link.change_rate(RATES[parameters[0]])
    return b""


def set_parameters(chip: State, parameters: bytes) -> bytes:
    """SetParameters."""
    chip.parameters = parameters[0]
    chip.link.is_bare = bool(chip.parameters & REMOVE_PRE_POSTAMBLE)
    return b""


def sam_configuration(chip: State, parameters: bytes) -> bytes:
    """SAMConfiguration: there is no security module, and every mode is like the normal one."""
    return b""


def power_down(chip: State, parameters: bytes) -> bytes:
    """PowerDown: the field goes off; only a source that is named wakes the chip."""
    chip.wakes_by_field = bool(parameters[0] & _FROM_FIELD)
    chip.field_off()
    chip.targets.clear()
    chip.antenna.stop()
    chip.link.sleep(wakes_by_line=bool(parameters[0] & _FROM_LINE))
    return bytes([Status.OK])


def rf_configuration(chip: State, parameters: bytes) -> bytes:
    """RFConfiguration: field, timeouts, retries; analog settings mean nothing here."""
    item, data = parameters[0], parameters[1:]
    match item:
        case 0x01:
            (chip.field_on if data[0] & 0x01 else chip.field_off)()
        case 0x02:
            chip.timeout = data[2]
        case 0x04:
            chip.com_retries = data[0]
        case 0x05:
            chip.atr_retries, chip.passive_retries = data[0], data[2]
    return b""
