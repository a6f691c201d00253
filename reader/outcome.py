"""What becomes of a tap: the verdict, the reason of a refusal, and what the passenger is told.

A refusal is a value. Each has a number for the gate's screen; its last digit is Beijing's where
that is public (domain facts 4.2: 4 over-time, 5 over-distance, 8 faulty), the rest is ours (D).
`lab` is the laboratory's reject code where one is public (protocol reference 6.10).
"""

from enum import Enum

from apdu.value import value
from reader.transactions import AnyView, Receipt


class Lamp(Enum):
    """The colour a gate shows."""

    GREEN = "green"
    RED = "red"
    AMBER = "amber"


class Reject(Enum):
    """Why a passage is refused: text for the passenger in Chinese and English.

    The order is the order of decisions (protocol reference 6.10, domain facts 4.1 D). code: for the
    screen. lab: the laboratory's reject code, or None.
    """

    EMERGENCY = ("紧急放行，禁止进入", "emergency release, do not enter", 10, None)
    CLOSED = ("暂停服务", "not in service", 11, None)
    FAULT = ("设备故障，请使用其他通道", "out of order, please use another gate", 12, None)
    MAINTENANCE = ("设备维护中", "under maintenance", 13, None)
    TOO_MANY_CARDS = ("票卡过多，请只刷一张卡", "too many cards, please show one", 16, None)
    NOT_OUR_CARD = ("不是交通卡", "not a transit card", 18, None)
    BLOCKED = ("卡片已锁定，请到服务窗口", "card blocked, please see staff", 20, None)
    ISSUER_UNKNOWN = ("发卡机构不在白名单", "issuer not accepted here", 21, 2449)
    IIN_MISMATCH = ("卡号与发卡机构不符", "card number does not belong to its issuer", 22, 5469)
    NOT_ENABLED = ("卡片未启用", "card not enabled", 30, None)
    NOT_YET_VALID = ("卡片未到启用日期", "card not valid yet", 31, None)
    EXPIRED = ("卡片已过有效期，请在App延期", "card expired, please renew it in the app", 32, None)
    BLACKLISTED = ("黑名单卡，请到服务窗口", "card on the blacklist, please see staff", 33, None)
    NOT_INTEROPERABLE = (
        "异地非互通卡",
        "card of another city without interoperation",
        36,
        None,
    )
    KIND_NOT_ACCEPTED = ("本处不受理此类卡", "this kind of card is not accepted here", 37, None)
    TRIP_LOCKED = ("行程记录已锁定，请到服务窗口", "trip record locked, please see staff", 40, None)
    ALREADY_ENTERED = ("无出站记录，请到服务窗口", "no exit record, please see staff", 41, None)
    NOT_ENTERED = ("无进站记录，请到服务窗口", "no entry record, please see staff", 42, None)
    NOT_ALIGHTED = (
        "上次乘车未刷卡下车，请联系司乘",
        "last ride not tapped off, ask staff",
        43,
        None,
    )
    NOT_BOARDED = ("无上车记录，请联系司乘", "no boarding record, please ask staff", 46, None)
    STATION_UNKNOWN = (
        "行程起点未知，请联系工作人员",
        "where the ride began is unknown, please see staff",
        47,
        None,
    )
    OVER_TIME = (
        "超时，请到服务窗口补票",
        "stayed too long, please pay at the window",
        54,
        None,
    )
    NOT_OVER_TIME = ("未超时，无需补票", "in time, nothing to pay", 55, None)
    BALANCE_IMPLAUSIBLE = (
        "余额异常，请到服务窗口",
        "balance implausible, please see staff",
        60,
        None,
    )
    ZERO_BALANCE = ("余额为零，请充值", "no money on the card, please top up", 61, 2731)
    BALANCE_TOO_LOW = ("余额不足，请充值", "balance too low, please top up", 65, None)
    UNPROVEN = (
        "交易待核实，请到服务窗口",
        "earlier debit to be checked, please see staff",
        70,
        None,
    )
    CARD_REFUSED = ("卡片处理失败，请到服务窗口", "the card refused, please see staff", 78, None)

    def __init__(self, zh: str, en: str, code: int, lab: int | None) -> None:
        self.zh = zh
        self.en = en
        self.code = code
        self.lab = lab


class Verdict(Enum):
    """What the barrier does."""

    PASS = "pass"  # noqa: S105 - not a password
    REJECT = "reject"
    TAP_AGAIN = "tap again"

    @property
    def lamp(self) -> Lamp:
        """The colour the passenger sees."""
        return _LAMPS[self]


_LAMPS = {Verdict.PASS: Lamp.GREEN, Verdict.REJECT: Lamp.RED, Verdict.TAP_AGAIN: Lamp.AMBER}


@value
class Outcome:
    """What became of a tap.

    fare:     fen charged for this ride in this tap, 0 when it was recovered.
    receipt:  of the ride's own debit, or of the one a recovery proved.
    missed:   the receipt of an earlier ride's fare, collected in this tap (domain facts 3.1).
    repeated: the same card again within the pass-back time: nothing was asked of it.
    serial:   of the card, where neither view nor receipt tells it.
    released: the barrier is open for an emergency; no card was touched.
    """

    verdict: Verdict
    reason: Reject | None = None
    detail: str = ""
    view: AnyView | None = None
    receipt: Receipt | None = None
    fare: int = 0
    missed: Receipt | None = None
    repeated: bool = False
    released: bool = False
    serial: bytes | None = None

    @property
    def card(self) -> bytes | None:
        """The card's serial, 10 bytes, or None if it never said it."""
        if self.receipt is not None:
            return self.receipt.serial
        return self.serial if self.view is None else self.view.info.serial

    @property
    def charged(self) -> int:
        """Everything this tap took off the card, fen."""
        return self.fare + (self.missed.amount if self.missed else 0)

    @property
    def text(self) -> tuple[str, str]:
        """What the passenger reads, in Chinese and in English."""
        if self.reason is not None:
            return self.reason.zh, self.reason.en
        if self.verdict is Verdict.TAP_AGAIN:
            return "请再刷一次", "please tap again"
        if self.released:
            return "紧急放行，请尽快离开", "emergency release, please leave"
        return "请通行", "please pass"
