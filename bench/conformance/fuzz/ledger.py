"""What the card's purses must hold, as far as its own answers and the commits tell."""

from typing import Any

from apdu.commands import ED, EP
from apdu.purse import (
    limit_mac1,
    limit_mac2,
    limit_tac,
    load_tac,
    online_mac1,
    online_mac2,
    online_session,
    purchase_session,
    spend_mac1,
    spend_mac2,
    spend_tac,
    unload_mac3,
)
from apdu.records import (
    CreditLoadData,
    DebitData,
    InitLimitReply,
    InitLoadReply,
    InitPurchaseReply,
    UpdateLimitData,
)
from bench.conformance.desk import Desk, Offer
from bench.conformance.fuzz.breach import Breach, Rule

LIMIT, UNLOAD, LOADS, SPENDS = 7, 3, (1, 2), (4, 5, 6, 9)
WORDS = {0: "available", 1: "limit", 2: "used", 3: "actual", 4: "ceiling"}
"""GET BALANCE by P1 (4.12)."""
LAST = 0xFFFF


class Opened:
    """A transaction under way. which: the purse. offer: what INITIALIZE asked and answered."""

    __slots__ = ("cache", "offer", "which")

    def __init__(self, which: int, offer: Offer) -> None:
        self.which = which
        self.offer = offer
        self.cache: dict[tuple[int, int], bytes] = {}


