"""A recording as rows: every frame, APDU, stage and decision once, in order, with the money."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.commands import CREDIT_LOAD, DEBIT
from apdu.crc import append_crc
from apdu.event import Event, Layer, Source, Trace
from apdu.show import money
from bench.recording import Recorder
from bench.tracing.ledger import Ledger, Movement
from bench.tracing.rows import Row, View, rows_of, taps_of
from bench.tracing.words import counted, exchange_name, status_text
from emulator.radio.faults import Fault, FaultKind
from reader.gate import Direction, Verdict
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from tests.gates import FARE, INSIDE, Case
from tests.recordings import commands_of, frame_number, on_bad_air, scenario

ROADS = ["inproc", "air", "udp"]
ENDS = (Source.PCD, Source.PICC)


def apdus(rows: list[Row], to: str = "card") -> list[bytes]:
    return [row.apdu.data for row in rows if row.apdu is not None and row.apdu.to == to]


def recorded(trace: Trace, to: str = "card") -> list[bytes]:
    return [e.data for e in trace.events if e.layer is Layer.APDU and e.to == to]


def without(trace: Trace, layer: Layer) -> Trace:
    return Trace([e for e in trace.events if e.layer is not layer], trace.started, trace.title)


def is_debit(event: Event) -> bool:
    return b"\x80\x54\x01" in event.data and event.layer is Layer.RF


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("view", [View.ALL, View.APDU])
def test_every_apdu_has_one_row_in_its_order(road, view):
    trace = scenario(road)
    rows = rows_of(trace, view)
    assert apdus(rows) == recorded(trace)
    assert apdus(rows, "psam") == recorded(trace, "psam")


@pytest.mark.parametrize("road", ["air", "udp"])
def test_apdus_that_were_not_recorded_are_put_together_from_the_frames(road):
    trace = scenario(road)
    rows = rows_of(without(trace, Layer.APDU), View.APDU)
    assert apdus(rows) == recorded(trace)


@pytest.mark.parametrize("road", ["air", "udp"])
def test_every_frame_has_one_row_in_its_order(road):
    trace = scenario(road)
    for view in (View.ALL, View.RF):
        shown = [row.event for row in rows_of(trace, view) if row.words is not None]
        assert shown == [e for e in trace.events if e.layer is Layer.RF]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("view", View)
def test_stages_and_decisions_are_in_every_view(road, view):
    trace = scenario(road)
    names = [row.event.name for row in rows_of(trace, view) if _is_gates(row)]
    assert names == [e.name for e in trace.events if e.layer is Layer.GATE]


def _is_gates(row: Row) -> bool:
    return row.event is not None and row.event.layer is Layer.GATE


@pytest.mark.parametrize("road", ROADS)
def test_rows_are_in_the_order_of_time_and_deltas_add_up(road):
    rows = rows_of(scenario(road))
    assert all(row.delta_ns >= 0 for row in rows)
    assert sum(row.delta_ns for row in rows) == rows[-1].t_ns - rows[0].t_ns


@pytest.mark.parametrize("road", ["air", "udp"])
def test_a_command_stands_on_its_first_frame_and_the_answer_on_its_last(road):
    for row in rows_of(scenario(road)):
        if row.apdu is not None and row.apdu.to == "card":
            assert row.event is not None
            assert (row.event.source is Source.PICC) == row.apdu.is_response
            assert row.event.data[1:].startswith(row.apdu.data[:8])


def test_frames_without_times_have_their_own_apdus():
    """As text2pcap writes them if it is told of no time."""
    frames = [replace(e, t_ns=0, duration_ns=0) for e in scenario("air").events
              if e.layer is Layer.RF]  # fmt: skip
    rows = rows_of(Trace(frames))
    assert apdus(rows) == recorded(scenario("air"))
    for row in rows:
        if row.apdu is not None:
            assert row.event is not None
            assert row.event.data[1:].startswith(row.apdu.data[:8])


def test_what_happens_at_one_instant_stays_in_its_order():
    """The PSAM's MAC1 is there before the command it goes into, which is sent at once."""
    said = {"to": "psam", "tap": 1}
    events = [
        Event(0, Source.PCD, Layer.APDU, bytes.fromhex("8070000004"), **said),
        Event(5, Source.PICC, Layer.APDU, b"\x90\x00", **said),
        Event(5, Source.STAGE, Layer.GATE, name="debit", tap=1),
        Event(5, Source.PCD, Layer.RF, bytes.fromhex("02805C000204"), has_crc=None, tap=1),
    ]
    for view in (View.ALL, View.APDU):
        rows = rows_of(Trace(events), view)
        assert [row.apdu.data[:2].hex() if row.apdu else row.event.name for row in rows] == [
            "8070", "9000", "debit", "805c",
        ]  # fmt: skip


