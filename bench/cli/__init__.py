"""The command line `tapbench`."""

from typing import NoReturn

__all__ = ["main"]

_OBJECTS = 50_000
"""New objects before Python looks for those nobody reaches: a start makes many, and all stay."""


def main() -> NoReturn:
    """Run the command line and leave with its exit code.

    0 done; 1 the job ran and failed; 2 wrong input or something missing, told in one sentence.
    """
    import gc
    import sys

    gc.set_threshold(_OBJECTS)
    from bench.cli.app import run_app

    sys.exit(run_app(sys.argv[1:]))
