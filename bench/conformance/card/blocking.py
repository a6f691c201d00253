"""Three strikes (4.6), and the commands that block (4.19)."""

from apdu.commands import GET_BALANCE
from apdu.files import EF1E, EF15
from apdu.key_commands import (
    APPLICATION_BLOCK,
    CARD_BLOCK,
)
from bench.conformance.card.protected import (
    BLOCK,
    DEAD,
    NEXT,
    RECORD,
    UNBLOCK,
    UPDATE,
    Guard,
    challenged,
    placed,
    send_right,
)
from bench.conformance.case import Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.scenes import (
    PAID,
    RIDE,
    begin,
    flipped,
    init_command,
    opened,
    read_binary,
    read_record,
    ready,
    refused,
    trip,
)

SPOILED = PAID | {Need.FRESH}


def _strike(lab: Lab, guard: Guard, *words: int) -> None:
    challenged(lab)
    refused(lab, flipped(guard.command(lab), 1), *words)


@case(
    "SM",
    "The third wrong MAC in a row blocks the application for good",
    "连续第三次 MAC 错误永久锁定应用",
    "4.6",
    grade="1",
    needs=SPOILED,
)
def three_strikes(lab: Lab) -> None:
    """6988, 6988, then 9303, and 9303 to everything after it."""
    opened(lab)
    for left in (2, 1):
        _strike(lab, UPDATE, UPDATE.wrong(lab, left))
    _strike(lab, UPDATE, 0x9303)
    for command in (read_binary(EF15.sfi), init_command(lab, RIDE, 0), GET_BALANCE.command(None)):
        refused(lab, command, 0x9303, clause="4.1")


@case(
    "SM",
    "A right MAC sets the strikes back",
    "MAC 正确后错误计数清零",
    "4.6",
    grade="D",
    needs=PAID,
)
def good_one_resets(lab: Lab) -> None:
    """Two wrong, one right, two wrong, one right: nothing is blocked."""
    opened(lab)
    for _ in range(2):
        for left in (2, 1):
            _strike(lab, UPDATE, UPDATE.wrong(lab, left))
        send_right(lab, UPDATE)
    lab.must(lab.send(read_binary(EF15.sfi)))


@case(
    "SM",
    "Strikes outlive the field",
    "MAC 错误计数掉电后不清零",
    "6.9",
    "4.6",
    needs=SPOILED | {Need.CUT},
)
def strikes_survive(lab: Lab) -> None:
    """One wrong in each of three sessions blocks as well."""
    for word in (UPDATE.wrong(lab, 2), UPDATE.wrong(lab, 1), 0x9303):
        opened(lab)
        _strike(lab, UPDATE, word)
        lab.reset()
    lab.must(lab.select(), *_blocked_words(lab))
    refused(lab, read_binary(EF15.sfi), 0x9303)


def _blocked_words(lab: Lab) -> tuple[int, ...]:
    return (int(lab.declared.dialect.select_blocked[-4:], 16),)


@case(
    "SM",
    "A command without its challenge is no strike",
    "未取随机数的命令不计入错误次数",
    "4.6",
    grade="I",
    needs=SPOILED,
)
def late_is_no_strike(lab: Lab) -> None:
    """Five times 6984, and the right one passes."""
    opened(lab)
    for _ in range(5):
        lab.challenge = None
        refused(lab, UPDATE.command(lab), DEAD)
    send_right(lab, UPDATE)


@case(
    "SM",
    "A blocked application keeps its balance and says nothing of it",
    "永久锁定后不再应答余额",
    "4.19",
    "4.6",
    needs=SPOILED,
)
def blocked_says_nothing(lab: Lab) -> None:
    """APPLICATION BLOCK for good: every purse command is 9303, UNBLOCK too."""
    opened(lab)
    challenged(lab)
    lab.must(lab.send(_permanent(lab)))
    refused(lab, GET_BALANCE.command(None), 0x9303)
    challenged(lab)
    refused(lab, UNBLOCK.command(lab), 0x9303)
    refused(lab, read_record(EF1E.sfi, 1), 0x9303)


def _permanent(lab: Lab) -> bytes:
    guard = Guard("permanent", BLOCK.name, APPLICATION_BLOCK, (0, 1), "dbk")
    return guard.command(lab)


@case(
    "SM",
    "A temporary block can be made permanent, and not undone then",
    "临时锁定可转为永久锁定且不可恢复",
    "4.19",
    needs=SPOILED | {Need.CUT},
)
def temporary_to_permanent(lab: Lab) -> None:
    """84 1E 00 00, then 84 1E 00 01; after a field loss it is still for good."""
    opened(lab)
    send_right(lab, BLOCK)
    challenged(lab)
    lab.must(lab.send(_permanent(lab)))
    lab.reset()
    lab.must(lab.select(), *_blocked_words(lab), clause="2.5")
    challenged(lab)
    refused(lab, UNBLOCK.command(lab), 0x9303)


@case(
    "SM",
    "Blocking twice is 9000 both times, and one unblock lifts it",
    "重复锁定应答 9000，解锁一次即恢复",
    "4.19",
    grade="1",
    needs=PAID,
)
def block_is_idempotent(lab: Lab) -> None:
    """And the purse is as it was."""
    opened(lab)
    before = picture(lab)
    for guard in (BLOCK, BLOCK, UNBLOCK):
        send_right(lab, guard)
    lab.must(lab.select())
    same(lab, before)


