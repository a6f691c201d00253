"""Id documents: only their keyed hash is kept, under a key of its own.

There are few enough numbers of Chinese id documents to try them all against a plain hash; without
the key nobody can. The key is not in the database, so a copy of the database tells nothing.
"""

import hmac
import os
import re
import secrets
import tempfile
from contextlib import suppress
from hashlib import sha256
from stat import S_IMODE

from sqlalchemy.orm import Session

from issuer.errors import DatabaseError
from issuer.tables import Setting
from reader.whole import read_whole

KEY = 32
"""Bytes of the key."""

_RESIDENT = re.compile(r"[0-9]{17}[0-9X]")
_OTHER = re.compile(r"[A-Z0-9]{6,20}")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


class DocumentError(ValueError):
    """It is no id document's number; the message is one sentence and does not repeat it."""


class KeyFileError(Exception):
    """The key cannot be used; the message is one sentence: what is wrong, what to do."""


class Documents:
    """Hashes of id documents. key: 32 bytes, from `load_key`."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY:
            raise ValueError(f"expected a key of {KEY} bytes, found {len(key)}")
        self._key = key

    def hash_of(self, number: str) -> str:
        """HMAC-SHA256 of the number in its one form, 64 hexadecimal digits.

        Raises DocumentError.
        """
        return self._mac(b"document " + normal(number).encode())

    def demand_same_key(self, session: Session) -> None:
        """See that the database's hashes are under this key; a new database takes it as its own.

        Raises DatabaseError: under another key nobody would be found again.
        """
        mark = self._mac(b"which key is this")[:16]
        held = session.get(Setting, "document_key")
        if held is None:
            session.add(Setting(name="document_key", value=mark))
        elif not hmac.compare_digest(held.value, mark):
            raise DatabaseError(
                "the key of id documents is not the one this database was filled with; "
                "bring its key file back"
            )

    def __repr__(self) -> str:
        return "Documents()"

    def _mac(self, message: bytes) -> str:
        return hmac.new(self._key, message, sha256).hexdigest()


def normal(number: str) -> str:
    """The one form of a document's number: capital letters, no white space.

    Raises DocumentError if it is none: the check digit of a resident's is tested (GB 11643).

    >>> normal("11010519491231002x")
    '11010519491231002X'
    """
    plain = "".join(number.split()).upper()
    if _RESIDENT.fullmatch(plain):
        total = sum(int(digit) * weight for digit, weight in zip(plain, _WEIGHTS, strict=False))
        if _CHECKS[total % 11] != plain[17]:
            raise DocumentError("the check digit of the id document is wrong; look at it again")
    elif not _OTHER.fullmatch(plain):
        raise DocumentError("expected an id document's number of 6 to 20 letters and digits")
    return plain


def load_key(path: str | os.PathLike[str]) -> bytes:
    """The key in a file of mode 0600; a new one if there is no file. Raises KeyFileError."""
    name = os.fspath(path)
    with suppress(FileNotFoundError):
        return _held_key(name)
    try:
        _make_key(name)
    except OSError as error:
        raise KeyFileError(f"no key can be kept at {name}: {error.strerror}") from error
    return _held_key(name)


def _held_key(name: str) -> bytes:
    """Raises FileNotFoundError and KeyFileError."""
    try:
        mode = S_IMODE(os.stat(name).st_mode)
        if mode & 0o077:
            raise KeyFileError(
                f"others can read the key file {name} (mode {mode:04o}); run chmod 600 on it, and "
                "take a new key if somebody has seen it"
            )
        text = read_whole(name, 1000).strip()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError(f"the key file {name} cannot be read: {error.strerror}") from error
    if not re.fullmatch(rb"[0-9a-f]{64}", text):
        raise KeyFileError(
            f"{name} is no key file: expected 64 hexadecimal digits; bring the right file back"
        )
    return bytes.fromhex(text.decode())


def _make_key(name: str) -> None:
    """Write a new key whole, and leave one alone that another program has just made."""
    folder = os.path.dirname(os.path.abspath(name))
    descriptor, draft = tempfile.mkstemp(dir=folder, prefix=".tapbench-")  # of mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY) + "\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(draft, name)
        names = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(names)
        finally:
            os.close(names)
    finally:
        os.unlink(draft)
