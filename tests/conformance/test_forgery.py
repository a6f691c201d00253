"""A forged cryptogram never passes: every bit of every one, in every command that has one."""

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from apdu.commands import DEBIT, TABLE
from apdu.key_commands import (
    APPLICATION_UNBLOCK,
    EXTERNAL_AUTHENTICATE,
    PIN_UNBLOCK,
    RELOAD_PIN,
    WRITE_KEY_MAC,
)
from apdu.records import Cryptogram, Protected
from apdu.spec import State
from apdu.sw import SW, retries_left
from emulator.card.state import Blocked, KeyKind
from tests.cards import OK, app_of, needs_challenge, purse_in, sw_of, with_blocked
from tests.desk import WAYS, Desk, Pair, Spec, ready, way_id
from tests.plain import Plain, PlainDirectory, plain

ROOT = Path(__file__).parents[2]

SECURED = [
    (spec, pair)
    for spec in TABLE
    if needs_challenge(spec) or spec is RELOAD_PIN
    for pair in spec.params.examples()
]
"""Every command with a cryptogram outside a transaction, with every example of parameters."""

each_way = pytest.mark.parametrize("way", WAYS, ids=way_id)
each_secured = pytest.mark.parametrize(
    ("spec", "pair"), SECURED, ids=[f"{s.name}-{p[0]:02X}{p[1]:02X}" for s, p in SECURED]
)


def flipped(command: bytes, first: int, last: int) -> Iterator[bytes]:
    """The command with each single bit of its bytes first to last changed."""
    for at in range(first, last):
        for bit in range(8):
            yield command[:at] + bytes((command[at] ^ 1 << bit,)) + command[at + 1 :]


def end_of_data(command: bytes) -> int:
    return 5 + command[4]


def mac_size(spec: Spec) -> int:
    return 8 if spec.data is Cryptogram else 4


# Transactions


@each_way
def test_no_bit_of_a_transaction_s_mac_may_change(way):
    made = ready(State.IDLE)
    made.run(*way[:-1])
    start, before = made.card._card, made.card.image
    spec, pair = way[-1]
    right = made.request(spec, pair)
    end, tried = end_of_data(right), 0
    for forged in flipped(right, end - 4, end):
        made.card._card = start
        assert made.card.process(forged).hex() == "9302"
        assert made.card.image is before
        assert made.card.state is State.IDLE
        tried += 1
    assert tried == 32
    made.card._card = start
    assert made.card.process(right)[-2:] == OK, "the right one passes"


@each_way
def test_no_bit_of_what_that_mac_covers_may_change(way):
    """Date, time, limit, and of the terminal's number the low two bytes, as 5.3 has it."""
    made = ready(State.IDLE)
    made.run(*way[:-1])
    start, before = made.card._card, made.card.image
    spec, pair = way[-1]
    right = made.request(spec, pair)
    first = 7 if spec is DEBIT else 5  # the high half of the terminal's number is in the TAC alone
    for forged in flipped(right, first, end_of_data(right) - 4):
        made.card._card = start
        assert made.card.process(forged).hex() == "9302"
        assert made.card.image is before


# Secure messaging, authentication, PIN


def secured(spec: Spec, pair: Pair) -> tuple[Desk, bytes]:
    """A desk whose card takes this command now, and the command."""
    made = ready(State.IDLE, spec)
    if spec is APPLICATION_UNBLOCK:
        made.card._store.commit(with_blocked(Blocked.TEMPORARY)(made.card.image))
        made.card.power_on()
        made.send(made.request(SELECT))
    made.prepare(spec)
    return made, made.request(spec, pair)


SELECT = next(s for s in TABLE if s.name == "SELECT")
COUNTED = {
    PIN_UNBLOCK: KeyKind.PIN_UNBLOCK,
    RELOAD_PIN: KeyKind.PIN_RELOAD,
    EXTERNAL_AUTHENTICATE: KeyKind.EXTERNAL,
}


def refusal(spec: Spec) -> int:
    if spec is EXTERNAL_AUTHENTICATE:
        return retries_left(2)
    return SW.MAC_INVALID if spec in (WRITE_KEY_MAC, RELOAD_PIN) else SW.MAC_WRONG


def with_failure(image: Any, spec: Spec) -> Plain:
    """The image after one failure: exactly one count has moved, and nothing else."""
    after = deepcopy(plain(image))
    app: PlainDirectory = after.directories[1]
    if spec in COUNTED:
        assert app.keys[COUNTED[spec], 0].lose() == 2
    elif spec is APPLICATION_UNBLOCK:
        app.unblock_strikes += 1
    elif spec.data is Protected and spec is not WRITE_KEY_MAC:
        app.strikes += 1
    return after


