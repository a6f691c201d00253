"""The issuer's knobs: defaults, its file, and files that are wrong."""

import tomllib
from importlib.resources import files

import pytest

import fixtures.policy.issuer
from bench.money_docs import policy_page
from fixtures.policy import policy_names
from fixtures.policy.issuer import issuer_policy_names, load_issuer_policy
from issuer.policy import IssuerPolicy
from reader.knobbed import PolicyError
from reader.policy import Policy

KNOBS = IssuerPolicy.knobs()
NAMES = [knob.name for knob in KNOBS]
NAMED = {  # the issuer's rows of domain facts 9, and the threshold of R32
    "student_card_limit",
    "issue_expiry",
    "renewal_open_inclusive",
    "late_renewal",
    "renewal_needs_reauth",
    "refund_outlet_threshold_inclusive",
    "refund_outlet_from",
    "refund_requires_closed_trip",
    "lost_balance",
    "settle_days",
    "super_sim",
}


def test_the_file_of_beijing_names_every_knob_with_its_default():
    text = (files(fixtures.policy.issuer) / "beijing.toml").read_text("utf-8")
    assert list(tomllib.loads(text)) == NAMES
    assert load_issuer_policy("beijing") == load_issuer_policy() == IssuerPolicy()
    assert issuer_policy_names() == ["beijing"]
    assert policy_names() == ["beijing"], "files for gates are others"


def test_the_knobs_of_the_domain_facts_are_there_and_gates_keep_theirs():
    assert set(NAMES) >= NAMED
    gates = {knob.name for knob in Policy.knobs()}
    assert {"max_balance", "load_min", "load_step", "blacklist_delay_s"} <= gates
    assert not gates & set(NAMES), "each is declared once"


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_every_knob_says_why_how_well_known_and_takes_its_default(knob):
    assert knob.values.read(knob.default) == knob.default
    assert knob.why.endswith(".")
    assert knob.grade in {"SEED", "V-A", "V-B", "V-C", "C", "ASSUMED", "D"}
    assert knob.source.startswith(("domain facts", "no source"))
    assert knob.values.expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "late_renewals = true",
            "policy mine: there is no knob 'late_renewals'; close: late_renewal",
        ),
        ("passback_s = 5", "policy mine: there is no knob 'passback_s'; docs/policy.md lists all"),
        (
            "refund_outlet_from = 200.0",
            "policy mine: knob 'refund_outlet_from' is 200.0;"
            " expected a whole number from 1 to 10000000",
        ),
        (
            'lost_balance = "keep"',
            "policy mine: knob 'lost_balance' is 'keep'; expected one of: carry, refund, forfeit",
        ),
        ("late_renewal = 1", "policy mine: knob 'late_renewal' is 1; expected true or false"),
        (
            "student_card_limit = 0",
            "policy mine: knob 'student_card_limit' is 0; expected a whole number from 1 to 9",
        ),
    ],
)
def test_a_wrong_policy_is_one_sentence(text, sentence):
    with pytest.raises(PolicyError) as refusal:
        IssuerPolicy.from_toml("mine", text)
    assert str(refusal.value) == sentence


def test_a_policy_that_is_not_there_is_one_sentence():
    with pytest.raises(PolicyError, match="no issuer policy 'paris'; choose one of: beijing"):
        load_issuer_policy("paris")


def test_the_page_has_every_knob_once():
    page = policy_page()
    for knob in KNOBS:
        assert page.count(f"| `{knob.name}` |") == 1
        assert knob.why in page
