"""The gate's display: what a passenger and a tester can read off it, with and without colour."""

import io
import itertools
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.cli.panel import Panel, PanelState, Title, panel_svg
from bench.cli.panel_screen import screen
from bench.cli.panel_state import MOST_TAPS, Pace, Phase, Tap, masked
from bench.stages import Part, Stage
from reader.barrier import Hold, Position
from reader.gate import Direction
from reader.modes import Mode
from reader.outcome import Lamp, Outcome, Reject, Verdict
from reader.policy import Policy
from reader.transport.inprocess import InProcess
from tests.gates import NOW, OUTSIDE, SERIAL, case
from tests.outcomes import again, passed, receipt, refused
from tests.watched import watched

TITLE = Title("GATE0340", "西单", "Xidan", "exit")
POLICY = Policy()
SIZES = [(80, 24), (200, 50)]
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
MS = 1_000_000


def fresh(**changes) -> PanelState:
    return replace(PanelState(TITLE, POLICY, NOW, "v12"), **changes)


def rows(state: PanelState, size: tuple[int, int] = SIZES[0]) -> list[str]:
    """The display's rows as text: no colour is left to tell anything."""
    width, height = size
    console = Console(
        record=True, file=io.StringIO(), width=width, height=height, force_terminal=True
    )
    console.print(screen(state, height))
    return console.export_text().splitlines()


def shown(state: PanelState, size: tuple[int, int] = SIZES[0]) -> str:
    return "\n".join(rows(state, size))


def after(*outcomes: Outcome, took_ms: float = 250.0, **changes) -> PanelState:
    state = fresh(**changes)
    for outcome in outcomes:
        state = state.tapped(outcome, [], took_ms)
    return state


def with_stages(state: PanelState, *edges: tuple[Part, float, float]) -> PanelState:
    """The newest tap with stages; times in ms."""
    made = tuple(Stage(part, round(a * MS), round(b * MS)) for part, a, b in edges)
    return replace(state, taps=(replace(state.taps[0], stages=made), *state.taps[1:]))


def real_taps() -> Iterator[PanelState]:
    """The display after a real entry, a real exit and a real refusal."""
    for direction in Direction:
        made = case(direction)
        ticks = itertools.count(0, 7 * MS)
        outcome, seen = watched(made.gate(), InProcess(made.card()), ticks.__next__)
        told = Outcome(
            Verdict[outcome.verdict.name],
            view=outcome.view,
            receipt=outcome.receipt,
            fare=outcome.fare,
        )
        took_ms = (seen[-1].end_ns - seen[0].start_ns) / MS
        yield fresh().tapped(told, seen, took_ms)


REAL = list(real_taps())


# The layout


@each_size
@pytest.mark.parametrize(
    "state",
    [
        fresh(),
        fresh(phase=Phase.BUSY, modes=tuple(Mode)),
        after(passed()),
        after(*(refused(reason) for reason in Reject)),
        after(*[again(detail="the card left the field " * 20)] * 70),
        *REAL,
    ],
    ids=["waiting", "busy", "passed", "every refusal", "long", "entry", "exit"],
)
def test_the_display_has_the_terminals_size(state: PanelState, size: tuple[int, int]):
    drawn = rows(state, size)
    assert len(drawn) == size[1]
    assert {cell_len(row) for row in drawn} == {size[0]}


@each_size
def test_every_part_has_its_place(size: tuple[int, int]):
    state = fresh(barrier=Position(True, 1), said="", unresolved=2)
    state = replace(REAL[0], barrier=state.barrier, unresolved=2, said="hear hear")
    text = shown(state, size)
    places = [
        "GATE0340  西单 Xidan  出站 exit",
        "正常 normal",
        "● GREEN 绿",
        "闸门 barrier",
        "longest:",
        "|500",
        "select",
        "unresolved 2",
        "time ",
        "…0017",
        "hear hear",
    ]
    found = [text.index(place) for place in places]
    assert found == sorted(found)


def test_a_taller_terminal_shows_more_taps():
    state = after(*[passed()] * 100)
    assert len(state.taps) == MOST_TAPS
    counts = [shown(state, size).count("…0017") for size in SIZES]
    assert counts[0] >= 5
    assert counts[1] > counts[0] + 15


@pytest.mark.parametrize("size", [(40, 12), (60, 18), (20, 5)])
def test_a_small_terminal_is_no_error(size: tuple[int, int]):
    assert len(rows(after(passed(), refused(Reject.OVER_TIME)), size)) == size[1]