@each_secured
def test_no_bit_of_a_secured_command_s_cryptogram_may_change(spec, pair):
    made, right = secured(spec, pair)
    start, before = made.card._card, made.card.image
    expected = with_failure(before, spec)
    end, tried = end_of_data(right), 0
    for forged in flipped(right, end - mac_size(spec), end):
        made.card._card = start
        assert sw_of(made.card.process(forged)) == refusal(spec)
        assert plain(made.card.image) == expected
        assert made.card._card.standing == start.standing
        tried += 1
    assert tried == 8 * mac_size(spec)
    made.card._card = start
    assert made.card.process(right)[-2:] == OK, "the right one passes"


@each_secured
def test_no_bit_of_what_that_cryptogram_covers_may_change(spec, pair):
    made, right = secured(spec, pair)
    start, before = made.card._card, made.card.image
    expected = with_failure(before, spec)
    for forged in flipped(right, 5, end_of_data(right) - mac_size(spec)):
        made.card._card = start
        assert sw_of(made.card.process(forged)) == refusal(spec)
        assert plain(made.card.image) == expected


@each_secured
def test_a_mac_of_one_command_is_none_for_another(spec, pair):
    """The header is under the MAC: class, instruction, parameters and length (5.6)."""
    if spec in (RELOAD_PIN, EXTERNAL_AUTHENTICATE):
        return  # their cryptograms cover a PIN and a challenge alone
    made, right = secured(spec, pair)
    start, before = made.card._card, made.card.image
    for other, other_pair in SECURED:
        if (other, other_pair) == (spec, pair) or other.data is not spec.data:
            continue
        made.card._card = start
        command = bytes((other.cla, other.ins, *other_pair)) + right[4:]
        assert made.card.process(command)[-2:] != OK, other.name
        assert app_of(made.card.image).files == app_of(before).files
        assert app_of(made.card.image).blocked in (app_of(before).blocked, Blocked.NO)
        assert purse_in(made.card.image) == purse_in(before)


@each_secured
def test_a_secured_command_cannot_be_said_twice(spec, pair):
    made, right = secured(spec, pair)
    assert made.card.process(right)[-2:] == OK
    again = made.card.process(right)
    if spec is RELOAD_PIN:
        assert again == OK, "it has no challenge: the same PIN again (4.11)"
    else:
        assert sw_of(again) in (SW.RANDOM_UNUSABLE, SW.BLOCKED, SW.PERMANENTLY_BLOCKED)


# Time tells nothing

SECRET = re.compile(r"(^|_)(mac|tac|cryptogram|pin)s?\d?($|_)")
HARMLESS = {"wrong_mac", "pin_for_load", "pin_ok"}
"""Names of switches and flags, which say nothing of a secret's value."""


def name_of(node: ast.expr) -> str:
    """The last name of an expression: of a variable, an attribute, a call or a subscript."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return name_of(inner)
    return ""


def sources() -> list[Path]:
    folders = ("emulator", "reader", "issuer", "apdu")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name of a secret that is compared with == or !=."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            for side in (node.left, *node.comparators):
                name = name_of(side)
                if SECRET.search(name) and name not in HARMLESS:
                    yield node.lineno, name


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_cryptogram_and_no_pin_is_compared_but_in_constant_time(path):
    assert list(compared(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    ["mac == x", "x != card.mac2", "tac_of(a) == b", "q.cryptogram[:4] == b", "a == entry.pin"],
)
def test_the_search_finds_what_it_is_for(code):
    assert list(compared(ast.parse(code)))


@pytest.mark.parametrize("code", ["stack == x", "machine != y", "is_mac is None", "mac in macs"])
def test_the_search_does_not_cry_wolf(code):
    assert not list(compared(ast.parse(code)))


def test_every_check_of_a_cryptogram_is_one_of_these():
    found = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8").count("compare_digest(")
        for path in sources()
        if path.name != "crypto.py"
    }
    calls = {path: n for path, n in found.items() if n}
    assert set(calls) >= {
        "emulator/card/keys.py",
        "emulator/card/purchase.py",
        "emulator/card/purse.py",
        "emulator/card/security.py",
        "reader/psam.py",
    }
    assert sum(calls.values()) >= 9
