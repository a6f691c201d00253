"""The suite under pytest: as an installed package, and beside cases of one's own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fixtures
from bench.conformance.suite import card_cases, gate_cases
from emulator.frontends.udp import UdpFrontend
from tests.interop.test_hardware_suite import foreign_card
from tests.liars import Liar, penniless
from tests.needs import missing

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
ONLY = "CARD-LOAD-00*"
MINE = """
import pytest
from bench.conformance import Broken, Lab, Need, NotApplicable, Words, case


@case("MINE", "The balance is not negative", "余额不为负", "4.12")
def balance_is_not_negative(lab: Lab) -> None:
    lab.must(lab.select())
    came = lab.balance()
    lab.require(came >= 0, Words("0 fen or more", "不少于 0 分"), came)


@case("MINE", "There is no purse", "没有钱包", "2.1")
def there_is_no_purse(lab: Lab) -> None:
    lab.must(lab.select(), 0x6A82)


@case("MINE", "It wants frames", "需要帧", "1.1", needs=[Need.FRAMES])
def it_wants_frames(lab: Lab) -> None:
    raise AssertionError("never played")


def test_a_function(lab: Lab) -> None:
    lab.must(lab.select())


def test_a_function_that_fails(lab: Lab) -> None:
    lab.must(lab.select(), 0x6A81)


def test_a_function_with_a_reason(lab: Lab) -> None:
    raise NotApplicable("not on this card", "此卡没有")


@pytest.mark.needs("frames")
def test_what_it_needs(lab: Lab) -> None:
    raise AssertionError("never played")


def test_without_a_card() -> None:
    assert True
"""


def run_in(
    folder: Path, *arguments: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


Suite = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """The suite in this process, which is quicker than one of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        wanted = ("-p", "no:cacheprovider", "--pyargs", "bench.conformance", *arguments)
        done = pytester.runpytest_inprocess(*wanted)
        return subprocess.CompletedProcess([], done.ret, done.stdout.str(), done.stderr.str())

    return run


def test_every_case_is_a_test_with_its_id(suite: Suite):
    done = suite("--collect-only", "-q")
    assert done.returncode == 0, done.stdout
    ids = [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert ids == list(card_cases())


def test_cases_of_ones_own_stand_beside_ours(suite: Suite, pytester: pytest.Pytester):
    (pytester.path / "test_mine.py").write_text(MINE, "utf-8")
    done = suite("test_mine.py", "--only", ONLY, "-v", "--strict-markers")
    assert done.returncode == 1
    for wanted in (
        "bench.conformance::CARD-LOAD-001 PASSED",
        "test_mine.py::balance_is_not_negative PASSED",
        "test_mine.py::there_is_no_purse FAILED",
        "test_mine.py::it_wants_frames SKIPPED",
        "test_mine.py::test_a_function PASSED",
        "test_mine.py::test_a_function_that_fails FAILED",
        "test_mine.py::test_a_function_with_a_reason SKIPPED",
        "test_mine.py::test_what_it_needs SKIPPED",
        "test_mine.py::test_without_a_card PASSED",
    ):
        assert wanted in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert "expected  6A82 file or application not found" in done.stdout
    assert "expected 6A81" in done.stdout
    assert done.stdout.count("> 00A4040008A000000632010105") >= 3


def test_cases_of_ones_own_alone(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(MINE, "utf-8")
    done = run_in(tmp_path, "-p", "bench.conformance.plugin", "test_mine.py", "-q", "--via", "udp")
    assert "2 failed, 3 passed, 3 skipped" in done.stdout, done.stdout


def on_the_air(card, suite: Suite, *arguments: str) -> subprocess.CompletedProcess[str]:
    with (front := UdpFrontend(card, port=0)).running():
        host, port = front.address
        return suite("--via", f"nfc:udp:{host}:{port}", "--only", ONLY, *arguments)


def test_a_card_on_a_reader_is_judged(suite: Suite):
    done = on_the_air(fixtures.card("student"), suite, "--keys", "test", "--write", "-v")
    assert done.returncode == 0, done.stdout
    assert "bench.conformance::CARD-LOAD-001 PASSED" in done.stdout


def test_a_card_on_a_reader_is_only_read_without_leave(suite: Suite):
    done = on_the_air(foreign_card(), suite, "--keys", "test", "-rs")
    assert done.returncode == 0, done.stdout
    assert "allow it with --write" in done.stdout


def test_a_card_that_lies_fails_with_what_came(suite: Suite):
    done = on_the_air(Liar(penniless), suite, "--keys", "test", "--write")
    assert done.returncode == 1
    assert "expected  a balance of 100 fen" in done.stdout
    assert "came      0 fen" in done.stdout
    assert "Traceback" not in done.stdout


def test_leave_to_write_is_refused_for_an_issuer_in_service(suite: Suite):
    done = on_the_air(foreign_card(), suite, "--keys", "test", "--write")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--write is refused: the card" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_card_that_leaves_ends_the_session(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bench.conformance.reader_stand.WAIT_S", 1.0)

    def gone(command: bytes, answer: bytes) -> bytes:
        if len(card.seen) > 8:
            front.stop()
        return answer

    card = Liar(gone)
    front = UdpFrontend(card, port=0)
    with front.running():
        host, port = front.address
        done = suite(
            "--via", f"nfc:udp:{host}:{port}", "--keys", "test", "--write",
            "--junitxml", str(tmp_path / "out.xml"),
        )  # fmt: skip
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert "incomplete: No card came" in done.stdout
    assert (tmp_path / "out.xml").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--via", "nosuch"), "there is no road 'nosuch'"),
        (("--via", "inproc,udp"), "--via names several places"),
        (("--keys", "/nowhere"), "keys file /nowhere cannot be read"),
        (("--level", "most"), "there is no level 'most'; choose basic or full"),
        (("--via", "nfc:udp:127.0.0.1:1", "-n", "2"), "several processes cannot share one card"),
    ],
)
def test_bad_use_is_one_sentence(suite: Suite, arguments: tuple[str, ...], why: str):
    done = suite(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = done.stderr.split("\n\n")[0].splitlines()
    assert why in line


def test_a_pattern_that_fits_no_case_is_told(suite: Suite):
    done = suite("--only", "CARD-LOAD-*,LAOD")
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "no case fits 'LAOD'; tapbench conformance list" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_reader_that_is_not_there_ends_the_session(suite: Suite):
    done = suite("--via", "nfc:tty:NOSUCH:pn532")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "No NFC reader answers on tty:NOSUCH:pn532" in done.stdout + done.stderr


def test_other_runs_of_pytest_are_left_alone(tmp_path: Path):
    """Nothing of the bench is imported, no option is there, another plugin may have ours."""
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        "    for name in ('--via', '--profile', '--keys', '--level', '--only', '--write'):\n"
        "        parser.addoption(name)\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(request):\n"
        "    loaded = {name for name in sys.modules if name.startswith('bench')}\n"
        "    assert loaded <= {'bench', 'bench.pytest_entry'}\n"
        "    assert not request.config.pluginmanager.has_plugin('bench.conformance.plugin')\n"
    )
    done = run_in(tmp_path, "-q", "--via", "theirs")
    assert done.returncode == 0, done.stdout + done.stderr


