"""The derived cases of the card suite: green on our card everywhere, and red when it lies."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from random import Random

import pytest

import fixtures
from apdu.commands import TABLE
from apdu.files import FILES
from apdu.spec import State
from bench.conformance.case import Case, Need, Verdict
from bench.conformance.derive import NEVER_TAKEN, edges, flipped, near, slug
from bench.conformance.runner import Result, run_case
from bench.conformance.service import BY_PROFILE, REFUSED
from bench.conformance.stand import OwnStand, changed, own_stand
from bench.conformance.suite import card_cases
from emulator.card.dialect import Dialect
from emulator.card.personalise import card_secrets
from reader.transport.inprocess import InProcess
from tests.cards import OK
from tests.other_card import OtherCard

GROUPS = {
    "STAT": 315,
    "LEN": 328,
    "P1P2": 201,
    "CLASS": 59,
    "FILE": 129,
    "REC": 70,
    "OFFS": 63,
    "ORDER": 119,
    "BLOCK": 153,
    "PERS": 70,
}
"""The groups derived from the tables, and how many cases each has."""

CASES = [case for case in card_cases().values() if case.group in GROUPS]
KEYS = {case.key for case in CASES}

PROFILES = [name for name in fixtures.profile_names() if not name.startswith("calibration")]
SWITCHES = [
    (field.name, choice)
    for field in fields(Dialect)
    for choice in field.metadata["choices"] or ("CARD IMAGE 0001",)
    if choice != field.default
]
ROADS = ["udp", "pn532", pytest.param("pcsc", marks=pytest.mark.needs_pcscd)]

each_spec = pytest.mark.parametrize("spec", TABLE.specs, ids=lambda s: s.name)
each_group = pytest.mark.parametrize("group", GROUPS)


def some(count: int, seed: str) -> list[Case]:
    """A slice that differs from seed to seed, with something of every group."""
    chance = Random(seed)
    each = max(1, count // len(GROUPS))
    by_group = {group: [c for c in CASES if c.group == group] for group in GROUPS}
    return [case for cases in by_group.values() for case in chance.sample(cases, each)]


def failures(cases: Iterable[Case], stand: OwnStand) -> list[str]:
    results = [run_case(case, stand) for case in cases]
    return [told(result) for result in results if result.verdict is Verdict.FAILED]


def told(result: Result) -> str:
    broken = result.violation
    assert broken is not None
    return f"{result.case.key}: expected {broken.expected}, came {broken.came}"


# Green


def test_every_case_holds_on_our_card_and_few_do_not_apply():
    with own_stand() as stand:
        results = [run_case(case, stand) for case in CASES]
    assert [told(r) for r in results if r.verdict is Verdict.FAILED] == []
    skipped = [r for r in results if r.verdict is Verdict.SKIPPED]
    assert {r.case.group for r in skipped} == {"LEN"}
    commands = {slug(spec) for spec in BY_PROFILE}  # the student's card does not take them
    assert {r.case.key.split(".")[1] for r in skipped} == commands


@pytest.mark.parametrize("road", ROADS)
def test_a_slice_holds_on_the_other_roads(road):
    with own_stand(road) as stand:
        assert failures(some(60, road), stand) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_a_slice_holds_on_the_card_of_every_profile(profile):
    with own_stand("inproc", profile) as stand:
        assert failures(some(100, profile), stand) == []


@pytest.mark.parametrize(("switch", "choice"), SWITCHES)
def test_a_slice_holds_on_the_card_of_every_dialect(switch, choice):
    with own_stand("inproc", "student-passbook") as stand:
        stand._profile = changed(stand._profile, {"dialect": {switch: choice}})
        assert failures(some(100, f"{switch} {choice}"), stand) == []


# Whole


def test_every_group_has_its_cases():
    assert Counter(case.group for case in CASES) == GROUPS


@each_spec
def test_every_command_is_judged_in_every_way(spec):
    name = slug(spec)
    assert {f"states.{name}.{state.name}" for state in State} <= KEYS
    ways = {"data", "tail"} if spec.data is None else {"absent", "zero", "disagree", "tail"}
    assert {f"lengths.{name}.lc-{way}" for way in ways} <= KEYS
    assert any(key.startswith(f"lengths.{name}.le-") for key in KEYS) == (spec not in REFUSED)
    for way, derive in (("near", near), ("bits", flipped), ("edges", edges)):
        assert (f"params.{name}.{way}" in KEYS) == bool(derive(spec))
    assert {f"blocked.{how}.{name}" for how in ("temporary", "permanent", "dead")} <= KEYS
    assert (f"blank.takes.{name}" in KEYS) == (spec not in NEVER_TAKEN)
    others = {f"params.{name}.{p1:02x}{p2:02x}" for p1, p2 in spec.params.examples()[1:]}
    assert others <= KEYS


@pytest.mark.parametrize("file", list(FILES.values()), ids=lambda f: f.name)
def test_every_file_is_judged(file):
    ways = ("read", "read-mac", "select", "write", "write-mac", "wrong-key", "append", "cache")
    assert {f"files.{file.sfi:02x}.{way}" for way in ways} <= KEYS
    edges_of = [key for key in KEYS if key.split(".")[:2] in (["offsets", f"{file.sfi:02x}"],)]
    numbers = [key for key in KEYS if key.split(".")[:2] in (["records", f"{file.sfi:02x}"],)]
    assert bool(edges_of) != bool(numbers)


@each_spec
def test_a_refusal_of_a_card_in_service_has_its_clause_and_reason(spec):
    refused = REFUSED.get(spec) or (BY_PROFILE[spec][1] if spec in BY_PROFILE else None)
    if refused is not None:
        assert refused.clause
        assert refused.why
        assert refused.sw in spec.errors


def test_every_case_has_two_titles_and_a_clause():
    for case in CASES:
        assert case.title.en
        assert case.title.zh
        assert case.clauses
        assert case.grade in "CD1I"


# Read only


class Borrowed(OwnStand):
    """Our card as if it were somebody's: no key is known and nothing may be written."""

    def place(self, setup):
        """See OwnStand."""
        super().place(setup)
        self.keys = None
        self.abilities = frozenset({Need.CUT})


