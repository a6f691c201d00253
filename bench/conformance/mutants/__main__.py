"""`python -m bench.conformance.mutants card`: how many broken cards the suite catches."""

import argparse
import json
import sys
from pathlib import Path

from bench.conformance.mutants.declared import KINDS
from bench.conformance.mutants.run import LIMIT_S, Plan, run_mutants
from bench.conformance.mutants.score import Judged, lines
from bench.files import demand_place, write_whole
from bench.problem import Problem

LEAST = 95.0
"""The score a suite must have, in percent."""


def main(arguments: list[str] | None = None) -> int:
    """Run them and say what became of them.

    Returns 0, 1 if too few are caught or a declaration is wrong, 2 for a problem, 3 if stopped.
    """
    told = _parser().parse_args(arguments)
    plan = Plan(told.cases, told.all, told.limit, told.workers)
    try:
        if told.json is not None:
            demand_place(told.json, force=True)
        score = run_mutants(told.kind, told.only, plan, _progress)
        if told.json is not None:
            text = json.dumps(score.to_json(), ensure_ascii=False, indent=1)
            write_whole(told.json, f"{text}\n".encode(), force=True, mode=0o644)
    except Problem as problem:
        print(f"Error: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    print("\n".join(lines(score)))  # noqa: T201
    if not score.is_complete:
        return 3
    return 0 if score.is_enough(told.least) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.conformance.mutants")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--only", default="", help="ids, modules or clauses, as shell patterns")
    parser.add_argument("--cases", default="", help="the cases that may catch them, as patterns")
    parser.add_argument("--workers", type=int, default=0, help="processes at a time")
    parser.add_argument("--all", action="store_true", help="find all cases that catch each")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for one case")
    parser.add_argument("--least", type=float, default=LEAST, help="percent that must be caught")
    parser.add_argument("--json", type=Path, help="write the outcome to this file too")
    return parser


def _progress(judged: Judged, done: int, total: int) -> None:
    by = f" by {', '.join(judged.by)}" if judged.by else ""
    print(f"[{done}/{total}] {judged.mutant.id} {judged.outcome.value}{by}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
