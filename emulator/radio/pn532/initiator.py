"""The PN532 as a reader: the In commands.

A card that is listed has a target number, 1 or 2. With two of them, the one found last is selected
and the other sleeps; a command to the other selects it first. Cards of ISO/IEC 14443-4 run the
block protocol in the chip, with frames of 64 bytes to it. Only cards of type A exist here: the
chip polls for all others too, and hears nothing.
"""

from collections.abc import Generator
from typing import Final

from apdu.ats import FRAME_SIZES
from apdu.crc import CRC_SIZE
from emulator.radio.medium import Ask, Heard, Trouble
from emulator.radio.pcd import Found, LinkDead, PcdIsoDep, find, halt, select
from emulator.radio.pn532.bits import with_parity, without_parity
from emulator.radio.pn532.registers import CRC, FELICA, TYPE_A, TYPE_B, Reg
from emulator.radio.pn532.state import (
    AUTOMATIC_RATS,
    FOR_EVER,
    MAX_FETCH,
    NO_PAUSE,
    RETRY_NS,
    Pause,
    State,
    Target,
    Work,
)
from emulator.radio.pn532.status import MORE, OF_TROUBLE, Status

FSDI: Final = 5
"""The chip takes frames of 64 bytes: its RATS is E0 50."""
MOST_TARGETS: Final = 2
LONGEST_TIMEOUT_NS: Final = 100_000 << 15

ISO_DEP: Final = 0x20  # in SEL_RES

_TARGET_MASK = 0x07
_SLOW, _212, _424 = (0, 0), (1, 1), (2, 2)
_MODULATION = {
    0: (TYPE_A, _SLOW),
    1: (FELICA, _212),
    2: (FELICA, _424),
    3: (TYPE_B, _SLOW),
    4: (TYPE_A, _SLOW),
}
_FASTEST = 3
_MIFARE_AUTHENTICATION = frozenset({0x60, 0x61})

# InAutoPoll: types of targets, and the modulations they are polled with.
_ANY_A, _MIFARE, _ISO_DEP_A = 0x00, 0x10, 0x20
_POLL_UNIT_NS = 150_000_000
_TYPE_B_POLLS = frozenset({0x03, 0x23})
_FELICA_RATES = {0x01: _212, 0x11: _212, 0x41: _212, 0x02: _424, 0x12: _424, 0x42: _424}


def in_list_passive_target(chip: State, parameters: bytes) -> Work:
    """InListPassiveTarget: up to two cards of one modulation."""
    most, kind, wanted = parameters[0], parameters[1], _uid(parameters[2:])
    _start_polling(chip)
    chip.registers.modulate(*_MODULATION[kind])
    tries = chip.passive_retries
    while True:
        if kind == 0 and chip.field_on():
            _list_type_a(chip, most, wanted, bool(chip.parameters & AUTOMATIC_RATS))
        if chip.targets or not tries:
            break
        tries -= tries != FOR_EVER
        yield Pause(RETRY_NS)
    return bytes([len(chip.targets)]) + b"".join(map(_target_data, chip.targets))


def in_auto_poll(chip: State, parameters: bytes) -> Work:
    """InAutoPoll: each type of target in turn, so many times, until one is found."""
    times, period, kinds = parameters[0], parameters[1], parameters[2:]
    _start_polling(chip)
    while True:
        for kind in kinds:
            found = _poll_once(chip, kind)
            if found:
                return bytes([len(found)]) + b"".join(found)
            yield Pause(RETRY_NS)
        times -= times != FOR_EVER
        if not times:
            return b"\x00"
        yield Pause(max(0, period * _POLL_UNIT_NS - len(kinds) * RETRY_NS))


def _poll_once(chip: State, kind: int) -> list[bytes]:
    """What one type's poll finds, each as InAutoPoll tells it."""
    if kind in _FELICA_RATES:
        chip.registers.modulate(FELICA, _FELICA_RATES[kind])
        return []
    chip.registers.modulate(TYPE_B if kind in _TYPE_B_POLLS else TYPE_A)
    if kind not in (_ANY_A, _MIFARE, _ISO_DEP_A) or not chip.field_on():
        return []
    wants_isodep = kind != _MIFARE and bool(chip.parameters & AUTOMATIC_RATS)
    _list_type_a(chip, MOST_TARGETS, b"", wants_isodep)
    if kind == _ISO_DEP_A:
        _keep_isodep(chip)
    told = []
    for target in chip.targets:
        data = _target_data(target)
        is_isodep = target.isodep is not None or kind == _ISO_DEP_A
        told.append(bytes([_ISO_DEP_A if is_isodep else _MIFARE, len(data)]) + data)
    return told


def _keep_isodep(chip: State) -> None:
    """Drop listed cards that do not know ISO/IEC 14443-4."""
    kept = [target for target in chip.targets if target.found.sak & ISO_DEP]
    if chip.targets and not kept:
        chip.field_off()  # the next poll finds them fresh
    chip.targets = kept
    for number, target in enumerate(kept, 1):
        target.number = number
    if kept and not kept[-1].is_selected:
        _selected(chip, kept[-1])


