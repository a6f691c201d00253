"""What a card knows: durable state (`Image`), and what dies with the field (`CardState`).

Both are values (`apdu.value`). A handler makes a new one; `Card.process` commits the image to the
store, once, and only then lets the answer leave. Parts that do not change are shared between the
old image and the new one, and between cards made alike: a card at rest costs what is its own.
"""

from collections.abc import Mapping
from enum import Enum

from apdu.crypto import Key, MacKey
from apdu.fmcos import KeyKind as KeyKind
from apdu.fmcos import Kind as Kind
from apdu.spec import State
from apdu.value import value
from emulator.card.dialect import Dialect
from emulator.card.env import Env

MF_ID = 0x3F00

Records = tuple[bytes, ...]
Content = bytes | Records
"""A file's content: bytes of a transparent file, or records (cyclic ones newest first)."""


@value
class FileHead:
    """What CREATE FILE said of an elementary file. Shared between cards made alike.

    size:    bytes of a transparent or variable file, or of one record. count: records at most.
    read, write: access bytes (annex 5.2). write is also the right to append.
    guard:   80 MAC, 40 encryption on writing.
    protection: which key 36 protects reading and writing, and whether reading must be (3.3).
    """

    fid: int
    kind: Kind
    size: int
    count: int
    read: int
    write: int
    guard: int
    protection: int


@value
class File:
    """An elementary file. is_written: False until the first write, which READ BINARY tells."""

    head: FileHead
    content: Content
    is_written: bool


@value
class KeyEntry:
    """A key or PIN with its attributes (annex 4.1).

    usage, change: access bytes.
    version:   key version; of 39 and 3A the successor state; FF of 36 to 38.
    algorithm: algorithm id; of 36 to 3A the error counter, most tries and tries left.
    guard:     C0, 80 or 40: may be written under MAC only.
    secret:    the key; a PIN is `pin` instead.
    """

    kind: KeyKind
    kid: int
    usage: int
    change: int
    version: int
    algorithm: int
    guard: int
    secret: Key | None
    pin: bytes

    @property
    def tries_left(self) -> int:
        """Of a key with an error counter."""
        return self.algorithm & 0x0F

    def with_tries(self, left: int) -> "KeyEntry":
        """The same key with another number of tries left."""
        return KeyEntry(
            self.kind,
            self.kid,
            self.usage,
            self.change,
            self.version,
            self.algorithm & 0xF0 | left,
            self.guard,
            self.secret,
            self.pin,
        )

    def restored(self) -> "KeyEntry":
        """The same key with all its tries: after success."""
        most = self.algorithm >> 4
        return self if self.tries_left == most else self.with_tries(most)


@value
class Purse:
    """The purse object, all fen (protocol reference 3.1).

    ceiling A, actual B, limit C, used D: 0 <= B <= A, 0 <= D <= C, and B > 0 implies D = 0.
    online_seq and offline_seq are the next transactions' numbers.
    usage: access byte. log: file id of the transaction log, 0 for none.
    """

    ceiling: int
    actual: int
    limit: int
    used: int
    online_seq: int
    offline_seq: int
    usage: int
    log: int

    @property
    def available(self) -> int:
        """What can be spent: B + C - D."""
        return self.actual + self.limit - self.used


def balance_fault(ceiling: int, actual: int, limit: int, used: int) -> str:
    """What of the balance model does not hold (3.1), in words; nothing if it holds."""
    for broken, said in (
        (actual > ceiling, f"balance {actual} is above the ceiling {ceiling} fen"),
        (
            ceiling + limit > 0xFFFFFF,
            f"ceiling {ceiling} and overdraft limit {limit} together pass {0xFFFFFF}",
        ),
        (used > limit, f"overdraft in use {used} is above its limit {limit} fen"),
        (
            actual > 0 and used > 0,
            f"balance {actual} and overdraft in use {used} cannot both be above zero",
        ),
    ):
        if broken:
            return said
    return ""


@value
class Proof:
    """The last committed result of one transaction type, for GET TRANSACTION PROVE.

    seq: the transaction number after the transaction.
    """

    seq: int
    mac2: bytes
    tac: bytes


