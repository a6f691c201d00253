"""`tapbench bench memory`: what live cards weigh."""

from bench.cli.bench_show import Output, figure_grid
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.memory import weigh


def bench_memory(count: int, output: Output) -> None:
    """Weigh and print. Raises Problem."""
    output.demand(charts=False)
    weight = weigh(count)
    measures = {
        "a card, opened": Measure("B", (weight.opened,), count=count),
        "a card, after a tap": Measure("B", (weight.tapped,), count=count),
    }
    document = Document("memory", {"count": count}, measures)
    output.give("Memory", document, [figure_grid(f"{count:,} live cards", measures)])
