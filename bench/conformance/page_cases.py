"""One case on the web page: its outcomes, its requirement, and what was said."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from html import escape

from apdu.show import Line
from bench.conformance.case import Case, Level, Need, Verdict
from bench.conformance.chinese import both_of, chinese
from bench.conformance.clauses import clause_words
from bench.conformance.report import Run
from bench.conformance.report_json import needed
from bench.conformance.runner import Result, Violation
from bench.conformance.shown import Shown, shown
from bench.conformance.words import Words

VERDICTS = {
    Verdict.PASSED: Words("passed", "通过"),
    Verdict.FAILED: Words("failed", "失败"),
    Verdict.SKIPPED: Words("skipped", "跳过"),
}
LEVELS = {Level.BASIC: Words("basic", "基本"), Level.FULL: Words("full", "完整")}
NEEDS = {
    Need.KEYS: Words("keys", "密钥"),
    Need.WRITE: Words("write", "写卡"),
    Need.FRESH: Words("fresh", "专制卡片"),
    Need.CUT: Words("cut", "断场"),
    Need.FRAMES: Words("frames", "帧"),
    Need.BLANK: Words("blank", "空白卡"),
    Need.CODE: Words("code", "拒绝代码"),
    Need.POST: Words("post", "站点设置"),
    Need.CLOCK: Words("clock", "时钟"),
    Need.RECORDS: Words("records", "交易记录"),
    Need.PACE: Words("pace", "连续刷卡"),
    Need.PAIR: Words("pair", "两张卡"),
    Need.TIME: Words("time", "时间"),
}
"""What a case needs, in a word."""


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
        "outcome": ";".join(outcomes),
        "group": case.group,
        "clause": ";".join(case.clauses),
        "level": case.level.value,
    }
    marks = " ".join(tag(result.verdict, place) for place, result in found.items())
    attributes = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items())
    details = "".join(_place(number, place, found, runs) for place in _worth_telling(found))
    return (
        f'<details class="case" id="{escape(number)}"{attributes}>'
        f"<summary>{marks} <code>{escape(number)}</code> {both(case.title)}</summary>"
        f'<noscript><div class="body">{_meta(case)}{details}</div></noscript></details>'
    )


def _worth_telling(found: Mapping[str, Result]) -> list[str]:
    """Every place where it failed; else one where it was played; else one."""
    failed = [place for place, result in found.items() if result.verdict is Verdict.FAILED]
    played = [place for place, result in found.items() if result.verdict is Verdict.PASSED]
    return failed or played[:1] or list(found)[:1]


def _meta(case: Case) -> str:
    setup = ", ".join(f"{k} = {getattr(v, 'name', v)}" for k, v in case.setup.items())
    needs = [NEEDS[need] for need in needed(case)]
    parts = [
        (Words("clauses", "条款"), joined([clause_words(one) for one in case.clauses])),
        (Words("grade", "依据等级"), alike(case.grade)),
        (Words("level", "级别"), LEVELS[case.level]),
        (Words("needs", "需要"), joined(needs)),
        (Words("card", "卡片"), alike(setup)),
        (Words("key", "名称"), alike(case.key)),
    ]
    text = "; ".join(f"{both(name)} {both(value)}" for name, value in parts if value.en)
    return f'<p class="meta">{text}</p>'


def alike(text: str) -> Words:
    """What is said alike in both languages."""
    return Words(text, text)


def joined(many: Sequence[Words]) -> Words:
    """Several one after the other."""
    return Words(", ".join(one.en for one in many), "、".join(one.zh for one in many))


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
    rows = (
        (Words("expected", "期望"), f"<code>{both(violation.expected)}</code>"),
        (Words("came", "实际"), f"<code>{both(both_of(violation.came))}</code>"),
        (Words("clause", "条款"), both(clause_words(violation.clause))),
    )
    return f'<div class="broke">{"".join(f"<div>{both(k)} {v}</div>" for k, v in rows)}</div>'


def _said(result: Result, run: Run) -> str:
    items = "".join(map(_exchange, shown(result.said, result.violation, run.is_ours)))
    return f'<ol class="said">{items}</ol>' if items else ""


def _exchange(one: Shown) -> str:
    bad = ' class="bad"' if one.broke is not None else ""
    if not one.command and one.answer is None:
        return f"<li{bad}>{term(one.name)}</li>"
    took = f" {one.took_us / 1000:.3f} ms" if one.took_us else ""
    answer = ""
    if one.answer is not None:
        answer = f'<div class="hex">&lt; {_marked(one.answer, one.broke)}</div>'
    return (
        f"<li{bad}><b>{term(one.name)}</b> <span class=sw>{term(one.status)}{took}</span>"
        f'<div class="hex">&gt; {escape(one.command)}</div>{_fields(one.request)}'
        f"{answer}{_fields(one.reply)}</li>"
    )


@lru_cache(maxsize=65536)
def term(text: str) -> str:
    """What the decoder says, in both languages. There are a million of these: the marks are short,
    the style hides <i> or <u> as it hides the classes of `both`.
    """
    zh = chinese(text) or text
    return escape(text) if zh == text else f"<i>{escape(text)}</i><u>{escape(zh)}</u>"


def _marked(answer: str, broke: tuple[int, int] | None) -> str:
    """An answer with the bytes that broke the rule marked; where bytes lack, the place."""
    if broke is None:
        return escape(answer)
    first, behind = 2 * broke[0], 2 * broke[1]
    wrong = answer[first:behind] or "··"
    return f"{answer[:first]}<mark>{wrong}</mark>{answer[behind:]}"


def _fields(lines: tuple[Line, ...]) -> str:
    return f'<dl class="fields">{"".join(map(_field, lines))}</dl>' if lines else ""


@lru_cache(maxsize=65536)
def _field(line: Line) -> str:
    """A field; a remark that only says its name again is left out."""
    note = line.note if line.note != line.label.replace("_", " ") else ""
    if note:
        en, zh = f" ({note})", f"（{chinese(note) or note}）"
        if chinese(note) == chinese(line.label):
            zh = ""
        note = escape(en) if chinese(note) == note else f"<i>{escape(en)}</i><u>{escape(zh)}</u>"
    return f"<div><dt>{term(line.label)}</dt><dd>{term(line.value)}{note}</dd></div>"


def unique(values: Iterable[str]) -> list[str]:
    """Each once, in their order."""
    return list(dict.fromkeys(values))
