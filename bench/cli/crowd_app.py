"""Options that the commands of crowds have in common, each with what it is if left out."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bench.cli.bench_options import Force, Html
from bench.cli.bench_show import Output
from bench.cli.crowd_options import CrowdOptions
from bench.cli.road_options import Json, Seed

Timing = Annotated[
    str, typer.Option(help="How long card and PSAM compute: none, measured or budget.")
]
Kbit = Annotated[int, typer.Option(help="Bit rate asked for: 106, 212, 424 or 848 kbit/s.")]
Barrier = Annotated[
    str | None,
    typer.Option(help="normally_closed, a gate's if left out, or normally_open; a bus has none."),
]
Cards = Annotated[
    str | None,
    typer.Option(
        metavar="MIX",
        help="Cards by weight, NAME[:YUAN]=WEIGHT with commas; the crowd's, or student:50.",
    ),
]
Carriers = Annotated[
    str | None,
    typer.Option(
        metavar="MIX",
        help="plastic and phones by weight, plastic=4,huawei-ese=6; the crowd's, or plastic.",
    ),
]
Early = Annotated[
    float | None,
    typer.Option(
        help="Share, 0 to 1, that takes the card away early and taps again; the crowd's, or 0."
    ),
]
Hold = Annotated[
    float, typer.Option(help="Who is early holds the card there for so many seconds at most.")
]
Noise = Annotated[float, typer.Option(help="Share of frames that suffer on air, 0 to 1.")]
PhoneWake = Annotated[
    float, typer.Option(help="From the field to a phone's answer to REQA, ms. Assumed.")
]
PhoneSecure = Annotated[
    float, typer.Option(help="More for each command, card in a secure element or SIM, ms. Assumed.")
]
PhoneApp = Annotated[
    float, typer.Option(help="More for each command, card in an app, ms. Assumed.")
]
Gap = Annotated[float, typer.Option(help="From person to person at the reader, s. Assumed.")]
GapSpread = Annotated[float, typer.Option(help="Its standard deviation, as a share. Assumed.")]
Open = Annotated[float, typer.Option("--open", help="Motion of the barrier, s. Assumed.")]
Walk = Annotated[float, typer.Option(help="Through an open barrier, s. Assumed.")]
BackOut = Annotated[float, typer.Option(help="Away from the reader when refused, s. Assumed.")]
Retap = Annotated[float, typer.Option(help="Until a card is held up again, s. Assumed.")]
Tries = Annotated[int, typer.Option(help="Taps after which a passenger gives up.")]
Model = Annotated[
    bool, typer.Option("--model", help="Draw service times of live taps measured beforehand.")
]
Samples = Annotated[int, typer.Option(help="With --model: live passengers of each kind.")]


def asked(
    timing: Timing = "measured",
    kbit: Kbit = 106,
    barrier: Barrier = None,
    cards: Cards = None,
    carriers: Carriers = None,
    early: Early = None,
    hold: Hold = 0.3,
    noise: Noise = 0.0,
    phone_wake: PhoneWake = 100.0,
    phone_secure: PhoneSecure = 10.0,
    phone_app: PhoneApp = 25.0,
    gap: Gap = 0.8,
    gap_spread: GapSpread = 0.3,
    opens: Open = 0.3,
    walk: Walk = 0.7,
    back_out: BackOut = 2.5,
    retap: Retap = 1.0,
    tries: Tries = 3,
    model: Model = False,
    samples: Samples = 60,
    seed: Seed = 1,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> CrowdOptions:
    """The options that every crowd has, with what they are if left out."""
    phones = phone_wake, phone_secure, phone_app
    pace = gap, gap_spread, opens, walk, back_out, retap, tries
    who = cards, carriers, early, hold, noise
    output = Output(as_json, html, force)
    return CrowdOptions(timing, kbit, barrier, *who, phones, pace, model, samples, seed, output)


def takes_crowd(act: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is `CrowdOptions`: it gets the options of `asked`."""
    shared = inspect.signature(asked).parameters
    own = list(inspect.signature(act).parameters.values())[1:]

    def command(**told: Any) -> None:  # noqa: ANN401 - whatever the options are
        crowd = asked(**{name: told.pop(name) for name in shared})
        act(crowd, **told)

    kind = inspect.Parameter.KEYWORD_ONLY
    options = [one.replace(kind=kind) for one in (*own, *shared.values())]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__doc__ = act.__doc__
    return command
