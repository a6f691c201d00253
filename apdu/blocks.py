"""Blocks of ISO/IEC 14443-4: what a frame between ATS and S(DESELECT) says.

A block is PCB [CID] [NAD] [INF]; the frame adds CRC_A. The card's and the reader's machines, the
decoder of traces and the tests all read the bits from here.
"""

from enum import Enum, auto
from typing import Final

from apdu.value import value

RATS: Final = 0xE0
MAX_CID: Final = 14
MAX_WTXM: Final = 59

# Protocol control bytes and their bits, ISO/IEC 14443-4, 7.1 (protocol reference 1.5).
I_BLOCK: Final = 0x02
R_ACK: Final = 0xA2
R_NAK: Final = 0xB2
S_DESELECT: Final = 0xC2
S_WTX: Final = 0xF2
PPS: Final = 0xD0
NUMBER: Final = 0x01
NAD_FOLLOWS: Final = 0x04
CID_FOLLOWS: Final = 0x08
MORE: Final = 0x10
NAK: Final = 0x10


class Kind(Enum):
    """What a protocol control byte announces."""

    I_BLOCK = auto()
    R_BLOCK = auto()
    DESELECT = auto()
    WTX = auto()
    PPS = auto()


# (mask, value): the bits that the standard fixes. S(PARAMETERS), F0, is not among them.
_CODING = (
    (0xE2, I_BLOCK, Kind.I_BLOCK),
    (0xE6, R_ACK, Kind.R_BLOCK),
    (0xF7, S_DESELECT, Kind.DESELECT),
    (0xF7, S_WTX, Kind.WTX),
    (0xF0, PPS, Kind.PPS),
)
KINDS: Final = {
    pcb: kind for pcb in range(256) for mask, coded, kind in _CODING if pcb & mask == coded
}


@value
class Block:
    """One block taken apart. cid, nad: None if the block carries none; inf: the rest."""

    pcb: int
    kind: Kind
    cid: int | None
    nad: int | None
    inf: bytes

    @classmethod
    def parse(cls, frame: bytes) -> "Block | None":
        """Read a frame without CRC; None if it is no block.

        The CID byte's upper bits are a power level and not part of the CID (7.1.1.2).

        >>> Block.parse(bytes.fromhex("0A05805C000204")).title
        'I(0) CID 5'
        >>> Block.parse(b"\\xe0\\x80") is None
        True
        """
        kind = KINDS.get(frame[0]) if frame else None
        if kind is None:
            return None
        pcb = frame[0]
        if kind is Kind.PPS:  # PPSS carries its CID in itself, 5.3.1
            return cls(pcb, kind, pcb & 0x0F, None, frame[1:])
        at = 1
        cid = nad = None
        if pcb & CID_FOLLOWS:
            if len(frame) < 2:
                return None
            cid = frame[at] & 0x0F
            at += 1
        if kind is Kind.I_BLOCK and pcb & NAD_FOLLOWS:
            if len(frame) <= at:
                return None
            nad = frame[at]
            at += 1
        return cls(pcb, kind, cid, nad, frame[at:])

    @property
    def number(self) -> int:
        """The block number of an I- or R-block."""
        return self.pcb & NUMBER

    @property
    def has_more(self) -> bool:
        """Whether an I-block is a part of a chain that goes on."""
        return self.kind is Kind.I_BLOCK and bool(self.pcb & MORE)

    @property
    def is_nak(self) -> bool:
        """Whether an R-block says that nothing good arrived."""
        return self.kind is Kind.R_BLOCK and bool(self.pcb & NAK)

    @property
    def title(self) -> str:
        """The block in the standard's notation, such as I(1)+, R(NAK 0) or S(WTX 5)."""
        if self.kind is Kind.PPS:
            return f"PPS CID {self.cid}"
        said = {
            Kind.I_BLOCK: f"I({self.number})" + ("+" if self.has_more else ""),
            Kind.R_BLOCK: f"R({'NAK' if self.is_nak else 'ACK'} {self.number})",
            Kind.DESELECT: "S(DESELECT)",
            Kind.WTX: f"S(WTX {self.inf[0] & 0x3F})" if self.inf else "S(WTX)",
        }[self.kind]
        if self.cid is not None:
            said += f" CID {self.cid}"
        return said if self.nad is None else f"{said} NAD {self.nad:02X}"
