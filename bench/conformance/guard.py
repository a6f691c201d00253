"""What stands in front of a card that is not ours, whatever a case does.

Without --write it lets pass what only reads. With it, what a test card can be given back or can do
without: money, numbers, records, a block for a time. What nobody could undo never passes: files,
keys, algorithms and the card's death, and instructions that the command table does not know.
"""

from collections.abc import Callable
from typing import Protocol

from apdu.codec import WireError
from apdu.commands import AID_PURSE, TABLE
from apdu.file_commands import CREATE_FILE, ERASE_DF, UPDATE_BINARY
from apdu.key_commands import (
    APPLICATION_BLOCK,
    BLOCK_ALGORITHM,
    CARD_BLOCK,
    CHANGE_PIN,
    PIN_UNBLOCK,
    RELOAD_PIN,
    WRITE_KEY,
)
from apdu.secret import has_secret
from apdu.tlv import value_of
from bench.conformance.case import Need, NotApplicable
from bench.conformance.declared import Identity, issuer_data
from bench.conformance.reading import is_reading
from bench.conformance.tries import Tries
from bench.conformance.words import Words
from reader.transport.base import Transport, TransportError

_SELECT = b"\x00\xa4"
_NAME = 0x84
_DONE = b"\x90\x00"


class Guarded(Protocol):
    """A stand with a foreign card.

    abilities:   what its owner allows. tries: what the card counts. identity: whose it is.
    knows_pin:   the owner has declared the PIN.
    can_unblock: the card has taken an APPLICATION UNBLOCK of ours.
    is_blocked:  the guard says so when the card has taken an APPLICATION BLOCK.
    """

    abilities: frozenset[Need]
    tries: Tries
    identity: Identity
    knows_pin: bool
    can_unblock: bool
    is_blocked: bool


_SECURE = 0x04
"""This bit of CLA is all that tells a command under MAC from its plain form."""
_CLASSES = frozenset(spec.cla & ~_SECURE for spec in TABLE)
_COMMANDS: frozenset[tuple[int, int]] = frozenset((spec.cla & ~_SECURE, spec.ins) for spec in TABLE)
_KNOWN = frozenset(int(ins) for _, ins in _COMMANDS)
_ADMINISTRATIVE = frozenset(spec.ins for spec in (CREATE_FILE, ERASE_DF, WRITE_KEY))
_SETS_PIN = tuple(bytes((s.cla, s.ins)) for s in (CHANGE_PIN, RELOAD_PIN, PIN_UNBLOCK))
_BLOCK = bytes((APPLICATION_BLOCK.cla, APPLICATION_BLOCK.ins))


def _is_strange(command: bytes) -> bool:
    """An instruction of nobody knows what; a known one passes in a class that does not exist."""
    if len(command) < 2:
        return False
    cla, ins = command[0] & ~_SECURE, command[1]
    known = (cla, ins) in _COMMANDS if cla in _CLASSES else ins in _KNOWN
    return not known


def _is_administrative(command: bytes) -> bool:
    return len(command) > 1 and command[1] in _ADMINISTRATIVE


def _is_for_ever(command: bytes) -> bool:
    """CARD BLOCK, APPLICATION BLOCK but for a time, and other algorithms."""
    ins, p1, p2 = (*command[1:4], 0, 0, 0)[:3]
    is_block = ins == APPLICATION_BLOCK.ins and p2 != 0
    is_algorithm = ins == BLOCK_ALGORITHM.ins and p1 != 0
    return bool(ins == CARD_BLOCK.ins or is_block or is_algorithm)


