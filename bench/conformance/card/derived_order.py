"""Two faults in one command: the card answers the one that is checked first (4.1)."""

from collections.abc import Callable, Iterator

from apdu.command import Command
from apdu.commands import (
    ED,
    EP,
    INIT_CASH,
    INIT_LOAD,
    INIT_UNLOAD,
    TABLE,
    UPDATE_CACHE,
)
from apdu.file_commands import UPDATE_BINARY_MAC
from apdu.files import EF15
from apdu.key_commands import APPLICATION_BLOCK
from apdu.records import InitializeData
from apdu.spec import ANY, State
from apdu.sw import SW
from bench.conformance.card.derived_classes import COMMANDS
from bench.conformance.card.derived_lengths import is_absent
from bench.conformance.card.derived_states import STATES
from bench.conformance.case import Body, Case, Need
from bench.conformance.derive import (
    ENDINGS,
    clauses_of,
    edges,
    empty_request,
    flipped,
    home,
    made,
    slug,
)
from bench.conformance.desk import TERMINAL, Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import (
    enter,
    go,
    if_known,
    refusal,
    refuse,
    right_pair,
    select,
    usual_pair,
    zeros,
)
from bench.conformance.words import Words
from bench.conformance.writes import STRANGE, under_mac

BAD_CLA, BAD_INS = 0xE0, 0x03
SPOILED = bytes.fromhex("0200")
"""Bytes that make any command's length wrong."""

_UNKNOWN_KEY = 0x77


def _stranger(spec: Spec) -> Pair | None:
    """P1 and P2 that the command does not take, if there are any."""
    return next(iter([*flipped(spec), *edges(spec)]), None)


def _sends(make: Callable[[Lab], bytes], word: int, state: State = State.IDLE) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        go(lab, state)
        refuse(lab, lab.send(make(lab)), word)

    return body


def _always(command: bytes) -> Callable[[Lab], bytes]:
    return lambda lab: command


def _unsigned(spec: Spec) -> Callable[[Lab], bytes]:
    """The command with nobody's MAC, with P1 and P2 that this card takes."""
    return lambda lab: zeros(spec, right_pair(lab, spec))


def _spoiled(spec: Spec) -> Callable[[Lab], bytes]:
    return lambda lab: bytes((spec.cla, spec.ins, *right_pair(lab, spec))) + SPOILED


# Class and instruction before everything


_HEADS = {
    "cla-ins": (bytes((BAD_CLA, BAD_INS, 0, 0)), SW.CLA_UNKNOWN, ("class", "instruction")),
    "cla-params": (bytes((BAD_CLA, 0x5C, 0xFF, 0xFF, 4)), SW.CLA_UNKNOWN, ("class", "P1 P2")),
    "cla-length": (
        bytes((BAD_CLA, 0x5C, 0, 2)) + SPOILED,
        SW.CLA_UNKNOWN,
        ("class", "length"),
    ),
    "ins-params": (bytes((0x80, BAD_INS, 0xFF, 0xFF)), SW.INS_UNKNOWN, ("instruction", "P1 P2")),
    "ins-length": (
        bytes((0x80, BAD_INS, 0, 2)) + SPOILED,
        SW.INS_UNKNOWN,
        ("instruction", "length"),
    ),
}
_FAULTS = {
    "class": Words("an unknown class", "类别"),
    "instruction": Words("an unknown instruction", "指令"),
    "P1 P2": Words("a wrong P1 P2", "P1 P2"),
    "length": Words("a wrong length", "长度"),
    "state": Words("a wrong state", "状态"),
    "key": Words("an unknown key", "密钥"),
    "security": Words("a missing right", "权限"),
    "business": Words("what the purse forbids", "业务条件"),
    "block": Words("a block", "锁定"),
}
"""What is wrong with a command, and in Chinese what is checked."""


def _title(first: str, second: str, en: str = "", zh: str = "") -> tuple[str, str]:
    one, two = _FAULTS[first], _FAULTS[second]
    order = f"{one.en} is told before {two.en}"
    order_zh = f"先检查{one.zh}，后检查{two.zh}"
    if not en:
        return order[0].upper() + order[1:], order_zh
    return f"{en}: {order}", f"{zh or en}：{order_zh}"


