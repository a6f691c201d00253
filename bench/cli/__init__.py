"""The command line `tapbench`."""

from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and leave with its exit code.

    0 done; 1 the job ran and failed; 2 wrong input or something missing, told in one sentence;
    130 stopped by Ctrl-C or SIGTERM.
    """
    import sys

    code = None
    try:  # what the commands need takes most of a start, and a signal may come meanwhile
        from bench.cli.stopping import heed_no_stops, heed_stops, stopped

        heed_stops()
        from bench.cli.app import run_app

        code = run_app(sys.argv[1:])
        heed_no_stops()
    except KeyboardInterrupt:
        from bench.cli.stopping import heed_no_stops, stopped

        heed_no_stops()
        code = stopped() if code is None else code
    sys.exit(code)
