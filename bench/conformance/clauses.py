"""The requirements of the suite: each section of the protocol reference, and where it is judged.

`docs/requirements.md` is made of this and of the cases; a test fails for a section that has neither
cases nor a reason.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from bench.conformance.case import Case
from bench.conformance.words import Words

SECTIONS: Mapping[str, Words] = {
    "1.1": Words("activation parameters: ATQA, SAK, UID, ATS", "激活参数：ATQA、SAK、UID、ATS"),
    "1.2": Words("ISO/IEC 14443-3 type A", "ISO/IEC 14443-3 A 型"),
    "1.3": Words("RATS and ATS", "RATS 与 ATS"),
    "1.4": Words("PPS", "PPS"),
    "1.5": Words("blocks", "数据块"),
    "1.6": Words("block rules A to E, 1 to 13", "块规则 A 至 E、1 至 13"),
    "1.7": Words("a conversation frame by frame", "逐帧对话"),
    "2.1": Words("order of a reader", "读卡顺序"),
    "2.2": Words("AIDs", "应用标识"),
    "2.3": Words("PPSE", "PPSE"),
    "2.4": Words("FCI of the purse", "电子钱包 FCI"),
    "2.5": Words("SELECT status words", "SELECT 状态字"),
    "3.1": Words("files and their rights", "文件及其权限"),
    "3.2": Words("EF15, public application file", "EF15 公共应用基本文件"),
    "3.3": Words("EF16, cardholder", "EF16 持卡人基本文件"),
    "3.4": Words("EF17, interoperation", "EF17 管理信息"),
    "3.5": Words("EF18, transaction log", "EF18 交易明细"),
    "3.6": Words("EF1E, trip records", "EF1E 出行记录"),
    "3.7": Words("transaction types", "交易类型"),
    "3.8": Words("EF1A 2701, metro", "EF1A 2701 地铁"),
    "3.9": Words("EF1A 2702, bus", "EF1A 2702 公交"),
    "3.10": Words("electronic cash", "电子现金"),
    "3.11": Words("the old Beijing card", "旧版北京卡"),
    "4.1": Words("general rules, order of checks", "一般规则、检查顺序"),
    "4.2": Words("transaction state machine", "交易状态机"),
    "4.3": Words("command table", "命令表"),
    "4.4": Words("SELECT", "SELECT"),
    "4.5": Words("READ BINARY", "READ BINARY"),
    "4.6": Words("UPDATE BINARY", "UPDATE BINARY"),
    "4.7": Words("READ RECORD", "READ RECORD"),
    "4.8": Words("UPDATE RECORD, APPEND RECORD", "UPDATE RECORD、APPEND RECORD"),
    "4.9": Words("GET CHALLENGE", "GET CHALLENGE"),
    "4.10": Words("EXTERNAL, INTERNAL AUTHENTICATE", "外部、内部认证"),
    "4.11": Words("PIN", "PIN"),
    "4.12": Words("GET BALANCE", "GET BALANCE"),
    "4.13": Words("top-up", "圈存"),
    "4.14": Words("INITIALIZE FOR PURCHASE and CAPP", "消费初始化"),
    "4.15": Words("UPDATE CAPP DATA CACHE", "更新复合应用数据缓存"),
    "4.16": Words("DEBIT", "消费"),
    "4.17": Words("unload", "圈提"),
    "4.18": Words("overdraft limit", "透支限额"),
    "4.19": Words("blocking", "锁定"),
    "4.20": Words("GET TRANSACTION PROVE", "取交易认证"),
    "4.21": Words("algorithm commands", "算法命令"),
    "4.22": Words("other inputs", "其他输入"),
    "4.23": Words("status words", "状态字"),
    "4.24": Words("grey lock", "灰锁"),
    "5.1": Words("keys", "密钥"),
    "5.2": Words("diversification", "密钥分散"),
    "5.3": Words("session keys", "过程密钥"),
    "5.4": Words("transaction MAC", "交易 MAC"),
    "5.5": Words("data elements of MACs and TACs", "MAC 与 TAC 的数据元"),
    "5.6": Words("secure messaging", "安全报文"),
    "5.7": Words("PSAM", "PSAM"),
    "5.8": Words("test vectors", "测试向量"),
    "5.9": Words("SM4", "SM4"),
    "6.1": Words("gate entry", "进站"),
    "6.2": Words("gate exit", "出站"),
    "6.3": Words("bus", "公交"),
    "6.4": Words("top-up", "充值"),
    "6.5": Words("refund and return", "退资与退卡"),
    "6.6": Words("renewal of validity", "延期"),
    "6.7": Words("blacklisted card at a gate", "黑名单卡过闸"),
    "6.8": Words("interrupted purchase", "消费中断"),
    "6.9": Words("anti-tear and atomicity", "防拔与原子性"),
    "6.10": Words("reader checks and reject reasons", "闸机检查与拒绝原因"),
    "7": Words("timing", "时间"),
}
"""Sections of the protocol reference that say what a card or a gate must do."""

REASONS: Mapping[str, str] = {
    "3.10": "electronic cash is another application; the card does not have it",
    "3.11": "another kind of card; the card does not have it",
    "4.24": "fuel cards alone; CLASS cases show that its class answers 6E00",
    "5.2": "every case with keys rests on it: keys of a card are diversified from the roots",
    "5.8": "vectors fix keys and random numbers, which a card under test chooses; `tests/vectors`",
    "5.9": "no layout is public; the dialect `sm4` plays every case with keys under our own",
}
"""Why a section has no cases."""


def clause_words(clause: str) -> Words:
    """A clause with what it is about.

    >>> clause_words("4.20").zh, clause_words("annex 8").zh, clause_words("DM 4.2").en
    ('4.20 取交易认证', '附录 8', 'DM 4.2')
    """
    title = SECTIONS.get(clause)
    if title is not None:
        return Words(f"{clause} {title.en}", f"{clause} {title.zh}")
    return Words(clause, clause.replace("annex", "附录"))


def counted(cases: Iterable[Case]) -> Counter[str]:
    """How many cases rest on each section."""
    return Counter(clause for one in cases for clause in one.clauses)


def unjudged(cases: Iterable[Case]) -> list[str]:
    """The sections that can have a case and have none of these."""
    found = counted(cases)
    return [one for one in SECTIONS if one not in REASONS and not found[one]]


def covered(cases: Iterable[Case]) -> tuple[int, int]:
    """How many sections have a case, of those that can have one."""
    found = counted(cases)
    able = [section for section in SECTIONS if section not in REASONS or found[section]]
    return sum(found[section] > 0 for section in able), len(able)
