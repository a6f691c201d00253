"""The card: any bytes in, at least two bytes out.

Theory of operation. `process` is one short pipeline, and its order of checks is the card's order
(protocol reference 4.1): class, instruction, blocked, parameters, lengths, state; then the
handler's own: key, security, business. Handlers are pure functions from state to new state and
answer. The answer is built and checked against Le first, then the new image is committed to the
store, once, and only then the answer leaves: a cut anywhere leaves all old or all new.

Every refusal, and every command outside a running transaction, brings the transaction machine to
rest and drops cached records (4.2, Q17).

`process` takes any bytes and does not raise on input. It does not catch our own bugs either, so
that tests see them; front ends do, and answer 6F00.
"""

from typing import Any

from apdu.commands import TABLE
from apdu.spec import ANY, CommandSpec, CommandTable, Refuse, State, answer_of
from apdu.sw import SW
from emulator.card import filesystem, purse
from emulator.card.handlers import HANDLERS, Handler
from emulator.card.state import Blocked, CardState, Chip, Image, at_rest
from emulator.card.store import Store, StoreError
from emulator.picc import Contactless

__all__ = ["Card"]

_OK = b"\x90\x00"
_Plan = tuple[CommandSpec[Any, Any], Handler[Any, Any]]
_PLANS: dict[bytes, _Plan] = {}
"""Legal headers seen so far. Legal headers are few (see `CommandTable.route`)."""

assert filesystem
assert purse


def _plan(header: bytes) -> _Plan | SW:
    found = TABLE.route(header)
    if isinstance(found, SW):
        return found
    plan = (found, HANDLERS[found.name])
    _PLANS[header] = plan
    return plan


class Card:
    """A card in somebody's field. See `emulator.picc.Picc` for the seam."""

    __slots__ = ("_card", "_chip", "_store", "contactless")

    def __init__(self, chip: Chip, store: Store, contactless: Contactless) -> None:
        self.contactless = contactless
        self._chip = chip
        self._store = store
        self._card = self._fresh()

    def _fresh(self) -> CardState:
        """Volatile state after power-on: the first application is selected, nothing is pending."""
        first = self._chip.applications[0]
        return CardState(self._store.load(), first, None, State.IDLE, None, (), None)

    @property
    def image(self) -> Image:
        """What the card has committed."""
        return self._card.image

    @property
    def state(self) -> State:
        """Where the transaction machine stands."""
        return self._card.state

    def power_on(self) -> bytes:
        """See Picc."""
        self._card = self._fresh()
        return self.contactless.historical

    def power_off(self) -> None:
        """See Picc. Whatever was not committed is gone."""
        self._card = self._fresh()

    def process(self, command: bytes) -> bytes:
        """See Picc."""
        card = self._card
        try:
            plan = _PLANS.get(command[:4]) or _plan(bytes(command[:4]))
            if isinstance(plan, SW):
                raise Refuse(_blocked(card) or plan if plan is SW.WRONG_P1P2 else plan)
            spec, handler = plan
            if card.image.blocked is not Blocked.NO and not spec.if_blocked:
                self._refuse_if_blocked(card)
            call = CommandTable.shape(spec, command)
            if spec.when is not ANY and card.state not in spec.when:
                raise Refuse(SW.WRONG_STATE)
            after, reply = handler(card, call, self._chip)
            answer = answer_of(spec, reply, call.ne) + _OK
        except Refuse as refusal:
            after = refusal.after if isinstance(refusal.after, CardState) else card
            answer = refusal.data + refusal.sw.to_bytes(2, "big")
        if after is card:
            if card.state is not State.IDLE or card.challenge is not None:
                self._card = at_rest(card)
            return answer
        return self._keep(card, after, answer)

    def _keep(self, card: CardState, after: CardState, answer: bytes) -> bytes:
        """Commit, then let the answer go. A store that fails costs the transaction, no money."""
        if after.image is not card.image:
            try:
                self._store.commit(after.image)
            except StoreError:
                self._card = at_rest(card)
                return SW.MEMORY_FAILURE.to_bytes(2, "big")
        self._card = after
        return answer

    @staticmethod
    def _refuse_if_blocked(card: CardState) -> None:
        sw = _blocked(card)
        if sw is not None:
            raise Refuse(sw)


def _blocked(card: CardState) -> SW | None:
    """What a blocked purse answers to everything but SELECT and GET CHALLENGE (4.19)."""
    if not card.selected.has_purse or card.image.blocked is Blocked.NO:
        return None
    return SW.BLOCKED if card.image.blocked is Blocked.TEMPORARY else SW.PERMANENTLY_BLOCKED
