"""`tapbench conformance list` and `explain`: the cases, without a card that is judged."""

import inspect
import json
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cli.conformance_show import print_exchanges
from bench.conformance.case import Case
from bench.conformance.clauses import clause_words
from bench.conformance.gate.playing import shortened
from bench.conformance.gate.runner import run_gate_case
from bench.conformance.gate.stand import own_gates
from bench.conformance.report_json import case_object, needs_of
from bench.conformance.runner import run_case
from bench.conformance.stand import own_stand
from bench.conformance.suite import card_cases, gate_cases
from bench.conformance.wanted import wanted_cases
from bench.problem import Problem

_WIDTH = 160
"""Columns where the output is no terminal."""


def list_cases(only: str, level: str, as_json: bool) -> None:
    """Print the cases. Raises Problem."""
    cases = wanted_cases(card_cases() | gate_cases(), only, level)
    if as_json:
        found = [case_object(number, case) for number, case in cases.items()]
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for header in ("id", "level", "clauses", "needs", "title"):
        table.add_column(header, overflow="fold", no_wrap=header == "id")
    for number, case in cases.items():
        needs = " ".join(needs_of(case))
        cells = (number, case.level.value, " ".join(case.clauses), needs, case.title.en)
        table.add_row(*map(Text, cells))
    console = _console()
    console.print(table)
    print(f"{len(cases)} cases")


def explain(number: str, as_json: bool) -> None:
    """Print one case. Raises Problem if there is none of that id."""
    cases = card_cases() | gate_cases()
    case = cases.get(number.upper())
    if case is None:
        near = get_close_matches(number.upper(), cases, 3)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise Problem(
            f"there is no case '{number}'{hint}; tapbench conformance list shows what there is"
        )
    number = number.upper()
    if as_json:
        found = case_object(number, case) | {"doc": doc_of(case)}
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = _console()
    console.print(Text(f"{number}  {case.title.en}", style="bold"))
    console.print(Text(case.title.zh))
    if doc_of(case):
        console.print(Text(doc_of(case)))
    for name, value in _facts(case).items():
        console.print(Text(f"{name + ':':<9}{value}"))
    _play(number, case, console)


def doc_of(case: Case) -> str:
    """What a case says of itself beyond its title."""
    return inspect.getdoc(case.body) or "" if inspect.isfunction(case.body) else ""


def _facts(case: Case) -> dict[str, Any]:
    shown = {
        "clauses": "; ".join(str(clause_words(one)) for one in case.clauses),
        "grade": case.grade,
        "level": case.level.value,
        "needs": ", ".join(needs_of(case)),
        "card": ", ".join(f"{name} = {value}" for name, value in case.setup.items()),
        "key": case.key,
    }
    return {name: value for name, value in shown.items() if value}


def _play(number: str, case: Case, console: Console) -> None:
    """The case on our own card or gate: its steps, and what a right one does."""
    if number in gate_cases():
        judged = "gate"
        with own_gates() as gates:
            result = shortened(run_gate_case(case, gates))
    else:
        judged = "card"
        with own_stand() as stand:
            result = run_case(case, stand)
    head = f"\nOn the bench's own {judged} it is {result.verdict.value}"
    console.print(Text(head + (f": {result.why}" if result.why else "")))
    print_exchanges(console, number, result, is_ours=True)


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console
