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

from apdu.commands import DEBIT, EP, TABLE, UPDATE_CACHE
from apdu.key_commands import GET_ALGORITHM
from apdu.spec import ANY, ROUTES_KEPT, Call, CommandSpec, CommandTable, Refuse, State, answer_of
from apdu.sw import SW
from apdu.value import value
from emulator.card import filesystem, issuing, keys, purchase, purse, writing
from emulator.card.handlers import HANDLERS, Handler
from emulator.card.state import Blocked, CardState, Chip, Image, Purse, at_rest
from emulator.card.store import Store, StoreError
from emulator.picc import Contactless

__all__ = ["Card"]

_OK = b"\x90\x00"
_ALGORITHM = bytes((GET_ALGORITHM.cla, GET_ALGORITHM.ins))
_BARRED = {
    "01": bytes((DEBIT.cla, DEBIT.ins, 0x02, 0x00)),
    "02": bytes((DEBIT.cla, DEBIT.ins, 0x01, 0x00)),
}
"""By what the dialect's debit_p1 takes, what it refuses."""
_EXEMPT = {bytes((spec.cla, spec.ins)) for spec in TABLE if spec.if_blocked}
_READ = 5
_IDLE, _UNBLOCKED = State.IDLE, Blocked.NO
"""A member of an Enum costs more to name than to compare, and these are at every command."""
_Plan = tuple[CommandSpec[Any, Any], Handler[Any, Any]]
_Read = tuple[CommandSpec[Any, Any], Handler[Any, Any], Call[Any]]


@value
class _Known:
    """The first legal headers seen, with their handlers, and the first reads, whole."""

    plans: dict[bytes, _Plan]
    reads: dict[bytes, _Read]


_KNOWN: dict[tuple[bytes | None, bytes | None], _Known] = {}
"""For all cards that know the same commands: what is absent and what is barred there (see
`CommandTable.route`)."""

assert all((filesystem, issuing, keys, purchase, purse, writing))  # they register their handlers


class Card:
    """A card in somebody's field. See `emulator.picc.Picc` for the seam."""

    __slots__ = (
        "_absent",
        "_barred",
        "_card",
        "_chip",
        "_plans",
        "_reads",
        "_store",
        "contactless",
    )

    def __init__(self, chip: Chip, store: Store, contactless: Contactless) -> None:
        self.contactless = contactless
        self._chip = chip
        self._store = store
        self._absent = None if chip.dialect.dual_alg else _ALGORITHM
        """Class and instruction that this card does not know, though the table does (4.21)."""
        self._barred = _BARRED.get(chip.dialect.debit_p1)
        """The header of the DEBIT that is another card's (Q19)."""
        known = _KNOWN.setdefault((self._absent, self._barred), _Known({}, {}))
        self._plans, self._reads = known.plans, known.reads
        self._card = self._fresh()

    def _fresh(self) -> CardState:
        """Volatile state after power-on: the MF is selected and no right is met."""
        image = self._store.load()
        standing = filesystem.entered(image, 0, 0)
        return CardState(image, 0, None, State.IDLE, None, (), None, standing)

    @property
    def image(self) -> Image:
        """What the card has committed."""
        return self._card.image

    @property
    def purse(self) -> Purse:
        """The electronic purse, wherever it is. Raises LookupError on a card without one."""
        for directory in self._card.image.directories:
            if EP in directory.purses:
                return directory.purses[EP]
        raise LookupError("the card has no electronic purse")

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
            spec, handler, call = self._reads.get(command) or self._understood(card, command)
            image = card.image
            if image.is_dead or image.directories[card.at].blocked is not _UNBLOCKED:
                _demand_answer(card, spec.if_blocked)
            if spec.when is not ANY and card.state not in spec.when:
                raise Refuse(self._wrong_state(spec))
            after, reply = handler(card, call, self._chip)
            answer = answer_of(spec, reply, call.ne) + _OK
        except Refuse as refusal:
            after = refusal.after if isinstance(refusal.after, CardState) else card
            answer = refusal.data + refusal.sw.to_bytes(2, "big")
        if after is card:
            if card.state is not _IDLE or card.challenge is not None:
                self._card = at_rest(card)
            return answer
        return self._keep(card, after, answer)

    def _understood(self, card: CardState, command: bytes) -> _Read:
        """What a command asks for: class, instruction, P1 and P2, block, lengths, in this order.

        Raises Refuse. Reads of five bytes are remembered: there is nothing else in them.
        """
        plan = self._plans.get(command[:4]) or self._plan(bytes(command[:4]))
        if isinstance(plan, SW):
            if plan is SW.WRONG_P1P2:
                _demand_answer(card, command[:2] in _EXEMPT)
            raise Refuse(plan)
        spec, handler = plan
        _demand_answer(card, spec.if_blocked)
        call = CommandTable.shape(spec, command)
        if len(command) == _READ and spec.data is None and len(self._reads) < ROUTES_KEPT:
            self._reads[bytes(command)] = (spec, handler, call)
        return spec, handler, call

    def _plan(self, header: bytes) -> _Plan | SW:
        """What a header means to this card, which may know less than the table has (4.21, Q19)."""
        found = TABLE.route(header)
        if header[:2] == self._absent and found is not SW.WRONG_LENGTH:
            return SW.INS_UNKNOWN
        if header == self._barred:
            return SW.WRONG_P1P2
        if isinstance(found, SW):
            return found
        plan = (found, HANDLERS[found.name])
        if len(self._plans) < ROUTES_KEPT:
            self._plans[header] = plan
        return plan

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

    def _wrong_state(self, spec: CommandSpec[Any, Any]) -> int:
        """6901, but one text has 6985 for 80 DC without INITIALIZE (4.2, Q16)."""
        if spec is UPDATE_CACHE and self._chip.dialect.cache_too_soon == "6985":
            return SW.CONDITIONS_OF_USE
        return SW.WRONG_STATE


def _demand_answer(card: CardState, if_blocked: bool) -> None:
    """What a dead card answers to all, and a blocked application to all but a few (4.19).

    if_blocked: the command is one of the few. Raises Refuse: 6A81 or 9303.
    """
    if card.image.is_dead:
        raise Refuse(SW.BLOCKED)
    blocked = card.image.directories[card.at].blocked
    if blocked is not Blocked.NO and not if_blocked:
        raise Refuse(SW.BLOCKED if blocked is Blocked.TEMPORARY else SW.PERMANENTLY_BLOCKED)
