"""`kill -9` on a process with a PSAM in a file: a slice of `tests.interop.psam_kills`."""

from pathlib import Path

import pytest

from tests.interop.psam_kills import campaign


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_psam_gives_no_number_twice(seed: int, tmp_path: Path):
    tally = campaign(tmp_path, 25, seed)
    assert tally.kills == 25
    assert tally.given >= 25
