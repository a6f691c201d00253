"""`python -m bench.conformance.fuzz`: commands right and wrong, and every answer judged."""

import argparse
import json
import sys
from pathlib import Path

from bench.conformance.fuzz.task import Task
from bench.conformance.mutants.declared import Mutant, load
from bench.files import demand_place, write_whole
from bench.problem import Problem


def main(arguments: list[str] | None = None) -> int:
    """Run it. Returns 0, 1 with violations, 2 for a problem, 3 if it was stopped or cut off."""
    told = _parser().parse_args(arguments)
    try:
        mutant = _mutant(told.mutant) if told.mutant else None
    except Problem as problem:
        print(f"Error: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    task = Task(
        told.count,
        told.seed,
        workers=told.workers,
        via=told.via,
        profile=told.profile,
        keys=told.keys,
        write=told.write,
        every=told.every,
        branches=told.branches,
        mutant=mutant,
    )
    return run(task, as_json=told.as_json, out=told.out)


def run(task: Task, *, as_json: bool = False, out: Path | None = None) -> int:
    """One run from a command line: see `main`. out: a file for the outcome as JSON."""
    from bench.conformance.fuzz.run import fuzz, lines
    from bench.rig.errors import RigError
    from emulator.frontends.errors import FrontendError
    from reader.transport.base import TransportError

    try:
        if out is not None:
            demand_place(out, force=True)
        outcome = fuzz(task, _progress)
        text = json.dumps(outcome.to_json(), ensure_ascii=False, indent=1)
        if out is not None:
            write_whole(out, f"{text}\n".encode(), force=True, mode=0o644)
    except Problem as problem:
        print(f"Error: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    except (TransportError, RigError, FrontendError) as lost:
        print(f"Error: {lost}", file=sys.stderr)  # noqa: T201
        return 3
    except KeyboardInterrupt:
        print("Error: it was stopped by Ctrl-C or by a signal", file=sys.stderr)  # noqa: T201
        return 3
    print(text if as_json else "\n".join(lines(outcome)))  # noqa: T201
    return 1 if outcome.tally.found else 0


def _mutant(wanted: str) -> Mutant:
    found = load("card").get(wanted)
    if found is None:
        raise Problem(f"there is no broken card '{wanted}'; see fixtures/mutants/card.toml")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.conformance.fuzz")
    parser.add_argument("--count", type=int, default=100_000, help="APDUs")
    parser.add_argument("--seed", type=int, default=1, help="everything repeats with it")
    parser.add_argument("--via", default="inproc", help="a road, pcsc:READER or nfc:DEVICE")
    parser.add_argument("--profile", default="", help="what the card is; in process all of ours")
    parser.add_argument("--keys", default="", help="keys of a foreign card, a file or `test`")
    parser.add_argument("--write", action="store_true", help="let a foreign test card be changed")
    parser.add_argument("--workers", type=int, default=1, help="processes, in process only")
    parser.add_argument("--every", type=int, default=100, help="APDUs between looks at balances")
    parser.add_argument("--branches", type=int, default=0, help="trace every n-th card's code")
    parser.add_argument("--mutant", default="", help="break our card first, such as M-CARD-119")
    parser.add_argument("--json", dest="as_json", action="store_true", help="JSON for programs")
    parser.add_argument("--out", type=Path, help="write the JSON to this file too")
    return parser


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
