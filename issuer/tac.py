"""The check everything else rests on: the TAC, recomputed with the card's own key."""

from apdu.crypto import Key, compare_digest
from apdu.purse import LOAD, UNLOAD, card_key, load_tac, spend_tac
from reader.taprecord import TapRecord
from reader.transactions import Receipt

CARDS_KEPT = 20_000
"""Cards whose keys are kept at once: a cipher context is about a kilobyte."""


def tac_is_right(receipt: Receipt, tac_root: Key) -> bool:
    """Whether a purchase's TAC is the card's over exactly this record (protocol reference 5.5).

    tac_root: TMK, from which the card's DTK is diversified.
    """
    dtk = card_key(tac_root, receipt.issuer, receipt.serial)
    expected = spend_tac(
        dtk,
        receipt.amount,
        receipt.kind,
        receipt.terminal,
        receipt.terminal_seq,
        receipt.when.both,
    )
    return compare_digest(expected, receipt.tac)


class TacCheck:
    """Checks the TACs of many records. tac_root: TMK.

    The keys of the cards seen last are kept, CARDS_KEPT at most, so memory stays flat.
    """

    def __init__(self, tac_root: Key) -> None:
        self._root = tac_root
        self._issuers: dict[bytes, Key] = {}
        self._cards: dict[bytes, Key] = {}

    def is_right(self, record: TapRecord) -> bool:
        """Whether the TAC is the card's over exactly this record."""
        info = record.info
        dtk = self._cards.get(info[:20]) or self._key(info)
        if record.kind in (LOAD, UNLOAD):
            if record.counter == 0 or record.after < 0:
                return False  # no card counts so
            expected = load_tac(
                dtk,
                record.after,
                record.counter - 1,
                record.amount,
                record.terminal,
                record.when,
                record.kind,
            )
        else:
            expected = spend_tac(
                dtk,
                record.amount,
                record.kind,
                record.terminal,
                record.terminal_seq,
                record.when,
            )
        return compare_digest(expected, record.tac)

    def _key(self, info: bytes) -> Key:
        issuer = self._issuers.get(info[:8])
        if issuer is None:
            if len(self._issuers) >= CARDS_KEPT:
                self._issuers.clear()
            issuer = self._issuers[info[:8]] = self._root.diversify(info[:8])
        if len(self._cards) >= CARDS_KEPT:
            del self._cards[next(iter(self._cards))]
        made = self._cards[info[:20]] = issuer.diversify(info[12:20])
        return made
