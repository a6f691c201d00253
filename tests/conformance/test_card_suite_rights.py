"""The cases about rights, keys, files and records as a card is made: green, and red on lies."""

from collections import Counter
from dataclasses import fields

import pytest

import fixtures
from bench.conformance.card.rights import _is_met
from bench.conformance.case import Case, Need, Verdict
from bench.conformance.runner import Result, run_case
from bench.conformance.stand import OwnStand, changed, own_stand
from bench.conformance.suite import card_cases
from emulator.card.dialect import Dialect
from tests.cards import OK

GROUPS = {
    "ALGO": 5,
    "CURR": 5,
    "DIAL": 6,
    "GUARD": 21,
    "KEYS": 17,
    "MAKE": 6,
    "RECS": 9,
    "RIGHTS": 32,
}
"""The groups, and how many cases each has."""

CASES = [case for case in card_cases().values() if case.group in GROUPS]
SWITCHES = [
    (field.name, choice)
    for field in fields(Dialect)
    for choice in field.metadata["choices"] or ("CARD IMAGE 0001",)
    if choice != field.default
]

SCENIC = ("RECS", "DIAL")
"""Groups with a case that looks around before it acts: what it sees there may be anything."""


def red(results: list[Result]) -> list[str]:
    return [
        f"{one.case.key}: {one.violation.expected}, came {one.violation.came}"
        for one in results
        if one.violation is not None
    ]


def played(stand: OwnStand) -> list[Result]:
    return [run_case(case, stand) for case in CASES]


# Green


def test_every_group_has_its_cases():
    assert Counter(case.group for case in CASES) == GROUPS


def test_every_case_has_its_two_titles_and_a_clause_and_no_title_comes_twice():
    titles = Counter(case.title.en for case in card_cases().values())
    for case in CASES:
        assert case.title.en[0].isupper() or case.title.en[0].isdigit(), case.title.en
        assert any("\u4e00" <= sign <= "\u9fff" for sign in case.title.zh), case.title.zh
        assert case.clauses, case.key
        assert titles[case.title.en] == 1, case.title.en


@pytest.mark.parametrize(
    "road", ["inproc", "udp", pytest.param("pcsc", marks=pytest.mark.needs_pcscd)]
)
def test_our_card_passes_all_of_them(road):
    with own_stand(road) as stand:
        results = played(stand)
    assert red(results) == []
    assert {result.verdict for result in results} == {Verdict.PASSED}


@pytest.mark.parametrize("profile", sorted(set(fixtures.profile_names())))
def test_the_card_of_every_profile_passes_what_it_has(profile):
    with own_stand(profile=profile) as stand:
        results = played(stand)
    assert red(results) == []
    for result in results:
        if result.verdict is Verdict.SKIPPED:
            assert Need.BLANK not in result.case.needs, result.case.key


@pytest.mark.parametrize(("switch", "choice"), SWITCHES)
def test_the_card_of_every_dialect_passes_all_of_them(switch, choice):
    with own_stand() as stand:
        stand._profile = changed(stand._profile, {"dialect": {switch: choice}})
        assert red(played(stand)) == []


@pytest.mark.parametrize(
    ("access", "registers"),
    [(0xF0, range(16)), (0x53, (3, 4, 5)), (0x11, (1,)), (0xEF, ()), (0x35, ())],
)
def test_what_a_case_expects_of_an_access_byte_is_the_table_of_the_annex(access, registers):
    assert [n for n in range(16) if _is_met(access, n)] == list(registers)


# Red


class Liar:
    """A stand whose card answers truly but once."""

    def __init__(self, stand: OwnStand, lie_at: int, lie) -> None:
        self._stand = stand
        self._lie_at = lie_at
        self._lie = lie
        self._count = 0

    def __getattr__(self, name: str):
        return getattr(self._stand, name)

    @property
    def link(self) -> "Liar":
        """The card and the liar before it."""
        return self

    def transmit(self, command: bytes) -> bytes:
        response = self._stand.link.transmit(command)
        self._count += 1
        return self._lie(response) if self._count == self._lie_at else response


def other_word(response: bytes) -> bytes:
    return response[:-2] + (b"\x6f\x00" if response[-2:] == OK else OK)


MISSHAPEN = {
    "9000 alone": lambda response: OK,
    "a byte less": lambda response: response[1:] if len(response) > 2 else response,
    "a byte more": lambda response: b"\0" + response,
}


LOOKING = {"rights.key_is_no_pin"}
"""Cases of other groups that look around: a card need not have every balance they ask for."""


def spoken(case: Case, stand: OwnStand) -> int:
    return sum(said.response is not None for said in run_case(case, stand).said)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_another_word_is_noticed_wherever_it_comes(case):
    if (case.group in SCENIC and Need.BLANK not in case.needs) or case.key in LOOKING:
        pytest.skip("it looks around first")
    with own_stand() as stand:
        for at in range(1, spoken(case, stand) + 1):
            lie = run_case(case, Liar(stand, at, other_word))
            assert lie.verdict is Verdict.FAILED, at
            assert lie.violation is not None
            assert lie.violation.clause


@pytest.mark.parametrize("lie", MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_misshapen_answer_is_judged_and_never_trips_the_suite(lie):
    with own_stand() as stand:
        for case in CASES:
            for at in range(1, spoken(case, stand) + 1, 3):
                run_case(case, Liar(stand, at, lie))


class Generous:
    """A stand whose card takes every write and every key."""

    def __init__(self, stand: OwnStand) -> None:
        self._stand = stand

    def __getattr__(self, name: str):
        return getattr(self._stand, name)

    @property
    def link(self) -> "Generous":
        """The card, and what hides its refusals."""
        return self

    def transmit(self, command: bytes) -> bytes:
        response = self._stand.link.transmit(command)
        is_refusal = len(response) == 2 and response[0] in (0x63, 0x69, 0x6A)
        return OK if is_refusal and command[1] not in (0xB0, 0xB2) else response


@pytest.mark.parametrize(
    "key",
    [
        "rights.binary.53",
        "rights.erase",
        "rights.above.03",
        "rights.key_file_closes",
        "rights.master_file_stays",
        "keyfile.change_right",
        "keyfile.named_key",
        "keyfile.reload_key_locks",
        "guarded.key.02",
        "making.filled_exactly",
        "recordfiles.length_stays",
        "algorithms.block.03",
        "debits.01.state",
    ],
)
def test_a_card_that_takes_everything_is_caught(key):
    case = next(case for case in CASES if case.key == key)
    with own_stand() as stand:
        assert run_case(case, Generous(stand)).verdict is Verdict.FAILED
