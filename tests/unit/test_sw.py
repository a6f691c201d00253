"""Status words in words: every 16-bit value has some."""

import pytest

from apdu.commands import SAM_TABLE, TABLE
from apdu.sw import _WORDS, SW, describe, is_blocked, length_is, retries_left

UNKNOWN = "unknown status word"


def test_every_value_has_words():
    words = {sw: describe(sw) for sw in range(0x10000)}
    assert all(isinstance(text, str) and text for text in words.values())
    known = {sw for sw, text in words.items() if text != UNKNOWN}
    assert known == (
        {int(sw) for sw in SW}
        | set(range(0x6100, 0x6200))
        | set(range(0x6C00, 0x6D00))
        | set(range(0x63C0, 0x63D0))
    )


@pytest.mark.parametrize("sw", SW, ids=lambda sw: sw.name)
def test_every_declared_word_has_its_own_text(sw):
    assert describe(sw) == _WORDS[sw]
    assert [s for s in SW if describe(s) == describe(sw)] == [sw]


def test_words_with_a_number_say_the_number():
    for n in range(1, 257):
        assert describe(length_is(n)) == f"wrong Le, {n} bytes are there"
    for n in range(16):
        assert describe(retries_left(n)) == f"verification failed, {n} tries left"
    assert describe(0x6110) == "done, 16 more bytes waiting"
    assert describe(0x6100) == "done, 256 more bytes waiting"


def test_blocked_answers_of_select_are_those_of_the_reference():
    assert [sw for sw in range(0x10000) if is_blocked(sw)] == [0x6283, 0x6284, 0x6A81, 0x9303]


@pytest.mark.parametrize("spec", [*TABLE, *SAM_TABLE], ids=lambda s: s.name)
def test_every_declared_refusal_has_a_word_and_a_reason(spec):
    for sw, reason in spec.errors.items():
        assert describe(sw) != UNKNOWN
        assert reason
        assert sw != SW.OK
