"""Plain text: what people paste."""

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.trace_formats import FORMATS, TraceError
from bench.trace_formats.layers import exchanges

TEXT = FORMATS["text"]
BALANCE = bytes.fromhex("805C000204")
ANSWER = bytes.fromhex("000003E89000")


def said(text: str) -> list[tuple[str, bytes, bytes | None]]:
    return [(x.to, x.command, x.response) for x in exchanges(TEXT.load(text.encode()))]


def test_an_exchange_is_two_lines():
    events = [
        Event(0, Source.PCD, Layer.APDU, BALANCE, tap=1),
        Event(7, Source.PICC, Layer.APDU, ANSWER, 7, tap=1),
        Event(8, Source.PCD, Layer.APDU, b"\x80\x70", to="psam", tap=1),
        Event(9, Source.PICC, Layer.APDU, b"\x90\x00", 1, to="psam", tap=1),
        Event(9, Source.PCD, Layer.APDU, BALANCE, tap=2),
    ]
    assert TEXT.dump(Trace(events)).decode() == (
        "# tap 1\n> 805C000204\n< 000003E89000\npsam> 8070\npsam< 9000\n# tap 2\n> 805C000204\n"
    )
    back = TEXT.load(TEXT.dump(Trace(events))).events
    assert [(e.data, e.to, e.tap) for e in back] == [(e.data, e.to, e.tap) for e in events]
    assert {e.t_ns for e in back} == {0}, "there is no time"


@pytest.mark.parametrize(
    "text",
    [
        "> 805C000204\n< 000003E89000",
        ">805c000204\r\n<000003e89000\r\n",
        "\ufeff>> 80 5C 00 02 04\n\n<<  00 00 03 E8 90 00  ",
        "-> 80:5C:00:02:04\n<- 00:00:03:E8:90:00",
        "=> 0x80 0x5C 0x00 0x02 0x04\n<= 0x00,0x00,0x03,0xE8,0x90,0x00",
        "> 80 5C 00 02 04 # balance\n< 00 00 03 E8 90 00 : Normal processing.",
        "> 805C\n000204\n< 0000\n03 E8\n90 00 : done",
        "card> 805C000204\nCARD < 000003E89000",
        "# a remark\n> 805C000204\n# another\n< 000003E89000",
        "Using T=1 protocol\n> 805C000204\n< 000003E89000",
    ],
)
def test_what_people_write_is_read(text):
    assert said(text) == [("card", BALANCE, ANSWER)]


@pytest.mark.parametrize(
    ("first", "second", "ns"),
    [
        ("1.5", "1.500001", 1000),
        ("[0.000]", "[0.25]", 250_000_000),
        ("08:00:59,999", "08:01:00,000", 1_000_000),
        ("2026-10-01T08:00:00.000000001", "2026-10-01T08:00:00.000000003", 2),
        ("12:30.5:", "12:31:", 500_000_000),
        ("3s", "4s", 10**9),
    ],
)
def test_a_time_before_the_arrow_is_read(first, second, ns):
    [x] = exchanges(TEXT.load(f"{first} > 805C000204\n{second} < 9000".encode()))
    assert (x.start_ns, x.end_ns) == (0, ns)


def test_a_line_without_time_is_at_the_time_of_the_line_before():
    [x, y] = exchanges(TEXT.load(b"1.0 > 8000\n2.0 < 9000\n> 8001\n< 9000"))
    assert (x.end_ns, y.start_ns, y.end_ns) == (10**9, 10**9, 10**9)


def test_a_command_may_stay_without_an_answer():
    assert said("> 8000\n> 8001\n< 9000") == [
        ("card", b"\x80\x00", None),
        ("card", b"\x80\x01", b"\x90\x00"),
    ]


def test_card_and_psam_may_overlap():
    assert said("> 8000\nPSAM> 8070\npsam< 9001\n< 9000") == [
        ("card", b"\x80\x00", b"\x90\x00"),
        ("psam", b"\x80\x70", b"\x90\x01"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("> 805", "line 1: '805' is not hexadecimal, or half a byte is missing"),
        ("> 80\n< zz", "line 2: 'zz' is not hexadecimal"),
        ("< 9000", "line 1: expected a command before its answer"),
        ("> 80\n< 90\n< 90", "line 3: expected a command before its answer"),
        ("> 80\nwhat", "line 2: expected > or <, not 'what'"),
        ("host> 80", "line 1: expected card or psam before the arrow, not 'host'"),
        ("805C000204", "expected > or < in some line, the first is '805C000204'"),
        ("\x1b[31m\n" + "x" * 99, r"the first is '\.\[31m'"),
    ],
)
def test_a_bad_line_is_named(text, sentence):
    with pytest.raises(TraceError, match=sentence) as told:
        TEXT.load(text.encode())
    assert str(told.value).isprintable()


def test_an_empty_text_is_an_empty_recording():
    assert TEXT.load(b"") == TEXT.load(b"# tap 1\n") == Trace()
    assert TEXT.dump(Trace()) == b""