@pytest.mark.parametrize("height", [10, 12, 18, 24, 50])
def test_what_the_passenger_reads_is_whole_in_any_height(height: int):
    text = shown(after(passed(fare=300)), (80, height))
    for words in ("● GREEN", "请 通 行", "PLEASE PASS", "fare 3.00"):
        assert words in text


# The head


def test_the_head_says_which_gate_when_and_by_which_lists():
    head = rows(fresh())[:2]
    assert "2025-09-08 08:01:42" in head[0]
    assert "blacklist v12" in head[1]
    assert "blacklist none" in shown(fresh(blacklist=""))


@pytest.mark.parametrize(
    ("direction", "zh"), [("entry", "进站"), ("board", "上车"), ("single", "一票制"), ("x", "")]
)
def test_the_direction_is_told_in_two_languages(direction: str, zh: str):
    state = fresh(title=replace(TITLE, direction=direction))
    assert f"{zh} {direction}".strip() in rows(state)[0]


@pytest.mark.parametrize("mode", Mode)
def test_modes_in_force_are_told_in_two_languages(mode: Mode):
    text = rows(fresh(modes=(mode,)))[1]
    assert f"{mode.rule.zh} {mode.rule.en}" in text
    assert "normal" not in text


# The passenger


def said(state: PanelState) -> str:
    return shown(state).replace(" ", "").lower()


@pytest.mark.parametrize("reason", Reject)
def test_a_refusal_is_told_with_lamp_code_and_both_texts(reason: Reject):
    text = said(after(refused(reason)))
    assert "●red红" in text
    assert f"code{reason.code:02d}" in text
    assert reason.zh.lower() in text
    assert reason.en.replace(" ", "").lower() in text


@pytest.mark.parametrize("verdict", Verdict)
def test_each_verdict_has_a_lamp_that_is_named_and_coloured(verdict: Verdict):
    outcome = Outcome(verdict, Reject.OVER_TIME if verdict is Verdict.REJECT else None)
    state = after(outcome)
    assert f"● {verdict.lamp.name} " in shown(state)
    backgrounds = {lamp: _background(after(_with(lamp))) for lamp in Lamp}
    assert len(set(backgrounds.values())) == len(Lamp)
    assert _background(state) == backgrounds[verdict.lamp]


def _with(lamp: Lamp) -> Outcome:
    return {
        Lamp.GREEN: passed(),
        Lamp.RED: refused(Reject.OVER_TIME),
        Lamp.AMBER: again(),
    }[lamp]


