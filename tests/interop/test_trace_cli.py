"""`tapbench trace` as a user runs it: recorded, shown, converted, compared, played again."""

import json
import re
import signal
import stat
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bench.trace_formats import FORMATS, load
from tests.interop.test_cli import gate_on, read_until, refused, running, tapbench
from tests.needs import missing, require_module, require_tool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of one scenario over three roads."""
    there = tmp_path_factory.mktemp("recordings")
    done = tapbench("trace", "record", "--via", "inproc,air,udp", str(there / "tap.jsonl"))
    assert done.returncode == 0, done.stderr
    assert "tap-air.jsonl: 72 frames, 31 exchanges, 4 PSAM exchanges" in done.stdout
    return there


@pytest.fixture
def air(folder: Path) -> str:
    return str(folder / "tap-air.jsonl")


Traced = Callable[..., str]


@pytest.fixture
def tried(here) -> Callable[..., CompletedProcess[str]]:
    """`tapbench trace`, in this process."""
    return partial(here, "trace")


@pytest.fixture
def trace(tried) -> Traced:
    """The same for a command that does its work: what it prints."""

    def run(*arguments: object) -> str:
        done = tried(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_several_roads_get_a_file_each_for_their_owner_alone(folder: Path):
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".jsonl")
    assert names == ["tap-air.jsonl", "tap-inproc.jsonl", "tap-udp.jsonl"]
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_road_this_machine_lacks_is_named_and_the_others_are_recorded(tmp_path: Path):
    """A place for the service's socket whose path is too long: no PC/SC road here."""
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    target = tmp_path / "tap.jsonl"
    done = tapbench("trace", "record", "--via", "all", str(target), TMPDIR=str(deep))
    assert done.returncode == 1, "a road that was asked for is missing"
    assert "pcsc: left out, " in done.stderr
    assert {"tap-inproc.jsonl", "tap-air.jsonl", "tap-udp.jsonl"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_pcsc_is_recorded_with_its_field(trace: Traced, tmp_path: Path):
    require_module("smartcard", "tapbench[pcsc]")
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    said = trace("record", "--via", "pcsc", tmp_path / "tap.jsonl")
    assert "31 exchanges, 4 PSAM exchanges, 2 field changes, 7 stages and 2 decisions" in said


def test_a_recording_is_shown_in_columns_with_the_money(trace: Traced, air: str):
    shown = trace("show", air)
    assert "\x1b" not in shown, "plain when piped"
    assert max(map(len, shown.splitlines())) <= 120
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    for wanted in (
        "0.000 0.000 field on",
        "> 26 REQA",
        "< 0400 ATQA UID 4 bytes, anticollision 04",
        "> E080 3173 RATS FSDI 8 (frames of 256 bytes to the",
        "-- entry",
        "P< 9000 done terminal_seq 2, mac1 A66EA037",
        "C2 E0B4 S(DESELECT)",
        "PASS fare 4.00, balance 46.00 yuan",
    ):
        assert any(wanted in line for line in lines), wanted
    assert re.search(r"< .* I\(0\) +9000 done +tac CC2D7144, mac2 A2AA5DB1 +50.00 > 46.00", shown)
    assert [line for line in lines if line.startswith("tap ")][1:] == ["tap 1", "tap 2", "tap 3"]


@pytest.mark.parametrize(
    ("layer", "has", "has_not"),
    [
        ("rf", ["REQA", "INF 20 bytes"], ["INITIALIZE FOR LOAD"]),
        ("isodep", ["I(0)", "S(DESELECT)"], ["REQA", "INITIALIZE FOR LOAD"]),
        ("apdu", ["INITIALIZE FOR LOAD", "50.00 > 46.00"], ["REQA", "I(0)"]),
    ],
)
def test_one_layer_alone(trace, air, layer, has, has_not):
    shown = trace("show", air, "--layer", layer)
    assert all(word in shown for word in has)
    assert not any(word in shown for word in has_not)
    assert "PASS" in shown


def test_one_tap_alone(trace: Traced, air: str):
    shown = trace("show", air, "--tap", "3")
    assert "tap 3" in shown
    assert "tap 2" not in shown
    assert "asks -4.00" in shown


def test_the_view_is_json_for_programs(trace: Traced, air: str):
    rows = json.loads(trace("show", air, "--json"))
    assert rows[0]["field"]["name"] == "field on"
    assert rows[1]["frame"] == {
        "dir": "pcd", "hex": "26", "bits": 7, "crc_ok": None, "title": "REQA", "fields": [],
    }  # fmt: skip
    moved = [row["money"] for row in rows if row.get("money", {}).get("before_fen") is not None]
    assert [(m["before_fen"], m["after_fen"]) for m in moved] == [
        (0, 5000), (5000, 5000), (5000, 4600),
    ]  # fmt: skip
    assert [row["decision"]["name"] for row in rows if "decision" in row] == ["PASS", "PASS"]


def test_a_pin_is_shown_by_no_view(trace: Traced, tmp_path: Path):
    """987654 in VERIFY PIN; the file has it, for its owner alone."""
    held = tmp_path / "pin.txt"
    held.write_text("> 0020000003987654\n< 9000\n")
    trace("convert", held, tmp_path / "pin.pcap")
    for file in (held, tmp_path / "pin.pcap"):
        for options in ((), ("--layer", "rf"), ("--layer", "apdu"), ("--json",)):
            assert "987654" not in trace("show", file, *options)


def test_the_view_is_a_picture_and_a_page(trace: Traced, tried, air: str, tmp_path: Path):
    svg, html = tmp_path / "tap.svg", tmp_path / "tap.html"
    trace("show", air, "--svg", svg, "--html", html)
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert "INITIALIZE FOR CAPP PURCHASE" in html.read_text("utf-8")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (svg, html)} == {0o600}
    refused(tried("show", air, "--svg", svg), "--force")


