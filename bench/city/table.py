"""The trips of a shard as Parquet: one row a trip, in the order of cards."""

import io
import json
from typing import Any

from bench.city.plan import CityPlan, stations
from bench.city.result import ShardResult
from bench.problem import Problem

SCHEMA = (
    ("card", "uint64", "the card's number in the city; its serial ends with it"),
    ("entry_station", "dictionary<string>", "six hex digits, as in EF1E"),
    ("exit_station", "dictionary<string>", "six hex digits"),
    ("entered_at", "timestamp[ms, Asia/Shanghai]", "when the way in opened"),
    ("left_at", "timestamp[ms, Asia/Shanghai]", "when the way out opened"),
    ("fare_fen", "int32", "what the way out took"),
    ("balance_fen", "int32", "what was left on the card"),
    ("counter", "uint16", "the card's transaction number then"),
)
"""Column, type, meaning."""

_ZONE = "Asia/Shanghai"


def demand_pyarrow() -> None:
    """See that Parquet can be written. Raises Problem."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise Problem(
            f"{error.name} is missing; install it with pip install 'tapbench[bench]'"
        ) from error


def parquet_of(plan: CityPlan, result: ShardResult) -> bytes:
    """A shard's part of the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = result.columns
    midnight = _midnight(plan)

    def numbers(name: str, kind: Any) -> Any:  # noqa: ANN401 - pyarrow ships no types
        size = kind.bit_width // 8
        return pa.Array.from_buffers(
            kind, len(columns[name]) // size, [None, pa.py_buffer(columns[name])]
        )

    def places(name: str) -> Any:  # noqa: ANN401
        keys = pa.array([one.key for one in stations()])
        return pa.DictionaryArray.from_arrays(numbers(name, pa.uint16()), keys)

    def times(name: str) -> Any:  # noqa: ANN401
        seconds = numbers(name, pa.uint32()).cast(pa.int64()).to_numpy() + midnight
        return pa.array(seconds).cast(pa.timestamp("s", _ZONE))

    table = pa.table(
        {
            "card": numbers("card", pa.uint64()),
            "entry_station": places("entry_station"),
            "exit_station": places("exit_station"),
            "entered_at": times("entered"),
            "left_at": times("left"),
            "fare_fen": numbers("fare", pa.int32()),
            "balance_fen": numbers("balance", pa.int32()),
            "counter": numbers("counter", pa.uint16()),
        }
    )
    about = {"day": plan.day.isoformat(), "seed": plan.seed, "shard": result.number}
    made = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"city": json.dumps(about)}), made)
    return made.getvalue()


def _midnight(plan: CityPlan) -> int:
    """Seconds since 1970 of the day's beginning."""
    from bench.city.lanes import Clock

    return int(Clock(plan.day).midnight.timestamp())
