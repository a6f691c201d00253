"""Charts of `tapbench bench tap`."""

from collections.abc import Mapping
from typing import Any

from bench.throughput.charts import COLOURS, WIDTH_IN, chart
from bench.throughput.histogram import Measure
from bench.throughput.tap import PARTS


def parts_chart(roads: Mapping[str, Mapping[str, Measure]]) -> str:
    """A bar for each road, cut into the parts of a tap."""
    names = list(roads)

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        left = [0.0] * len(names)
        for part in PARTS:
            widths = [roads[road][part].typical if part in roads[road] else 0.0 for road in names]
            if any(widths):
                axes.barh(names, widths, left=left, label=part)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.invert_yaxis()

    size = (WIDTH_IN, 1.6 + 0.45 * len(names))
    return chart(draw, "Where the time of a tap goes", "median time, us", "road", size)


def commands_chart(road: str, commands: Mapping[str, Measure]) -> str:
    """A bar for each command of a tap: the median, and the 90th percentile as a line."""
    names = list(commands)

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        medians = [one.typical for one in commands.values()]
        tails = [
            max(0.0, (one.spread or {}).get("p90", typical) - typical)
            for one, typical in zip(commands.values(), medians, strict=True)
        ]
        axes.barh(names, medians, xerr=[[0.0] * len(names), tails], ecolor=COLOURS[1], capsize=2)
        axes.invert_yaxis()

    size = (WIDTH_IN, 1.4 + 0.3 * len(names))
    return chart(draw, f"{road}: command by command", "time, us", "command", size)
