"""What any card must keep, and that it did not."""

from enum import Enum

from bench.conformance.words import Words


class Rule(Enum):
    """A requirement of the oracle."""

    ALIVE = Words("an answer, and no breakdown inside the card", "有应答，卡内不出错")
    FORM = Words("an answer of 2 to 258 bytes, with data only where declared", "应答格式正确")
    WORD = Words("a status word declared for the command", "该命令声明过的状态字")
    STATE = Words("commands only in the states of the table", "命令只在状态表允许的状态执行")
    MAC = Words("a final command only with a right MAC", "MAC 正确才执行交易命令")
    SEAL = Words("only a right MAC, PIN or challenge taken", "MAC、PIN、随机数正确才执行")
    PROOF = Words("right MACs and TACs in answers", "应答中的 MAC 和 TAC 正确")
    MONEY = Words("balances as the commits left them", "余额与已提交的交易一致")
    COUNT = Words("transaction numbers that count commits", "交易序号只随提交递增")
    BOUND = Words("no more money than there is or may be", "金额不超过余额与上限")
    RECORD = Words("records and files as they were last written", "记录和文件保持最后写入的内容")
    RANDOM = Words("a new random number each time", "随机数每次不同")
    REFUSAL = Words("a refusal that changes nothing but tries", "被拒绝的命令不改变卡片")

    @property
    def words(self) -> Words:
        """The requirement for people."""
        words: Words = self.value
        return words


class Breach(Exception):
    """A card broke a rule. expected and came: in words."""

    def __init__(self, rule: Rule, expected: str, came: str) -> None:
        super().__init__(f"{rule.words}: expected {expected}, came {came}")
        self.rule = rule
        self.expected = expected
        self.came = came
