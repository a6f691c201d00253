"""Target T12: a city's day by one and by two workers, in turn."""

from collections.abc import Mapping
from datetime import date

from bench.city.crew import Processes
from bench.city.plan import CityPlan
from bench.city.run import City, run_city
from bench.city.study import PROJECTED
from bench.problem import Problem
from bench.throughput.histogram import Measure
from bench.throughput.targets import Effort

_DAY = date(2026, 9, 1)
_TRIPS, _SHARD = 20_000, 2_500


def measure(effort: Effort) -> Mapping[str, Measure]:
    """See `bench.throughput.targets`. The projection is two workers' speed; start-up counts once.

    Raises Problem if a day does not add up.
    """
    plan = CityPlan(effort.count(_TRIPS), _DAY, 1, min(_SHARD, effort.count(_TRIPS)))
    pairs = [(_played(plan, 1), _played(plan, 2)) for _ in range(effort.runs)]
    rates = tuple(one.per_core for one, _ in pairs)
    minutes = tuple((two.start_s + PROJECTED / two.per_second) / 60 for _, two in pairs)
    return {
        "trips a second, per core": Measure("1/s", rates, "more", count=plan.trips * len(pairs)),
        "10 million trips, projected": Measure("min", minutes),
        "speedup of two workers": Measure(
            "ratio", tuple(two.per_second / one.per_second for one, two in pairs), "more"
        ),
        "a card at rest": Measure("B", tuple(one.card_b for one, _ in pairs)),
    }


def _played(plan: CityPlan, workers: int) -> City:
    city = run_city(plan, Processes(workers))
    if not city.is_good:
        raise Problem(city.incomplete or city.tally.problems[0])
    return city
