"""Losing the field at each command of each ladder: all old or all new, and provable (6.9)."""

from collections.abc import Callable, Iterator
from functools import partial

from apdu.commands import EP, GET_PROVE
from apdu.file_commands import GET_CHALLENGE
from apdu.files import EF15
from apdu.key_commands import CHANGE_PIN
from apdu.records import ChangePin, ProveData
from bench.conformance.card.pins import verify
from bench.conformance.card.protected import APPEND, BLOCK, RECORD, UNBLOCK, Guard
from bench.conformance.card.renewals import update
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.rides import rail
from bench.conformance.scenes import (
    DEALS,
    ED_DEALS,
    PAID,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    answers,
    available_after,
    begin,
    cache,
    cache_command,
    commit,
    final_command,
    finish,
    free_trip,
    init_command,
    of_deals,
    opened,
    prove,
    read_binary,
    ready,
    refused,
    trip_log,
    with_pin,
)
from bench.conformance.words import Words
from reader.transport.decorators import CutPoint

CUT = PAID | {Need.CUT}
_WHEN = {
    CutPoint.BEFORE: ("before", Words("before it came", "到达之前")),
    CutPoint.AFTER: ("after", Words("before its answer left", "应答发出之前")),
}
_tear = partial(of_deals, "TEAR", needs=CUT)


def _at_init(point: CutPoint, lab: Lab, deal: Deal) -> None:
    """Nothing is written by INITIALIZE: as before, and the transaction can be made."""
    ready(lab, deal)
    before = picture(lab)
    with_pin(lab, deal)
    lab.cut(init_command(lab, deal, 100), point)
    opened(lab)
    same(lab, before)
    with_pin(lab, deal)
    same(lab, before.after(deal, commit(lab, deal)))


def _at_final(point: CutPoint, lab: Lab, deal: Deal) -> None:
    """Before: all old and 9406. After: all new and the proof. Never between, and never twice."""
    ready(lab, deal)
    before = picture(lab, deep=True)
    with_pin(lab, deal)
    q = begin(lab, deal)
    _, proof = answers(lab, deal, q, available_after(lab, deal, q))
    command = final_command(lab, deal, q)
    lab.cut(command, point)
    opened(lab)
    came = prove(lab, deal.kind, q.seq + 1)
    if point is CutPoint.AFTER:
        lab.require(came.sw == 0x9000, Words("9000, a proof", "9000，交易认证"), f"{came.sw:04X}")
        lab.must_be(came.data, proof, Words("MAC and TAC", "MAC 和 TAC"), clause="4.20")
        wanted = before.after(deal, q)
    else:
        lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")
        wanted = before
    refused(lab, command, 0x6901, clause="4.2")
    same(lab, wanted, deep=True)


