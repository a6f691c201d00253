"""The store on a disk: one sync a commit, one owner, nothing lost when the disk fails."""

import os
import stat
from pathlib import Path

import pytest

import fixtures
from apdu.commands import CREDIT_LOAD, INIT_LOAD, SELECT
from emulator.card.card import Card
from emulator.card.cardfile import CardFile, CardFileError, load_card
from emulator.card.disk import SystemDisk
from emulator.card.env import SeededEnv
from emulator.card.filestore import FileStore, create_card, journal_of, read_card
from emulator.card.personalise import (
    blank_image,
    card_secrets,
    play,
    script,
)
from emulator.card.state import Chip
from emulator.card.store import MemoryStore, StoreError
from tests.acts import ACTS
from tests.cards import OK, purse_in
from tests.desk import Desk
from tests.plug import PluggedDisk
from tests.saved import PATH, card_file, inserted

JOURNAL = journal_of(PATH)


class FailingDisk(PluggedDisk):
    """A disk on which some operations fail, and writes take a few bytes before they do."""

    fails: frozenset[str] = frozenset()
    room = 0

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise OSError(28, "No space left on device")

    def write(self, handle: int, data: bytes) -> int:
        if "write" in self.fails:
            if self.room == 0:
                self._fail("write")
            self.room -= 1
        return super().write(handle, data)

    def sync(self, handle: int) -> None:
        self._fail("sync")
        super().sync(handle)

    def truncate(self, handle: int, size: int) -> None:
        self._fail("truncate")
        super().truncate(handle, size)

    def replace(self, source: str, target: str) -> None:
        self._fail("replace")
        super().replace(source, target)

    def sync_names(self, path: str) -> None:
        self._fail("sync_names")
        super().sync_names(path)


@pytest.fixture
def disk() -> FailingDisk:
    made = FailingDisk()
    create_card(PATH, card_file(), made)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "card.json"
    create_card(made, card_file())
    return made


def desk_on(store: FileStore) -> Desk:
    desk = Desk(inserted(store))
    desk.run(SELECT)
    return desk


def load(desk: Desk) -> bytes:
    desk.run(INIT_LOAD)
    return desk.ask(CREDIT_LOAD)


def balance(store: FileStore) -> int:
    return purse_in(store.load()).actual


# Commits


@pytest.mark.parametrize("name", ACTS)
def test_a_commit_is_one_sync_of_one_line(name: str, disk: FailingDisk):
    with FileStore(PATH, disk) as store:
        desk = desk_on(store)
        before, act = ACTS[name]
        if before is not None:
            before(desk)
        lines, syncs = disk.names[JOURNAL].seen.count(b"\n"), disk.syncs
        act(desk)
        assert disk.syncs - syncs == 1
        assert disk.names[JOURNAL].seen.count(b"\n") == lines + 1


def test_reading_and_initialize_write_nothing(disk: FailingDisk):
    with FileStore(PATH, disk) as store:
        desk = desk_on(store)
        steps = disk.steps
        for _ in range(5):
            desk.run(INIT_LOAD)
        store.commit(store.load())
        assert disk.steps == steps


def test_the_card_file_is_written_at_the_end_and_the_journal_goes(path: Path):
    before = path.read_bytes()
    with FileStore(path) as store:
        desk = desk_on(store)
        load(desk)
        assert path.read_bytes() == before
        assert Path(journal_of(str(path))).stat().st_size > 100
    assert os.listdir(path.parent) == [path.name]
    assert purse_in(load_card(path.read_bytes()).image).actual == 5100
    assert load_card(path.read_bytes()).commits == 1


def test_a_card_nothing_happened_to_is_not_written(path: Path):
    before = path.read_bytes(), path.stat().st_mtime_ns
    with FileStore(path) as store:
        desk_on(store).run(INIT_LOAD)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_long_journal_is_emptied_between_commits(disk: FailingDisk):
    with FileStore(PATH, disk, journal_limit=1500) as store:
        desk = desk_on(store)
        sizes = []
        for _ in range(12):
            load(desk)
            sizes.append(len(disk.names[JOURNAL].seen))
            assert read_back(disk) == balance(store)
        assert max(sizes) < 3000
        assert sizes.count(0) >= 2


def read_back(disk: PluggedDisk) -> int:
    """The balance a new start would find, were the power to fail now."""
    left = PluggedDisk.of(disk.left(has_data=False, has_names=False))
    return purse_in(read_card(PATH, left).image).actual


