"""`tapbench trace show`: a recording in columns of frame, block, APDU and money."""

import json
import os
import re
import sys
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from apdu.event import Event, Source, Trace
from apdu.fresh import command_lines, response_lines
from apdu.rf import body_of, crc_of
from apdu.show import Line
from apdu.trace import Explanation
from bench.cli.trace_files import contents, listed
from bench.cli.trace_json import row_json
from bench.files import write_whole
from bench.problem import Problem
from bench.trace_formats import load
from bench.trace_formats.format import printable
from bench.tracing.rows import Apdu, Row, View, rows_of, taps_of
from bench.tracing.words import exchange_name, status_text

WIDTH: Final = 120
"""Columns where the output is no terminal."""
PICTURE_WIDTH: Final = 150

_FRAME_WIDTH: Final = 26
_NARROW_FRAME: Final = 14  # of that what fits, the length and the checksum
_BLOCK_WIDTH: Final = 11  # S(DESELECT)
_FRAME_WIDTH_ALONE: Final = 56
_ROOM_FOR_DELTAS: Final = 112  # columns of a terminal
_ROOM_FOR_FRAMES: Final = 96
_MONEY_WIDTH: Final = 13  # 46.00 > 50.00
_LONG: Final = 5  # fields
_FONTS: Final = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)

Known = dict[tuple[bytes, bytes], int]
_PCD, _PICC, _BAD, _GOOD, _MARK = "cyan", "green", "bold red", "bold green", "yellow"
_ARROWS: Final = {Source.PCD: ">", Source.PICC: "<"}
_PASS: Final = "PASS"  # noqa: S105 - not a password


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """What the command line says. svg, html: pictures to write instead of printing."""

    layer: str = "all"
    tap: int | None = None
    as_json: bool = False
    svg: Path | None = None
    html: Path | None = None
    force: bool = False
    read_as: str | None = None


def show(path: Path, options: ShowOptions) -> None:
    """Print a recording, or write its picture. Raises Problem, TraceError."""
    view = _view(options.layer)
    trace = load(path, options.read_as)
    tap = options.tap
    if tap is not None and tap not in taps_of(trace):
        there = ", ".join(map(str, taps_of(trace))) or "none"
        raise Problem(f"{path} has no tap {tap}; its taps are: {there}")
    rows = rows_of(trace, view, tap)
    if options.as_json:
        print(json.dumps([row_json(row) for row in rows], ensure_ascii=False, indent=1))
    elif options.svg is None and options.html is None:
        _print(_screen(), path, trace, rows, view)
    for target, export in ((options.svg, _svg), (options.html, _html)):
        if target is not None:
            picture = Console(
                record=True, file=StringIO(), width=PICTURE_WIDTH, force_terminal=True
            )
            _print(picture, path, trace, rows, view)
            write_whole(target, export(picture, path.name).encode(), options.force)
            print(f"{target} written")


def _view(layer: str) -> View:
    try:
        return View(layer)
    except ValueError:
        raise Problem(f"there is no layer '{layer}'; choose one of: {', '.join(View)}") from None


def _screen() -> Console:
    is_piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=WIDTH if is_piped else None, highlight=False, soft_wrap=False)


def _svg(picture: Console, title: str) -> str:
    """As rich draws it, but without fonts from the network, and with spaces that some drop."""
    drawn = _FONTS.sub("", picture.export_svg(title=title))
    return drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)


def _html(picture: Console, title: str) -> str:
    return picture.export_html(inline_styles=True)


