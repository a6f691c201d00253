"""The HTML report as a person uses it, in a headless Chromium."""

import re
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


def wait(browser: Browser, condition: str) -> None:
    """Until it holds: events come when the click is done."""
    for _ in range(100):
        if browser.run(condition):
            return
    assert browser.run(condition), condition


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
        ("clause", "annex 8", ["CARD-TWO-002"]),
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
    assert browser.run(inside) is None
    browser.run(f"document.querySelector('#{number} > summary').click()")
    wait(browser, f"{inside} && ({VISIBLE})({inside})")
    text = browser.run(f"document.getElementById('{number}').innerText")
    for wanted in ("expected", "6A82", "9000", "SELECT purse", "DF name"):
        assert wanted in text
    assert browser.run(f"document.querySelector('#{number} mark').textContent") == "9000"


def test_a_square_of_the_matrix_opens_its_case_even_if_it_is_filtered_out(browser: Browser):
    choose(browser, "group", "ONE")
    browser.run("document.querySelector('a.sq[href=\"#CARD-TWO-001\"]').click()")
    wait(browser, "document.getElementById('CARD-TWO-001').open")
    assert not browser.run("document.getElementById('CARD-TWO-001').hidden")


def test_one_language_is_seen_at_a_time(browser: Browser):
    seen = f"[...document.querySelectorAll('.%s')].some({VISIBLE})"
    for language, other in (("zh", "en"), ("en", "zh")):
        browser.run(f"document.querySelector('label[for=lang-{language}]').click()")
        assert browser.run(seen % language)
        assert not browser.run(seen % other)


def test_an_open_case_and_the_filter_are_chinese_in_chinese(browser: Browser):
    browser.run("document.querySelector('label[for=lang-zh]').click()")
    number = "CARD-ONE-002"
    browser.run(f"document.querySelector('#{number} > summary').click()")
    wait(browser, f"document.querySelector('#{number} .said') !== null")
    text = browser.run(f"document.getElementById('{number}').innerText")
    for wanted in (
        "期望",
        "未找到文件或应用",
        "SELECT 电子钱包",
        "DF 名称",
        "9000 成功",
        "2.5 SELECT 状态字",
    ):
        assert wanted in text
    shown = browser.run("document.getElementById('all').innerText")
    allowed = {
        "tapbench", "English", "student", "inproc", "udp", "python", "note", "judged", "Title",
        "script", "only", "card", "left",
    }  # fmt: skip
    assert set(re.findall("[A-Za-z][a-z]{3,}", shown)) <= allowed
    browser.run("document.querySelector('label[for=lang-en]').click()")
    assert not re.search(
        "[\u4e00-\u9fff]",
        browser.run("document.getElementById('all').innerText").replace("中文", ""),
    )


def test_the_keyboard_comes_to_the_filter_and_the_cases_without_the_squares(browser: Browser):
    assert browser.run("[...document.querySelectorAll('a.sq')].every((a) => a.tabIndex === -1)")
    assert browser.run("document.querySelectorAll('a.sq').length") > 6


def test_a_case_costs_little_until_it_is_opened(browser: Browser):
    """Thousands of cases with tens of exchanges each would be a million elements."""
    assert browser.run("document.querySelectorAll('details.case *').length") < 12 * len(cases())


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
