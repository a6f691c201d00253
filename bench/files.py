"""Files the bench writes for people: whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from bench.problem import Problem


def write_whole(path: str | Path, data: bytes, force: bool = False) -> None:
    """Write a file in one step, readable by its owner alone. Raises Problem.

    force: whether a file that is there is replaced.
    """
    target = Path(path)
    try:
        found = target.stat()
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise Problem(f"no file can be written at {path}: {error.strerror}") from error
    if found is not None and not S_ISREG(found.st_mode):
        raise Problem(f"{path} is there and is no regular file; choose another name")
    if found is not None and not force:
        raise Problem(f"{path} is there already; choose another name or give --force")
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tapbench-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, target)
        temporary = ""
    except OSError as error:
        raise Problem(f"no file can be written at {path}: {error.strerror}") from error
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
