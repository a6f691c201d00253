"""The plug pulled everywhere: the card that comes back is the old one or the new one.

Each transaction runs on a disk in memory that is cut after every step, and after every byte that
goes into the journal; then again while the card that was left is being recovered. What was written
and never synced survives a killed program, and may be lost with the power: data, names, or both.
A slice has every step, and of the bytes of a record some.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product

import pytest

from apdu.commands import SELECT
from apdu.spec import State
from emulator.card.filestore import JOURNAL_LIMIT, FileStore, create_card
from emulator.card.state import Image
from tests.acts import ACTS, settled_image
from tests.desk import Desk
from tests.plug import Left, PluggedDisk, PowerCut
from tests.saved import PATH, card_file, demand_agreement, inserted, trip_files
from tests.slices import Some

OUTAGES = [dict(zip(("has_data", "has_names"), o, strict=True)) for o in product((1, 0), (1, 0))]
"""What a cut takes of the things never synced: nothing (`kill -9`), data, names, both."""

STRETCH = 24
"""Bytes of a record of which a slice cuts after one."""

EAGER = ("limit", "RELOAD PIN")
"""Acts whose commit is followed by a checkpoint before the answer leaves."""


@dataclass
class Story:
    """One act on one disk. old, new: the images before and after. points: cuts made.

    inside: for each number of steps, whether a cut after them is between two bytes of the journal.
    """

    name: str
    base: Left
    old: Image
    new: Image
    inside: list[bool]
    points: int = 0
    seen: set[str] = field(default_factory=set)


def told(name: str, budget: int | None, base: Left) -> tuple[PluggedDisk, bool]:
    """Play an act on a disk that is cut. Returns the disk, and whether the answer left the card."""
    disk, answered = PluggedDisk.of(base, budget), False
    limit = 0 if name in EAGER else JOURNAL_LIMIT
    try:
        with FileStore(PATH, disk, limit) as store:
            desk = Desk(inserted(store, name))
            desk.filler = 0x77  # not what the records hold already
            desk.send(desk.request(SELECT))
            ACTS[name][1](desk)
            answered = True
    except PowerCut:
        pass
    return disk, answered


def story(name: str) -> Story:
    """The act played to its end without a cut."""
    disk = PluggedDisk()
    create_card(PATH, card_file(settled_image()), disk)
    before = ACTS[name][0]
    if before is not None:
        with FileStore(PATH, disk) as store:
            desk = Desk(inserted(store, "before"))
            desk.run(SELECT)
            before(desk)
    base = disk.left(has_data=True, has_names=True)
    old = image_on(base)
    disk = told(name, None, base)[0]
    new = image_on(disk.left(has_data=True, has_names=True))
    assert new != old
    written = set(disk.journal_steps)
    inside = [{at, at + 1} <= written for at in range(disk.steps + 1)]
    return Story(name, base, old, new, inside)


@cache
def image_on(left: Left) -> Image:
    """The card on a disk, opened as at the next start; and everything on it agrees."""
    with FileStore(PATH, PluggedDisk.of(left)) as store:
        image = store.load()
        card = inserted(store)
        if not image.is_dead:
            demand_agreement(image, card)
        assert card.state is State.IDLE
        return image


def lefts(disk: PluggedDisk) -> Iterator[Left]:
    """What may be left on a disk that was cut, each once."""
    yield from {disk.left(**outage): None for outage in OUTAGES}


def cut_recovery(one: Story, left: Left, wanted: Image) -> None:
    """Cut the recovery of what a cut left after every step; the next start finds the same card."""
    budget = 0
    while True:
        disk = PluggedDisk.of(left, budget)
        try:
            with FileStore(PATH, disk) as store:
                assert store.load() == wanted
        except PowerCut:
            pass
        for again in lefts(disk):
            one.points += 1
            assert image_on(again) == wanted
        if not disk.is_dead:
            return
        budget += 1


@pytest.mark.parametrize("name", ACTS)
def test_a_cut_anywhere_leaves_the_old_card_or_the_new_one(name: str, some: Some):
    one, committed = story(name), False

    def kinds(budget: int) -> tuple[object, ...]:
        """Each step is of its own kind, but for the bytes of a record."""
        return (("bytes", budget // STRETCH) if one.inside[budget] else budget,)

    for budget in some(range(len(one.inside)), 0, kinds):
        disk, answered = told(name, budget, one.base)
        assert disk.is_dead == (budget < len(one.inside) - 1)
        for left in lefts(disk):
            one.points += 1
            image = image_on(left)
            assert image in (one.old, one.new)
            assert trip_files(image) in (trip_files(one.old), trip_files(one.new))
            if answered:
                assert image == one.new, "an answer left before its commit was sure"
            committed = committed or image == one.new
            one.seen.add("new" if image == one.new else "old")
            # Inside a record only now and then: all torn journals are recovered alike.
            if not one.inside[budget] or budget % 97 == 0:
                cut_recovery(one, left, image)
    assert one.seen == {"old", "new"}
    assert one.points > (300 if some.is_whole else 50)
