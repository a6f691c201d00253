"""Journals: whole lines are replayed, a torn one is dropped, one that does not fit is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest

from apdu.commands import CREDIT_LOAD, INIT_LOAD, SELECT
from emulator.card.cardfile import CardFileError, load_card
from emulator.card.filestore import FileStore, create_card, journal_of, read_card
from emulator.card.journal import line
from tests.cards import purse_in
from tests.desk import Desk
from tests.plug import Left, PluggedDisk
from tests.saved import PATH, card_file, inserted

JOURNAL = journal_of(PATH)


def all_of(disk: PluggedDisk) -> Left:
    return disk.left(has_data=True, has_names=True)


def journals() -> Iterator[bytes]:
    """A journal of two loads, as it stands while the card is in use."""
    disk = PluggedDisk()
    create_card(PATH, card_file(), disk)
    with FileStore(PATH, disk) as store:
        desk = Desk(inserted(store))
        desk.run(SELECT)
        for _ in range(2):
            desk.run(INIT_LOAD, CREDIT_LOAD)
            yield disk.names[JOURNAL].seen
        yield disk.names[PATH].seen


def on_disk(change: Callable[[bytes, bytes], bytes]) -> PluggedDisk:
    """A card with a journal. change: makes it of the journals after one load and after two."""
    one, two, card = journals()
    return PluggedDisk.of(((PATH, card), (JOURNAL, change(one, two))))


@pytest.mark.parametrize(
    ("change", "balance"),
    [
        (lambda one, two: b"", 5000),
        (lambda one, two: one, 5100),
        (lambda one, two: two, 5200),
        (lambda one, two: two[:-1], 5100),
        (lambda one, two: one + two[len(one) :][:19], 5100),
        (lambda one, two: one + bytes(300), 5100),
        (lambda one, two: one + b"\n", 5100),
        (lambda one, two: one + b"00000000 00000000 \n", 5100),
        (lambda one, two: bytes(300) + b"\n", 5000),
        (lambda one, two: one[:-9] + b"........\n", 5000),
        (lambda one, two: one + one, 5100),
    ],
    ids=[
        "none",
        "one",
        "two",
        "cut by one",
        "head",
        "zeros",
        "line end",
        "empty",
        "noise",
        "bad",
        "twice",
    ],
)
def test_whole_lines_are_replayed_and_a_torn_one_is_dropped(change, balance: int):
    disk = on_disk(change)
    before = all_of(disk)
    assert purse_in(read_card(PATH, disk).image).actual == balance
    assert all_of(disk) == before
    with FileStore(PATH, disk) as store:
        assert purse_in(store.load()).actual == balance
        assert disk.names[JOURNAL].seen == b""
    assert dict(all_of(disk)).keys() == {PATH}
    assert purse_in(load_card(disk.names[PATH].seen).image).actual == balance


def foreign(one: bytes, two: bytes) -> bytes:
    after = read_card(PATH, on_disk(lambda one, two: one)).image
    return line(bytes(8), 1, card_file().image, after)


def malformed(payload: bytes) -> Callable[[bytes, bytes], bytes]:
    return lambda one, two: b"%08X %08X %s\n" % (len(payload), crc32(payload), payload)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (foreign, "line 1 is of another card"),
        (lambda one, two: two[len(one) :], "line 1 is commit 2; expected 1"),
        (lambda one, two: b"x" + two, "line 1 is damaged and whole lines follow it"),
        (
            lambda one, two: one[:40] + b"?" + two[41:],
            "line 1 is damaged and whole lines follow it",
        ),
        (malformed(b"what"), "not JSON though its checksum is right"),
        (malformed(b"[]"), "line 1 is a list; expected an object"),
        (malformed(b"{}"), "line 1.card_id is missing"),
    ],
)
def test_a_journal_that_does_not_fit_is_refused_and_nothing_is_touched(change, said: str):
    disk = on_disk(change)
    before = all_of(disk)
    for attempt in (FileStore, read_card):
        with pytest.raises(CardFileError) as refused:
            attempt(PATH, disk)
        assert "its journal cannot be replayed" in str(refused.value)
        assert said in str(refused.value)
        assert str(refused.value).startswith(f"card file {PATH}: ")
        assert all_of(disk) == before
        disk = PluggedDisk.of(before)


def test_a_journal_left_by_another_card_does_not_spoil_a_new_one(tmp_path: Path):
    path = tmp_path / "card.json"
    Path(journal_of(str(path))).write_bytes(next(journals()))
    create_card(path, card_file())
    with FileStore(path) as store:
        assert purse_in(store.load()).actual == 5000


def test_overwriting_keeps_what_the_journal_held_out_of_the_new_card():
    disk = on_disk(lambda one, two: two)
    create_card(PATH, card_file(name="senior"), disk, may_overwrite=True)
    with FileStore(PATH, PluggedDisk.of(all_of(disk))) as store:
        assert store.card.profile == "senior"
        assert purse_in(store.load()).actual == 5000
