"""What a card can be, and what may happen to it: a table, and a sentence for the rest.

The table is all there is: what is not in it is refused. A card that is lost, returned or refunded
never becomes usable again, also when the phone is found (R29).
"""

from enum import StrEnum

from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import USABLE


class CardState(StrEnum):
    """OPENING: reserved, and being made. VOID: given up before it was made."""

    OPENING = "opening"
    ACTIVE = "active"
    VOID = "void"
    LOST = "lost"
    RETURNED = "returned"
    REFUNDED = "refunded"

    @property
    def is_usable(self) -> bool:
        """Whether it takes the one slot of its holder (R6)."""
        return self.value in USABLE


class CardEvent(StrEnum):
    """What happens to a card."""

    ACTIVATE = "activate"
    GIVE_UP = "give_up"
    REPORT_LOST = "report_lost"
    RETURN = "return"
    REFUND = "refund"


class Carrier(StrEnum):
    """What carries the card (R7). PHYSICAL: of plastic, counted with the others (R6)."""

    NFC = "nfc_ese"
    SUPER_SIM = "super_sim"
    PHYSICAL = "physical"


_S, _E = CardState, CardEvent

NEXT: dict[tuple[CardState, CardEvent], CardState] = {
    (_S.OPENING, _E.ACTIVATE): _S.ACTIVE,
    (_S.OPENING, _E.GIVE_UP): _S.VOID,
    (_S.OPENING, _E.REPORT_LOST): _S.LOST,
    (_S.ACTIVE, _E.ACTIVATE): _S.ACTIVE,
    (_S.ACTIVE, _E.REPORT_LOST): _S.LOST,
    (_S.ACTIVE, _E.RETURN): _S.RETURNED,
    (_S.VOID, _E.GIVE_UP): _S.VOID,
    (_S.LOST, _E.REPORT_LOST): _S.LOST,
    (_S.LOST, _E.REFUND): _S.REFUNDED,
    (_S.RETURNED, _E.RETURN): _S.RETURNED,
    (_S.RETURNED, _E.REFUND): _S.REFUNDED,
    (_S.REFUNDED, _E.REFUND): _S.REFUNDED,
}
"""State and event to state. An event told twice changes nothing."""

RULES = {
    _E.ACTIVATE: "R24",
    _E.GIVE_UP: "R24",
    _E.REPORT_LOST: "R29",
    _E.RETURN: "R33",
    _E.REFUND: "R31",
}
"""The rule that an event belongs to."""

_ARE = {
    _S.OPENING: ("正在开通", "is being opened"),
    _S.ACTIVE: ("已开通", "is active"),
    _S.VOID: ("未开通成功", "was never opened"),
    _S.LOST: ("已挂失", "was reported lost"),
    _S.RETURNED: ("已退卡", "was returned"),
    _S.REFUNDED: ("已退资", "was refunded"),
}
_WANTED = {
    _E.ACTIVATE: ("不能再启用，请重新开卡", "cannot be made usable; open a new card"),
    _E.GIVE_UP: ("不能取消开通，请办理退卡", "cannot be given up; return it"),
    _E.REPORT_LOST: ("无需挂失", "need not be reported lost"),
    _E.RETURN: ("不能退卡", "cannot be returned"),
    _E.REFUND: ("不能退资，请先退卡", "cannot be refunded; return it first"),
}


@holds("R29", "R31", "R33")
def step(state: CardState, event: CardEvent) -> CardState | Refusal:
    """What a card becomes, or why not."""
    after = NEXT.get((state, event))
    if after is not None:
        return after
    (is_zh, is_en), (not_zh, not_en) = _ARE[state], _WANTED[event]
    return Refusal(
        RULES[event],
        f"{state}_no_{event}",
        f"此卡{is_zh}，{not_zh}。",
        f"The card {is_en} and {not_en}.",
    )
