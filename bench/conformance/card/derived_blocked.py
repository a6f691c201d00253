"""What a blocked application and a dead card answer to every command (4.1, 4.19)."""

from collections.abc import Callable, Iterator

from apdu.commands import EP, GET_BALANCE, INIT_PURCHASE, SELECT, TABLE
from apdu.file_commands import GET_CHALLENGE, SELECT_FILE
from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK, CARD_BLOCK
from apdu.records import OnlyMac, SelectId
from apdu.sw import SW
from bench.conformance.card.derived_lengths import is_absent
from bench.conformance.case import Body, Case, Level, Need
from bench.conformance.derive import clauses_of, edges, empty_request, made, slug
from bench.conformance.desk import Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import enter, refuse, send_right, settle, step
from bench.conformance.words import Words
from bench.conformance.writes import STRANGE
from emulator.card.state import Blocked

SPOILS = frozenset({Need.KEYS, Need.WRITE, Need.FRESH})
TEMPORARY, PERMANENT = (0x00, 0x00), (0x00, 0x01)

_KINDS = {
    "temporary": ("Blocked for a time", "临时锁定"),
    "permanent": ("Blocked for good", "永久锁定"),
    "dead": ("A dead card", "卡片锁定"),
}


def _block(lab: Lab, how: str) -> None:
    if how == "dead":
        lab.done_ok(CARD_BLOCK)
    else:
        lab.done_ok(APPLICATION_BLOCK, pair=PERMANENT if how == "permanent" else TEMPORARY)


def blocked_answer(lab: Lab, spec: Spec, how: str) -> int:
    """What a right request answers: to a few commands a blocked application still listens."""
    if is_absent(lab, spec):
        return SW.INS_UNKNOWN
    if how == "dead":
        return SW.BLOCKED
    word = SW.BLOCKED if how == "temporary" else SW.PERMANENTLY_BLOCKED
    if spec is SELECT:
        return int(lab.declared.dialect.select_blocked[-4:], 16)
    if spec in (GET_CHALLENGE, CARD_BLOCK):
        return SW.OK
    is_lifted = how == "temporary" and spec in (APPLICATION_BLOCK, APPLICATION_UNBLOCK)
    return SW.OK if is_lifted else word


@family
def blocked() -> Iterator[Case]:
    """One case for each command and way to be blocked."""
    for spec in TABLE:
        for how, (en, zh) in _KINDS.items():
            yield made(
                "BLOCK",
                f"blocked.{how}.{slug(spec)}",
                (f"{en}: {spec.name}", f"{zh}：{spec.name}"),
                clauses_of(spec, "4.19", "4.1"),
                _answers(spec, how),
                SPOILS,
                grade="D" if spec is CARD_BLOCK else "C",
                level=Level.BASIC if spec is SELECT and how == "temporary" else Level.FULL,
            )


def _answers(spec: Spec, how: str) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        _block(lab, how)
        lab.prepare(spec)
        response, wanted = send_right(lab, spec, spec.usual), blocked_answer(lab, spec, how)
        if wanted == SW.OK or (spec is SELECT and how != "dead"):
            lab.must(response, wanted)
        else:
            refuse(lab, response, wanted)

    return body


# Single cases


def _fci(lab: Lab) -> None:
    settle(lab, SELECT)
    before = lab.must(lab.select()).data
    _block(lab, "temporary")
    shown = lab.declared.dialect.select_blocked
    answer = lab.must(lab.select(), int(shown[-4:], 16))
    wanted = before if shown.startswith("fci") else b""
    lab.must_be(answer.data, wanted, Words("the FCI as declared", "声明的 FCI"), clause="2.5")


def _survives(how: str) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        _block(lab, how)
        lab.reset()
        lab.must(lab.select(), blocked_answer(lab, SELECT, how))
        word = SW.PERMANENTLY_BLOCKED if how == "permanent" else SW.BLOCKED
        lab.must(lab.ask(GET_BALANCE, pair=(0, EP)), word)

    return body


def _from_the_start(how: str) -> Body:
    def body(lab: Lab) -> None:
        lab.must(lab.select(), blocked_answer(lab, SELECT, how))
        word = SW.PERMANENTLY_BLOCKED if how == "permanent" else SW.BLOCKED
        lab.must(lab.ask(GET_BALANCE, pair=(0, EP)), word)
        unblocked = lab.ask(APPLICATION_UNBLOCK)
        lab.must(unblocked, blocked_answer(lab, APPLICATION_UNBLOCK, how))

    return body


def _lifted(lab: Lab) -> None:
    enter(lab)
    seq = step(lab, INIT_PURCHASE)[4:6]
    before = lab.balance()
    _block(lab, "temporary")
    lab.done_ok(APPLICATION_UNBLOCK)
    after = lab.balance()
    lab.require(after == before, Words(f"{before} fen", f"{before} 分"), f"{after} fen")
    now = step(lab, INIT_PURCHASE)[4:6]
    lab.must_be(now, seq, Words("the transaction number", "交易序号"), at=4)


def _wrong(lab: Lab, spec: Spec, word: int, pair: Pair = TEMPORARY) -> None:
    lab.prepare(spec)
    mac = lab.sm_mac(STRANGE, spec, *pair, b"")
    lab.must(lab.send(spec.command(OnlyMac(mac), *pair)), word)


