"""A process that applies an update is killed before and after each call to the system, in turn.

Run as a process of its own, `python -m tests.lists_killed`: it forks.
"""

import os
import signal
import tempfile
from pathlib import Path

import reader.blacklist_file as module
from reader.blacklist_file import BlacklistFile
from reader.blacklist_text import build_update
from tests.lists import EIGHT, SEVEN, TO_EIGHT

CALLS = ("open", "fchmod", "ftruncate", "write", "fsync", "replace", "fstat", "stat", "close")


class DeadlyOs:
    """The module `os`; the process dies before or after its n-th call, a write in the middle."""

    def __init__(self, moment: int) -> None:
        self._moment = moment

    def _passed(self) -> None:
        self._moment -= 1
        if self._moment == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*arguments, **named):
            self._passed()
            if name == "write":
                handle, data = arguments
                half = real(handle, data[: len(data) // 2])
                self._passed()
                return half + real(handle, data[half:])
            result = real(*arguments, **named)
            self._passed()
            return result

        return call


def killed(path: Path, moment: int) -> bool:
    """Apply the update in a process that dies at a moment. Returns whether it came so far."""
    child = os.fork()
    if child == 0:
        module.os = DeadlyOs(moment)  # type: ignore[assignment]
        BlacklistFile(path).take(build_update(TO_EIGHT))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def campaign(folder: Path) -> tuple[int, int]:
    """Kill at every moment there is. Returns how often the old and the new list was there."""
    path, tally, moment = folder / "list", {SEVEN: 0, EIGHT: 0}, 1
    path.write_bytes(build_update(SEVEN))
    while killed(path, moment):
        tally[BlacklistFile(path).blacklist] += 1
        held = BlacklistFile(path)
        held.take(build_update(TO_EIGHT))
        assert held.blacklist == EIGHT == BlacklistFile(path).blacklist
        assert os.listdir(folder) == ["list"]
        path.write_bytes(build_update(SEVEN))
        moment += 1
    return tally[SEVEN], tally[EIGHT]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        old, new = campaign(Path(name))
    assert old, "never killed before the new list had the name"
    assert new, "never killed after it"
    print(f"killed {old + new} times: {old} old, {new} new")  # noqa: T201 - the result of a program