def _print(console: Console, path: Path, trace: Trace, rows: list[Row], view: View) -> None:
    started = "" if trace.started is None else f", from {trace.started.isoformat(' ', 'seconds')}"
    title = f"{printable(trace.title) or path.name}: {listed(contents(trace))}{started}"
    console.print(Text(title, style="bold"))
    columns = _columns(rows, view, console.width)
    known: Known = {}
    for tap, found in groupby(rows, key=lambda row: row.tap):
        if tap:
            console.print()
            console.print(Text(f" tap {tap} ", style="bold reverse"))
        console.print(_table(list(found), columns, known))


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns a recording has. frame: how wide, 0 for none. what: title of the widest."""

    has_times: bool
    has_deltas: bool
    frame: int
    what: str


def _columns(rows: list[Row], view: View, width: int) -> _Columns:
    """What has room beside the APDUs on a screen of so many columns."""
    has_times = any(row.t_ns for row in rows)
    has_apdus = view in (View.ALL, View.APDU)
    frame = _FRAME_WIDTH_ALONE
    if not any(_is_frame(row.event) for row in rows):
        frame = 0
    elif has_apdus or width < _ROOM_FOR_DELTAS:
        frame = _FRAME_WIDTH if width >= _ROOM_FOR_FRAMES else _NARROW_FRAME
    has_deltas = has_times and (width >= _ROOM_FOR_DELTAS or not frame)
    return _Columns(has_times, has_deltas, frame, "APDU" if has_apdus else "fields")


def _table(rows: list[Row], columns: _Columns, known: Known) -> Table:
    """known: answers shown already and when, so that a long one is not told twice."""
    table = _empty_table(columns)
    for row in rows:
        cells = [_ms(row.t_ns)] if columns.has_times else []
        cells += [_ms(row.delta_ns)] if columns.has_deltas else []
        cells.append(_who(row))
        if columns.frame:
            cells += [_frame(row, columns.frame), _block(row)]
        table.add_row(*cells, _said(row, known), _money(row))
    return table


def _empty_table(columns: _Columns) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="dim", expand=True)
    if columns.has_times:
        table.add_column("ms", justify="right", no_wrap=True, min_width=8)
    if columns.has_deltas:
        table.add_column("+", justify="right", no_wrap=True, min_width=7)
    table.add_column("", no_wrap=True, min_width=2)  # P>
    if columns.frame:
        table.add_column("frame", no_wrap=True, min_width=columns.frame)
        table.add_column("block", no_wrap=True, min_width=_BLOCK_WIDTH)
    table.add_column(columns.what, ratio=1, overflow="fold")
    table.add_column("yuan", justify="right", no_wrap=True, min_width=_MONEY_WIDTH)
    return table


def _ms(ns: int) -> Text:
    return Text(f"{ns / 1e6:.3f}", "dim")


def _is_frame(event: Event | None) -> bool:
    return event is not None and event.source in _ARROWS


def _who(row: Row) -> Text:
    """The direction, and whom it concerns if not the card."""
    event, apdu = row.event, row.apdu
    if apdu is not None and apdu.to == "psam":
        return Text("P<" if apdu.is_response else "P>", "magenta")
    if apdu is not None:
        return Text("<", _PICC) if apdu.is_response else Text(">", _PCD)
    source = event.source if event is not None else None
    if source in _ARROWS:
        return Text(_ARROWS[source], _PCD if source is Source.PCD else _PICC)
    return Text("")


def _frame(row: Row, width: int) -> Text:
    event = row.event
    if event is None or not _is_frame(event):
        return Text("")
    if row.hidden:
        return Text(f"..{len(event.data)} not shown", _PCD)
    body, crc = body_of(event).hex().upper(), crc_of(event)
    tail = event.data[-2:].hex().upper() if event.has_crc else ""
    room = width - len(tail) - bool(tail)
    if len(body) > room:
        left = f"..{len(body_of(event))}"
        body = body[: (room - len(left)) // 2 * 2] + left
    # Spaces go with the part before them: pictures drop them at the beginning of one.
    text = _styled(f"{body} ", _PCD if event.source is Source.PCD else _PICC)
    return text.append(tail, "dim" if crc else _BAD)


def _block(row: Row) -> Text:
    if row.words is None or not _is_frame(row.event):
        return Text("")
    block = row.words.block
    style = "" if block is None or not block.is_nak else _MARK
    return Text(row.words.title, style)


def _said(row: Row, known: Known) -> Text:
    """The APDU, or what else the row is about, with its marks."""
    text = _event(row) if row.apdu is None else _apdu(row.apdu, known, row.t_ns)
    for mark in row.marks:
        gap = "" if not text or text.plain.endswith("  ") else "  "
        text.append(gap).append(f"[{mark}]", _MARK)
    return text


def _event(row: Row) -> Text:
    text, event = Text(), row.event
    if event is not None and event.source is Source.STAGE:
        text = _styled(f"-- {event.name} ", "bold").append(event.note)
    elif event is not None and event.source is Source.DECISION:
        style = _GOOD if event.name == _PASS else _BAD
        text = _styled(f"{event.name}  ", style).append(f"{event.note}  ")
        text.append(f"({event.gate})" if event.gate else "", "dim")
    elif event is not None and event.source is Source.FIELD and row.words is not None:
        text = _styled(row.words.title, "bold magenta")
    elif row.words is not None:
        text = _styled(row.words.brief(), "dim")
    return text


def _apdu(apdu: Apdu, known: Known, t_ns: int) -> Text:
    if apdu.is_response:
        is_good = apdu.data[-2:] == b"\x90\x00"
        text = _styled(f"{status_text(apdu.data)}  ", _GOOD if is_good else _BAD)
        lines = response_lines(apdu.command, apdu.data, fresh=True)
        before = known.setdefault((apdu.command, apdu.data), t_ns)
        if before != t_ns and len(lines) >= _LONG:
            return text.append(f"as at {before / 1e6:.3f}", "dim")
    else:
        text = _styled(f"{exchange_name(apdu.data)}  ", "bold")
        lines = [n for n in command_lines(apdu.data, fresh=True) if n.label not in _IN_NAME]
    return text.append(Explanation("", "", [_as_text(line) for line in lines]).brief())


def _styled(text: str, style: str) -> Text:
    """A text whose style ends with it; `Text(text, style)` lends it to what is appended."""
    return Text().append(text, style)


def _as_text(line: Line) -> Line:
    """Of a value in bytes and as text, the text."""
    found = _QUOTED.fullmatch(line.value)
    return line._replace(value=found[1]) if found else line


_QUOTED: Final = re.compile(r'[0-9A-F]+ "(.*)"')
_IN_NAME: Final = frozenset({"file", "record", "offset", "Le", "name"})
"""What the name of the exchange says already, and what nobody looks for."""


def _money(row: Row) -> Text:
    if row.money is None:
        return Text("")
    moved = row.money.before is not None
    return Text(row.money.text, "bold" if moved else "dim")
