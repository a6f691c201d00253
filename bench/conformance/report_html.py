"""The report as one web page that needs nothing else: no network, and no script to be read.

Several places share it: a case has a mark for each, and shows what was said at the place where it
failed, or else was played.
"""

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template

from bench.conformance import page
from bench.conformance.case import Case, Verdict
from bench.conformance.page_cases import VERDICTS, both, case_html, unique
from bench.conformance.report import Report, Run, dialect_changes, tool_version
from bench.conformance.runner import Result
from bench.conformance.words import Words

_TOLD = (Verdict.FAILED, Verdict.PASSED, Verdict.SKIPPED)
Table = dict[str, dict[str, Result]]
"""Results by the id of the case, then by the place."""


def report_html(report: Report) -> str:
    """The whole page."""
    table = _table(report.runs)
    cases = {number: next(iter(found.values())).case for number, found in table.items()}
    runs = {run.place: run for run in report.runs}
    return Template(_part("page.html")).substitute(
        title=escape(", ".join(runs)),
        style=_part("page.css"),
        script=_part("page.js"),
        banner="".join(_banner(run) for run in report.runs if run.incomplete),
        facts=_facts(report),
        counts=_counts(report.runs),
        matrix=_matrix(cases, table),
        f_outcome=_select("outcome", [verdict.value for verdict in Verdict]),
        f_group=_select("group", unique(case.group for case in cases.values())),
        f_clause=_select("clause", sorted(_clauses(cases), key=clause_order)),
        f_level=_select("level", unique(case.level.value for case in cases.values())),
        cases="\n".join(case_html(number, found, runs) for number, found in table.items()),
    )


def _part(name: str) -> str:
    return files(page).joinpath(name).read_text("utf-8")


def _table(runs: Iterable[Run]) -> Table:
    table: Table = {}
    for run in runs:
        for number, result in run.results.items():
            table.setdefault(number, {})[run.place] = result
    return table


def _banner(run: Run) -> str:
    done = f"{len(run.results)} / {run.planned}"
    words = Words(
        f"Incomplete: via {run.place}, {done} cases were played.",
        f"不完整：通路 {run.place} 只执行了 {done} 个用例。",
    )
    return f'<p class="banner">{both(words)} {escape(run.incomplete)}.</p>'


def _facts(report: Report) -> str:
    shown = {
        Words("tapbench", "tapbench"): tool_version(),
        Words("Started", "开始时间"): report.started.isoformat(" ", "seconds"),
        Words("Seed", "种子"): str(report.seed),
        Words("Level", "级别"): report.level + (f", --only {report.only}" if report.only else ""),
        Words("Environment", "环境"): ", ".join(f"{k} {v}" for k, v in report.environment.items()),
    }
    for run in report.runs:
        shown[Words(f"Card via {run.place}", f"通路 {run.place} 的卡")] = _profile(run)
    rows = (f"<dt>{both(name)}</dt><dd>{escape(value)}</dd>" for name, value in shown.items())
    return f'<dl class="facts">{"".join(rows)}</dl>'


def _profile(run: Run) -> str:
    if run.profile is None:
        return "-"
    changes = ", ".join(f"{k} = {v}" for k, v in dialect_changes(run.profile).items())
    return f"{run.profile.name} ({run.profile.title}); dialect: {changes or 'plain'}"


def _counts(runs: Iterable[Run]) -> str:
    heads = "".join(f"<th>{both(words)}</th>" for words in VERDICTS.values())
    group, place = both(Words("Group", "组")), both(Words("Via", "通路"))
    rows = []
    for run in runs:
        for name, counts in run.by_group().items():
            cells = "".join(f'<td class="n">{counts[verdict]}</td>' for verdict in VERDICTS)
            rows.append(f"<tr><td>{escape(run.place)}</td><td>{escape(name)}</td>{cells}</tr>")
        cells = "".join(f'<td class="n"><b>{run.count(verdict)}</b></td>' for verdict in VERDICTS)
        rows.append(f"<tr><td>{escape(run.place)}</td><td>*</td>{cells}</tr>")
    return f"<table><tr><th>{place}</th><th>{group}</th>{heads}</tr>{''.join(rows)}</table>"


def _matrix(cases: Mapping[str, Case], table: Table) -> str:
    groups = unique(case.group for case in cases.values())
    heads = "".join(f"<th>{escape(group)}</th>" for group in groups)
    cells: dict[tuple[str, str], list[str]] = {}
    for number, case in cases.items():
        square = _square(number, case, told(table[number]))
        for clause in case.clauses:
            cells.setdefault((clause, case.group), []).append(square)
    rows = "".join(
        f"<tr><th>{escape(clause)}</th>"
        + "".join(f"<td>{''.join(cells.get((clause, group), ()))}</td>" for group in groups)
        + "</tr>"
        for clause in sorted(_clauses(cases), key=clause_order)
    )
    clause = both(Words("Clause", "条款"))
    head = f"<thead><tr><th>{clause}</th>{heads}</tr></thead>"
    return f'<div class="matrix"><table>{head}<tbody>{rows}</tbody></table></div>'


def _square(number: str, case: Case, verdict: Verdict) -> str:
    title = escape(f"{number} {case.title}: {verdict.value}")
    return f'<a class="sq {verdict.value}" href="#{escape(number)}" title="{title}"></a>'


def told(found: Mapping[str, Result]) -> Verdict:
    """The verdict that counts of several places."""
    return next(
        verdict for verdict in _TOLD if any(one.verdict is verdict for one in found.values())
    )


def _select(name: str, values: Iterable[str]) -> str:
    options = "".join(f"<option>{escape(value)}</option>" for value in values)
    return f'<select id="f-{name}"><option value="">*</option>{options}</select>'


def _clauses(cases: Mapping[str, Case]) -> set[str]:
    return {clause for case in cases.values() for clause in case.clauses}


def clause_order(clause: str) -> tuple[tuple[bool, int, str], ...]:
    """4.9 before 4.10, and words behind numbers."""
    parts = clause.split(".")
    return tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)
