"""`tapbench bench card`: the card alone, its cryptograms and its codec against their floors."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.cli.bench_show import Output, demand_extra, figure_grid, spread_grid
from bench.cli.bench_tap import progressing
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.page import Grid, Picture
from bench.throughput.repeat import one_processor


@dataclass(frozen=True, slots=True)
class CardBench:
    """What the command line says. million: also measure among a million cards."""

    count: int
    runs: int
    pin: bool = True
    million: bool = False


def bench_card(options: CardBench, output: Output) -> None:
    """Measure and print. Raises Problem."""
    output.demand()
    demand_extra("hdrh")
    from bench.throughput.card import everything
    from bench.throughput.growth import MILLION, SIZES, growth_measures

    sizes = (*SIZES, MILLION) if options.million else SIZES
    with (
        one_processor(options.pin) as processor,
        progressing(options.runs * (1 + len(sizes))) as tick,
    ):
        measures = everything(options.count, options.runs, tick)
        measures |= growth_measures(options.runs, sizes, tick)
    document = Document("card", asdict(options), measures, processor=processor)
    title = f"The card alone, in process: {options.runs} runs of {options.count}"
    parts: list[Grid | Picture | str] = [
        spread_grid(title, measures, "what"),
        figure_grid("Codec, rates and ratios", _single(measures), "what"),
        *_pictures(output, measures),
    ]
    output.give("Bench of the card", document, parts)


def _single(measures: Mapping[str, Measure]) -> dict[str, Measure]:
    return {name: one for name, one in measures.items() if not one.spread}


def _pictures(output: Output, measures: Mapping[str, Measure]) -> Iterator[Picture]:
    if output.html is None:
        return
    from bench.throughput.charts import chart

    shown = {name: one.typical for name, one in measures.items() if one.unit == "us"}
    draw: Callable[[Any], None] = lambda axes: _bars(axes, shown)  # noqa: E731 - one line says it
    yield Picture(
        chart(draw, "What each takes", "median time, us (logarithmic)", "action", (9.0, 5.4)),
        "Everything was taken in turn in one process.",
    )


def _bars(axes: Any, shown: Mapping[str, float]) -> None:  # noqa: ANN401 - matplotlib's
    axes.barh(list(shown), list(shown.values()))
    axes.set_xscale("log")
    axes.invert_yaxis()
