"""Taking money off the card again (4.17, 6.5)."""

from apdu.key_commands import APPLICATION_BLOCK
from bench.conformance.card.ladders import whole
from bench.conformance.case import Level
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.rides import rich
from bench.conformance.scenes import (
    PAID,
    REFUND,
    RIDE,
    TOP_UP,
    begin,
    commit,
    final_command,
    finish,
    init_command,
    opened,
    prove,
    ready,
    refused,
    with_pin,
)
from bench.conformance.words import Words


@case(
    "UNLD",
    "An unload takes its amount and answers MAC3",
    "圈提扣除金额并应答 MAC3",
    "6.5",
    "4.17",
    needs=PAID,
    level=Level.BASIC,
)
def unload(lab: Lab) -> None:
    """Balance, online number and log; nothing else moves."""
    whole(lab, REFUND)


@case(
    "UNLD",
    "An unload may empty the purse, and then there is nothing to unload",
    "圈提可清空余额，之后不能再圈提",
    "6.5",
    "4.17",
    needs=PAID,
    setup=rich(2000),
)
def unload_all(lab: Lab) -> None:
    """A full return; the emptied card is then blocked for good."""
    opened(lab)
    commit(lab, REFUND, 2000)
    came = lab.balance(0x00)
    lab.require(came == 0, Words("0 fen", "0 分"), f"{came} fen")
    refused(lab, init_command(lab, REFUND, 1), 0x9401)
    lab.done_ok(APPLICATION_BLOCK, pair=(0x00, 0x01))
    refused(lab, init_command(lab, TOP_UP, 100), 0x9303, clause="4.19")


@case(
    "UNLD",
    "The proof of an unload is MAC3 and four bytes of zero",
    "圈提的交易认证为 MAC3 和四个零字节",
    "4.20",
    grade="D",
    needs=PAID,
)
def unload_proof(lab: Lab) -> None:
    """There is no TAC (Q8)."""
    ready(lab, REFUND)
    q = begin(lab, REFUND)
    mac3 = finish(lab, REFUND, q)
    came = prove(lab, REFUND.kind, q.seq + 1).data
    lab.must_be(came, mac3 + bytes(4), Words("MAC3 and zeros", "MAC3 和零"))


@case(
    "UNLD",
    "DEBIT FOR UNLOAD wants P1 03, not a purchase's",
    "圈提的 DEBIT 用 P1 03",
    "4.17",
    "4.2",
    needs=PAID,
)
def unload_has_its_own_debit(lab: Lab) -> None:
    """A purchase's final command is out of place, and ends the unload."""
    ready(lab, REFUND)
    before = picture(lab)
    q = begin(lab, REFUND)
    refused(lab, final_command(lab, RIDE, q), 0x6901)
    refused(lab, final_command(lab, REFUND, q), 0x6901)
    same(lab, before)


@case(
    "UNLD",
    "An unload and a load bring back the same balance",
    "圈提后充值余额复原",
    "6.5",
    "6.4",
    needs=PAID,
    setup=rich(2000),
)
def unload_and_load(lab: Lab) -> None:
    """Numbers go on: two online transactions."""
    opened(lab)
    first = commit(lab, REFUND, 700)
    with_pin(lab)
    second = commit(lab, TOP_UP, 700)
    lab.require(second.seq == first.seq + 1, Words("the next number", "下一序号"), second.seq)
    came = lab.balance(0x03)
    lab.require(came == 2000, Words("2000 fen", "2000 分"), f"{came} fen")
