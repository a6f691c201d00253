"""A phone is lost: from the served office over the station's line to a gate, all of them programs.

And back: what the gate wrote down comes over the same line, is stored, and is cleared.
"""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.interop.test_issuer_cli import NOW, PROVE, held, serving, tapbench
from tests.offices import document

EVENING = ("--now", "2025-10-09T18:00:00+08:00")
SOME_GATES = {"entry": "Yongtaizhuang", "exit": "080019"}
HONG = ("--school", "UCAS", "--number", "2025K00001", "--name", "李小红")


def tapped(here: Path, gate: str, at: str, code: int, phone: str = "phone") -> dict:
    """What a gate says of the card in a phone."""
    with held(here, phone) as device:
        road = ("--via", "nfc", "--device", device, "--config", f"{gate}.toml", "--cards", "1")
        return json.loads(tapbench(here, "gate", *road, "--at", at, "--json", code=code))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An office with two cards, one of them lost, and two gates."""
    tapbench(tmp_path, "issuer", "init", "--sample")
    tapbench(tmp_path, "phone", "new", "xiaoming")
    tapbench(tmp_path, "phone", "new", "xiaohong", "--phone", "hong")
    tapbench(tmp_path, "phone", "prove", *PROVE, *NOW)
    who = (*HONG, "--document", document(1))
    tapbench(tmp_path, "phone", "prove", "--phone", "hong", *who, *NOW)
    for phone in ("phone", "hong"):
        tapbench(tmp_path, "phone", "open", "--phone", phone, *NOW)
    tapbench(tmp_path, "phone", "topup", "50", *NOW)
    tapbench(tmp_path, "phone", "lost", "--phone", "hong", *NOW)
    tapbench(tmp_path, "issuer", "token", "gate", "--out", "gate.token", *NOW)
    tapbench(
        tmp_path, "issuer", "token", "student", "--login", "xiaoming", "--out", "me.token", *NOW
    )
    for way, place in SOME_GATES.items():
        (tmp_path / f"{way}.toml").write_text(
            f'direction = "{way}"\nstation = "{place}"\nblacklist = "list"\n'
            f'journal = "{way}.journal"\n'
        )
    return tmp_path


@pytest.mark.rule("R29", "R31")
@pytest.mark.timeout(120)
def test_a_lost_phone_is_refused_and_its_rides_are_cleared_over_the_stations_line(here: Path):
    gates = ("entry.toml", "exit.toml")
    with serving(here, EVENING) as (url, _):
        line = ("station", *gates, "--url", url, "--token-file", "gate.token")
        assert "list: blacklist version 1, 1 cards" in tapbench(here, *line)
        assert tapped(here, "entry", "2025-10-09T10:10:00", 0)["verdict"] == "pass"
        mine = ("--url", url, "--token-file", "me.token")
        before = tapbench(here, "issuer", "report")
        said = tapbench(here, "phone", "return", *mine, code=2)
        assert "R31: The card has a trip without exit" in said
        assert tapbench(here, "issuer", "report") == before
        assert tapped(here, "exit", "2025-10-09T10:40:00", 0)["verdict"] == "pass"
        told = json.loads(tapbench(here, *line, "--json"))
        assert (told["cut"], told["delivered"], told["refused"]) == (2, 2, [])
        assert "blacklist version 2" in tapbench(here, "phone", "lost", *mine)
        assert "version 2, 2 cards (was version 1)" in tapbench(here, *line)
        said = tapped(here, "entry", "2025-10-09T18:10:00", 1)
        assert said["reason"] == "BLACKLISTED"
        assert tapped(here, "exit", "2025-10-09T18:11:00", 1)["reason"] == "BLOCKED"
        assert json.loads(tapbench(here, *line, "--json"))["delivered"] == 0
    office = ("--db", "office/office.db")
    assert "nothing was found" in tapbench(here, "clearing", "run", *office)
    (day,) = json.loads(tapbench(here, "clearing", "report", *office, "--json"))
    assert (day["taps"], day["is_balanced"]) == (2, True)
    assert day["in_records"] > 0


def test_while_the_office_is_away_the_records_wait_and_then_arrive_once(here: Path):
    with serving(here) as (url, _):
        line = ("--token-file", "gate.token", "--url", url)
        tapbench(here, "station", "entry.toml", *line)
    tapped(here, "entry", "2025-10-09T10:10:00", 0)
    (here / "alone.toml").write_text((here / "entry.toml").read_text().replace("blacklist", "#"))
    for _ in range(2):
        assert "batches wait" in tapbench(here, "station", "alone.toml", *line, code=2)
    assert len(list((here / "outbox").glob("*.batch"))) == 1
    with serving(here) as (url, _):
        line = ("--token-file", "gate.token", "--url", url)
        assert "0 batches cut, 1 delivered" in tapbench(here, "station", "entry.toml", *line)
        assert "0 batches cut, 0 delivered" in tapbench(here, "station", "entry.toml", *line)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("entry.toml", "--url", "ftp://x", "--token-file", "gate.token"), "expected an address"),
        (("entry.toml", "--url", "http://127.0.0.1:9", "--token-file", "none"), "cannot be read"),
        (("entry.toml", "--url", "http://127.0.0.1:9", "--token-file", "gate.token"), "reached"),
        (("none.toml", "--url", "http://127.0.0.1:9", "--token-file", "gate.token"), "cannot be"),
        (("bare.toml", "--url", "http://127.0.0.1:9", "--token-file", "gate.token"), "neither"),
        (("odd.toml", "--url", "http://127.0.0.1:9", "--token-file", "gate.token"), "no gate's"),
    ],
)
def test_a_station_that_cannot_work_says_so_in_one_sentence(tmp_path: Path, arguments, words):
    (tmp_path / "gate.token").write_text("tb_x\n")
    place = 'direction = "entry"\nstation = "Yongtaizhuang"\n'
    (tmp_path / "entry.toml").write_text(f'{place}blacklist = "list"\n')
    (tmp_path / "bare.toml").write_text(place)
    (tmp_path / "odd.toml").write_text(f'{place}journal = "odd.toml"\n')
    assert words in tapbench(tmp_path, "station", *arguments, code=2)
    assert not (tmp_path / "list").exists()


def test_a_station_goes_on_while_the_office_is_away(tmp_path: Path, monkeypatch):
    place = 'direction = "entry"\nstation = "Yongtaizhuang"\n'
    (tmp_path / "entry.toml").write_text(f'{place}blacklist = "list"\n')
    (tmp_path / "gate.token").write_text("tb_x\n")
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    clock = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
    monkeypatch.setattr("bench.cli.station.time", clock)
    away = ("--url", "http://127.0.0.1:9", "--token-file", "gate.token", "--every", "7")
    said = tapbench(tmp_path, "station", "entry.toml", *away, code=130)
    assert slept == [7.0] * 3
    assert said.count("cannot be reached") == 3
