"""Who plays the shards: tasks of a Ray cluster, this machine's own or one of many machines.

Ray plays a task again whose worker died. Results come back to who started the run, so that nobody
else needs its disk.
"""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, redirect_stdout, suppress
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.parse import urlsplit

from bench.city.crew import MOST_TRIES, out_of_memory
from bench.city.plan import CityPlan
from bench.city.result import ShardResult
from bench.city.shard import play_shard, warm
from bench.problem import Problem

LOCAL = "local"
_LISTENS_S, _ANSWERS_S = 3.0, 15.0
_AHEAD = 1
_ASK = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level=50)"


class RayCrew:
    """A Ray cluster. address: HOST:PORT, or "local" for one of our own.

    workers: tasks at once; of our own cluster, its processors; None for as many as a cluster has.
    Raises Problem.
    """

    repeated: int | None = None
    """Ray does not say."""

    def __init__(self, address: str, workers: int | None) -> None:
        demand_ray()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address == LOCAL:
            _stay_at_home()
        else:
            demand_answer(address)
        import ray

        self._ray: Any = ray
        self.workers = workers or 1
        self._stack = ExitStack()
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            self._start(address)
            signal.signal(signal.SIGTERM, terminate)  # Ray's ends the process at once
            if workers is None:
                self.workers = int(self._ray.cluster_resources().get("CPU", 1))
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise Problem(f"no Ray cluster can be used at {address}: {first}") from error

    def _start(self, address: str) -> None:
        # Ray tells of dead workers on standard output, which belongs to the result.
        self._stack.enter_context(redirect_stdout(self._stack.enter_context(_nowhere())))
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address == LOCAL:
            folder = TemporaryDirectory(prefix="tb-", ignore_cleanup_errors=True)
            self._ray.init(
                address=LOCAL,
                num_cpus=self.workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=self._stack.enter_context(folder),
                **quiet,
            )
        else:
            self._ray.init(address=address, **quiet)

    def ready(self) -> None:
        """See Crew."""
        task = self._ray.remote(num_cpus=1)(warm)
        try:
            self._ray.get([task.remote() for _ in range(self.workers)])
        except self._ray.exceptions.RayError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise Problem(
                f"Ray's workers cannot begin ({last}); their machines need this same tapbench"
            ) from error

    def play(self, plan: CityPlan, shards: Iterable[int]) -> Iterator[ShardResult]:
        """See Crew."""
        task = self._ray.remote(num_cpus=1, max_retries=MOST_TRIES - 1)(play_shard)
        fresh = iter(shards)
        under_way: dict[Any, int] = {}
        while True:
            while len(under_way) < self.workers * (1 + _AHEAD):
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
        self._stack.close()


def _stay_at_home() -> None:
    """A cluster of our own listens on the loopback alone, and to those who know a secret.

    To be called before Ray is imported.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # what makes it use the loopback
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def demand_ray() -> None:
    """See that Ray is installed. Raises Problem."""
    if find_spec("ray") is None:
        raise Problem("ray is missing; install it with pip install 'tapbench[scale]'")


def demand_answer(address: str) -> None:
    """See that a Ray cluster can be used there. Raises Problem within seconds."""
    host, port = _place(address)
    try:
        socket.create_connection((host, port), _LISTENS_S).close()
    except OSError as error:
        raise Problem(_silent(address, error.strerror or str(error))) from error
    # Ray itself waits for minutes for who is no cluster, and cannot be stopped: a process can.
    try:
        done = subprocess.run(  # noqa: S603 - our own Python
            (sys.executable, "-c", _ASK, address),
            capture_output=True,
            text=True,
            timeout=_ANSWERS_S,
        )
    except subprocess.TimeoutExpired as late:
        if b"InvalidAuthToken" in (late.stderr or b""):
            raise Problem(
                f"the Ray cluster at {address} wants its token; set RAY_AUTH_MODE=token, and "
                "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
            ) from None
        raise Problem(_silent(address, f"nothing of Ray in {_ANSWERS_S:.0f} s")) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["Ray ended"]
        raise Problem(_silent(address, said[-1]))


def _silent(address: str, why: str) -> str:
    return (
        f"no Ray cluster answers at {address} ({why}); start one with ray start --head, or give "
        "--ray local"
    )


def _place(address: str) -> tuple[str, int]:
    """Host and port. Raises Problem."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise Problem(f"{address} is no address of a Ray cluster; expected HOST:PORT or local")
    return host, port
