"""The ladders of protocol reference 6, judged by what the card answers and keeps.

Trip records are built like the captures: a rail entry at 6.1a and 6.1b, an exit at 6.2.
"""

from apdu.commands import CREDIT_LOAD, GET_PROVE, INIT_LOAD
from apdu.files import EF1A, EF1E, EF15, EF17
from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK
from apdu.purse import CAPP, LOAD
from bench.conformance.case import Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.rides import bus, rail, rich, ride
from bench.conformance.scenes import (
    PAID,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    answers,
    available_after,
    begin,
    cache,
    commit,
    final_command,
    finish,
    free_trip,
    init_command,
    opened,
    prove,
    read_binary,
    read_record,
    ready,
    refused,
    select_ppse,
    with_pin,
)
from bench.conformance.words import Words
from reader.transport.decorators import CutPoint

PAID_AND_CUT = PAID | {Need.CUT}


def _tap(lab: Lab) -> None:
    """What a gate reads before a transaction (6.1)."""
    lab.must(select_ppse(lab), clause="2.3")
    opened(lab)
    for sfi in (EF15.sfi, EF17.sfi):
        lab.must(lab.send(read_binary(sfi)), clause="4.5")
    lab.must(lab.send(read_record(EF1A.sfi, 1)), clause="4.7")
    lab.balance(0x03)


@case(
    "LADD",
    "A gate's entry: nothing paid, trip record and trip log written",
    "进站：零金额，写行程记录和行程日志",
    "6.1",
    "4.16",
    needs=PAID,
    level=Level.BASIC,
)
def entry(lab: Lab) -> None:
    """Everything that can be read is as before, but for what an entry writes."""
    ready(lab, TRIP, 0)
    free_trip(lab, 1)
    records = rail(lab.balance(0x00))
    before = picture(lab, deep=True)
    _tap(lab)
    q = ride(lab, 0, *records)
    same(lab, before.after(TRIP, q, records), deep=True)


@case(
    "LADD",
    "A gate's exit: the fare paid, the trip closed",
    "出站：扣除车费并关闭行程",
    "6.2",
    "4.16",
    needs=PAID,
    level=Level.BASIC,
)
def entry_and_exit(lab: Lab) -> None:
    """Entry, a look at the open trip, exit with 4.00."""
    ready(lab, TRIP, 400)
    free_trip(lab, 1)
    balance = lab.balance(0x00)
    ride(lab, 0, *rail(balance))
    _tap(lab)
    state = lab.must(lab.send(read_record(EF1A.sfi, 1))).data[14]
    lab.require(state == 1, Words("trip state 01, entered", "行程状态 01 已进站"), f"{state:02X}")
    before = picture(lab, deep=True)
    out = rail(balance, 400)
    q = ride(lab, 400, *out)
    same(lab, before.after(TRIP, q, out), deep=True)
    came = lab.balance(0x00)
    lab.require(came == balance - 400, Words(f"{balance - 400} fen", f"{balance - 400} 分"), came)


@case(
    "LADD",
    "An entry is known again after the field was away",
    "断场后仍可读出已进站状态",
    "6.2",
    "6.9",
    needs=PAID_AND_CUT,
)
def entry_survives(lab: Lab) -> None:
    """A passenger travels with the card out of the field."""
    ready(lab, TRIP, 400)
    free_trip(lab, 1)
    records = rail(lab.balance(0x00))
    ride(lab, 0, *records)
    before = picture(lab)
    lab.reset()
    _tap(lab)
    same(lab, before)
    out = rail(lab.balance(0x00), 400)
    ride(lab, 400, *out)
    came = lab.must(lab.send(read_record(EF1A.sfi, 1))).data
    lab.must_be(came, out[0][1], Words("the closed trip", "已关闭的行程"))


