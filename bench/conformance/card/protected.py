"""Secure messaging: each command under MAC, forged in each way (5.6)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apdu.commands import GET_BALANCE, SELECT
from apdu.crypto import Key
from apdu.file_commands import (
    AID_PURSE,
    APPEND_RECORD_MAC,
    GET_CHALLENGE,
    UPDATE_BINARY_MAC,
    UPDATE_RECORD_MAC,
)
from apdu.files import EF1A, EF1E, EF15
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    PIN_UNBLOCK,
)
from apdu.purse import secure_messaging_encrypt
from apdu.records import SelectName
from bench.conformance.case import Case, Need
from bench.conformance.desk import Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import family
from bench.conformance.scenes import PAID, flipped, opened, read_binary, refused, trip, trip_log
from bench.conformance.words import Words

PAID_AND_CUT = PAID | {Need.CUT}
_END = bytes.fromhex("20270930")
DEAD = 0x6984
"""The word for a challenge that is not there or has been used."""

NEXT = 3
"""The trip record written under MAC: 2703, which no ladder uses."""


@dataclass(frozen=True)
class Guard:
    """One command under MAC. content: what it carries. blocks: the application is blocked by it."""

    key: str
    name: Words
    spec: Spec
    pair: Pair
    secret: str
    content: Callable[[Lab], bytes] = lambda lab: b""
    is_counted: bool = False

    def command(self, lab: Lab, *, secret: Key | None = None, mac: bytes | None = None) -> bytes:
        """The command under the challenge just had. secret, mac: instead of the right ones."""
        key: Key = secret or getattr(lab.keys, self.secret)
        content = self.content(lab)
        mac = mac or lab.sm_mac(key, self.spec, *self.pair, content)
        data = content + mac
        return bytes((self.spec.cla, self.spec.ins, *self.pair, len(data))) + data

    def wrong(self, lab: Lab, left: int = 2) -> int:
        """What a wrong MAC answers: 6988, or 63Cx where the dialect says so (Q15)."""
        counts = self.is_counted and lab.declared.dialect.wrong_mac == "63Cx"
        return 0x63C0 | left if counts else 0x6988


UPDATE = Guard(
    "update",
    Words("UPDATE BINARY", "UPDATE BINARY"),
    UPDATE_BINARY_MAC,
    (0x95, 24),
    "damk",
    lambda lab: _END,
    True,
)
RECORD = Guard(
    "record",
    Words("UPDATE RECORD", "UPDATE RECORD"),
    UPDATE_RECORD_MAC,
    (NEXT, EF1A.sfi << 3 | 4),
    "record",
    lambda lab: trip(NEXT, 0x33),
    True,
)
APPEND = Guard(
    "append",
    Words("APPEND RECORD", "APPEND RECORD"),
    APPEND_RECORD_MAC,
    (0, EF1E.sfi << 3),
    "record",
    lambda lab: trip_log(0x34),
    True,
)
BLOCK = Guard("block", Words("APPLICATION BLOCK", "应用锁定"), APPLICATION_BLOCK, (0, 0), "dbk")
UNBLOCK = Guard(
    "unblock", Words("APPLICATION UNBLOCK", "应用解锁"), APPLICATION_UNBLOCK, (0, 0), "dubk"
)
PIN = Guard(
    "pin",
    Words("PIN UNBLOCK", "PIN 解锁"),
    PIN_UNBLOCK,
    (0, 1),
    "dpuk",
    lambda lab: secure_messaging_encrypt(lab.keys.dpuk, lab.pin),
)
GUARDS = (UPDATE, RECORD, APPEND, BLOCK, UNBLOCK, PIN)


def challenged(lab: Lab) -> None:
    """GET CHALLENGE, which must succeed."""
    lab.done_ok(GET_CHALLENGE)


def placed(lab: Lab, guard: Guard) -> None:
    """The purse is selected, and blocked if it is to be unblocked."""
    opened(lab)
    if guard is UNBLOCK:
        send_right(lab, BLOCK)


def send_right(lab: Lab, guard: Guard) -> None:
    """The right command under a fresh challenge, which must pass."""
    challenged(lab)
    lab.must(lab.send(guard.command(lab)))


def _unchanged(lab: Lab, guard: Guard, forge: Callable[[Lab], bytes], *words: int) -> None:
    """A forged command is refused and changes nothing; the right one passes after it."""
    opened(lab)
    before = picture(lab)
    placed(lab, guard)
    refused(lab, forge(lab), *(words or (guard.wrong(lab),)))
    if guard is UNBLOCK:
        refused(lab, read_binary(EF15.sfi), 0x6A81, clause="4.19")
    else:
        same(lab, before)
    send_right(lab, guard)


Forge = Callable[[Lab, Guard], bytes]


def _mac_byte(n: int) -> Forge:
    def forge(lab: Lab, guard: Guard) -> bytes:
        challenged(lab)
        return flipped(guard.command(lab), n, 0x01 if n == 1 else 0xFF)

    return forge


def _content_bit(lab: Lab, guard: Guard) -> bytes:
    challenged(lab)
    right = guard.command(lab)
    return flipped(right, 5, 0x01) if guard.content(lab) else _p2(lab, guard)


def _p2(lab: Lab, guard: Guard) -> bytes:
    """A MAC made for other parameters: the header is under the MAC."""
    p1, p2 = guard.pair
    other = {
        UPDATE.key: (p1, 20), RECORD.key: (p1 + 1, p2), APPEND.key: (p1, p2 | 4),
        BLOCK.key: (0, 1), UNBLOCK.key: (1, 0), PIN.key: (0, 0),
    }[guard.key]  # fmt: skip
    challenged(lab)
    content = guard.content(lab)
    key: Key = getattr(lab.keys, guard.secret)
    return guard.command(lab, mac=lab.sm_mac(key, guard.spec, *other, content))


def _other_key(lab: Lab, guard: Guard) -> bytes:
    challenged(lab)
    other: Key = lab.keys.dtk if lab.declared.dialect.sm4 is False else lab.keys.drpk
    return guard.command(lab, secret=other)


def _zero_iv(lab: Lab, guard: Guard) -> bytes:
    challenged(lab)
    was, lab.challenge = lab.challenge, bytes(4)
    made = guard.command(lab)
    lab.challenge = was
    return made


def _single_des(lab: Lab, guard: Guard) -> bytes:
    challenged(lab)
    key: Key = getattr(lab.keys, guard.secret)
    return guard.command(lab, secret=Key(key.expose()[:8]))


def _constant(lab: Lab, guard: Guard) -> bytes:
    challenged(lab)
    return guard.command(lab, mac=b"\xff" * 4)


def _old_challenge(lab: Lab, guard: Guard) -> bytes:
    challenged(lab)
    made = guard.command(lab)
    challenged(lab)
    return made


def _none(lab: Lab, guard: Guard) -> bytes:
    lab.challenge = None
    return guard.command(lab)


def _between(step: Callable[[Lab], object]) -> Forge:
    def forge(lab: Lab, guard: Guard) -> bytes:
        challenged(lab)
        made = guard.command(lab)
        step(lab)
        return made

    return forge


def _select(lab: Lab) -> None:
    lab.ask(SELECT, SelectName(AID_PURSE))


def _reset(lab: Lab) -> None:
    lab.reset()
    _select(lab)


_FORGED: dict[str, tuple[str, str, Forge, frozenset[Need]]] = {
    **{
        f"byte{5 - n}": (
            f"with another MAC byte {5 - n}",
            f"MAC 第 {5 - n} 字节有误",
            _mac_byte(n),
            PAID,
        )
        for n in (4, 3, 2, 1)
    },
    "data": (
        "whose data or parameters are not those of its MAC",
        "数据或参数与 MAC 不符",
        _content_bit,
        PAID,
    ),
    "header": ("under a MAC for other parameters", "MAC 按其他参数计算", _p2, PAID),
    "key": ("under another key", "使用另一把密钥", _other_key, PAID),
    "iv": ("under a MAC without its challenge", "MAC 未使用随机数", _zero_iv, PAID),
    "des": ("under a single-DES MAC", "使用单 DES 的 MAC", _single_des, PAID),
    "constant": ("under a MAC of FF", "MAC 全 FF", _constant, PAID),
    "old": ("under an earlier challenge", "使用先前的随机数", _old_challenge, PAID),
}

_LATE: dict[str, tuple[str, str, Forge, frozenset[Need]]] = {
    "none": ("without GET CHALLENGE", "未取随机数", _none, PAID),
    "balance": (
        "after a command between",
        "取随机数后夹有其他命令",
        _between(lambda lab: lab.send(GET_BALANCE.command(None))),
        PAID,
    ),
    "select": (
        "after SELECT of its application",
        "取随机数后重新选择应用",
        _between(_select),
        PAID,
    ),
    "field": ("after a field loss", "取随机数后掉电", _between(_reset), PAID_AND_CUT),
}


def _forged(guard: Guard, forge: Forge, *words: int) -> Callable[[Lab], None]:
    return lambda lab: _unchanged(lab, guard, lambda lab: forge(lab, guard), *words)


@family
def forged() -> Iterator[Case]:
    """Each command under MAC, forged in each way, and one that comes too late."""
    for guard in GUARDS:
        for table, words in ((_FORGED, ()), (_LATE, (DEAD,))):
            for name, (en, zh, forge, needs) in table.items():
                title = Words(
                    f"{guard.name.en} {en} is refused and changes nothing",
                    f"{guard.name.zh}：{zh}时拒绝且无任何改变",
                )
                key = f"sm.{guard.key}.{name}"
                clauses = (guard.spec.clause.split(",")[0], "5.6" if table is _FORGED else "4.9")
                body = _forged(guard, forge, *words)
                yield Case(key, "SM", title, clauses, body, needs=needs)


def _used_twice(guard: Guard) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        placed(lab, guard)
        challenged(lab)
        command = guard.command(lab)
        lab.must(lab.send(command))
        if guard is not UNBLOCK:
            refused(lab, command, DEAD)
        else:
            send_right(lab, BLOCK)
            refused(lab, command, DEAD)
            send_right(lab, UNBLOCK)

    return body


def _proper(guard: Guard) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        placed(lab, guard)
        challenged(lab)
        answer = lab.must(lab.send(guard.command(lab)))
        lab.must_be(answer.data, b"", Words("no data", "无数据"))

    return body


@family
def proper() -> Iterator[Case]:
    """The right command passes, once for each challenge."""
    for guard in GUARDS:
        clause = guard.spec.clause.split(",")[0]
        en, zh = guard.name.en, guard.name.zh
        right = Words(f"{en} under the right MAC passes", f"{zh}：MAC 正确时通过")
        twice = Words(
            f"{en} cannot be said twice under one challenge", f"{zh}：同一随机数只能用一次"
        )
        for name, title, body in (("right", right, _proper), ("twice", twice, _used_twice)):
            key = f"sm.{guard.key}.{name}"
            yield Case(key, "SM", title, (clause, "5.6", "4.9"), body(guard), needs=PAID)
