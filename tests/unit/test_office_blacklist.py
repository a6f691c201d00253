"""The blacklist's book: versions that a gate can follow, and what clearing is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import delete, select

from issuer import blacklist_book
from issuer.blacklist_book import change, full, increment, texts_since, updates_since, version_of
from issuer.clearing import Clearing, seconds_of
from issuer.schema import LostCard
from reader.blacklist import Blacklist, BlacklistError
from reader.blacklist_text import parse_update
from tests.books import TMK
from tests.offices import NOW, Office


def serial(number: int) -> bytes:
    return bytes.fromhex(f"03105228{number:012d}")


def test_there_is_none_at_first(office: Office):
    assert office.do(version_of) == 0
    assert office.do(full) == Blacklist()
    assert office.do(texts_since, 0) == []


def test_a_gate_that_has_any_version_comes_to_the_newest(office: Office):
    """Over the texts, as a gate does it: whatever was changed, and however far it is behind."""
    source, listed, held = Random(1), set(), [Blacklist()]
    for _ in range(30):
        added = {serial(source.randrange(20)) for _ in range(source.randrange(3))} - listed
        removed = {one for one in sorted(listed) if source.random() < 0.1}
        listed = listed - removed | added
        version = office.do(change, NOW, added, removed)
        if version != held[-1].version:
            held.append(Blacklist(version, frozenset(listed)))
        assert office.do(full) == held[-1]
    assert len(held) > 10
    for old in held:
        now = old
        for update in office.do(texts_since, old.version):
            now = now.updated(parse_update(update))
        assert now == held[-1]
        assert office.do(full, old.version) == old


def test_a_version_tells_what_it_changed_and_when(office: Office):
    office.do(change, NOW, [serial(1)])
    office.do(change, NOW + timedelta(hours=1), [serial(2)], [serial(1)])
    step = office.do(increment, 1)
    assert (step.base, step.added, step.removed) == (1, {serial(2)}, {serial(1)})
    assert office.do(blacklist_book.since, serial(2)) == NOW + timedelta(hours=1)
    assert office.do(blacklist_book.since, serial(1)) is None
    assert not office.do(blacklist_book.is_listed, serial(1))


def test_what_is_so_already_makes_no_version(office: Office):
    assert office.do(change, NOW, [serial(1)]) == 1
    assert office.do(change, NOW + timedelta(days=1), [serial(1)], [serial(3)]) == 1
    assert office.do(blacklist_book.since, serial(1)) == NOW


def test_clearing_knows_of_a_lost_card_since_when_it_was_reported(office: Office):
    office.do(change, NOW, [serial(1), serial(2)])
    office.do(change, NOW + timedelta(hours=1), [], [serial(2)])
    lost = office.do(
        lambda s: [tuple(row) for row in s.execute(select(LostCard.serial, LostCard.since))]
    )
    assert lost == [(serial(1).hex(), seconds_of(NOW))]


def test_the_first_report_counts_for_clearing(office: Office):
    """Whether clearing heard of it from the book or from somebody else."""
    told = Clearing(office.engine, TMK)
    told.blacklist(serial(1), (NOW - timedelta(days=1)).replace(tzinfo=None))
    told.blacklist(serial(2), (NOW + timedelta(days=1)).replace(tzinfo=None))
    office.do(change, NOW, [serial(1), serial(2)])
    office.do(change, NOW, [], [serial(2)])
    lost = office.do(lambda s: s.scalars(select(LostCard.since)).all())
    assert lost == [seconds_of(NOW - timedelta(days=1))]


def test_a_card_that_clearing_never_heard_of_is_removed_all_the_same(office: Office):
    office.do(change, NOW, [serial(1)])
    office.do(lambda s: s.execute(delete(LostCard)))
    assert office.do(change, NOW, [], [serial(1)]) == 2
    assert office.do(full).serials == frozenset()


def test_a_gate_that_is_far_behind_or_lost_gets_the_full_list(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    for number in range(4):
        office.do(change, NOW, [serial(number)])
    newest = office.do(full)
    assert office.do(updates_since, 0) == office.do(updates_since, 9) == [newest]
    assert len(office.do(updates_since, 1)) == 3
    monkeypatch.setattr(blacklist_book, "STEPS_AT_ONCE", 2)
    assert office.do(updates_since, 1) == [newest]
    assert office.do(updates_since, 4) == []


def test_what_makes_no_sense_is_refused(office: Office):
    with pytest.raises(BlacklistError, match="20 digits"):
        office.do(change, NOW, [b"\xff" * 10])
    with pytest.raises(BlacklistError, match="both added and removed"):
        office.do(change, NOW, [serial(1)], [serial(1)])
    for wrong in (lambda s: full(s, 1), lambda s: increment(s, 0)):
        with pytest.raises(ValueError, match="from 0 to 0"):
            office.do(wrong)
    assert office.do(version_of) == 0


def test_reports_at_once_make_versions_without_gaps(office: Office):
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda n: office.do(change, NOW, [serial(n)]), range(40)))
    assert sorted(made) == list(range(1, 41))
    assert office.do(full).serials == {serial(n) for n in range(40)}
