"""The PN532 as a card: the Tg commands. What happens in the field is in `antenna`."""

from typing import Final

from apdu.frame import Frame
from emulator.picc import Contactless
from emulator.radio.pn532.antenna import Inbound, Invitation, Phase, is_atr_request
from emulator.radio.pn532.bits import without_parity
from emulator.radio.pn532.initiator import ISO_DEP
from emulator.radio.pn532.registers import CRC, TYPE_A, Reg, Registers
from emulator.radio.pn532.state import MAX_FETCH, RUNS_PICC, Pause, State, Work
from emulator.radio.pn532.status import MORE, Status

UID_START: Final = 0x08
"""First byte of the UID: it says that the UID is a random one, and the host cannot change it."""
ATS_PARAMETERS: Final = bytes.fromhex("75339203")
"""T0, TA, TB, TC of the ATS that the chip sends; the host gives the historical bytes."""
DEP_ONLY, PICC_ONLY = 0x02, 0x04
"""Bits of the mode in TgInitAsTarget; the lowest, passive only, is all there is."""
GENERAL_AT: Final = 35
"""Where TgInitAsTarget counts its general bytes: after mode, MIFARE, FeliCa and NFCID3t."""

_ACTIVATED_PICC, _ACTIVATED_DEP = 0x08, 0x04
_ACTIVATED, _DESELECTED = 0x01, 0x02


def tg_init_as_target(chip: State, parameters: bytes) -> Work:
    """TgInitAsTarget: wait for a reader; answer with what the chip became and the first frame."""
    mode, atqa, rest, sak = parameters[0], parameters[1:3], parameters[3:6], parameters[6]
    historical = parameters[GENERAL_AT + 2 + parameters[GENERAL_AT] :]
    ats = bytes([1 + len(ATS_PARAMETERS) + len(historical)]) + ATS_PARAMETERS + historical
    chip.field_off()
    chip.targets.clear()
    chip.fetched = chip.pending = b""
    chip.registers.modulate(TYPE_A)
    invitation = Invitation(
        Contactless(atqa, sak, bytes([UID_START]) + rest, ats),
        runs_picc=bool(chip.parameters & RUNS_PICC and sak & ISO_DEP),
        only_picc=bool(mode & PICC_ONLY),
        only_dep=bool(mode & DEP_ONLY),
    )
    try:
        return (yield from _wait_for_reader(chip, invitation))
    except GeneratorExit:
        chip.antenna.stop()
        raise


def _wait_for_reader(chip: State, invitation: Invitation) -> Work:
    antenna = chip.antenna
    antenna.listen(invitation, chip.registers)
    while True:
        came = antenna.take()
        if came is None:
            yield Pause()
        elif came.status or len(came.data) > MAX_FETCH:
            antenna.listen(invitation, chip.registers)  # the reader has gone already, or is mad
        elif came.is_picc:  # what the chip has become by now is for the next command
            return bytes([_ACTIVATED_PICC]) + came.data
        else:
            return bytes([_ACTIVATED_DEP if is_atr_request(came.data) else 0x00]) + came.data


def tg_get_initiator_command(chip: State, parameters: bytes) -> bytes | Work:
    """TgGetInitiatorCommand: the reader's next frame, as it is."""
    if chip.antenna.phase not in (Phase.RAW, Phase.RELEASED):
        return chip.failed(Status.CONTEXT)
    came = chip.antenna.take()
    return _wait_for_frame(chip) if came is None else _came(chip, came)


def _wait_for_frame(chip: State) -> Work:
    while True:
        yield Pause()
        came = chip.antenna.take()
        if came is not None:
            return _came(chip, came)


def _came(chip: State, came: Inbound) -> bytes:
    return chip.failed(came.status) if came.status else chip.told(came.data)


def tg_response_to_initiator(chip: State, parameters: bytes) -> bytes:
    """TgResponseToInitiator: a frame to the reader, as it is. Nothing is no frame."""
    match chip.antenna.phase:
        case Phase.RELEASED:
            return chip.failed(Status.RELEASED)
        case Phase.RAW:
            if parameters:
                chip.antenna.send(_raw_frame(chip.registers, parameters))
            return bytes([Status.OK])
        case _:
            return chip.failed(Status.CONTEXT)


def _raw_frame(registers: Registers, data: bytes) -> Frame:
    """A frame to the reader as the registers say."""
    tail = registers.tx_last_bits
    if registers.is_parity_by_host:
        return without_parity(data, tail)
    if tail != 8:
        return Frame(data, tail)
    return Frame.whole(data, bool(registers[Reg.TX_MODE] & CRC))


def tg_get_data(chip: State, parameters: bytes) -> bytes | Work:
    """TgGetData: the reader's next command, taken out of its blocks."""
    if chip.fetched:
        return _fetch(chip)
    if chip.antenna.phase not in (Phase.PICC, Phase.RELEASED):
        return chip.failed(Status.CONTEXT)
    return _wait_for_command(chip)


def _wait_for_command(chip: State) -> Work:
    while True:
        came = chip.antenna.take()
        if came is None:
            yield Pause()
        elif came.status:
            return chip.failed(came.status)
        else:
            chip.fetched = came.data
            return _fetch(chip)


def _fetch(chip: State) -> bytes:
    part, chip.fetched = chip.fetched[:MAX_FETCH], chip.fetched[MAX_FETCH:]
    return bytes([MORE if chip.fetched else Status.OK]) + part


def tg_set_data(chip: State, parameters: bytes) -> bytes:
    """TgSetData: the response to the reader's command, or its last part."""
    response, chip.pending = chip.pending + parameters, b""
    status = chip.antenna.respond(response)
    return chip.failed(status) if status else bytes([Status.OK])


def tg_set_meta_data(chip: State, parameters: bytes) -> bytes:
    """TgSetMetaData: a part of a response that goes on."""
    if chip.antenna.phase is not Phase.PICC:
        return chip.failed(Status.CONTEXT)
    chip.pending += parameters
    return bytes([Status.OK])


def tg_set_general_bytes(chip: State, parameters: bytes) -> bytes:
    """TgSetGeneralBytes: for the answer to ATR_REQ, which the chip never gives by itself."""
    return chip.failed(Status.CONTEXT)


def tg_get_target_status(chip: State, parameters: bytes) -> bytes:
    """TgGetTargetStatus: idle, activated or deselected, and the bit rates."""
    if chip.antenna.phase in (Phase.RAW, Phase.PICC):
        to_card, from_card = chip.antenna.rates
        return bytes([_ACTIVATED, from_card << 4 | to_card])
    return bytes([_DESELECTED if chip.antenna.was_deselected else 0x00, 0x00])
