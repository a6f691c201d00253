"""A PostgreSQL server of our own: a fresh cluster in a temporary directory, reached by a socket.

Debian's package brings the programs; the system's own cluster is left alone. PostgreSQL refuses to
run as root, so root starts it as the user the package made.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.needs import missing, require, require_module

_FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
"""A test's database need not outlive the machine."""


@dataclass
class Cluster:
    """A server and where it listens. programs: the directory of initdb, pg_ctl and psql."""

    folder: Path
    programs: Path
    as_user: dict[str, Any]
    settings: list[str]

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        options = ["listen_addresses=", f"unix_socket_directories={self.folder}", *self.settings]
        told = " ".join(f"-c {option}" for option in options)
        self._run(
            "pg_ctl", "-D", self._data, "-l", str(self.folder / "log"), "-o", told, "-w", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "fast", "-w", "stop")

    def make(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else None,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            **self.as_user,
        )


@contextmanager
def cluster(is_durable: bool = False) -> Iterator[Cluster]:
    """A running server, gone afterwards. Skips if PostgreSQL or its driver is not installed.

    is_durable: with PostgreSQL's own settings, for measurements.
    """
    require_module("psycopg", "psycopg[binary]")
    programs = _programs()
    as_user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        as_user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    made = Cluster(folder, programs, as_user, [] if is_durable else _FAST)
    try:
        made.make()
        made.start()
        try:
            yield made
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        on_path = shutil.which("initdb")
        if on_path is None:
            missing("PostgreSQL is not installed; apt install postgresql.")
        return Path(on_path).resolve().parent
    if os.geteuid() == 0:
        names = {user.pw_name for user in pwd.getpwall()}
        require("postgres" in names, "there is no user postgres; apt install postgresql.")
    return found[-1].parent
