"""Trips: what is written on the card, byte for byte (protocol reference 3.5, 3.6, 3.8, 3.9)."""

from bench.conformance.case import Level, Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import alight, board, entry, exit_, single
from bench.conformance.registry import case
from bench.conformance.words import Words

G = "TJJY"
BASIC = Level.BASIC
HERE = [Need.POST]
TRIP = Words("EF1A 2701", "EF1A 2701")
BUS = Words("EF1A 2702", "EF1A 2702")
LOG = Words("EF1E", "EF1E")


def serial_of(number: int) -> str:
    """The trip serial: the terminal's number in digits (3.8, as the printed ladder has it)."""
    return f"{number:016d}"


@case(
    G,
    "Entry writes its trip record, byte for byte",
    "进站写行程记录，逐字节",
    "3.8",
    "6.1",
    needs=HERE,
)
def entry_writes_trip(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    charge = lab.charge
    lab.are(
        lab.trip,
        "27017D010100" + serial_of(charge.number) + "01" + "1000" + "0000"
        "01011000FFFFFFFF 0000000000000000 1000751309000819 0000000000000000"
        "100075131F081909 0000000000000000" + charge.when.hex() + "00000000000000"
        "0000044C 08 00 00000000 00001388 00000000 01" + "00" * 28,
        TRIP,
    )


@case(
    G,
    "Entry writes its log record, byte for byte",
    "进站写交易行程明细，逐字节",
    "3.6",
    "6.1",
    needs=HERE,
)
def entry_writes_log(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    charge = lab.charge
    lab.same(charge.amount, 0, Words("amount of the entry, fen:", "进站金额（分）："))
    lab.are(
        lab.last_log,
        "03 0000"
        + charge.terminal.hex()
        + "01 0800 1300 3000 00 00000000 00001388"
        + charge.when.hex()
        + "1000 01011000FFFFFFFF 000000000000",
        LOG,
    )


@case(
    G,
    "Exit completes the trip record, byte for byte",
    "出站补全行程记录，逐字节",
    "3.8",
    "6.2",
    needs=HERE,
)
def exit_writes_trip(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    first = lab.charge
    lab.wait(minutes=30)
    lab.passes(lab.tap(exit_()))
    charge = lab.charge
    lab.are(
        lab.trip,
        "27017D010100" + serial_of(first.number) + "02" + "1000" + "1000"
        "01011000FFFFFFFF 01011000FFFFFFFF 1000751309000819 1000751909000819"
        "100075131F081909 100075191F081909"
        + first.when.hex()
        + charge.when.hex()
        + "0000044C 08 08 00000000 00001388 00000190 01"
        + "00" * 28,
        TRIP,
    )


@case(
    G,
    "Exit writes its log record, byte for byte",
    "出站写交易行程明细，逐字节",
    "3.6",
    "6.2",
    needs=HERE,
)
def exit_writes_log(lab: GateLab) -> None:
    lab.passes(lab.ride(entry(), exit_()))
    charge = lab.charge
    lab.same(charge.amount, 400, Words("amount of the exit, fen:", "出站金额（分）："))
    lab.are(
        lab.last_log,
        "04 0000"
        + charge.terminal.hex()
        + "01 0800 1900 3000 00 00000190 000011F8"
        + charge.when.hex()
        + "1000 01011000FFFFFFFF 000000000000",
        LOG,
    )


@case(
    G,
    "Boarding writes its trip record, byte for byte",
    "上车写公交行程记录，逐字节",
    "3.9",
    "6.3",
    needs=HERE,
)
def boarding_writes_trip(lab: GateLab) -> None:
    lab.passes(lab.tap(board(8)))
    charge = lab.charge
    lab.are(
        lab.bus_trip,
        "27027D010100"
        + serial_of(charge.number)
        + "01 1000 01011000FFFFFFFF 1000 012C 08"
        + b"BUS00001".hex()
        + "0000"
        + charge.terminal.hex()
        + charge.when.hex()
        + "00000258 AB"
        + "00" * 70,
        BUS,
    )
    lab.are(
        lab.last_log,
        "03 0000"
        + charge.terminal.hex()
        + "02 012C 0008 1000 00 00000000 00001388"
        + charge.when.hex()
        + "1000 01011000FFFFFFFF 000000000000",
        LOG,
    )


@case(
    G,
    "Alighting completes the trip record, byte for byte",
    "下车补全公交行程记录，逐字节",
    "3.9",
    "6.3",
    needs=HERE,
)
def alighting_writes_trip(lab: GateLab) -> None:
    lab.passes(lab.tap(board(1)))
    first = lab.charge
    lab.wait(minutes=30)
    lab.passes(lab.tap(alight(6)))
    charge = lab.charge
    door = b"BUS00001".hex() + "0000"
    lab.are(
        lab.bus_trip,
        "27027D010100"
        + serial_of(first.number)
        + "02 1000 01011000FFFFFFFF 1000 012C 01"
        + door
        + first.terminal.hex()
        + first.when.hex()
        + "00000320 AB"
        "1000 01011000FFFFFFFF 1000 012C 06"
        + door
        + charge.terminal.hex()
        + charge.when.hex()
        + "00000064 00C8"
        + "00" * 26,
        BUS,
    )
    lab.are(
        lab.last_log,
        "04 0000"
        + charge.terminal.hex()
        + "02 012C 0006 1000 00 00000064 00001324"
        + charge.when.hex()
        + "1000 01011000FFFFFFFF 000000000000",
        LOG,
    )


@case(
    G,
    "A flat bus fare writes a log record alone",
    "单一票制公交只写行程明细",
    "6.3",
    "3.6",
    needs=HERE,
)
def single_writes_log(lab: GateLab) -> None:
    trip = lab.bus_trip
    lab.passes(lab.tap(single()))
    charge = lab.charge
    lab.same(sorted(charge.written), [0x1E], Words("files written", "所写文件"))
    lab.same(lab.bus_trip, trip, Words("EF1A 2702 stays", "EF1A 2702 不变"))
    lab.are(
        lab.last_log,
        "06 0000"
        + charge.terminal.hex()
        + "02 0005 0001 1000 00 00000032 00001356"
        + charge.when.hex()
        + "1000 01011000FFFFFFFF 000000000000",
        LOG,
    )


@case(G, "A bus that goes down marks its way", "下行公交写下行标志", "3.9", needs=HERE)
def heading_is_written(lab: GateLab) -> None:
    lab.passes(lab.tap(board(10, heading="down")))
    lab.same(lab.bus_trip[57], 0xBA, Words("direction", "方向"))
    lab.same(lab.bus_trip[53:57].hex(), "00000320", Words("marked amount", "标记金额"))


@case(
    G,
    "The card's own log has every debit with its terminal and time",
    "卡内交易明细与终端、时间一致",
    "3.5",
    "6.2",
    level=BASIC,
)
def card_log_agrees(lab: GateLab) -> None:
    lab.passes(lab.ride(entry(), exit_()))
    first, second = lab.all_charges[0], lab.charge
    for number, charge in ((0, second), (1, first)):
        lab.are(
            lab.file(0x18)[number],
            f"{charge.counter:04X} 000000 {charge.amount:08X} 09"
            + charge.terminal.hex()
            + charge.when.hex(),
            Words("EF18", "EF18"),
        )


@case(
    G,
    "What the gate writes has the time of its debit",
    "所写时间即交易时间",
    "6.1",
    needs=[Need.CLOCK],
)
def time_is_the_gates(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    wanted = lab.now.strftime("%Y%m%d%H%M%S")
    lab.same(lab.charge.when.hex(), wanted, Words("time of DEBIT", "交易时间"))
    lab.same(lab.trip[67:74].hex(), wanted, Words("entry time", "进站时间"))
    lab.same(lab.last_log[25:32].hex(), wanted, Words("log time", "明细时间"))
    lab.wait(minutes=30, seconds=7)
    lab.passes(lab.tap(exit_()))
    wanted = lab.now.strftime("%Y%m%d%H%M%S")
    lab.same(lab.charge.when.hex(), wanted, Words("time of DEBIT", "交易时间"))
    lab.same(lab.trip[74:81].hex(), wanted, Words("exit time", "出站时间"))
    lab.same(lab.last_log[25:32].hex(), wanted, Words("log time", "明细时间"))
