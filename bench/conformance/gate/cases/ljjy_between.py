"""Interrupted: what happens between the tap that was lost and the next one."""

from apdu.commands import DEBIT, GET_PROVE, UPDATE_CACHE
from bench.conformance.case import Need
from bench.conformance.gate.cases.ljjy import (
    AFTER,
    BEFORE,
    WAYS,
    begin,
    card_number,
    ends_once,
    numbers_differ,
)
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import board, entry, exit_
from bench.conformance.registry import case
from bench.conformance.words import Words
from reader.outcome import Reject, Verdict
from reader.taprecord import Mark

G = "LJJY"
CUT = [Need.CUT]


@case(G, "Another card in between changes nothing", "其间刷其他卡不影响恢复", "6.8", needs=CUT)
def another_card_between(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    mine = lab.another(serial=card_number(1))
    lab.wait(seconds=10)
    lab.never_asked(GET_PROVE)
    theirs = begin(lab, WAYS[1])
    lab.passes(lab.tap(exit_()))
    lab.never_asked(GET_PROVE)
    lab.paid(theirs, 400)
    lab.back(mine)
    lab.wait(seconds=10)
    lab.opens_free(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "Another card does not open for the lost one's money",
    "他卡不能凭丢失的扣款放行",
    "6.8",
    needs=CUT,
)
def another_card_does_not_inherit(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lab.another(serial=card_number(1))
    lab.wait(seconds=10)
    lab.refuses(lab.tap(exit_()), Reject.NOT_ENTERED)


@case(
    G,
    "A wrong proof opens no gate and takes no money",
    "交易证明错误不放行、不扣款",
    "6.8",
    "5.5",
    needs=CUT,
)
def wrong_proof_does_not_open(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    for byte in range(4):
        lab.wait(seconds=10)
        lab.knobs.mutations = ()
        lab.mutate(GET_PROVE, byte, xor=b"\x01")
        lab.shut(lab.tap(exit_()))
        lab.never_asked(DEBIT)
    lab.knobs.mutations = ()
    lab.wait(seconds=10)
    lab.opens_free(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "A card lost again while it proves is asked once more",
    "取证明时再次丢卡，再询问一次",
    "6.8",
    needs=CUT,
)
def lost_while_proving(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    for point in (BEFORE, AFTER):
        lab.wait(seconds=10)
        lab.cut_at(GET_PROVE, point)
        lab.shut(lab.tap(exit_()))
    lab.wait(seconds=10)
    lab.opens_free(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "DEBIT lost five times before the card: paid once, each number used once",
    "扣款命令连续五次未到卡：只扣一次，序号不重复",
    "6.8",
    "5.7",
    needs=CUT,
)
def lost_again_and_again(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    for _ in range(5):
        lab.cut_at(DEBIT, BEFORE)
        lab.taps_again(lab.tap(exit_()))
        lab.wait(seconds=10)
    lab.passes(lab.tap(exit_()))
    lab.paid(before, 400)
    numbers_differ(lab)


@case(
    G,
    "After a recovery the next ride is charged as always",
    "恢复之后下一次乘车正常计费",
    "6.8",
    needs=CUT,
)
def next_ride_is_ordinary(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lab.wait(seconds=10)
    lab.passes(lab.tap(exit_()))
    lab.wait(minutes=10)
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_()))
    lab.paid(before, 400)
    lab.never_asked(GET_PROVE)


@case(
    G,
    "The record of a lost debit is kept once, with its TAC",
    "丢失应答的交易记录只保存一次且含 TAC",
    "6.8",
    "6.9",
    needs=[Need.CUT, Need.RECORDS],
)
def lost_debit_is_kept_once(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lost = lab.charge
    lab.same(len(lab.records(exit_())), 0, Words("records before the proof:", "证明前的记录数："))
    lab.same(len(lab.stand.open_records(exit_())), 1, Words("open promises:", "未决记录数："))
    lab.wait(seconds=10)
    lab.passes(lab.tap(exit_()))
    kept = lab.records(exit_())
    lab.same(len(kept), 1, Words("records after it:", "证明后的记录数："))
    lab.same(kept[0].tac.hex(), lost.tac.hex(), Words("TAC", "TAC"))
    lab.same(
        (kept[0].mark, kept[0].amount), (Mark.TAKEN, 400), Words("mark and amount", "标记与金额")
    )
    lab.same(len(lab.stand.open_records(exit_())), 0, Words("open promises:", "未决记录数："))


@case(
    G,
    "A debit that was not taken leaves no record of money",
    "未成功的扣款不留下收款记录",
    "6.9",
    needs=[Need.CUT, Need.RECORDS],
)
def debit_not_taken_is_void(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.cut_at(DEBIT, BEFORE)
    lab.taps_again(lab.tap(exit_()))
    lab.wait(seconds=10)
    lab.passes(lab.tap(exit_()))
    taken = [one for one in lab.records(exit_()) if one.mark == Mark.TAKEN]
    lab.same(
        [one.amount for one in taken], [400], Words("records of money, fen:", "收款记录（分）：")
    )
    lab.same(taken[0].tac.hex(), lab.charge.tac.hex(), Words("TAC", "TAC"))


@case(
    G,
    "A gate switched off in between still knows the lost debit",
    "其间闸机断电重启后仍可恢复",
    "6.8",
    "6.9",
    needs=[Need.CUT, Need.POST],
)
def gate_restarts_between(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lab.stand.restart(exit_())
    lab.wait(minutes=2)
    lab.opens_free(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "The answer to DEBIT comes late, within the waiting time",
    "扣款应答延迟但未超时，放行且只扣一次",
    "6.10",
    "7",
)
def debit_answers_late(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.knobs.debit_delay_s = 0.02
    lab.passes(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "DEBIT is answered after the waiting time: paid once, whether the gate waits or not",
    "扣款应答超过等待时间：无论闸机是否等待只扣一次",
    "6.10",
    "6.9",
)
def debit_answers_very_late(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.knobs.debit_delay_s = 0.06
    heard = lab.tap(exit_())
    lab.knobs.debit_delay_s = 0
    if heard.verdict is not Verdict.PASS:
        ends_once(lab, WAYS[1], before)
    lab.paid(before, 400)


@case(
    G,
    "A spoilt answer to DEBIT is no refusal: the next tap proves it",
    "扣款应答损坏不视为拒绝，下次刷卡凭证明放行",
    "6.9",
    "6.8",
)
def spoilt_answer_is_proven(lab: GateLab) -> None:
    for n, answer in enumerate(
        ("", "9000", "6F00", "00112233 9000", "6100", "0011223344556677 6281")
    ):
        lab.another(serial=card_number(n))
        before = begin(lab, WAYS[1])
        lab.mutate(DEBIT, answer=bytes.fromhex(answer) or b"\x00\x00")
        lab.shut(lab.tap(exit_()))
        lab.knobs.mutations = ()
        lab.wait(seconds=10)
        lab.opens_free(lab.tap(exit_()))
        lab.paid(before, 400)


@case(
    G,
    "A card that refuses a trip record has not paid, and is not let through",
    "卡片拒绝行程记录则不放行，未扣款",
    "4.15",
    "6.10",
)
def refused_record_does_not_open(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.mutate(UPDATE_CACHE, answer=b"\x94\x07")
    lab.shut(lab.tap(exit_()))
    lab.paid(before, 0)
    lab.knobs.mutations = ()
    lab.wait(seconds=10)
    lab.passes(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "A card lost while a missed fare is collected pays it once",
    "补收上次车费时丢卡，只补收一次",
    "6.8",
    "DM 3.1",
    needs=[Need.CUT, Need.POST, Need.CLOCK],
)
def lost_while_collecting(lab: GateLab) -> None:
    for n, (point, nth) in enumerate(((BEFORE, 1), (AFTER, 1), (BEFORE, 2), (AFTER, 2))):
        lab.another(serial=card_number(n))
        lab.passes(lab.tap(board(8)))
        lab.wait(days=1)
        before = lab.balance
        lab.cut_at(DEBIT, point, nth)
        lab.shut(lab.tap(board(1)))
        for _ in range(2):
            lab.wait(seconds=20)
            heard = lab.tap(board(1))
            if heard.verdict is Verdict.PASS:
                break
        lab.passes(heard)
        lab.paid(before, 600)
        lab.same(lab.bus_trip[14], 0x01, Words("trip state", "行程状态"))
        lab.same(lab.bus_trip[53:57].hex(), "00000320", Words("marked amount", "标记金额"))
        lab.wait(days=1)


@case(
    G,
    "A card lost at the way out stays the debtor of that gate alone",
    "出站丢卡后其他通道不误扣",
    "6.8",
    needs=CUT,
)
def other_gate_does_not_charge(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lab.wait(seconds=20)
    lab.refuses(lab.tap(exit_(vehicle="GATE0002")), Reject.NOT_ENTERED)
    lab.wait(seconds=20)
    lab.opens_free(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "A wrong proof opens no gate after other cards either",
    "其间刷过他卡后，错误的交易证明同样不放行",
    "6.8",
    "5.5",
    needs=CUT,
)
def wrong_proof_after_others(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    mine = lab.another(serial=card_number(1))
    lab.wait(seconds=10)
    begin(lab, WAYS[1])
    lab.passes(lab.tap(exit_()))
    lab.back(mine)
    lab.mutate(GET_PROVE, 3, xor=b"\x01")
    lab.wait(seconds=10)
    lab.shut(lab.tap(exit_()))
    lab.knobs.mutations = ()
    lab.wait(seconds=10)
    lab.opens_free(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "A debit that cannot be proved any more stays open for clearing",
    "无法再取证明的扣款保留未决记录待清分处理",
    "6.8",
    "DM 4.4",
    grade="D",
    needs=[Need.CUT, Need.RECORDS, Need.POST],
)
def overtaken_debit_stays_open(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lost = lab.charge
    lab.wait(minutes=30)
    lab.passes(lab.ride(entry(), exit_(vehicle="GATE0002")))
    lab.wait(minutes=30)
    lab.passes(lab.ride(entry(), exit_()))
    left = [one.terminal_seq for one in lab.stand.open_records(exit_())]
    lab.same(left, [lost.number], Words("open promises by number", "未决记录序号"))
    void = [one.terminal_seq for one in lab.records(exit_()) if one.mark == Mark.VOID]
    lab.same(void, [], Words("void records by number", "作废记录序号"))


@case(
    G,
    "A debit others have followed is not taken a second time",
    "已被其后交易覆盖的扣款不再重复扣",
    "6.8",
    "4.20",
    grade="D",
    needs=CUT,
)
def overtaken_debit_is_not_repeated(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(exit_()))
    lab.wait(minutes=30)
    other = exit_(vehicle="GATE0002")
    lab.passes(lab.ride(entry(), other))
    lab.wait(minutes=30)
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_()))
    lab.paid(before, 400)
