"""The HTML report as a person uses it, in a headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.conformance.report_html import report_html
from tests.browser import Browser, chromium
from tests.judged import NASTY, cases, report, run

SHOWN = "[...document.querySelectorAll('details.case:not([hidden])')].map((one) => one.id)"
VISIBLE = "(one) => one.checkVisibility()"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "conformance.html"
    path.write_text(report_html(report(run(), run("udp", incomplete="the card left"))), "utf-8")
    return path


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(opened: Browser, page: Path) -> Iterator[Browser]:
    """The page freshly loaded; whatever it complains of fails the test."""
    opened.open(page)
    yield opened
    assert not opened.errors


def choose(browser: Browser, box: str, value: str) -> list[str]:
    """Put a value into a control, as a person does, and say which cases are left."""
    browser.run(
        f"(() => {{ const box = document.getElementById('f-{box}'); box.value = {value!r};"
        " box.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    left: list[str] = browser.run(SHOWN)
    return left


def test_the_browser_notices_what_is_wrong_with_a_page(opened: Browser, tmp_path: Path):
    bad = tmp_path / "bad.html"
    bad.write_text("<script>nothing.there()</script><img src='https://example.invalid/x.png'>")
    opened.open(bad)
    assert any("Uncaught" in error for error in opened.errors)
    assert any("example.invalid" in error for error in opened.errors)
    opened.errors.clear()


def test_every_case_is_there_and_nothing_is_open(browser: Browser):
    assert browser.run(SHOWN) == list(cases())
    assert browser.run("document.getElementById('shown').textContent") == "6 / 6"
    assert browser.run("document.querySelectorAll('details.case[open]').length") == 0
    assert NASTY[-5:-1] in browser.run("document.querySelector('details.case').textContent")


@pytest.mark.parametrize(
    ("box", "value", "left"),
    [
        ("outcome", "failed", ["CARD-ONE-002", "CARD-ONE-003", "CARD-TWO-001"]),
        ("group", "TWO", ["CARD-TWO-001", "CARD-TWO-002", "CARD-TWO-003"]),
        ("clause", "4.10", ["CARD-ONE-002", "CARD-TWO-001"]),
        ("level", "basic", ["CARD-ONE-001", "CARD-TWO-003"]),
        ("text", "one-00", ["CARD-ONE-001", "CARD-ONE-002", "CARD-ONE-003"]),
        ("text", "标题 card-two-002", ["CARD-TWO-002"]),
    ],
)
def test_the_filter_leaves_what_fits(browser: Browser, box: str, value: str, left: list[str]):
    assert choose(browser, box, value) == left
    assert browser.run("document.getElementById('shown').textContent") == f"{len(left)} / 6"
    bright = browser.run("[...document.querySelectorAll('a.sq:not(.out)')].map((a) => a.hash)")
    assert {square.removeprefix("#") for square in bright} == set(left)
    assert choose(browser, box, "") == list(cases())


def test_filters_add_up(browser: Browser):
    choose(browser, "group", "ONE")
    assert choose(browser, "outcome", "failed") == ["CARD-ONE-002", "CARD-ONE-003"]


def test_a_click_opens_a_case_with_its_decoded_exchange(browser: Browser):
    number = "CARD-ONE-002"
    inside = f"document.querySelector('#{number} .said .hex')"
    assert not browser.run(f"({VISIBLE})({inside})")
    browser.run(f"document.querySelector('#{number} > summary').click()")
    assert browser.run(f"({VISIBLE})({inside})")
    text = browser.run(f"document.getElementById('{number}').innerText")
    for wanted in ("expected", "6A82", "9000", "SELECT purse", "DF name"):
        assert wanted in text
    assert browser.run(f"document.querySelector('#{number} mark').textContent") == "9000"


def test_a_square_of_the_matrix_opens_its_case_even_if_it_is_filtered_out(browser: Browser):
    choose(browser, "group", "ONE")
    browser.run("document.querySelector('a.sq[href=\"#CARD-TWO-001\"]').click()")
    for _ in range(100):  # the event comes when the click is done
        if browser.run("document.getElementById('CARD-TWO-001').open"):
            break
    assert browser.run("document.getElementById('CARD-TWO-001').open")
    assert not browser.run("document.getElementById('CARD-TWO-001').hidden")


def test_one_language_is_seen_at_a_time(browser: Browser):
    seen = f"[...document.querySelectorAll('.%s')].some({VISIBLE})"
    for language, other in (("zh", "en"), ("en", "zh")):
        browser.run(f"document.querySelector('label[for=lang-{language}]').click()")
        assert browser.run(seen % language)
        assert not browser.run(seen % other)


def test_without_script_everything_can_be_read(tmp_path: Path, page: Path):
    with chromium(tmp_path / "profile") as browser:
        browser.ask("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        assert not browser.errors
        tree = browser.ask("Accessibility.getFullAXTree")["nodes"]
        names = {str(node.get("name", {}).get("value", "")) for node in tree}
        for number in cases():
            assert any(number in name for name in names)
        assert not any(node.get("role", {}).get("value") == "searchbox" for node in tree)