def _background(state: PanelState) -> str:
    """The colour behind the lamp's name."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor")
    lines = console.render_lines(screen(state, 24), console.options.update(height=24))
    segment = next(s for line in lines for s in line if "●" in s.text)
    assert segment.style is not None
    assert segment.style.bgcolor is not None
    return segment.style.bgcolor.name


def test_money_is_told_with_the_balance():
    state = after(passed(fare=300))
    assert "车费 fare 3.00" in shown(state)
    assert "余额 balance 47.00" in shown(state)


def test_the_fare_of_an_earlier_ride_is_told_apart():
    state = after(passed(fare=300, missed=receipt(amount=400)))
    assert "fare 3.00" in shown(state)
    assert "earlier ride 4.00" in shown(state)
    assert re.search(r"…0017 +PASS +- +7\.00 ", shown(state)), "the table has what was taken"


def test_a_recovered_fare_is_not_told_as_a_second_one():
    outcome = Outcome(Verdict.PASS, receipt=receipt(recovered=True))
    assert "fare 0.00" in shown(after(outcome))
    assert "recovered, no second charge" in shown(after(outcome))


def test_a_refused_card_is_told_no_fare():
    assert "车费" not in shown(after(refused(Reject.OVER_TIME)))


def test_waiting_and_reading_are_told():
    assert "请刷卡" in said(fresh())
    assert "请勿移开卡片" in said(replace(after(passed()), phase=Phase.BUSY))


def test_the_code_is_drawn_three_rows_high():
    drawn = {code: _drawing(code) for code in range(100)}
    assert len(set(drawn.values())) == 100


def _drawing(code: int) -> str:
    from bench.cli.panel_screen import _big

    lines = _big(code).plain.splitlines()
    assert {len(line) for line in lines[:3]} == {7}
    return "\n".join(lines[:3])


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode.rule.stops])
def test_a_gate_that_serves_nobody_says_so_before_anybody_taps(mode: Mode):
    text = said(fresh(modes=(mode,), title=replace(TITLE, direction="entry")))
    assert mode.rule.stops is not None
    assert "●red" in text
    assert mode.rule.stops.zh in text
    assert f"code{mode.rule.stops.code}" in text


@pytest.mark.parametrize("direction", ["exit", "alight"])
def test_in_an_emergency_people_are_told_to_leave(direction: str):
    title = replace(TITLE, direction=direction)
    text = said(fresh(modes=(Mode.CLOSED, Mode.EMERGENCY), title=title))
    assert "●green" in text
    assert Outcome(Verdict.PASS, released=True).text[0] in text


# The barrier


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (None, "barrier none"),
        (Position(False, 0), "关CLOSED"),
        (Position(True, 0), "开OPEN"),
        (Position(True, 2), "开OPENfor2"),
        (Position(True, 0, Hold.RELEASED), "开OPENemergencyrelease"),
        (Position(False, 0, Hold.SHUT), "关CLOSEDnotinservice"),
    ],
)
def test_the_barriers_position_is_in_words(position: Position | None, words: str):
    text = shown(fresh(barrier=position)).replace(" ", "")
    assert words.replace(" ", "") in text


# The time


@pytest.mark.parametrize(
    ("took_ms", "pace"),
    [(0, "ok"), (300, "ok"), (300.1, "slow"), (500, "slow"), (500.1, "fail")],
)
def test_a_tap_is_ok_slow_or_fails_by_the_policys_limits(took_ms: float, pace: str):
    assert Pace.of(took_ms, POLICY).value == pace
    state = after(passed(), took_ms=took_ms)
    assert pace.upper() in shown(state)
    assert re.search(rf"…0017 .* {pace} *$", shown(state), re.MULTILINE)


def test_other_limits_are_other_paces():
    strict = Policy(latency_ok_ms=10, latency_limit_ms=20)
    assert [Pace.of(ms, strict) for ms in (10, 20, 21)] == list(Pace)


def bar(state: PanelState, size: tuple[int, int]) -> tuple[str, str]:
    """The bar's row and the ruler's."""
    drawn = rows(state, size)
    at = next(n for n, row in enumerate(drawn) if "(ok to" in row)
    return drawn[at + 1], drawn[at + 2]


@each_size
def test_the_bar_is_true_to_scale_and_each_mark_is_where_it_belongs(size: tuple[int, int]):
    edges = [(Part.SELECT, 0, 200), (Part.DEBIT, 210, 300), (Part.PSAM_CHECK, 300, 400)]
    state = with_stages(after(passed(), took_ms=500), *edges)
    cells, ruler = bar(state, size)
    for mark, letters in ((200, "SD·"), (300, "DC"), (400, "C·"), (500, "· ")):
        at = ruler.index(f"|{mark}")
        before, behind = cells[at - 1], cells[at + 1]
        assert before == letters[0]
        assert behind in letters[1:]
    cells_per_ms = (ruler.index("|500") - ruler.index("|200")) / 300
    for part, start_ms, end_ms in edges:
        assert cells.count(part.letter) == pytest.approx((end_ms - start_ms) * cells_per_ms, abs=1)


def test_a_tap_beyond_the_last_mark_still_has_its_end_on_the_bar():
    state = with_stages(after(passed(), took_ms=2000), (Part.READ, 0, 2000))
    cells, ruler = bar(state, SIZES[0])
    assert 60 < cells.count("R") < 78
    assert ruler.index("|500") < 25


def test_a_tap_shorter_than_a_cell_is_seen():
    state = with_stages(after(passed(), took_ms=0.5), (Part.READ, 0, 0.2), (Part.DEBIT, 0.2, 0.5))
    assert bar(state, SIZES[0])[0].strip() == "D"


def test_marks_and_taps_may_be_missing():
    state = after(passed(), policy=Policy(latency_marks_ms=()))
    assert "|" not in bar(state, SIZES[0])[1]
    assert "no tap yet" in shown(fresh())
    assert "longest" not in shown(state)


@pytest.mark.parametrize("state", REAL, ids=["entry", "exit"])
def test_every_stage_of_a_real_tap_is_listed_with_its_time(state: PanelState):
    text = shown(state)
    stages = state.taps[0].stages
    assert len(stages) == 7
    for stage in stages:
        assert f"{stage.part.letter} {stage.name} {stage.ms:.1f}".removesuffix(".0") in re.sub(
            r"\.0\b", "", text
        )
    cells = bar(state, (200, 50))[0]
    order = [letter for letter, _ in itertools.groupby(cells.strip().replace("·", ""))]
    assert order == [stage.part.letter for stage in stages]
    longest = max(stages, key=lambda stage: stage.ms)
    assert f"longest: {longest.name}" in text


# What was


def test_counts_are_of_each_verdict_and_each_reason():
    state = after(
        passed(),
        refused(Reject.OVER_TIME),
        refused(Reject.EXPIRED),
        refused(Reject.EXPIRED),
        again(),
        unresolved=1,
    )
    text = shown(state)
    assert "passed 1   refused 3   tap again 1   unresolved 1" in text
    assert "32 expired 2   54 over time 1" in text


def test_a_row_of_the_table_says_when_who_what_and_how_fast():
    state = after(refused(Reject.OVER_TIME), passed(fare=300), took_ms=412)
    assert re.search(r"08:01:42 +…0017 +PASS +- +3\.00 +412 +slow", shown(state))
    assert re.search(r"08:01:42 +- +REJECT +54 over time +- +412 +slow", shown(state))
    assert shown(state).index("PASS ") < shown(state).index("REJECT"), "the newest first"


# What must not be seen


@each_size
@pytest.mark.parametrize("state", REAL, ids=["entry", "exit"])
def test_of_a_serial_the_last_four_digits_are_seen_alone(state: PanelState, size: tuple[int, int]):
    text = re.sub(r"\s", "", shown(state, size)) + re.sub(r"\s", "", panel_svg(state, size))
    assert "0017" in text
    for length in range(6, 21):
        assert SERIAL.hex()[-length:] not in text
    assert SERIAL.hex() not in repr(state)


def test_long_numbers_in_a_sentence_are_not_shown():
    assert masked(f"card {SERIAL.hex()} said 9302") == "card … said 9302"
    assert masked("key 404142434445464748494A4B4C4D4E4F.") == "key …."
    assert masked("two\nlines of\ttext") == "two lines of text"
    state = after(again(detail=f"lost {SERIAL.hex()}"))
    assert SERIAL.hex() not in repr(state)


def test_a_tap_knows_no_more_of_a_card_than_is_shown():
    tap = Tap.of(passed(SERIAL), [], 1.0, POLICY, NOW)
    assert tap.card == "0017"
    assert Tap.of(again(serial=SERIAL), [], 1.0, POLICY, NOW).card == "0017"
    assert Tap.of(again(), [], 1.0, POLICY, NOW).card == ""


def test_a_refused_card_is_told_by_the_same_digits():
    made = case(Direction.EXIT)
    made.trip = OUTSIDE
    outcome, _ = watched(made.gate(), InProcess(made.card()), lambda: 0)
    assert (
        Tap.of(refused(Reject.NOT_ENTERED, view=outcome.view), [], 1.0, POLICY, NOW).card
        == (SERIAL.hex()[-4:])
    )


# Pictures


def test_a_picture_is_svg_without_fonts_from_the_network():
    picture = panel_svg(after(passed(fare=300)))
    root = ElementTree.fromstring(picture)
    words = "".join(root.itertext()).replace("\u00a0", " ")
    assert "PLEASE PASS" in words
    assert "GATE0340 Xidan" in words
    assert "@font-face" not in picture
    assert len(picture) < 60_000


# Live


@contextmanager
def live(
    now: Callable[[], datetime] = lambda: NOW, **changes
) -> Iterator[tuple[Panel, io.StringIO]]:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True)
    with Panel(console, TITLE, POLICY, now, **changes) as panel:
        yield panel, out


def test_the_terminal_is_given_back_even_after_an_error():
    out = io.StringIO()

    def fails() -> None:
        nonlocal out
        with live() as (_, out):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert out.getvalue().startswith("\x1b[?1049h")
    _, _, rest = out.getvalue().partition("\x1b[?1049l")
    assert out.getvalue().count("\x1b[?25h") == 1
    assert "\x1b[?" not in rest


class Struck(Console):
    """A terminal at which Ctrl-C is pressed while the display takes it, or gives it back."""

    taken: bool

    def show_cursor(self, show: bool = True) -> bool:
        if show is not self.taken:
            signal.raise_signal(signal.SIGINT)
        return super().show_cursor(show)


@pytest.mark.parametrize("taken", [True, False])
def test_ctrl_c_while_the_terminal_is_taken_or_given_back_leaves_it_whole(taken: bool):
    out = io.StringIO()
    console = Struck(file=out, width=80, height=24, force_terminal=True)
    console.taken = taken
    with pytest.raises(KeyboardInterrupt), Panel(console, TITLE, POLICY, lambda: NOW):
        pass
    assert out.getvalue().count("\x1b[?1049l") == 1
    assert out.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize("height", [12, 24, 50])
def test_the_last_picture_stays_behind(height: int):
    out = io.StringIO()
    console = Console(file=out, width=80, height=height, force_terminal=True)
    with Panel(console, TITLE, POLICY, lambda: NOW) as panel:
        panel.tapped(passed(), [], 250.0)
    left = out.getvalue().partition("\x1b[?1049l")[2]
    assert "PLEASE PASS" in left
    assert left.count("\n") == min(height, 24)


def new(out: io.StringIO) -> str:
    """What has been drawn since this was asked last, without colours."""
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_each_event_is_drawn_at_once():
    with live() as (panel, out):
        assert "PLEASE TAP" in new(out)
        panel.busy()
        assert "READING" in new(out)
        panel.tapped(passed(fare=300), [], 250.0)
        assert "fare 3.00" in new(out)
        panel.said("the card left")
        assert "the card left" in new(out)
        panel.modes([Mode.TIME_FREE])
        assert "time free" in new(out)
        panel.blacklist("v13")
        assert "blacklist v13" in new(out)


def test_an_outcome_stays_to_be_read_while_the_gate_waits():
    with live() as (panel, _):
        panel.hold_s = 0.05
        panel.tapped(passed(), [], 250.0)
        panel.waiting()
        assert panel.state.phase is Phase.SHOWN
        time.sleep(0.06)
        panel.tick()
        assert panel.state.phase is Phase.WAITING


def test_a_gate_that_waits_on_does_not_hold_an_outcome_longer():
    with live() as (panel, _):
        panel.hold_s = 0.05
        panel.tapped(passed(), [], 250.0)
        panel.waiting()
        time.sleep(0.06)
        panel.hold_s = 60
        panel.waiting()
        assert panel.state.phase is Phase.WAITING


def test_an_outcome_stays_until_the_gate_waits():
    with live() as (panel, _):
        panel.hold_s = 0
        panel.tapped(passed(), [], 250.0)
        panel.tick()
        assert panel.state.phase is Phase.SHOWN


def test_the_next_card_takes_the_outcome_off_and_its_own_is_held():
    with live() as (panel, _):
        panel.hold_s = 0.05
        panel.tapped(passed(), [], 250.0)
        panel.waiting()
        panel.busy()
        assert panel.state.phase is Phase.BUSY
        time.sleep(0.06)
        panel.tapped(refused(Reject.EXPIRED), [], 250.0)
        panel.tick()
        assert panel.state.phase is Phase.SHOWN


def test_a_tap_that_came_to_nothing_ends_with_its_sentence():
    with live() as (panel, _):
        panel.busy()
        panel.said("lost")
        assert (panel.state.phase, panel.state.said) == (Phase.WAITING, "lost")
        panel.busy()
        panel.waiting()
        assert panel.state.phase is Phase.WAITING


def test_nothing_is_drawn_while_a_card_is_tapped_nor_where_nothing_is_new():
    positions = [Position(False, 0)]
    with live(barrier=lambda: positions[0]) as (panel, out):
        panel.busy()
        new(out)
        positions[0] = Position(True, 1)
        panel.tick()
        assert new(out) == ""
        panel.tapped(passed(), [], 1.0)
        assert "OPEN  for 1" in new(out)
        panel.tick()
        assert new(out) == ""


def test_the_clock_is_drawn_once_a_second():
    times = [NOW]
    with live(lambda: times[0]) as (panel, out):
        new(out)
        times[0] = NOW + timedelta(microseconds=999_999)
        panel.tick()
        assert new(out) == ""
        times[0] = NOW + timedelta(seconds=1)
        panel.tick()
        assert "08:01:43" in new(out)


def test_nothing_draws_after_the_end():
    with live():
        assert "panel" in {thread.name for thread in threading.enumerate()}
    assert "panel" not in {thread.name for thread in threading.enumerate()}


def test_a_barrier_that_times_out_is_drawn_by_itself():
    positions = [Position(True, 1)]
    with live(barrier=lambda: positions[0], unresolved=lambda: 3) as (panel, out):
        assert "unresolved 3" in new(out)
        positions[0] = Position(False, 0)
        deadline = time.monotonic() + 10
        while panel.state.barrier != positions[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert panel.state.barrier == positions[0]


def test_the_command_line_does_not_load_the_display():
    code = (
        "import sys, bench.cli.app;"
        "print([n for n in sys.modules if n == 'rich.live' or n.startswith('bench.cli.panel')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
