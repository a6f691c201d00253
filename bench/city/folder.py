"""Where a city's results are kept, so that a run that was killed goes on where it was.

`manifest.json` says which city it is. Each shard that was played is a Parquet part and, written
after it, a JSON that says so; both appear whole or not at all. The JSON has a SHA-256 of the part
and of itself: what a disk has spoilt is played again. `city.json` is the result, marked incomplete
until the last shard is there.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import file_digest, sha256
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.city.plan import CityPlan
from bench.city.result import Cost, ShardResult, Tally
from bench.city.table import demand_pyarrow, parquet_of
from bench.files import write_whole
from bench.problem import Problem
from bench.versions import own_version

FORMAT = 2
MANIFEST, SUMMARY, LOCK = "manifest.json", "city.json", ".lock"
_DRAFTS = ".tapbench-*"


class CityFolder:
    """A folder of one city, in use by one run at a time. Use it with `with`. Raises Problem."""

    def __init__(self, path: Path, plan: CityPlan) -> None:
        demand_pyarrow()
        self.path, self._plan = path, plan
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"no folder can be made at {path}: {error.strerror}") from error
        self._lock = _locked(path)
        try:
            self._claim()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._lock)

    def kept(self) -> Iterator[ShardResult]:
        """The shards that are there whole, without their columns; what is broken is left out."""
        there = {one.name for one in self.path.iterdir()}
        for number in range(self._plan.shards):
            if self._told(number).name in there:
                with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                    yield self._found(number)

    def _found(self, number: int) -> ShardResult:
        """A shard that is there. Raises many things if anything of it is spoilt."""
        said = json.loads(self._told(number).read_text("utf-8"))
        with open(self._part(number), "rb") as part:
            table = file_digest(part, "sha256").hexdigest()
        wanted = {"shard": number, "parquet": table, "check": _check(said)}
        if any(said.pop(name) != one for name, one in wanted.items()):
            raise ValueError(f"shard {number} is spoilt")
        tally = Tally.from_json(said["tally"])
        return ShardResult(number, _digest(said["digest"]), tally, Cost(**said["cost"]), {})

    def keep(self, result: ShardResult) -> None:
        """Write a shard that was played. Raises Problem, after which it is not there."""
        table = parquet_of(self._plan, result)
        said: dict[str, Any] = {
            "shard": result.number,
            "digest": result.digest,
            "parquet": sha256(table).hexdigest(),
            "tally": result.tally.as_json(),
            "cost": asdict(result.cost),
        }
        said["check"] = _check(said)
        write_whole(self._part(result.number), table, force=True)
        write_whole(self._told(result.number), _text(said), force=True)

    def tell(self, text: str) -> None:
        """Write the result so far. Raises Problem."""
        write_whole(self.path / SUMMARY, text.encode(), force=True)

    def _part(self, number: int) -> Path:
        return self.path / f"shard-{number:07d}.parquet"

    def _told(self, number: int) -> Path:
        return self.path / f"shard-{number:07d}.json"

    def _claim(self) -> None:
        """Make this folder the city's, or see that it is."""
        wanted, path = _manifest(self._plan), self.path / MANIFEST
        if not path.exists():
            drafts = set(self.path.glob(_DRAFTS))  # of a run that was killed at once
            if any(one.name != LOCK for one in set(self.path.iterdir()) - drafts):
                raise Problem(f"{self.path} is not empty and holds no city; choose another folder")
            self._clean()
            write_whole(path, _text(wanted))
            return
        try:
            found = json.loads(path.read_text("utf-8"))
            differs = [name for name in wanted if found.get(name) != wanted[name]]
        except (OSError, ValueError, AttributeError) as error:
            raise Problem(f"{path} cannot be read; choose another folder for --out") from error
        if differs:
            name = differs[0]
            raise Problem(
                f"{self.path} holds a city with {name} {found.get(name)}, and this one has "
                f"{wanted[name]}; choose another folder for --out"
            )
        self._clean()

    def _clean(self) -> None:
        """Remove drafts of a run that was killed."""
        for draft in self.path.glob(_DRAFTS):
            draft.unlink(missing_ok=True)


def _manifest(plan: CityPlan) -> dict[str, Any]:
    """All that a digest depends on."""
    network = (files("fixtures.network") / "beijing-sample.toml").read_bytes()
    return {
        "format": FORMAT,
        "trips": plan.trips,
        "day": plan.day.isoformat(),
        "seed": plan.seed,
        "shard_trips": plan.shard_trips,
        "tapbench": own_version(),
        "network": sha256(network).hexdigest(),
    }


def _check(said: dict[str, Any]) -> str:
    """Over all that a shard's JSON says but this."""
    rest = {name: one for name, one in said.items() if name != "check"}
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digest(said: str) -> str:
    if len(bytes.fromhex(said)) != sha256().digest_size:
        raise ValueError("no digest")
    return said


def _text(said: dict[str, Any]) -> bytes:
    return (json.dumps(said, indent=1) + "\n").encode()


def _locked(path: Path) -> int:
    try:
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Problem(f"no file can be written in {path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Problem(f"{path} is in use by another run; wait for it to end") from error
    return handle
