"""What people say of crowds at gates. What is made of it is in `bench.cli.crowd_made`."""

from dataclasses import dataclass
from typing import Any

from bench.cli.bench_show import Output


@dataclass(frozen=True, slots=True)
class CrowdOptions:
    """What the command line says of people, cards and readers, and of the result.

    early, cards, carriers, barrier: None for what is usual at the place.
    """

    timing: str
    kbit: int
    barrier: str | None
    cards: str | None
    carriers: str | None
    early: float | None
    hold: float
    noise: float
    phones: tuple[float, float, float]
    pace: tuple[float, float, float, float, float, float, int]
    is_model: bool
    samples: int
    seed: int
    output: Output

    def seeds(self, runs: int) -> range:
        """One for each run: the one that was asked for, and those that follow."""
        return range(self.seed, self.seed + runs)

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
            "model": self.is_model,
            "samples": self.samples,
        }


PHONES = ("phone-wake", "phone-secure", "phone-app")
PACE = ("gap", "gap-spread", "open", "walk", "back-out", "retap", "tries")
"""Option names of the fields that hold several."""