def test_the_block_view_has_blocks_alone():
    words = [row.words for row in rows_of(scenario("air"), View.ISODEP) if row.words is not None]
    assert words
    assert all(w.block is not None for w in words)


def test_one_tap_alone_is_what_the_whole_shows_of_it():
    trace = scenario("air")
    assert taps_of(trace) == [1, 2, 3]
    whole = [replace(row, delta_ns=0) for row in rows_of(trace) if row.tap == 2]
    alone = [replace(row, delta_ns=0) for row in rows_of(trace, tap=2)]
    assert alone == whole
    assert alone


@pytest.mark.parametrize("road", ROADS)
def test_the_money_is_followed_through_top_up_and_fare(road):
    moved = [row.money.text for row in rows_of(scenario(road)) if row.money and row.money.before
             is not None]  # fmt: skip
    assert moved == ["0.00 > 50.00", "50.00 > 50.00", "50.00 > 46.00"]
    asked = [row.money.text for row in rows_of(scenario(road)) if row.money and "asks" in
             row.money.text]  # fmt: skip
    assert asked == ["asks +50.00", "asks 0.00", "asks -4.00"]


def movements(trace: Trace) -> list[str]:
    return [row.money.text for row in rows_of(trace) if row.money and row.money.before is not None]


def test_money_whose_answer_was_lost_moves_when_it_is_proved():
    """The card leaves an exit after its DEBIT, the last command, and comes back."""
    exits = Case(Direction.EXIT, INSIDE)
    whole, recorder = Recorder(), Recorder()
    whole.pass_(exits.gate(), InProcess(exits.card()))
    gate, card = exits.gate(), exits.card()
    before = card.purse.actual
    debit = len(commands_of(whole.trace()))
    recorder.pass_(gate, Cutting(InProcess(card), debit, CutPoint.AFTER))
    assert movements(recorder.trace()) == []
    card.power_off()
    card.power_on()
    assert recorder.pass_(gate, InProcess(card)).verdict is Verdict.PASS
    assert movements(recorder.trace()) == [f"{money(before)} > {money(before - FARE)}"]


def test_a_proof_of_another_transaction_moves_nothing():
    ledger = Ledger()
    init = bytes.fromhex("805003020B01000001903000890003400F")
    ledger.command(init)
    ledger.response(init, bytes.fromhex("000013880007 000000 01005A6B7C8D9000"))
    proof = bytes(8) + b"\x90\x00"
    assert ledger.response(bytes.fromhex("805A000902000708"), proof) is None
    moved = ledger.response(bytes.fromhex("805A000902000808"), proof)
    assert moved == Movement(-400, 5000, 4600)
    assert ledger.response(bytes.fromhex("805A000902000808"), proof) is None, "once"


def test_a_refused_debit_moves_nothing():
    ledger = Ledger()
    init = bytes.fromhex("805003020B01000001903000890003400F")
    ledger.command(init)
    ledger.response(init, bytes.fromhex("00001388001300000001005A6B7C8D9000"))
    debit = DEBIT.command(DEBIT.data.parse(bytes(15)))
    assert ledger.response(debit, b"\x93\x02") is None