def _start_polling(chip: State) -> None:
    chip.antenna.stop()
    chip.targets.clear()


def _uid(initiator_data: bytes) -> bytes:
    """A UID as the host gives it, without its cascade tags."""
    size = len(initiator_data)
    if size == 8:
        return initiator_data[1:]
    return initiator_data if size < 8 else initiator_data[1:4] + initiator_data[5:]


def _list_type_a(chip: State, most: int, wanted: bytes, opens: bool) -> None:
    """Find cards and keep them as targets. opens: ISO/IEC 14443-4 is started where it is known."""
    while len(chip.targets) < most:
        if chip.targets:
            _put_to_sleep(chip, chip.targets[-1])
        found = chip.drive(select(wanted) if wanted else find())
        target = None if found is None else _opened(chip, found, opens)
        if target is None:
            break
        chip.targets.append(target)
        if wanted:
            return
    if chip.targets and not chip.targets[-1].is_selected:
        _selected(chip, chip.targets[-1])


def _opened(chip: State, found: Found, opens: bool) -> Target | None:
    """A found card as the next target. None if it does not answer RATS as it should."""
    number = len(chip.targets) + 1
    if not (opens and found.sak & ISO_DEP):
        return Target(number, found, None)
    isodep = PcdIsoDep(FSDI)
    ats = chip.drive(isodep.activate())
    if ats is None or len(ats) + CRC_SIZE > FRAME_SIZES[FSDI]:
        return None
    return Target(number, found, isodep, ats)


def _target_data(target: Target) -> bytes:
    """A type A target as the chip tells of it: SENS_RES has its high byte first."""
    found = target.found
    return (
        bytes([target.number, found.atqa[1], found.atqa[0], found.sak, len(found.uid)])
        + found.uid
        + target.ats
    )


def in_data_exchange(chip: State, parameters: bytes) -> bytes | Work:
    """InDataExchange: a command to a card by its protocol, and the answer."""
    number, data = parameters[0], parameters[1:]
    target = chip.target(number & _TARGET_MASK)
    if target is None:
        return chip.failed(Status.CONTEXT)
    if number & MORE:
        target.outgoing += data
        return bytes([Status.OK])
    if target.incoming and not data:
        return _fetch(target)
    command, target.outgoing, target.incoming = target.outgoing + data, b"", b""
    if not target.is_selected and not _selected(chip, target):
        return chip.failed(Status.TIMEOUT)
    if target.isodep is not None:
        return _over_isodep(chip, target, command)
    if command[:1] and command[0] in _MIFARE_AUTHENTICATION:
        return chip.failed(Status.AUTHENTICATION)  # the chip's Crypto1 is not here
    return _raw(chip, Ask(command, _timeout_ns(chip)))


def _raw(chip: State, ask: Ask) -> Work:
    return _told(chip, (yield from _try(chip, ask)))


def _over_isodep(chip: State, target: Target, command: bytes) -> Work:
    assert target.isodep is not None
    if not command:
        return chip.failed(Status.INVALID_PARAMETER)
    chip.last_trouble = Status.TIMEOUT  # of a card that was given up before: nothing is sent
    try:
        target.incoming = yield from chip.converse(target.isodep.transmit(command))
    except LinkDead:
        return chip.failed(chip.last_trouble or Status.FORMAT)
    return _fetch(target)


def _fetch(target: Target) -> bytes:
    """As much of an answer as one frame holds, with MI if there is more."""
    part, target.incoming = target.incoming[:MAX_FETCH], target.incoming[MAX_FETCH:]
    return bytes([MORE if target.incoming else Status.OK]) + part


def in_communicate_thru(chip: State, parameters: bytes) -> Work:
    """InCommunicateThru: one frame as the registers say, and what comes back."""
    registers = chip.registers
    to_card, from_card = registers.rates
    if not parameters or not registers.is_type_a or max(to_card, from_card) > _FASTEST:
        heard = None  # no card hears that
    elif registers.is_parity_by_host:
        return (yield from _with_host_parity(chip, parameters))
    else:
        heard = yield from _try(
            chip,
            Ask(
                parameters,
                _timeout_ns(chip),
                registers.tx_last_bits,
                bool(registers[Reg.TX_MODE] & CRC),
                bool(registers[Reg.RX_MODE] & CRC),
                (to_card, from_card),
            ),
        )
    registers.set_rx_last_bits(8)
    if heard is not None and heard.trouble is not Trouble.TIMEOUT:
        return _told(chip, heard)
    while not chip.timeout:
        yield Pause()  # without a timeout the chip listens on
    return chip.failed(Status.TIMEOUT)


