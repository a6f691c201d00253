"""Who plays the shards: tasks of a Ray cluster, this machine's own or one of many machines.

Ray plays a task again whose worker died. Results come back to who started the run, so that nobody
else needs its disk.
"""

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from bench.city.crew import MOST_TRIES, out_of_memory
from bench.city.plan import CityPlan
from bench.city.result import ShardResult
from bench.city.shard import play_shard
from bench.problem import Problem

LOCAL = "local"
_ANSWERS_S = 3.0
_AHEAD = 1


class RayCrew:
    """A Ray cluster. address: HOST:PORT, ray://HOST:PORT, or "local" for one of our own.

    workers: tasks at once; of our own cluster, its processors. Raises Problem.
    """

    repeated: int | None = None
    """Ray does not say."""

    def __init__(self, address: str, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address != LOCAL:
            demand_answer(address)
        try:
            import ray
        except ModuleNotFoundError as error:
            raise Problem(
                f"{error.name} is missing; install it with pip install 'tapbench[scale]'"
            ) from error
        self._ray: Any = ray
        self._workers = workers
        self._folder = TemporaryDirectory(prefix="tb-", ignore_cleanup_errors=True)
        try:
            self._start(address)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise Problem(f"no Ray cluster can be used at {address}: {first}") from error

    def _start(self, address: str) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address == LOCAL:
            self._ray.init(
                address=LOCAL,
                num_cpus=self._workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=self._folder.name,
                **quiet,
            )
        else:
            self._ray.init(address=address, **quiet)

    def play(self, plan: CityPlan, shards: Iterable[int]) -> Iterator[ShardResult]:
        """See Crew."""
        task = self._ray.remote(num_cpus=1, max_retries=MOST_TRIES - 1)(play_shard)
        fresh = iter(shards)
        under_way: dict[Any, int] = {}
        while True:
            while len(under_way) < self._workers * (1 + _AHEAD):
                number = next(fresh, None)
                if number is None:
                    break
                under_way[task.remote(plan, number)] = number
            if not under_way:
                return
            [done], _ = self._ray.wait(list(under_way), num_returns=1)
            yield self._result(done, under_way.pop(done))

    def _result(self, done: object, number: int) -> ShardResult:
        errors = self._ray.exceptions
        try:
            result: ShardResult = self._ray.get(done)
        except errors.RayTaskError as error:
            if isinstance(error.cause, MemoryError):
                raise out_of_memory(number) from None
            raise
        except errors.OutOfMemoryError:
            raise out_of_memory(number) from None
        except errors.RayError as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise Problem(
                f"Ray gave up shard {number} after {MOST_TRIES} tries ({first}); go on with the "
                "same command"
            ) from error
        return result

    def close(self) -> None:
        """See Crew."""
        with suppress(Exception):  # the cluster may be gone, which is what is wanted
            self._ray.shutdown()
        self._folder.cleanup()


def demand_answer(address: str) -> None:
    """See that somebody listens there. Raises Problem within seconds."""
    wrong = (
        f"{address} is no address of a Ray cluster; expected HOST:PORT, ray://HOST:PORT or local"
    )
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Problem(wrong) from None
    if not host or not port or parts.scheme not in ("", "ray"):
        raise Problem(wrong)
    try:
        socket.create_connection((host, port), _ANSWERS_S).close()
    except OSError as error:
        raise Problem(
            f"no Ray cluster answers at {address} ({error.strerror or error}); start one with "
            "ray start --head, or give --ray local"
        ) from error
