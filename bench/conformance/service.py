"""A card in service: what it answers to right requests, and how a case settles it.

A card in service has been personalised: nobody empties, fills or opens it any more. What it answers
to each right request at rest is 9000, or what `REFUSED` and the switches of its profile say.
"""

from collections.abc import Callable
from dataclasses import dataclass

from apdu.command import Command
from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    ED,
    EP,
    GET_BALANCE,
    GET_PROVE,
    INIT_CASH,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
    UPDATE_CACHE,
)
from apdu.file_commands import (
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    CREATE_FILE,
    ERASE_DF,
    GET_DATA,
    GET_RESPONSE,
    READ_BINARY_MAC,
    READ_RECORD,
    READ_RECORD_MAC,
    UPDATE_BINARY,
    UPDATE_RECORD,
)
from apdu.files import EF1A, EF1E, EF18
from apdu.key_commands import (
    APPLICATION_BLOCK,
    BLOCK_ALGORITHM,
    CARD_BLOCK,
    CHANGE_ALGORITHM,
    CHANGE_PIN,
    EXTERNAL_AUTHENTICATE,
    GET_ALGORITHM,
    INTERNAL_AUTHENTICATE,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
    WRITE_KEY,
    WRITE_KEY_MAC,
)
from apdu.purse import PURCHASE
from apdu.records import InitializeData, OnlyMac, Protected
from apdu.spec import State
from apdu.sw import SW
from bench.conformance.case import Body, Need, NotApplicable
from bench.conformance.derive import ENDINGS, LASTING, answer_in
from bench.conformance.desk import PATHS, Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.scenes import ceiling
from bench.conformance.words import Words
from emulator.card.profile import Profile
from emulator.card.state import Blocked


@dataclass(frozen=True, slots=True)
class Refusal:
    """A right request that a card in service refuses: with what, by which clause, and why.

    zh: why, in Chinese.
    """

    sw: int
    clause: str
    why: str
    zh: str


REFUSED: dict[Spec, Refusal] = {
    UPDATE_BINARY: Refusal(
        SW.MAC_MISSING, "4.6", "the file is written under MAC only", "文件只能带 MAC 写入"
    ),
    UPDATE_RECORD: Refusal(
        SW.MAC_MISSING, "4.8", "the file is written under MAC only", "文件只能带 MAC 写入"
    ),
    APPEND_RECORD: Refusal(
        SW.MAC_MISSING, "4.8", "the file is written under MAC only", "文件只能带 MAC 写入"
    ),
    GET_RESPONSE: Refusal(
        SW.CONDITIONS_OF_USE,
        "4.1",
        "answers leave whole, nothing waits",
        "应答一次返回，无待取数据",
    ),
    GET_DATA: Refusal(
        SW.REFERENCE_NOT_FOUND, "4.22", "a purse has no data objects", "钱包没有数据对象"
    ),
    ERASE_DF: Refusal(
        SW.SECURITY_STATUS, "annex 2", "the erase right is not met", "不满足擦除权限"
    ),
    CREATE_FILE: Refusal(
        SW.SECURITY_STATUS, "annex 3.4", "the create right is not met", "不满足建立权限"
    ),
    WRITE_KEY: Refusal(
        SW.SECURITY_STATUS, "annex 4", "the right to add keys is not met", "不满足增加密钥的权限"
    ),
    WRITE_KEY_MAC: Refusal(
        SW.SECURITY_STATUS, "annex 4", "the right to add keys is not met", "不满足增加密钥的权限"
    ),
    INTERNAL_AUTHENTICATE: Refusal(
        SW.REFERENCE_NOT_FOUND,
        "annex 5.4",
        "the purse has no key of types 30 to 32",
        "钱包没有 30 至 32 类密钥",
    ),
}
"""What every card in service refuses, however right the request."""

_NO_MAC_READS = Refusal(
    SW.SECURE_MESSAGING_NOT_SUPPORTED,
    "4.5",
    "reads are not protected (protected_reads)",
    "读取不受保护（protected_reads）",
)
_ONE_ALGORITHM = Refusal(
    SW.INS_UNKNOWN, "4.21", "the card has one algorithm (dual_alg)", "卡片只有一种算法（dual_alg）"
)
_NO_DEPOSIT = Refusal(
    SW.WRONG_P1P2, "4.3", "the application has no deposit (has_ed)", "应用没有电子存折（has_ed）"
)

