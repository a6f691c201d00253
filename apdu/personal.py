"""The commands an issuer sends to make a card: pure scripts, FMCOS style (annex 2 to 6).

Theory of operation. A script yields commands and gets the answers back. There are two, which make
the same applications and differ in who may undo them.

`bare_script` fills a card whose master file is empty. Such a card is open until it is left, so a
cut leaves a card that nobody can finish and, if its master file's rights are NEVER, nobody can
erase.

`stock_script` fills a card as its maker ships it: the master file holds one key 39 id 00, the
transport key, and nothing is made or erased without it. The issuer first presents it and puts the
card's own key in its place (`change_master`), in one command that happens or does not. From then on
the card is erased and filled by whoever holds that key, as often as it takes, and by nobody else,
however far it has come. All keys travel enciphered under it.

Either way EF15 is written last. Until then the card shows no serial and no gate takes it; from then
on it is somebody's.
"""

from collections.abc import Generator

from apdu.commands import ED, EP
from apdu.crypto import Key
from apdu.file_commands import (
    AID_PURSE,
    APPEND_RECORD_MAC,
    CREATE_FILE,
    ERASE_DF,
    GET_CHALLENGE,
    SELECT,
    SELECT_FILE,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
)
from apdu.files import EF1A, EF1E, EF15, EF16, EF17, EF18
from apdu.fmcos import (
    ALWAYS,
    BELOW_MASTER,
    BLOCK_ID,
    BY_MASTER,
    KEY_INDEX,
    MAINTENANCE_ID,
    NEVER,
    RECORD_ID,
    UNBLOCK_ID,
    KeyKind,
    Kind,
)
from apdu.key_commands import EXTERNAL_AUTHENTICATE, WRITE_KEY, WRITE_KEY_MAC
from apdu.order import (
    AID_CJT,
    CardOrder,
    Secrets,
    fresh_trip,
    holder,
    interop,
    ppse_entries,
    public_info,
)
from apdu.purse import external_authenticate, secure_messaging_encrypt, secure_messaging_mac
from apdu.records import (
    Content,
    CreateFileData,
    Cryptogram,
    KeyData,
    Protected,
    SelectId,
    SelectName,
)
from apdu.spec import CommandSpec
from apdu.sw import SW

PURSE_DF, CJT_DF = 0x3F01, 0x3F02
DIR = 0x0001
"""The file of the master file that holds the PPSE's entries."""

MF = bytes.fromhex("3F00")

_ED_LOG = 0x0019
_ALWAYS_MAC = 0x80
_THREE_TRIES = 0x33
_MOST_TRIES = 0xFF
_AFTER_PIN = 0xF1
_FREE, _RECORD_KEY = 0xFF, 0xFC
"""Protection bytes: reading free, writing under key 36 id 00 or id 03 (annex 3.3)."""

_KEY_FILE_SIZE = 0x0300
_MF_KEY_FILE_SIZE = 0x30

Script = Generator[bytes, bytes, None]
"""Commands out, answers in; raises PersonalisationError at the first that is not 9000."""


class PersonalisationError(Exception):
    """The card refused a command of the script: a bug of ours, or a card that is not blank.

    sw: its status word.
    """

    def __init__(self, command: bytes, sw: int) -> None:
        super().__init__(f"the card answers {sw:04X} to {command[:5].hex().upper()}")
        self.sw = sw


def _send(command: bytes, *also: int) -> Generator[bytes, bytes, bytes]:
    """One command; returns the answer's data. also: status words as good as 9000."""
    answer = yield command
    sw = int.from_bytes(answer[-2:], "big")
    if sw != SW.OK and sw not in also:
        raise PersonalisationError(command, sw)
    return answer[:-2]


def _create(fid: int, *header: int, name: bytes = b"", is_again: bool = False) -> Script:
    """CREATE FILE. is_again: an earlier run may have made it."""
    command = CREATE_FILE.command(CreateFileData(bytes(header) + name), fid >> 8, fid & 0xFF)
    yield from _send(command, *((SW.WRONG_P1P2,) if is_again else ()))