@case(
    "SM",
    "The third failed unblock in a row blocks for good",
    "连续三次解锁失败则永久锁定",
    "4.19",
    grade="1",
    needs=SPOILED,
)
def three_failed_unblocks(lab: Lab) -> None:
    """6988, 6988, 9303; the right one is then too late."""
    placed(lab, UNBLOCK)
    for word in (0x6988, 0x6988, 0x9303):
        _strike(lab, UNBLOCK, word)
    challenged(lab)
    refused(lab, UNBLOCK.command(lab), 0x9303)


@case(
    "SM",
    "A right unblock sets its failures back",
    "解锁成功后失败计数清零",
    "4.19",
    grade="I",
    needs=PAID,
)
def good_unblock_resets(lab: Lab) -> None:
    """Two wrong, one right, twice."""
    for _ in range(2):
        placed(lab, UNBLOCK)
        for _ in range(2):
            _strike(lab, UNBLOCK, 0x6988)
        send_right(lab, UNBLOCK)
    lab.must(lab.send(read_binary(EF15.sfi)))


@case(
    "SM",
    "Failed unblocks outlive the field",
    "解锁失败计数掉电后不清零",
    "4.19",
    "6.9",
    needs=SPOILED | {Need.CUT},
)
def failed_unblocks_survive(lab: Lab) -> None:
    """One in each of three sessions."""
    placed(lab, UNBLOCK)
    for word in (0x6988, 0x6988, 0x9303):
        _strike(lab, UNBLOCK, word)
        lab.reset()
        lab.select()


@case(
    "SM",
    "UNBLOCK of an application that is not blocked changes nothing",
    "未锁定时解锁无变化",
    "4.19",
    grade="I",
    needs=PAID,
)
def unblock_of_a_free_one(lab: Lab) -> None:
    """9000, or 6985 from a card that minds."""
    opened(lab)
    before = picture(lab)
    challenged(lab)
    refused(lab, UNBLOCK.command(lab), 0x9000, 0x6985)
    same(lab, before)


@case(
    "SM",
    "CARD BLOCK kills the card: 6A81 to everything, in every session",
    "卡片锁定后一切命令应答 6A81",
    "4.19",
    needs=SPOILED | {Need.CUT},
)
def card_is_killed(lab: Lab) -> None:
    """A wrong MAC kills nothing; the right one does for ever. DAMK is our decision for its key."""
    opened(lab)
    challenged(lab)
    refused(lab, flipped(lab.request(CARD_BLOCK), 1), 0x6988)
    lab.must(lab.send(read_binary(EF15.sfi)))
    lab.done_ok(CARD_BLOCK)
    for _ in range(2):
        for command in (b"\x00\x84\x00\x00\x04", read_binary(EF15.sfi)):
            refused(lab, command, 0x6A81)
        refused(lab, bytes.fromhex("00A4040008A000000632010105"), 0x6A81)
        lab.reset()


@case(
    "SM",
    "A blocked application serves UNBLOCK, GET CHALLENGE and SELECT alone",
    "锁定后只接受 SELECT、取随机数和解锁",
    "4.1",
    "4.9",
    grade="D",
    needs=PAID,
)
def blocked_serves_few(lab: Lab) -> None:
    """Reads, PIN, INITIALIZE and 80 5A are 6A81."""
    placed(lab, UNBLOCK)
    challenged(lab)
    for text in (
        "0020000003123456",
        "00B2019C00",
        "805A0002020001",
        "805C000204",
        "04D69518080000000000000000",
    ):
        refused(lab, bytes.fromhex(text), 0x6A81)
    lab.must(lab.select(), *_blocked_words(lab), clause="2.5")
    send_right(lab, UNBLOCK)


@case(
    "SM",
    "A transaction under way is over with a block",
    "锁定使进行中的交易作废",
    "4.2",
    "4.19",
    needs=PAID,
)
def block_ends_a_purchase(lab: Lab) -> None:
    """INITIALIZE, GET CHALLENGE, BLOCK, DEBIT: 6A81, and after the unblock nothing is paid."""
    ready(lab, RIDE)
    before = picture(lab)
    begin(lab, RIDE)
    send_right(lab, BLOCK)
    refused(lab, lab.request(RIDE.final), 0x6A81, clause="4.1")
    send_right(lab, UNBLOCK)
    lab.must(lab.select())
    same(lab, before)


@case(
    "SM",
    "Records are written under the record key, not under DAMK",
    "记录用记录保护密钥写入，不用 DAMK",
    "5.1",
    "4.8",
    grade="D",
    needs=PAID,
)
def record_key_alone(lab: Lab) -> None:
    """And EF15 not under the record key, where the two differ."""
    opened(lab)
    before = picture(lab)
    differs = lab.keys.damk != lab.keys.record
    challenged(lab)
    answer = lab.send(RECORD.command(lab, secret=lab.keys.damk))
    lab.must(answer, RECORD.wrong(lab) if differs else 0x9000)
    if differs:
        same(lab, before)


@case(
    "SM",
    "UPDATE RECORD replaces its record alone",
    "UPDATE RECORD 只改变一条记录",
    "4.8",
    needs=PAID,
)
def one_record_is_replaced(lab: Lab) -> None:
    """2703; money and numbers stay."""
    opened(lab)
    before = picture(lab, deep=True)
    send_right(lab, RECORD)
    before.facts[f"EF1A record {NEXT}"] = trip(NEXT, 0x33) + b"\x90\x00"
    same(lab, before, deep=True)
