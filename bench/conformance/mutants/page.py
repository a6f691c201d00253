"""The score as one web page: each broken card or gate, and the case that caught it."""

from html import escape
from importlib.resources import files
from string import Template

from bench.conformance import page
from bench.conformance.mutants.score import CATCHES, Judged, Outcome, Score

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title><style>$style</style></head>
<body><input type="radio" name="lang" id="lang-en" checked>
<input type="radio" name="lang" id="lang-zh"><div id="all">
<p class="langs"><label for="lang-en">English</label> <label for="lang-zh">中文</label></p>
<h1>$title</h1>
<p>$counts</p>
<table><thead><tr><th>id</th><th>$broken</th><th>$clause</th><th>$module</th>
<th>$outcome</th><th>$by</th></tr></thead>
<tbody>
$rows
</tbody></table></div></body></html>
""")

_ZH = {
    Outcome.CAUGHT: "发现",
    Outcome.TIMEOUT: "超时发现",
    Outcome.SURVIVED: "未发现",
    Outcome.EQUIVALENT: "声明为不可见",
    Outcome.LEFT_OUT: "未判定",
    Outcome.BROKEN: "声明有误",
}


def score_html(score: Score) -> str:
    """The whole page; it needs nothing else."""
    counted = f"{score.caught} / {score.total}, {score.percent:.1f} %"
    return _PAGE.substitute(
        title=escape(f"Broken {score.kind}s: {counted}"),
        style=files(page).joinpath("page.css").read_text("utf-8"),
        counts=_both(*score.words),
        broken=_both("what is broken", "缺陷"),
        clause=_both("clause", "条款"),
        module=_both("module", "模块"),
        outcome=_both("outcome", "结果"),
        by=_both("caught by", "发现者"),
        rows="\n".join(map(_row, score.judged)),
    )


def _row(one: Judged) -> str:
    mutant = one.mutant
    kind = "passed" if one.outcome in CATCHES else "failed"
    if one.outcome in (Outcome.EQUIVALENT, Outcome.LEFT_OUT):
        kind = "skipped"
    by = "".join(f"<code>{escape(number)}</code> " for number in one.by)
    cells = (
        f"<code>{escape(mutant.id)}</code>",
        _both(mutant.title, mutant.title_zh),
        escape(mutant.clause),
        f"<code>{escape(mutant.module)}</code>",
        f'<span class="{kind} tag">{_both(one.outcome.value, _ZH[one.outcome])}</span>',
        f'{by}<div class="meta">{escape(one.why)}</div>',
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _both(en: str, zh: str) -> str:
    return f'<span class="en">{escape(en)}</span><span class="zh" lang="zh">{escape(zh)}</span>'
