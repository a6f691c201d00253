"""Versions compare number by number: every edge case of domain facts 1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.versions import floor, is_at_least, is_dev_build, parse

CASES = {
    "R8": [
        ("6.0.0.1", "5.9.9.9", False),
        ("6.0.0.1", "6.0.0.0", False),
        ("6.0.0.1", "6.0.0.1", True),
        ("6.0.0.1", "6.0.0.10", True),
        ("6.0.0.1", "10.0", True),
        ("6.0.0.1", "6.0", False),
        ("6.0.0.1", "6", False),
        ("6.0.0.1", "6.0.1", True),
        ("6.0.0.1", "7", True),
    ],
    "R11": [
        ("9.0.13.304", "9.0.13.303", False),
        ("9.0.13.304", "9.0.13.304", True),
        ("9.0.13.304", "9.0.9.999", False),
        ("9.0.13.304", "9.0.13", False),
        ("9.0.13.304", "10.0", True),
        ("9.0.13.304", "9.0.13.1000", True),
    ],
    "R14": [
        ("21.08.09.1", "21.8.9.1", True),
        ("21.08.09.1", "21.8.9", False),
        ("21.08.09.1", "21.08.10", True),
        ("21.08.09.1", "21.08.09.01", True),
        ("21.08.09.1", "21.8.8.9", False),
    ],
    "R15": [
        ("21.7.27", "21.7.3", False),
        ("21.7.27", "21.7.27", True),
        ("21.7.27", "21.11.1", True),
    ],
    "R18": [
        ("13.4", "13.3.1", False),
        ("13.4", "13.4", True),
        ("13.4", "13.4.0", True),
        ("13.4", "13.10", True),
        ("13.4", "14", True),
        ("13.4", "9.3.5", False),
    ],
}


@pytest.mark.parametrize(
    ("least", "found", "is_right"), [case for cases in CASES.values() for case in cases]
)
def test_the_edge_cases_of_the_domain_facts(least, found, is_right):
    assert is_at_least(found, least) is is_right


@pytest.mark.parametrize("same", ["6.0", "6", "6.0.0.0", "06.00", " 6.0 "])
def test_missing_numbers_are_0_and_leading_zeros_mean_nothing(same):
    assert parse(same) == (6,)


@pytest.mark.parametrize(
    "text", ["", ".", "6.", ".6", "6..0", "V12.5.6.0", "6.0-beta", "６.0", "-6", "6,0", "1" * 5000]
)
def test_what_is_not_a_dotted_version_is_unknown(text):
    assert parse(text) is None
    assert is_at_least(text, "6.0.0.1") is None


def test_a_floor_of_ours_that_is_not_a_version_is_a_bug():
    with pytest.raises(ValueError, match="'V1' is not a dotted version"):
        floor("V1")


numbers = st.lists(st.integers(0, 999), min_size=1, max_size=5)


@given(numbers, numbers)
def test_one_of_two_versions_is_at_least_the_other(one, other):
    a, b = (".".join(map(str, n)) for n in (one, other))
    padded = [n + [0] * (5 - len(n)) for n in (one, other)]
    assert is_at_least(a, b) == (padded[0] >= padded[1])


@pytest.mark.parametrize("text", ["21.7.27", "21.7.3", "9.12.5", "22.11.30", "8.1.4", "21.08.09"])
def test_builds_of_a_day_are_developer_builds(text):
    assert is_dev_build(text)


@pytest.mark.parametrize(
    "text",
    [
        "V12.5.6.0",
        "12.5.6",
        "13.0.1",
        "14.0.5.0",
        "1.0.3",
        "1.0.3.0",
        "21.13.1",
        "21.7.32",
        "21.7",
        "",
    ],
)
def test_stable_versions_and_hyperos_are_no_developer_builds(text):
    assert not is_dev_build(text)