BY_PROFILE: dict[Spec, tuple[Callable[[Profile], bool], Refusal]] = {
    READ_BINARY_MAC: (lambda p: not p.dialect.protected_reads, _NO_MAC_READS),
    READ_RECORD_MAC: (lambda p: not p.dialect.protected_reads, _NO_MAC_READS),
    GET_ALGORITHM: (lambda p: not p.dialect.dual_alg, _ONE_ALGORITHM),
    CHANGE_ALGORITHM: (lambda p: not p.dialect.dual_alg, _ONE_ALGORITHM),
    BLOCK_ALGORITHM: (lambda p: not p.dialect.dual_alg, _ONE_ALGORITHM),
    INIT_CASH: (lambda p: not p.has_ed, _NO_DEPOSIT),
}
"""What some cards in service refuse: whether a profile does, and how."""

_ED_PAIRS = {
    GET_BALANCE: (0x00, ED),
    INIT_LOAD: (0x00, ED),
    INIT_PURCHASE: (0x01, ED),
    INIT_UNLOAD: (0x05, ED),
}


def refusal(spec: Spec, declared: Profile, pair: Pair | None = None) -> Refusal | None:
    """How a card refuses the right request with this P1 and P2 at rest, None if it takes it."""
    if spec in REFUSED:
        return REFUSED[spec]
    if spec in BY_PROFILE and BY_PROFILE[spec][0](declared):
        return BY_PROFILE[spec][1]
    return None if pair is None else _refused_pair(spec, declared, pair)


def _refused_pair(spec: Spec, declared: Profile, pair: Pair) -> Refusal | None:
    dialect = declared.dialect
    if spec in _ED_PAIRS and pair == _ED_PAIRS[spec] and not declared.has_ed:
        return _NO_DEPOSIT
    if spec is DEBIT and dialect.debit_p1 not in ("both", f"{pair[0]:02X}"):
        return Refusal(
            SW.WRONG_P1P2,
            "4.16",
            "this P1 is not the card's (debit_p1)",
            "P1 不适用于此卡（debit_p1）",
        )
    if spec is UPDATE_CACHE and not _is_address(pair, dialect.cache_address):
        return Refusal(
            SW.WRONG_P1P2,
            "4.15",
            "not the card's way to address (cache_address)",
            "寻址方式不适用于此卡（cache_address）",
        )
    if spec is READ_RECORD_MAC and pair[1] >> 3 == EF18.sfi:
        return Refusal(
            SW.SECURE_MESSAGING_NOT_SUPPORTED, "4.23", "the log is not protected", "日志不受保护"
        )
    if spec is APPEND_RECORD_MAC and pair[1] >> 3 == EF1A.sfi:
        return Refusal(SW.NO_SPACE, "4.8", "all 18 records are there", "18 条记录已满")
    return None


def _is_address(pair: Pair, address: str) -> bool:
    if address == "any":
        return True
    is_numbered = pair[1] & 7 == 4
    if pair[1] >> 3 == EF1E.sfi:
        return is_numbered == (address == "number")
    way = ("number" if pair[0] else "") if is_numbered else ("id" if pair[0] else "zero")
    return address == way


# What a case may take


SECRETS = (Protected, OnlyMac)
_SECRET_SPECS = (
    EXTERNAL_AUTHENTICATE,
    VERIFY_PIN,
    CHANGE_PIN,
    RELOAD_PIN,
    PIN_UNBLOCK,
    *ENDINGS,
)
_SPOILS = (APPLICATION_BLOCK, CARD_BLOCK, CHANGE_ALGORITHM, BLOCK_ALGORITHM)


def needs_of(spec: Spec) -> frozenset[Need]:
    """What a right request of a command takes: keys for its MAC, the right to write, a card."""
    needs = set()
    if spec.data in SECRETS or spec in _SECRET_SPECS or spec is GET_PROVE:
        needs.add(Need.KEYS)
    if (spec in LASTING and spec not in REFUSED) or spec is GET_PROVE:
        needs.add(Need.WRITE)
    if spec in _SPOILS:
        needs.add(Need.FRESH)
    return frozenset(needs)


