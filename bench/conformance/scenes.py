"""What written cases share: transactions as values, and the way to them.

A `Deal` is one kind of transaction. `Inputs` are the data its cryptograms are made of, so that a
case can change one of them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from apdu.command import Command, Response
from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    DEBIT_UNLOAD,
    ED,
    EP,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_CASH,
    INIT_LIMIT,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
    READ_BINARY,
    READ_RECORD,
    SELECT,
    UPDATE_CACHE,
    UPDATE_LIMIT,
)
from apdu.crypto import Key, MacKey
from apdu.file_commands import AID_PPSE
from apdu.files import EF1A, EF1E
from apdu.key_commands import VERIFY_PIN
from apdu.purse import (
    CAPP,
    CASH_WITHDRAW,
    ED_LOAD,
    ED_PURCHASE,
    LIMIT,
    LOAD,
    PURCHASE,
    UNLOAD,
    limit_mac2,
    limit_tac,
    load_tac,
    online_mac2,
    online_session,
    purchase_session,
    spend_mac1,
    spend_mac2,
    spend_tac,
    unload_mac3,
)
from apdu.records import (
    CacheData,
    CreditLoadData,
    DebitData,
    InitializeData,
    InitLimitData,
    ProveData,
    SelectName,
    UpdateLimitData,
)
from bench.conformance.case import Broken, Case, Need, NotApplicable
from bench.conformance.desk import DATE, TERMINAL, TIME, Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.words import Words
from emulator.card.state import Blocked

PAID = frozenset({Need.KEYS, Need.WRITE})
"""What a case with a transaction needs."""

NEAR_END = 0xFF00
"""A declared transaction number from here on may end within a case."""


@dataclass(frozen=True, slots=True)
class Deal:
    """One kind of transaction. keyed: its key in `Secrets`. pair: P1 and P2 of INITIALIZE."""

    key: str
    name: Words
    kind: int
    init: Spec
    pair: Pair
    final: Spec
    keyed: str
    purse: int = EP

    @property
    def is_spending(self) -> bool:
        """Counted by the offline number; the others by the online one."""
        return self.final is DEBIT


TOP_UP = Deal("load", Words("a load", "充值"), LOAD, INIT_LOAD, (0, EP), CREDIT_LOAD, "dlk")
REFUND = Deal(
    "unload", Words("an unload", "圈提"), UNLOAD, INIT_UNLOAD, (5, EP), DEBIT_UNLOAD, "dulk"
)
RIDE = Deal("purchase", Words("a purchase", "消费"), PURCHASE, INIT_PURCHASE, (1, EP), DEBIT, "dpk")
NEW_LIMIT = Deal(
    "limit",
    Words("a limit change", "修改透支限额"),
    LIMIT,
    INIT_LIMIT,
    (4, ED),
    UPDATE_LIMIT,
    "duk",
)
TRIP = Deal("capp", Words("a CAPP purchase", "复合消费"), CAPP, INIT_CAPP, (3, EP), DEBIT, "dpk")

DEALS = (TOP_UP, REFUND, RIDE, NEW_LIMIT, TRIP)
"""The transactions of the electronic purse."""

ED_DEALS = (
    Deal(
        "ed-load",
        Words("an ED load", "存折圈存"),
        ED_LOAD,
        INIT_LOAD,
        (0, ED),
        CREDIT_LOAD,
        "dlk",
        ED,
    ),
    Deal(
        "ed-unload",
        Words("an ED unload", "存折圈提"),
        UNLOAD,
        INIT_UNLOAD,
        (5, ED),
        DEBIT_UNLOAD,
        "dulk",
        ED,
    ),
    Deal(
        "ed-cash",
        Words("an ED cash withdraw", "存折取现"),
        CASH_WITHDRAW,
        INIT_CASH,
        (2, ED),
        DEBIT,
        "dpk",
        ED,
    ),
    Deal(
        "ed-purchase",
        Words("an ED purchase", "存折消费"),
        ED_PURCHASE,
        INIT_PURCHASE,
        (1, ED),
        DEBIT,
        "dpk",
        ED,
    ),
)
"""Those of the electronic deposit, on cards that have one."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the cryptograms of a transaction under way are made of. amount: or the new limit."""

    secret: Key
    random: bytes
    seq: int
    amount: int
    kind: int
    terminal: bytes
    date: bytes
    time: bytes
    terminal_seq: int

    @property
    def when(self) -> bytes:
        """Date and time, as they lie in the cryptograms."""
        return self.date + self.time