@family
def heads() -> Iterator[Case]:
    """An unknown class or instruction with any other fault."""
    for key, (command, word, (first, second)) in _HEADS.items():
        yield made(
            "ORDER",
            f"order.{key}",
            _title(first, second),
            ("4.1",),
            _sends(_always(command), word),
            grade="D",
        )
    for key, head, word, first in (
        ("cla-state", BAD_CLA, SW.CLA_UNKNOWN, "class"),
        ("ins-state", 0x00, SW.INS_UNKNOWN, "instruction"),
    ):
        for spec in ENDINGS:
            yield made(
                "ORDER",
                f"order.{key}.{slug(spec)}",
                _title(first, "state", spec.name),
                ("4.1",),
                _sends(_always(bytes((head,)) + zeros(spec, spec.usual)[1:]), word),
                grade="D",
            )
    for key, command, word, first in (
        ("cla-block", bytes((BAD_CLA, 0x5C, 0, 2, 4)), SW.CLA_UNKNOWN, "class"),
        ("ins-block", bytes((0x80, BAD_INS, 0, 0)), SW.INS_UNKNOWN, "instruction"),
        ("block-params", bytes.fromhex("805CFFFF04"), SW.BLOCKED, "block"),
        ("block-length", bytes.fromhex("805C0002") + SPOILED, SW.BLOCKED, "block"),
        ("block-state", zeros(ENDINGS[0], ENDINGS[0].usual), SW.BLOCKED, "block"),
    ):
        second = key.split("-")[1].replace("params", "P1 P2")
        yield made(
            "ORDER",
            f"order.{key}",
            _title(first, second),
            ("4.1", "4.19"),
            _blocked(command, word),
            {Need.KEYS, Need.WRITE, Need.FRESH},
            grade="D",
        )