class Blocked(Enum):
    """Whether an application answers (protocol reference 4.19)."""

    NO = "no"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@value
class DirectoryHead:
    """What CREATE FILE said of a directory. Shared between cards made alike.

    parent: index of the directory above; the MF is its own.
    space:  bytes in all. create, erase: access bytes.
    fci:    80+SFI: that file is tag 9F0C of the FCI; C0+SFI: that file is BF0C, our way of making
            a PPSE; 00-1F: SFI of a DIR file in tag 88.
    """

    fid: int
    name: bytes
    parent: int
    space: int
    create: int
    erase: int
    fci: int


@value
class Directory:
    """A directory with everything in it.

    has_key_file, key_space, add_right: of its key file.
    strikes:  wrong secure-messaging MACs in a row; unblock_strikes: failed unblocks in a row.
    """

    head: DirectoryHead
    files: Mapping[int, File]
    keys: Mapping[tuple[int, int], KeyEntry]
    purses: Mapping[int, Purse]
    proofs: Mapping[int, Proof]
    blocked: Blocked
    has_key_file: bool
    key_space: int
    add_right: int
    strikes: int
    unblock_strikes: int

    @property
    def is_empty(self) -> bool:
        """Neither key file nor other file: entered like this, it is open (annex 5.3)."""
        return not (self.has_key_file or self.files or self.purses)


@value
class Image:
    """Everything that survives the field: the unit of commit.

    directories: the MF first. is_dead: after CARD BLOCK. algorithm: of 80 CD, 00 or 03.
    """

    directories: tuple[Directory, ...]
    is_dead: bool
    algorithm: int
    blocked_algorithms: int


@value
class Chip:
    """What a handler may use besides the state: how this card differs, and the outside world.

    frames: FCIs without their issuer data, made once per directory (`emulator.card.filesystem`).
    """

    dialect: Dialect
    env: Env
    frames: dict[tuple[bytes, int, int], tuple[bytes, bytes]]


@value
class Pending:
    """A transaction between INITIALIZE and its final command.

    purse: 01 ED, 02 EP.  key: DPK of a purchase.  limit: overdraft limit in force at the start.
    session: known from the start in online transactions; a purchase's depends on the terminal's
    number.
    """

    kind: int
    purse: int
    amount: int
    terminal: bytes
    random: bytes
    key: Key
    session: MacKey | None


@value
class Cached:
    """One record waiting for the debit. slot: place in the file; 0 means a new cyclic record."""

    fid: int
    slot: int
    content: bytes


@value
class Standing:
    """The security state: what has been proved to the card since it was powered.

    register:    of the current directory; mf_register: of the MF (annex 5.1).
    is_open:     the current directory was entered empty: rights do not bind yet (annex 5.3).
    pin_ok:      a PIN was verified since the directory was entered.
    """

    register: int
    mf_register: int
    is_open: bool
    pin_ok: bool


NOBODY = Standing(0, 0, False, False)
"""Nothing has been proved, the usual state: shared by all cards."""


@value
class CardState:
    """The image, and the volatile state around it. at: index of the current directory."""

    image: Image
    at: int
    current_ef: int | None
    state: State
    pending: Pending | None
    cache: tuple[Cached, ...]
    challenge: bytes | None
    standing: Standing

    @property
    def directory(self) -> Directory:
        """The current directory."""
        return self.image.directories[self.at]


def with_directory(image: Image, at: int, directory: Directory) -> Image:
    """The image with one directory replaced."""
    directories = list(image.directories)
    directories[at] = directory
    return Image(
        tuple(directories),
        image.is_dead,
        image.algorithm,
        image.blocked_algorithms,
    )


def at_rest(card: CardState, image: Image | None = None) -> CardState:
    """The card, with a new image if given, no transaction under way, no challenge and no cache."""
    return CardState(
        card.image if image is None else image,
        card.at,
        card.current_ef,
        State.IDLE,
        None,
        (),
        None,
        card.standing,
    )


def kept(card: CardState, directory: Directory) -> CardState:
    """The card at rest with its current directory replaced: after a successful write."""
    return at_rest(card, with_directory(card.image, card.at, directory))
