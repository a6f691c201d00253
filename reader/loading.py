"""Topping up a purse online, and finding out what became of a top-up (protocol reference 6.4)."""

from typing import Protocol

from apdu.bcd import Moment
from apdu.commands import CREDIT_LOAD, GET_PROVE, INIT_LOAD
from apdu.crypto import compare_digest
from apdu.files import PublicInfo
from apdu.purse import LOAD
from apdu.records import CreditLoadData, InitializeData, InitLoadReply, ProveData
from apdu.sw import SW
from apdu.value import value
from reader.session import ProtocolError, StatusError, Txn, ask
from reader.transactions import KEY_INDEX, REFUSALS, Receipt
from reader.transport.base import TransportError


class LoadHost(Protocol):
    """The party that owns the load key and the payer's account."""

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        """Check MAC1, debit the payer, return MAC2. Raises ProtocolError if MAC1 is wrong."""
        ...

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        tac: bytes,
    ) -> None:
        """Check and keep the TAC. Raises ProtocolError if it is wrong."""
        ...


@value
class UnresolvedLoad:
    """A load whose answer was lost, with all it takes to check its proof."""

    info: PublicInfo
    asked: InitializeData
    offer: InitLoadReply
    when: Moment
    mac2: bytes

    def receipt(self, tac: bytes, recovered: bool) -> Receipt:
        """The load's receipt."""
        return Receipt(
            self.info.serial,
            self.info.issuer,
            self.offer.online_seq + 1,
            self.asked.amount,
            self.offer.balance + self.asked.amount,
            LOAD,
            self.asked.terminal,
            0,
            self.when,
            tac,
            recovered,
        )


class LoadInterrupted(TransportError):
    """The card left between CREDIT FOR LOAD and its answer: `unresolved` says what to ask."""

    def __init__(self, unresolved: UnresolvedLoad) -> None:
        super().__init__("the card left before it answered CREDIT FOR LOAD; present it again")
        self.unresolved = unresolved


_REFUSALS = REFUSALS | frozenset(CREDIT_LOAD.errors)
"""Words by which a card says for certain that it was not credited (4.13)."""


def load(
    info: PublicInfo, amount: int, host: LoadHost, terminal: bytes, at: Moment
) -> Txn[Receipt]:
    """Top up the selected purse online (6.4).

    Raises LoadInterrupted if after CREDIT it is not certain that nothing was credited: the answer
    lost or spoilt, a TAC that is wrong; ProtocolError if the card's MAC1 is wrong; StatusError if
    the card refuses: then the payer, once debited, has the money coming.
    """
    asked = InitializeData(KEY_INDEX, amount, terminal)
    offer = yield from ask("card", INIT_LOAD, asked)
    mac2 = host.authorise(info, asked, offer, at)
    made = UnresolvedLoad(info, asked, offer, at, mac2)
    try:
        done = yield from ask("card", CREDIT_LOAD, CreditLoadData(at.date, at.time, mac2))
        host.confirm(info, asked, offer, at, done.tac)
    except (TransportError, ProtocolError, StatusError) as lost:
        if isinstance(lost, StatusError) and lost.sw in _REFUSALS:
            raise
        raise LoadInterrupted(made) from lost
    return made.receipt(done.tac, recovered=False)


def recover_load(lost: UnresolvedLoad, host: LoadHost) -> Txn[Receipt | None]:
    """Ask whether a lost load was credited (6.4).

    Returns its receipt, or None: load again, without debiting the payer again.
    Raises ProtocolError if the proof is not this load's.
    """
    try:
        proof = yield from ask("card", GET_PROVE, ProveData(lost.offer.online_seq + 1), 0x00, LOAD)
    except StatusError as refused:
        if refused.sw == SW.PROOF_NOT_AVAILABLE:
            return None
        raise
    if not compare_digest(proof.mac2, lost.mac2):
        raise ProtocolError("GET TRANSACTION PROVE: the MAC2 is not the one the host gave")
    host.confirm(lost.info, lost.asked, lost.offer, lost.when, proof.tac)
    return lost.receipt(proof.tac, recovered=True)
