"""The walkthrough of the seed: its commands, run in their order, and what each prints.

`python -m tests.walkthrough` writes into the page what the commands print now.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
    """What a command prints, standard error too, without the spaces at lines' ends."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "COLUMNS": "100", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    return "".join(line.rstrip() + "\n" for line in lines)


def refreshed(text: str, folder: Path) -> str:
    """The page with what its commands print now."""

    def block(found: re.Match[str]) -> str:
        told = (f"$ {one.command}\n{run(one.command, folder)}" for one in steps(found[1]))
        return "```console\n" + "".join(told) + "```"

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(refreshed(PAGE.read_text("utf-8"), Path(made)), "utf-8")
