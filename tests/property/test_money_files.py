"""Damaged files of networks, buses and policies are loaded or refused in one sentence."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixtures.network
import fixtures.policy
from fixtures.network import NetworkError, parse_network
from fixtures.network.buses import parse_buses
from reader.policy import Policy, PolicyError

NETWORKS, POLICIES = (
    Path(package.__file__).parent for package in (fixtures.network, fixtures.policy)
)
FILES = {
    "rail": (NETWORKS / "beijing-sample.toml", parse_network),
    "bus": (NETWORKS / "beijing-sample.bus.toml", parse_buses),
    "policy": (POLICIES / "beijing.toml", lambda text: Policy.from_toml("mine", text)),
}
JUNK = st.sampled_from(
    ["", "1", "-1", "0", "9999999999", "1.5", "true", "[]", "{}", '""', "x", "=", "]", "nan"]
)


def damaged(data, text: str) -> str:
    """The text with a line dropped or doubled, or a word replaced."""
    lines = text.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    how = data.draw(st.sampled_from(["drop", "double", "word"]))
    if how == "word":
        words = lines[at].split(" ")
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(JUNK)
        lines[at] = " ".join(words)
    else:
        lines[at : at + 1] = [] if how == "drop" else [lines[at]] * 2
    return "\n".join(lines)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_loaded_or_refused_in_one_sentence(name, data):
    path, parse = FILES[name]
    says = ""
    try:
        parse(damaged(data, path.read_text("utf-8")))
    except (NetworkError, PolicyError) as refusal:
        says = str(refusal)
    assert "\n" not in says