Scene = Callable[[Lab, Deal], None]
"""A case over one kind of transaction."""


def of_deals(
    group: str,
    name: str,
    en: str,
    zh: str,
    scene: Scene,
    *clauses: str,
    deals: Iterable[Deal] = DEALS,
    needs: frozenset[Need] = PAID,
    **more: Any,  # noqa: ANN401 - fields of Case
) -> Iterator[Case]:
    """The same case over several kinds of transactions. en, zh: with {} for the kind's name.

    Those of the electronic deposit ask for a card that has one.
    """
    for deal in deals:
        text = en.format(deal.name.en)
        title = Words(text[0].upper() + text[1:], zh.format(deal.name.zh))

        def body(lab: Lab, deal: Deal = deal) -> None:
            scene(lab, deal)

        key = f"{group.lower()}.{name}.{deal.key}"
        fields = {"setup": {"has_ed": True}} | more if deal.purse == ED else more
        yield Case(key, group, title, clauses, body, needs=needs, **fields)


# The way to a transaction


def opened(lab: Lab) -> bytes:
    """Select the purse. Returns its FCI. Raises NotApplicable on a card declared blocked."""
    answer = lab.select()
    if lab.declared.blocked is not Blocked.NO:
        raise NotApplicable("the application of this card is blocked", "此卡的应用已锁定")
    return lab.must(answer, clause="4.4").data


def with_pin(lab: Lab, deal: Deal = TOP_UP) -> None:
    """Present the PIN where this card wants it before the transaction (4.11, Q13)."""
    wants = deal.purse == ED or (deal.init is INIT_LOAD and lab.declared.dialect.pin_for_load)
    if wants:
        lab.done_ok(VERIFY_PIN)


def init_pair(lab: Lab, deal: Deal) -> Pair:
    """P1 and P2 of INITIALIZE: the limit of the EP has P2 02 where there is an ED too."""
    return (4, EP) if deal.final is UPDATE_LIMIT and lab.declared.has_ed else deal.pair


def final_pair(lab: Lab, deal: Deal) -> Pair:
    """P1 and P2 of the final command: DEBIT's P1 is a dialect's (Q19)."""
    if deal.final is DEBIT:
        return (2, 0) if lab.declared.dialect.debit_p1 == "02" else (1, 0)
    return deal.final.usual


def init_command(lab: Lab, deal: Deal, amount: int, index: int = 1) -> bytes:
    """INITIALIZE of a deal. index: of the key."""
    p1, p2 = init_pair(lab, deal)
    if deal.init is INIT_LIMIT:
        return deal.init.command(InitLimitData(index, TERMINAL), p1, p2)
    return deal.init.command(InitializeData(index, amount, TERMINAL), p1, p2)


def ceiling(lab: Lab) -> int:
    """The highest actual balance: as the card says with P1 04, or as it is declared (4.12)."""
    answer = lab.ask(GET_BALANCE, pair=(0x04, EP))
    return int.from_bytes(answer[:4], "big") if answer[4:] == b"\x90\x00" else lab.declared.ceiling


def room(lab: Lab) -> int:
    """What a load may bring at most (4.13)."""
    return ceiling(lab) - lab.balance(0x03) + lab.balance(0x02)


def ready(lab: Lab, deal: Deal, amount: int = 100) -> None:
    """Open the purse and see that it can take the deal. Raises NotApplicable if it cannot."""
    opened(lab)
    if deal.purse == ED:
        _ready_ed(lab, deal, amount)
    elif deal.is_spending or deal is REFUND:
        _have(lab, deal, amount)
    elif deal is TOP_UP and room(lab) < amount:
        if lab.balance() < amount:
            raise NotApplicable("the purse can take no more", "钱包已满")
        commit(lab, RIDE, amount)
    elif deal is NEW_LIMIT:
        _choose_limit(lab)
    with_pin(lab, deal)


def _have(lab: Lab, deal: Deal, amount: int) -> None:
    used = lab.balance(0x02)
    held = lab.balance(0x03 if deal is REFUND else 0x00)
    if held >= amount:
        return
    wanted = amount - held + (used if deal is REFUND else 0)
    if room(lab) < wanted:
        raise NotApplicable("the purse has too little and takes no load", "钱包余额不足且不能充值")
    with_pin(lab)
    commit(lab, TOP_UP, wanted)


