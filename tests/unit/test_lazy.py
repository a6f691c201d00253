"""Commands in modules of their own: found by name, and imported when they are asked for."""

import subprocess
import sys

import pytest
import typer

from bench.cli import app as top
from bench.cli import bench_app as measuring
from bench.cli.app import run_app


@pytest.mark.parametrize("module", [top, measuring])
def test_every_command_that_is_elsewhere_is_there_and_has_a_help(module):
    made = typer.main.get_command(module.app if module is top else module.bench_app)
    context = made.make_context("tapbench", ["--help"], resilient_parsing=True)
    names = made.list_commands(context)
    assert len(names) == len(set(names))
    assert set(module._ELSEWHERE) <= set(names)
    for name in names:
        command = made.get_command(context, name)
        assert command.name == name
        assert command.get_short_help_str()


def test_a_group_without_a_command_shows_its_help_and_is_wrong_input(capsys):
    assert run_app(["card"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Usage: tapbench card")
    assert "dialects" in said.err
    assert not said.out


def test_a_command_imports_the_options_of_no_other():
    program = (
        "import sys; from bench.cli.app import run_app; code = run_app(['explain', '9000']); "
        "print(sorted(name for name in sys.modules if name.endswith('_app')), file=sys.stderr); "
        "sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0
    assert ran.stderr.strip() == "[]"
