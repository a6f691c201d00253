"""The report as one web page that needs nothing else: no network, and no script to be read.

Several places share it: a case has a mark for each, and shows what was said at the place where it
failed, or else was played.
"""

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template

from bench.conformance import page
from bench.conformance.case import Case, Level, Verdict
from bench.conformance.chinese import both_of
from bench.conformance.clauses import clause_words, covered
from bench.conformance.declared import ITSELF
from bench.conformance.page_cases import LEVELS, VERDICTS, alike, both, case_html, unique
from bench.conformance.report import Ending, Report, Run, dialect_changes, judging
from bench.conformance.runner import Result
from bench.conformance.words import Words
from bench.versions import own_version

_HEADINGS = {
    "card": Words("Card conformance", "卡片一致性测试"),
    "gate": Words("Gate conformance", "闸机一致性测试"),
}
_ENDINGS = {
    Ending.PASSED: Words("Passed", "通过"),
    Ending.FAILED: Words("Failed", "失败"),
    Ending.INCOMPLETE: Words("Incomplete", "不完整"),
}
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
        heading=both(_HEADINGS[report.suite]),
        ending=_ending(report),
        style=_part("page.css"),
        script=_part("page.js"),
        banner="".join(_banner(run) for run in report.runs if run.incomplete),
        facts=_facts(report),
        counts=_counts(report.runs),
        matrix=_matrix(cases, table),
        f_outcome=_select("outcome", {one.value: words for one, words in VERDICTS.items()}),
        f_group=_select("group", {one: alike(one) for one in _groups(cases)}),
        f_clause=_select("clause", {one: clause_words(one) for one in _clauses(cases)}),
        f_level=_select("level", {level.value: LEVELS[level] for level in _levels(cases)}),
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
    return f'<p class="banner">{both(words)} {both(_sentence(run.incomplete))}</p>'


def _sentence(text: str) -> Words:
    said = both_of(text)
    return Words(f"{said.en}.", f"{said.zh}。")


def _ending(report: Report) -> str:
    """The one line that a reader in a hurry wants."""
    played = [result for run in report.runs for result in run.results.values()]
    judged, able = covered(judging(played))
    counts = {one: sum(result.verdict is one for result in played) for one in VERDICTS}
    words = Words(
        f"{_ENDINGS[report.ending].en}: {len(played)} cases, "
        + ", ".join(f"{count} {VERDICTS[one].en}" for one, count in counts.items())
        + f"; {judged} of {able} sections of the protocol reference judged",
        f"{_ENDINGS[report.ending].zh}：{len(played)} 个用例，"
        + "，".join(f"{VERDICTS[one].zh} {count}" for one, count in counts.items())
        + f"；协议参考 {able} 节中已检验 {judged} 节",
    )
    return f'<p class="ending {report.ending.name.lower()}">{both(words)}</p>'


def _facts(report: Report) -> str:
    shown = {
        Words("tapbench", "tapbench"): alike(own_version()),
        Words("Started", "开始时间"): alike(report.started.isoformat(" ", "seconds")),
        Words("Seed", "随机种子"): alike(str(report.seed)),
        Words("Level", "级别"): _level(report),
        Words("Environment", "环境"): _environment(report.environment),
    }
    for run in report.runs:
        shown[Words(f"Card via {run.place}", f"通路 {run.place} 的卡")] = _profile(run)
    rows = (f"<dt>{both(name)}</dt><dd>{both(value)}</dd>" for name, value in shown.items())
    return f'<dl class="facts">{"".join(rows)}</dl>'


def _level(report: Report) -> Words:
    level = LEVELS[Level(report.level)]
    only = f"--only {report.only}" if report.only else ""
    return Words(f"{level.en}, {only}", f"{level.zh}，{only}") if only else level


def _environment(found: Mapping[str, str]) -> Words:
    system = found.get("system", "")
    rest = ", ".join(f"{name} {value}" for name, value in found.items() if name != "system")
    return Words(f"system {system}, {rest}", f"系统 {system}，{rest}") if system else alike(rest)


