"""`docs/hardware.md`: its commands parse, its rules are the doctor's, its readers are nfcpy's."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from nfc.clf.device import usb_device_map

from bench.cli.app import app
from bench.doctor import KERNEL_DRIVERS, polkit_rule, udev_rule

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/hardware.md").read_text("utf-8")


def commands(program: str) -> list[str]:
    """Every command of the page that starts with this program, in blocks and in sentences."""
    return re.findall(rf"(?:^    |`)({program} [^\n`]+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", commands("tapbench"))
def test_a_command_of_the_page_is_understood(line: str) -> None:
    root = typer.main.get_command(app)
    _, *arguments = shlex.split(line)
    context = root.make_context("tapbench", arguments[:], resilient_parsing=True)
    name, command, rest = root.resolve_command(context, arguments)  # type: ignore[attr-defined]
    if rest:
        command.make_context(name, rest)  # raises for an unknown option or a missing one


def test_the_page_shows_commands_of_both_sides() -> None:
    assert len(commands("tapbench")) >= 5
    assert len(commands("pytest")) >= 3


def test_the_options_of_the_hardware_tests_are_there(pytester: pytest.Pytester) -> None:
    where = ("--rootdir", ROOT, "-c", ROOT / "pyproject.toml", ROOT / "tests/hardware")
    shown = pytester.runpytest_inprocess(*where, "--help").stdout.str()
    for line in commands("pytest"):
        assert line.startswith("pytest tests/hardware")
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown


def test_the_rules_to_paste_are_the_doctor_s() -> None:
    unindented = re.sub(r"^ +", "", PAGE, flags=re.MULTILINE)
    assert udev_rule(0x072F, 0x2200) in unindented
    assert re.sub(r"^ +", "", polkit_rule("alice"), flags=re.MULTILINE) in unindented
    assert f"sudo modprobe -r {' '.join(KERNEL_DRIVERS)}" in PAGE


def test_the_table_has_every_usb_reader_of_nfcpy() -> None:
    for vendor, product in usb_device_map:
        assert f"{vendor:04x}:{product:04x}" in PAGE
