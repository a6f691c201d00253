"""The command line `tapbench`."""

from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and leave with its exit code.

    0 done; 1 the job ran and failed; 2 wrong input or something missing, told in one sentence;
    130 stopped by Ctrl-C.
    """
    import sys

    from bench.cli.app import run_app

    sys.exit(run_app(sys.argv[1:]))