def _ready_ed(lab: Lab, deal: Deal, amount: int) -> None:
    if not lab.declared.has_ed:
        raise NotApplicable("the card has no electronic deposit", "此卡没有电子存折")
    if deal.init is not INIT_LOAD:
        with_pin(lab, ED_DEALS[0])
        commit(lab, ED_DEALS[0], amount)


def _choose_limit(lab: Lab) -> None:
    now, used = lab.balance(0x01), lab.balance(0x02)
    most = 0xFFFFFF - ceiling(lab)
    lab.limit = next((n for n in (now + 700, now + 1, now, used) if used <= n <= most), used)


def begin(lab: Lab, deal: Deal, amount: int = 100) -> Inputs:
    """INITIALIZE, which must succeed, and what the cryptograms of the transaction are made of."""
    lab.must(offer(lab, deal, amount), clause=deal.init.clause)
    return inputs(lab, deal)


def offer(lab: Lab, deal: Deal, amount: int = 100) -> bytes:
    """INITIALIZE, whatever the answer. Raises NotApplicable on a card that has no numbers left."""
    answer = lab.send(init_command(lab, deal, amount))
    declared = lab.declared
    last = declared.offline_seq if deal.is_spending else declared.online_seq
    if last >= NEAR_END and answer == b"\x94\x02":
        raise NotApplicable(
            "the transaction numbers of this card are at their end", "此卡交易序号已用完"
        )
    return answer


def inputs(lab: Lab, deal: Deal) -> Inputs:
    """The data of the transaction under way. Raises Broken if INITIALIZE's answer has no form."""
    offer = lab.offer
    if offer is None:
        came = lab.said[-1].response or b""
        form = Words("an answer of its declared form", "符合声明格式的应答")
        raise Broken(form, came.hex().upper(), deal.init.clause, len(lab.said) - 1)
    amount = lab.limit if deal is NEW_LIMIT else offer.asked.amount
    return Inputs(
        getattr(lab.keys, deal.keyed),
        offer.reply.random,
        offer.seq,
        amount,
        deal.kind,
        offer.asked.terminal,
        DATE,
        TIME,
        lab.terminal_seq,
    )


# Cryptograms


def session(deal: Deal, q: Inputs) -> MacKey:
    """The session key (5.3)."""
    if deal.is_spending:
        return purchase_session(q.secret, q.random, q.seq, q.terminal_seq)
    return online_session(q.secret, q.random, q.seq)


def permit(deal: Deal, q: Inputs) -> bytes:
    """The terminal's MAC1 or the host's MAC2, which the card checks (5.5)."""
    key = session(deal, q)
    if deal is not NEW_LIMIT:
        make = spend_mac1 if deal.is_spending else online_mac2
        return make(key, q.amount, q.kind, q.terminal, q.when)
    if q.kind == LIMIT:
        return limit_mac2(key, q.amount, q.terminal, q.when)
    return key.mac(q.amount.to_bytes(3, "big") + bytes((q.kind,)) + q.terminal + q.when)


def final_command(lab: Lab, deal: Deal, q: Inputs, mac: bytes | None = None) -> bytes:
    """The final command with these data. mac: instead of the right one."""
    mac = permit(deal, q) if mac is None else mac
    p1, p2 = final_pair(lab, deal)
    if deal.is_spending:
        return deal.final.command(DebitData(q.terminal_seq, q.date, q.time, mac), p1, p2)
    if deal is NEW_LIMIT:
        return deal.final.command(UpdateLimitData(q.amount, q.date, q.time, mac), p1, p2)
    return deal.final.command(CreditLoadData(q.date, q.time, mac), p1, p2)


def answers(lab: Lab, deal: Deal, q: Inputs, available: int) -> tuple[bytes, bytes]:
    """What the card must answer to the final command, and to GET TRANSACTION PROVE (4.20, 5.5).

    available: the balance after the transaction, as INITIALIZE would say it.
    """
    dtk = lab.keys.dtk
    if deal.is_spending:
        mac2 = spend_mac2(session(deal, q), q.amount)
        tac = spend_tac(dtk, q.amount, q.kind, q.terminal, q.terminal_seq, q.when)
        return tac + mac2, mac2 + tac
    if deal.final is DEBIT_UNLOAD:
        mac3 = unload_mac3(session(deal, q), available, q.seq, q.amount, q.terminal, q.when)
        return mac3, mac3 + bytes(4)
    if deal is NEW_LIMIT:
        tac = limit_tac(dtk, available, q.seq, q.amount, q.terminal, q.when)
    else:
        tac = load_tac(dtk, available, q.seq, q.amount, q.terminal, q.when, q.kind)
    return tac, permit(deal, q) + tac


