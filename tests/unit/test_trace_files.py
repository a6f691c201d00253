"""Recordings on disk: which format a file has, and writing one whole or not at all."""

import io
import os
import signal
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.cli.app import _known_problems
from bench.cli.trace_files import recorded_to
from bench.trace_formats import FORMATS, TraceError, load, save
from bench.trace_formats.layers import exchanges

TRACES = Path(__file__).parent.parent / "traces"
BALANCE = bytes.fromhex("805C000204")
ANSWER = bytes.fromhex("000013889000")
TRACE = Trace(
    [
        Event(0, Source.PCD, Layer.APDU, BALANCE, tap=1),
        Event(400, Source.PICC, Layer.APDU, ANSWER, 400, tap=1),
    ]
)
FIFTY_YUAN = (BALANCE, ANSWER)

each_format = pytest.mark.parametrize("name", FORMATS)


def said(trace: Trace) -> list[tuple[bytes, bytes | None]]:
    return [(x.command, x.response) for x in exchanges(trace)]


def test_there_are_six_formats_and_no_two_share_a_suffix():
    assert set(FORMATS) == {"pcapng", "pcap", "pm3", "pcscspy", "jsonl", "text"}
    suffixes = [suffix for known in FORMATS.values() for suffix in known.suffixes]
    assert len(set(suffixes)) == len(suffixes)


@each_format
def test_a_file_is_known_by_its_content_whatever_it_is_called(tmp_path, name):
    path = tmp_path / "recording.pcapng"
    save(TRACE, path, format=name)
    assert said(load(path)) == [FIFTY_YUAN]


@each_format
def test_a_suffix_chooses_the_format_to_write(tmp_path, name):
    for suffix in FORMATS[name].suffixes:
        path = tmp_path / f"recording{suffix}"
        save(TRACE, path)
        assert path.read_bytes() == FORMATS[name].dump(TRACE)
        assert [n for n, f in FORMATS.items() if f.sniff(path.read_bytes())] == [name]


def test_a_recording_is_its_owners_alone(tmp_path):
    path = tmp_path / "tap.jsonl"
    old = os.umask(0)
    try:
        save(TRACE, path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_stays_unless_forced(tmp_path):
    path = tmp_path / "tap.txt"
    path.write_text("mine")
    with pytest.raises(TraceError, match=r"tap\.txt is there already"):
        save(TRACE, path)
    assert path.read_text() == "mine"
    save(TRACE, path, force=True)
    assert said(load(path)) == [FIFTY_YUAN]
    assert list(tmp_path.iterdir()) == [path], "no draft is left"


def test_a_file_is_written_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "tap.txt"
    save(TRACE, path)
    assert said(load(path)) == [FIFTY_YUAN]
    with pytest.raises(TraceError, match="is there already"):
        save(TRACE, path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path, force):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(TraceError, match="no regular file"):
            save(TRACE, place, format="text", force=force)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_cannot_be_said_in_a_format_leaves_no_file(tmp_path):
    path = tmp_path / "tap.txt"
    stranger = Trace([Event(0, Source.PCD, Layer.APDU, BALANCE, to="host")])
    with pytest.raises(TraceError, match=r"tap\.txt cannot be written as plain text: .*'host'"):
        save(stranger, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "data", "format", "sentence"),
    [
        ("gone.pcap", None, None, "cannot be read: No such file"),
        ("tap.xyz", b"\1\2\3", None, "no trace format known by its content; name one of pcapng"),
        ("tap.jsonl", b"", "cap", "'cap' is no trace format; name one of"),
        ("tap.pcap", b"nonsense", None, "cannot be read as pcap capture: it begins with 6E6F6E73"),
        (
            "tap.trace",
            b"\1\2\3",
            None,
            "cannot be read as Proxmark3 trace: it ends at byte 3, inside",
        ),
        ("tap.txt", b"hello", None, "cannot be read as plain text: expected > or <"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, path, data, format, sentence):
    target = tmp_path / path
    if data is not None:
        target.write_bytes(data)
    with pytest.raises(TraceError) as told:
        load(target, format)
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_a_name_without_a_known_suffix_asks_for_a_format(tmp_path):
    with pytest.raises(TraceError, match="does not tell a format by its suffix; name one of"):
        save(TRACE, tmp_path / "tap")
    with pytest.raises(TraceError, match="there is no folder"):
        save(TRACE, tmp_path / "nowhere" / "tap.txt")
    save(TRACE, tmp_path / "tap", format="text")


def test_the_command_line_tells_the_error_as_a_sentence():
    assert TraceError in _known_problems()
    assert issubclass(TraceError, ValueError)


@pytest.mark.parametrize(
    "name",
    ["tap.pcapng", "tap.pcap", "tap-ns.pcap", "tap-comment.pcapng", "scriptor.spy", "opensc.spy"],
)
def test_captures_of_other_programs_are_read(name):
    assert said(load(TRACES / name))[-1] == FIFTY_YUAN


def test_scriptors_output_is_read_with_its_greeting_and_broken_lines():
    select, balance = said(load(TRACES / "scriptor.txt"))
    assert select == said(load(TRACES / "scriptor.spy"))[0]
    assert balance == FIFTY_YUAN


def test_a_file_of_two_sections_is_two_taps():
    trace = load(TRACES / "two-sections.pcapng")
    assert [(x.tap, x.command) for x in exchanges(trace)] == [(1, BALANCE), (2, BALANCE)]
    assert trace.title == "Generated from input file tap.hexdump."
    noted = [event for event in trace.events if event.note]
    assert [(e.tap, e.note) for e in noted] == [(2, "the reader asks who is there")]


def test_one_hexdump_is_the_same_through_every_program():
    frames = [replace(e, gate="") for e in load(TRACES / "tap.pcapng").events]
    assert load(TRACES / "tap-ns.pcap").events == frames
    assert load(TRACES / "tap.pcap").events == frames  # another day, the same microseconds
    assert load(TRACES / "tap.pcap").started is not None
    assert load(TRACES / "tap.pcapng").started is None  # text2pcap began at 1970


def test_a_wrong_parity_bit_in_a_proxmark_trace_is_seen():
    reqa, atqa, command, answer = load(TRACES / "proxmark.trace").events
    assert (reqa.data, reqa.tail, reqa.has_crc) == (b"\x26", 7, False)
    assert (atqa.data, atqa.tail, atqa.has_crc) == (b"\x04\x00", 8, False)
    assert command.parity is None
    assert answer.parity is not None
    [asked] = exchanges(load(TRACES / "proxmark.trace"))
    assert asked.command == BALANCE
    assert asked.response is None, "a frame with wrong parity is not used"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_that_is_being_kept_is_not_broken_off(tmp_path, monkeypatch, number):
    class Impatient(io.StringIO):
        """Where the file is told of: a second Ctrl-C comes."""

        def write(self, text: str) -> int:
            signal.raise_signal(number)
            return super().write(text)

    told = Impatient()
    monkeypatch.setattr(sys, "stderr", told)
    handler = signal.getsignal(number)
    kept = tmp_path / "a.jsonl"

    def recording() -> None:
        with recorded_to(kept, "a") as recorder:
            recorder.stage("entry")
            raise KeyboardInterrupt("the first")

    with pytest.raises(KeyboardInterrupt, match="the first"):
        recording()
    assert "a.jsonl: 1 stage" in told.getvalue()
    assert kept.exists()
    assert signal.getsignal(number) is handler
