"""A figure that stands on two pages is the same on both."""

import re
from pathlib import Path

import pytest

from bench.throughput.air import air_tap

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def cells(text: str, *begins: str) -> list[str]:
    """The cells of the first table's row that begins so."""
    head = f"| {' | '.join(begins)} |"
    line = next(line for line in text.splitlines() if line.startswith(head))
    return [part.strip() for part in line.strip("|").split("|")]


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_quote_the_pages(readme: str):
    told = page(readme)
    *_, opened, closed = cells(page("docs/throughput.md"), "106", "plastic")
    taps = cells(page("docs/performance.md"), "T6")[4]
    projected = r"10,000,000, projected \| [\d,]+ \((\d+) minutes\)"
    [minutes] = re.findall(projected, page("docs/city.md"))
    of_gates = [figure for cell in (closed, opened) for figure in re.findall(r"[\d.]+", cell)]
    assert len(of_gates) == 6  # each with the least and the greatest run
    for figure in (*of_gates, taps, minutes, f"{air_tap(0).whole / 1e6:.0f} ms"):
        assert re.search(rf"(?<![\d.,]){figure}(?![\d.,])", told), figure


def test_the_readmes_have_the_same_sections_tables_and_benchmarks():
    english, chinese = (page(name) for name in READMES)
    for what in (r"^## ", r"^\|", r"^!\["):
        found = (len(re.findall(what, text, re.MULTILINE)) for text in (english, chinese))
        assert len(set(found)) == 1, what
    bench = re.compile(r"[ `]bench ([a-z]+)(?=[` ])")
    named = (set(bench.findall(text)) for text in (english, chinese))
    assert next(named) == next(named)


def test_performance_and_city_tell_the_same_of_a_day():
    performance, city = page("docs/performance.md"), page("docs/city.md")
    best = cells(performance, "T12")[4]
    assert f"| {best} |" in city
    assert f"**T12, {best} trips" in performance
    [speedup] = re.findall(r"\| speedup of two workers \| [^|]+ \| - \| ([\d.]+) ", performance)
    assert f"are {speedup} times as fast" in city