def zeros(spec: Spec, pair: Pair) -> bytes:
    """A final command with zeros for data: its MAC is nobody's."""
    return Command(spec.cla, spec.ins, *pair, bytes(spec.data.size()), spec.ne).build()  # type: ignore[union-attr]


# Settling a card


def enter(lab: Lab) -> None:
    """Select the purse, and show the PIN where the profile asks for it."""
    select(lab)
    if lab.declared.has_ed or lab.declared.dialect.pin_for_load:
        lab.done_ok(VERIFY_PIN)


def if_known(spec: Spec, body: Body) -> Body:
    """A case about a command that a card may do without, which is then left out.

    Nothing ever waits on a contactless card, so it need not know GET RESPONSE (4.1).
    """
    if spec is not GET_RESPONSE:
        return body

    def asked(lab: Lab) -> None:
        if lab.send(spec.command(None))[-2:] == SW.INS_UNKNOWN.to_bytes(2, "big"):
            raise NotApplicable(
                "the card has no GET RESPONSE, and needs none", "此卡没有 GET RESPONSE，也不需要"
            )
        body(lab)

    return asked


def select(lab: Lab) -> None:
    """Select the purse, and no more."""
    if lab.declared.blocked is not Blocked.NO:
        raise NotApplicable("the card's application is blocked", "卡片应用已锁定")
    lab.must(lab.select())


def right_pair(lab: Lab, spec: Spec) -> Pair:
    """P1 and P2 with which this card takes the command."""
    dialect = lab.declared.dialect
    if spec is UPDATE_CACHE:
        mode = 4 if dialect.cache_address == "number" else 0
        return (0 if dialect.cache_address == "zero" else lab.record, EF1A.sfi << 3 | mode)
    if spec is DEBIT and dialect.debit_p1 == "02":
        return (0x02, 0x00)
    if spec in (READ_RECORD, READ_RECORD_MAC):
        return (lab.record, EF1A.sfi << 3 | 4)
    return (0x00, PURCHASE) if spec is GET_PROVE else spec.usual


def usual_pair(lab: Lab, spec: Spec) -> Pair:
    """The command's usual P1 and P2, but this card's where it takes no other (debit_p1)."""
    return right_pair(lab, spec) if spec is DEBIT else spec.usual


def choose_trip(lab: Lab) -> None:
    """Take a trip record that is not locked for `lab.record` (3.8)."""
    for number in range(1, EF1A.count + 1):
        found = lab.done_ok(READ_RECORD, pair=(number, EF1A.sfi << 3 | 4))
        if found[5:6] == b"\0":
            lab.record = number
            return
    raise NotApplicable("every trip record is locked", "所有行程记录均已锁定")


def go(lab: Lab, state: State) -> None:
    """Bring the card into a state by the shortest way, with amounts that it can take."""
    if UPDATE_CACHE in PATHS[state]:
        choose_trip(lab)
    for spec in PATHS[state]:
        step(lab, spec)


def step(lab: Lab, spec: Spec, pair: Pair | None = None) -> bytes:
    """One command on the way, which must succeed. Returns its answer's data.

    A card without the command is told so by the cases about it, once, and not by all behind it.
    """
    pair = pair or right_pair(lab, spec)
    if spec.data is InitializeData:
        lab.amount = affordable(lab, spec, pair[1])
    response = lab.ask(spec, pair=pair)
    if int.from_bytes(response[-2:], "big") in (SW.INS_UNKNOWN, SW.WRONG_P1P2):
        raise NotApplicable(
            f"it leads through {spec.name}, which fails", f"须经 {spec.name}，但失败"
        )
    if response[-2:] == SW.COUNTER_AT_MAXIMUM.to_bytes(2, "big"):
        raise NotApplicable("the card's transaction numbers are used up", "卡片交易序号已用尽")
    return lab.must(response).data


def affordable(lab: Lab, spec: Spec, which: int = EP) -> int:
    """An amount that the card can take in this INITIALIZE, at rest; it is brought there if need be.

    Raises NotApplicable if that would need keys or writes that the stand does not have.
    """
    if spec is INIT_LOAD:
        return _room(lab) if which == EP else 100
    held = lab.balance(0x03) if which == EP else _deposit(lab)
    if spec is INIT_UNLOAD:
        return min(100, held or _filled(lab, which))
    return min(100, lab.balance() if which == EP else held)


