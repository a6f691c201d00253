"""What a suite found, on a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from apdu.show import Line
from apdu.trace import Explanation
from bench.conformance.case import Verdict
from bench.conformance.clauses import clause_words, covered, unjudged
from bench.conformance.report import Ending, Report, Run, dialect_changes, judging
from bench.conformance.runner import Result
from bench.conformance.shown import Shown, shown

_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "yellow"}
_WIDTH = 120


def print_report(report: Report) -> None:
    """Failed cases whole, then counts by group, reasons for what was skipped, and the last word."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for run in report.runs:
        for number, result in run.failed.items():
            _failure(console, run, number, result)
    for run in report.runs:
        _summary(console, run)
    counts = ", ".join(
        f"{sum(run.count(verdict) for run in report.runs)} {verdict.value}" for verdict in Verdict
    )
    results = [result for run in report.runs for result in run.results.values()]
    played = judging(results)
    judged, able = covered(played)
    rest = ", ".join(unjudged(played))
    others = f"; not {rest}" if rest else ""
    said = f"{judged} of {able} sections of the reference are judged{others}"
    console.print(Text(said), soft_wrap=True)
    ended = "incomplete, " if report.ending is Ending.INCOMPLETE else ""
    console.print(Text(f"conformance: {ended}{counts}", style="bold"))


def _failure(console: Console, run: Run, number: str, result: Result) -> None:
    console.print(Text(f"FAILED {number} via {run.place}: {result.case.title}", "bold red"))
    broke = result.violation
    if broke is not None:
        console.print(Text(f"  expected  {broke.expected}"))
        console.print(Text(f"  came      {broke.came}"))
        console.print(Text(f"  clause    {clause_words(broke.clause)}"))
    print_exchanges(console, number, result, run.is_ours)
    script = run.scripts.get(number)
    if script:
        console.print(Text("  script:"))
        print("".join(f"    {line}\n" for line in script.splitlines()))


def print_exchanges(console: Console, number: str, result: Result, is_ours: bool) -> None:
    """Every exchange of a case with its fields; the bytes that broke the rule in reverse."""
    for at, one in enumerate(shown(result.said, result.violation, is_ours)):
        style = "bold red" if one.broke is not None else "bold"
        head = Text(f"  {at:>3} ").append(one.name, style)
        if one.command:
            head.append(f"  {one.status}")
        console.print(head)
        if one.command:
            _bytes(console, ">", Text(one.command), one.request)
        if one.answer is not None:
            _bytes(console, "<", _answer(one), one.reply)


def _bytes(console: Console, arrow: str, data: Text, lines: Iterable[Line]) -> None:
    text = Text(f"      {arrow} ").append_text(data)
    brief = Explanation("", "", list(lines)).brief()
    if brief:
        text.append(f"  {brief}", "dim")
    console.print(text, soft_wrap=True)


def _answer(one: Shown) -> Text:
    text = Text(one.answer or "")
    if one.broke is not None:
        text.stylize("bold reverse red", 2 * one.broke[0], 2 * one.broke[1])
    return text


def _summary(console: Console, run: Run) -> None:
    kind = "" if run.profile is None else f": {run.profile.name}, {run.profile.title}"
    console.print(Text(f"via {run.place}{kind}", style="bold"))
    if run.profile is not None and dialect_changes(run.profile):
        changes = (f"{name} = {value}" for name, value in dialect_changes(run.profile).items())
        console.print(Text(f"dialect: {', '.join(changes)}"))
    table = Table(box=None, pad_edge=False)
    for header in ("group", *(verdict.value for verdict in Verdict)):
        table.add_column(header, justify="left" if header == "group" else "right")
    for group, counts in run.by_group().items():
        table.add_row(group, *(_count(counts[verdict], verdict) for verdict in Verdict))
    table.add_row("all", *(_count(run.count(verdict), verdict) for verdict in Verdict))
    console.print(table)
    for why, count in _reasons(run).items():
        console.print(Text(f"skipped {count}: {why}", "yellow"))
    if run.incomplete:
        done = f"{len(run.results)} of {run.planned} cases"
        console.print(Text(f"INCOMPLETE, {done}: {run.incomplete}", "bold red"))
    console.print(Text(f"{run.took_ns / 1e9:.2f} s"))


def _count(count: int, verdict: Verdict) -> Text:
    return Text(str(count), _STYLES[verdict] if count else "dim")


def _reasons(run: Run) -> dict[str, int]:
    """Why cases were skipped, the most frequent reason first."""
    found: dict[str, int] = {}
    for result in run.results.values():
        if result.why is not None:
            found[str(result.why)] = found.get(str(result.why), 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))
