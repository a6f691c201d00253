"""`tapbench semester`: the report of a school year, its picture and its JSON."""

import json
import sys
import time
from pathlib import Path

from bench.cli.semester_svg import semester_svg
from bench.files import demand_place, write_whole
from bench.problem import Problem
from bench.semester.books import EXPLAINED
from bench.semester.run import Semester, live

_PICTURE, _FIGURES = "semester.svg", "semester.json"
_PROGRESS_S = 2.0


def semester(students: int, days: int, seed: int, out: Path | None, as_json: bool) -> int:
    """Live it and print the report. Returns 1 if the books are not balanced. Raises Problem."""
    if out is not None:
        _demand_folder(out)
    began = time.monotonic()
    lived = live(students, days, seed, out, _Told().progress)
    seconds = time.monotonic() - began
    if out is not None:
        write_whole(out / _PICTURE, semester_svg(lived).encode())
        write_whole(out / _FIGURES, (json.dumps(lived.told(), indent=2) + "\n").encode())
    if as_json:
        print(json.dumps(lived.told(), indent=2))
    else:
        print("\n".join(_report(lived)))
        print(f"Lived in {seconds:.0f} s. Digest {lived.digest[:16]}.")
        if out is not None:
            print(f"Office, {_PICTURE} and {_FIGURES} are in {out}.")
    return 0 if lived.books.is_balanced else 1


def _demand_folder(out: Path) -> None:
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"no folder can be made at {out}: {error.strerror}") from error
    for name in (_PICTURE, _FIGURES):
        demand_place(out / name, force=None)


class _Told:
    """Tells on standard error how far it is, every few seconds of a long run."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _PROGRESS_S

    def progress(self, done: int, days: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PROGRESS_S
        is_live = sys.stderr.isatty()
        print(f"day {done} of {days}", end="\r" if is_live else "\n", file=sys.stderr, flush=True)


def _report(lived: Semester) -> list[str]:
    books = lived.books
    lines = [f"{lived.students} students, {lived.days} days, seed {lived.seed}.", ""]
    lines += _table("What happened", lived.counts)
    lines += _table("Money, yuan", {name: _yuan(fen) for name, fen in lived.money.items()})
    lines += _table("Refusals", lived.refusals)
    lines += _table("Clearing found", _explained(lived))
    lines += _table("Ledger, yuan", {name: _yuan(fen) for name, fen in books.ledger.items()})
    lines += [
        f"{lived.records:,} records in {lived.batches:,} batches were cleared.",
        f"On cards {_yuan(books.on_cards)} yuan; by the books {_yuan(books.in_books)}, which is "
        f"the account cards less {_yuan(books.rides)} for rides that were cleared.",
        f"The payer was charged {_yuan(books.charged)}: {_yuan(books.credited)} are on cards or "
        f"were spent, {_yuan(books.given_back)} were given back for top-ups that failed; "
        f"it paid back {_yuan(books.refunded)} in all.",
    ]
    lines += [f"WRONG: {one}" for one in books.wrong[:20]]
    lines.append("The books are balanced." if books.is_balanced else "The books are NOT balanced.")
    return lines


def _explained(lived: Semester) -> dict[str, str]:
    why = {f"{fault.code} {fault.en}": said for fault, said in EXPLAINED.items()}
    return {
        name: f"{number:,}  ({why[name]})" if name in why else f"{number:,}  (NOT explained)"
        for name, number in lived.books.faults.items()
    }


def _table(title: str, rows: dict[str, int] | dict[str, str]) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    shown = [
        f"  {name:{width}}  {value:>12,}"
        if isinstance(value, int)
        else f"  {name:{width}}  {value:>12}"
        for name, value in rows.items()
    ]
    return [f"{title}:", *(shown or ["  nothing"]), ""]


def _yuan(fen: int) -> str:
    return f"{fen / 100:,.2f}"
