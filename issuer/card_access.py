"""What every operation of the issuer on a card begins with: which card is this, and is it usable.

Operations are transactions of `reader.session`; their errors for people are one sentence.
"""

from collections.abc import Generator
from typing import Any, Protocol, TypeVar

from apdu.codec import WireError
from apdu.crypto import Key
from apdu.file_commands import AID_PURSE, GET_CHALLENGE, READ_BINARY, SELECT
from apdu.files import EF15, PublicInfo
from apdu.purse import card_key, secure_messaging_mac
from apdu.records import SelectName
from apdu.spec import CommandSpec
from apdu.sw import SW, is_blocked
from apdu.tlv import value_of
from reader.session import ProtocolError, Send, StatusError, Txn, ask

T = TypeVar("T")

CHALLENGE_SIZE = 4
MAC_SIZE = 4


class CardUnfit(Exception):
    """This card cannot have the operation; the message says why and what to do."""


class WrongCard(CardUnfit):
    """Another card than the operation is for. serial: the one that was presented."""

    def __init__(self, serial: bytes, wanted: bytes) -> None:
        super().__init__(
            f"this is card {serial.hex()}, expected {wanted.hex()}; present the right one"
        )
        self.serial = serial


class CardBlocked(CardUnfit):
    """The purse is blocked.

    info: EF15 as SELECT shows it, None if the card does not. is_permanent: for good.
    """

    def __init__(self, info: PublicInfo | None, *, is_permanent: bool) -> None:
        which = "the card" if info is None else f"card {info.serial.hex()}"
        if is_permanent:
            super().__init__(f"{which} is blocked for good; replace it")
        else:
            super().__init__(f"{which} is blocked; unblock it first, or replace it")
        self.info = info
        self.is_permanent = is_permanent


def tries_left(sw: int) -> int | None:
    """The tries that 63Cx leaves; None for any other status word."""
    return sw & 0x0F if sw & 0xFFF0 == SW.AUTHENTICATION_FAILED | 0xC0 else None


class MacHost(Protocol):
    """The party that owns a key for commands under MAC: DAMK (renewal) or DBK (block)."""

    def mac(self, info: PublicInfo, challenge: bytes, command: bytes) -> bytes:
        """The 4 bytes that end a protected command (5.6).

        challenge: what the card gave. command: header, Lc with the MAC counted, and data.
        """
        ...


class SoftMacHost:
    """A key holder with its root in memory. root: AMK for renewals, BMK for blocks."""

    def __init__(self, root: Key) -> None:
        self._root = root

    def mac(self, info: PublicInfo, challenge: bytes, command: bytes) -> bytes:
        """See MacHost."""
        return secure_messaging_mac(
            card_key(self._root, info.issuer, info.serial), challenge, command
        )


def mac_for(
    spec: CommandSpec[Any, bytes],
    info: PublicInfo,
    host: MacHost,
    p1: int,
    p2: int,
    data: bytes = b"",
) -> Txn[bytes]:
    """Ask for a challenge, and the host for the MAC of the command that follows it."""
    challenge = yield from ask("card", GET_CHALLENGE, None)
    if len(challenge) != CHALLENGE_SIZE:
        raise ProtocolError(f"GET CHALLENGE gave {len(challenge)} bytes, expected 4")
    head = bytes((spec.cla, spec.ins, p1, p2, len(data) + MAC_SIZE))
    return host.mac(info, challenge, head + data)


def play(script: Generator[bytes, bytes, T]) -> Txn[T]:
    """Send a script of `apdu.personal` to the card. Returns what it returns."""
    try:
        command = next(script)
        while True:
            command = script.send((yield Send("card", command)))
    except StopIteration as end:
        value: T = end.value
        return value


def select_purse() -> Txn[PublicInfo | None]:
    """Select the purse. Returns EF15 as the FCI shows it, None if it does not.

    Raises CardBlocked, and StatusError 6A82 on a card without a purse.
    """
    try:
        fci = yield from ask("card", SELECT, SelectName(AID_PURSE))
    except StatusError as refused:
        if not is_blocked(refused.sw):
            raise
        info = _shown(refused.data)
        # 4.19: whatever SELECT says, a purse blocked for good answers 9303 to everything else.
        word = yield from _word_of_read()
        raise CardBlocked(info, is_permanent=word == SW.PERMANENTLY_BLOCKED) from refused
    return _shown(fci)


def _shown(fci: bytes) -> PublicInfo | None:
    try:
        data = value_of(fci, 0x9F0C) if fci else None
        return None if data is None else PublicInfo.from_wire(data)
    except WireError:
        return None


def _word_of_read() -> Txn[int]:
    try:
        yield from ask("card", READ_BINARY, None, 0x80 | EF15.sfi, 0)
    except StatusError as refused:
        return refused.sw
    return int(SW.OK)


def read_file(sfi: int) -> Txn[bytes]:
    """A transparent file of the selected purse, whole. Raises StatusError."""
    return (yield from ask("card", READ_BINARY, None, 0x80 | sfi, 0))


def read_public_info() -> Txn[PublicInfo]:
    """EF15 of the selected purse. Raises StatusError, ProtocolError."""
    return parse_public_info((yield from read_file(EF15.sfi)))


def parse_public_info(data: bytes) -> PublicInfo:
    """EF15 from its bytes. Raises ProtocolError."""
    try:
        return PublicInfo.from_wire(data)
    except WireError as error:
        raise ProtocolError(f"READ BINARY of EF15: {error}") from error


def find_card(serial: bytes) -> Txn[PublicInfo]:
    """Select the purse and make sure that it is this card's. Returns EF15.

    Raises WrongCard, CardBlocked, StatusError, ProtocolError.
    """
    yield from select_purse()
    info = yield from read_public_info()
    if info.serial != serial:
        raise WrongCard(info.serial, serial)
    return info
