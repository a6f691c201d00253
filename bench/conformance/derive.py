"""What the command table says must happen, worked out once for cases and tests."""

from collections.abc import Iterable
from itertools import product
from typing import Any

from apdu.command import Command
from apdu.commands import TABLE
from apdu.file_commands import (
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    CREATE_FILE,
    ERASE_DF,
    GET_CHALLENGE,
    GET_DATA,
    GET_RESPONSE,
    READ_BINARY,
    READ_BINARY_MAC,
    READ_RECORD,
    READ_RECORD_MAC,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
    UPDATE_RECORD,
    UPDATE_RECORD_MAC,
)
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    BLOCK_ALGORITHM,
    CARD_BLOCK,
    CHANGE_ALGORITHM,
    CHANGE_PIN,
    PIN_UNBLOCK,
    RELOAD_PIN,
    WRITE_KEY,
    WRITE_KEY_MAC,
)
from apdu.spec import ANY, State
from apdu.sw import SW, length_is
from bench.conformance.case import Body, Case, Need
from bench.conformance.desk import PATHS, Pair, Spec, needs_challenge
from bench.conformance.words import Words

NEVER_TAKEN = {GET_RESPONSE: SW.CONDITIONS_OF_USE, GET_DATA: SW.REFERENCE_NOT_FOUND}
"""Known commands that a purse has nothing for (4.1, 4.22)."""

ENDINGS = [s for s in TABLE if s.when != ANY and s.then is State.IDLE]
"""The final commands of the transactions (4.2)."""

LASTING = [
    *ENDINGS,
    *(UPDATE_BINARY, UPDATE_BINARY_MAC, UPDATE_RECORD, UPDATE_RECORD_MAC),
    *(APPEND_RECORD, APPEND_RECORD_MAC, CREATE_FILE, ERASE_DF, WRITE_KEY, WRITE_KEY_MAC),
    *(CHANGE_PIN, RELOAD_PIN, PIN_UNBLOCK, CHANGE_ALGORITHM, BLOCK_ALGORITHM),
    *(APPLICATION_BLOCK, APPLICATION_UNBLOCK, CARD_BLOCK),
]
"""Commands whose success changes what survives the field. Every other one changes nothing."""

PROTECTED_READS = (READ_BINARY_MAC, READ_RECORD_MAC)

_BEFORE_CHALLENGE = {SW.SECURE_MESSAGING_NOT_SUPPORTED, SW.INS_UNKNOWN}
"""Refusals that come before anybody looks for a challenge."""


def ending(state: State) -> Spec | None:
    """The final command of the transaction under way in a state, None at rest."""
    return next((s for s in ENDINGS if state in s.when), None)


def home(spec: Spec) -> State:
    """A state in which the command is legal: rest if it is legal there."""
    return next(state for state in PATHS if state in spec.when)


def answer_in(spec: Spec, state: State, at_rest: int = SW.OK) -> int:
    """What a right request answers in a state (4.2), if it answers `at_rest` where it is legal."""
    if state not in spec.when:
        return SW.WRONG_STATE
    if needs_challenge(spec) and state is not State.IDLE and at_rest not in _BEFORE_CHALLENGE:
        return SW.RANDOM_UNUSABLE  # asking for one would have ended the transaction
    return at_rest


def le_expected(spec: Spec, size: int, ne: int) -> int:
    """What a Le of `ne` answers when `size` bytes are there (4.1, 4.9)."""
    if spec.le_rule:
        return SW.WRONG_LENGTH if ne < size else SW.OK
    judged = {
        READ_BINARY.name: SW.OK if ne <= size else length_is(size),
        READ_RECORD.name: SW.OK if ne == size else length_is(size),
        GET_CHALLENGE.name: SW.OK if ne in (4, 8) else SW.WRONG_LENGTH,
        # Le counts the data, and the MAC comes beside it (annex 6).
        READ_BINARY_MAC.name: SW.OK if ne <= size - 4 else length_is(size - 4),
        READ_RECORD_MAC.name: SW.OK if ne == size - 4 else length_is(size - 4),
        ERASE_DF.name: SW.WRONG_LENGTH,  # its fifth byte is 00 (annex 2)
    }
    return judged[spec.name]  # a new command that judges Le itself must be added here


def strangers(spec: Spec, pairs: Iterable[Pair]) -> list[Pair]:
    """Those of these P1 and P2 that no command of this class and instruction takes, in order."""
    family = [s for s in TABLE if (s.cla, s.ins) == (spec.cla, spec.ins)]
    found = {p for p in pairs if not any(s.params.accepts(*p) for s in family)}
    return sorted(found)


def near(spec: Spec) -> list[Pair]:
    """P1 and P2 beside the examples of a command, by 1, 10 and 80."""
    steps = product(spec.params.examples(), (-1, 0, 1, 0x10, 0x80), (-1, 0, 1, 0x10))
    return strangers(spec, (((p1 + a) % 256, (p2 + b) % 256) for (p1, p2), a, b in steps))


def flipped(spec: Spec) -> list[Pair]:
    """P1 and P2 of the examples with one bit the other way round."""
    bits = [(1 << n, 0) for n in range(8)] + [(0, 1 << n) for n in range(8)]
    steps = product(spec.params.examples(), bits)
    return strangers(spec, ((p1 ^ a, p2 ^ b) for (p1, p2), (a, b) in steps))


def edges(spec: Spec) -> list[Pair]:
    """00 and FF in the place of one of P1 and P2, or of both."""
    pairs = {(a, b) for a in (0, 0xFF) for b in (0, 0xFF)}
    for p1, p2 in spec.params.examples():
        pairs |= {(0, p2), (0xFF, p2), (p1, 0), (p1, 0xFF)}
    return strangers(spec, pairs)


def empty_request(spec: Spec, pair: Pair | None = None) -> bytes:
    """The command with zeros for data, of a length that it takes. Needs no key."""
    size = 0 if spec.data is None else spec.data.SIZES[min(4, len(spec.data.SIZES) - 1)]
    p1, p2 = pair or spec.usual
    return Command(spec.cla, spec.ins, p1, p2, bytes(size), spec.ne).build()


# Making cases


def slug(spec: Spec) -> str:
    """A command's name in a key."""
    return spec.name.lower().replace(" ", "-").replace("(", "").replace(")", "")


def clauses_of(spec: Spec, *first: str) -> tuple[str, ...]:
    """Clauses of a case about a command: those named, then the command's own."""
    own = tuple(part for part in spec.clause.split(", ") if part not in first)
    return (*first, *own)


def made(
    group: str,
    key: str,
    title: tuple[str, str],
    clauses: Iterable[str],
    body: Body,
    needs: Iterable[Need] = (),
    **more: Any,  # noqa: ANN401 - fields of Case
) -> Case:
    """A derived case. title: English and Chinese. more: other fields of `Case`."""
    return Case(key, group, Words(*title), tuple(clauses), body, needs=frozenset(needs), **more)
