"""How fast clearing is on a PostgreSQL of its own, as installed; by hand:

python -m tests.interop.postgres_speed --count 22000
"""

from bench.throughput.clearing import ClearingFigures, measure
from bench.throughput.repeat import one_processor
from tests.campaigns import Say, run_campaign
from tests.postgres import cluster


def campaign(count: int, seed: int, say: Say) -> ClearingFigures:
    """Clear so many honest records."""
    with cluster(is_durable=True) as server, one_processor():
        return measure(-(-count // 11), server.database("speed"))


def told(figures: ClearingFigures) -> str:
    return f"{figures.per_second:,.0f} records a second on PostgreSQL: {figures}"


if __name__ == "__main__":
    run_campaign(__doc__ or "", 22_000, campaign, told)
