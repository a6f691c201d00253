"""Taking money off a purse online, and finding out what became of it (6.5, 4.17, 4.20)."""

from typing import Protocol

from apdu.bcd import Moment
from apdu.commands import DEBIT_UNLOAD, GET_PROVE, INIT_UNLOAD
from apdu.crypto import Key, MacKey, compare_digest
from apdu.files import PublicInfo
from apdu.fmcos import KEY_INDEX
from apdu.purse import (
    UNLOAD,
    card_key,
    online_mac1,
    online_mac2,
    online_session,
    unload_mac3,
)
from apdu.records import CreditLoadData, InitializeData, InitLoadReply, ProveData
from apdu.sw import SW
from apdu.value import value
from reader.session import ProtocolError, StatusError, Txn, ask
from reader.transport.base import TransportError


class UnloadHost(Protocol):
    """The party that owns the unload key and pays the money out."""

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        """Check MAC1, keep what is asked, return MAC2. Raises ProtocolError if MAC1 is wrong.

        From here on the card may have paid: a host that must not lose the money keeps all four
        arguments, of which `UnresolvedUnload` is made, before it returns.
        """
        ...

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        mac3: bytes,
    ) -> None:
        """Check MAC3: the card has paid. Raises ProtocolError if it is wrong.

        May come twice for one unload: the card and its number (`offer.online_seq`) tell it.
        """
        ...


class SoftUnloadHost:
    """An unload host with its root key in memory. root: UMK."""

    def __init__(self, root: Key) -> None:
        self._root = root

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        """See UnloadHost."""
        session = self._session(info, offer)
        mac1 = online_mac1(session, offer.balance, asked.amount, UNLOAD, asked.terminal)
        if not compare_digest(mac1, offer.mac1):
            raise ProtocolError("INITIALIZE FOR UNLOAD: MAC1 is not this card's")
        return online_mac2(session, asked.amount, UNLOAD, asked.terminal, at.both)

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        mac3: bytes,
    ) -> None:
        """See UnloadHost."""
        left = offer.balance - asked.amount
        session = self._session(info, offer)
        expected = unload_mac3(
            session, left, offer.online_seq, asked.amount, asked.terminal, at.both
        )
        if not compare_digest(expected, mac3):
            raise ProtocolError("DEBIT FOR UNLOAD: MAC3 is not this card's")

    def _session(self, info: PublicInfo, offer: InitLoadReply) -> MacKey:
        dulk = card_key(self._root, info.issuer, info.serial)
        return online_session(dulk, offer.random, offer.online_seq)


@value
class UnloadReceipt:
    """Money that has left a card. seq: after the unload. amount, balance: fen.

    recovered: the answer was lost, and GET TRANSACTION PROVE told.
    """

    serial: bytes
    issuer: bytes
    seq: int
    amount: int
    balance: int
    terminal: bytes
    when: Moment
    mac3: bytes
    recovered: bool


@value
class UnresolvedUnload:
    """An unload whose answer was lost, with all it takes to check its proof."""

    info: PublicInfo
    asked: InitializeData
    offer: InitLoadReply
    when: Moment

    def receipt(self, mac3: bytes, recovered: bool) -> UnloadReceipt:
        """The unload's receipt."""
        return UnloadReceipt(
            self.info.serial,
            self.info.issuer,
            self.offer.online_seq + 1,
            self.asked.amount,
            self.offer.balance - self.asked.amount,
            self.asked.terminal,
            self.when,
            mac3,
            recovered,
        )


class UnloadInterrupted(TransportError):
    """The card left between DEBIT FOR UNLOAD and its answer: `unresolved` says what to ask."""

    def __init__(self, unresolved: UnresolvedUnload) -> None:
        super().__init__("the card left before it answered DEBIT FOR UNLOAD; present it again")
        self.unresolved = unresolved


def unload(
    info: PublicInfo, amount: int, host: UnloadHost, terminal: bytes, at: Moment
) -> Txn[UnloadReceipt]:
    """Take an amount, in fen, off the selected purse (6.5).

    Raises UnloadInterrupted if the answer to DEBIT is lost or spoilt; ProtocolError if the card's
    MAC1 or MAC3 is wrong; StatusError 9401 if the purse holds less.
    """
    asked = InitializeData(KEY_INDEX, amount, terminal)
    offer = yield from ask("card", INIT_UNLOAD, asked)
    mac2 = host.authorise(info, asked, offer, at)
    made = UnresolvedUnload(info, asked, offer, at)
    try:
        done = yield from ask("card", DEBIT_UNLOAD, CreditLoadData(at.date, at.time, mac2))
    except (TransportError, ProtocolError) as lost:
        raise UnloadInterrupted(made) from lost
    host.confirm(info, asked, offer, at, done.mac3)
    return made.receipt(done.mac3, recovered=False)


def recover_unload(lost: UnresolvedUnload, host: UnloadHost) -> Txn[UnloadReceipt | None]:
    """Ask the selected purse whether a lost unload was made (4.20).

    lost: the newest the host has let through for that card; one that was never made leaves its
    number to the next. Returns its receipt, or None: the money is still on the card.
    Raises ProtocolError if the proof is not this unload's.
    """
    seq = lost.offer.online_seq + 1
    try:
        proof = yield from ask("card", GET_PROVE, ProveData(seq), 0x00, UNLOAD)
    except StatusError as refused:
        if refused.sw == SW.PROOF_NOT_AVAILABLE:
            return None
        raise
    if any(proof.tac):  # an unload has no TAC: its proof ends with zeros (4.20, Q8)
        raise ProtocolError("GET TRANSACTION PROVE: the proof of an unload does not end in zeros")
    host.confirm(lost.info, lost.asked, lost.offer, lost.when, proof.mac2)
    return lost.receipt(proof.mac2, recovered=True)
