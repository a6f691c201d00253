"""What clearing finds wrong: each fault by a code, in Chinese and English, with what to do.

The list follows domain facts 4.4; the codes are tapbench's own.
"""

from enum import Enum


class Fault(Enum):
    """One kind of exception.

    code: what is stored. holds: the record's money is not settled until staff has decided.
    is_note: worth knowing, no reason for anybody to act.
    """

    BAD_TAC = (
        "C01",
        "TAC 校验失败",
        "the TAC is not the card's over this record",
        "ask the gate's operator for its journal; pay nothing for the record",
        True,
    )
    DUPLICATE_RECORD = (
        "C02",
        "重复记录",
        "the record came in another batch already",
        "count it once; ask the station why it sent it again",
        True,
    )
    CLONED_CARD = (
        "C03",
        "同卡同计数器两笔交易",
        "two taps of one card have the same counter",
        "blacklist the card; compare both records with the card",
        True,
    )
    AMOUNT_MISMATCH = (
        "C04",
        "金额与余额不符",
        "balance before less amount is not balance after",
        "compare with the card's own log; pay nothing until then",
        True,
    )
    CARD_COUNTER_GAP = (
        "C05",
        "卡计数器不连续",
        "a record of the card before this one is missing",
        "ask the stations on the way for late records",
        False,
    )
    BROKEN_CHAIN = (
        "C06",
        "余额链断裂",
        "the balance before is not the one the last tap left",
        "look for a missing load or record of this card",
        False,
    )
    NEGATIVE_BALANCE = (
        "C07",
        "余额为负",
        "the balance is below what the card may owe",
        "blacklist the card until its purse has been examined",
        False,
    )
    TERMINAL_GAP = (
        "C08",
        "终端流水号不连续",
        "a number of the terminal before this one has no record",
        "ask the gate for its journal; the record may be unresolved or late",
        False,
    )
    TERMINAL_TWICE = (
        "C09",
        "终端流水号重复",
        "one number of the terminal was used in two taps",
        "take the gate out of service; examine its PSAM",
        False,
    )
    SHARED_TERMINAL = (
        "C10",
        "两台闸机使用同一 PSAM 号",
        "two gates use one PSAM number",
        "find out which gate the PSAM belongs to; withdraw the other",
        False,
    )
    WRONG_TERMINAL = (
        "C11",
        "终端号与闸机不符",
        "the terminal number is not the one of this gate",
        "correct the register, or examine the gate",
        False,
    )
    BLACKLISTED = (
        "C12",
        "挂失后的交易",
        "the tap is after the card was reported lost",
        "charge it to who bears the delay of the blacklist",
        False,
    )
    EXPIRED = (
        "C13",
        "过期后的交易",
        "the card had expired on the day that counts",
        "check the gate's clock and rules",
        False,
    )
    BACK_DATED = (
        "C14",
        "交易时间倒退",
        "the time is before that of the tap before it",
        "check the gate's clock; settle on the day of the upload",
        False,
    )
    AHEAD_OF_TIME = (
        "C15",
        "交易时间超前",
        "the time is after the record was received",
        "check the gate's clock",
        False,
    )
    DUPLICATED_BATCH = (
        "C16",
        "重复批次",
        "every record of the batch came in other batches already",
        "pay nothing for it; ask the station",
        False,
    )
    TRUNCATED_BATCH = (
        "C17",
        "批次不完整",
        "the batch is cut off and was refused whole",
        "ask the station to send it again",
        False,
    )
    SPOILT_BATCH = (
        "C18",
        "批次校验失败",
        "the batch was refused whole",
        "ask the station to send it again",
        False,
    )
    LATE = ("C19", "迟到记录", "the record came long after the tap", "none", False)
    BATCH_AGAIN = (
        "C20",
        "批次重发",
        "the batch was delivered more than once and taken once",
        "none",
        False,
    )

    def __init__(self, code: str, zh: str, en: str, todo: str, holds: bool) -> None:
        self.code = code
        self.zh = zh
        self.en = en
        self.todo = todo
        self.holds = holds

    @property
    def is_note(self) -> bool:
        """Whether nobody has to act."""
        return self in (Fault.LATE, Fault.BATCH_AGAIN)


BY_CODE = {fault.code: fault for fault in Fault}
HOLDING = tuple(fault.code for fault in Fault if fault.holds)
