"""The suite judges a card that is not ours, and reports exactly what that card lacks.

The card is `tests.other_card`: written from the protocol reference, with no code of `emulator`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import fixtures
from apdu.commands import (
    DEBIT_UNLOAD,
    INIT_CASH,
    INIT_LIMIT,
    INIT_UNLOAD,
    SELECT_FILE,
    TABLE,
)
from apdu.spec import CommandSpec
from bench.conformance.case import Need, Verdict
from bench.conformance.runner import Result, run_case
from bench.conformance.stand import Slot
from bench.conformance.suite import card_cases
from bench.roads import FIELDS, WAIT_S
from emulator.card.personalise import card_secrets
from reader.transport.base import Coupler, Transport
from tests import other_card
from tests.other_card import COMMANDS, OtherCard, card_key

HAS_A_PART = (INIT_UNLOAD, DEBIT_UNLOAD, INIT_LIMIT, INIT_CASH, SELECT_FILE)
"""Commands that share an instruction with one the card has, and are missing themselves."""

ALGORITHM, RESPONSE = 0xCD, 0xC0
"""Instructions that a card of one algorithm, and a contactless one, need not have (4.21, 4.1)."""

MISSING = {
    spec
    for spec in TABLE
    if (spec.cla, spec.ins) not in COMMANDS and spec.ins not in (ALGORITHM, RESPONSE)
} | set(HAS_A_PART)


class OtherStand:
    """A new one of these cards for each case (`bench.conformance.stand.Stand`)."""

    name = "another card"
    abilities = frozenset({Need.KEYS, Need.WRITE, Need.CUT})
    link: Transport

    def __init__(self, slot: Slot, coupler: Coupler) -> None:
        self.declared = fixtures.load_profile("student").with_balance(5000)
        self.keys = card_secrets(self.declared, fixtures.load_roots())
        self._slot, self._coupler = slot, coupler

    def place(self, setup: Mapping[str, Any]) -> None:
        self._slot.put(OtherCard())
        self.reset()

    def reset(self) -> None:
        self.link = self._coupler.wait_card(WAIT_S)


@cache
def judged() -> dict[str, Result]:
    slot = Slot(OtherCard())
    with FIELDS["inproc"](slot, None, lambda: slot.contactless) as coupler:
        stand = OtherStand(slot, coupler)
        return {number: run_case(case, stand) for number, case in card_cases().items()}


def failed() -> dict[str, Result]:
    return {n: r for n, r in judged().items() if r.verdict is Verdict.FAILED}


def command_of(raw: bytes) -> CommandSpec[Any, Any] | None:
    """The command meant by a header; one with strange parameters is the family's first."""
    found = TABLE.route(raw[:4])
    if isinstance(found, CommandSpec):
        return found
    return next((spec for spec in TABLE if raw[:2] == bytes((spec.cla, spec.ins))), None)


def blamed(result: Result) -> set[CommandSpec[Any, Any]]:
    """The commands that a failure can be about: where it shows, and what was lost on the way."""
    assert result.violation is not None
    at = result.violation.at
    shown = [] if at is None else [result.said[at].command]
    lost = [one.command for one in result.said if one.response is None and one.command]
    specs = {command_of(raw) for raw in shown + lost}
    plain = {command_of(bytes((raw[0] & ~4, *raw[1:]))) for raw in shown if raw[0] & 4}
    return {spec for spec in specs | plain if spec is not None}


def test_the_card_shares_the_made_up_keys_and_nothing_else():
    """The key of the computed vectors (protocol reference 5.8), worked out by the card itself."""
    assert card_key("PMK").hex().upper() == "FEB42A9907937AA191BCCA8A0A22F6A9"
    text = Path(other_card.__file__).read_text("utf-8")
    imports = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    ours = ("emulator", "apdu", "reader", "issuer", "bench", "fixtures", "tests")
    assert not [line for line in imports if line.split()[1].split(".")[0] in ours]


def test_everything_that_fails_is_about_a_command_the_card_does_not_have():
    strange = {
        number: (result.case.key, str(result.violation))
        for number, result in failed().items()
        if not blamed(result) & MISSING
    }
    assert not strange


def reported() -> Iterator[CommandSpec[Any, Any]]:
    for result in failed().values():
        yield from blamed(result)


@pytest.mark.parametrize("spec", sorted(MISSING, key=lambda s: s.name), ids=lambda s: s.name)
def test_every_missing_command_is_reported(spec):
    assert spec in set(reported())


@pytest.mark.parametrize("group", ["FCI", "LOG", "TRIP", "LADD", "LOAD", "CAPP", "MACS", "TEAR"])
def test_what_the_card_has_is_judged_and_found_right(group):
    passed = [n for n, r in judged().items() if r.verdict is Verdict.PASSED and f"-{group}-" in n]
    assert passed
