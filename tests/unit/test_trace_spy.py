"""The log of pcsc-spy (domain reference 7.3)."""

from datetime import datetime

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.clock import SHANGHAI
from bench.trace_formats import FORMATS, TraceError
from bench.trace_formats.layers import exchanges

SPY = FORMATS["pcscspy"]
BALANCE = bytes.fromhex("805C000204")
ANSWER = bytes.fromhex("000013889000")
STARTED = datetime(2026, 10, 1, 8, 0, 0, 250_000, SHANGHAI)


def said(t_ns: int, data: bytes, took_ns: int = -1, tap: int = 1, to: str = "card") -> Event:
    source = Source.PCD if took_ns < 0 else Source.PICC
    return Event(t_ns, source, Layer.APDU, data, max(took_ns, 0), tap=tap, to=to)


TRACE = Trace([said(0, BALANCE), said(400_000, ANSWER, 400_000)], STARTED)

TRANSMIT = """\
7F0857AC5B80@>|1795637110|805187|SCardTransmit
7F0857AC5B80@0x62646171
7F0857AC5B80@0x00000002
7F0857AC5B80@0x00000010
7F0857AC5B80@0x00000005
7F0857AC5B80@80 5C 00 02 04\x20
7F0857AC5B80@0x00000001
7F0857AC5B80@0x00000010
7F0857AC5B80@0x00000006
7F0857AC5B80@00 00 13 88 90 00\x20
7F0857AC5B80@<|1795637110|805392|SCardTransmit|Command successful.|0x00000000
"""
CONNECT = """\
1@>|5|0|SCardConnect
1@0x01000000
1@{reader}
1@0x00000002
1@0x00000003
1@0x00000000
1@0x00000000
1@{handle}
1@0x00000002
1@<|5|1|SCardConnect|Command successful.|0x00000000
"""


def load(text: str) -> Trace:
    return SPY.load(text.encode())


def transmit(handle: str = "0x62646171", thread: str = "1") -> str:
    return TRANSMIT.replace("0x62646171", handle).replace("7F0857AC5B80", thread)


def test_transmit_is_written_line_by_line_as_pcsc_lite_1_9_does():
    text = SPY.dump(TRACE).decode()
    at = text.index("1@>|1790812800|250000|SCardTransmit\n")
    assert text[at:].split("\n")[:11] == [
        "1@>|1790812800|250000|SCardTransmit",
        "1@0x00C0FFEE",
        "1@0x00000002",
        "1@0x00000010",
        "1@0x00000005",
        "1@80 5C 00 02 04 ",
        "1@0x00000002",
        "1@0x00000010",
        "1@0x00000006",
        "1@00 00 13 88 90 00 ",
        "1@<|1790812800|250400|SCardTransmit|Command successful.|0x00000000",
    ]


def test_a_recording_comes_back_with_its_clock():
    assert SPY.load(SPY.dump(TRACE)) == TRACE


def test_each_tap_is_a_connection_and_the_psam_has_its_own():
    events = [
        said(0, BALANCE),
        said(1000, ANSWER, 1000),
        said(2000, BALANCE, to="psam"),
        said(3000, ANSWER, 1000, to="psam"),
        said(4000, BALANCE, tap=2),
        said(5000, ANSWER, 1000, tap=2),
    ]
    text = SPY.dump(Trace(events, STARTED)).decode()
    assert text.count("|SCardConnect\n") == 3
    assert text.count("|SCardDisconnect\n") == 3
    assert "1@tapbench PSAM\n" in text
    assert load(text).events == events


def test_a_lost_answer_is_a_removed_card():
    lost = Trace([said(0, BALANCE)], STARTED)
    assert "|Card was removed.|0x80100069\n" in SPY.dump(lost).decode()
    assert SPY.load(SPY.dump(lost)) == lost


def test_the_log_has_a_length_even_if_nothing_took_time():
    text = SPY.dump(Trace([said(0, BALANCE), said(0, ANSWER, 0)])).decode()
    first, last = text.split("\n")[0], text.split("\n")[-2]
    assert first.split("|")[2] != last.split("|")[2], "or pcsc-spy divides by zero"