def test_a_credit_without_its_initialize_moves_nothing():
    credit = CREDIT_LOAD.command(CREDIT_LOAD.data.parse(bytes(11)))
    assert Ledger().response(credit, bytes(4) + b"\x90\x00") is None


def test_an_offer_with_an_overdraft_limit_shows_the_money_that_is_there():
    """4.14: the balance of an offer includes the limit."""
    ledger = Ledger()
    init = bytes.fromhex("805003020B01000000013000890003400F")
    assert ledger.command(init) == Movement(-1)
    offer = bytes.fromhex("000013880013 0003E8 01005A6B7C8D9000")
    assert ledger.response(init, offer) == Movement(after=4000)


def test_an_answer_of_the_wrong_length_says_nothing_of_money():
    assert Ledger().response(bytes.fromhex("805C000204"), bytes.fromhex("00009000")) is None


def test_the_passbook_is_told_apart():
    ask = bytes.fromhex("805C000104")
    assert Ledger().response(ask, bytes.fromhex("000000649000")).text == "ED 1.00"


def test_a_lost_answer_shows_the_loss_the_question_and_the_repetition():
    """The answer to the entry's DEBIT is lost: rule 4 asks again, rule 11 repeats it."""
    debit = frame_number(scenario("air"), is_debit)
    rows = rows_of(on_bad_air(Fault(FaultKind.LOST, debit + 1)))
    at = next(n for n, row in enumerate(rows) if row.event and is_debit(row.event))
    assert [row.marks for row in rows[at : at + 4]] == [
        (), ("lost",), ("asks again",), ("repeated",),
    ]  # fmt: skip
    assert rows[at + 1].apdu is not None, "the answer stands where it was first sent"
    assert rows[at + 3].apdu is None


def test_a_torn_card_leaves_a_command_without_an_answer():
    debit = frame_number(scenario("air"), is_debit)
    rows = rows_of(on_bad_air(Fault(FaultKind.LEAVES, debit + 1, bit=0)))
    torn = [row for row in rows if row.event is not None and is_debit(row.event)]
    assert [row.marks for row in torn] == [("no answer",)], "as the reader saw it"


def test_a_slow_card_asks_for_more_time():
    rows = rows_of(on_bad_air(slow=True))
    assert [row for row in rows if "asks for more time" in row.marks]


def test_a_wrong_checksum_is_marked():
    data = bytes.fromhex("C20000")
    (row,) = rows_of(Trace([Event(0, Source.PCD, Layer.RF, data, has_crc=True)]))
    assert row.marks == ("CRC wrong, E0B4 is right",)


def test_pcsc_shows_the_field_that_it_saw_and_no_frames():
    on = Event(0, Source.FIELD, Layer.RF, b"\x01", tap=1)
    trace = Trace([on, *scenario("inproc").events])
    rows = rows_of(trace)
    assert [row.words.title for row in rows if row.words is not None] == ["field on"]
    assert apdus(rows) == recorded(trace)


BALANCE_ASKED = ("02805C000204", "02000013889000")
DRAWN = ("03805C000204", "03000013889000")


def hidden(*pairs: tuple[str, str], crc: bool | None = None) -> list[bool]:
    """Which frames of a reader and a card in turn are not shown; an empty one was not sent."""
    frames = [
        (s, bytes.fromhex(text)) for pair in pairs for s, text in zip(ENDS, pair, strict=True)
    ]
    rows = rows_of(Trace([
        Event(n, source, Layer.RF, data, has_crc=crc)
        for n, (source, data) in enumerate(frames) if data
    ]))  # fmt: skip
    assert not any(row.words.lines for row in rows if row.hidden)
    return [row.hidden for row in rows]