def test_cases_without_needs_take_no_key_and_leave_the_card_as_it_was():
    wanting = {Need.KEYS, Need.WRITE, Need.FRESH, Need.BLANK}
    ran = Counter()
    with own_stand("inproc", "student-passbook") as own:
        stand = Borrowed(own.name, own.declared, 1, own._slot, own._coupler)
        for case in CASES:
            if case.needs & wanting or case.setup:
                continue
            laid = []
            put = own._slot.put
            own._slot.put = lambda card, put=put, laid=laid: (put(card), laid.append(card))
            stand.place({})
            own._slot.put = put
            before = laid[0].image
            stand.place = lambda setup: None
            result = run_case(case, stand)
            del stand.place
            assert result.verdict is not Verdict.FAILED, told(result)
            assert laid[0].image is before, case.key
            ran[result.verdict] += 1
    assert ran[Verdict.PASSED] > 600


# Red


def other_word(response: bytes) -> bytes:
    return response[:-2] + (b"\x6f\x00" if response[-2:] == OK else OK)


MISSHAPEN = {
    "9000 alone": lambda response: OK,
    "a byte less": lambda response: response[1:] if len(response) > 2 else response,
    "a byte more": lambda response: b"\0" + response,
}


class Liar:
    """A stand whose card answers truly but once."""

    def __init__(self, stand: OwnStand, lie_at: int, lie=other_word) -> None:
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


@each_group
def test_a_case_fails_when_its_last_answer_is_another(group):
    chosen = Random(group).sample([case for case in CASES if case.group == group], 25)
    with own_stand() as stand:
        for case in chosen:
            true = run_case(case, stand)
            if true.verdict is Verdict.SKIPPED:
                continue
            spoken = sum(said.response is not None for said in true.said)
            lie = run_case(case, Liar(stand, spoken))
            assert lie.verdict is Verdict.FAILED, case.key
            assert lie.violation is not None
            assert lie.violation.clause


@each_group
def test_the_first_lie_is_noticed_too(group):
    """Nothing a case needs on its way may fail unseen."""
    chosen = Random(f"first {group}").sample([case for case in CASES if case.group == group], 10)
    with own_stand() as stand:
        for case in chosen:
            if run_case(case, stand).verdict is Verdict.PASSED:
                lie = run_case(case, Liar(stand, 1))
                assert lie.verdict is Verdict.FAILED, case.key


@each_group
@pytest.mark.parametrize("lie", MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_misshapen_answer_is_judged_and_never_trips_the_suite(group, lie):
    chance = Random(f"misshapen {group}")
    chosen = chance.sample([case for case in CASES if case.group == group], 20)
    with own_stand() as stand:
        for case in chosen:
            spoken = sum(said.response is not None for said in run_case(case, stand).said)
            run_case(case, Liar(stand, chance.randint(1, max(1, spoken)), lie))


class Foreign:
    """A stand with a card that shares nothing with ours."""

    name = "foreign"
    abilities = frozenset({Need.KEYS, Need.WRITE, Need.CUT})
    declared = fixtures.load_profile("student")
    keys = card_secrets(declared, fixtures.load_roots())

    def place(self, setup):
        self.card = OtherCard()
        self.reset()

    def reset(self):
        self.card.power_off()
        self.link = InProcess(self.card)


def test_a_foreign_card_passes_what_it_has_and_fails_what_it_lacks():
    results = {case.key: run_case(case, Foreign()).verdict for case in CASES}
    for key in (
        "states.debit-for-purchase.CAPP_CACHED",
        "states.credit-for-load.LOAD",
        "lengths.get-balance.le-less",
        "files.15.read",
        "offsets.15.sfi-last",
        "records.1e.read-number-after",
        "classes.ins.80.00",
    ):
        assert results[key] is Verdict.PASSED, key
    for key in (
        "states.verify-pin.IDLE",
        "files.15.write-mac",
        "states.initialize-for-unload.IDLE",
    ):
        assert results[key] is Verdict.FAILED, key
    assert results["states.get-balance.UNLOAD"] is Verdict.SKIPPED, "no way leads there"
    assert {results[key] for key in KEYS if key.startswith("blank.")} == {Verdict.SKIPPED}
