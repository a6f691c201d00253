"""What has happened in a semester so far, counted."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts by kind. money: fen by kind. refusals: by reason. weeks: top-ups, fen, by week.

    on_cards: fen on usable cards at the end of each week.
    """

    counts: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    topups: Counter[int] = field(default_factory=Counter)
    on_cards: list[int] = field(default_factory=list)
