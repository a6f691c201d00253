"""A card that takes its time: service times, S(WTX), and leaving before it is done."""

import pytest

from apdu.frame import REQA, WUPA, Frame
from emulator.radio.isodep import Phase
from emulator.radio.medium import Tearable
from emulator.radio.station import COMMIT_SHARE, WTX_SHARE, Station
from emulator.radio.timing import FDT_READER, ns
from tests.unit.pcd import PHONE, EchoCard, SizedCard, with_ats
from tests.unit.stations import (
    ANTICOLLISION,
    POLL,
    RATS,
    SELECT,
    UID,
    WAKE,
    ask,
    in_field,
    opened,
    timed,
)
from tests.unit.talk import x

MS = 1_000_000
FWT_NS = 38_664_307  # of FWI 7
AT_LEAST_NS = int(FWT_NS * WTX_SHARE)
S_WTX_NS = ns(2 * (1 + 9 * 4) * 128 + FDT_READER)
"""A request and its response at 106 kbit/s, four bytes each, and the delay between them."""


# Time


def test_a_card_without_service_answers_at_once():
    station = opened()
    assert timed(station, "0201") == ("02019000", 0)
    assert timed(station, "A2") == ("02019000", 0)


def test_only_commands_take_time():
    station = in_field(took_ns=5 * MS)
    for frame in (POLL, ANTICOLLISION, SELECT, RATS):
        reply = station.receive(frame, 0)
        assert reply is not None
        assert reply.after_ns == 0
    assert timed(station, "0201") == ("02019000", 5 * MS)
    assert timed(station, "B2") == ("02019000", 0)  # said again at once
    assert timed(station, "B3") == ("A2", 0)
    assert timed(station, "1302") == ("A3", 0)  # a part is no command
    assert timed(station, "0203") == ("0202039000", 5 * MS)
    assert timed(station, "C2") == ("C2", 0)


def test_a_chained_answer_takes_its_time_before_the_first_part():
    station = opened(SizedCard(), took_ns=5 * MS, rats="E000")
    assert timed(station, "020014") == ("12" + bytes(range(13)).hex().upper(), 5 * MS)
    answer = timed(station, "A3")
    assert answer is not None
    assert answer[1] == 0


@pytest.mark.parametrize("over_ns", [-1, 0])
def test_within_its_share_of_fwt_the_card_just_answers(over_ns: int):
    due_ns = AT_LEAST_NS + over_ns
    assert timed(opened(took_ns=due_ns), "0201") == ("02019000", due_ns)


def test_beyond_its_share_of_fwt_the_card_asks_for_time():
    station = opened(took_ns=67 * MS)
    request = timed(station, "0201")
    assert request == ("F202", AT_LEAST_NS)  # from 30 ms; 37 ms are left, two shares
    assert 30 * MS < AT_LEAST_NS < 31 * MS
    answer = timed(station, "F202")
    # What S(WTX) takes on air is computed through.
    assert answer == ("02019000", 67 * MS - AT_LEAST_NS - S_WTX_NS)