def _under_mac(
    spec: CommandSpec[Protected, bytes], key: Key, p1: int, p2: int, data: bytes
) -> Script:
    challenge = yield from _send(GET_CHALLENGE.command(None))
    head = bytes((spec.cla, spec.ins, p1, p2, len(data) + 4))
    mac = secure_messaging_mac(key, challenge, head + data)
    yield from _send(spec.command(Protected(data + mac), p1, p2))


def _write_key(
    kind: KeyKind, kid: int, attributes: tuple[int, ...], secret: bytes, under: Key | None
) -> Script:
    """Add a key, enciphered under the directory's master key if there is one (annex 4.2)."""
    field = bytes((kind, *attributes)) + secret
    if under is None:
        yield from _send(WRITE_KEY.command(KeyData(field), 0x01, kid))
    else:
        hidden = secure_messaging_encrypt(under, field)
        yield from _under_mac(WRITE_KEY_MAC, under, 0x01, kid, hidden)


def transport_script(transport: Key) -> Script:
    """What a maker does with an empty card, whose master file has rights BY_MASTER: its one key."""
    yield from _send(SELECT_FILE.command(SelectId(MF)))
    yield from _create(0x0000, Kind.KEYS, 0x00, _MF_KEY_FILE_SIZE, 0x01, NEVER, 0xFF, 0xFF)
    attributes = (ALWAYS, BY_MASTER, BY_MASTER, _THREE_TRIES)
    yield from _write_key(KeyKind.EXTERNAL, 0, attributes, transport.expose(), None)


def present_master(key: Key) -> Generator[bytes, bytes, int]:
    """Present the key 39 id 00 of the current directory (4.10). Returns the status word."""
    challenge = yield from _send(GET_CHALLENGE.command(None))
    answer = Cryptogram(external_authenticate(key, challenge))
    said = yield EXTERNAL_AUTHENTICATE.command(answer, 0x00, 0x00)
    return int.from_bytes(said[-2:], "big")


def change_master(old: Key, new: Key) -> Script:
    """Put another key in the place of the master file's, which has been presented (annex 4.2).

    It has 15 tries and is never changed again.
    """
    field = bytes((KeyKind.EXTERNAL, ALWAYS, NEVER, BY_MASTER, _MOST_TRIES)) + new.expose()
    hidden = secure_messaging_encrypt(old, field)
    yield from _under_mac(WRITE_KEY_MAC, old, KeyKind.EXTERNAL, 0, hidden)


def bare_script(order: CardOrder, secrets: Secrets) -> Script:
    """All commands that turn a card with an empty master file into the card ordered."""
    yield from _send(SELECT_FILE.command(SelectId(MF)))
    yield from _create(0x0000, Kind.KEYS, 0x00, _MF_KEY_FILE_SIZE, 0x01, NEVER, 0xFF, 0xFF)
    yield from _directory(order, NEVER, NEVER)
    yield from _applications(order, secrets, None)


def stock_script(order: CardOrder, secrets: Secrets, master: Key) -> Script:
    """All commands that turn a card into the card ordered, however far an earlier run came.

    The master file is selected and its key presented, which is `master` by now.
    """
    yield from _directory(order, BY_MASTER, BELOW_MASTER, is_again=True)
    yield from _applications(order, secrets, master)


def _directory(order: CardOrder, write: int, below: int, *, is_again: bool = False) -> Script:
    """The PPSE's entries and the applications' directories, in the master file.

    write: who may write the entries. below: who may create in the directories and erase them.
    """
    entries = ppse_entries(order.ec_in_ppse)
    header = (Kind.TRANSPARENT, 0, len(entries), ALWAYS, write, 0xFF, _FREE)
    yield from _create(DIR, *header, is_again=is_again)
    yield from _send(UPDATE_BINARY.command(Content(entries), 0x80 | DIR, 0))
    applications = [(PURSE_DF, AID_PURSE)]
    if order.cjt_application:
        applications.append((CJT_DF, AID_CJT))
    for fid, name in applications:
        head = (Kind.DIRECTORY, 0x20, 0x00, below, below, 0x80 | EF15.sfi, 0xFF, 0xFF)
        yield from _create(fid, *head, name=name, is_again=is_again)


def _applications(order: CardOrder, secrets: Secrets, master: Key | None) -> Script:
    """Fill the directories, the purse's last: its EF15 says that the card is made."""
    if order.cjt_application:
        yield from _application(order, secrets, AID_CJT, master)
        yield from _send(SELECT_FILE.command(SelectId(MF)))
    yield from _application(order, secrets, AID_PURSE, master)
    yield from _send(SELECT_FILE.command(SelectId(MF)))


