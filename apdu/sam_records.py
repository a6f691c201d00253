"""Files, data fields and answers of the PSAM, byte for byte (protocol reference 5.7)."""

from apdu.codec import Bytes, GreedyBytes, Int8ub, Record, Show, record, wire

NAME_MF = b"1PAY.SYS.DDF01"
"""The PSAM's master file, by the habit of FMCOS (annex 9)."""

NAME_CPSAM = bytes.fromhex("A000000632") + b"MOT.CPSAM01"
"""Directory 8011: the transit application (5.7)."""

FID_MF, FID_CPSAM = b"\x3f\x00", b"\x80\x11"


@record
class SamSelectId(Record):
    """SELECT of a PSAM's directory by file id (5.7)."""

    fid: bytes = wire(Bytes(2), "file id", values={0x3F00: "MF", 0x8011: "MOT.CPSAM01"})


@record
class SamPublicInfo(Record):
    """EF15 of the PSAM: what it is. The layout is that of bank PSAMs, inferred."""

    serial: bytes = wire(Bytes(10), "serial number of the PSAM", Show.DIGITS)
    version: int = wire(Int8ub, "version of the PSAM")
    kind: int = wire(Int8ub, "kind of key card")
    own: bytes = wire(Bytes(2), "issuer's own use")


@record
class SamTerminal(Record):
    """EF16 of the PSAM: the terminal number (5.7)."""

    terminal: bytes = wire(Bytes(6), "terminal number", Show.DIGITS)


@record
class SamApplication(Record):
    """EF17 of the PSAM: the key index, then what is inferred from bank PSAMs (5.7)."""

    key_index: int = wire(Int8ub, "key index for INITIALIZE")
    issuer: bytes = wire(Bytes(8), "issuer of the application", Show.DIGITS)
    receiver: bytes = wire(Bytes(8), "receiver of the application", Show.DIGITS)
    start_date: bytes = wire(Bytes(4), "first day of validity", Show.DIGITS)
    end_date: bytes = wire(Bytes(4), "last day of validity", Show.DIGITS)


@record
class DeliveryData(Record):
    """DELIVERY KEY with two levels of diversification, the last one first (5.7)."""

    serial: bytes = wire(Bytes(8), "level 2 factor, EF15[12..19]", Show.DIGITS)
    issuer: bytes = wire(Bytes(8), "level 1 factor, EF15[0..7]", Show.DIGITS)


@record
class DeliveryFactor(Record):
    """DELIVERY KEY with one level of diversification (5.7)."""

    factor: bytes = wire(Bytes(8), "level 1 factor")


@record(sizes=range(16, 256))
class CipherData(Record):
    """CIPHER/MAC: the initial value, then whole blocks that are padded already (5.7)."""

    blocks: bytes = wire(GreedyBytes, "challenge or other initial value, 8 bytes, then padded data")
