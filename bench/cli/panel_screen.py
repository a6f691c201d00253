"""A gate's display drawn: from a `PanelState` to a layout for rich, or to a picture in SVG.

Nothing needs colour to be understood: the lamp has its name, stages have letters, marks a ruler.
"""

import re
from collections.abc import Iterable
from io import StringIO
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from apdu.show import money
from bench.cli.panel_state import Pace, PanelState, Phase, Tap
from bench.stages import Part, longest
from reader.barrier import Hold, Position
from reader.modes import Mode, stopping
from reader.outcome import Lamp, Outcome, Reject, Verdict

SVG_SIZE: Final = (100, 30)
"""Columns and rows of a picture."""

_DIRECTIONS = {
    "entry": "进站",
    "exit": "出站",
    "board": "上车",
    "alight": "下车",
    "single": "一票制",
}
_LAMPS = {Lamp.GREEN: "绿", Lamp.RED: "红", Lamp.AMBER: "黄"}
_LAMP_STYLES = {
    Lamp.GREEN: "bold white on green4",
    Lamp.RED: "bold white on red3",
    Lamp.AMBER: "bold black on orange1",
}
_NO_LAMP_STYLE = "bold white on dark_blue"
_PACE_STYLES = {Pace.OK: "green", Pace.SLOW: "yellow", Pace.FAIL: "bold red"}
_PART_STYLES = {
    Part.SELECT: "black on cyan",
    Part.READ: "black on green",
    Part.PROOF: "black on bright_cyan",
    Part.OFFER: "black on yellow",
    Part.PSAM: "black on magenta",
    Part.RECORDS: "black on bright_blue",
    Part.DEBIT: "black on bright_red",
    Part.PSAM_CHECK: "black on bright_magenta",
    Part.OTHER: "black on white",
}
_WAITING = ("请刷卡", "please tap your card")
_BUSY = ("处理中，请勿移开卡片", "reading, keep your card here")
_GATES_OWN = "·"  # neither card nor PSAM is asked

# Digits three rows high, for the code.
_DIGITS = (
    ("█▀█", "▄█ ", "▀▀█", "▀▀█", "█ █", "█▀▀", "█▀▀", "▀▀█", "█▀█", "█▀█"),
    ("█ █", " █ ", "█▀▀", "▀▀█", "▀▀█", "▀▀█", "█▀█", "  █", "█▀█", "▀▀█"),
    ("▀▀▀", "▀▀▀", "▀▀▀", "▀▀▀", "  ▀", "▀▀▀", "▀▀▀", "  ▀", "▀▀▀", "▀▀▀"),
)