def _deposit(lab: Lab) -> int:
    return int.from_bytes(lab.done_ok(GET_BALANCE, pair=(0x00, ED)), "big")


def _may_pay(lab: Lab) -> None:
    if not {Need.KEYS, Need.WRITE} <= lab.stand.abilities:
        raise NotApplicable(
            "the balance leaves no room, and changing it needs keys and --write",
            "余额不合适，调整余额需要密钥和 --write",
        )


def _limits(lab: Lab) -> tuple[int, int]:
    """How much a load may bring at most, and how much of it the overdraft takes."""
    actual, used = lab.balance(0x03), lab.balance(0x02)
    return ceiling(lab) - actual + used, used


def _room(lab: Lab) -> int:
    """What may be loaded; a full purse is emptied a little first."""
    room, _ = _limits(lab)
    if room < 1:
        _may_pay(lab)
        step(lab, INIT_PURCHASE)
        step(lab, DEBIT)
        room, _ = _limits(lab)
    if room < 1:
        raise NotApplicable("the purse takes no load", "钱包不能充值")
    return min(100, room)


def _filled(lab: Lab, which: int) -> int:
    """Fill an empty purse. Returns what it holds then."""
    _may_pay(lab)
    room, used = _limits(lab) if which == EP else (100, 0)
    lab.amount = min(room, used + 100)
    lab.done_ok(INIT_LOAD, pair=(0x00, which))
    lab.done_ok(CREDIT_LOAD)
    held = lab.balance(0x03) if which == EP else _deposit(lab)
    if held < 1:
        raise NotApplicable("the purse cannot be filled", "钱包无法充值")
    return held


def settle(lab: Lab, spec: Spec, state: State = State.IDLE, pair: Pair | None = None) -> None:
    """A card in a state, with everything done beforehand that the command will need.

    pair: the P1 and P2 it will have, if they are not the usual ones.
    """
    enter(lab)
    ready(lab, spec, state, pair)


def ready(lab: Lab, spec: Spec, state: State, pair: Pair | None = None) -> None:
    """The same with the purse selected."""
    amount = None
    if spec is GET_PROVE:
        step(lab, INIT_PURCHASE)
        step(lab, DEBIT)
    pair = pair or right_pair(lab, spec)
    if spec.data is InitializeData and refusal(spec, lab.declared, pair) is None:
        amount = affordable(lab, spec, pair[1])
    if spec is UPDATE_CACHE:
        choose_trip(lab)
    go(lab, state)
    if amount is not None:
        lab.amount = amount
    if lab.offer is not None and hasattr(lab.offer.reply, "overdraft_limit"):
        lab.limit = lab.offer.reply.overdraft_limit
    lab.prepare(spec)


def send_right(lab: Lab, spec: Spec, pair: Pair | None = None) -> bytes:
    """A right request where the card stands now; final commands out of place carry zeros."""
    pair = pair or right_pair(lab, spec)
    if spec in ENDINGS and lab.state not in spec.when:
        return lab.send(zeros(spec, pair))
    return lab.send(lab.request(spec, pair))


def refuse(lab: Lab, response: bytes, *words: int, clause: str = "") -> None:
    """Require a refusal with one of these words and nothing beside it."""
    parsed = lab.must(response, *words, clause=clause)
    nothing = Words("the status word alone", "仅有状态字")
    lab.must_be(parsed.data, b"", nothing, clause=clause)


def right_answer(lab: Lab, spec: Spec, state: State, pair: Pair | None = None) -> int:
    """What a right request answers in a state, by the table and by what the card declares.

    P1 and P2 come before the state (4.1).
    """
    refused = refusal(spec, lab.declared, pair)
    if spec is DEBIT and refused is not None:
        return refused.sw
    sw = answer_in(spec, state, SW.OK if refused is None else refused.sw)
    is_early = sw == SW.WRONG_STATE and spec is UPDATE_CACHE
    if is_early and lab.declared.dialect.cache_too_soon == "6985":
        return SW.CONDITIONS_OF_USE
    return sw
