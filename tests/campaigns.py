"""How a long seeded campaign is run from the command line: the same for each of them."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")

Say = Callable[[str], object]
"""Takes a line of progress."""


def run_campaign(
    what: str,
    count: int,
    campaign: Callable[[int, int, Say], R],
    report: Callable[[R], str],
) -> None:
    """Read --count and --seed, run, and print progress and the report.

    what: a sentence. count: unless --count says otherwise.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    result = campaign(asked.count, asked.seed, lambda line: sys.stdout.write(f"{line}\n"))
    sys.stdout.write(f"{report(result)}\n{time.monotonic() - start:.1f} s, seed {asked.seed}\n")
