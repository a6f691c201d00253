"""Service times: the table, the two sets of data, and the bus log they must give back."""

import pytest

import fixtures
from apdu.event import Event, Source
from bench.rig.air import AirCoupler, AirTransport
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from bench.throughput.air import air_tap
from emulator.card.card import Card
from emulator.radio.air import Air
from emulator.radio.service import ServiceTime, ServiceTimes, air_time_ns
from emulator.radio.station import Station
from fixtures.timing import TimingError, load_timing, timing_names
from reader.gate import Direction, Verdict
from reader.session import run
from tests.unit.talk import x

MS = 1_000_000

PPSE = x("00A404000E325041592E5359532E444446303100")
SELECT_PURSE = x("00A4040008A00000063201010500")
READ_1E = x("00B201F400")

# Protocol reference 7: milliseconds from command to answer; bytes each way.
LOG = {
    "SELECT PPSE": (PPSE, 50, 26.0),
    "SELECT purse": (SELECT_PURSE, 53, 19.0),
    "READ EF15": (x("00B0950000"), 32, 10.0),
    "READ EF17": (x("00B0970000"), 62, 13.0),
    "READ EF1E": (READ_1E, 50, 12.0),
    "GET BALANCE": (x("805C030204"), 6, 7.0),
    "INITIALIZE": (x("805003020B0100000001413101210198 0F"), 17, 11.5),
    "UPDATE CACHE": (x("80DC00F030") + x("0600") + bytes(46), 2, 16.0),
    "DEBIT": (x("805401000F"), 10, 67.0),
}


# The table


def test_the_longest_prefix_that_fits_counts():
    times = ServiceTimes(
        "some",
        [ServiceTime(x("00"), "a", 1), ServiceTime(x("00A404"), "b", 3), ServiceTime(b"", "c", 9)],
        default_ns=5,
    )
    commands = ("00A40400", "00A404", "00A4", "00B0", "80", "")
    assert [times.time_ns(x(command)) for command in commands] == [3, 3, 1, 1, 9, 9]


def test_what_is_not_listed_takes_the_default():
    times = ServiceTimes("some", [ServiceTime(x("8054"), "a", 1)], default_ns=5)
    assert [times.time_ns(x(command)) for command in ("8050", "80", "", "805401")] == [5, 5, 5, 1]
    assert ServiceTimes("none", [], default_ns=7).time_ns(b"anything") == 7


def test_each_page_written_takes_its_time():
    times = ServiceTimes("some", [ServiceTime(x("8054"), "a", 100, writes=3)], 0, write_ns=10)
    assert times.time_ns(x("8054010000")) == 130


@pytest.mark.parametrize(("sends", "answers"), [(5, 2), (20, 50), (53, 2), (5, 62)])
def test_air_time_is_start_bits_nine_bits_a_byte_and_one_delay(sends: int, answers: int):
    periods = (2 + 9 * (sends + 3 + answers + 3)) * 128 + 1172
    assert air_time_ns(sends, answers) == pytest.approx(periods * 1000 / 13.56, abs=1)


# The data


def test_both_timings_load_and_say_what_they_are():
    assert timing_names() == ["budget", "measured"]
    for name in timing_names():
        timing = load_timing(name)
        assert timing is load_timing(name)
        assert timing.name == name
        assert timing.title.startswith(name)
        assert timing.psam.time_ns(x("8070000024")) == 121 * MS
        assert timing.psam.time_ns(x("8072000004")) == 72 * MS
        assert timing.psam.time_ns(x("00A40000023F00")) == 0


@pytest.mark.parametrize("name", ["", "slow", "../timing/measured", "measured.toml"])
def test_an_unknown_timing_is_named_and_so_are_those_there_are(name: str):
    with pytest.raises(TimingError, match="choose one of: budget, measured"):
        load_timing(name)


def test_the_measured_times_are_the_log_without_its_air():
    card = load_timing("measured").card
    for command, answers, logged_ms in LOG.values():
        sends = 21 if command[1] == 0x54 else len(command)
        assert card.time_ns(command) == logged_ms * MS - air_time_ns(sends, answers)
    assert card.time_ns(x("00B201D400")) == card.time_ns(READ_1E)
    assert card.time_ns(x("0084000004")) == 7 * MS


# Taps that take what the log says