LEFT_OUT = {
    "jsonl": "",
    "pcapng": "",
    "pcap": "pcap holds frames only: 4 PSAM exchanges, 7 stages and 2 decisions left out",
    "pm3": "pm3 holds frames only: 4 PSAM exchanges, 2 field changes, 7 stages and 2 decisions",
    "pcscspy": "pcscspy holds APDUs only: 72 frames, 2 field changes, 7 stages and 2 decisions",
    "text": "text holds APDUs only: 72 frames, 2 field changes, 7 stages and 2 decisions left out;",
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_said_to_hold_less_and_equal_in_what_it_holds(
    trace, name, air, tmp_path
):
    target = tmp_path / f"tap{FORMATS[name].suffixes[0]}"
    said = trace("convert", air, target)
    assert LEFT_OUT[name] in said
    assert said.count("\n") == (2 if LEFT_OUT[name] else 1)
    told = trace("diff", target, air)
    assert "no differences" in told
    assert "asks -4.00" in trace("show", target)


def test_a_format_can_be_named_against_the_suffix(trace: Traced, air: str, tmp_path: Path):
    odd = tmp_path / "tap.data"
    trace("convert", air, odd, "--to", "text")
    assert odd.read_text().startswith(">") or "\n>" in odd.read_text()
    assert "INITIALIZE FOR LOAD" in trace("show", odd, "--from", "text")


def test_seeds_differ_in_nothing_that_counts_and_in_much_with_all(
    trace: Traced, tried, folder: Path, tmp_path: Path
):
    other = tmp_path / "other.jsonl"
    trace("record", "--seed", "2", other)
    one = folder / "tap-inproc.jsonl"
    assert "no differences" in trace("diff", one, other)
    done = tried("diff", "--all", one, other, "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    assert shown["equal"] is False
    assert {d["label"] for d in shown["differences"]} >= {"random", "mac1", "tac", "terminal_seq"}
    assert shown["differences"][0]["text"].startswith("top-up: INITIALIZE FOR LOAD: random ")


def test_a_recording_cut_short_is_different_in_words(tried, folder: Path, tmp_path: Path):
    whole = folder / "tap-inproc.jsonl"
    short = tmp_path / "short.jsonl"
    short.write_text("\n".join(whole.read_text("utf-8").splitlines()[:60]) + "\n")
    done = tried("diff", short, whole)
    assert done.returncode == 1
    assert re.search(r"exit: B has .* more steps after .*DEBIT FOR PURCHASE", done.stdout)


@pytest.mark.parametrize("road", ["inproc", "udp"])
def test_the_recorded_reader_finds_our_card_as_it_was(trace: Traced, road: str, air: str):
    assert "31 exchanges" in trace("replay", air, "--as", "reader", "--via", road)


def test_the_recorded_reader_finds_another_card_different(tried, air: str):
    done = tried("replay", air, "--as", "reader", "--profile", "student-open-trip", "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    assert "entry: READ RECORD EF1A 1: state 0 (initial) against 1 (entered)" in [
        d["text"] for d in shown["differences"]
    ]


def test_the_recorded_reader_tops_up_a_card_in_a_file(tried, folder: Path, tmp_path: Path):
    card = tmp_path / "card.json"
    made = tapbench("card", "new", str(card), "--profile", "student")
    assert made.returncode == 0, made.stderr
    done = tried("replay", folder / "tap-inproc.jsonl", "--as", "reader", "--card", card)
    assert done.returncode == 1
    assert "9302" in done.stdout
    assert "recorded MACs are right for the recorded card" in done.stdout


def test_the_recorded_card_is_read_by_a_gate(trace: Traced, air: str, tmp_path: Path):
    """It answers all the gate asks; its proof is for another terminal's number."""
    seen = tmp_path / "gate.jsonl"
    with running("trace", "replay", air, "--as", "card", "--via", "udp", "--port", "0") as card:
        device = re.search(r"udp:\S+", read_until(card, "Ctrl-C"))
        assert device
        done = tapbench(
            *gate_on(device[0], "entry", "Yongtaizhuang"),
            "--at", "2025-09-08T07:30:15", "--trace", str(seen),
        )  # fmt: skip
        card.send_signal(signal.SIGINT)
        rest = card.communicate(timeout=20)[0]
    assert json.loads(done.stdout)["verdict"] == "tap again"
    assert "no commands not in the recording" in rest
    assert card.returncode == 0
    shown = trace("show", seen)
    assert "TAP AGAIN" in shown
    assert "DEBIT FOR PURCHASE" in shown


def test_the_recorded_card_lies_on_a_virtual_pn532(air: str):
    with running("trace", "replay", air, "--as", "card", "--via", "pn532") as card:
        said = read_until(card, "Ctrl-C")
        device = re.search(r"nfcpy +(tty:tapbench\S+)", said)
        if device is None:
            missing("/dev is not ours, so nfcpy finds no port of the virtual PN532; run as root.")
        at = ("--at", "2025-09-08T07:30:15")
        done = tapbench(*gate_on(device[1], "entry", "Yongtaizhuang"), *at)
        card.send_signal(signal.SIGINT)
        rest = card.communicate(timeout=20)[0]
    assert json.loads(done.stdout)["verdict"] == "tap again"
    assert "DEBIT FOR PURCHASE" in rest


def test_what_is_not_in_the_recording_is_named_in_the_end(air: str):
    with running("trace", "replay", air, "--as", "card", "--via", "udp", "--port", "0") as card:
        device = re.search(r"udp:\S+", read_until(card, "Ctrl-C"))
        assert device
        tapbench(*gate_on(device[0], "exit", "Xidan"))
        card.send_signal(signal.SIGINT)
        rest = card.communicate(timeout=20)[0]
    assert "not in the recording" in rest


def test_a_card_held_for_a_real_reader_is_recorded_frame_by_frame(trace: Traced, tmp_path: Path):
    seen = tmp_path / "card.pcapng"
    with running("emulate", "--via", "udp", "--port", "0", "--trace", str(seen)) as card:
        device = re.search(r"udp:\S+", read_until(card, "Ctrl-C"))
        assert device
        for _ in range(2):
            tapbench(*gate_on(device[0], "entry", "Yongtaizhuang"))
        card.send_signal(signal.SIGINT)
        assert f"{seen}: " in card.communicate(timeout=20)[0]
    shown = trace("show", seen, "--layer", "rf")
    assert "REQA" in shown
    assert "field off" in shown
    assert "DEBIT FOR PURCHASE" in trace("show", seen, "--layer", "apdu")
    assert len({event.tap for event in load(seen).events}) >= 2, "each field is a tap"


def test_the_main_job_keeps_a_recording(tmp_path: Path):
    seen = tmp_path / "tap.txt"
    done = tapbench("tap", "--json", "--trace", str(seen))
    assert json.loads(done.stdout)["ok"] is True
    assert str(seen) in done.stderr
    again = tapbench("tap", "--trace", str(seen))
    refused(again, f"{seen} is there already; choose another name")


def test_the_wireshark_profile_is_installed_in_a_folder(trace: Traced, tmp_path: Path):
    said = trace("wireshark", "--to", tmp_path)
    assert "wireshark -C tapbench" in said
    assert list((tmp_path / "profiles" / "tapbench").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("show", "{empty}"), "nothing"),
        (("show", "{cut}"), "cut.pcap cannot be read as pcap capture"),
        (("show", "{noise}"), "no trace format known by its content"),
        (("show", "{air}", "--layer", "x"), "there is no layer 'x'; choose one of: rf, isodep"),
        (("show", "{air}", "--tap", "9"), "has no tap 9; its taps are: 1, 2, 3"),
        (("show", "{air}", "--from", "x"), "'x' is no trace format"),
        (("show", "{air}", "--svg", "{there}/no/x.svg"), "no/x.svg"),
        (("record", "--via", "smoke", "{there}/a.jsonl"), "there is no road 'smoke'"),
        (("record", "{there}/a.doc"), "does not tell a trace format by its suffix"),
        (("record", "{there}/a.txt", "--format", "x"), "'x' is no trace format; choose one of"),
        (("record", "{there}/no/a.jsonl"), "there is no folder"),
        (("record", "{air}"), "is there already; choose another name or give --force"),
        (("record", "{there}", "--format", "jsonl"), "is no regular file"),
        (("convert", "{air}", "{cut}"), "is there already; choose another name or give --force"),
        (("convert", "{air}", "{there}/a.doc"), "does not tell a trace format"),
        (
            ("convert", "{air}", "{there}/a.txt", "--from", "pm3"),
            "cannot be read as Proxmark3 trace",
        ),
        (("convert", "nowhere", "{there}/a.txt"), "nowhere cannot be read"),
        (("diff", "{air}", "nowhere"), "nowhere cannot be read"),
        (("diff", "{field}", "{air}"), "has no exchanges to compare"),
        (("replay", "{air}", "--as", "dog"), "there is no role 'dog'; choose reader or card"),
        (("replay", "{air}", "--as", "reader", "--via", "x"), "there is no road 'x'"),
        (("replay", "{air}", "--as", "card", "--via", "inproc"), "no road 'inproc' for a card"),
        (("replay", "{air}", "--as", "reader", "--profile", "x"), "there is no profile 'x'"),
        (("replay", "{air}", "--as", "reader", "--card", "{noise}"), "noise"),
        (
            ("replay", "{air}", "--as", "reader", "--card", "a", "--profile", "student"),
            "--card and --profile exclude each other",
        ),
        (("replay", "{field}", "--as", "reader"), "no commands to replay"),
        (("replay", "{field}", "--as", "card", "--via", "udp"), "no answers of a card to replay"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(tried, arguments, said, air, tmp_path):
    places = {"air": air, "there": str(tmp_path)}
    for name, content in {
        "empty.jsonl": b"",
        "cut.pcap": bytes.fromhex("D4C3B2A1020004000000000000000000FFFF00000801000001"),
        "noise": b"\x00\x01noise",
        "field.jsonl": b'{"format":"tapbench-trace","version":1}\n'
        b'{"t_ns":0,"dir":"field","layer":"rf","hex":"01"}\n',
    }.items():
        (tmp_path / name).write_bytes(content)
        places[name.partition(".")[0]] = str(tmp_path / name)
    given = [argument.format(**places) for argument in arguments]
    before = sorted(tmp_path.iterdir())
    done = tried(*given)
    if said != "nothing":
        refused(done, said)
    else:
        assert done.returncode == 2
    assert sorted(tmp_path.iterdir()) == before, "nothing half-written"


def test_help_names_every_command_of_trace(trace):
    out = trace("--help")
    for command in ("record", "show", "convert", "diff", "replay", "wireshark"):
        assert command in out
