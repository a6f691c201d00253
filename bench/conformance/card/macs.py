"""The cryptograms of transactions (protocol reference 5): each byte, each datum, each session."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from apdu.commands import CREDIT_LOAD, EP, GET_BALANCE
from apdu.purse import limit_mac1, online_mac1
from bench.conformance.case import Case, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    DEALS,
    ED_DEALS,
    NEW_LIMIT,
    PAID,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    Scene,
    answers,
    available_after,
    begin,
    changed,
    commit,
    final_command,
    final_pair,
    finish,
    flipped,
    init_command,
    of_deals,
    offer,
    opened,
    permit,
    prove,
    ready,
    refused,
    session,
)
from bench.conformance.words import Words

_BAD_MAC = 0x9302
_WRONG_STATE = 0x6901

_each = partial(of_deals, "MACS")


# What the card computes


def _offer_mac(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    assert lab.offer is not None
    reply, key = lab.offer.reply, session(deal, q)
    if deal is NEW_LIMIT:
        mac1 = limit_mac1(key, reply.balance, reply.overdraft_limit, q.terminal)
    else:
        mac1 = online_mac1(key, reply.balance, q.amount, q.kind, q.terminal)
    lab.must_be(reply.mac1, mac1, Words("MAC1", "MAC1"), at=len(reply.build()) - 4)


def _answer(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    wanted, _ = answers(lab, deal, q, available_after(lab, deal, q))
    lab.must_be(finish(lab, deal, q), wanted, Words("cryptograms", "密码数据"))


def _version(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    begin(lab, deal)
    assert lab.offer is not None
    declared, reply = lab.declared, lab.offer.reply
    wanted = bytes((declared.key_version, declared.algorithm))
    came = bytes((reply.key_version, reply.algorithm))
    at = 9 if hasattr(reply, "overdraft_limit") else 6
    lab.must_be(came, wanted, Words("key version and algorithm", "密钥版本和算法"), at=at)


def _no_key(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    for index in (0x00, 0x02, 0xFF):
        refused(lab, init_command(lab, deal, 100, index), 0x9403)
    lab.must(lab.send(final_command(lab, deal, begin(lab, deal))))


def _sums(balance: int, used: int) -> dict[str, Any]:
    return {
        "balance": balance,
        "ceiling": 100_000,
        "overdraft_limit": 2000,
        "overdraft_used": used,
        "online_seq": 0x0203,
        "offline_seq": 0x0405,
    }


_OVERDRAFTS = {"limit": _sums(5000, 0), "debt": _sums(0, 800)}
_IN_WORDS = {
    "limit": Words("with an overdraft limit", "有透支限额时"),
    "debt": Words("with an overdraft in use", "已透支时"),
}


@family
def computed() -> Iterator[Case]:
    """MAC1 of INITIALIZE, what the final command answers, and which keys are named."""
    online = tuple(deal for deal in (*DEALS, *ED_DEALS) if not deal.is_spending)
    yield from _each(
        "offer",
        "MAC1 in INITIALIZE for {} is the card's",
        "{}初始化应答中的 MAC1 正确",
        _offer_mac,
        "5.5",
        "4.13",
        deals=online,
    )
    yield from _each(
        "answer",
        "The final command of {} answers the right cryptograms",
        "{}最后一条命令的应答密码正确",
        _answer,
        "5.5",
        "4.16",
        deals=(*DEALS, *ED_DEALS),
    )
    for key, setup in _OVERDRAFTS.items():
        yield from _each(
            f"offer.{key}",
            f"MAC1 in INITIALIZE for {{}} is over the available balance, {_IN_WORDS[key].en}",
            f"{_IN_WORDS[key].zh}，{{}}初始化的 MAC1 按可用余额计算",
            _offer_mac,
            "5.5",
            deals=tuple(deal for deal in DEALS if not deal.is_spending),
            setup=setup,
        )
        yield from _each(
            f"answer.{key}",
            f"The final command of {{}} answers the right cryptograms, {_IN_WORDS[key].en}",
            f"{_IN_WORDS[key].zh}，{{}}最后一条命令的应答密码正确",
            _answer,
            "5.5",
            setup=setup,
        )
    yield from _each(
        "version",
        "INITIALIZE for {} tells version and algorithm of its key",
        "{}初始化应答给出密钥版本和算法",
        _version,
        "4.14",
        "4.13",
    )
    yield from _each(
        "index",
        "INITIALIZE for {} with a key index that is not there is 9403",
        "{}初始化用不存在的密钥索引应答 9403",
        _no_key,
        "4.13",
        "4.1",
    )


# What the card checks


def is_refused(lab: Lab, deal: Deal, forge: Callable[[Lab, Any], bytes]) -> None:
    """A forged final command is 9302; nothing changed, and the right one then comes too late."""
    ready(lab, deal)
    before = picture(lab)
    q = begin(lab, deal)
    right = final_command(lab, deal, q)
    refused(lab, forge(lab, q), _BAD_MAC)
    refused(lab, right, _WRONG_STATE, clause="4.2")
    same(lab, before, clause="4.16")


def _flip(n: int, mask: int) -> Scene:
    def scene(lab: Lab, deal: Deal) -> None:
        is_refused(lab, deal, lambda lab, q: flipped(final_command(lab, deal, q), n, mask))

    return scene


@family
def compared() -> Iterator[Case]:
    """Each byte of each MAC the card checks, and the last bit of it."""
    for n in range(4):
        yield from _each(
            f"byte{n + 1}",
            f"{{}} with another MAC byte {n + 1} is refused and changes nothing",
            f"{{}}的 MAC 第 {n + 1} 字节有误时拒绝且无任何改变",
            _flip(4 - n, 0xFF),
            "4.16",
            "5.4",
        )
    yield from _each(
        "bit",
        "{} with the last bit of its MAC changed is refused",
        "{}的 MAC 最后一位有误时拒绝",
        _flip(1, 0x01),
        "4.16",
        "5.4",
    )
    yield from _each(
        "ed-bytes",
        "{} with any byte of its MAC changed is refused",
        "{}的 MAC 任一字节有误时拒绝",
        _any_byte,
        "4.16",
        deals=ED_DEALS,
    )


def _any_byte(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    for n in (4, 3, 2, 1):
        q = begin(lab, deal)
        refused(lab, flipped(final_command(lab, deal, q), n), _BAD_MAC)
    commit(lab, deal)


_COVERED = {
    "amount": Words("amount", "金额"),
    "kind": Words("transaction type", "交易类型"),
    "terminal": Words("terminal", "终端编号"),
    "date": Words("date", "日期"),
    "time": Words("time", "时间"),
    "random": Words("random number", "随机数"),
    "seq": Words("transaction number", "交易序号"),
    "terminal_seq": Words("terminal's number", "终端交易序号"),
}


def _over(name: str) -> Scene:
    def scene(lab: Lab, deal: Deal) -> None:
        is_refused(
            lab,
            deal,
            lambda lab, q: final_command(lab, deal, q, permit(deal, changed(q, name))),
        )

    return scene


@family
def covered() -> Iterator[Case]:
    """Each datum a MAC is made of: a MAC over another one is not the right one (5.3, 5.5)."""
    for name, words in _COVERED.items():
        spending = tuple(deal for deal in DEALS if deal.is_spending)
        yield from _each(
            f"over.{name}",
            f"{{}} under a MAC over another {words.en} is refused",
            f"{{}}的 MAC 所含{words.zh}不同时拒绝",
            _over(name),
            "5.5",
            "5.3",
            deals=spending if name == "terminal_seq" else DEALS,
        )


# Written one by one


@case(
    "MACS",
    "All four bytes of the terminal's number are in the TAC, the low two in MAC1",
    "终端交易序号 4 字节全在 TAC 中，低 2 字节在 MAC1 中",
    "5.3",
    "5.5",
    needs=PAID,
)
def terminal_number_in_full(lab: Lab) -> None:
    """A MAC1 for a number that differs in its high half alone is right; the TAC differs."""
    ready(lab, RIDE)
    q = begin(lab, RIDE)
    high = replace(q, terminal_seq=q.terminal_seq ^ 0x7F00_0000)
    came = lab.must(lab.send(final_command(lab, RIDE, high, permit(RIDE, q)))).data
    wanted, _ = answers(lab, RIDE, high, 0)
    lab.must_be(came, wanted, Words("TAC and MAC2", "TAC 和 MAC2"))


@case(
    "MACS",
    "A CAPP purchase's MAC1 has type 09, a plain purchase's 06",
    "复合消费的 MAC1 用类型 09，普通消费用 06",
    "5.5",
    "3.7",
    needs=PAID,
)
def types_are_not_mixed(lab: Lab) -> None:
    """Each is refused with the other's type, under the same key."""
    for deal, other in ((RIDE, 0x09), (TRIP, 0x06)):
        ready(lab, deal)
        q = begin(lab, deal)
        refused(lab, final_command(lab, deal, q, permit(deal, replace(q, kind=other))), _BAD_MAC)


