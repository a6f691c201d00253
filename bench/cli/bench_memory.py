"""`tapbench bench memory`: what live cards weigh."""

import json
from dataclasses import asdict

from bench.throughput.memory import weigh


def bench_memory(count: int, as_json: bool) -> None:
    """Weigh and print."""
    weight = weigh(count)
    if as_json:
        print(json.dumps(asdict(weight)))
        return
    for name, each in (("opened", weight.opened), ("after a tap", weight.tapped)):
        print(f"{count:,} cards, {name}: {each:,.0f} B each, {each * count / 1e6:,.1f} MB in all")
