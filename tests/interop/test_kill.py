"""`kill -9` on a real process and a real file: a slice of the campaign of `make kill`."""

from pathlib import Path

import pytest

from tests.interop.kills import campaign


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_process_leaves_a_whole_card(seed: int, tmp_path: Path):
    tally = campaign(tmp_path, 25, seed)
    assert tally.kills == 25
    assert tally.taps >= 12