def _wrong_mac(spec: Spec, pair: Pair = TEMPORARY) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        _wrong(lab, spec, SW.MAC_WRONG, pair)
        lab.must(lab.ask(GET_BALANCE, pair=(0, EP)))

    return body


def _three_wrong_unblocks(lab: Lab) -> None:
    enter(lab)
    _block(lab, "temporary")
    for word in (SW.MAC_WRONG, SW.MAC_WRONG, SW.PERMANENTLY_BLOCKED):
        _wrong(lab, APPLICATION_UNBLOCK, word)
    lab.must(lab.ask(APPLICATION_UNBLOCK), SW.PERMANENTLY_BLOCKED)


def _two_wrong_unblocks(lab: Lab) -> None:
    enter(lab)
    for _ in range(2):
        _block(lab, "temporary")
        for _ in range(2):
            _wrong(lab, APPLICATION_UNBLOCK, SW.MAC_WRONG)
        lab.done_ok(APPLICATION_UNBLOCK)
    lab.must(lab.ask(GET_BALANCE, pair=(0, EP)))


def _for_good(lab: Lab) -> None:
    enter(lab)
    _block(lab, "temporary")
    _block(lab, "permanent")
    for spec in (APPLICATION_UNBLOCK, APPLICATION_BLOCK):
        lab.must(lab.ask(spec), SW.PERMANENTLY_BLOCKED)


def _no_challenge(spec: Spec) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        lab.must(lab.send(lab.request(spec)), SW.RANDOM_UNUSABLE)
        lab.must(lab.ask(GET_BALANCE, pair=(0, EP)))

    return body


def _others_answer(lab: Lab) -> None:
    enter(lab)
    _block(lab, "temporary")
    lab.must(lab.ask(SELECT_FILE, SelectId(b"\x3f\x00")))
    lab.must(lab.ask(GET_BALANCE, pair=(0, EP)), SW.FILE_NOT_FOUND)


def _dead_heads(lab: Lab) -> None:
    enter(lab)
    _block(lab, "dead")
    lab.must(lab.send(bytes.fromhex("E05C000204")), SW.CLA_UNKNOWN, clause="4.1")
    lab.must(lab.send(bytes.fromhex("8003000000")), SW.INS_UNKNOWN, clause="4.1")
    for spec in TABLE:
        for pair in edges(spec)[:1]:
            wanted = SW.INS_UNKNOWN if is_absent(lab, spec) else SW.BLOCKED
            lab.must(lab.send(empty_request(spec, pair)), wanted, clause="4.1")


_CUT = SPOILS | {Need.CUT}
_WRITE = SPOILS - {Need.FRESH}
_ONE: tuple[tuple[str, Callable[[Lab], None], frozenset[Need], tuple[str, str]], ...] = (
    ("select-fci", _fci, SPOILS, ("SELECT shows the FCI as declared", "选择时 FCI 符合声明")),
    *(
        (
            f"{how}-lasts",
            _survives(how),
            _CUT,
            (f"{en}, and still so after the field was off", f"{zh}，断场后仍然有效"),
        )
        for how, (en, zh) in _KINDS.items()
    ),
    (
        "lifted",
        _lifted,
        SPOILS,
        ("An unblock brings everything back, balance and number unchanged", "解锁后余额与序号不变"),
    ),
    (
        "unblock-three",
        _three_wrong_unblocks,
        SPOILS,
        ("Three wrong unblocks in a row block for good", "连续三次解锁失败后永久锁定"),
    ),
    (
        "unblock-two",
        _two_wrong_unblocks,
        SPOILS,
        ("A right unblock sets the count of wrong ones back", "解锁成功后错误计数复位"),
    ),
    ("for-good", _for_good, SPOILS, ("What is blocked for good stays so", "永久锁定不可解除")),
    (
        "elsewhere",
        _others_answer,
        SPOILS,
        ("A blocked application leaves the master file alone", "应用锁定不影响主文件"),
    ),
    (
        "dead-heads",
        _dead_heads,
        SPOILS,
        ("A dead card knows its classes and instructions, no parameters", "卡片锁定后的检查次序"),
    ),
    *(
        (
            f"wrong-mac-{slug(spec)}-{pair[1]}",
            _wrong_mac(spec, pair),
            _WRITE,
            (f"{spec.name} with a wrong MAC changes nothing", f"{spec.name} MAC 错误时不变"),
        )
        for spec, pair in (
            (APPLICATION_BLOCK, TEMPORARY),
            (APPLICATION_BLOCK, PERMANENT),
            (CARD_BLOCK, TEMPORARY),
        )
    ),
    *(
        (
            f"no-challenge-{slug(spec)}",
            _no_challenge(spec),
            _WRITE,
            (f"{spec.name} without a challenge is 6984", f"{spec.name} 未取随机数应答 6984"),
        )
        for spec in (APPLICATION_BLOCK, APPLICATION_UNBLOCK, CARD_BLOCK)
    ),
)


@family
def single() -> Iterator[Case]:
    """How blocks are made, lifted and kept."""
    for key, body, needs, title in _ONE:
        yield made("BLOCK", f"blocked.{key}", title, ("4.19",), body, needs)
    for how in ("temporary", "permanent"):
        en, zh = _KINDS[how]
        yield made(
            "BLOCK",
            f"blocked.{how}-from-the-start",
            (f"{en} before it is first seen", f"{zh}（初始状态）"),
            ("4.19", "2.5"),
            _from_the_start(how),
            SPOILS,
            setup={"blocked": Blocked(how)},
        )
