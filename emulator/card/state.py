"""What a card knows: durable state (`Image`), and what dies with the field (`CardState`).

Both are values. A handler makes a new one; `Card.process` commits the image to the store, once,
and only then lets the answer leave. Type checkers see them frozen (see `apdu.codec`).
"""

from collections.abc import Mapping
from enum import Enum

from apdu.crypto import Key, MacKey
from apdu.files import FileSpec
from apdu.spec import State
from apdu.value import value
from emulator.card.env import Env

Content = bytes | tuple[bytes, ...]
"""A file's content: bytes of a transparent file, or records (cyclic ones newest first)."""


@value
class Purse:
    """The purse object, all fen (protocol reference 3.1).

    ceiling A, actual B, limit C, used D: 0 <= B <= A, 0 <= D <= C, and B > 0 implies D = 0.
    online_seq and offline_seq are the next transactions' numbers.
    """

    ceiling: int
    actual: int
    limit: int
    used: int
    online_seq: int
    offline_seq: int

    @property
    def available(self) -> int:
        """What can be spent: B + C - D."""
        return self.actual + self.limit - self.used


@value
class Proof:
    """The last committed result of one transaction type, for GET TRANSACTION PROVE.

    seq: the transaction number after the transaction.
    """

    seq: int
    mac2: bytes
    tac: bytes


class Blocked(Enum):
    """Whether the purse application answers (protocol reference 4.19)."""

    NO = "no"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@value
class CardKeys:
    """The card's own keys that the transactions use (protocol reference 5.1)."""

    dpk: Key
    dlk: Key
    dtk: Key


@value
class Image:
    """Everything that survives the field: the unit of commit."""

    files: Mapping[int, Content]
    purse: Purse
    proofs: Mapping[int, Proof]
    blocked: Blocked


@value
class Application:
    """One directory a reader can SELECT; shared by all cards of a kind.

    name:     the instance's full DF name.
    fci_head: FCI up to the issuer data.  fci_file: SFI of the file whose content follows, if any.
    files:    its elementary files by SFI.
    """

    name: bytes
    fci_head: bytes
    fci_file: int | None
    files: Mapping[int, FileSpec]
    has_purse: bool


@value
class Chip:
    """What a handler may use besides the state: the card's fixed parts and the outside world.

    applications: the first is selected after power-on (the PPSE).
    key_index:    the index a terminal names in INITIALIZE.
    key_version, algorithm: of DPK and DLK, answered in INITIALIZE.
    """

    applications: tuple[Application, ...]
    keys: CardKeys
    key_index: int
    key_version: int
    algorithm: int
    env: Env


@value
class Pending:
    """A transaction between INITIALIZE and its final command.

    session: known from the start in a load; a purchase's depends on the terminal's number.
    """

    kind: int
    amount: int
    terminal: bytes
    random: bytes
    session: MacKey | None


@value
class Cached:
    """One record waiting for the debit. slot: place in the file; 0 means a new cyclic record."""

    sfi: int
    slot: int
    content: bytes


@value
class CardState:
    """The image, and the volatile state around it."""

    image: Image
    selected: Application
    current_ef: int | None
    state: State
    pending: Pending | None
    cache: tuple[Cached, ...]
    challenge: bytes | None


def at_rest(card: CardState, image: Image | None = None) -> CardState:
    """The card, with a new image if given, no transaction under way, no challenge and no cache."""
    if image is None:
        image = card.image
    return CardState(image, card.selected, card.current_ef, State.IDLE, None, (), None)