def test_a_blank_card_is_personalised_in_its_file(path: Path):
    profile = fixtures.load_profile("student")
    secrets = card_secrets(profile, fixtures.load_roots())
    memory = MemoryStore(blank_image())
    play(
        Card(Chip(profile.dialect, SeededEnv(1), {}), memory, profile.contactless),
        script(profile, secrets),
    )
    create_card(path, card_file(blank_image()), may_overwrite=True)
    with FileStore(path) as store:
        play(inserted(store), script(profile, secrets))
        assert store.card.commits > 30
    assert read_card(path).image == memory.load()


def test_a_closed_store_takes_nothing(path: Path):
    with FileStore(path) as store:
        image = store.load()
    with pytest.raises(StoreError, match="closed"):
        store.commit(image)
    store.close()


# A disk that fails


FAILURES = ["write", "sync", "write truncate", "sync truncate"]


@pytest.mark.parametrize("fails", FAILURES)
@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_failing_disk_costs_the_transaction_and_nothing_else(
    fails: str, room: int, disk: FailingDisk
):
    with FileStore(PATH, disk) as store:
        desk = desk_on(store)
        load(desk)
        good = disk.names[JOURNAL].seen
        desk.run(INIT_LOAD)
        disk.fails, disk.room = frozenset(fails.split()), room
        assert desk.ask(CREDIT_LOAD).hex() == "6581"
        assert balance(store) == 5100
        disk.fails = frozenset()
        assert load(desk)[-2:] == OK
        assert balance(store) == 5200
        assert disk.names[JOURNAL].seen.startswith(good)
        assert disk.names[JOURNAL].seen.count(b"\n") == 2
        assert read_back(disk) == 5200
    assert purse_in(load_card(disk.names[PATH].seen).image).actual == 5200


def test_a_disk_that_stays_full_refuses_every_time(disk: FailingDisk):
    with FileStore(PATH, disk) as store:
        desk = desk_on(store)
        disk.fails, disk.room = frozenset({"write", "truncate"}), 7
        for _ in range(3):
            desk.run(INIT_LOAD)
            assert desk.ask(CREDIT_LOAD).hex() == "6581"
        assert read_back(disk) == 5000
    assert purse_in(read_card(PATH, PluggedDisk.of(all_of(disk))).image).actual == 5000


def all_of(disk: PluggedDisk) -> tuple[tuple[str, bytes], ...]:
    return disk.left(has_data=True, has_names=True)


@pytest.mark.parametrize("fails", ["replace", "sync_names", "truncate"])
def test_a_checkpoint_that_fails_loses_nothing(fails: str, disk: FailingDisk):
    with FileStore(PATH, disk, journal_limit=0) as store:
        desk = desk_on(store)
        disk.fails = frozenset({fails})
        for done in range(1, 4):
            assert load(desk)[-2:] == OK
            assert read_back(disk) == 5000 + 100 * done
        with pytest.raises(StoreError, match="No space left"):
            store.checkpoint()
    for outage in ({"has_data": True, "has_names": True}, {"has_data": False, "has_names": False}):
        left = PluggedDisk.of(disk.left(**outage))
        assert purse_in(read_card(PATH, left).image).actual == 5300


def test_a_card_that_cannot_be_recovered_for_want_of_room_is_refused(disk: FailingDisk):
    with FileStore(PATH, disk) as store:
        load(desk_on(store))
        left = all_of(disk)
    full = FailingDisk.of(left)
    full.fails = frozenset({"replace"})
    with pytest.raises(CardFileError, match=r"cannot be used: No space left"):
        FileStore(PATH, full)
    assert read_card(PATH, PluggedDisk.of(all_of(full))).commits == 1


# One owner


def test_a_second_user_is_refused_and_readers_share(path: Path):
    with FileStore(path) as store:
        for attempt in (lambda: FileStore(path), lambda: read_card(path)):
            with pytest.raises(CardFileError, match="is in use by another program"):
                attempt()
        store.checkpoint()
        load(desk_on(store))
        store.checkpoint()
        with pytest.raises(CardFileError, match="is in use by another program"):
            FileStore(path)
        with pytest.raises(CardFileError, match="is in use by another program"):
            create_card(path, card_file(), may_overwrite=True)
    assert read_card(path).commits == 1
    with FileStore(path):
        pass


