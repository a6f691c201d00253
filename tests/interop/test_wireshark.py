"""Wireshark's own programs read our captures, and we read theirs."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from apdu.commands import TABLE
from apdu.event import Event, Layer, Source, Trace
from apdu.sw import describe
from bench.trace_formats import load, save
from bench.trace_formats.assembly import ApduExchange
from bench.trace_formats.layers import apdu_events, exchanges
from bench.trace_formats.wireshark import PROFILE, install
from tests.needs import require, require_tool
from tests.recordings import Slow, tap_on_air

pytestmark = pytest.mark.needs_tool

TRACES = Path(__file__).parent.parent / "traces"
DECODE = ("-d", "iso14443.subdissector,iso7816")
ENTRY_TAP = [
    "SELECT",
    "SELECT",
    "READ BINARY",
    "READ BINARY",
    "READ RECORD",
    "GET BALANCE",
    "INITIALIZE FOR CAPP PURCHASE",
    "UPDATE CAPP DATA CACHE",
    "UPDATE CAPP DATA CACHE",
    "DEBIT FOR PURCHASE",
]

Tshark = Callable[..., list[list[str]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of settings with our profile and script in it."""
    path = tmp_path_factory.mktemp("wireshark")
    install(path)
    return path


@pytest.fixture(scope="module")
def tshark(folder: Path) -> Tshark:
    program = require_tool("tshark", "tshark")

    def run(capture: Path, *options: str, fields: tuple[str, ...] = ()) -> list[list[str]]:
        """The rows tshark prints of a capture: the fields asked for, or the columns."""
        asked = [part for name in fields for part in ("-e", name)]
        shown = ["-T", "fields", *asked] if fields else []
        done = subprocess.run(
            [program, "-r", str(capture), *options, *shown],
            env={**os.environ, "WIRESHARK_CONFIG_DIR": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        # As root it says on every run that this could be dangerous.
        told = [line for line in done.stderr.splitlines() if "dangerous" not in line]
        require(
            not any("disabled" in line and "superuser" in line for line in told),
            "this tshark runs no Lua for root; set run_user_scripts_when_superuser in init.lua.",
        )
        assert done.returncode == 0, done.stderr
        assert not told, "tshark complains"
        return [line.split("\t") for line in done.stdout.splitlines()]

    return run


def saved(trace: Trace, path: Path) -> Path:
    save(trace, path)
    return path


@pytest.fixture(scope="module", params=["tap.pcapng", "tap.pcap"])
def chained(request, tmp_path_factory) -> Path:
    """A tap to a reader that takes 32 bytes a frame: every long answer comes in a chain."""
    return saved(tap_on_air(fsdi=2, cid=3).trace, tmp_path_factory.mktemp("tap") / request.param)


def column(rows: list[list[str]], at: int = 0) -> list[str]:
    return [row[at] for row in rows if row[at]]


def test_a_tap_is_decoded_from_the_field_on_to_the_field_off(tshark, chained):
    infos = column(tshark(chained, *DECODE, fields=("_ws.col.Info",)))
    named = ["Field on", "REQA", "ATQA", "Anticollision", "UID", "Select", "SAK", "RATS", "ATS"]
    assert infos[:9] == named
    assert infos[9].startswith("SELECT")
    assert [info.partition("[")[0] for info in infos[-3:-1]] == ["S-block, Deselect"] * 2
    assert infos[-1] == "Field off"
    assert not any("Unknown" in info for info in infos)


def test_every_checksum_is_good(tshark, chained):
    frames = [e for e in load(chained).events if e.has_crc]
    status = column(tshark(chained, *DECODE, fields=("iso14443.crc.status",)))
    assert len(status) == len(frames) - 2 > 30, "it does not get to that of S(DESELECT)"
    assert set(status) == {"1"}, "1 is good"


def test_chains_are_put_together_as_we_do(tshark, chained):
    fields = ("iso14443.apdu_reassembled.length", "iso7816.apdu.body")
    chains = [row for row in tshark(chained, *DECODE, fields=fields) if row[0]]
    assert len(chains) == 5
    answers = [x.response for x in exchanges(load(chained)) if x.response and len(x.response) > 28]
    assert [(int(size), body) for size, body in chains] == [
        (len(answer), answer[:-2].hex()) for answer in answers
    ]


def test_more_time_is_decoded(tshark, tmp_path):
    capture = saved(tap_on_air(service=Slow()).trace, tmp_path / "slow.pcapng")
    infos = column(tshark(capture, *DECODE, fields=("_ws.col.Info",)))
    assert infos.count("S-block, WTX") == 2 * len(ENTRY_TAP)


def test_the_purses_commands_are_named_with_their_fields(tshark, chained):
    names = column(tshark(chained, *DECODE, "-Y", "iso7816.apdu.cla", fields=("tapbench.command",)))
    assert names == ENTRY_TAP
    fields = ("tapbench.amount", "tapbench.terminal", "tapbench.key_index", "tapbench.parameters")
    asked = 'tapbench.command == "INITIALIZE FOR CAPP PURCHASE" && iso7816.apdu.cla'
    assert tshark(chained, *DECODE, "-Y", asked, fields=fields) == [
        ["0", "300089000195", "1", "EP"]
    ]
    answered = 'tapbench.command == "INITIALIZE FOR CAPP PURCHASE" && tapbench.sw'
    fields = ("tapbench.sw", "tapbench.status", "tapbench.balance", "tapbench.overdraft_limit")
    assert tshark(chained, *DECODE, "-Y", answered, fields=fields) == [
        ["0x9000", "done", "5000", "0"]
    ]


def test_files_are_taken_apart(tshark, chained):
    fields = ("tapbench.file", "tapbench.issuer", "tapbench.start_date", "tapbench.enabled")
    rows = [row for row in tshark(chained, *DECODE, "-Y", "tapbench.sw", fields=fields) if row[0]]
    assert rows[0] == ["EF15, public information", "09981001ffffffff", "20250901", "1"]
    assert [row[0][:4] for row in rows] == ["EF15", "EF17", "EF1A"]
    text = "\n".join("\t".join(row) for row in tshark(chained, *DECODE, "-V"))
    assert "start date: 20250901 (2025-09-01)" in text
    assert "balance: 5000 (50.00 yuan)" in text
    assert "card kind: 2 (student)" in text


def test_the_profile_needs_no_options(tshark, chained):
    rows = tshark(chained, "-C", PROFILE)
    text = "\n".join("\t".join(row) for row in rows)
    assert "INITIALIZE FOR CAPP PURCHASE EP, amount 0.00 yuan, terminal 300089000195" in text
    assert "0x9000 9000 done, balance 50.00 yuan, overdraft limit 0.00 yuan" in text


def test_every_colour_is_a_filter_tshark_knows(tshark, chained, folder):
    lines = (folder / "profiles" / PROFILE / "colorfilters").read_text("utf-8").splitlines()
    filters = [line.split("@")[2] for line in lines if line.startswith("@")]
    hits = {wanted: len(tshark(chained, *DECODE, "-Y", wanted)) for wanted in filters}
    assert len(hits) == 7
    assert hits['tapbench.command matches "^(DEBIT|CREDIT)"'] == 2
    assert hits["iso14443.crc.status == 0"] == hits["tapbench.sw && tapbench.sw != 0x9000"] == 0
    assert hits["iso14443.event in { 0xfc, 0xfd }"] == 2
    assert hits["iso14443 && !iso14443.pcb"] == 10, "eight frames, and the field twice"


def every_command() -> list[tuple[str, bytes]]:
    """Each pair of parameters of each command, with data of the least length."""
    found = []
    for spec in TABLE:
        for p1, p2 in spec.params.examples():
            data = bytes(spec.data.SIZES[0]) if spec.data else b""
            body = bytes([len(data)]) + data if data else b""
            tail = b"" if spec.ne is None else bytes([spec.ne & 0xFF])
            found.append((spec.name, bytes([spec.cla, spec.ins, p1, p2]) + body + tail))
    return found


def test_every_command_of_the_table_is_named_and_every_status_word(tshark, tmp_path):
    words = [0x9000, 0x6A82, 0x9302, 0x6110, 0x6C04, 0x63C2, 0x1234]
    asked = every_command()
    said = [
        ApduExchange("card", command, words[n % len(words)].to_bytes(2, "big"), n, n, 1)
        for n, (_, command) in enumerate(asked)
    ]
    capture = saved(Trace(apdu_events(said)), tmp_path / "all.pcapng")
    fields = ("tapbench.command", "tapbench.status")
    rows = [row for row in tshark(capture, *DECODE, fields=fields) if row[0]]
    assert [name for name, _ in rows[::2]] == [name for name, _ in asked]
    assert [name for name, _ in rows[1::2]] == [name for name, _ in asked], "answers know theirs"
    assert [status for _, status in rows[1::2]] == [
        describe(words[n % len(words)]) for n in range(len(asked))
    ]


def test_a_pin_is_not_shown_as_a_field(tshark, tmp_path):
    verify = bytes.fromhex("0020000003123456")
    events = apdu_events([ApduExchange("card", verify, b"\x90\0", 0, 1, 1)])
    capture = saved(Trace(events), tmp_path / "pin.pcapng")
    text = "\n".join("\t".join(row) for row in tshark(capture, *DECODE, "-V"))
    assert "pin: 3 bytes, not shown" in text


def test_remarks_and_decisions_are_comments(tshark, tmp_path):
    trace = tap_on_air().trace
    noted = Event(trace.events[-1].t_ns, Source.DECISION, Layer.GATE, name="PASS", note="进站")
    capture = saved(Trace([*trace.events, noted], trace.started), tmp_path / "noted.pcapng")
    comments = column(tshark(capture, fields=("frame.comment",)))
    assert any('"name": "PASS", "note": "进站"' in comment for comment in comments)


def test_a_capture_has_our_times_and_the_gates_name(tshark, tmp_path):
    trace = tap_on_air().trace
    capture = saved(trace, tmp_path / "tap.pcapng")
    rows = tshark(capture, fields=("frame.time_epoch", "frame.interface_name"))
    frames = [e for e in trace.events if e.layer is Layer.RF]
    assert trace.started is not None
    begin = int(trace.started.timestamp() * 10**6) * 1000
    assert [int(time.replace(".", "")) for time, _ in rows] == [begin + e.t_ns for e in frames]
    assert {name for _, name in rows} == {"A1"}


def test_a_fresh_capture_of_text2pcap_is_read(tmp_path):
    program = require_tool("text2pcap", "tshark")
    for name, options in (
        ("a.pcapng", ()),
        ("b.pcap", ("-F", "pcap")),
        ("c.pcap", ("-F", "nsecpcap")),
    ):
        target = tmp_path / name
        dump = str(TRACES / "tap.hexdump")
        command = [program, "-q", "-t", "%s.%f", "-l", "264", *options, dump, str(target)]
        subprocess.run(command, check=True, capture_output=True)
        [asked] = exchanges(load(target))
        assert (asked.command.hex(), asked.response.hex()) == ("805c000204", "000013889000")


def test_our_captures_pass_through_editcap(tmp_path):
    program = require_tool("editcap", "wireshark-common")
    trace = tap_on_air(fsdi=2).trace
    ours = saved(trace, tmp_path / "ours.pcapng")
    for kind in ("pcapng", "nsecpcap"):
        theirs = tmp_path / f"theirs.{kind}"
        subprocess.run(
            [program, "-F", kind, str(ours), str(theirs)], check=True, capture_output=True
        )
        got = [(x.command, x.response) for x in exchanges(load(theirs)) if x.to == "card"]
        assert got == [(x.command, x.response) for x in exchanges(trace) if x.to == "card"]
    assert load(tmp_path / "theirs.pcapng").events == load(ours).events
