"""What `bench air` prints and writes, called as a function."""

import json
import re
from pathlib import Path

import pytest

from bench.cli.bench_air import bench_air
from bench.cli.bench_show import Output
from bench.problem import Problem


def printed(
    capsys, *, timing="none", frames=False, svg=None, force=False, as_json=False, html=None
) -> str:
    bench_air(timing, frames, svg, Output(as_json, html, force))
    return capsys.readouterr().out


def test_frames_lists_every_frame_of_every_rate(capsys):
    out = printed(capsys, frames=True)
    assert len(re.findall(r"│ pcd  │", out)) == 14 + 3 * 15
    assert len(re.findall(r"│ picc │", out)) == 14 + 3 * 15
    assert "805401000F" in out


def test_json_adds_up(capsys):
    told = json.loads(printed(capsys, timing="measured", frames=True, as_json=True))["detail"]
    assert told["timing"] == "measured"
    assert [tap["kbit_per_s"] for tap in told["taps"]] == [106, 212, 424, 848]
    for tap in told["taps"]:
        frames = tap["frames"]
        assert frames[0]["start_us"] == 0
        end_us = frames[-1]["start_us"] + frames[-1]["us"]
        assert tap["tap_ms"] == pytest.approx(tap["activation_ms"] + tap["apdus_ms"])
        assert tap["tap_ms"] >= end_us / 1e3  # the PSAM's last command comes after the card
        for side, source in (("reader", "pcd"), ("card", "picc")):
            own = [frame for frame in frames if frame["from"] == source]
            assert tap[side]["frames"] == len(own)
            assert tap[side]["bytes"] == sum(len(frame["hex"]) // 2 for frame in own)
            assert tap[side]["bits"] == sum(frame["bits"] for frame in own)
            assert tap[side]["ms"] == pytest.approx(sum(frame["us"] for frame in own) / 1e3)


def test_json_without_frames_is_short(capsys):
    told = json.loads(printed(capsys, as_json=True))["detail"]
    assert "frames" not in told["taps"][0]


def test_a_forced_picture_replaces_the_old_one(capsys, tmp_path: Path):
    target = tmp_path / "air.svg"
    out = printed(capsys, svg=str(target))
    assert str(target) in out.replace("\n", "")
    assert b"budget" not in target.read_bytes()
    printed(capsys, svg=str(target), timing="budget", force=True, as_json=True)
    assert b"budget" in target.read_bytes()


@pytest.mark.parametrize("timing", ["", "slow", "../timing/budget", "None"])
def test_an_unknown_timing_names_those_there_are(timing: str):
    with pytest.raises(Problem, match="choose one of: none, budget, measured"):
        bench_air(timing, False, None, Output())


def test_a_place_that_cannot_be_written_is_a_problem_before_anything_is_printed(capsys):
    with pytest.raises(Problem, match=r"no file can be written at /nowhere/at/all\.svg"):
        bench_air("none", False, "/nowhere/at/all.svg", Output())
    assert capsys.readouterr().out == ""


def test_a_page_has_the_table_and_the_picture(capsys, tmp_path: Path):
    page = tmp_path / "air.html"
    printed(capsys, html=page)
    text = page.read_text()
    assert "<svg" in text
    assert "taps/min" in text
    with pytest.raises(Problem, match="--force"):
        bench_air("none", False, None, Output(html=page))
