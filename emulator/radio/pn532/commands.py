"""Every command of the PN532, stated once: its code, what its parameters must be, what it does.

Parameters that will not do get the error frame (the manual's "syntax error"); what the chip cannot
do now is an error code in the answer, and the handler's matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.radio.pn532 import housekeeping, initiator, target
from emulator.radio.pn532.link import MAX_DATA, RATES
from emulator.radio.pn532.state import Handler

Check = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Spec:
    """One command.

    takes:     whether parameters are well-formed.
    does:      what answers it.
    is_on_air: whether it may take as long as a card does; it is acknowledged before it begins.
    """

    name: str
    takes: Check
    does: Handler
    is_on_air: bool = False


def _exactly(*sizes: int) -> Check:
    return lambda p: len(p) in sizes


def _at_least(least: int) -> Check:
    return lambda p: least <= len(p) < MAX_DATA


def _at_most(most: int) -> Check:
    return lambda p: len(p) <= most


def _each_of(size: int) -> Check:
    """One or more items of a size."""
    return lambda p: len(p) > 0 and len(p) % size == 0


_DIAGNOSES = {0x01: 1, 0x02: 1, 0x04: 2, 0x05: 4, 0x06: 1, 0x07: 2}
_RF_ITEMS = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
_TIMINGS, _LONGEST_TIMING = 0x02, 0x10  # 3.28 s
_POLL_KINDS = frozenset(
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12, 0x20, 0x23, 0x40, 0x41, 0x42, 0x80, 0x81, 0x82}
)
# InListPassiveTarget: sizes of the initiator's data by modulation: a UID with its cascade tags, a
# FeliCa polling request, an AFI and how to poll, nothing.
_POLL_DATA = {0: (0, 4, 8, 12), 1: (5,), 2: (5,), 3: (1, 2), 4: (0,)}
_MAX_GENERAL = 48
_MAX_POLL_KINDS = 15
_FASTEST = 3
_MAX_PERIOD = 15


def _baud_rate(p: bytes) -> bool:
    return len(p) == 1 and p[0] < len(RATES)


def _bit_rates(p: bytes) -> bool:
    return len(p) == 3 and max(p[1:]) <= _FASTEST


def _diagnose(p: bytes) -> bool:
    return len(p) > 0 and (p[0] == 0x00 or _DIAGNOSES.get(p[0]) == len(p))


def _sam(p: bytes) -> bool:
    return 1 <= len(p) <= 3 and 1 <= p[0] <= 4


def _rf_configuration(p: bytes) -> bool:
    if len(p) == 0 or _RF_ITEMS.get(p[0]) != len(p) - 1:
        return False
    return p[0] != _TIMINGS or max(p[2:]) <= _LONGEST_TIMING


def _list_passive(p: bytes) -> bool:
    return (
        len(p) >= 2
        and 1 <= p[0] <= initiator.MOST_TARGETS
        and len(p) - 2 in _POLL_DATA.get(p[1], ())
    )


def _auto_poll(p: bytes) -> bool:
    return (
        3 <= len(p) <= 2 + _MAX_POLL_KINDS
        and p[0] > 0
        and 1 <= p[1] <= _MAX_PERIOD
        and _POLL_KINDS.issuperset(p[2:])
    )


def _jump(p: bytes) -> bool:
    if len(p) < 3 or p[0] > 1 or p[1] > 2 or p[2] > 7:
        return False
    fixed = 3 + (4 if p[1] == 0 else 5) * (p[2] & 1) + 10 * (p[2] >> 1 & 1)
    return fixed <= len(p) <= fixed + _MAX_GENERAL * (p[2] >> 2)


def _in_atr(p: bytes) -> bool:
    if len(p) < 2 or p[1] > 3:
        return False
    fixed = 2 + 10 * (p[1] & 1)
    return fixed <= len(p) <= fixed + _MAX_GENERAL * (p[1] >> 1)


def _init_as_target(p: bytes) -> bool:
    general_at = target.GENERAL_AT
    if len(p) <= general_at + 1 or p[0] > 7:
        return False
    historical_at = general_at + 1 + p[general_at]
    return (
        p[general_at] < _MAX_GENERAL
        and historical_at < len(p)
        and p[historical_at] <= _MAX_GENERAL
        and len(p) == historical_at + 1 + p[historical_at]
    )


COMMANDS: Final[dict[int, Spec]] = {
    0x00: Spec("Diagnose", _diagnose, housekeeping.diagnose, is_on_air=True),
    0x02: Spec("GetFirmwareVersion", _exactly(0), housekeeping.get_firmware_version),
    0x04: Spec("GetGeneralStatus", _exactly(0), housekeeping.get_general_status),
    0x06: Spec("ReadRegister", _each_of(2), housekeeping.read_register),
    0x08: Spec("WriteRegister", _each_of(3), housekeeping.write_register),
    0x0C: Spec("ReadGPIO", _exactly(0), housekeeping.read_gpio),
    0x0E: Spec("WriteGPIO", _exactly(2), housekeeping.write_gpio),
    0x10: Spec("SetSerialBaudRate", _baud_rate, housekeeping.set_serial_baud_rate),
    0x12: Spec("SetParameters", _exactly(1), housekeeping.set_parameters),
    0x14: Spec("SAMConfiguration", _sam, housekeeping.sam_configuration),
    0x16: Spec("PowerDown", _exactly(1, 2), housekeeping.power_down),
    0x32: Spec("RFConfiguration", _rf_configuration, housekeeping.rf_configuration),
    0x40: Spec("InDataExchange", _at_least(1), initiator.in_data_exchange, is_on_air=True),
    0x42: Spec("InCommunicateThru", _at_least(0), initiator.in_communicate_thru, is_on_air=True),
    0x44: Spec("InDeselect", _exactly(1), initiator.in_deselect, is_on_air=True),
    0x46: Spec("InJumpForPSL", _jump, initiator.in_jump_for_dep, is_on_air=True),
    0x4A: Spec(
        "InListPassiveTarget", _list_passive, initiator.in_list_passive_target, is_on_air=True
    ),
    0x4E: Spec("InPSL", _bit_rates, initiator.in_psl, is_on_air=True),
    0x50: Spec("InATR", _in_atr, initiator.in_atr, is_on_air=True),
    0x52: Spec("InRelease", _exactly(1), initiator.in_release, is_on_air=True),
    0x54: Spec("InSelect", _exactly(1), initiator.in_select, is_on_air=True),
    0x56: Spec("InJumpForDEP", _jump, initiator.in_jump_for_dep, is_on_air=True),
    0x60: Spec("InAutoPoll", _auto_poll, initiator.in_auto_poll, is_on_air=True),
    0x86: Spec("TgGetData", _exactly(0), target.tg_get_data, is_on_air=True),
    0x88: Spec(
        "TgGetInitiatorCommand", _exactly(0), target.tg_get_initiator_command, is_on_air=True
    ),
    0x8A: Spec("TgGetTargetStatus", _exactly(0), target.tg_get_target_status),
    0x8C: Spec("TgInitAsTarget", _init_as_target, target.tg_init_as_target, is_on_air=True),
    0x8E: Spec("TgSetData", _at_least(0), target.tg_set_data),
    0x90: Spec("TgResponseToInitiator", _at_least(0), target.tg_response_to_initiator),
    0x92: Spec("TgSetGeneralBytes", _at_most(_MAX_GENERAL - 1), target.tg_set_general_bytes),
    0x94: Spec("TgSetMetaData", _at_least(0), target.tg_set_meta_data),
}