class Overtaken(SystemDisk):
    """A disk on which a checkpoint gives the name to another file between open and lock."""

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path

    def lock(self, handle: int, *, is_shared: bool) -> None:
        path, self.path = self.path, None
        if path is not None:
            other = path.with_name("other.json")
            create_card(other, card_file(name="senior"))
            other.replace(path)
        super().lock(handle, is_shared=is_shared)


def test_a_file_that_lost_its_name_before_it_was_locked_is_not_used(path: Path):
    assert read_card(path, Overtaken(path)).profile == "senior"
    create_card(path, card_file(), may_overwrite=True)
    with FileStore(path, Overtaken(path)) as store:
        assert store.card.profile == "senior"


def test_a_link_leads_to_the_same_card_and_stays_a_link(path: Path):
    link = path.with_name("link.json")
    link.symlink_to(path)
    with FileStore(link) as store:
        with pytest.raises(CardFileError, match="in use"):
            FileStore(path)
        load(desk_on(store))
    assert link.is_symlink()
    assert read_card(path).commits == 1


def test_card_and_journal_are_their_owners_alone(path: Path):
    path.chmod(0o644)
    journal = Path(journal_of(str(path)))
    journal.touch(0o666)
    with FileStore(path) as store:
        load(desk_on(store))
        assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Files that are no cards


def whole(tmp_path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"schema": 1', b'"schema": 2'),
        lambda data: data.replace(b'"actual": 5000', b'"actual": 5001'),
        lambda data: data.replace(b'"purses"', b'"wallet"'),
        lambda data: b"\0" * len(data),
    ],
)
def test_a_spoilt_card_is_refused_in_one_sentence_and_left_alone(spoil, path: Path):
    path.write_bytes(spoil(path.read_bytes()))
    before = whole(path.parent)
    for attempt in (FileStore, read_card, lambda p: create_card(p, card_file())):
        with pytest.raises(CardFileError) as refused:
            attempt(path)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
        assert whole(path.parent) == before


def test_what_is_no_file_is_told(tmp_path: Path):
    for name in ("nothing.json", "no/folder.json"):
        with pytest.raises(CardFileError, match=r"there is no card file .*card new"):
            FileStore(tmp_path / name)
    with pytest.raises(CardFileError, match="cannot be used: Is a directory"):
        FileStore(tmp_path)
    with pytest.raises(CardFileError, match="there is no such folder"):
        create_card(tmp_path / "no" / "folder.json", card_file())
    assert not list(tmp_path.iterdir())


# Making and overwriting


def test_a_card_is_not_overwritten_unless_told_to(path: Path):
    other: CardFile = card_file(name="senior")
    before = path.read_bytes()
    with pytest.raises(CardFileError, match="is there already; nothing was written"):
        create_card(path, other)
    assert path.read_bytes() == before
    create_card(path, other, may_overwrite=True)
    assert read_card(path).profile == "senior"
    assert os.listdir(path.parent) == [path.name]


def test_a_spoilt_card_can_be_overwritten_with_its_journal(path: Path):
    Path(journal_of(str(path))).write_bytes(b"left over")
    path.write_bytes(b"spoilt")
    create_card(path, card_file(), may_overwrite=True)
    assert os.listdir(path.parent) == [path.name]
    with FileStore(path) as store:
        assert balance(store) == 5000


@pytest.mark.parametrize("fails", ["replace", "write"])
def test_a_full_disk_leaves_the_card_that_was_to_be_overwritten(fails: str, disk: FailingDisk):
    disk.fails = frozenset({fails})
    with pytest.raises(CardFileError, match="cannot be written: No space left"):
        create_card(PATH, card_file(name="senior"), disk, may_overwrite=True)
    assert read_card(PATH, disk).profile == "student"
    assert dict(all_of(disk)).keys() == {PATH}


def test_a_full_disk_takes_no_new_card():
    disk = FailingDisk()
    disk.fails = frozenset({"sync"})
    with pytest.raises(CardFileError, match="cannot be used: No space left"):
        create_card(PATH, card_file(), disk)
    assert not all_of(disk)


def test_two_cards_of_one_profile_have_journals_of_their_own(path: Path):
    other = path.with_name("other.json")
    create_card(other, read_card(path))
    assert read_card(other).card_id != read_card(path).card_id
    assert isinstance(inserted(FileStore(path)), Card)
