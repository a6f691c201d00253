"""Files the bench writes for people: whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.problem import Problem


def demand_place(path: str | Path, force: bool | None = False) -> None:
    """See that a file can be written, before the work that goes into it. Raises Problem.

    force: whether a file that is there will be replaced; None if the user cannot ask for that.
    """
    target = Path(path)
    if str(path) == "-":  # whoever means standard output would look for it there in vain
        raise Problem("no file can be written at -: give the name of a file")
    try:
        folder = Path(os.path.realpath(path)).parent  # of a link, where the file at its end is
        is_there = os.path.lexists(target)
        is_other = target.exists() and not target.is_file()
        has_folder = folder.is_dir()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    if not has_folder:
        raise Problem(f"no file can be written at {path}: there is no folder {target.parent}")
    if is_other:
        raise Problem(f"{path} is there and is no regular file; choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Problem(f"no file can be written at {path}: Permission denied")
    if is_there and not force:
        or_force = "" if force is None else " or give --force"
        raise Problem(f"{path} is there already; choose another name{or_force}")


def write_whole(path: str | Path, data: bytes, force: bool = False, mode: int = 0o600) -> None:
    """Write a file in one step: another beside it, with its mode, that gets its name.

    force: whether a file that is there is replaced; of a link, the one at its end. Raises Problem.
    """
    demand_place(path, force)
    target, draft = Path(os.path.realpath(path)), ""
    try:
        descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=".tapbench-")
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if not force:
            _take_name(draft, target)
        os.replace(draft, target)
    except FileExistsError:
        raise Problem(f"{path} is there already; choose another name or give --force") from None
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):  # a name is left where both are of one file
            os.unlink(draft)


def _take_name(draft: str, target: Path) -> None:
    """Give a file a second name. Raises FileExistsError if that is taken, unlike a rename."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as a memory card's
        target.touch(exist_ok=False)


def _unwritable(path: str | Path, error: OSError | ValueError) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Problem(f"no file can be written at {path}: {reason}")
