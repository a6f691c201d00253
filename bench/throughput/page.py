"""A benchmark as one web page: tables, SVG charts and the machine, without network or script."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from bench.throughput.document import Document

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 76rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption, .facts { color: #555; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd;
  white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
.banner { background: #fbe9d0; border-left: 4px solid #b3772c; padding: .6rem 1rem; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>$title</h1>
$banner
$body
<h2>Measured on</h2>
<dl class="facts">$facts</dl>
</body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with what it shows.

    svg: from `bench.throughput.charts.chart`, or what draws it: a terminal has no use for one.
    """

    svg: str | Callable[[], str]
    caption: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. Every row has as many cells as heads, the first names the row."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def page_html(title: str, document: Document, parts: Iterable[Picture | Grid | str]) -> str:
    """The page. parts: in order; a string is a paragraph."""
    said = document.as_json()
    facts = {f"{name}": value for name, value in said["machine"].items()}
    facts |= {"at": said["at"], "seed": said["seed"], "options": said["options"]}
    banner = ""
    if document.incomplete:
        banner = f'<p class="banner">Incomplete: {escape(document.incomplete)}</p>'
    return _PAGE.substitute(
        title=escape(title),
        banner=banner,
        body="\n".join(_part(part) for part in parts),
        facts="".join(
            f"<dt>{escape(name)}</dt><dd>{escape(_fact(value))}</dd>"
            for name, value in facts.items()
            if value is not None
        ),
    )


def _fact(value: object) -> str:
    if isinstance(value, dict):
        given = {name: one for name, one in value.items() if one not in (None, "", [])}
        return ", ".join(f"{name} {_fact(one)}" for name, one in given.items())
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return str(value)


def _part(part: Picture | Grid | str) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Picture):
        svg = part.svg if isinstance(part.svg, str) else part.svg()
        return f"<figure>{svg}<figcaption>{escape(part.caption)}</figcaption></figure>"
    heads = "".join(f"<th>{escape(head)}</th>" for head in part.heads)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in part.rows
    )
    return (
        f'<h2>{escape(part.title)}</h2><div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
