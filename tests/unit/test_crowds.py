"""Crowds as files: what is there, and what is wrong with one's own."""

import pytest

from bench.throughput.crowd.people import read_cards, read_carriers
from bench.throughput.crowd.station import StationRun
from fixtures.crowds import CrowdError, crowd_names, load_crowd, read_crowd
from tests.crowds import gear, habits

GOOD = """
title = "Mine"
grade = "ASSUMED"
station = "Xidan"
start = "07:30"
minutes = 10
cards = "student:50"
carriers = "plastic"
early_percent = 0
steps = [{ at_min = 0, entry = 5, exit = 5 }]
[gates]
entry = 1
exit = 1
both = 0
"""


@pytest.mark.parametrize("name", crowd_names())
def test_every_crowd_can_be_simulated(name):
    crowd = load_crowd(name)
    assert crowd.name == name
    assert crowd.grade == "ASSUMED"
    assert read_cards(crowd.cards)
    assert read_carriers(crowd.carriers)
    assert StationRun(crowd, gear(), habits()).stations


def test_a_crowd_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    crowd = read_crowd(path)
    assert (crowd.name, crowd.title, crowd.minutes) == ("mine", "Mine", 10)
    assert crowd.steps[0].exit == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minutes = 10", "minutes = 0", "'minutes' is 0; expected 1 to 180"),
        ("minutes = 10", "minutes = 181", "'minutes' is 181; expected 1 to 180"),
        ("minutes = 10", "minutes = nan", "'minutes' is nan; expected a whole number"),
        ("minutes = 10", "", "'minutes' is missing"),
        ("minutes = 10", "minutes = 10\nminuets = 1", "unknown entry 'minuets'; close: minutes"),
        ("exit = 5", "exit = -5", "step 1: 'exit' is -5; expected 0 to 1000"),
        ("exit = 5", "exit = 1000000000", "step 1: 'exit' is 1000000000"),
        ("at_min = 0", "at_min = 1", "the first of 'steps' is not at minute 0"),
        (
            "exit = 5 }",
            "exit = 5 }, { at_min = 0, entry = 1, exit = 1 }",
            "step 2: 'at_min' is 0; expected 1 to 9",
        ),
        ("[{ at_min = 0, entry = 5, exit = 5 }]", "[]", "the first of 'steps'"),
        ("[{ at_min = 0, entry = 5, exit = 5 }]", "[7]", "step 1 is 7; expected a table"),
        ('start = "07:30"', 'start = "7h"', "'start' is '7h'; expected a time such as 07:30"),
        ("early_percent = 0", "early_percent = 101", "'early_percent' is 101"),
        ("both = 0", "both = -1", "[gates]: 'both' is -1"),
        ('title = "Mine"', "title = ", "expected TOML"),
    ],
)
def test_a_wrong_crowd_is_refused_in_one_sentence(tmp_path, old, new, said):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new, 1) if old != "both = 0" else GOOD.replace(old, new))
    with pytest.raises(CrowdError) as error:
        read_crowd(path)
    assert said in str(error.value)


def test_an_unknown_crowd_is_refused_with_the_known_ones():
    with pytest.raises(CrowdError, match="there is no crowd 'rush'; choose one of: evening-peak"):
        load_crowd("rush")
