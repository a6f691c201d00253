"""One case on the web page: its outcomes, its requirement, and what was said."""

from collections.abc import Iterable, Mapping
from html import escape

from apdu.show import Line
from bench.conformance.case import Case, Verdict
from bench.conformance.report import Run
from bench.conformance.report_json import needs_of
from bench.conformance.runner import Result, Violation
from bench.conformance.shown import Shown, shown
from bench.conformance.words import Words

VERDICTS = {
    Verdict.PASSED: Words("passed", "通过"),
    Verdict.FAILED: Words("failed", "失败"),
    Verdict.SKIPPED: Words("skipped", "跳过"),
}
_NOTES = {
    "field off and on": Words("field off and on", "射频场断开后恢复"),
    "field off": Words("field off", "射频场断开"),
    "field on": Words("field on", "射频场恢复"),
}


def both(words: Words) -> str:
    """A text in both languages, one of which the style hides."""
    if words.en == words.zh:
        return escape(words.en)
    zh = f'<span class="zh" lang="zh-CN">{escape(words.zh)}</span>'
    return f'<span class="en">{escape(words.en)}</span>{zh}'


def tag(verdict: Verdict, place: str = "") -> str:
    """A coloured mark. place: in its title."""
    title = f' title="{escape(place)}"' if place else ""
    return f'<span class="tag {verdict.value}"{title}>{both(VERDICTS[verdict])}</span>'


def case_html(number: str, found: Mapping[str, Result], runs: Mapping[str, Run]) -> str:
    """A case with its outcome at each place. runs: by place, for scripts and secrets."""
    case = next(iter(found.values())).case
    outcomes = unique(result.verdict.value for result in found.values())
    data = {
        "outcome": " ".join(outcomes),
        "group": case.group,
        "clause": " ".join(case.clauses),
        "level": case.level.value,
    }
    marks = " ".join(tag(result.verdict, place) for place, result in found.items())
    attributes = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items())
    details = "".join(_place(number, place, found, runs) for place in _worth_telling(found))
    return (
        f'<details class="case" id="{escape(number)}"{attributes}>'
        f"<summary>{marks} <code>{escape(number)}</code> {both(case.title)}</summary>"
        f'<div class="body">{_meta(case)}{details}</div></details>'
    )


def _worth_telling(found: Mapping[str, Result]) -> list[str]:
    """Every place where it failed; else one where it was played; else one."""
    failed = [place for place, result in found.items() if result.verdict is Verdict.FAILED]
    played = [place for place, result in found.items() if result.verdict is Verdict.PASSED]
    return failed or played[:1] or list(found)[:1]


def _meta(case: Case) -> str:
    parts = [
        (Words("clauses", "条款"), ", ".join(case.clauses)),
        (Words("grade", "把握"), case.grade),
        (Words("level", "级别"), case.level.value),
        (Words("needs", "需要"), ", ".join(needs_of(case))),
        (Words("card", "卡片"), ", ".join(f"{k} = {v}" for k, v in case.setup.items())),
        (Words("key", "名称"), case.key),
    ]
    text = "; ".join(f"{both(name)} {escape(value)}" for name, value in parts if value)
    return f'<p class="meta">{text}</p>'


def _place(number: str, place: str, found: Mapping[str, Result], runs: Mapping[str, Run]) -> str:
    result, run = found[place], runs[place]
    head = f"<h3>{escape(place)}</h3>" if len(found) > 1 else ""
    why = "" if result.why is None else f"<p>{both(result.why)}</p>"
    script = run.scripts.get(number)
    if script:
        words = both(Words("Script that shows it", "重现脚本"))
        script = f"<details><summary>{words}</summary><pre>{escape(script)}</pre></details>"
    return head + why + _broke(result.violation) + _said(result, run) + (script or "")


def _broke(violation: Violation | None) -> str:
    if violation is None:
        return ""
    expected, came = both(Words("expected", "期望")), both(Words("came", "实际"))
    clause = both(Words("clause", "条款"))
    return (
        f'<div class="broke"><div>{expected} <code>{both(violation.expected)}</code></div>'
        f"<div>{came} <code>{escape(violation.came)}</code></div>"
        f"<div>{clause} {escape(violation.clause)}</div></div>"
    )


def _said(result: Result, run: Run) -> str:
    items = "".join(map(_exchange, shown(result.said, result.violation, run.is_ours)))
    return f'<ol class="said">{items}</ol>' if items else ""


def _exchange(one: Shown) -> str:
    bad = ' class="bad"' if one.broke is not None else ""
    if not one.command and one.answer is None:
        return f"<li{bad}>{both(_NOTES.get(one.name, Words(one.name, one.name)))}</li>"
    took = f" {one.took_us / 1000:.3f} ms" if one.took_us else ""
    answer = ""
    if one.answer is not None:
        answer = f'<div class="hex">&lt; {_marked(one.answer, one.broke)}</div>'
    return (
        f"<li{bad}><b>{escape(one.name)}</b> <span class=sw>{escape(one.status)}{took}</span>"
        f'<div class="hex">&gt; {escape(one.command)}</div>{_fields(one.request)}'
        f"{answer}{_fields(one.reply)}</li>"
    )


def _marked(answer: str, broke: tuple[int, int] | None) -> str:
    """An answer with the bytes that broke the rule marked; where bytes lack, the place."""
    if broke is None:
        return escape(answer)
    first, behind = 2 * broke[0], 2 * broke[1]
    wrong = answer[first:behind] or "··"
    return f"{answer[:first]}<mark>{wrong}</mark>{answer[behind:]}"


def _fields(lines: Iterable[Line]) -> str:
    rows = "".join(
        f"<div><dt>{escape(line.label)}</dt>"
        f"<dd>{escape(f'{line.value} ({line.note})' if line.note else line.value)}</dd></div>"
        for line in lines
    )
    return f'<dl class="fields">{rows}</dl>' if rows else ""


def unique(values: Iterable[str]) -> list[str]:
    """Each once, in their order."""
    return list(dict.fromkeys(values))
