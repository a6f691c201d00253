"""The walkthrough of the seed: its commands, run in their order, and what each prints.

`python -m tests.walkthrough` writes into the page what the commands print now.
"""

import io
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from bench.cli.app import run_app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "walkthrough.zh-CN.md"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command and what the page says that it prints."""

    command: str
    output: str


def sections(text: str) -> dict[str, list[Step]]:
    """The steps of each section, by the words of its heading."""
    parts = re.split(r"^##+ (.+)\n", text, flags=re.MULTILINE)
    return {
        name.strip(): [step for block in _BLOCK.findall(body) for step in steps(block)]
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def steps(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if not line.endswith("\\\n")) + 1
        yield Step("".join(lines[:at]).strip(), "".join(lines[at:]))


def run(command: str, folder: Path) -> str:
    """What a command prints, standard error too, without the spaces at lines' ends.

    `tapbench` runs in this process, which is quicker; what it is piped into, in a shell.
    """
    program, *arguments = shlex.split(command.partition(" | ")[0])
    assert program == "tapbench"
    out = io.StringIO()
    with chdir(folder), _screen(), redirect_stdout(out), redirect_stderr(out):
        run_app(arguments)
    text, pipe = out.getvalue(), command.partition(" | ")[2]
    if pipe:
        shell = ["bash", "-c", pipe]
        done = subprocess.run(shell, input=text.encode(), stdout=subprocess.PIPE, check=False)
        text = done.stdout.decode()
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


@contextmanager
def _screen() -> Iterator[None]:
    """A screen of 100 columns without colours."""
    held = dict(os.environ)
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(held)


def refreshed(text: str, folder: Path) -> str:
    """The page with what its commands print now."""

    def block(found: re.Match[str]) -> str:
        told = (f"$ {one.command}\n{run(one.command, folder)}" for one in steps(found[1]))
        return "```console\n" + "".join(told) + "```"

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(refreshed(PAGE.read_text("utf-8"), Path(made)), "utf-8")