@case(
    "MACS",
    "A load's MAC2 does not pass an unload, nor the other way",
    "充值的 MAC2 不能用于圈提，反之亦然",
    "5.5",
    "4.17",
    needs=PAID,
)
def load_is_no_unload(lab: Lab) -> None:
    """Each is refused with the other's key and type."""
    for deal, other, kind in ((DEALS[0], "dulk", 3), (DEALS[1], "dlk", 2)):
        ready(lab, deal)
        q = begin(lab, deal)
        wrong = replace(q, secret=getattr(lab.keys, other), kind=kind)
        refused(lab, final_command(lab, deal, q, permit(deal, wrong)), _BAD_MAC)


@case(
    "MACS",
    "CREDIT FOR LOAD is taken with P2 00 and with P2 02",
    "CREDIT FOR LOAD 接受 P2 00 与 02",
    "4.13",
    needs=PAID,
    grade="D",
)
def credit_with_either_p2(lab: Lab) -> None:
    """Laboratory documents print 02, captures have 00 (Q19)."""
    for p2 in (0x00, 0x02):
        ready(lab, TOP_UP)
        command = bytearray(final_command(lab, TOP_UP, begin(lab, TOP_UP)))
        assert command[1] == CREDIT_LOAD.ins
        command[3] = p2
        lab.must(lab.send(bytes(command)))


