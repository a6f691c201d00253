"""The PN532's error codes: the low six bits of the status byte (UM0701-02, 7.1)."""

from enum import IntEnum

from emulator.radio.medium import Trouble


class Status(IntEnum):
    """What became of a command."""

    OK = 0x00
    TIMEOUT = 0x01  # the target has not answered
    CRC = 0x02
    PARITY = 0x03
    BIT_COUNT = 0x04  # erroneous bit count in anticollision
    FRAMING = 0x05
    COLLISION = 0x06
    BUFFER = 0x07  # too small for what came
    NO_FIELD = 0x0A  # the peer did not switch its field on in time
    RF_PROTOCOL = 0x0B
    INVALID_PARAMETER = 0x10
    FORMAT = 0x13  # what came does not match the protocol
    AUTHENTICATION = 0x14  # MIFARE
    INVALID_STATE = 0x25  # of NFC-DEP
    NOT_ALLOWED = 0x26  # in this configuration
    CONTEXT = 0x27  # not acceptable now: initiator or target, unknown target number
    RELEASED = 0x29  # by the initiator


MORE = 0x40
"""MI: there is more data, in the status byte and with the target number."""

OF_TROUBLE = {
    Trouble.NONE: Status.OK,
    Trouble.TIMEOUT: Status.TIMEOUT,
    Trouble.COLLISION: Status.COLLISION,
    Trouble.PARITY: Status.PARITY,
    Trouble.CRC: Status.CRC,
    Trouble.FRAMING: Status.FRAMING,
}
