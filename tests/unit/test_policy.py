"""The policy: defaults, its file, and files that are wrong."""

import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fixtures.policy
from bench.cli.app import _sentence
from bench.money_docs import policy_page
from fixtures.policy import load_policy, policy_names, read_policy
from reader.knobs import shown
from reader.policy import MODES, Policy, PolicyError, knobs

TEXT = (Path(fixtures.policy.__file__).parent / "beijing.toml").read_text("utf-8")
NAMES = [knob.name for knob in knobs()]


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as refusal:
        Policy.from_toml("mine", text)
    return str(refusal.value)


def test_the_file_of_beijing_names_every_knob_with_its_default():
    assert list(tomllib.loads(TEXT)) == NAMES
    assert load_policy("beijing") == load_policy() == Policy()
    assert policy_names() == ["beijing"]


def test_what_a_file_does_not_name_has_its_default():
    assert Policy.from_toml("mine", "passback_s = 0") == Policy(passback_s=0)
    assert Policy.from_toml("mine", "") == Policy()


@pytest.mark.parametrize("knob", knobs(), ids=lambda knob: knob.name)
def test_every_knob_says_why_how_well_known_and_takes_its_default(knob):
    assert knob.values.read(knob.default) == knob.default
    assert knob.why.endswith(".")
    assert knob.grade in {"SEED", "V-A", "V-B", "V-C", "C", "ASSUMED", "D"}
    assert knob.source.startswith(("domain facts", "protocol reference", "no source"))
    assert knob.values.expected


def test_lists_of_a_file_are_values_that_do_not_change():
    policy = Policy.from_toml("mine", 'modes = ["time_free", "date_free"]\nmonth_steps = [[1, 2]]')
    assert policy.modes == ("time_free", "date_free")
    assert policy.month_steps == ((1, 2),)
    assert hash(policy) == hash(Policy(modes=("time_free", "date_free"), month_steps=((1, 2),)))
    with pytest.raises(FrozenInstanceError):
        policy.passback_s = 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "pasback_s = 5",
            "policy mine: there is no knob 'pasback_s'; close: passback_s",
        ),
        (
            "zzz = 5",
            "policy mine: there is no knob 'zzz'; docs/policy.md lists all",
        ),
        (
            "passback_s = 5.0",
            "policy mine: knob 'passback_s' is 5.0; expected a whole number from 0 to 604800",
        ),
        (
            "passback_s = true",
            "policy mine: knob 'passback_s' is true; expected a whole number from 0 to 604800",
        ),
        (
            "overtime_fare = -1",
            "policy mine: knob 'overtime_fare' is -1; expected a whole number from 0 to 10000000",
        ),
        (
            'barrier = "open"',
            "policy mine: knob 'barrier' is 'open';"
            " expected one of: normally_closed, normally_open",
        ),
        (
            "lock_listed_card = 1",
            "policy mine: knob 'lock_listed_card' is 1; expected true or false",
        ),
        (
            'bus_lines_with_concessions = ["city", "city"]',
            "policy mine: knob 'bus_lines_with_concessions' is ['city', 'city']; expected a list,"
            " without repetition, of: city, suburban, sightseeing, express, customised",
        ),
        (
            "latency_marks_ms = [300, 200]",
            "policy mine: knob 'latency_marks_ms' is [300, 200]; expected a list of whole numbers"
            " from 1, each greater than the one before",
        ),
        (
            "latency_limit_ms = 200",
            "policy mine: knob 'latency_limit_ms' is 200; expected at least latency_ok_ms, 300",
        ),
    ],
)
def test_a_wrong_policy_is_one_sentence(text, sentence):
    assert refused(text) == sentence


@pytest.mark.parametrize(
    "steps",
    ["[[10000, 80], [10000, 50]]", "[[10000, 101]]", "[[10000]]", "[10000, 80]", "[[0, 80]]", "80"],
)
def test_steps_of_the_month_that_do_not_rise_are_refused(steps):
    sentence = refused(f"month_steps = {steps}")
    assert sentence.startswith("policy mine: knob 'month_steps' is ")
    assert sentence.endswith("0 to 100 per cent, as in [[10000, 80]]")


@pytest.mark.parametrize("marks", ["5", '["200"]', "[0, 5]"])
def test_marks_are_whole_numbers(marks):
    assert "knob 'latency_marks_ms'" in refused(f"latency_marks_ms = {marks}")


@pytest.mark.parametrize("modes", ['"closed"', '["clsd"]', "[1]"])
def test_modes_are_those_there_are(modes):
    assert refused(f"modes = {modes}").endswith(", ".join(MODES))


def test_numbers_in_lists_are_taken_from_one_to_a_thousand_million():
    most = 10**9
    assert Policy(latency_marks_ms=[1, most]).latency_marks_ms == (1, most)
    assert Policy(month_steps=[[1, 0], [most, 100]]).month_steps == ((1, 0), (most, 100))
    for wrong in ({"latency_marks_ms": [most + 1]}, {"month_steps": [[most + 1, 0]]}):
        with pytest.raises(PolicyError):
            Policy(**wrong)


def test_a_value_of_sixty_characters_is_shown_whole_and_a_longer_one_cut():
    assert shown("x" * 58) == repr("x" * 58)
    assert shown("x" * 59) == "'" + "x" * 56 + "..."


def test_a_long_value_is_cut_in_the_sentence():
    assert len(refused(f'barrier = "{"x" * 500}"')) < 200


def test_a_file_of_ones_own_is_read_or_refused_in_one_sentence(tmp_path):
    mine = tmp_path / "mine.toml"
    with pytest.raises(PolicyError, match=r"mine\.toml cannot be read: No such file or directory$"):
        read_policy(mine)
    mine.write_bytes(b"\xff")
    with pytest.raises(PolicyError, match=r"mine\.toml is not a text in UTF-8$"):
        read_policy(mine)
    mine.write_text("passback_s = 9", "utf-8")
    assert read_policy(mine).passback_s == 9
    mine.write_text("passback = 9", "utf-8")
    with pytest.raises(
        PolicyError, match=r"^policy mine\.toml: there is no knob 'passback'; close"
    ):
        read_policy(mine)


def test_a_file_that_is_not_toml_is_one_sentence():
    assert refused("[").startswith("policy mine: expected TOML; ")
    assert "\n" not in refused("passback_s =\n")


def test_a_policy_that_is_not_there_is_one_sentence():
    with pytest.raises(PolicyError, match="there is no policy 'paris'; choose one of: beijing"):
        load_policy("paris")


def test_the_command_line_shows_a_wrong_policy_without_traceback():
    assert _sentence(PolicyError("knob")) == "knob"


@given(st.sampled_from(NAMES), st.one_of(st.none(), st.text(), st.floats(), st.binary()))
def test_any_value_is_taken_or_refused_in_one_sentence(name, found):
    says = ""
    try:
        Policy(**{name: found})
    except PolicyError as refusal:
        says = str(refusal)
    assert not says or f"'{name}'" in says
    assert "\n" not in says


def test_the_page_has_every_knob_once():
    page = policy_page()
    for knob in knobs():
        assert page.count(f"| `{knob.name}` |") == 1
        assert knob.why in page