def _pending_is_lost(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    before = picture(lab)
    with_pin(lab, deal)
    q = begin(lab, deal)
    lab.reset()
    opened(lab)
    refused(lab, final_command(lab, deal, q), 0x6901)
    same(lab, before)


def _ed_final(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    before = picture(lab)
    q = begin(lab, deal)
    _, proof = answers(lab, deal, q, available_after(lab, deal, q))
    lab.cut(final_command(lab, deal, q), CutPoint.AFTER)
    opened(lab)
    came = prove(lab, deal.kind, q.seq + 1)
    lab.must_be(came.data, proof, Words("MAC and TAC", "MAC 和 TAC"), clause="4.20")
    same(lab, before)


@family
def transactions() -> Iterator[Case]:
    """INITIALIZE and the final command of each kind, before and after."""
    for point, (name, words) in _WHEN.items():
        yield from _tear(
            f"init.{name}",
            f"{{}} with the field lost at INITIALIZE, {words.en}, leaves all as it was",
            f"{{}}初始化{words.zh}断场，一切不变",
            partial(_at_init, point),
            "6.9",
        )
        title = "leaves all old" if point is CutPoint.BEFORE else "leaves all new, and is proved"
        zh = "全部为旧" if point is CutPoint.BEFORE else "全部为新且可取交易认证"
        yield from _tear(
            f"final.{name}",
            f"{{}} with the field lost at its last command, {words.en}, {title}",
            f"{{}}最后一条命令{words.zh}断场，{zh}",
            partial(_at_final, point),
            "6.9",
            "4.20",
            level=Level.BASIC,
        )
    yield from _tear(
        "pending",
        "{} under way is lost with the field",
        "断场使进行中的{}作废",
        _pending_is_lost,
        "4.1",
        "6.9",
    )
    yield from _tear(
        "ed",
        "{} whose answer was lost is proved",
        "应答丢失的{}可取交易认证",
        _ed_final,
        "6.9",
        "4.20",
        deals=ED_DEALS,
    )


# A trip's ladder, command by command


def _at_step(step: int, point: CutPoint) -> Callable[[Lab], None]:
    """Lose the card at a command of an exit: 0 INITIALIZE, 1 and 2 the caches, 3 the debit."""

    def body(lab: Lab) -> None:
        ready(lab, TRIP, 300)
        free_trip(lab, 1)
        records = rail(lab.balance(0x00), 300)
        before = picture(lab, deep=True)
        lab.send(init_command(lab, TRIP, 300)) if step == 0 else None
        q = begin(lab, TRIP, 300)
        commands = [
            init_command(lab, TRIP, 300),
            *(cache_command(lab, sfi, record) for sfi, record in records),
            final_command(lab, TRIP, q),
        ]
        for command in commands[1:step]:
            lab.must(lab.send(command))
        lab.cut(commands[step], point)
        opened(lab)
        came = prove(lab, TRIP.kind, q.seq + 1)
        is_paid = step == len(commands) - 1 and point is CutPoint.AFTER
        word = 0x9000 if is_paid else 0x9406
        lab.require(came.sw == word, Words(f"{word:04X}", f"{word:04X}"), f"{came.sw:04X}")
        wanted = before.after(TRIP, q, records) if is_paid else before
        same(lab, wanted, deep=True)
        if not is_paid:
            q = begin(lab, TRIP, 300)
            cache(lab, *records)
            finish(lab, TRIP, q)
            same(lab, before.after(TRIP, q, records), deep=True)

    return body


_LADDER = ("INITIALIZE", "80 DC of EF1A", "80 DC of EF1E", "DEBIT")


@family
def exits() -> Iterator[Case]:
    """An exit, cut at each of its commands."""
    for step, what in enumerate(_LADDER):
        for point, (name, words) in _WHEN.items():
            title = Words(
                f"An exit with the field lost at {what}, {words.en}, is whole or not at all",
                f"出站在 {what} {words.zh}断场，要么全部完成要么全无",
            )
            key = f"tear.exit.{step}.{name}"
            yield Case(key, "TEAR", title, ("6.9", "6.8"), _at_step(step, point), needs=CUT)


# Commands under MAC


def _at_update(point: CutPoint) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        before = picture(lab)
        end = bytes.fromhex("20280930")
        lab.cut(update(lab, EF15.sfi, 24, end), point)
        opened(lab)
        if point is CutPoint.AFTER:
            old = before.facts["EF15"]
            before.facts["EF15"] = old[:24] + end + old[28:]
        same(lab, before)

    return body


def _at_record(guard: Guard, name: str, point: CutPoint) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        before = picture(lab, deep=True)
        lab.done_ok(GET_CHALLENGE)
        lab.cut(guard.command(lab), point)
        opened(lab)
        if point is CutPoint.AFTER:
            content = guard.content(lab) + b"\x90\x00"
            if guard is APPEND:
                _push(before.facts, "EF1E", content)
            else:
                before.facts[name] = content
        same(lab, before, deep=True)

    return body


def _push(facts: dict[str, bytes], prefix: str, record: bytes) -> None:
    names = [name for name in facts if name.startswith(prefix)]
    for later, earlier in zip(reversed(names), reversed(names[:-1]), strict=False):
        facts[later] = facts[earlier]
    facts[names[0]] = record


def _at_block(point: CutPoint) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        before = picture(lab)
        lab.done_ok(GET_CHALLENGE)
        lab.cut(BLOCK.command(lab), point)
        if point is CutPoint.AFTER:
            lab.must(lab.select(), int(lab.declared.dialect.select_blocked[-4:], 16))
            lab.done_ok(GET_CHALLENGE)
            lab.cut(UNBLOCK.command(lab), CutPoint.BEFORE)
            lab.must(lab.select(), int(lab.declared.dialect.select_blocked[-4:], 16))
            lab.done_ok(GET_CHALLENGE)
            lab.cut(UNBLOCK.command(lab), CutPoint.AFTER)
        opened(lab)
        same(lab, before)

    return body


def _at_pin(point: CutPoint) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        new = bytes.fromhex("654321")
        lab.cut(CHANGE_PIN.command(ChangePin(lab.pin + b"\xff" + new)), point)
        opened(lab)
        lab.must(lab.send(verify(new if point is CutPoint.AFTER else lab.pin)))

    return body


def _at_wrong_pin(point: CutPoint) -> Callable[[Lab], None]:
    """A thief who cuts the field before the answer gains no try."""

    def body(lab: Lab) -> None:
        opened(lab)
        wrong = verify(lab.pin[:-1] + bytes((lab.pin[-1] ^ 1,)))
        lab.cut(wrong, point)
        opened(lab)
        refused(lab, wrong, 0x63C1 if point is CutPoint.AFTER else 0x63C2)
        lab.must(lab.send(verify(lab.pin)))

    return body


_OTHERS: dict[
    str, tuple[Words, str, Callable[[CutPoint], Callable[[Lab], None]], frozenset[Need]]
] = {
    "renewal": (Words("A renewal", "延期"), "6.6", _at_update, CUT),
    "record": (
        Words("UPDATE RECORD", "UPDATE RECORD"),
        "4.8",
        partial(_at_record, RECORD, f"EF1A record {RECORD.pair[0]}"),
        CUT,
    ),
    "append": (
        Words("APPEND RECORD", "APPEND RECORD"),
        "4.8",
        partial(_at_record, APPEND, ""),
        CUT,
    ),
    "block": (Words("A block", "应用锁定"), "4.19", _at_block, CUT),
    "pin": (Words("CHANGE PIN", "修改 PIN"), "4.11", _at_pin, CUT | {Need.FRESH}),
    "wrong-pin": (Words("A wrong PIN", "错误 PIN"), "4.11", _at_wrong_pin, CUT),
}


@family
def others() -> Iterator[Case]:
    """What else writes: done or not done, nothing between."""
    for name, (words, clause, make, needs) in _OTHERS.items():
        for point, (when, at) in _WHEN.items():
            done = "done" if point is CutPoint.AFTER else "not done"
            zh = "已执行" if point is CutPoint.AFTER else "未执行"
            title = Words(
                f"{words.en} with the field lost {at.en} is {done}",
                f"{words.zh}在{at.zh}断场则{zh}",
            )
            key = f"tear.{name}.{when}"
            yield Case(key, "TEAR", title, ("6.9", clause), make(point), needs=needs)


# Written one by one


@case(
    "TEAR",
    "A proof can be asked for again when its answer is lost too",
    "交易认证应答丢失后可再次取得",
    "4.20",
    "6.8",
    needs=CUT,
)
def proof_lost_too(lab: Lab) -> None:
    """Three times."""
    ready(lab, TRIP)
    q = begin(lab, TRIP)
    _, proof = answers(lab, TRIP, q, 0)
    lab.cut(final_command(lab, TRIP, q), CutPoint.AFTER)
    for _ in range(3):
        opened(lab)
        command = GET_PROVE.command(ProveData((q.seq + 1) & 0xFFFF), 0x00, TRIP.kind)
        lab.cut(command, CutPoint.AFTER)
    opened(lab)
    lab.must_be(prove(lab, TRIP.kind, q.seq + 1).data, proof, Words("MAC2 and TAC", "MAC2 和 TAC"))


@case(
    "TEAR",
    "Two interrupted purchases in a row are paid once each",
    "连续两次中断的消费各只扣一次",
    "6.8",
    "6.9",
    needs=CUT,
)
def twice_interrupted(lab: Lab) -> None:
    """The second is proved, the first is not any more."""
    ready(lab, RIDE, 200)
    wanted = picture(lab)
    seqs = []
    for _ in range(2):
        q = begin(lab, RIDE, 100)
        lab.cut(final_command(lab, RIDE, q), CutPoint.AFTER)
        opened(lab)
        wanted = wanted.after(RIDE, q)
        seqs.append(q.seq + 1)
    same(lab, wanted)
    for seq, word in zip(seqs, (0x9406, 0x9000), strict=True):
        came = prove(lab, RIDE.kind, seq)
        lab.require(came.sw == word, Words(f"{word:04X}", f"{word:04X}"), f"{came.sw:04X}")


@case(
    "TEAR",
    "A card lost again and again before it is asked loses nothing",
    "反复断场不改变任何数据",
    "6.9",
    needs=CUT,
)
def only_resets(lab: Lab) -> None:
    """Twenty field losses, half of them within a purchase."""
    ready(lab, TRIP)
    before = picture(lab, deep=True)
    for n in range(20):
        if n % 2:
            begin(lab, TRIP)
            cache(lab, (0x1E, trip_log(n)))
        lab.reset()
        opened(lab)
    same(lab, before, deep=True)


@case(
    "TEAR", "The selection is lost with the field", "掉电后应用选择丢失", "4.1", needs=(Need.CUT,)
)
def selection_is_lost(lab: Lab) -> None:
    """EF15 by its SFI is not there in the master file."""
    opened(lab)
    lab.must(lab.send(read_binary(EF15.sfi)))
    lab.reset()
    answer = lab.send(read_binary(EF15.sfi))
    lab.require(answer[-2:] != b"\x90\x00", Words("a refusal", "拒绝"), answer.hex())
    answer = lab.send(bytes((0x80, 0x5C, 0x00, EP, 4)))
    lab.require(answer[-2:] != b"\x90\x00", Words("a refusal", "拒绝"), answer.hex())


@case("TEAR", "The challenge is lost with the field", "掉电后随机数失效", "4.9", "4.1", needs=CUT)
def challenge_is_lost(lab: Lab) -> None:
    """UPDATE BINARY under a challenge of before is 6984."""
    opened(lab)
    command = update(lab, EF15.sfi, 24, bytes.fromhex("20280930"))
    lab.reset()
    opened(lab)
    refused(lab, command, 0x6984)


@case(
    "TEAR",
    "A bad MAC with its answer lost changes nothing either",
    "MAC 错误且应答丢失时无变化",
    "4.16",
    "6.9",
    needs=CUT,
)
def bad_mac_lost(lab: Lab) -> None:
    """For each kind of transaction."""
    for deal in DEALS:
        ready(lab, deal)
        before = picture(lab)
        with_pin(lab, deal)
        q = begin(lab, deal)
        lab.cut(final_command(lab, deal, q, bytes(4)), CutPoint.AFTER)
        opened(lab)
        same(lab, before)


@case(
    "TEAR",
    "A top-up in the middle of a trip survives the field",
    "行程中充值后断场数据完整",
    "6.4",
    "6.9",
    needs=CUT,
)
def top_up_within_a_trip(lab: Lab) -> None:
    """Entry, field loss, top-up, field loss, exit."""
    ready(lab, TOP_UP, 400)
    free_trip(lab, 1)
    wanted = picture(lab)
    balance = lab.balance(0x00)
    for deal, amount, fare in ((TRIP, 0, None), (TOP_UP, 400, None), (TRIP, 400, 400)):
        opened(lab)
        with_pin(lab, deal)
        q = begin(lab, deal, amount)
        records = rail(balance + 400, fare) if deal is TRIP else ()
        cache(lab, *records)
        finish(lab, deal, q)
        wanted = wanted.after(deal, q, records)
        lab.reset()
    opened(lab)
    same(lab, wanted)