# Installed

Installed = Callable[..., subprocess.CompletedProcess[str]]


def call(*command: object) -> str:
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd="/", check=False,
    )  # fmt: skip
    if done.returncode:
        offline = "No matching distribution" in done.stdout or "connection" in done.stdout.lower()
        if offline:
            missing("pip finds no packages here; give it an index to install from.")
        pytest.fail(done.stdout)
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A new environment with the wheel, pytest and nothing else of ours."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    for name in listed.split("\0"):
        if name and not name.startswith(("tests/", "docs/")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    call(*pip, "wheel", "--no-deps", "-w", folder, source)
    (wheel,) = folder.glob("tapbench-*.whl")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    made = folder / "venv/bin/python"
    # Compiled is what the tests below import, and nothing else of what is installed.
    install = ("install", "--no-compile", "-c", ROOT / "constraints.txt", wheel, "pytest")
    call(*pip, "--python", made, *install)
    return str(made)


@pytest.mark.timeout(400)
def test_the_suite_runs_from_an_installed_wheel_outside_the_repository(python: str, tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(MINE, "utf-8")
    done = run_in(
        tmp_path, "--pyargs", "bench.conformance", "test_mine.py", "--via", "udp", "--only", ONLY,
        "-v", python=python,
    )  # fmt: skip
    assert "bench.conformance::CARD-LOAD-001 PASSED" in done.stdout, done.stdout + done.stderr
    assert "test_mine.py::balance_is_not_negative PASSED" in done.stdout
    assert str(ROOT) not in done.stdout


@pytest.mark.timeout(400)
def test_the_command_and_its_page_are_in_the_wheel(python: str, tmp_path: Path):
    tapbench = Path(python).with_name("tapbench")
    said = call(tapbench, "conformance", "card", "--only", ONLY, "--report", tmp_path)
    assert "0 failed" in said
    assert "<mark>" not in (tmp_path / "conformance.html").read_text()
    listed = call(tapbench, "conformance", "list")
    assert listed.splitlines()[-1] == f"{len(card_cases()) + len(gate_cases())} cases"
