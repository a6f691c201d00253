"""`tapbench tap`: the main job on one road or on all."""

import json
import sys
from pathlib import Path
from typing import Any

from apdu.show import money
from bench.cli.air_options import AIR, AirOptions
from bench.cli.show import exchange_json, exchange_lines
from bench.recording import Recorder
from bench.rig.errors import RigError
from bench.roads import Road, choose
from bench.scenario import Run, fresh_card, play
from emulator.frontends.errors import FrontendError
from reader.session import ProtocolError, StatusError
from reader.transport.base import CardLost, ReaderFault


def tap(
    via: str, seed: int, as_json: bool, trace: Path | None = None, air: AirOptions | None = None
) -> int:
    """Play the scenario. Returns 0 only if every cryptogram verified on every road asked for.

    trace: where to keep a recording, one file a road. air: how the simulated air behaves.
    """
    roads = (air or AirOptions()).roads(choose(via), seed)
    played: dict[str, Run] = {}
    missing: dict[str, str] = {}
    files = _files(choose(via), trace)
    for name in choose(via):
        try:
            played[name] = _play(name, roads[name], seed, files.get(name))
        except (RigError, FrontendError, ReaderFault) as error:
            if via != "all":
                raise
            missing[name] = str(error)  # a road this machine does not have
    good = all(run.is_good for run in played.values())
    same = len({str(run.transcript()) for run in played.values()}) == 1
    if as_json:
        print(json.dumps(_as_json(seed, played, missing, same), ensure_ascii=False, indent=2))
    else:
        _print(played, missing, same)
    return 0 if good and same and not missing else 1


def _files(roads: list[str], trace: Path | None) -> dict[str, Path]:
    if trace is None:
        return {}
    from bench.cli.trace_files import road_files  # 25 ms that most taps save

    return road_files(roads, trace)


def _play(name: str, road: Road, seed: int, trace: Path | None) -> Run:
    card = fresh_card(seed)
    run = Run()
    recorder = Recorder(f"tap over {name}, seed {seed}")
    # The air's own clock tells how long its exchanges took.
    with road(card, recorder if trace is not None or name == AIR else None) as link:
        try:
            play(link, seed, run, recorder)
        except (ProtocolError, StatusError) as error:  # a wrong cryptogram, or a refusal
            run.failure = str(error)
        except CardLost as lost:
            run.failure = f"card lost: {lost}"
    if trace is not None:
        from bench.cli.trace_files import keep

        print(keep(recorder.trace(), trace), file=sys.stderr)
    return run


def _print(played: dict[str, Run], missing: dict[str, str], same: bool) -> None:
    first = next(iter(played.values()))
    _print_ladder(first)
    if len(played) > 1:
        _print_roads(played, same)
    for name, reason in missing.items():
        print(f"{name}: left out, {reason}", file=sys.stderr)
    for name, run in played.items():
        if not run.is_good:
            print(f"{name}: FAILED, {run.failure or 'see the ladder above'}")


def _print_ladder(run: Run) -> None:
    part = ""
    for step in run.steps:
        if step.part != part:
            part = step.part
            before, after = (money(fen) for fen in run.balances[part])
            print(f"\n{part}: balance {before} -> {after} yuan")
        for line in exchange_lines(step.exchange):
            print(line)
    print()
    for part, (tac, right) in run.tacs.items():
        print(f"{part}: TAC {tac.hex().upper()} {'verified' if right else 'WRONG'}")
    for part, outcome in run.outcomes.items():
        reason = f", {outcome.reason.en}" if outcome.reason else ""
        fare = f", fare {money(outcome.fare)}" if part == "exit" else ""
        print(f"{part}: {outcome.verdict.value}{fare}{reason} {outcome.detail}".rstrip())


def _print_roads(played: dict[str, Run], same: bool) -> None:
    names = list(played)
    simulated = " (air: simulated time)" if AIR in names else ""
    print(f"\nThe same commands on every road, ms each{simulated}:")
    print(f"{'':>5}  {'':<30}" + "".join(f"{name:>10}" for name in names))
    from apdu.trace import explain_command

    for steps in zip(*(run.steps for run in played.values()), strict=False):
        first = steps[0].exchange
        times = "".join(f"{(s.exchange.end_ns - s.exchange.start_ns) / 1e6:>10.3f}" for s in steps)
        print(f"{first.to:>5}  {explain_command(first.command).title:<30}{times}")
    print(f"Transcripts {'are equal, byte for byte' if same else 'DIFFER'}: {', '.join(names)}.")


def _as_json(
    seed: int, played: dict[str, Run], missing: dict[str, str], same: bool
) -> dict[str, Any]:
    return {
        "seed": seed,
        "ok": same and all(run.is_good for run in played.values()),
        "same_transcript": same,
        "left_out": missing,
        "roads": {name: _run_json(run) for name, run in played.items()},
    }


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "ok": run.is_good,
        "failure": run.failure,
        "balances_fen": {k: {"before": b, "after": a} for k, (b, a) in run.balances.items()},
        "tacs": {
            k: {"tac": tac.hex().upper(), "verified": right} for k, (tac, right) in run.tacs.items()
        },
        "outcomes": {
            k: {
                "verdict": o.verdict.value,
                "fare_fen": o.fare,
                "reason": o.reason.name if o.reason else None,
            }
            for k, o in run.outcomes.items()
        },
        "steps": [{"part": s.part} | exchange_json(s.exchange) for s in run.steps],
    }