def test_a_card_that_is_done_while_it_asks_answers_at_once():
    station = opened(took_ns=AT_LEAST_NS + S_WTX_NS // 2)
    assert timed(station, "0201") == ("F201", AT_LEAST_NS)
    assert timed(station, "F201") == ("02019000", 1)


def test_a_very_slow_card_asks_again_and_again():
    took_ns = 10_000 * MS
    station = opened(took_ns=took_ns)
    answer, delay_ns = timed(station, "0201") or ("", 0)
    total_ns, asked = delay_ns, 0
    waits_ns = FWT_NS
    while answer.startswith("F2"):
        assert delay_ns <= waits_ns * WTX_SHARE + 1
        wtxm = int(answer[2:], 16)
        waits_ns = FWT_NS * wtxm
        answer, delay_ns = timed(station, answer) or ("", 0)
        total_ns += S_WTX_NS + delay_ns
        asked += 1
    assert answer == "02019000"
    assert asked == 6  # 59 shares of 30.16 ms each are 1.78 s
    assert total_ns == pytest.approx(took_ns, abs=2)


def test_fwi_14_is_never_extended_past_itself():
    station = opened(EchoCard(with_ats(fwi=13)), took_ns=20_000 * MS)
    answer, delay_ns = timed(station, "0201") or ("", 0)
    delays = [delay_ns]
    while answer.startswith("F2"):
        answer, delay_ns = timed(station, answer) or ("", 0)
        delays.append(delay_ns)
    assert answer == "02019000"
    assert max(delays) <= 4_949_031_268 * WTX_SHARE + 1


def test_r_nak_while_the_card_asks_repeats_the_request_at_once():
    station = opened(took_ns=67 * MS)
    assert timed(station, "0201") == ("F202", AT_LEAST_NS)
    assert timed(station, "B2") == ("F202", 0)
    assert timed(station, "B3") == ("F202", 0)
    assert timed(station, "F202") == ("02019000", 67 * MS - AT_LEAST_NS - S_WTX_NS)
    assert timed(station, "B2") == ("02019000", 0)


@pytest.mark.parametrize("frame", ["F203", "A2", "0301", "F2", "F20200"])
def test_what_is_no_answer_to_s_wtx_is_silent(frame: str):
    card = EchoCard()
    station = opened(card, took_ns=67 * MS)
    timed(station, "0201")
    assert timed(station, frame) is None
    assert card.seen == [b"\x01"]
    assert timed(station, "F202") is not None


def test_s_deselect_while_the_card_asks_ends_what_it_computes():
    station = opened(took_ns=67 * MS)
    timed(station, "0201")
    assert timed(station, "C2") == ("C2", 0)
    for frame in (WAKE, ANTICOLLISION, SELECT, RATS):
        assert station.receive(frame, 0) is not None
    assert timed(station, "B2") == ("A3", 0)
    assert timed(station, "0201") == ("F202", AT_LEAST_NS)  # its own time and no other


def test_s_wtx_in_front_of_a_chained_answer_carries_the_cid():
    station = opened(SizedCard(), took_ns=40 * MS, rats="E005")
    assert timed(station, "0A050014") == ("FA0501", AT_LEAST_NS)
    first = timed(station, "FA0501")
    assert first is not None
    assert first[0] == "1A05" + bytes(range(12)).hex().upper()
    assert timed(station, "BA05") == (first[0], 0)
    second = timed(station, "AB05")
    assert second == ("0B05" + bytes(range(12, 20)).hex().upper() + "9000", 0)
    assert station.link.isodep._phase is Phase.WAITING


@pytest.mark.parametrize(
    ("dsi", "dri", "s_wtx_periods"),
    [
        (0, 0, 37 * 128 + 1172 + 37 * 128),
        (3, 3, 512 + 36 * 16 + 1172 + 37 * 16),  # 32 cycles of the subcarrier and 36 bits
        (1, 2, 512 + 36 * 64 + 1172 + 37 * 32),
        (2, 0, 512 + 36 * 32 + 1172 + 37 * 128),
    ],
)
def test_s_wtx_at_high_rates_takes_less_of_the_computing(dsi: int, dri: int, s_wtx_periods: int):
    station = opened(EchoCard(with_ats(ta=0x77)), took_ns=67 * MS)
    ask(station, f"D011{dsi << 2 | dri:02X}")
    station.receive(Frame.whole(x("0201"), rate=dri), 0)
    reply = station.receive(Frame.whole(x("F202"), rate=dri), 0)
    assert reply is not None
    assert reply.after_ns == 67 * MS - AT_LEAST_NS - ns(s_wtx_periods)


# Leaving the field


def test_a_station_wants_to_know_when_it_leaves():
    assert isinstance(Station(EchoCard()), Tearable)


@pytest.mark.parametrize(
    ("stays_ns", "happens"),
    [
        (int(50 * MS * COMMIT_SHARE) - 1, False),
        (int(50 * MS * COMMIT_SHARE), True),
        (50 * MS, True),
        (0, False),
        (-5, False),
        (None, True),
    ],
)
def test_a_command_happens_only_if_the_card_stays_to_its_commit(
    stays_ns: int | None, happens: bool
):
    card = EchoCard()
    station = opened(card, took_ns=50 * MS)
    station.leaves_after(stays_ns)
    assert timed(station, "0201") == ("F201", AT_LEAST_NS), "it asks for time until it is gone"
    assert card.seen == ([b"\x01"] if happens else [])
    station.field_off()
    station.field_on()
    station.leaves_after(None)
    for frame in (POLL, ANTICOLLISION, SELECT, RATS):
        assert station.receive(frame, 0) is not None
    assert timed(station, "0202") is not None


def test_a_card_that_computes_at_once_has_always_committed():
    card = EchoCard()
    station = opened(card)
    station.leaves_after(0)
    assert timed(station, "0201") == ("02019000", 0)
    assert card.seen == [b"\x01"]


# Without checksums


def test_a_medium_without_checksums_gets_bodies():
    station = in_field(took_ns=67 * MS)
    assert station.receive_body(REQA) == (x("0400"), 0)
    assert station.receive_body(x("9320")) == (UID, 0)
    assert station.receive_body(x("9370") + UID) == (x("20"), 0)
    assert station.receive_body(x("E080")) == (PHONE.ats, 0)
    assert station.receive_body(x("0201")) == (x("F202"), AT_LEAST_NS)
    assert station.receive_body(x("F202")) == (x("02019000"), 67 * MS - AT_LEAST_NS)
    assert station.receive_body(x("0301")) == (x("F202"), AT_LEAST_NS)
    assert station.receive_body(x("C2")) == (x("C2"), 0)
    assert station.receive_body(REQA) is None
    assert station.receive_body(WUPA) == (x("0400"), 0)
