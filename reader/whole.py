"""Small files that are read whole, such as the lists a gate holds."""

import errno
import os
from stat import S_ISREG

LONGEST = 64 << 20
"""Bytes; a longer file is no list of a gate. A blacklist of 3 million cards is as long."""


def read_whole(path: str | os.PathLike[str], longest: int = LONGEST) -> bytes:
    """All bytes of a regular file of at most `longest` bytes. Raises OSError, which says why not.

    A pipe or a device is refused at once: reading one might never end.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a zero byte in the name, which a configuration can hold
        raise OSError(errno.EINVAL, str(error)) from None
    with os.fdopen(handle, "rb") as file:
        if not S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = file.read(longest + 1)
    if len(data) > longest:
        raise OSError(errno.EFBIG, f"it is longer than {longest} bytes")
    return data
