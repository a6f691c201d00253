"""What an ATS promises (protocol reference 1.3)."""

from dataclasses import replace

import pytest

from apdu.ats import Ats, frame_size, frame_waiting_time_s
from emulator.radio.isodep import IsoDep
from tests.unit.pcd import FSD, PHONE, EchoCard


@pytest.mark.parametrize(
    ("ats", "expected"),
    [
        ("0578807002", Ats(fsc=256, rates=0x80, fwi=7, takes_cid=True)),
        ("0578807000", Ats(fsc=256, rates=0x80, fwi=7, takes_cid=False)),
        ("10788090022090000000000066799D24", Ats(fsc=256, rates=0x80, fwi=9, takes_cid=True)),
        ("01", Ats(fsc=32, rates=0x80, fwi=4, takes_cid=True)),
        ("0205", Ats(fsc=64, rates=0x80, fwi=4, takes_cid=True)),
        ("032890", Ats(fsc=256, rates=0x80, fwi=9, takes_cid=True)),
        ("034800", Ats(fsc=256, rates=0x80, fwi=4, takes_cid=False)),
        ("0328F0", Ats(fsc=256, rates=0x80, fwi=4, takes_cid=True)),
    ],
)
def test_ats_is_read_with_the_defaults_of_the_standard(ats: str, expected: Ats) -> None:
    assert Ats.parse(bytes.fromhex(ats)) == expected


@pytest.mark.parametrize("ats", ["", "00", "0578", "0278", "057880700200"])
def test_a_malformed_ats_is_refused(ats: str) -> None:
    with pytest.raises(ValueError, match="ATS"):
        IsoDep(EchoCard(), replace(PHONE, ats=bytes.fromhex(ats)))


def test_reserved_frame_size_codes_mean_the_largest() -> None:
    assert [frame_size(code) for code in range(16)] == [*FSD, 4096, 4096, 4096]


@pytest.mark.parametrize(("fwi", "fwt_ms"), [(4, 4.83), (7, 38.66), (9, 154.66), (14, 4949.0)])
def test_frame_waiting_time(fwi: int, fwt_ms: float) -> None:
    assert frame_waiting_time_s(fwi) * 1000 == pytest.approx(fwt_ms, abs=0.05)
