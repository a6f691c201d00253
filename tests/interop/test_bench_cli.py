"""`tapbench bench` as a user runs it: results, pages, comparisons, and what goes wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fixtures
from bench.cli.app import run_app
from bench.clock import now
from bench.rig.errors import RigError
from bench.rig.pcscd import PrivatePcscd
from bench.throughput.costs import road_cost, seven_over_pcsc
from bench.throughput.document import read_document
from bench.throughput.floor import vpcd_floor
from bench.throughput.histogram import Measure
from bench.throughput.tap import Plan
from emulator.card.card import Card
from emulator.card.personalise import personalise
from emulator.frontends.udp import UdpFrontend
from reader.transport.pcsc import PcscCoupler
from tests.interop.conftest import Here
from tests.interop.test_cli import refused

SMALL = ("--count", "5", "--runs", "2", "--warm-up", "1")
FEW = Plan(20, 2, 2)


def test_taps_are_told_by_command_and_by_part(here: Here):
    done = here("bench", "tap", "--via", "inproc,udp,air", *SMALL)
    assert done.returncode == 0, done.stderr
    for word in (
        "p99.9", "inproc taps a second", "card DEBIT FOR PURCHASE", "psam INIT_SAM_FOR_PURCHASE",
        "reader code", "PSAM", "transport", "udp APDU, in turn / an echo responder",
        "recorded / not recorded", "ms at 106 kbit/s",
    ):  # fmt: skip
        assert word in done.stdout


def test_a_result_is_a_document_that_can_be_read_and_compared(here: Here, tmp_path: Path):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in files:
        path.write_text(here("bench", "tap", "--via", "inproc", *SMALL, "--json").stdout)
    document = read_document(files[0])
    assert (document.kind, document.seed) == ("tap", 1)
    tap = document.measures["inproc tap"]
    assert (tap.count, len(tap.runs), tap.unit) == (10, 2, "us")
    assert document.options["write"] is False
    assert len(document.measures["yardstick, the machine itself"].runs) == 2 * 2 + 1
    assert document.measures["air at 106 kbit/s"].unit == "ms"
    commands = [name for name in document.measures if name.startswith("inproc command ")]
    assert len(commands) == 12
    whole = sum(document.measures[f"inproc part {name}"].typical for name in ("card", "PSAM"))
    assert 0 < whole < 10 * tap.typical
    done = here("bench", "compare", *files, "--max-regression", "100000%")
    assert done.returncode == 0, done.stderr
    assert "inproc tap" in done.stdout
    by_option = here("bench", "tap", "--compare", *files, "--max-regression", "100000%")
    assert by_option.stdout == done.stdout
    refused(here("bench", "tap", "--compare", *files, "--html", tmp_path / "x"), "no page")
    told = json.loads(here("bench", "compare", *files, "--json").stdout)
    assert told["measures"]["inproc tap"]["unit"] == "us"


def test_something_that_got_twice_as_slow_is_exit_code_1(here: Here, tmp_path: Path):
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text(here("bench", "air", "--json").stdout)
    told = json.loads(before.read_text())
    told["measures"]["106 kbit/s tap"]["runs"] = [2 * 65.0]
    after.write_text(json.dumps(told))
    done = here("bench", "compare", before, after, "--max-regression", "10%")
    assert done.returncode == 1
    assert "Worse by more than 10%: 106 kbit/s tap." in done.stdout
    assert here("bench", "compare", before, after, "--max-regression", "150").returncode == 0


def test_pages_hold_charts_and_everything_else(here: Here, tmp_path: Path):
    page = tmp_path / "tap.html"
    done = here("bench", "tap", "--via", "inproc", *SMALL, "--html", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.count("<svg") == 2
    assert not re.search(r"<script|<link|src=", text)
    before = page.read_bytes()
    refused(here("bench", "tap", "--via", "inproc", *SMALL, "--html", page), "--force")
    assert page.read_bytes() == before


def test_the_card_alone(here: Here, tmp_path: Path):
    page = tmp_path / "card.html"
    done = here("bench", "card", "--count", "50", "--runs", "1", "--html", page)
    assert done.returncode == 0, done.stderr
    for word in ("purchase cryptograms / floor", "codec by the table / by hand", "10,000 cards"):
        assert word in done.stdout
    assert "<svg" in page.read_text()


def test_targets_name_what_is_missed_with_exit_code_1(here: Here, tmp_path: Path):
    few = ("--scale", "0.02", "--runs", "1", "--in", tmp_path)
    done = here("bench", "targets", "--only", "T4,T10,T12", *few, "--json")
    told = json.loads(done.stdout)
    assert {one["target"] for one in told["detail"]["targets"]} == {"T4", "T10", "T12"}
    verdicts = [one["verdict"] for one in told["detail"]["targets"]]
    for one in told["detail"]["targets"]:
        words = f"{one['verdict']}: {one['target']}, {one['name']}"
        assert (words in done.stderr) == (one["verdict"] in ("missed", "not measured"))
    assert done.returncode == (1 if "missed" in verdicts else 0)


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (("store", "--count", "20", "--runs", "1"), "commit / bare write and fsync"),
        (("journal", "--count", "20", "--runs", "1"), "record / bare write and fsync"),
        (("clearing", "--cards", "20"), "of one processor's work"),
        (("memory", "--count", "20"), "a card, after a tap"),
    ],
)
def test_the_other_benches_are_documents_too(here: Here, tmp_path: Path, command, title):
    where = ("--in", str(tmp_path)) if command[0] in ("store", "journal") else ()
    path = tmp_path / "a.json"
    path.write_text(here("bench", *command, *where, "--json").stdout)
    assert title in read_document(path).measures


def test_ratios_are_kept_and_held_to_a_baseline(here: Here, tmp_path: Path):
    kept, strict = tmp_path / "now.json", tmp_path / "strict.json"
    assert here("bench", "ratios", "--out", kept).returncode == 0
    told = json.loads(kept.read_text())
    assert here("bench", "ratios", "--baseline", kept).returncode in (0, 1)
    told["measures"] = {
        "codec / struct by hand": {"unit": "ratio", "better": "less", "runs": [0.01]}
    }
    strict.write_text(json.dumps(told))
    done = here("bench", "ratios", "--baseline", strict)
    assert done.returncode == 1
    assert "codec / struct by hand grew to" in done.stderr
    refused(here("bench", "ratios", "--out", kept), "--force")


def test_a_ratio_that_cannot_be_measured_fails_where_every_one_is_wanted(monkeypatch, capsys):
    def gone() -> Measure:
        raise RigError("pcscd is not installed")

    monkeypatch.setattr("bench.throughput.ratios.check.__defaults__", ({"a": gone}, lambda: None))
    assert run_app(["bench", "ratios"]) == 0
    assert run_app(["bench", "ratios", "--every"]) == 1
    assert "a: left out, pcscd is not installed" in capsys.readouterr().err


# A card on a reader


@contextmanager
def in_field(card: Card) -> Iterator[str]:
    """The card in an nfcpy reader's field, as --via says it."""
    front = UdpFrontend(card, port=0)
    with front.running():
        host, port = front.address
        yield f"nfc:udp:{host}:{port}"


