"""Our own format: JSON Lines (docs/traces.md)."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.clock import SHANGHAI
from bench.trace_formats import FORMATS, TraceError

JSONL = FORMATS["jsonl"]
STARTED = datetime(2026, 10, 1, 8, 0, 0, 250_000, SHANGHAI)
EVERY = Event(
    1_500,
    Source.PICC,
    Layer.RF,
    bytes.fromhex("F004"),
    duration_ns=99,
    tail=6,
    head=4,
    parity=b"\0\1",
    has_crc=None,
    to="psam",
    tap=3,
    gate="出口",
    name="PASS",
    note="a remark\nof two lines",
)
HEADER = '{"format": "tapbench-trace", "version": 1}\n'
LINE = '{"t_ns": 0, "dir": "pcd", "layer": "apdu"}\n'


def lines(trace: Trace) -> list[dict]:
    return [json.loads(line) for line in JSONL.dump(trace).splitlines()]


def test_the_first_line_is_a_header():
    assert lines(Trace(started=STARTED, title="a tap")) == [
        {
            "format": "tapbench-trace",
            "version": 1,
            "started": "2026-10-01T08:00:00.250000+08:00",
            "title": "a tap",
        }
    ]


def test_every_field_has_a_key_and_comes_back():
    [_, line] = lines(Trace([EVERY], STARTED))
    assert line == {
        "t_ns": 1500,
        "dir": "picc",
        "layer": "rf",
        "hex": "F004",
        "crc": None,
        "bits": 10,
        "parity": "01",
        "to": "psam",
        "duration_ns": 99,
        "head": 4,
        "tap": 3,
        "gate": "出口",
        "name": "PASS",
        "note": "a remark\nof two lines",
        "clock": "2026-10-01T08:00:00.250001+08:00",
    }
    assert JSONL.load(JSONL.dump(Trace([EVERY], STARTED, "x"))) == Trace([EVERY], STARTED, "x")


def test_keys_at_their_usual_value_are_left_out():
    [_, line] = lines(Trace([Event(0, Source.PCD, Layer.APDU, b"\x80\x5c")]))
    assert line == {"t_ns": 0, "dir": "pcd", "layer": "apdu", "hex": "805C"}


def test_an_answer_has_its_status_word_for_searches():
    [_, line] = lines(Trace([Event(0, Source.PICC, Layer.APDU, b"\1\x90\0")]))
    assert line["sw"] == "9000"


def test_the_page_names_every_key():
    page = (Path(__file__).parents[2] / "docs" / "traces.md").read_text("utf-8")
    [header, line] = lines(Trace([EVERY], STARTED, "x"))
    for key in (*header, *line, "sw"):
        assert f"`{key}`" in page, f"docs/traces.md does not say what {key} is"


def test_unknown_keys_and_blank_lines_are_skipped():
    text = HEADER + "\n" + LINE.replace("}", ', "weather": "fine"}') + "  \r\n"
    assert JSONL.load(text.encode()).events == [Event(0, Source.PCD, Layer.APDU)]


def test_half_a_surrogate_pair_survives():
    odd = Trace([Event(0, Source.DECISION, Layer.GATE, note="\ud800")])
    assert JSONL.load(JSONL.dump(odd)) == odd


def test_a_time_beyond_the_calendar_has_no_clock():
    [_, line] = lines(Trace([Event(2**62, Source.PCD, Layer.APDU)], STARTED.replace(year=9990)))
    assert "clock" not in line


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty; expected a header with format tapbench-trace"),
        ("{", "line 1: expected a JSON object, not '{'"),
        ("[" * 100_000, "line 1: expected a JSON object, not"),
        ("[]", r"line 1: expected a JSON object, not \[\]"),
        ("{}", "line 1: 'format' is missing; expected tapbench-trace"),
        (HEADER.replace("1", "2"), "line 1: 'version' is 2; expected 1"),
        (HEADER.replace("}", ', "started": "now"}'), "'started' is 'now'; expected a time such as"),
        (HEADER.replace("}", ', "started": "2026-10-01"}'), "expected a time such as"),
        (HEADER.replace("}", ', "title": 1}'), "'title' is 1; expected a text"),
        (HEADER + LINE[:-3], "line 2: expected a JSON object"),
        (HEADER + "{}", "line 2: 't_ns' is missing; expected a whole number"),
        (HEADER + LINE.replace("0", "1.5"), "line 2: 't_ns' is 1.5; expected a whole number"),
        (HEADER + LINE.replace("0", "true"), "'t_ns' is True; expected a whole number"),
        (HEADER + LINE.replace("0", "9" * 30), r"'t_ns' is 9+; expected a whole number"),
        (HEADER + LINE.replace("0", "9" * 9999), "line 2: expected a JSON object"),
        (HEADER + LINE.replace("pcd", "me"), "'dir' is 'me'; expected one of pcd, picc, field"),
        (HEADER + LINE.replace("}", ', "hex": "8"}'), "'hex' is '8'; expected an even number"),
        (HEADER + LINE.replace("}", ', "hex": 8}'), "'hex' is 8; expected an even number"),
        (HEADER + LINE.replace("}", ', "bits": 9}'), "'bits' is 9; expected a whole number"),
        (HEADER + LINE.replace("}", ', "hex": "00", "head": 8}'), "'head' is 8; expected"),
        (HEADER + LINE.replace("}", ', "hex": "0000", "bits": 1}'), "does not fit 2 bytes"),
        (
            HEADER + LINE.replace("}", ', "parity": "2"}'),
            "'parity' is '2'; expected digits 0 and 1",
        ),
        (HEADER + LINE.replace("}", ', "crc": 1}'), "'crc' is 1; expected true, false or null"),
        (HEADER + LINE.replace("}", ', "note": 1}'), "'note' is 1; expected a text"),
    ],
)
def test_a_bad_line_is_named(text, sentence):
    with pytest.raises(TraceError, match=sentence):
        JSONL.load(text.encode())


def test_a_start_without_a_zone_is_refused():
    with pytest.raises(TraceError, match="has no zone"):
        JSONL.dump(Trace(started=datetime(2026, 10, 1)))


@pytest.mark.parametrize("late", [{"t_ns": 2**63}, {"t_ns": -(2**63)}, {"duration_ns": 2**63}])
def test_a_time_that_could_not_be_read_back_is_refused(late):
    with pytest.raises(TraceError, match="more than 292 years"):
        JSONL.dump(Trace([replace(EVERY, **late)]))