@case(
    "LADD",
    "An exit that cannot be paid leaves the trip open",
    "余额不足时出站不改变行程",
    "6.2",
    "4.14",
    needs=PAID,
    setup=rich(250),
)
def exit_not_paid(lab: Lab) -> None:
    """9401 for 4.00 with 2.50; after a top-up the same exit is paid."""
    opened(lab)
    ride(lab, 0, *rail(250))
    before = picture(lab, deep=True)
    refused(lab, init_command(lab, TRIP, 400), 0x9401)
    same(lab, before, deep=True)
    with_pin(lab)
    commit(lab, TOP_UP, 1000)
    before = picture(lab, deep=True)
    out = rail(1250, 400)
    q = ride(lab, 400, *out)
    same(lab, before.after(TRIP, q, out), deep=True)


@case("LADD", "Ten trips add up", "十次行程累计正确", "6.2", needs=PAID, setup=rich(5000))
def ten_trips(lab: Lab) -> None:
    """Twenty transactions: money, numbers, the last ten logs and twenty trip records."""
    opened(lab)
    wanted = picture(lab, deep=True)
    for n in range(10):
        balance = lab.balance(0x00)
        for fare in (None, 300 + n):
            records = rail(balance, fare)
            q = ride(lab, fare or 0, *records)
            wanted = wanted.after(TRIP, q, records)
    same(lab, wanted, deep=True)


@case(
    "LADD",
    "A gate may ask with 0 first and with the fare then",
    "闸机可先以 0 金额再以车费初始化",
    "6.1",
    needs=PAID,
)
def speculative_entry(lab: Lab) -> None:
    """INITIALIZE with 0, twice with the fare, one debit: one number."""
    ready(lab, TRIP, 300)
    free_trip(lab, 1)
    records = rail(lab.balance(0x00), 300)
    before = picture(lab)
    for amount in (0, 300):
        begin(lab, TRIP, amount)
    q = ride(lab, 300, *records)
    same(lab, before.after(TRIP, q, records))


@case(
    "LADD",
    "A bus's plain purchase writes the log and no trip",
    "公交普通消费只写交易日志",
    "6.3",
    "4.14",
    needs=PAID,
    level=Level.BASIC,
)
def bus_plain(lab: Lab) -> None:
    """Type 06, 0.50."""
    ready(lab, RIDE, 50)
    before = picture(lab, deep=True)
    q = begin(lab, RIDE, 50)
    want, _ = answers(lab, RIDE, q, 0)
    lab.must_be(finish(lab, RIDE, q), want, Words("TAC and MAC2", "TAC 和 MAC2"), clause="5.5")
    same(lab, before.after(RIDE, q), deep=True)


@case(
    "LADD",
    "A bus's CAPP purchase writes EF1E alone",
    "公交复合消费只写 EF1E",
    "6.3",
    "4.15",
    needs=PAID,
)
def bus_single(lab: Lab) -> None:
    """Trip type 06, EP single, without a trip state."""
    ready(lab, TRIP, 1)
    log = bytearray(bus(lab.balance(0x00), 1)[1][1])
    log[0] = 0x06
    records = [(EF1E.sfi, bytes(log))]
    before = picture(lab, deep=True)
    q = ride(lab, 1, *records)
    same(lab, before.after(TRIP, q, records), deep=True)


@case(
    "LADD",
    "A bus by distance keeps its trip in record 2702 and leaves the rail's alone",
    "分段公交使用 2702 记录，不影响轨道记录",
    "6.3",
    "3.9",
    needs=PAID,
)
def bus_by_distance(lab: Lab) -> None:
    """Boarding and alighting while a rail trip may be open."""
    ready(lab, TRIP, 200)
    free_trip(lab, 2)
    balance = lab.balance(0x00)
    before = picture(lab, deep=True)
    for fare in (None, 200):
        records = bus(balance, fare)
        q = ride(lab, fare or 0, *records)
        before = before.after(TRIP, q, records)
    same(lab, before, deep=True)


