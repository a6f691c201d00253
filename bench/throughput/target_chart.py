"""The chart of `tapbench bench targets`."""

from collections.abc import Sequence
from typing import Any

from bench.throughput.charts import COLOURS, WIDTH_IN, chart
from bench.throughput.targets import Result


def target_chart(results: Sequence[Result]) -> str:
    """How much of its limit each bound takes up; upside down where more is better."""
    names, shares = [], []
    for one in results:
        if one.measure is not None and one.measure.typical > 0:
            share = one.measure.typical / one.bound.limit
            names.append(f"{one.target.number} {one.bound.name}")
            shares.append(share if one.bound.better == "less" else 1 / share)

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        colours = [COLOURS[0] if share <= 1 else COLOURS[1] for share in shares]
        axes.barh(names, shares, color=colours)
        axes.axvline(1, color="#333", linewidth=1)
        axes.invert_yaxis()

    size = (WIDTH_IN, 1.2 + 0.28 * len(names))
    return chart(draw, "How much of its limit each takes", "share of the limit", "target", size)