_HEAD, _BARRIER, _BAR, _COUNTS, _SAID = 2, 1, 5, 2, 1
_SAID_ROWS = 4  # to the passenger: lamp, two languages, money
_APART: Final = re.compile(r"(?<=[^\x00-\x7f])(?=.)|(?<=.)(?=[^\x00-\x7f])")  # Chinese
_FONTS: Final = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def screen(state: PanelState, height: int) -> Layout:
    """The whole display. height: rows of the terminal; 24 show everything."""
    root = Layout()
    block = min(11, max(6, height // 4))
    root.split_column(
        Layout(_head(state), size=_HEAD),
        Layout(_passenger(state, block), size=block),
        Layout(_barrier(state.barrier), size=_BARRIER),
        Layout(_Bar(state), size=_BAR),
        Layout(_counts(state), size=_COUNTS),
        Layout(_Taps(state.taps), ratio=1),
        Layout(_line(f" {state.said}", "yellow"), size=_SAID),
    )
    return root


def panel_svg(state: PanelState, size: tuple[int, int] = SVG_SIZE) -> str:
    """The display as a picture, as rich draws it, but without fonts from the network."""
    width, height = size
    picture = Console(
        record=True,
        file=StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    picture.print(screen(state, height))
    title = f"{state.title.gate} {state.title.station_en}"
    drawn = _FONTS.sub("", picture.export_svg(title=title))
    return drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _two_ends(left: Text, right: Text, style: str = "") -> Table:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.style = style
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, right)
    return grid


# Where and how


def _head(state: PanelState) -> Table:
    title = state.title
    way = f"{_DIRECTIONS.get(title.direction, '')} {title.direction}".strip()
    place = f" {title.gate}  {title.station_zh} {title.station_en}  {way}"
    modes = ", ".join(f"{mode.rule.zh} {mode.rule.en}" for mode in state.modes)
    lists = f"blacklist {state.blacklist or 'none'} "
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_row(
        _two_ends(_line(place), Text(f"{state.now:%Y-%m-%d %H:%M:%S} "), "bold white on grey30")
    )
    style = "bold yellow" if state.modes else ""
    grid.add_row(_two_ends(_line(f" {modes or '正常 normal'}", style), Text(lists)))
    return grid


# The passenger


def _passenger(state: PanelState, height: int) -> Padding:
    tap = state.taps[0] if state.phase is Phase.SHOWN and state.taps else None
    lamp, (zh, en), code = _message(state, tap)
    said = Text(no_wrap=True, overflow="ellipsis")
    said.append(f"● {lamp.name} {_LAMPS[lamp]}\n" if lamp else "○\n")
    said.append(f"{_APART.sub(' ', zh)}\n{en.upper()}\n")
    said.append(_paid(tap) if tap else " ")
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(said, _big(code))
    style = _LAMP_STYLES[lamp] if lamp else _NO_LAMP_STYLE
    above = (height - _SAID_ROWS) // 2
    return Padding(grid, (above, 2, height - _SAID_ROWS - above, 2), style=style)


def _message(state: PanelState, tap: Tap | None) -> tuple[Lamp | None, tuple[str, str], int | None]:
    """The lamp, what to read, and the code."""
    if tap is not None:
        return tap.verdict.lamp, tap.text, tap.reason.code if tap.reason else None
    stops = stopping(state.modes)
    if stops is not None:
        return _stopped(state, stops)
    return None, _BUSY if state.phase is Phase.BUSY else _WAITING, None


def _stopped(state: PanelState, stops: Mode) -> tuple[Lamp, tuple[str, str], int | None]:
    """What a gate says that serves nobody. In an emergency people may still leave."""
    reason = stops.rule.stops
    if stops is Mode.EMERGENCY and state.title.direction in ("exit", "alight"):
        released = Outcome(Verdict.PASS, released=True)
        return released.verdict.lamp, released.text, None
    outcome = Outcome(Verdict.REJECT, reason)
    return outcome.verdict.lamp, outcome.text, reason.code if reason else None


def _paid(tap: Tap) -> str:
    """Fare and balance in words."""
    parts = []
    if tap.verdict is Verdict.PASS or tap.charged:
        parts.append(f"车费 fare {money(tap.charged - tap.missed)}")
    if tap.missed:
        parts.append(f"补收 earlier ride {money(tap.missed)}")
    if tap.balance is not None:
        parts.append(f"余额 balance {money(tap.balance)}")
    if tap.is_recovered:
        parts.append("recovered, no second charge")
    return "   ".join(parts) or " "


def _big(code: int | None) -> Text:
    if code is None:
        return Text("")
    shown = f"{code:02d}"
    rows = [" ".join(row[int(digit)] for digit in shown) for row in _DIGITS]
    return Text("\n".join([*rows, f"code {shown}"]), justify="right")


# The barrier


def _barrier(position: Position | None) -> Text:
    if position is None:
        return _line(" 闸门 barrier  none", "dim")
    aisle = "▐ →→ ▌" if position.is_open else "▐█▀▀█▌"
    words = "开 OPEN" if position.is_open else "关 CLOSED"
    if position.hold is Hold.RELEASED:
        whom = "emergency release"
    elif position.hold is Hold.SHUT:
        whom = "not in service"
    else:
        whom = f"for {position.persons}" if position.persons else ""
    style = "green" if position.is_open else "red"
    return _line(f" 闸门 barrier  {aisle}  {words}  {whom}", f"bold {style}")


# The time of a tap


class _Bar:
    """The newest tap's stages against the marks of the policy, and what they took."""

    def __init__(self, state: PanelState) -> None:
        self._tap = state.taps[0] if state.taps else None
        self._policy = state.policy

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        tap, width = self._tap, options.max_width - 2
        if tap is None:
            yield _line(" no tap yet", "dim")
            yield _line("")
        else:
            yield self._title(tap)
            yield self._bar(tap, width)
        yield self._ruler(width)
        if tap is not None:
            yield _legend(tap, width)

    @property
    def _end_ms(self) -> float:
        """What the right end stands for: a little more than the last mark or the tap."""
        marks = self._policy.latency_marks_ms or (self._policy.latency_limit_ms,)
        return max(marks[-1], self._tap.took_ms if self._tap else 0) * 1.1

    def _title(self, tap: Tap) -> Text:
        title = _line(f" tap {_ms(tap.took_ms)} ms  ")
        title.append(tap.pace.value.upper(), _PACE_STYLES[tap.pace])
        ok_ms, limit_ms = self._policy.latency_ok_ms, self._policy.latency_limit_ms
        title.append(f"  (ok to {ok_ms}, slow to {limit_ms})", "dim")
        slowest = longest(list(tap.stages))
        if slowest is not None:
            title.append(f"  longest: {slowest.name}, {_ms(slowest.ms)} ms")
        return title

    def _bar(self, tap: Tap, width: int) -> Text:
        bar = _line(" ")
        start_ns = tap.stages[0].start_ns if tap.stages else 0
        cell_ms = self._end_ms / width
        for at in range(width):
            ms = (at + 0.5) * cell_ms
            now_ns = start_ns + ms * 1e6
            part = next((s.part for s in tap.stages if s.start_ns <= now_ns < s.end_ns), None)
            if part is None and at == 0 and tap.stages:
                part = (longest(list(tap.stages)) or tap.stages[0]).part  # shorter than a cell
            if part is not None:
                bar.append(part.letter, _PART_STYLES[part])
            else:
                bar.append(_GATES_OWN if ms < tap.took_ms else " ")
        return bar

    def _ruler(self, width: int) -> Text:
        """The marks: a bar at its place, the number behind it."""
        cells: list[tuple[str, str]] = [(" ", "")] * width
        for mark in self._policy.latency_marks_ms:
            style = _PACE_STYLES[Pace.of(mark, self._policy)]
            for at, letter in enumerate(f"|{mark}", int(mark / self._end_ms * width)):
                if at < width:
                    cells[at] = (letter, style)
        return Text.assemble(" ", *cells, no_wrap=True, overflow="crop")


def _legend(tap: Tap, width: int) -> Text:
    """What the letters mean and what each stage took, wrapped between stages."""
    legend = Text(" ", no_wrap=True, overflow="ellipsis")
    column = 1
    for stage in tap.stages:
        words = f" {stage.name} {_ms(stage.ms)}  "
        if column + 1 + len(words) > width:
            legend.append("\n ")
            column = 1
        legend.append(stage.part.letter, _PART_STYLES[stage.part])
        legend.append(words)
        column += 1 + len(words)
    return legend


def _ms(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"


# What was


def _counts(state: PanelState) -> Text:
    counts = state.counts
    refused = sum(n for _, n in counts.refused)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" passed {counts.passed}", "green")
    text.append(f"   refused {refused}", "red" if refused else "")
    text.append(f"   tap again {counts.again}", "yellow" if counts.again else "")
    text.append(f"   unresolved {state.unresolved}", "bold red" if state.unresolved else "")
    reasons = (f"{reason.code} {_words(reason)} {n}" for reason, n in counts.refused)
    text.append("\n " + "   ".join(reasons))
    return text


def _words(reason: Reject) -> str:
    return reason.name.lower().replace("_", " ")


class _Taps:
    """The last taps, as many as there are rows for."""

    def __init__(self, taps: Iterable[Tap]) -> None:
        self._taps = list(taps)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = (options.height or console.height) - 1
        table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
        for name in ("time", "card", "verdict"):
            table.add_column(name, no_wrap=True)
        table.add_column("code", no_wrap=True, ratio=1)
        for name in ("fare", "ms"):
            table.add_column(name, no_wrap=True, justify="right")
        table.add_column("pace", no_wrap=True)
        for tap in self._taps[: max(0, rows)]:
            table.add_row(*_row(tap))
        yield table


def _row(tap: Tap) -> tuple[Text, ...]:
    lamp = {Lamp.GREEN: "green", Lamp.RED: "red", Lamp.AMBER: "yellow"}[tap.verdict.lamp]
    return (
        Text(f"{tap.at:%H:%M:%S}"),
        Text(f"…{tap.card}" if tap.card else "-"),
        Text(tap.verdict.value.upper(), lamp),
        Text(f"{tap.reason.code} {_words(tap.reason)}" if tap.reason else "-"),
        Text(money(tap.charged) if tap.charged else "-"),
        Text(_ms(tap.took_ms)),
        Text(tap.pace.value, _PACE_STYLES[tap.pace]),
    )
