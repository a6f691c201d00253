"""The answer to select of ISO/IEC 14443-4, read: what a card promises before the first block."""

from dataclasses import dataclass
from typing import Final

FRAME_SIZES: Final = (16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)  # by FSDI, FSCI
MAX_FWI: Final = 14
DEFAULT_FWI: Final = 4


@dataclass(frozen=True, slots=True)
class Ats:
    """The parameters of an ATS (ISO/IEC 14443-4, 5.2); what is absent has the standard's default.

    fsc:       the largest frame the card takes, in bytes with CRC.
    rates:     TA as it is; `offers` reads it.
    fwi:       frame waiting time integer, 0 .. 14.
    takes_cid: whether the card knows CIDs.
    takes_nad: whether the card knows node addresses.
    sfgi:      start-up frame guard time integer, 0 .. 14; 0 asks for none.
    """

    fsc: int = 32
    rates: int = 0x80
    fwi: int = DEFAULT_FWI
    takes_cid: bool = True
    takes_nad: bool = False
    sfgi: int = 0

    @classmethod
    def parse(cls, ats: bytes) -> "Ats":
        """Read TL, T0, TA, TB and TC. Raises ValueError if promised bytes are not there.

        >>> Ats.parse(bytes.fromhex("0578807002"))
        Ats(fsc=256, rates=128, fwi=7, takes_cid=True, takes_nad=False, sfgi=0)
        """
        if not ats or ats[0] != len(ats):
            raise ValueError(f"TL of the ATS {ats.hex()} does not count its {len(ats)} bytes")
        if len(ats) == 1:
            return cls()
        t0, interface = ats[1], list(ats[2:])
        if (t0 & 0x70).bit_count() > len(interface):
            raise ValueError(f"T0 of the ATS {ats.hex()} promises interface bytes that are missing")
        ta = interface.pop(0) if t0 & 0x10 else 0x80
        tb = interface.pop(0) if t0 & 0x20 else DEFAULT_FWI << 4
        tc = interface.pop(0) if t0 & 0x40 else 0x02
        fwi, sfgi = tb >> 4, tb & 0x0F
        return cls(
            fsc=frame_size(t0 & 0x0F),
            rates=ta,
            fwi=fwi if fwi <= MAX_FWI else DEFAULT_FWI,  # 15 is reserved
            takes_cid=bool(tc & 0x02),
            takes_nad=bool(tc & 0x01),
            sfgi=sfgi if sfgi <= MAX_FWI else 0,  # 15 is reserved
        )

    @property
    def fwt_s(self) -> float:
        """Frame waiting time: how long the card may take to begin a block (7.2)."""
        return frame_waiting_time_s(self.fwi)

    @property
    def guard_ns(self) -> int:
        """Start-up frame guard time: silence the card wants after its ATS; 0 for none (5.2.5)."""
        return round(frame_waiting_time_s(self.sfgi) * 1e9) if self.sfgi else 0

    def offers(self, dsi: int, dri: int) -> bool:
        """Whether TA allows these divisors of PPS1, 0 .. 3 for 106 .. 848 kbit/s (5.2.4)."""
        sends = 1 | (self.rates >> 4 & 0x07) << 1  # 106 kbit/s always
        takes = 1 | (self.rates & 0x07) << 1
        same_only = bool(self.rates & 0x80)
        return bool(sends >> dsi & takes >> dri & 1) and (dsi == dri or not same_only)


def frame_size(code: int) -> int:
    """Bytes of a frame, CRC included, by FSDI or FSCI. Reserved codes mean the largest."""
    return FRAME_SIZES[min(code, len(FRAME_SIZES) - 1)]


def frame_waiting_time_s(fwi: int) -> float:
    """FWT = 4096/fc * 2^FWI, fc = 13.56 MHz (ISO/IEC 14443-4, 7.2)."""
    return 4096 / 13.56e6 * (1 << fwi)