def test_a_pin_is_hidden_in_every_frame_that_carries_it_and_in_no_other():
    """VERIFY PIN in a chain of two blocks, the second sent twice."""
    chain = [("1300200000", "A3"), ("0203987654", "B2"), ("0203987654", "029000")]
    assert hidden(BALANCE_ASKED, *chain, DRAWN) == [
        False, False, True, False, True, False, True, False, False, False,
    ]  # fmt: skip


def test_a_key_in_a_chain_that_was_never_finished_is_hidden():
    """WRITE KEY: the card leaves after the first part; the next field asks for the balance."""
    part = ("12 80D40100 15 3900F0F0AAFF", "A2")
    again = [("26", "0400"), BALANCE_ASKED]
    assert hidden(BALANCE_ASKED, part, ("13112233", ""), *again) == [
        False, False, True, False, True, False, False, False, False,
    ]  # fmt: skip


def test_a_pin_in_a_frame_that_did_not_get_through_is_hidden():
    """A bit of the instruction is wrong the first time."""
    good = append_crc(bytes.fromhex("02 0020000003123456")).hex()
    bad = good.replace("020020", "020060")
    answer = append_crc(bytes.fromhex("029000")).hex()
    assert hidden((bad, ""), (good, answer), crc=True) == [True, True, False]
    other = append_crc(bytes.fromhex("02 805C000204")).hex()
    assert hidden((bad, ""), (other, answer), crc=True) == [False, False, False]


@pytest.mark.parametrize(
    "command",
    [
        "0020008108 3132333400000000",
        "0024000008 1111222233334444",
        "80D4010002AABB",
        "00200000 FF12",
    ],
    ids=["eight bytes", "not ours", "of a wrong length", "cut"],
)
def test_a_secret_in_a_form_that_is_not_ours_is_hidden(command):
    assert hidden(("02" + command, "026700")) == [True, False]
    told = rows_of(Trace([Event(0, Source.PCD, Layer.APDU, bytes.fromhex(command), to="psam")]))
    assert [row.hidden for row in told] == [True]


def test_an_empty_recording_has_no_rows():
    assert rows_of(Trace()) == []
    assert taps_of(Trace()) == []


EVENTS = st.builds(
    Event,
    st.integers(0, 1000),
    st.sampled_from(Source),
    st.sampled_from(Layer),
    st.binary(max_size=12)
    | st.sampled_from(commands_of(scenario()) + recorded(scenario()) + [b"\x90\x00"]),
    st.integers(0, 10),
    tail=st.integers(1, 8),
    has_crc=st.sampled_from([True, False, None]),
    to=st.sampled_from(["card", "psam"]),
    tap=st.integers(0, 3),
)


@given(st.lists(EVENTS, max_size=12), st.sampled_from(View))
def test_any_events_make_rows(events, view):
    trace = Trace(sorted(events, key=lambda e: e.t_ns))
    rows = rows_of(trace, view)
    assert all(row.delta_ns >= 0 for row in rows)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("00A404000E325041592E5359532E444446303100", "SELECT PPSE"),
        ("00A4040008A00000063201010500", "SELECT purse"),
        ("00A4040007A000000003101000", "SELECT A0000000031010"),
        ("00B0950000", "READ BINARY EF15"),
        ("00B201D400", "READ RECORD EF1A 1"),
        ("805401000F0000010120250908073015 94E7639508", "DEBIT FOR PURCHASE"),
        ("80AA0000", "80AA, not in the table"),
    ],
)
def test_names_say_what_a_command_is_about(command, name):
    assert exchange_name(bytes.fromhex(command)) == name


@pytest.mark.parametrize(
    ("response", "said"),
    [(None, "no answer"), ("", "no status word"), ("90", "no status word"), ("9000", "9000 done")],
)
def test_status_words_of_any_answer(response, said):
    assert status_text(None if response is None else bytes.fromhex(response)) == said


def test_small_numbers_are_words():
    assert [counted(n, "tap") for n in (0, 1, 2, 9, 10)] == [
        "no taps", "one tap", "two taps", "nine taps", "10 taps",
    ]  # fmt: skip
