"""`tapbench trace show`: a recording in columns of frame, block, APDU and money."""

import json
import os
import re
import sys
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
from bench.problem import Problem
from bench.trace_formats import load
from bench.tracing.rows import Apdu, Row, View, rows_of, taps_of
from bench.tracing.words import exchange_name, status_text

WIDTH: Final = 120
"""Columns where the output is no terminal."""
PICTURE_WIDTH: Final = 150

_FRAME_WIDTH: Final = 26
_FRAME_WIDTH_ALONE: Final = 56
_LONG: Final = 5  # fields

Known = dict[tuple[bytes, bytes], int]
_PCD, _PICC, _BAD, _GOOD, _MARK = "cyan", "green", "bold red", "bold green", "yellow"
_ARROWS: Final = {Source.PCD: ">", Source.PICC: "<"}
_PASS: Final = "PASS"  # noqa: S105 - not a password


def show(
    path: Path, layer: str, tap: int | None, as_json: bool, svg: Path | None, html: Path | None
) -> None:
    """Print a recording, or write its picture. Raises Problem, TraceError."""
    view = _view(layer)
    trace = load(path)
    if tap is not None and tap not in taps_of(trace):
        there = ", ".join(map(str, taps_of(trace))) or "none"
        raise Problem(f"{path} has no tap {tap}; its taps are: {there}")
    rows = rows_of(trace, view, tap)
    if as_json:
        print(json.dumps([row_json(row) for row in rows], ensure_ascii=False, indent=1))
    elif svg is None and html is None:
        _print(_screen(), path, trace, rows, view)
    for target, export in ((svg, _svg), (html, _html)):
        if target is not None:
            picture = Console(
                record=True, file=StringIO(), width=PICTURE_WIDTH, force_terminal=True
            )
            _print(picture, path, trace, rows, view)
            _write(target, export(picture, path.name))


def _view(layer: str) -> View:
    try:
        return View(layer)
    except ValueError:
        raise Problem(f"there is no layer '{layer}'; choose one of: {', '.join(View)}") from None


def _screen() -> Console:
    is_piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=WIDTH if is_piped else None, highlight=False, soft_wrap=False)


def _svg(picture: Console, title: str) -> str:
    return picture.export_svg(title=title)


def _html(picture: Console, title: str) -> str:
    return picture.export_html(inline_styles=True)


def _write(target: Path, text: str) -> None:
    """A picture shows balances as the recording does: it is the owner's alone too."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        os.replace(draft, target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Problem(f"{target} cannot be written: {error.strerror}") from None
    print(f"{target} written")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _print(console: Console, path: Path, trace: Trace, rows: list[Row], view: View) -> None:
    started = "" if trace.started is None else f", from {trace.started:%Y-%m-%d %H:%M:%S %Z}"
    title = f"{trace.title or path.name}: {listed(contents(trace))}{started}"
    console.print(Text(title, style="bold"))
    known: Known = {}
    for tap, found in groupby(rows, key=lambda row: row.tap):
        if tap:
            console.print()
            console.print(Text(f" tap {tap} ", style="bold reverse"))
        console.print(_table(list(found), view, known))


def _table(rows: list[Row], view: View, known: Known) -> Table:
    """known: answers shown already and when, so that a long one is not told twice."""
    has_frames = any(_is_frame(row.event) for row in rows)
    has_apdus = view in (View.ALL, View.APDU)
    frame_width = _FRAME_WIDTH if has_apdus else _FRAME_WIDTH_ALONE
    table = _columns(frame_width if has_frames else 0, "APDU" if has_apdus else "fields")
    for row in rows:
        cells = [Text(f"{row.t_ns / 1e6:.3f}", "dim"), Text(f"{row.delta_ns / 1e6:.3f}", "dim")]
        cells.append(_who(row))
        if has_frames:
            cells += [_frame(row, frame_width), _block(row)]
        table.add_row(*cells, _said(row, known), _money(row))
    return table


def _columns(frame_width: int, what: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="dim", expand=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("+", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if frame_width:
        table.add_column("frame", no_wrap=True, min_width=frame_width)
        table.add_column("block", no_wrap=True)
    table.add_column(what, ratio=1)
    table.add_column("yuan", justify="right", no_wrap=True)
    return table


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
    body, crc = body_of(event).hex().upper(), crc_of(event)
    tail = event.data[-2:].hex().upper() if event.has_crc else ""
    room = width - len(tail) - bool(tail)
    if len(body) > room:
        left = f"..{len(body_of(event))}"
        body = body[: (room - len(left)) // 2 * 2] + left
    text = Text(body, _PCD if event.source is Source.PCD else _PICC)
    if tail:
        text.append(f" {tail}", "dim" if crc else _BAD)
    return text


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
        text.append("  " if text else "").append(f"[{mark}]", _MARK)
    return text


def _event(row: Row) -> Text:
    text, event = Text(), row.event
    if event is not None and event.source is Source.STAGE:
        text = Text(f"-- {event.name} ", "bold").append(event.note)
    elif event is not None and event.source is Source.DECISION:
        style = _GOOD if event.name == _PASS else _BAD
        text = Text(f"{event.name}  ", style).append(event.note, "default")
        text.append(f"  ({event.gate})" if event.gate else "", "dim")
    elif event is not None and event.source is Source.FIELD and row.words is not None:
        text = Text(row.words.title, "bold magenta")
    elif row.words is not None:
        text = Text(row.words.brief(), "dim")
    return text


def _apdu(apdu: Apdu, known: Known, t_ns: int) -> Text:
    if apdu.is_response:
        is_good = apdu.data[-2:] == b"\x90\x00"
        text = Text(status_text(apdu.data), _GOOD if is_good else _BAD)
        lines = response_lines(apdu.command, apdu.data, fresh=True)
        before = known.setdefault((apdu.command, apdu.data), t_ns)
        if before != t_ns and len(lines) >= _LONG:
            return text.append("  ").append(f"as at {before / 1e6:.3f}", "not bold dim")
    else:
        text = Text(exchange_name(apdu.data), "bold")
        lines = [n for n in command_lines(apdu.data, fresh=True) if n.label not in _IN_NAME]
    fields = Explanation("", "", [_as_text(line) for line in lines]).brief()
    # The space goes with the first part: pictures drop it at the beginning of one.
    return text.append("  ").append(fields, "not bold default") if fields else text


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
