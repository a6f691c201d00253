"""`tapbench clearing run|exceptions|report`. Code 1: something was found, or does not balance."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import fixtures
from apdu.bcd import digits
from bench.cli.clearing_svg import days_svg
from bench.clock import SHANGHAI
from bench.files import write_whole
from bench.problem import Problem
from issuer.balance import DayBalance, balance_of, days
from issuer.clearing import Clearing, Exceptional
from issuer.database import open_database
from reader.batch import LONGEST, Refusal, build_batch
from reader.journal import JournalError, journal_gate, read_records
from reader.taprecord import TapRecord

_AT_ONCE = 1000


def run(
    db: str,
    paths: list[Path],
    lists: tuple[Path | None, Path | None],
    received: str,
    as_json: bool,
) -> int:
    """Take batches and examine. lists: the register of gates and the loss reports."""
    at = _moment(received) if received else datetime.now(SHANGHAI)
    gates, lost = (list(_pairs(path)) if path else [] for path in lists)
    register = [(_hex(gate, 8), _hex(terminal, 6)) for gate, terminal in gates]
    reports = [(_hex(serial, 10), _moment(since)) for serial, since in lost]
    with _opened(db) as clearing:
        clearing.register(register)
        for serial, since in reports:
            clearing.blacklist(serial, since)
        counts, refused = _take(clearing, paths, at)
        found = clearing.examine()
    alarms = sum(number for fault, number in found.items() if not fault.is_note)
    if as_json:
        told = {fault.code: number for fault, number in found.items()}
        print(json.dumps({"batches": counts, "refused": refused, "found": told}, indent=2))
    else:
        print(", ".join(f"{number} batches {what}" for what, number in counts.items()) + ".")
        for line in refused:
            print(f"  refused {line}")
        for fault, number in found.items():
            print(f"  {number:6} x {fault.code} {fault.zh} / {fault.en}")
        print("nothing was found." if not found else f"{alarms} exceptions to look at.")
    return 1 if alarms else 0


def _take(clearing: Clearing, paths: list[Path], at: datetime) -> tuple[dict[str, int], list[str]]:
    """Take what is in the files. Returns how many batches there were, and why some were refused."""
    counts = {"taken": 0, "there already": 0, "refused": 0}
    refused = []
    for path in paths:
        for message in _messages(clearing, path):
            answer = clearing.receive(message, at, path.name)
            if answer.refusal is Refusal.NONE:
                counts["taken"] += 1
            elif answer.is_kept:
                counts["there already"] += 1
            else:
                counts["refused"] += 1
                refused.append(f"{path}: {answer.refusal.words}")
    return counts, refused


def exceptions(db: str, notes: bool, as_json: bool) -> int:
    """Print every exception with its record."""
    alarms = 0
    with _opened(db, may_make=False) as clearing:
        for one in clearing.exceptions(notes):
            alarms += not one.fault.is_note
            print(json.dumps(_told(one), ensure_ascii=False) if as_json else _line(one))
    return 1 if alarms else 0


def report(db: str, day: str, svg: str | None, force: bool, as_json: bool) -> int:
    """Print the balance of a day, or of all."""
    chosen = [int(_moment(f"{day}T00:00:00").strftime("%Y%m%d"))] if day else []
    with _opened(db, may_make=False) as clearing:
        wanted = chosen or days(clearing.engine)
        balances = [balance_of(clearing.engine, one) for one in wanted]
    if svg:
        write_whole(svg, days_svg(balances).encode(), force)
    if as_json:
        print(json.dumps([_balance(one) for one in balances], indent=2))
    else:
        for one in balances:
            _print(one)
        if not balances:
            print("there are no taps.")
    return 0 if all(one.is_balanced for one in balances) else 1


@contextmanager
def _opened(db: str, *, may_make: bool = True) -> Iterator[Clearing]:
    clearing = Clearing(open_database(db, may_make=may_make), fixtures.load_roots()["TMK"])
    try:
        yield clearing
    finally:
        clearing.engine.dispose()


def _messages(clearing: Clearing, path: Path) -> Iterator[bytes]:
    """A batch as it is, or what a journal has that clearing has not."""
    try:
        gate = journal_gate(path)
        if gate is None:
            with path.open("rb") as file:
                yield file.read(LONGEST + 1)
            return
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from error
    part: list[TapRecord] = []
    try:
        for record in read_records(path, clearing.last(gate)):
            part.append(record)
            if len(part) == _AT_ONCE:
                yield build_batch(gate, part)
                part = []
    except JournalError as error:
        raise Problem(str(error)) from error
    if part:
        yield build_batch(gate, part)


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Lines of two values with a comma between; a line that begins with # is a remark."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        left, comma, right = line.partition(",")
        if not comma:
            raise Problem(f"{path}, line {number}: expected two values with a comma, got {line!r}")
        yield left.strip(), right.strip()


def _hex(text: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != size:
        raise Problem(f"expected {2 * size} hexadecimal digits, got {text!r}")
    return data


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Problem(f"expected a time such as 2025-09-08T07:30:15, got {text!r}") from None


def _line(one: Exceptional) -> str:
    said = f"{one.fault.code} {one.fault.zh} / {one.fault.en}"
    if one.wanted is not None and one.found is not None:
        said += f" (expected {one.wanted}, found {one.found})"
    what = f"batch {one.name}" if one.record is None else _shown(one.record)
    return f"{said}\n    {what}\n    -> {one.fault.todo}"


def _shown(r: TapRecord) -> str:
    return (
        f"card {digits(r.serial)} no. {r.counter}, {_yuan(r.before)} - {_yuan(r.amount)} = "
        f"{_yuan(r.after)}, terminal {digits(r.terminal)} no. {r.terminal_seq}, "
        f"gate {digits(r.gate)}, {digits(r.when)}, TAC {digits(r.tac)}"
    )


def _told(one: Exceptional) -> dict[str, Any]:
    fault = one.fault
    told: dict[str, Any] = {"code": fault.code, "name": fault.name, "zh": fault.zh, "en": fault.en}
    told |= {"todo": fault.todo, "is_note": fault.is_note, "batch": one.name}
    told |= {"expected": one.wanted, "found": one.found, "record": None}
    if one.record is not None:
        r = one.record
        told["record"] = {
            "serial": digits(r.serial),
            "counter": r.counter,
            "kind": r.kind,
            "amount": r.amount,
            "before": r.before,
            "after": r.after,
            "terminal": digits(r.terminal),
            "terminal_seq": r.terminal_seq,
            "gate": digits(r.gate),
            "when": digits(r.when),
            "tac": digits(r.tac),
        }
    return told


def _balance(one: DayBalance) -> dict[str, Any]:
    return {
        "day": one.day,
        "taps": one.taps,
        "off_cards": one.off_cards,
        "in_records": one.in_records,
        "settled": one.settled,
        "held": one.held,
        "loaded": one.loaded,
        "is_balanced": one.is_balanced,
        "unit": "fen",
        "shares": [
            {"operator": s.operator, "line": s.line, "taps": s.taps, "fen": s.fen}
            for s in one.shares
        ],
    }


def _print(one: DayBalance) -> None:
    table = Table(title=f"{one.day}: {one.taps} taps; yuan")
    table.add_column("operator")
    table.add_column("line")
    table.add_column("taps", justify="right")
    table.add_column("settled", justify="right")
    for share in one.shares:
        table.add_row(share.operator, share.line, str(share.taps), _yuan(share.fen))
    Console().print(table)
    print(
        f"off cards {_yuan(one.off_cards)}, in records {_yuan(one.in_records)}, "
        f"settled {_yuan(one.settled)}, held {_yuan(one.held)}, loaded {_yuan(one.loaded)}: "
        + ("balanced." if one.is_balanced else "NOT balanced.")
    )


def _yuan(fen: int) -> str:
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02d}"
