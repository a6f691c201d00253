"""Atheris, a fuzzer led by coverage, on one target after the other.

    python -m tests.fuzz.long --minutes 60               an hour, shared among all targets
    python -m tests.fuzz.long --minutes 5 card pcd       five minutes, shared by two

New inputs are kept in a folder outside the repository (`--keep`); the corpus in the repository is
read and never written, unless `--merge` asks for the smallest set that covers as much. Needs
atheris: `pip install -e '.[fuzz]'`. Exit code 1 if a target failed; its input is in the folder.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 4096
"""Bytes of an input."""


def program(name: str, keep: Path) -> str:
    """A program that is one target: libFuzzer starts itself again when it merges."""
    path = keep / f"{name}.sh"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.long --one {name} "$0" "$@"\n')
    path.chmod(0o700)
    return str(path.absolute())


def one(name: str, arguments: list[str]) -> None:
    """This process becomes libFuzzer on one target. arguments: its program and its options."""
    import atheris

    with atheris.instrument_imports(include=["apdu", "bench.trace_formats", "emulator"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


def run(name: str, seconds: int, keep: Path) -> bool:
    """A target in a process of its own. Returns whether it held."""
    found = keep / name
    found.mkdir(parents=True, exist_ok=True)
    options = (f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=20")
    options += ("-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={found}.failed-")
    command = [program(name, keep), *options, str(found), str(CORPUS / name)]
    done = subprocess.run(command, capture_output=True, text=True)
    kept = len(list(found.iterdir()))
    runs = [line.split()[-1] for line in done.stderr.splitlines() if "executed_units" in line]
    count = "".join(runs) or "?"
    say(f"{name:>14}: {count} inputs in {seconds} s, {kept} kept")
    if done.returncode:
        say(done.stdout[-4000:] + done.stderr[-4000:])
    return done.returncode == 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def merge(name: str, keep: Path) -> None:
    """Put into the corpus what covers more than it does now, smallest inputs first."""
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    command = [program(name, keep), "-merge=1", str(CORPUS / name), str(keep / name)]
    subprocess.run(command, check=True, capture_output=True)


def main() -> int:
    """Share the minutes among the targets."""
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3:])
        return 0
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description="Fuzz the parsers and machines with atheris.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "tapbench-fuzz")
    parser.add_argument("--merge", action="store_true", help="add what is new to the corpus")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all if left out")
    told = parser.parse_args()
    names = told.targets or list(TARGETS)
    if told.merge:
        for name in names:
            merge(name, told.keep)
        return 0
    seconds = max(1, round(told.minutes * 60 / len(names)))
    return 0 if all([run(name, seconds, told.keep) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
