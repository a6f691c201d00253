"""Clearing: so far the one check everything else rests on, the TAC of a purchase."""

from apdu.crypto import Key, compare_digest
from apdu.purse import card_key, spend_tac
from reader.transactions import Receipt


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