class Ledger:
    """Numbers of each purse by name, what was answered last for each type, and MACs.

    A number that was never told is not known and not judged; a commit keeps what follows from it.
    """

    def __init__(self, desk: Desk, *, has_ed: bool) -> None:
        self.desk = desk
        self.has_ed = has_ed
        self.numbers: dict[int, dict[str, int]] = {ED: {}, EP: {}}
        self.proofs: dict[int, tuple[int, bytes]] = {}
        self.commits = 0

    def hear(self, which: int, name: str, came: int, rule: Rule = Rule.MONEY) -> None:
        """A number the card tells. Raises Breach if another was known."""
        numbers = self.numbers[which]
        known = numbers.setdefault(name, came)
        if known != came:
            purse = "ED" if which == ED else "EP"
            raise Breach(rule, f"{purse} {name} {known}", str(came))

    def opened(self, p2: int, offer: Offer) -> Opened:
        """A successful INITIALIZE. Raises Breach."""
        which = EP if offer.kind == LIMIT and not self.has_ed else p2
        reply, kind = offer.reply, offer.kind
        self.hear(which, "available", reply.balance)
        if kind in SPENDS:
            self._opened_offline(which, offer)
            return Opened(which, offer)
        self.hear(which, "online", reply.online_seq, Rule.COUNT)
        if kind == LIMIT:
            self.hear(which, "limit", reply.overdraft_limit)
        _below(reply.online_seq)
        self._bound(which, offer)
        self._demand_mac1(offer)
        return Opened(which, offer)

    def _opened_offline(self, which: int, offer: Offer) -> None:
        reply: InitPurchaseReply = offer.reply
        self.hear(which, "offline", reply.offline_seq, Rule.COUNT)
        self.hear(which, "limit", reply.overdraft_limit)
        _below(reply.offline_seq)
        if offer.asked.amount > reply.balance:
            raise Breach(Rule.BOUND, f"at most {reply.balance}", f"{offer.asked.amount} offered")

    def _bound(self, which: int, offer: Offer) -> None:
        kind, numbers = offer.kind, self.numbers[which]
        if kind == LIMIT:
            return
        amount = offer.asked.amount
        if amount == 0:
            raise Breach(Rule.BOUND, "an amount above 0", "0 offered")
        actual, used = numbers.get("actual"), numbers.get("used")
        if actual is None or used is None:
            return
        most = actual if kind == UNLOAD else numbers.get("ceiling", amount + actual) - actual + used
        if amount > most:
            raise Breach(Rule.BOUND, f"at most {most}", f"{amount} offered")

    def _session(self, offer: Offer) -> Any:  # noqa: ANN401 - a MacKey or an SM4 one
        keys = self.desk.keys
        own = {LIMIT: keys.duk, UNLOAD: keys.dulk}.get(offer.kind, keys.dlk)
        return online_session(own, offer.reply.random, offer.seq)

    def _demand_mac1(self, offer: Offer) -> None:
        if self.desk.keys is None:
            return
        session, asked, reply = self._session(offer), offer.asked, offer.reply
        if isinstance(reply, InitLimitReply):
            right = limit_mac1(session, reply.balance, reply.overdraft_limit, asked.terminal)
        else:
            assert isinstance(reply, InitLoadReply)
            right = online_mac1(session, reply.balance, asked.amount, offer.kind, asked.terminal)
        if reply.mac1 != right:
            raise Breach(Rule.PROOF, f"MAC1 {right.hex()}", reply.mac1.hex())

    def is_right(self, opened: Opened, data: Any) -> bool:  # noqa: ANN401 - a final's record
        """Whether a final command's MAC fits what was opened."""
        offer, keys = opened.offer, self.desk.keys
        if not isinstance(data, _final(offer.kind)):
            return False
        asked, when = offer.asked, data.date + data.time
        if offer.kind in SPENDS:
            session = purchase_session(keys.dpk, offer.reply.random, offer.seq, data.terminal_seq)
            right = spend_mac1(session, asked.amount, offer.kind, asked.terminal, when)
            return bool(right == data.mac1)
        if offer.kind == LIMIT:
            right = limit_mac2(self._session(offer), data.overdraft_limit, asked.terminal, when)
        else:
            right = online_mac2(
                self._session(offer), asked.amount, offer.kind, asked.terminal, when
            )
        return bool(right == data.mac2)

    def commit(self, opened: Opened, data: Any, reply: bytes) -> int:  # noqa: ANN401
        """A final command was taken. Raises Breach if its answer is wrong. Returns its number."""
        numbers = self.numbers[opened.which]
        kind, asked, seq = opened.offer.kind, opened.offer.asked, opened.offer.seq
        self.commits += 1
        numbers["offline" if kind in SPENDS else "online"] = seq + 1
        if kind == LIMIT:
            numbers["available"] += data.overdraft_limit - numbers["limit"]
            numbers["limit"] = data.overdraft_limit
        else:
            self._move(numbers, kind, asked.amount)
        right, proof = self._answer(opened, data, numbers["available"])
        if right != reply:
            raise Breach(Rule.PROOF, f"the answer {right.hex()}", reply.hex())
        self.proofs[kind] = seq + 1, proof
        return seq + 1

    @staticmethod
    def _move(numbers: dict[str, int], kind: int, amount: int) -> None:
        change = amount if kind in LOADS else -amount
        numbers["available"] += change
        if "actual" not in numbers or "used" not in numbers:
            numbers.pop("actual", None)
            numbers.pop("used", None)
            return
        if kind in LOADS:
            repaid = min(numbers["used"], amount)
            numbers["used"] -= repaid
            numbers["actual"] += amount - repaid
        elif kind == UNLOAD:
            numbers["actual"] -= amount
        else:
            paid = min(numbers["actual"], amount)
            numbers["actual"] -= paid
            numbers["used"] += amount - paid

    def _answer(self, opened: Opened, data: Any, balance: int) -> tuple[bytes, bytes]:  # noqa: ANN401
        """The answer a final command must have, and the proof kept of it."""
        offer, keys = opened.offer, self.desk.keys
        asked, seq, when = offer.asked, offer.seq, data.date + data.time
        if offer.kind in SPENDS:
            session = purchase_session(keys.dpk, offer.reply.random, seq, data.terminal_seq)
            mac2 = spend_mac2(session, asked.amount)
            tac = spend_tac(
                keys.dtk, asked.amount, offer.kind, asked.terminal, data.terminal_seq, when
            )
            return tac + mac2, mac2 + tac
        if offer.kind == UNLOAD:
            mac3 = unload_mac3(
                self._session(offer), balance, seq, asked.amount, asked.terminal, when
            )
            return mac3, mac3 + bytes(4)
        if offer.kind == LIMIT:
            tac = limit_tac(keys.dtk, balance, seq, data.overdraft_limit, asked.terminal, when)
        else:
            tac = load_tac(keys.dtk, balance, seq, asked.amount, asked.terminal, when, offer.kind)
        return tac, data.mac2 + tac

    def prove(self, kind: int, seq: int, came: bytes) -> None:
        """GET TRANSACTION PROVE was answered. Raises Breach."""
        known = self.proofs.get(kind)
        if known is not None and known != (seq, came):
            raise Breach(Rule.PROOF, f"number {known[0]} and {known[1].hex()}", came.hex())


def _final(kind: int) -> type[Any]:
    """The record of the final command of a transaction of that type."""
    if kind in SPENDS:
        return DebitData
    return UpdateLimitData if kind == LIMIT else CreditLoadData


def _below(seq: int) -> None:
    if seq >= LAST:
        raise Breach(Rule.COUNT, "no transaction at number FFFF", "one was begun")