def test_a_real_call_is_read():
    trace = load(TRANSMIT)
    assert [e.data for e in trace.events] == [BALANCE, ANSWER]
    assert trace.events[1].t_ns == trace.events[1].duration_ns == 205_000
    assert trace.started == datetime.fromtimestamp(1795637110, SHANGHAI).replace(microsecond=805187)


def test_the_layout_without_protocol_lines_is_read_too():
    lines = TRANSMIT.splitlines(keepends=True)
    old = "".join(line for at, line in enumerate(lines) if at not in (2, 3, 6, 7))
    assert load(old).events == load(TRANSMIT).events


def test_threads_are_told_apart():
    one, two = (transmit(thread=t).splitlines(keepends=True) for t in ("AA", "BB"))
    mixed = "".join(line for pair in zip(one, two, strict=True) for line in pair)
    assert [x.command for x in exchanges(load(mixed))] == [BALANCE, BALANCE]


def test_calls_that_transmit_nothing_are_skipped():
    other = "1@>|5|0|SCardGetStatusChange\n1@0x1\n1@any text | < > @\n1@\n"
    end = "1@<|5|1|SCardGetStatusChange|Command timeout.|0x8010000A\n"
    assert load(other + end + TRANSMIT).events == load(TRANSMIT).events


@pytest.mark.parametrize(
    ("reader", "to"),
    [
        ("ACS ACR1281U SAM Interface 02 00", "psam"),
        ("tapbench PSAM", "psam"),
        ("Samsung reader 00 00", "card"),
        ("tapbench 00 00", "card"),
    ],
)
def test_a_readers_name_tells_the_psam(reader, to):
    text = CONNECT.format(reader=reader, handle="0x11") + transmit("0x11")
    assert {e.to for e in load(text).events} == {to}


def test_a_tap_begins_with_the_first_command_after_a_connection_or_reset():
    connect = CONNECT.format(reader="x", handle="0x11")
    reset = "1@>|5|2|SCardReconnect\n1@0x11\n1@2\n1@3\n1@0x1\n1@2\n"
    reset += "1@<|5|3|SCardReconnect|Command successful.|0x00000000\n"
    text = connect + connect + transmit("0x11") + transmit("0x11") + reset + transmit("0x11")
    assert [x.tap for x in exchanges(load(text))] == [1, 1, 2]
    assert [x.tap for x in exchanges(load(transmit()))] == [1], "the beginning may be missing"


def test_a_failed_call_has_no_answer_whatever_lies_in_the_buffer():
    failed = TRANSMIT.replace("Command successful.|0x00000000", "Card was removed.|0x80100069")
    assert [e.data for e in load(failed).events] == [BALANCE]


def test_a_program_stopped_inside_a_call_leaves_a_command():
    lines = TRANSMIT.splitlines(keepends=True)
    assert [e.data for e in load("".join(lines[:6])).events] == [BALANCE]
    assert load("".join(lines[:4])).events == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("PCSC SPY VERSION: 1\n", "of a pcsc-lite older than 1.9; record it again"),
        ("hello\n", "line 1: expected THREAD@text, not 'hello'"),
        ("1@hello\n", "line 1: expected the beginning of a call, not 'hello'"),
        (TRANSMIT[:-1], "it ends inside line 11"),
        (TRANSMIT.replace("80 5C", "80 5G"), "line 11: '80 5G 00 02 04 ' in .* is not hexadecimal"),
        (TRANSMIT.replace("0x00000006", "0x00000007"), "says 7 bytes and has 6"),
        (TRANSMIT.replace("0x00000006", "six"), "line 11: 'six' in SCardTransmit of line 1 is no"),
        (TRANSMIT.replace("392|SCardTransmit", "392|SCardControl"), "ends as SCardControl"),
        ("1@>|1|1|SCardConnect\n1@<|1|1|SCardConnect||0x0\n", "has 0 parameters, too few"),
    ],
)
def test_a_bad_log_says_what_and_where(text, sentence):
    with pytest.raises(TraceError, match=sentence):
        load(text)


def test_what_pc_sc_cannot_say_is_refused():
    with pytest.raises(TraceError, match="said to 'host'; expected card or psam"):
        SPY.dump(Trace([said(0, BALANCE, to="host")]))
    with pytest.raises(TraceError, match="before 1970"):
        SPY.dump(Trace([said(-1, BALANCE)]))
