"""The money in a recording: what each command asks for and each answer says of the balance."""

from dataclasses import dataclass
from typing import Any, Final

from apdu.codec import WireError
from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    DEBIT_UNLOAD,
    ED,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_CASH,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
)
from apdu.records import InitLoadReply, InitPurchaseReply
from apdu.show import money
from apdu.spec import Call, CommandSpec
from apdu.trace import find_call
from apdu.value import value

_SIGNS: Final = {INIT_LOAD: 1, INIT_UNLOAD: -1, INIT_PURCHASE: -1, INIT_CAPP: -1, INIT_CASH: -1}
_ENDS: Final = frozenset({CREDIT_LOAD, DEBIT, DEBIT_UNLOAD})
_SPENDABLE: Final = frozenset({0x00, 0x03})
"""P1 of GET BALANCE: available and actual, of all balances those a passenger means (4.12)."""
_DONE: Final = b"\x90\x00"


@value
class Movement:
    """What an APDU says of money, fen. purse: EP or ED.

    amount: asked for or moved, below zero if it leaves the purse.
    before, after: the balance; None where the APDU does not say.
    """

    amount: int | None = None
    before: int | None = None
    after: int | None = None
    purse: str = "EP"

    @property
    def text(self) -> str:
        """A short text: `asks -4.00`, `50.00`, `50.00 > 46.00`."""
        purse = "ED " if self.purse == "ED" else ""
        if self.after is None:
            return f"{purse}asks {_signed(self.amount or 0)}"
        if self.before is None:
            return f"{purse}{money(self.after)}"
        return f"{purse}{money(self.before)} > {money(self.after)}"


def _signed(fen: int) -> str:
    return f"+{money(fen)}" if fen > 0 else money(fen)


@dataclass(slots=True)
class _Pending:
    """A transaction that was begun. balance, seq: before it, once the card has offered it."""

    amount: int
    purse: str
    balance: int | None = None
    seq: int = 0


class Ledger:
    """Follows the card's APDUs in their order."""

    def __init__(self) -> None:
        self._pending: _Pending | None = None

    def command(self, command: bytes) -> Movement | None:
        """What a command asks for."""
        found = find_call(command)
        if found is None:
            return None
        spec, call = found
        if spec in _SIGNS:
            amount = _SIGNS[spec] * call.data.amount
            self._pending = _Pending(amount, "ED" if call.p2 == ED else "EP")
            return Movement(amount, purse=self._pending.purse)
        return None

    def response(self, command: bytes, response: bytes) -> Movement | None:
        """What the answer to a command says."""
        found = find_call(command)
        if found is None or response[-2:] != _DONE:
            return None
        spec, call = found
        try:
            return self._said(spec, call, response[:-2])
        except WireError:
            return None

    def _said(self, spec: CommandSpec[Any, Any], call: Call[Any], data: bytes) -> Movement | None:
        if spec is GET_BALANCE and call.p1 in _SPENDABLE:
            purse = "ED" if call.p2 == ED else "EP"
            return Movement(after=spec.parse_reply(data).amount, purse=purse)
        if spec in _SIGNS and self._pending is not None:
            return self._offered(self._pending, spec.parse_reply(data))
        if spec in _ENDS or (spec is GET_PROVE and self._is_proof(call)):
            return self._moved()
        return None

    def _offered(self, pending: _Pending, offer: InitPurchaseReply | InitLoadReply) -> Movement:
        if isinstance(offer, InitPurchaseReply):
            # Its balance includes the overdraft limit (4.14).
            pending.balance, pending.seq = offer.balance - offer.overdraft_limit, offer.offline_seq
        else:
            pending.balance, pending.seq = offer.balance, offer.online_seq
        return Movement(after=pending.balance, purse=pending.purse)

    def _is_proof(self, call: Call[Any]) -> bool:
        """Whether it is asked for the transaction whose answer was lost (4.20)."""
        return self._pending is not None and call.data.seq == self._pending.seq + 1

    def _moved(self) -> Movement | None:
        pending, self._pending = self._pending, None
        if pending is None or pending.balance is None:
            return None
        after = pending.balance + pending.amount
        return Movement(pending.amount, pending.balance, after, pending.purse)