_NEVER: tuple[tuple[Callable[[bytes], bool], Words], ...] = (
    (
        lambda command: command[1:2] == bytes((UPDATE_BINARY.ins,)),
        Words(
            "EF15 to EF17 say whose card it is and of what kind, and are left as they are",
            "EF15 至 EF17 说明卡片归属与类别，保持不变",
        ),
    ),
    (
        _is_strange,
        Words(
            "what an unknown instruction does to this card nobody knows; only the bench's own"
            " cards are asked",
            "未知指令对该卡的作用不明；只对本台自己的卡片发送",
        ),
    ),
    (
        _is_administrative,
        Words(
            "it could erase or add files or keys, if the card's rights are open",
            "若卡片权限开放，可能删除或增加文件、密钥",
        ),
    ),
    (
        _is_for_ever,
        Words(
            "nobody could undo it: a block or an algorithm for good",
            "无法恢复：永久锁定或改变算法",
        ),
    ),
)
"""What never passes, and why."""


class Guard:
    """A transport to a foreign card that lets nothing pass that its owner did not allow.

    Raises NotApplicable, which skips the case.
    """

    def __init__(self, link: Transport, stand: Guarded) -> None:
        self._link = link
        self._stand = stand
        self._is_test_purse = False

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        if not is_reading(command):
            self._demand(command)
        try:
            answer = self._link.transmit(command)
        except TransportError:
            self._stand.tries.hear(command, None)
            raise
        self._stand.tries.hear(command, answer)
        if command[:2] == _BLOCK and answer[-2:] == _DONE:
            self._stand.is_blocked = True
        if command[:2] == _SELECT:
            self._selected(command, answer)
        return answer

    def _demand(self, command: bytes) -> None:
        if Need.WRITE not in self._stand.abilities:
            raise NotApplicable(Need.WRITE.words.en, Need.WRITE.words.zh)
        if not self._is_test_purse:
            raise NotApplicable(
                "no purse of a test issuer is selected, so nothing is written",
                "未选中测试发行机构的钱包，不写卡",
            )
        for is_meant, why in _NEVER:
            if is_meant(command):
                raise NotApplicable(why.en, why.zh)
        self._demand_way_back(command)
        self._demand_tries(command)

    def _demand_way_back(self, command: bytes) -> None:
        """What can be undone passes if it is known how."""
        if command[:2] == _BLOCK and not self._stand.can_unblock:
            raise NotApplicable(
                "the card has taken no APPLICATION UNBLOCK, so it might stay blocked",
                "卡片未接受过应用解锁命令，锁定后可能无法恢复",
            )
        if command[:2] in _SETS_PIN and not self._stand.tries.is_pin_proved:
            raise NotApplicable(
                "the card has not taken the declared PIN yet, and is left with the one it has",
                "卡片尚未接受所声明的 PIN，保持原 PIN 不变",
            )

    def _demand_tries(self, command: bytes) -> None:
        tries = self._stand.tries
        if has_secret(command) and not self._stand.knows_pin:
            raise NotApplicable(
                "the card's PIN is not known, and a wrong one costs a try; --profile declares it",
                "卡片 PIN 未知，错误尝试会减少次数；用 --profile 声明",
            )
        last, key = tries.last(command), tries.doubted(command)
        if last and key:
            raise NotApplicable(
                f"the card has refused what was made with the given {key}, and does not forgive"
                " many more",
                f"卡片已拒绝用所给 {key} 计算的数据，剩余次数不多",
            )
        if last:
            raise NotApplicable(
                f"a wrong {last} might be the last that the card forgives",
                f"错误的 {last} 可能耗尽卡片的剩余次数",
            )

    def _selected(self, command: bytes, answer: bytes) -> None:
        """A directory's answer tells whose it is; a file's, and a refusal, change nothing."""
        if not _is_directory(answer):
            return
        found, identity = issuer_data(answer), self._stand.identity
        is_it = AID_PURSE in command and not identity.in_fci
        if found is not None:
            is_it = found.issuer == identity.info.issuer
        self._is_test_purse = is_it and identity.is_test_card


def _is_directory(answer: bytes) -> bool:
    try:
        return value_of(answer[:-2], _NAME) is not None
    except WireError:
        return False
