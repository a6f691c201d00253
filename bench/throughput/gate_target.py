"""Target T13: a gate with live taps at 106 kbit/s, simulated time over processor time."""

from collections.abc import Mapping

from bench.throughput.crowd.arrivals import Saturated
from bench.throughput.crowd.gate import GateRun, simulate
from bench.throughput.crowd.taps import Gear
from bench.throughput.crowd.terminals import Post
from bench.throughput.histogram import Measure
from bench.throughput.targets import Effort
from fixtures.timing import load_timing

_STATION = "080013"
_PERSONS = 300


def measure(effort: Effort) -> Mapping[str, Measure]:
    """See `bench.throughput.targets`. Everybody waits from the beginning."""
    gear = Gear(load_timing("measured"))
    run = GateRun(Post("entry", _STATION), gear, Saturated(effort.count(_PERSONS)))
    ratios = tuple(simulate(run).ratio for _ in range(effort.runs))
    return {"simulated over processor time": Measure("ratio", ratios, "more")}
