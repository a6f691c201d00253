"""The load host: owns the load and TAC keys, lets a card be credited, and checks its proof."""

from apdu.bcd import Moment
from apdu.crypto import Key, compare_digest
from apdu.files import PublicInfo
from apdu.purse import LOAD, card_key, load_tac, online_mac1, online_mac2, online_session
from apdu.records import InitializeData, InitLoadReply
from reader.session import ProtocolError


class SoftLoadHost:
    """A load host with its root keys in memory. See `reader.loading.LoadHost`.

    load_root: LMK. tac_root: TMK.
    """

    def __init__(self, load_root: Key, tac_root: Key) -> None:
        self._load_root = load_root
        self._tac_root = tac_root

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        """MAC2 for this load. Raises ProtocolError if MAC1 is not this card's."""
        dlk = card_key(self._load_root, info.issuer, info.serial)
        session = online_session(dlk, offer.random, offer.online_seq)
        mac1 = online_mac1(session, offer.balance, asked.amount, LOAD, asked.terminal)
        if not compare_digest(mac1, offer.mac1):
            raise ProtocolError("INITIALIZE FOR LOAD: MAC1 is not this card's")
        return online_mac2(session, asked.amount, LOAD, asked.terminal, at.both)

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        tac: bytes,
    ) -> None:
        """Check the TAC. Raises ProtocolError if it is not this card's over this load."""
        dtk = card_key(self._tac_root, info.issuer, info.serial)
        after = offer.balance + asked.amount
        expected = load_tac(dtk, after, offer.online_seq, asked.amount, asked.terminal, at.both)
        if not compare_digest(expected, tac):
            raise ProtocolError("CREDIT FOR LOAD: the TAC is not this card's")
