"""`tapbench bench air` as a user runs it."""

import re
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.interop.test_cli import tapbench


def test_the_table_has_a_row_for_each_rate_and_the_arithmetic_below():
    done = tapbench("bench", "air")
    assert (done.returncode, done.stderr) == (0, "")
    rows = re.findall(r"│\s+(106|212|424|848)\s+│.*│\s+([\d.]+) │\s+([\d,]+) │", done.stdout)
    assert [row[0] for row in rows] == ["106", "212", "424", "848"]
    whole = [float(row[1]) for row in rows]
    assert whole == sorted(whole, reverse=True)
    assert "128 carrier periods" in done.stdout
    assert "86.4 us" in done.stdout


def test_a_picture_is_drawn_once(tmp_path: Path):
    target = tmp_path / "air.svg"
    done = tapbench("bench", "air", "--svg", str(target))
    assert done.returncode == 0
    assert str(target) in done.stdout.replace("\n", "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    root = ElementTree.parse(target).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    before = target.read_bytes()
    check_problem(tapbench("bench", "air", "--svg", str(target)), "--force")
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["air.svg"]


def check_problem(done, wanted: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--timing", "slow"), "choose one of: none, budget, measured"),
        (("--svg", "/dev/null", "--force"), "no regular file"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], wanted: str):
    check_problem(tapbench("bench", "air", *arguments), wanted)