class Timed:
    """A card at the reader's antenna: how long each command takes, as the reader sees it."""

    def __init__(self, card: Card, timing: str) -> None:
        self.seen: list[Event] = []
        air = Air(observer=self.seen.append)
        air.bring(Station(card, load_timing(timing).card))
        self.link: AirTransport = AirCoupler(air).wait_card(1.0)

    def ms(self, command: bytes) -> tuple[int, float]:
        self.seen.clear()
        answer = self.link.transmit(command)
        last = self.seen[-1]
        return len(answer), (last.t_ns + last.duration_ns - self.seen[0].t_ns) / 1e6


def with_a_trip() -> Card:
    """A card with a record in EF1E."""
    card = fixtures.card("student", balance=5000)
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    card.power_on()
    outcome = run(gate.tap(), {"card": Direct(card), "psam": gate.psam})
    assert outcome.verdict is Verdict.PASS
    card.power_off()
    return card


class Direct:
    def __init__(self, card: Card) -> None:
        self.transmit = card.process


def test_each_command_takes_what_the_log_says():
    timed = Timed(with_a_trip(), "measured")
    for name, (command, answers, logged_ms) in LOG.items():
        if name == "DEBIT":
            continue  # needs a right MAC: in the whole tap below
        size, took_ms = timed.ms(command)
        assert size == answers, name
        assert took_ms == pytest.approx(logged_ms, abs=0.1), name


def commands(frames: tuple[Event, ...]) -> list[tuple[bytes, float]]:
    """Each command of a tap and its time on the reader's clock; S(WTX) belongs to its command."""
    found: list[tuple[bytes, int, int]] = []
    for frame in frames:
        end_ns = frame.t_ns + frame.duration_ns
        if frame.source is Source.PCD and frame.data[0] in (0x02, 0x03):
            found.append((frame.data[1:-2], frame.t_ns, end_ns))
        elif found:
            command, start_ns, _ = found[-1]
            found[-1] = (command, start_ns, end_ns)
    return [(command, (end_ns - start_ns) / 1e6) for command, start_ns, end_ns in found]


def test_a_whole_entry_tap_takes_what_the_log_says_with_s_wtx_within():
    tap = air_tap(0, load_timing("measured"))
    took = {command[:4]: ms for command, ms in commands(tap.frames)}
    by_start = {
        PPSE[:4]: 19.0,  # the purse's SELECT begins alike and comes second
        x("00B09500"): 10.0,
        x("00B09700"): 13.0,
        x("80500302"): 11.5,
        x("80DC00F0"): 16.0,
        x("80540100"): 67.0,
    }
    for start, logged_ms in by_start.items():
        assert took[start] == pytest.approx(logged_ms, abs=0.1), start.hex()
    requests = [f for f in tap.frames if f.source is Source.PICC and f.data[0] == 0xF2]
    assert len(requests) == 1, "DEBIT alone outlasts its share of 38.7 ms"
    assert tap.psam == 193 * MS


def test_the_bus_purchase_of_the_log_sums_to_376_ms():
    """304 ms up to DEBIT, about 376 with the PSAM's last command."""
    measured = load_timing("measured")
    card_ms = sum(ms for _, _, ms in LOG.values())
    psam_ms = sum(measured.psam.time_ns(x(command)) for command in ("8070", "8072")) / MS
    assert card_ms + 121 == pytest.approx(304, abs=2)
    assert card_ms + psam_ms == pytest.approx(376, abs=2)


def test_the_budget_holds_for_the_entry_ladder():
    """Each APDU 10 to 20 ms, DEBIT up to 70, 200 for the card in all (protocol reference 7)."""
    card = load_timing("budget").card
    sent = [command for command, _ in commands(air_tap(0, load_timing("budget")).frames)]
    assert len(sent) == 10
    times = [card.time_ns(command) / MS for command in sent]
    assert all(10 <= ms <= 20 for ms in times[:-1])
    assert times[-1] == 70
    assert sent[-1][:2] == x("8054")
    assert sum(times) <= 200


def test_at_106_kbit_the_budget_and_its_air_stay_under_300_ms():
    """A reader sees the card's time and the air's: 173 ms and 62, of 300 that are good."""
    tap = air_tap(0, load_timing("budget"))
    seen_ms = sum(ms for _, ms in commands(tap.frames))
    card_ms = sum(
        load_timing("budget").card.time_ns(command) for command, _ in commands(tap.frames)
    )
    assert card_ms == 173 * MS
    assert 230 < seen_ms < 240
