"""A city's day played by 1, 2 and 3 workers, and by Ray with a worker killed: always the same.

python -m tests.interop.city_proof --trips 100000 --seed 1
"""

import argparse
import os
import signal
import sys
from datetime import date

from bench.city.crew import Processes
from bench.city.plan import SHARD_TRIPS, CityPlan
from bench.city.ray_crew import LOCAL, RayCrew
from bench.city.run import City, run_city

DAY = date(2026, 9, 1)


class Killer:
    """Kills the worker that delivers the shard in the middle."""

    def __init__(self, shards: int) -> None:
        self._middle = shards // 2
        self.killed = 0

    def __call__(self, city: City, result: object) -> None:
        if not self.killed and len(city.digests) >= self._middle:
            self.killed = city.points[-1][1]
            os.kill(self.killed, signal.SIGKILL)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trips", type=int, default=100_000)
    parser.add_argument("--shard", type=int, default=SHARD_TRIPS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    plan = CityPlan(asked.trips, DAY, asked.seed, asked.shard)
    cities: list[City] = []

    def show(name: str, city: City) -> None:
        cities.append(city)
        money = city.tally.money
        say(
            f"{name:<34} {city.digest[:16]} {city.tally.trips} trips, {money.opening} - "
            f"{money.fares} = {money.closing} fen, {city.tally.tacs} TACs right, "
            f"{len(city.tally.problems)} problems; {city.wall_s:.1f} s, "
            f"{city.per_core:.0f} a core second, {city.peak_mib:.0f} MiB a worker"
            + (f"; INCOMPLETE: {city.incomplete}" if city.incomplete else "")
        )

    for workers in (1, 2, 3):
        show(f"{workers} processes", run_city(plan, Processes(workers)))
    killer = Killer(plan.shards)
    city = run_city(plan, Processes(2), None, killer)
    show(f"2 processes, {killer.killed} killed", city)
    killer = Killer(plan.shards)
    city = run_city(plan, RayCrew(LOCAL, 2), None, killer)
    show(f"Ray, 2 workers, {killer.killed} killed", city)
    one, two = cities[0].wall_s, cities[1].wall_s
    say(f"Two workers are {one / two:.2f} times as fast as one.")
    is_good = all(one.is_good for one in cities) and len({one.digest for one in cities}) == 1
    say("All are the same, and good." if is_good else "They differ, or are not good.")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