def opened_today(**changes: Any) -> Card:
    profile = replace(fixtures.load_profile("student").issued_on(now().date()), **changes)
    return personalise(profile, fixtures.load_roots())


def test_a_card_on_a_reader_is_only_read(here: Here):
    card = opened_today(balance=5000)
    before = card.image
    with in_field(card) as via:
        done = here("bench", "tap", "--via", via, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    measures = json.loads(done.stdout)["measures"]
    assert f"{via} reading" in measures
    assert not any("DEBIT" in name or "INIT" in name for name in measures)
    assert card.image == before


def test_a_test_card_is_tapped_with_leave_in_and_out(here: Here):
    card = opened_today(balance=5000)
    with in_field(card) as via:
        done = here("bench", "tap", "--via", via, *SMALL, "--write", "--json")
        assert done.returncode == 0, done.stderr
        measures = json.loads(done.stdout)["measures"]
        # 11 taps with the one that warms up: 6 entries, 5 exits of 4.00 yuan; and one exit more.
        assert card.purse.actual == 5000 - 5 * 400
        assert measures[f"{via} entry"]["count"] + measures[f"{via} exit"]["count"] == 10
        assert here("bench", "tap", "--via", via, *SMALL, "--write").returncode == 0
    assert card.purse.actual == 5000 - 11 * 400


def test_a_card_whose_money_ends_leaves_an_incomplete_result(here: Here):
    card = opened_today(balance=2000)
    with in_field(card) as via:
        done = here(
            "bench", "tap", "--via", via, "--count", "6", "--runs", "9", "--warm-up", "0", "--write"
        )
    assert done.returncode == 0, done.stderr
    assert re.search(r"Incomplete: [1-8] of 9 runs, then the gate refused the card", done.stdout)


def test_a_card_that_may_not_ride_is_told_before_anything_is_measured(here: Here):
    with in_field(opened_today(balance=0)) as via:
        done = here("bench", "tap", "--via", via, *SMALL, "--write")
    refused(done, "the gate refused the card")


@pytest.mark.parametrize("warm_up", ["0", "1"])
def test_a_card_of_no_test_issuer_is_not_written_to(here: Here, warm_up: str):
    card = opened_today(issuer=bytes.fromhex("04031000FFFFFFFF"))
    before = card.image
    with in_field(card) as via:
        done = here("bench", "tap", "--via", via, *SMALL, "--warm-up", warm_up, "--write")
    refused(done, "only cards of the test issuers")
    assert card.image == before


# PC/SC


@pytest.mark.needs_pcscd
def test_the_floor_of_pcsc_answers_everything_the_same(pcscd: PrivatePcscd):
    atr = bytes.fromhex("3b80800101")
    with (
        vpcd_floor(pcscd.ports[1], atr, b"\x01\x90\x00"),
        PcscCoupler(pcscd.reader_names[1]) as coupler,
    ):
        card = coupler.wait_card(20)
        assert card.atr == atr
        for command in ("00A4040000", "80CA000000", "00B0000000"):
            assert card.transmit(bytes.fromhex(command)) == b"\x01\x90\x00"


@pytest.mark.needs_pcscd
def test_our_card_and_the_floor_take_turns_on_one_pcscd(pcscd: PrivatePcscd):
    found = road_cost("pcsc", FEW)
    assert found.ours.count == found.floor.count == 40
    assert seven_over_pcsc(FEW).unit == "ms"


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tap", "--via", "bus"), "there is no road 'bus'"),
        (("tap", "--via", ""), "there is no road ''"),
        (("tap", "--via", "pcsc:"), "names no reader"),
        (("tap", "--via", "nfc:tty:NOSUCH:pn532"), "NOSUCH"),
        (("tap", "--count", "0"), "--count"),
        (("tap", "--count", "-3"), "--count"),
        (("tap", "--count", "many"), "--count"),
        (("tap", "--count", "99999999999"), "--count"),
        (("tap", "--runs", "0"), "--runs"),
        (("tap", "--warm-up", "-1"), "--warm-up"),
        (("tap", "--html", "/nowhere/at/all.html"), "no file can be written"),
        (("tap", "--compare", "/nowhere/a", "/nowhere/b"), "/nowhere/a cannot be read"),
        (("compare", "/nowhere/a", "/nowhere/b"), "/nowhere/a cannot be read"),
        (("compare", "pyproject.toml", "pyproject.toml"), "is no result of a benchmark"),
        (("card", "--count", "1"), "--count"),
        (("store", "--in", "/nowhere"), "no file can be written in /nowhere"),
        (("journal", "--in", "/nowhere"), "no file can be written in /nowhere"),
        (("targets", "--only", "T99"), "there is no target T99"),
        (("targets", "--scale", "0"), "--scale"),
        (("targets", "--scale", "nan"), "--scale"),
        (("ratios", "--baseline", "/nowhere"), "/nowhere cannot be read"),
        (("ratios", "--out", "/nowhere/at/all.json"), "no file can be written"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(here: Here, arguments, said):
    refused(here("bench", *arguments), said)


def test_results_of_different_kinds_are_one_sentence(here: Here, tmp_path: Path):
    air, memory = tmp_path / "a.json", tmp_path / "b.json"
    air.write_text(here("bench", "air", "--json").stdout)
    memory.write_text(here("bench", "memory", "--count", "10", "--json").stdout)
    refused(here("bench", "compare", air, memory), "cannot be compared")
    refused(here("bench", "compare", air, air, "--max-regression", "-1%"), "no percentage")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("hdrh", ("tap", "--via", "inproc")),
        ("hdrh", ("card",)),
        ("hdrh", ("store",)),
        ("hdrh", ("ratios",)),
        ("hdrh", ("targets", "--only", "T1")),
        ("matplotlib", ("tap", "--via", "inproc", "--html", "page.html")),
    ],
)
def test_a_missing_package_is_one_sentence(tmp_path: Path, module: str, arguments):
    program = (
        f"import sys; sys.modules[{module!r}] = None; "
        f"from bench.cli.app import run_app; sys.exit(run_app(['bench', *{arguments!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    refused(done, f"{module} is missing; install it with pip install 'tapbench[bench]'")
    assert list(tmp_path.iterdir()) == []