@case(
    "MACS",
    "DEBIT is taken with the P1 the card is declared to take, and with no other",
    "DEBIT 只接受所声明的 P1",
    "4.16",
    needs=PAID,
    grade="D",
)
def debit_with_declared_p1(lab: Lab) -> None:
    """01 in captures, 02 in laboratory documents, both on most cards (Q19)."""
    declared = lab.declared.dialect.debit_p1
    for p1 in (0x01, 0x02):
        ready(lab, RIDE)
        command = bytearray(final_command(lab, RIDE, begin(lab, RIDE)))
        command[2] = p1
        is_taken = declared == "both" or int(declared, 16) == p1
        lab.must(lab.send(bytes(command)), 0x9000 if is_taken else 0x6A86)


@case(
    "MACS",
    "The random number of INITIALIZE is another each time",
    "每次初始化的随机数都不同",
    "4.14",
    "5.3",
    needs=(Need.KEYS,),
)
def offers_are_fresh(lab: Lab) -> None:
    """Sixteen of 32 bits: two alike happen once in thirty million suites."""
    opened(lab)
    seen = set()
    for _ in range(16):
        seen.add(lab.must(offer(lab, RIDE, 0)).data[-4:])
    lab.require(len(seen) == 16, Words("16 different numbers", "16 个不同的随机数"), f"{len(seen)}")


@case(
    "MACS",
    "A bad MAC does not spoil the next transaction",
    "MAC 错误不影响下一笔交易",
    "4.16",
    needs=PAID,
)
def bad_mac_then_good(lab: Lab) -> None:
    """Four bad ones in a row lock nothing: the count of bad MAC1 is for teaching only."""
    ready(lab, RIDE)
    for _ in range(4):
        refused(lab, final_command(lab, RIDE, begin(lab, RIDE), bytes(4)), _BAD_MAC)
    q = commit(lab, RIDE)
    lab.require(prove(lab, RIDE.kind, q.seq + 1).sw == 0x9000, Words("a proof", "交易认证"), "none")


@case(
    "MACS",
    "A final command one byte short or long is refused and pays nothing",
    "最后一条命令长度差一字节时拒绝且不扣款",
    "4.16",
    "4.1",
    needs=PAID,
)
def final_of_another_length(lab: Lab) -> None:
    """A MAC of three bytes is no MAC."""
    ready(lab, RIDE)
    before = picture(lab)
    for change in (-1, 1):
        right = final_command(lab, RIDE, begin(lab, RIDE))
        data = (right[5 : 5 + right[4]] + b"\0")[: right[4] + change]
        refused(lab, right[:4] + bytes((len(data),)) + data + b"\x08", 0x6700)
    same(lab, before)


@case(
    "MACS",
    "DEBIT answers the same with and without Le",
    "DEBIT 带或不带 Le 应答相同",
    "4.1",
    "4.16",
    needs=PAID,
)
def debit_without_le(lab: Lab) -> None:
    """Real readers send either (ISO/IEC 7816-4, case 3 and case 4)."""
    ready(lab, RIDE)
    q = begin(lab, RIDE)
    wanted, _ = answers(lab, RIDE, q, 0)
    command = final_command(lab, RIDE, q)[:-1]
    lab.must_be(lab.must(lab.send(command)).data, wanted, Words("TAC and MAC2", "TAC 和 MAC2"))
    assert final_pair(lab, RIDE)[1] == 0
    lab.must(lab.ask(GET_BALANCE, pair=(0, EP)))


@case(
    "MACS",
    "MAC1 of a purchase of nothing is checked too",
    "零金额消费同样校验 MAC1",
    "4.16",
    "6.1",
    needs=PAID,
)
def entry_is_checked(lab: Lab) -> None:
    """A gate's entry costs nothing, and opens the gate."""
    for deal in (TRIP, RIDE):
        ready(lab, deal, 0)
        before = picture(lab)
        for at in (4, 3, 2, 1):
            q = begin(lab, deal, 0)
            refused(lab, flipped(final_command(lab, deal, q), at), _BAD_MAC)
        same(lab, before)