def _application(order: CardOrder, secrets: Secrets, name: bytes, master: Key | None) -> Script:
    yield from _send(SELECT.command(SelectName(name)))
    if master is not None:
        yield from _send(ERASE_DF.command(None))
    high, low = divmod(_KEY_FILE_SIZE, 256)
    yield from _create(0x0000, Kind.KEYS, high, low, 0x80 | EF15.sfi, NEVER, 0xFF, 0xFF)
    yield from _keys(order, secrets, master)
    yield from _files(order)
    yield from _contents(order, secrets)


def _keys(order: CardOrder, s: Secrets, master: Key | None) -> Script:
    """Every key of 5.1 at its FMCOS type. Change right EF: none is ever changed again."""
    dack = (ALWAYS, NEVER, 0x44, _THREE_TRIES)
    # The first key goes in under the master file's, the others under the first (annex 4.2).
    yield from _write_key(KeyKind.EXTERNAL, 0, dack, s.dack.expose(), master)
    under = None if master is None else s.dack
    purse = (ALWAYS, NEVER, order.key_version, order.algorithm)
    tries = (ALWAYS, NEVER, 0xFF, _THREE_TRIES)
    for kind, kid, attributes, key in (
        (KeyKind.PURCHASE, KEY_INDEX, purse, s.dpk),
        (KeyKind.LOAD, KEY_INDEX, purse, s.dlk),
        (KeyKind.UNLOAD, KEY_INDEX, purse, s.dulk),
        (KeyKind.LIMIT, KEY_INDEX, purse, s.duk),
        (KeyKind.TAC, 0, purse, s.dtk),
        (KeyKind.MAINTENANCE, MAINTENANCE_ID, tries, s.damk),
        (KeyKind.MAINTENANCE, BLOCK_ID, tries, s.dbk),
        (KeyKind.MAINTENANCE, UNBLOCK_ID, tries, s.dubk),
        (KeyKind.MAINTENANCE, RECORD_ID, tries, s.record),
        (KeyKind.PIN_UNBLOCK, 0, tries, s.dpuk),
        (KeyKind.PIN_RELOAD, 0, tries, s.drpk),
    ):
        yield from _write_key(kind, kid, attributes, key.expose(), under)
    pin = (ALWAYS, NEVER, 0x01, _THREE_TRIES)
    yield from _write_key(KeyKind.PIN, 0, pin, order.pin, under)


def _files(order: CardOrder) -> Script:
    guarded = Kind.TRANSPARENT | _ALWAYS_MAC
    for spec in (EF15, EF16, EF17):
        yield from _create(spec.sfi, guarded, 0, spec.size, ALWAYS, ALWAYS, 0xFF, _FREE)
    yield from _create(EF18.sfi, Kind.CYCLIC, EF18.count, EF18.size, ALWAYS, NEVER, 0xFF, _FREE)
    for spec, kind in ((EF1A, Kind.LINEAR), (EF1E, Kind.CYCLIC)):
        yield from _create(
            spec.sfi, kind | _ALWAYS_MAC, spec.count, spec.size, ALWAYS, ALWAYS, 0xFF, _RECORD_KEY
        )
    yield from _create(EP, Kind.PURSE, 0x02, 0x08, ALWAYS, 0x00, 0xFF, EF18.sfi)
    if order.has_ed:
        yield from _create(_ED_LOG, Kind.CYCLIC, 10, EF18.size, ALWAYS, NEVER, 0xFF, _FREE)
        yield from _create(ED, Kind.PURSE, 0x02, 0x08, _AFTER_PIN, 0x00, 0xFF, _ED_LOG)


def _contents(order: CardOrder, s: Secrets) -> Script:
    for number in range(1, EF1A.count + 1):
        yield from _under_mac(APPEND_RECORD_MAC, s.record, 0x00, EF1A.sfi << 3, fresh_trip(number))
    for spec, rec in ((EF16, holder()), (EF17, interop(order)), (EF15, public_info(order))):
        yield from _under_mac(UPDATE_BINARY_MAC, s.damk, 0x80 | spec.sfi, 0, rec.build())