def _blocked(command: bytes, word: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        lab.done_ok(APPLICATION_BLOCK)
        refuse(lab, lab.send(command), word)

    return body


# Parameters, lengths, state


@family
def parameters() -> Iterator[Case]:
    """Each command with wrong P1 and P2, and a wrong length or a wrong state too."""
    for spec in TABLE:
        pair = _stranger(spec)
        if pair is None:
            continue
        clauses = clauses_of(spec, "4.1")
        yield made(
            "ORDER",
            f"order.params-length.{slug(spec)}",
            _title("P1 P2", "length", spec.name),
            clauses,
            if_known(spec, _params_and(spec, empty_request(spec, pair)[:4] + SPOILED)),
            grade="D",
        )
        if spec.when != ANY:
            yield made(
                "ORDER",
                f"order.params-state.{slug(spec)}",
                _title("P1 P2", "state", spec.name),
                clauses,
                _params_and(spec, empty_request(spec, pair)),
                grade="D",
            )


def _params_and(spec: Spec, command: bytes) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        word = SW.INS_UNKNOWN if is_absent(lab, spec) else SW.WRONG_P1P2
        refuse(lab, lab.send(command), word)

    return body


@family
def lengths() -> Iterator[Case]:
    """Commands of a transaction with a wrong length, in every state that is not theirs."""
    for spec in TABLE:
        for state in State:
            if state in spec.when:
                continue
            yield made(
                "ORDER",
                f"order.length-state.{slug(spec)}.{state.name}",
                _title("length", "state", *_at(spec, state)),
                clauses_of(spec, "4.1"),
                _sends(_misshapen(spec), SW.WRONG_LENGTH, state),
                grade="D",
            )


def _at(spec: Spec, state: State) -> tuple[str, str]:
    return f"{spec.name}, {state.value}", f"{spec.name}，{STATES[state]}状态"


def _misshapen(spec: Spec) -> Callable[[Lab], bytes]:
    return lambda lab: bytes((spec.cla, spec.ins, *usual_pair(lab, spec))) + SPOILED


@family
def macs() -> Iterator[Case]:
    """A final command in the wrong state is 6901, though its MAC is wrong too."""
    for spec in (s for s in TABLE if s.when != ANY):
        yield made(
            "ORDER",
            f"order.length-security.{slug(spec)}",
            _title("length", "security", spec.name),
            clauses_of(spec, "4.1"),
            _sends(_spoiled(spec), SW.WRONG_LENGTH, home(spec)),
            grade="D",
        )
    for spec in ENDINGS:
        yield made(
            "ORDER",
            f"order.state-security.{slug(spec)}",
            _title("state", "security", spec.name),
            clauses_of(spec, "4.1", "4.2"),
            _sends(_unsigned(spec), SW.WRONG_STATE),
            grade="D",
        )


# Key, security, business


_INITS = [s for s in TABLE if s.data is InitializeData]
_TOO_MUCH = 0xFFFFFFFF
_AMOUNTS = {"much": ("too much", "金额过大"), "nothing": ("nothing", "金额为零")}


@family
def keys() -> Iterator[Case]:
    """INITIALIZE with an unknown key index and an amount that cannot be."""
    for spec in _INITS:
        bad = [("much", _TOO_MUCH)]
        if spec in (INIT_LOAD, INIT_UNLOAD):
            bad.append(("nothing", 0))
        for name, amount in bad:
            en, zh = _AMOUNTS[name]
            yield made(
                "ORDER",
                f"order.key-business.{slug(spec)}.{name}",
                _title("key", "business", f"{spec.name}, {en}", f"{spec.name}，{zh}"),
                clauses_of(spec, "4.1"),
                _unknown_key(spec, amount),
                grade="D",
            )
        yield made(
            "ORDER",
            f"order.length-key.{slug(spec)}",
            _title("length", "key", spec.name),
            clauses_of(spec, "4.1"),
            _sends(_always(_longer(spec)), SW.WRONG_LENGTH),
            grade="D",
        )


def _longer(spec: Spec) -> bytes:
    """INITIALIZE with an unknown key index and a byte too many."""
    data = bytes((_UNKNOWN_KEY,)) + bytes(11)
    return Command(spec.cla, spec.ins, *spec.usual, data, None).build()


def _unknown_key(spec: Spec, amount: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        refused = refusal(spec, lab.declared)
        data = InitializeData(_UNKNOWN_KEY, amount, TERMINAL)
        lab.must(lab.ask(spec, data), SW.KEY_INDEX if refused is None else refused.sw)
        data = InitializeData(1, amount, TERMINAL)
        business = (SW.BALANCE_TOO_LOW, SW.CONDITIONS_OF_USE)
        lab.must(lab.ask(spec, data), *(business if refused is None else (refused.sw,)))

    return body


@family
def security() -> Iterator[Case]:
    """Security before business, and what is checked of it first."""
    yield made(
        "ORDER",
        "order.key-security.load",
        _title("key", "security", "INITIALIZE FOR LOAD"),
        ("4.1", "4.11"),
        _load_without_pin(_UNKNOWN_KEY, 0, SW.KEY_INDEX),
        grade="D",
        setup={"dialect": {"pin_for_load": True}},
    )
    yield made(
        "ORDER",
        "order.security-business.load",
        _title("security", "business", "INITIALIZE FOR LOAD"),
        ("4.1", "4.11"),
        _load_without_pin(1, 0, SW.SECURITY_STATUS),
        grade="D",
        setup={"dialect": {"pin_for_load": True}},
    )
    yield made(
        "ORDER",
        "order.security-business.write",
        _title("security", "business", "UPDATE BINARY with MAC"),
        ("4.1", "4.6"),
        _too_long_under_strange_key,
        {Need.KEYS, Need.WRITE},
        grade="D",
    )
    yield made(
        "ORDER",
        "order.security-business.deposit",
        _title("security", "business", "INITIALIZE FOR CASH WITHDRAW"),
        ("4.1", "annex 7"),
        _cash_without_pin,
        grade="D",
        setup={"has_ed": True},
    )
    yield made(
        "ORDER",
        "order.state-business.cache",
        _title("state", "business", UPDATE_CACHE.name),
        ("4.1", "4.15"),
        _cache_of_nothing,
        grade="D",
    )


def _load_without_pin(index: int, amount: int, word: int) -> Body:
    def body(lab: Lab) -> None:
        select(lab)
        lab.must(lab.ask(INIT_LOAD, InitializeData(index, amount, TERMINAL), (0, EP)), word)

    return body


def _cash_without_pin(lab: Lab) -> None:
    select(lab)
    data = InitializeData(1, _TOO_MUCH, TERMINAL)
    lab.must(lab.ask(INIT_CASH, data, (0x02, ED)), SW.SECURITY_STATUS)


def _too_long_under_strange_key(lab: Lab) -> None:
    enter(lab)
    pair = (0x80 | EF15.sfi, EF15.size - 1)
    response = under_mac(lab, UPDATE_BINARY_MAC, pair, bytes(2), STRANGE)
    lab.must(response, 0x63C2 if lab.declared.dialect.wrong_mac == "63Cx" else SW.MAC_WRONG)


def _cache_of_nothing(lab: Lab) -> None:
    """A record that is not there, and no purchase under way."""
    enter(lab)
    late = lab.declared.dialect.cache_too_soon == "6985"
    pair = right_pair(lab, UPDATE_CACHE)
    command = Command(UPDATE_CACHE.cla, UPDATE_CACHE.ins, *pair, b"\x27\xff" + bytes(126), None)
    lab.must(lab.send(command.build()), SW.CONDITIONS_OF_USE if late else SW.WRONG_STATE)


assert (0x80, BAD_INS) not in COMMANDS