def available_after(lab: Lab, deal: Deal, q: Inputs) -> int:
    """The balance that the transaction under way must leave."""
    assert lab.offer is not None
    balance = int(lab.offer.reply.balance)
    if deal is NEW_LIMIT:
        return balance - int(lab.offer.reply.overdraft_limit) + q.amount
    return balance + q.amount if deal.final is CREDIT_LOAD else balance - q.amount


def finish(lab: Lab, deal: Deal, q: Inputs) -> bytes:
    """The final command, which must succeed. Returns its answer."""
    return lab.must(lab.send(final_command(lab, deal, q)), clause=deal.final.clause).data


def commit(lab: Lab, deal: Deal, amount: int = 100) -> Inputs:
    """One whole transaction in an opened purse."""
    q = begin(lab, deal, amount)
    finish(lab, deal, q)
    return q


def prove(lab: Lab, kind: int, seq: int) -> Response:
    """GET TRANSACTION PROVE, whatever the answer. seq: the number after the transaction."""
    return Response.parse(lab.send(GET_PROVE.command(ProveData(seq & 0xFFFF), 0x00, kind)))


# Trips


def cache_pair(lab: Lab, sfi: int, number: int = 1) -> Pair:
    """P1 and P2 of 80 DC as this card wants them (4.15, Q10)."""
    address = lab.declared.dialect.cache_address
    p1 = 0 if sfi == EF1E.sfi or address == "zero" else number
    return p1, sfi << 3 | (4 if address == "number" else 0)


def cache_command(lab: Lab, sfi: int, record: bytes) -> bytes:
    """80 DC with this record."""
    p1, p2 = cache_pair(lab, sfi, record[1])
    return UPDATE_CACHE.command(CacheData(record), p1, p2)


def cache(lab: Lab, *records: tuple[int, bytes]) -> None:
    """80 DC for each record, which must succeed."""
    for sfi, record in records:
        lab.must(lab.send(cache_command(lab, sfi, record)), clause="4.15")


def free_trip(lab: Lab, number: int = 0) -> int:
    """A trip record 27NN that is not locked: this one, or any. Raises NotApplicable."""
    for one in (number,) if number else range(1, EF1A.count + 1):
        if lab.must(lab.send(read_record(EF1A.sfi, one)), clause="4.7").data[5] == 0:
            return one
    raise NotApplicable("the trip record of this card is locked", "此卡的行程记录已锁定")


def trip(number: int, filler: int, lock: int = 0) -> bytes:
    """An EF1A record 27NN full of a byte."""
    head = bytes((0x27, number, EF1A.size - 3, 1, 1, lock))
    return head + bytes((filler,)) * (EF1A.size - len(head))


def trip_log(filler: int) -> bytes:
    """An EF1E record full of a byte."""
    return bytes((filler,)) * EF1E.size


def read_binary(sfi: int, offset: int = 0) -> bytes:
    """READ BINARY of everything from an offset."""
    return READ_BINARY.command(None, 0x80 | sfi, offset)


def read_record(sfi: int, number: int) -> bytes:
    """READ RECORD by number."""
    return READ_RECORD.command(None, number, sfi << 3 | 4)


def select_ppse(lab: Lab) -> bytes:
    """SELECT the directory. Returns the answer."""
    return lab.ask(SELECT, SelectName(AID_PPSE))


def refused(lab: Lab, command: bytes, *words: int, clause: str = "") -> None:
    """A command that must be refused with one of these words, and no data."""
    lab.must(lab.send(command), *words, clause=clause)


def flipped(command: bytes, at: int, mask: int = 0xFF) -> bytes:
    """The command with bits of one byte changed. at: from the end of its data field."""
    end = 5 + command[4]
    return command[: end - at] + bytes((command[end - at] ^ mask,)) + command[end - at + 1 :]


def changed(q: Inputs, name: str) -> Inputs:
    """The inputs with one of them another: what a MAC over the wrong data is made of."""
    value = getattr(q, name)
    other: Any = value ^ 1 if isinstance(value, int) else value[:-1] + bytes((value[-1] ^ 1,))
    fields: dict[str, Any] = {name: other}
    return replace(q, **fields)


def raw(cla: int, ins: int, p1: int, p2: int, data: bytes = b"", ne: int | None = None) -> bytes:
    """Any command."""
    return Command(cla, ins, p1, p2, data, ne).build()
