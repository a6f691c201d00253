"""What `tapbench trace show` prints: all of it at any width, and nothing a terminal obeys."""

import json
from pathlib import Path

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.cli.trace_diff import diff
from bench.cli.trace_show import ShowOptions, show
from bench.trace_formats import save
from tests.recordings import scenario

HOSTILE = "\x1b]0;owned\x07\ud800\nx"
SHOWN = ".]0;owned.. x"


@pytest.fixture
def air(tmp_path: Path) -> Path:
    path = tmp_path / "air.jsonl"
    save(scenario("air"), path)
    return path


@pytest.mark.parametrize("width", [80, 100, 120, 160])
@pytest.mark.parametrize("layer", ["all", "rf", "apdu"])
def test_nothing_is_cut_off_at_any_width(air, capsys, monkeypatch, width, layer):
    monkeypatch.setenv("COLUMNS", f"{width}")
    show(air, ShowOptions(layer))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said
    words = set(said.split())
    assert {"REQA", "937008A1B2C3D8" if width > 80 else "937008..7"} <= words or layer == "apdu"
    assert {"A66EA037", "10002,"} <= words or layer == "rf"


def test_every_tap_has_the_same_columns(air, capsys):
    show(air, ShowOptions())
    heads = {line for line in capsys.readouterr().out.splitlines() if line.endswith("yuan ")}
    assert len(heads) == 1


def test_the_beginning_is_shown_with_its_offset(tmp_path, capsys):
    """A zone's name is none: CST is a time of China and one of America."""
    trace = scenario("air")
    for name in ("a.jsonl", "a.pcapng"):
        save(trace, tmp_path / name)
        show(tmp_path / name, ShowOptions(tap=1))
        assert "+08:00" in " ".join(capsys.readouterr().out.split())


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    said = Event(0, Source.PCD, Layer.APDU, bytes.fromhex("805C000204"))
    stage = Event(0, Source.STAGE, Layer.GATE, name=HOSTILE, note=HOSTILE, gate=HOSTILE)
    decision = Event(0, Source.DECISION, Layer.GATE, name=HOSTILE, note=HOSTILE, gate=HOSTILE)
    frame = Event(0, Source.PCD, Layer.RF, b"\x26", tail=7, note=HOSTILE)
    path = tmp_path / "hostile.jsonl"
    save(Trace([stage, said, decision, frame], None, HOSTILE), path)
    return path


def test_texts_of_a_file_cannot_command_the_terminal(hostile, capsys, tmp_path):
    show(hostile, ShowOptions())
    said = capsys.readouterr().out
    assert said.count(SHOWN) >= 5
    diff(hostile, hostile, fresh=True, as_json=False)
    other = tmp_path / "other.jsonl"
    save(Trace([Event(0, Source.DECISION, Layer.GATE, name="PASS")]), other)
    diff(hostile, other, fresh=True, as_json=False)
    said += capsys.readouterr().out
    assert said.count(SHOWN) >= 7
    assert not {c for c in said if not c.isprintable()} - {"\n"}


def test_texts_of_a_file_do_not_break_json_or_pictures(hostile, capsys, tmp_path):
    show(hostile, ShowOptions(as_json=True))
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["stage"] == {"name": SHOWN, "note": SHOWN, "gate": SHOWN}
    show(hostile, ShowOptions(svg=tmp_path / "a.svg", html=tmp_path / "a.html"))
    assert "\x1b" not in (tmp_path / "a.svg").read_text() + (tmp_path / "a.html").read_text()


def test_a_picture_fetches_nothing_and_keeps_its_columns(air, tmp_path):
    show(air, ShowOptions(svg=tmp_path / "a.svg"))
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert "url(http" not in drawn.replace('"', "")
    assert "<svg xml:space" in drawn
    assert "GET&#160;BALANCE" in drawn