def _with_host_parity(chip: State, bits: bytes) -> Work:
    """A frame whose parity bits are among the host's data, and an answer with its own."""
    registers = chip.registers
    frame = without_parity(bits, registers.tx_last_bits)
    if not frame.has_right_parity:
        return chip.failed(Status.TIMEOUT)  # a card does not answer wrong parity
    ask = Ask(frame.data, _timeout_ns(chip), frame.tail, False, False)
    heard = yield from _try(chip, ask)
    if heard.trouble:
        return chip.failed(OF_TROUBLE[heard.trouble])
    answer, last_bits = with_parity(heard.data)
    registers.set_rx_last_bits(last_bits)
    return chip.told(answer)


def _try(chip: State, ask: Ask) -> Generator[Pause, None, Heard]:
    """Send a frame, again and again if nothing comes back, as MaxRtyCOM says."""
    heard = chip.exchange(ask)
    tries = chip.com_retries
    while heard.trouble is Trouble.TIMEOUT and tries:
        tries -= tries != FOR_EVER
        yield NO_PAUSE
        heard = chip.exchange(ask)
    return heard


def _told(chip: State, heard: Heard) -> bytes:
    if heard.trouble:
        return chip.failed(OF_TROUBLE[heard.trouble])
    return chip.told(heard.data)


def _timeout_ns(chip: State) -> int:
    """The timeout of raw frames; without one, the longest."""
    return 100_000 << chip.timeout - 1 if chip.timeout else LONGEST_TIMEOUT_NS


def in_select(chip: State, parameters: bytes) -> bytes:
    """InSelect: make a listed card the one that is talked to."""
    target = chip.target(parameters[0])
    if target is None:
        return chip.failed(Status.CONTEXT)
    if target.is_selected or _selected(chip, target):
        return bytes([Status.OK])
    return chip.failed(Status.TIMEOUT)


def in_deselect(chip: State, parameters: bytes) -> bytes:
    """InDeselect: put a card, or all for 0, to sleep; it stays listed."""
    targets = _named(chip, parameters[0])
    if targets is None:
        return chip.failed(Status.CONTEXT)
    for target in targets:
        _put_to_sleep(chip, target)
    return bytes([Status.OK])


def in_release(chip: State, parameters: bytes) -> bytes:
    """InRelease: put a card, or all for 0, to sleep and forget it; for 0, be no target either."""
    targets = _named(chip, parameters[0])
    if targets is None:
        return chip.failed(Status.CONTEXT)
    for target in targets:
        _put_to_sleep(chip, target)
        chip.targets.remove(target)
    if not parameters[0]:
        chip.antenna.stop()
    return bytes([Status.OK])


def _named(chip: State, number: int) -> list[Target] | None:
    """The targets a number means, 0 for all; None if there is no such target."""
    if not number:
        return list(chip.targets)
    target = chip.target(number)
    return None if target is None else [target]


def _put_to_sleep(chip: State, target: Target) -> None:
    if not target.is_selected:
        return
    target.is_selected = False
    target.outgoing = target.incoming = b""
    if target.isodep is None:
        chip.drive(halt())
    else:
        chip.drive(target.isodep.deselect())


def _selected(chip: State, target: Target) -> bool:
    """Wake one card, with the others asleep. Returns whether it is there."""
    for other in chip.targets:
        _put_to_sleep(chip, other)
    chip.registers.modulate(TYPE_A)
    found = chip.drive(select(target.found.uid))
    if found is None:
        return False
    if target.isodep is not None and chip.drive(target.isodep.activate()) is None:
        return False
    target.is_selected = True
    return True


def in_atr(chip: State, parameters: bytes) -> bytes:
    """InATR: RATS for a card that was listed without it. NFC-DEP is not spoken."""
    target = chip.target(parameters[0])
    if target is None or target.isodep is not None or not target.found.sak & ISO_DEP:
        return chip.failed(Status.CONTEXT)
    isodep = PcdIsoDep(FSDI)
    ats = chip.drive(isodep.activate())
    if ats is None:
        return chip.failed(Status.TIMEOUT)
    target.isodep, target.ats = isodep, ats
    return bytes([Status.OK]) + ats


def in_psl(chip: State, parameters: bytes) -> bytes:
    """InPSL: other bit rates, by PPS."""
    number, to_card, from_card = parameters
    target = chip.target(number)
    if target is None or target.isodep is None:
        return chip.failed(Status.CONTEXT)
    if not target.isodep.ats.offers(from_card, to_card):
        return chip.failed(Status.NOT_ALLOWED)
    if not chip.drive(target.isodep.pps(from_card, to_card)):
        return chip.failed(Status.TIMEOUT)
    chip.registers.modulate(TYPE_A, target.isodep.rates)
    return bytes([Status.OK])


def in_jump_for_dep(chip: State, parameters: bytes) -> Work:
    """InJumpForDEP, InJumpForPSL: no peer of NFC-DEP is ever there."""
    is_active = parameters[0]
    _start_polling(chip)
    tries = chip.atr_retries if is_active else chip.passive_retries
    while chip.field_on() and tries:
        tries -= tries != FOR_EVER
        yield Pause(RETRY_NS)
    return chip.failed(Status.NO_FIELD if is_active else Status.TIMEOUT)