@case(
    "LADD",
    "A gate blocks a lost card, and the issuer frees it unharmed",
    "闸机锁定挂失卡，发卡方解锁后卡片无变化",
    "6.7",
    "4.19",
    needs=PAID,
)
def gate_blocks(lab: Lab) -> None:
    """Blocked: SELECT as declared, nothing served. Unblocked: money and records as they were."""
    opened(lab)
    before = picture(lab, deep=True)
    lab.done_ok(APPLICATION_BLOCK)
    lab.must(lab.select(), int(lab.declared.dialect.select_blocked[-4:], 16), clause="2.5")
    for command in (read_binary(EF15.sfi), init_command(lab, TRIP, 0), b"\x80\x5c\x00\x02\x04"):
        refused(lab, command, 0x6A81)
    lab.done_ok(APPLICATION_UNBLOCK)
    lab.must(lab.select())
    same(lab, before, deep=True)


@case("LADD", "A block outlives the field", "锁定在断场后仍有效", "6.7", "6.9", needs=PAID_AND_CUT)
def block_survives(lab: Lab) -> None:
    """So does the unblocking."""
    opened(lab)
    lab.done_ok(APPLICATION_BLOCK)
    lab.reset()
    lab.must(lab.select(), int(lab.declared.dialect.select_blocked[-4:], 16), clause="2.5")
    refused(lab, init_command(lab, TRIP, 0), 0x6A81)
    lab.done_ok(APPLICATION_UNBLOCK)
    lab.reset()
    opened(lab)
    lab.must(lab.send(read_binary(EF15.sfi)))


def _interrupted(lab: Lab, point: CutPoint) -> None:
    ready(lab, TRIP, 400)
    free_trip(lab, 1)
    balance = lab.balance(0x00)
    records = rail(balance, 400)
    before = picture(lab, deep=True)
    q = begin(lab, TRIP, 400)
    cache(lab, *records)
    _, proof = answers(lab, TRIP, q, 0)
    lab.cut(final_command(lab, TRIP, q), point)
    opened(lab)
    came = prove(lab, CAPP, q.seq + 1)
    if point is CutPoint.AFTER:
        lab.require(came.sw == 0x9000, Words("9000, a proof", "9000，交易认证"), f"{came.sw:04X}")
        lab.must_be(came.data, proof, Words("MAC2 and TAC", "MAC2 和 TAC"), clause="4.20")
        same(lab, before.after(TRIP, q, records), deep=True)
    else:
        lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")
        same(lab, before, deep=True)
        q = ride(lab, 400, *records)
        same(lab, before.after(TRIP, q, records), deep=True)


@case(
    "LADD",
    "An exit whose answer is lost is paid once and proved",
    "出站应答丢失：只扣一次且可取交易认证",
    "6.8",
    "4.20",
    needs=PAID_AND_CUT,
    level=Level.BASIC,
)
def interrupted_after(lab: Lab) -> None:
    """The card left after it had committed."""
    _interrupted(lab, CutPoint.AFTER)


@case(
    "LADD",
    "An exit that never reached the card is not paid, and can be made again",
    "出站命令未到达卡片：未扣款，可重做",
    "6.8",
    "6.9",
    needs=PAID_AND_CUT,
    level=Level.BASIC,
)
def interrupted_before(lab: Lab) -> None:
    """9406, everything as before; the trip is paid at the next tap."""
    _interrupted(lab, CutPoint.BEFORE)


# Top-ups


@case(
    "LOAD",
    "A top-up adds its amount to the balance and no more",
    "充值后余额恰好增加充值金额",
    "6.4",
    "4.13",
    needs=PAID,
    level=Level.BASIC,
)
def top_up_adds_its_amount(lab: Lab) -> None:
    """The balance before comes from the card, so that any card can be judged."""
    ready(lab, TOP_UP)
    before = lab.balance()
    lab.done_ok(INIT_LOAD)
    lab.done_ok(CREDIT_LOAD)
    after = lab.balance()
    want = Words(f"a balance of {before + lab.amount} fen", f"余额 {before + lab.amount} 分")
    lab.require(after == before + lab.amount, want, f"{after} fen")


