"""Options of crowds at gates. What is made of them is in `bench.cli.crowd_made`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

Timing = Annotated[
    str, typer.Option(help="How long card and PSAM compute: none, measured or budget.")
]
Kbit = Annotated[int, typer.Option(help="Bit rate asked for: 106, 212, 424 or 848 kbit/s.")]
Barrier = Annotated[
    str | None,
    typer.Option(
        help="normally_closed, which is the default of a gate, or normally_open, as on a bus."
    ),
]
Cards = Annotated[
    str | None,
    typer.Option(
        metavar="MIX",
        help="Cards by weight, NAME[:YUAN]=WEIGHT with commas; student:50, or a crowd's own, if"
        " left out.",
    ),
]
Carriers = Annotated[
    str | None,
    typer.Option(
        metavar="MIX",
        help="plastic and phones by weight, such as plastic=4,huawei-ese=6; plastic, or a crowd's"
        " own, if left out.",
    ),
]
Early = Annotated[
    float, typer.Option(help="Share that takes the card away early and taps again, 0 to 1.")
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
Modes = Annotated[
    list[str] | None,
    typer.Option("--mode", help="A mode of the gate, such as offline; may be repeated."),
]
Model = Annotated[
    bool, typer.Option("--model", help="Draw service times of live taps measured beforehand.")
]
Samples = Annotated[int, typer.Option(help="With --model: live passengers of each kind.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]


@dataclass(frozen=True, slots=True)
class CrowdOptions:
    """What the command line says of people, cards and readers. See the options above.

    early: None for the share that a crowd's file says.
    """

    timing: str = "measured"
    kbit: int = 106
    barrier: str | None = None
    cards: str | None = None
    carriers: str | None = None
    early: float | None = 0.0
    hold: float = 0.3
    noise: float = 0.0
    phones: tuple[float, float, float] = (100.0, 10.0, 25.0)
    pace: tuple[float, float, float, float, float, float, int] = (
        0.8, 0.3, 0.3, 0.7, 2.5, 1.0, 3,
    )  # fmt: skip
    modes: tuple[str, ...] = ()
    seed: int = 1

    def as_json(self) -> dict[str, Any]:
        """For a document; the seed has a place of its own there."""
        return {
            "timing": self.timing,
            "kbit": self.kbit,
            "barrier": self.barrier,
            "cards": self.cards,
            "carriers": self.carriers,
            "early": self.early,
            "hold": self.hold,
            "noise": self.noise,
            **dict(zip(PHONES, self.phones, strict=True)),
            **dict(zip(PACE, self.pace, strict=True)),
            "modes": list(self.modes),
        }


PHONES = ("phone-wake", "phone-secure", "phone-app")
PACE = ("gap", "gap-spread", "open", "walk", "back-out", "retap", "tries")
"""Option names of the fields that hold several."""
