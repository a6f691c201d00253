"""The commands that make an application on which every command of the table can succeed.

Cards in service refuse to be emptied, filled and rewritten; this one lies on the workshop's table.
It has both purses and a key of every type, and its rights are free. Of its two forms one has files
that take writes under MAC only, the other files without protection (annex 2 to 4).
"""

from collections.abc import Iterable

from apdu.commands import AID_PURSE, ED, EP, SELECT
from apdu.crypto import Key
from apdu.file_commands import CREATE_FILE
from apdu.files import EF1A, EF1E, EF15, EF16, EF17, EF18
from apdu.fmcos import ALWAYS, NEVER, KeyKind, Kind
from apdu.key_commands import WRITE_KEY
from apdu.order import Secrets
from apdu.records import CreateFileData, KeyData, SelectName

MAC = 0x80
"""Protection bit of a file that is written under MAC only."""

PURSE_DF, ED_LOG = 0x3F01, 0x0019

SECRET_FILE = 0x07
"""A file that is read and written only after the PIN, as the MAC key 32 is used only then."""

INTERNAL = {KeyKind.ENCRYPT: Key(b"E" * 16), KeyKind.DECRYPT: Key(b"D" * 16)}
MAC_KEY = Key(b"M" * 16)

_AFTER_PIN, _TRIES = 0xF1, 0x33
_PURSE_KEYS = ("PURCHASE", "dpk"), ("LOAD", "dlk"), ("UNLOAD", "dulk"), ("LIMIT", "duk")
_MAINTENANCE = ("damk", "dbk", "dubk", "record")


def make_file(fid: int, *header: int, name: bytes = b"") -> bytes:
    """CREATE FILE. fid: its id; name: of a directory."""
    return CREATE_FILE.command(CreateFileData(bytes(header) + name), fid >> 8, fid & 0xFF)


def write_key(kind: KeyKind, kid: int, attributes: Iterable[int], value: bytes) -> bytes:
    """WRITE KEY in the clear, for a new key."""
    return WRITE_KEY.command(KeyData(bytes((kind, *attributes)) + value), 0x01, kid)


def directory(erase: int = ALWAYS) -> list[bytes]:
    """The application's directory, entered. erase: the right to empty it again."""
    header = (Kind.DIRECTORY, 0x20, 0x00, ALWAYS, erase, 0x80 | EF15.sfi, 0xFF, 0xFF)
    return [make_file(PURSE_DF, *header, name=AID_PURSE), SELECT.command(SelectName(AID_PURSE))]


def key_file() -> bytes:
    """CREATE FILE for the application's keys."""
    return make_file(0, Kind.KEYS, 3, 0, 0x80 | EF15.sfi, ALWAYS, 0xFF, 0xFF)


def keys(own: Secrets, pin: bytes) -> list[bytes]:
    """WRITE KEY for a key of every type."""
    purse, tries = (ALWAYS, ALWAYS, 1, 0), (ALWAYS, ALWAYS, 0xFF, _TRIES)
    master = (ALWAYS, ALWAYS, 0x44, _TRIES)
    commands = [write_key(KeyKind.EXTERNAL, 0, master, own.dack.expose())]
    commands += [
        write_key(KeyKind[kind], 1, purse, getattr(own, name).expose())
        for kind, name in _PURSE_KEYS
    ]
    commands.append(write_key(KeyKind.TAC, 0, purse, own.dtk.expose()))
    commands += [
        write_key(KeyKind.MAINTENANCE, kid, tries, getattr(own, name).expose())
        for kid, name in enumerate(_MAINTENANCE)
    ]
    commands += [write_key(kind, 0, purse, key.expose()) for kind, key in INTERNAL.items()]
    commands.append(write_key(KeyKind.MAC, 0, (_AFTER_PIN, ALWAYS, 1, 0), MAC_KEY.expose()))
    commands.append(write_key(KeyKind.PIN_UNBLOCK, 0, tries, own.dpuk.expose()))
    commands.append(write_key(KeyKind.PIN_RELOAD, 0, tries, own.drpk.expose()))
    commands.append(write_key(KeyKind.PIN, 0, (ALWAYS, NEVER, 0x01, _TRIES), pin))
    return commands


def files(guard: int) -> list[bytes]:
    """CREATE FILE for every file of the application. guard: protection bits."""
    free, log = (ALWAYS, ALWAYS, 0xFF), (ALWAYS, NEVER, 0xFF, 0xFF)
    return [
        *(
            make_file(f.sfi, Kind.TRANSPARENT | guard, 0, f.size, *free, 0xFF)
            for f in (EF15, EF16, EF17)
        ),
        make_file(EF18.sfi, Kind.CYCLIC | guard, EF18.count, EF18.size, *log),
        make_file(ED_LOG, Kind.CYCLIC, EF18.count, EF18.size, *log),
        make_file(EF1A.sfi, Kind.LINEAR | guard, EF1A.count + 2, EF1A.size, *free, 0xFC),
        make_file(EF1E.sfi, Kind.CYCLIC | guard, EF1E.count, EF1E.size, *free, 0xFC),
        make_file(SECRET_FILE, Kind.TRANSPARENT, 0, 16, _AFTER_PIN, _AFTER_PIN, 0xFF, 0xFF),
        make_file(EP, Kind.PURSE, 0x02, 0x08, ALWAYS, 0, 0xFF, EF18.sfi),
        make_file(ED, Kind.PURSE, 0x02, 0x08, _AFTER_PIN, 0, 0xFF, ED_LOG),
    ]


def application(own: Secrets, pin: bytes, guard: int, erase: int = ALWAYS) -> list[bytes]:
    """Everything, for a card with an empty master file, which is selected."""
    return [*directory(erase), key_file(), *keys(own, pin), *files(guard)]
