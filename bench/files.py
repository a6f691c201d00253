"""Files the bench writes for people: whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.problem import Problem


def write_whole(path: str | Path, data: bytes, force: bool = False) -> None:
    """Write a file in one step, readable by its owner alone. Raises Problem.

    force: whether a file that is there is replaced.
    """
    target = Path(path)
    if not force and target.exists():
        raise Problem(f"{path} is there already; choose another name or give --force")
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise Problem(f"no file can be written at {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, target)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise Problem(f"{path} cannot be written: {error.strerror}") from error
