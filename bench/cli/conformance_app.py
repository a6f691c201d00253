"""The commands under `tapbench conformance` and their options."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.road_options import Json, Seed

conformance_app = typer.Typer(
    help="Judge cards and gates by numbered cases, each with the requirement it comes from.",
    no_args_is_help=True,
)

Only = Annotated[
    str,
    typer.Option(
        "--only", metavar="PATTERN", help="Cases whose id, key or clause fits; with commas."
    ),
]
Level = Annotated[str, typer.Option(help="basic, the ordinary life, or full.")]
Report = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write a web page, JSON and JUnit XML there.")
]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML there.")]


@conformance_app.command()
def card(
    via: Annotated[
        str,
        typer.Option(
            help="Our card: inproc, air, udp, pn532, pcsc, with commas, or all."
            " A card on a reader: pcsc:READER or nfc:DEVICE."
        ),
    ] = "inproc",
    only: Only = "",
    level: Level = "full",
    profile: Annotated[
        str | None,
        typer.Option(help="What the card is: a profile's name; of a foreign card also a file."),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Keys of a foreign card; `test` for our test keys."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Let cases change a foreign card of a test issuer.")
    ] = False,
    report: Report = None,
    junit: Junit = None,
    seed: Seed = 1,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Shorten the scripts of failed cases.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge a card. Exit code 0: all passed; 1: failures; 2: bad use; 3: incomplete.

    A card on a reader is only read, unless --write is given and its issuer is a test one.
    """
    from bench.cli.conformance import CardOptions, SuiteOptions
    from bench.cli.conformance import card as command

    suite = SuiteOptions(via, only, level, report, junit, seed, as_json)
    raise typer.Exit(command(CardOptions(suite, profile, keys, write, shrink)))


@conformance_app.command()
def gate(
    via: Annotated[
        str,
        typer.Option(
            help="Our gates: inproc, air, udp, pn532, pcsc, with commas, or all. A gate of"
            " anybody's: gate:udp, gate:nfc:DEVICE, gate:pn532, gate:pcsc or gate:vpcd."
        ),
    ] = "inproc",
    only: Only = "",
    level: Level = "full",
    profile: Annotated[str, typer.Option(help="The card that is held to the gate.")] = "student",
    can: Annotated[
        str,
        typer.Option(help="What a gate of anybody's can be set up for: post, clock."),
    ] = "",
    report: Report = None,
    junit: Junit = None,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Judge a gate. Exit code 0: all passed; 1: failures; 2: bad use; 3: incomplete.

    At a gate that is not ours an operator says whether it opened.
    """
    from bench.cli.conformance import GateOptions, SuiteOptions
    from bench.cli.conformance import gate as command

    suite = SuiteOptions(via, only, level, report, junit, seed, as_json)
    raise typer.Exit(command(GateOptions(suite, profile, can)))


@conformance_app.command("list")
def list_cases(only: Only = "", level: Level = "full", as_json: Json = False) -> None:
    """List the cases with their requirements and what they need."""
    from bench.cli.conformance_cases import list_cases as command

    command(only, level, as_json)


@conformance_app.command()
def explain(
    number: Annotated[str, typer.Argument(metavar="ID", help="Such as CARD-LOAD-001.")],
    as_json: Json = False,
) -> None:
    """Say what a case is about, and show it on the bench's own card."""
    from bench.cli.conformance_cases import explain as command

    command(number, as_json)


@conformance_app.command()
def fuzz(
    count: Annotated[int, typer.Option(help="APDUs.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Everything repeats with the seed.")] = 1,
    via: Annotated[
        str, typer.Option(help="inproc, air, udp, pn532, pcsc, pcsc:READER or nfc:DEVICE.")
    ] = "inproc",
    profile: Annotated[
        str, typer.Option(help="What the card is; left out, in process, all kinds of ours.")
    ] = "",
    keys: Annotated[
        str,
        typer.Option(metavar="FILE", help="Keys of a foreign card; `test` for our test keys."),
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Let a foreign card of a test issuer be changed.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes, in process only.")] = 1,
    as_json: Json = False,
) -> None:
    """Send commands right and wrong into a card, and judge every answer.

    A violation is cut down to a short script. A card on a reader is only read without --write.
    Exit code 0: no violation; 1: violations; 2: bad use; 3: stopped or the card is gone.
    """
    from bench.conformance.fuzz.__main__ import run
    from bench.conformance.fuzz.task import Task

    task = Task(
        count,
        seed,
        workers=workers,
        via=via,
        profile=profile,
        keys=keys,
        write=write,
    )
    raise typer.Exit(run(task, as_json=as_json))


@conformance_app.command()
def mutants(
    kind: Annotated[str, typer.Argument(help="card or gate.")] = "card",
    only: Annotated[
        str,
        typer.Option("--only", metavar="PATTERN", help="Ids, modules or clauses; with commas."),
    ] = "",
    cases: Annotated[
        str, typer.Option(metavar="PATTERN", help="The cases that may catch them.")
    ] = "",
    find_all: Annotated[
        bool, typer.Option("--all", help="Find all cases that catch each, not the first alone.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes at a time; 0: all.")] = 0,
    limit: Annotated[float, typer.Option(min=0.1, help="Seconds that one case may take.")] = 60.0,
    least: Annotated[
        float, typer.Option(min=0, max=100, help="Percent that must be caught.")
    ] = 95.0,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a web page and JSON there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge the suite: break our card or gate in many ways, and see which cases notice.

    Exit code 0: enough are caught; 1: too few; 2: bad use; 3: stopped, with what was judged so far.
    """
    from bench.cli.conformance_mutants import MutantOptions
    from bench.cli.conformance_mutants import mutants as command
    from bench.conformance.mutants.run import Plan

    plan = Plan(cases, find_all, limit, workers)
    raise typer.Exit(command(MutantOptions(kind, only, plan, least, report, as_json)))
