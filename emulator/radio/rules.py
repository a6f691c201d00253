"""The rules of ISO/IEC 14443-4, 7.5.4, as a table: who keeps each, what it says, where it is kept.

The machines cite the rules where they act (`isodep` for the card, `pcd` for the reader). A test
holds this table against both and against the tests: each rule is cited and has tests of its name.
`docs/isodep.md` is written from it.
"""

from enum import StrEnum
from typing import Final

from apdu.value import value


class Side(StrEnum):
    """Who keeps a rule."""

    BOTH = "both"
    PCD = "reader"
    PICC = "card"


@value
class Rule:
    """One rule. name: the standard's letter or number. where: the functions that keep it."""

    name: str
    side: Side
    says: str
    where: tuple[str, ...]


_CARD = "isodep.IsoDep."
_READER = "pcd.PcdIsoDep."

RULES: Final = (
    Rule(
        "A",
        Side.PCD,
        "The reader's block number is 0 at activation.",
        (_READER + "activate",),
    ),
    Rule(
        "B",
        Side.PCD,
        "The reader toggles its number when it receives an I-block or R(ACK) that carries it.",
        (_READER + "_deliver", _READER + "_next_part"),
    ),
    Rule(
        "C",
        Side.PICC,
        "The card's block number is 1 at activation.",
        (_CARD + "_restart",),
    ),
    Rule(
        "D",
        Side.PICC,
        "The card toggles its number with each I-block it receives, whatever number that has, "
        "before it answers.",
        (_CARD + "_on_i_block", _CARD + "receive"),
    ),
    Rule(
        "E",
        Side.PICC,
        "The card toggles its number when R(ACK) carries another one; so only while it chains.",
        (_CARD + "_on_r_block",),
    ),
    Rule("1", Side.BOTH, "The reader speaks first.", (_READER + "_exchange", _CARD + "receive")),
    Rule(
        "2",
        Side.BOTH,
        "A chained I-block is answered by R(ACK).",
        (_CARD + "_on_i_block", _READER + "transmit"),
    ),
    Rule(
        "3",
        Side.BOTH,
        "S requests and S responses come in pairs.",
        (_CARD + "_on_deselect", _CARD + "_on_wtx_response", _READER + "_exchange"),
    ),
    Rule(
        "4",
        Side.PCD,
        "On a timeout or a bad block the reader sends R(NAK), unless the card chains or the block "
        "was S(DESELECT).",
        (_READER + "_deliver",),
    ),
    Rule(
        "5",
        Side.PCD,
        "While the card chains, the reader sends R(ACK) instead.",
        (_READER + "_next_part",),
    ),
    Rule(
        "6",
        Side.PCD,
        "R(ACK) with the other number makes the reader send its last I-block again. Kept only "
        "after R(NAK): otherwise it is a late copy.",
        (_READER + "_deliver",),
    ),
    Rule(
        "7",
        Side.PCD,
        "R(ACK) with the reader's number lets it continue its chain.",
        (_READER + "transmit",),
    ),
    Rule(
        "8",
        Side.PCD,
        "A lost answer to S(DESELECT) may be asked for again; then the card is dropped.",
        (_READER + "deselect",),
    ),
    Rule(
        "9",
        Side.PICC,
        "The card may send S(WTX) instead of an I-block or R(ACK).",
        (_CARD + "request_wtx",),
    ),
    Rule(
        "10",
        Side.PICC,
        "An I-block that is not chained is answered by an I-block.",
        (_CARD + "_on_i_block", _CARD + "receive"),
    ),
    Rule(
        "11",
        Side.PICC,
        "R(ACK) or R(NAK) with the card's number: it sends its last block again, unchanged.",
        (_CARD + "_on_r_block",),
    ),
    Rule(
        "12",
        Side.PICC,
        "R(NAK) with another number is answered by R(ACK).",
        (_CARD + "_on_r_block",),
    ),
    Rule(
        "13",
        Side.PICC,
        "R(ACK) with another number lets the card continue its chain.",
        (_CARD + "_on_r_block",),
    ),
)