def _profile(run: Run) -> Words:
    """A profile has an English title alone; its name tells it in Chinese."""
    if run.profile is None:
        return alike("-")
    changes = ", ".join(f"{k} = {v}" for k, v in dialect_changes(run.profile).items())
    name = run.profile.name
    return Words(
        f"{name} ({run.profile.title}); dialect: {changes or 'plain'}",
        f"{'卡片自述' if name == ITSELF else name}；方言：{changes or '无'}",
    )


def _counts(runs: Iterable[Run]) -> str:
    """A row for each place, and folded away one for each group there."""
    heads = "".join(f"<th>{both(words)}</th>" for words in VERDICTS.values())
    place, group = both(Words("Via", "通路")), both(Words("Group", "组"))
    whole, parts = [], []
    for run in runs:
        at = f"<td>{escape(run.place)}</td>"
        whole.append(f"<tr>{at}{_cells({one: run.count(one) for one in VERDICTS})}</tr>")
        parts += [
            f"<tr>{at}<td>{escape(name)}</td>{_cells(counts)}</tr>"
            for name, counts in run.by_group().items()
        ]
    summary = both(Words("By group", "按组统计"))
    return (
        f"<table><tr><th>{place}</th>{heads}</tr>{''.join(whole)}</table>"
        f"<details><summary>{summary}</summary>"
        f"<table><tr><th>{place}</th><th>{group}</th>{heads}</tr>{''.join(parts)}</table></details>"
    )


def _cells(counts: Mapping[Verdict, int]) -> str:
    return "".join(f'<td class="n">{counts[verdict]}</td>' for verdict in VERDICTS)


def _matrix(cases: Mapping[str, Case], table: Table) -> str:
    groups = _groups(cases)
    heads = "".join(f"<th>{escape(group)}</th>" for group in groups)
    cells: dict[tuple[str, str], list[str]] = {}
    for number, case in cases.items():
        square = _square(number, told(table[number]))
        for clause in case.clauses:
            cells.setdefault((clause, case.group), []).append(square)
    rows = "".join(
        f"<tr><th>{both(clause_words(clause))}</th>"
        + "".join(f"<td>{''.join(cells.get((clause, group), ()))}</td>" for group in groups)
        + "</tr>"
        for clause in _clauses(cases)
    )
    clause = both(Words("Clause", "条款"))
    head = f"<thead><tr><th>{clause}</th>{heads}</tr></thead>"
    return f'<div class="matrix"><table>{head}<tbody>{rows}</tbody></table></div>'


def _square(number: str, verdict: Verdict) -> str:
    """A link to a case; with the keyboard one comes to it in the list, not through thousands."""
    at = escape(number)
    return f'<a class="sq {verdict.value}" href="#{at}" title="{at}" tabindex="-1"></a>'


def told(found: Mapping[str, Result]) -> Verdict:
    """The verdict that counts of several places."""
    return next(
        verdict for verdict in _TOLD if any(one.verdict is verdict for one in found.values())
    )


def _select(name: str, values: Mapping[str, Words]) -> str:
    """A choice. An option holds text alone: the script puts the language's in."""
    options = "".join(
        f'<option value="{escape(value)}" data-zh="{escape(words.zh)}">{escape(words.en)}</option>'
        for value, words in {"": Words("all", "全部"), **values}.items()
    )
    return f'<select id="f-{name}">{options}</select>'


def _groups(cases: Mapping[str, Case]) -> list[str]:
    return unique(case.group for case in cases.values())


def _levels(cases: Mapping[str, Case]) -> list[Level]:
    return [level for level in Level if any(case.level is level for case in cases.values())]


def _clauses(cases: Mapping[str, Case]) -> list[str]:
    found = {clause for case in cases.values() for clause in case.clauses}
    return sorted(found, key=clause_order)


def clause_order(clause: str) -> tuple[tuple[bool, int, str], ...]:
    """4.9 before 4.10, and words behind numbers."""
    parts = clause.split(".")
    return tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)
