"""Pages of gates and stations as a person sees them, in a headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli.app import run_app
from tests.browser import Browser, chromium

PAGES = {
    "gate": ("gate", "--persons", "30", "--cards", "student:50=4,student-expired=1"),
    "station": ("station", "--profile", "quiet", "--gates", "3", "--model", "--samples", "3",
                "--fail", "1@10+5", "--emergency", "30+5"),
    "grid": ("gate", "--grid", "--persons", "3"),
}  # fmt: skip

HIDDEN = """[...document.querySelectorAll('svg text')].filter((one) => {
  const box = one.getBoundingClientRect(), all = one.closest('svg').getBoundingClientRect();
  return !box.width || box.left < all.left - 1 || box.right > all.right + 1
    || box.top < all.top - 1 || box.bottom > all.bottom + 1; }).map((one) => one.textContent)"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.mark.parametrize(("name", "charts"), [("gate", 3), ("station", 3), ("grid", 1)])
def test_a_page_shows_its_charts_with_every_label_inside(
    opened: Browser, tmp_path: Path, name: str, charts: int
):
    page = tmp_path / f"{name}.html"
    assert run_app(["bench", *PAGES[name], "--html", str(page)]) == 0
    opened.open(page)
    opened.picture(1000, 2000)
    assert opened.run("document.querySelectorAll('figure svg').length") == charts
    assert opened.run(HIDDEN) == []
    assert opened.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert "Incomplete" not in opened.run("document.body.textContent")
    assert not opened.errors