@case(
    "LOAD",
    "A top-up whose answer was lost can be proved",
    "充值应答丢失后可取交易认证",
    "6.4",
    "4.20",
    needs=PAID_AND_CUT,
    level=Level.BASIC,
)
def lost_top_up_is_proved(lab: Lab) -> None:
    """GET TRANSACTION PROVE with the number after the top-up answers MAC2 and TAC."""
    ready(lab, TOP_UP)
    before = lab.balance()
    lab.done_ok(INIT_LOAD)
    assert lab.offer is not None
    seq, mac2 = lab.offer.seq + 1, lab.mac2()
    lab.cut(lab.request(CREDIT_LOAD), CutPoint.AFTER)
    opened(lab)
    lab.done[LOAD] = seq
    proof = lab.done_ok(GET_PROVE, pair=(0x00, LOAD))
    lab.must_be(proof[:4], mac2, Words("MAC2 of the top-up", "充值的 MAC2"), clause="4.20")
    after = lab.balance()
    want = Words(f"a balance of {before + lab.amount} fen", f"余额 {before + lab.amount} 分")
    lab.require(after == before + lab.amount, want, f"{after} fen")


@case(
    "LOAD",
    "A top-up that never reached the card is 9406 and can be done again",
    "充值命令未到达卡片：应答 9406，可重做",
    "6.4",
    "4.20",
    needs=PAID_AND_CUT,
)
def top_up_never_came(lab: Lab) -> None:
    """The payer is not debited twice: the second attempt has a MAC2 of its own."""
    ready(lab, TOP_UP)
    before = picture(lab)
    with_pin(lab)
    q = begin(lab, TOP_UP)
    lab.cut(final_command(lab, TOP_UP, q), CutPoint.BEFORE)
    opened(lab)
    came = prove(lab, LOAD, q.seq + 1)
    lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")
    same(lab, before)
    with_pin(lab)
    same(lab, before.after(TOP_UP, commit(lab, TOP_UP)))


def whole(lab: Lab, deal: Deal) -> None:
    """One transaction, its cryptogram, and everything that can be read after it."""
    ready(lab, deal)
    before = picture(lab, deep=True)
    with_pin(lab, deal)
    q = begin(lab, deal)
    want, _ = answers(lab, deal, q, available_after(lab, deal, q))
    lab.must_be(finish(lab, deal, q), want, Words("cryptogram", "密码数据"), clause="5.5")
    same(lab, before.after(deal, q), deep=True)


@case(
    "LOAD",
    "A top-up changes balance, online number and log, and no file else",
    "充值只改变余额、联机序号和日志",
    "6.4",
    "6.9",
    needs=PAID,
)
def top_up_changes_no_more(lab: Lab) -> None:
    """Every file and record read before and after."""
    whole(lab, TOP_UP)


@case(
    "LOAD",
    "The PIN opens a load where the card is declared to want it",
    "按声明需要 PIN 时，校验 PIN 后才能充值",
    "4.11",
    "4.13",
    grade="D",
    needs=PAID,
)
def pin_opens_a_load(lab: Lab) -> None:
    """Without it 6982 or a plain yes, as declared (Q13)."""
    ready(lab, TOP_UP)
    opened(lab)
    wants = lab.declared.dialect.pin_for_load
    answer = lab.send(init_command(lab, TOP_UP, 100))
    lab.must(answer, 0x6982 if wants else 0x9000)
    with_pin(lab)
    commit(lab, TOP_UP)


@case(
    "LOAD",
    "Loads one after the other add up",
    "连续充值累计正确",
    "6.4",
    needs=PAID,
    setup=rich(0),
)
def loads_add_up(lab: Lab) -> None:
    """1, 10, ... 10000 fen: 111.11."""
    opened(lab)
    for amount in (1, 10, 100, 1000, 10_000):
        with_pin(lab)
        commit(lab, TOP_UP, amount)
    came = lab.balance(0x03)
    lab.require(came == 11_111, Words("11111 fen", "11111 分"), f"{came} fen")
