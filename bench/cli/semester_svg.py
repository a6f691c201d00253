"""The picture of a semester: money on cards, top-ups and rides, week by week."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from bench.semester.people import FIRST_DAY
from bench.semester.run import Semester, Week

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP = 900, 80, 30, 70, 150, 60

_STYLE = """
  text { font: 12px sans-serif; fill: #1a1a1a; }
  .title { font-size: 17px; font-weight: bold; }
  .panel { font-size: 13px; font-weight: bold; }
  .axis { stroke: #8a8a8a; }
  .cards { fill: #35547d; }
  .topups { fill: #3c8c50; }
  .rides { fill: #b3772c; }
""".strip("\n")

_PANELS: tuple[tuple[str, str, Callable[[Week], float], str], ...] = (
    ("cards", "Money on cards at the end of the week, yuan", lambda w: w.on_cards / 100, ",.0f"),
    ("topups", "Top-ups in the week, yuan", lambda w: w.topped_up / 100, ",.0f"),
    ("rides", "Rides in the week", lambda w: w.rides, ",.0f"),
)


def semester_svg(lived: Semester) -> str:
    """The picture: three rows of bars, one bar for each whole week."""
    height = TOP + len(_PANELS) * (HEIGHT + GAP)
    verdict = "books balanced" if lived.books.is_balanced else "books NOT balanced"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="20" y="30">{lived.students} students, {lived.days} days, '
        f"seed {lived.seed}: {verdict}</text>",
    ]
    for row, panel in enumerate(_PANELS):
        parts += _panel(panel, lived.weeks, TOP + row * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: tuple[str, str, Callable[[Week], float], str], weeks: tuple[Week, ...], top: int
) -> Iterator[str]:
    kind, title, value, form = panel
    values = [value(week) for week in weeks]
    most, base = max(values, default=0) or 1, top + HEIGHT
    step = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    yield f'<text class="panel" x="{LEFT}" y="{top - 8}">{title}</text>'
    yield f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{format(most, form)}</text>'
    yield f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>'
    yield f'<line class="axis" x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}"/>'
    for number, one in enumerate(values):
        high = one / most * HEIGHT
        yield (
            f'<rect class="{kind}" x="{LEFT + number * step:.1f}" y="{base - high:.1f}" '
            f'width="{step * 0.8:.1f}" height="{high:.1f}"/>'
        )
        day = FIRST_DAY + timedelta(weeks=number)
        if day.day <= 7:
            yield f'<text x="{LEFT + number * step:.1f}" y="{base + 16}">{day:%Y-%m}</text>'
