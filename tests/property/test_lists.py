"""Whatever is listed comes back from its text; whatever came on its way, versions stay in order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reader.blacklist import Blacklist, BlacklistError
from reader.blacklist_text import build_update, parse_update
from reader.white_list import WhiteListError, parse_white_list
from tests.lists import increments, leading, lists, serials, some

eight_digits = st.integers(0, 10**8 - 1).map("{:08d}".format)


@given(lists | increments())
def test_an_update_comes_back_from_its_text(update):
    text = build_update(update)
    assert parse_update(text) == update
    assert build_update(parse_update(text)) == text


@given(
    lists | increments(),
    st.data(),
    st.sampled_from(["drop", "double", "cut", "change", "insert", "swap"]),
)
def test_a_damaged_text_is_refused_in_one_sentence(update, data, how):
    text = build_update(update)
    at = data.draw(st.integers(0, len(text) - 1))
    some_byte = bytes((data.draw(st.integers(0, 255)),))
    lines = text.splitlines(keepends=True)
    number, to = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    swapped = list(lines)
    swapped[number], swapped[to] = lines[to], lines[number]
    damaged = {
        "drop": b"".join(lines[:number] + lines[number + 1 :]),
        "double": b"".join(lines[: number + 1] + lines[number:]),
        "cut": text[:at],
        "change": text[:at] + some_byte + text[at + 1 :],
        "insert": text[:at] + some_byte + text[at:],
        "swap": b"".join(swapped),
    }[how]
    if damaged != text:
        said = problem_of(damaged)
        assert said
        assert "\n" not in said


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_refused(data):
    said = problem_of(b"TAPBENCH BLACKLIST 1 full " + data)
    assert said
    assert problem_of(data)


def problem_of(data: bytes) -> str:
    try:
        parse_update(data)
    except BlacklistError as error:
        return str(error)
    return ""


@given(st.lists(some, min_size=1, max_size=6))
def test_increments_lead_where_full_lists_lead(versions):
    held = Blacklist()
    for version, cards in enumerate(versions, 1):
        held = held.updated(leading(held.serials, cards, version - 1))
        assert held == Blacklist(version, cards)


@settings(max_examples=200)
@given(
    st.lists(st.frozensets(serials, max_size=4), min_size=1, max_size=6),
    st.data(),
)
def test_whatever_is_lost_late_or_doubled_the_list_is_one_that_was_sent(versions, data):
    """A gate only ever moves forward, and only to lists that there were."""
    history = [frozenset(), *versions]
    sent = [
        update
        for n in range(1, len(history))
        for update in (Blacklist(n, history[n]), leading(history[n - 1], history[n], n - 1))
    ]
    held = Blacklist()
    for update in data.draw(st.lists(st.sampled_from(sent), max_size=20)):
        before = held
        try:
            held = before.updated(update)
        except BlacklistError:
            assert update.version != before.version
        assert held.version >= before.version
        assert held.serials == history[held.version]
        assert (held is before) == (held.version == before.version)


@given(lists, increments())
def test_an_update_that_was_taken_is_a_repetition_from_then_on(held, increment):
    at = Blacklist(increment.base, increment.removed) if increment.base else None
    for update, start in ((held, Blacklist()), (increment, at)):
        if start is not None:
            after = start.updated(update)
            assert after.updated(update) is after


@given(
    st.frozensets(st.tuples(eight_digits, eight_digits), min_size=1, max_size=10),
    st.sampled_from([" ", "    ", "\t"]),
)
def test_a_white_list_comes_back_from_its_lines(pairs, space):
    lines = ["issuer IIN", *(f"{issuer}{space}{iin}" for issuer, iin in sorted(pairs))]
    assert parse_white_list(lines) == pairs


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_lines_are_a_white_list_or_refused_in_one_sentence(lines):
    said = ""
    try:
        parse_white_list(lines)
    except WhiteListError as error:
        said = str(error)
    assert "\n" not in said
