"""The text of a card: every card comes back as it was, and every damage is told in a sentence."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixtures
from apdu.commands import AID_PURSE, SELECT, TABLE
from emulator.card.card import Card
from emulator.card.cardfile import SCHEMA, CardFile, card_json, dump_card, load_card
from emulator.card.changes import apply_changes, dump_changes
from emulator.card.entries import Entry, EntryError
from emulator.card.env import SeededEnv
from emulator.card.filestore import FileStore, card_in, create_card, read_card
from emulator.card.journal import line
from emulator.card.personalise import blank_image, card_secrets, new_image, script
from emulator.card.state import Chip, Image
from emulator.card.store import MemoryStore
from tests.acts import capp
from tests.cards import OK
from tests.desk import PRELUDE, WAYS, Desk, settled, shop_desk
from tests.property.hostile import make_request
from tests.saved import card_file, inserted, sealed, told
from tests.workshop import KEYS, workshop_card

RELEASED = sorted((Path(__file__).parents[1] / "cards").glob("schema-*/*.json"))


def through_journal(old: Image, new: Image) -> Image:
    return apply_changes(old, Entry("", json.loads(json.dumps(dump_changes(old, new)))))


@pytest.mark.parametrize("name", fixtures.profile_names())
def test_every_card_of_the_library_comes_back_as_it_was(name: str):
    profile = fixtures.load_profile(name)
    card = CardFile(
        name,
        profile.title,
        profile.contactless,
        profile.dialect,
        new_image(profile, fixtures.load_roots()),
        bytes(range(8)),
        7,
    )
    assert load_card(dump_card(card)) == card


def test_a_card_in_every_state_of_its_making_comes_back_as_it_was():
    profile = fixtures.load_profile("student-passbook")
    store = MemoryStore(blank_image())
    card = Card(Chip(profile.dialect, SeededEnv(1), {}), store, profile.contactless)
    commands = script(profile, card_secrets(profile, fixtures.load_roots()))
    before, command = store.load(), next(commands)
    try:
        while True:
            answer = card.process(command)
            after = store.load()
            assert through_journal(before, after) == after
            assert load_card(dump_card(card_file(after))).image == after
            before, command = after, commands.send(answer)
    except StopIteration:
        assert len(after.directories) == 2


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    guarded=st.booleans(),
    steps=st.lists(st.sampled_from([*TABLE.specs, *WAYS]), max_size=12),
    filler=st.integers(0, 255),
)
def test_images_reached_by_real_commands_come_back_as_they_were(data, guarded, steps, filler):
    desk = Desk(workshop_card(guarded), KEYS)
    desk.run(*PRELUDE)
    before = desk.card.image
    for step in steps:
        desk.filler, desk.record = filler, 1 + filler % 18
        if isinstance(step, tuple):
            for spec, pair in step:
                desk.ask(spec, pair=pair)
        else:
            desk.ask(step, pair=data.draw(st.sampled_from(list(step.params.examples()))))
        after = desk.card.image
        assert through_journal(before, after) == after
        before = after
    assert load_card(dump_card(card_file(before))).image == before


@pytest.mark.parametrize("seed", range(8))
def test_after_any_commands_the_card_comes_back_as_it_was(seed: int):
    source = random.Random(seed)
    desk = shop_desk()
    desk.run(*PRELUDE)
    before, commits = desk.card.image, 0
    for _ in range(400):
        recipe = make_request(source.choice, source.randint)
        for command in recipe.steps(desk):
            desk.send(command)
        after = desk.card.image
        if after is not before:
            assert through_journal(before, after) == after
            assert load_card(dump_card(card_file(after))).image == after
            before, commits = after, commits + 1
    assert commits


def test_a_transaction_takes_a_short_line():
    desk = settled()
    desk.run(*PRELUDE)
    before = desk.card.image
    desk.filler = 0x77
    capp(desk)
    assert 500 < len(line(bytes(8), 1, before, desk.card.image)) < 1600


# Damage


Damage = Callable[[dict[str, Any]], object]


def with_first(name: str, **entries: Any) -> Damage:
    """Change entries of the first thing of a list of the purse application."""
    return lambda found: found["directories"][1][name][0].update(entries)


def without(*path: Any) -> Damage:
    def change(found: Any) -> None:
        *way, last = path
        for step in way:
            found = found[step]
        del found[last]

    return change


def instead(*path: Any, value: Any) -> Damage:
    def change(found: Any) -> None:
        *way, last = path
        for step in way:
            found = found[step]
        found[last] = value

    return change


DIRECTORY = ("directories", 1)
FILE = (*DIRECTORY, "files", 0)
DAMAGES: list[tuple[Damage, str]] = [
    (without("schema"), "schema is None; expected a whole number from 1 to"),
    (instead("schema", value="1"), "schema is '1'; expected a whole number"),
    (instead("schema", value=0), "schema is 0; expected"),
    (instead("schema", value=2), "schema is 2; expected 1 at most, so a newer tapbench made it"),
    (without("title"), "title is missing; expected a text"),
    (instead("title", value=["x"]), "title is a list; expected a text"),
    (instead("title", value="\ud800"), "title is '\\ud800'; expected a text"),
    (instead("commits", value=-1), "commits is -1; expected a whole number"),
    (instead("commits", value=True), "commits is True; expected a whole number"),
    (instead("commits", value=1.0), "commits is 1.0; expected a whole number"),
    (instead("more", value=1), "more is unknown"),
    (instead("contactless", value=[]), "contactless is a list; expected an object"),
    (instead("contactless", "sak", value="ZZ"), "contactless.sak is 'ZZ'; expected 2 hexadecimal"),
    (without("contactless", "uid"), "contactless.uid is missing; expected 4 to 10 bytes"),
    (instead("dialect", "wrong_mac", value="9999"), "dialect 'wrong_mac' is '9999'; choose one of"),
    (instead("dialect", "wrong_mac", value=[]), "dialect 'wrong_mac' is []; choose one of"),
    (instead("dialect", "accent", value=1), "dialect.accent is unknown"),
    (instead("is_dead", value=0), "is_dead is 0; expected true or false"),
    (instead("directories", value={}), "directories is an object; expected a list"),
    (instead("directories", value=[]), "directories is empty; expected the MF at least"),
    (instead(*DIRECTORY, "parent", value=1), "directories[1].parent is 1; expected the directory"),
    (instead(*DIRECTORY, "parent", value=9), "directories[1].parent is 9; expected the directory"),
    (instead(*DIRECTORY, "blocked", value="a bit"), "directories[1].blocked is 'a bit'; expected"),
    (instead(*DIRECTORY, "blocked", value={}), "directories[1].blocked is an object; expected one"),
    (without(*DIRECTORY, "strikes"), "directories[1].strikes is missing"),
    (instead(*FILE, "fid", value="15"), "files[0].fid is '15'; expected 4 hexadecimal digits"),
    (instead(*FILE, "fid", value=" 001"), "files[0].fid is ' 001'; expected 4 hexadecimal digits"),
    (instead(*FILE, "content", value="00"), "files[0].content is '00'; expected 30 bytes"),
    (instead(*FILE, "kind", value="keys"), "files[0].kind is keys; expected a file's"),
    (instead(*FILE, "size", value=31), "files[0].content is '09981001FFFFFFF..; expected 31 bytes"),
    (instead(*DIRECTORY, "files", 4, "records", value=5), "files[4].records is 5; expected a list"),
    (instead(*DIRECTORY, "files", 4, "records", 2, value="00"), "files[4].records[2] is '00'"),
    (
        instead(*DIRECTORY, "files", 4, "count", value=17),
        "files[4].records holds 18; expected 17 at most",
    ),
    (
        lambda found: found["directories"][1]["files"].append(found["directories"][1]["files"][0]),
        "files[6] is there twice",
    ),
    (
        instead(*DIRECTORY, "keys", 0, "secret", value="0123456789ABCD"),
        "keys[0].secret is something",
    ),
    (
        instead(*DIRECTORY, "keys", 12, "pin", value="99"),
        "keys[12].pin is something else; expected",
    ),
    (without(*DIRECTORY, "keys", 0, "secret"), "keys[0].secret is missing; expected 8 or 16 bytes"),
    (instead(*DIRECTORY, "keys", 1, "kind", value="skeleton"), "keys[1].kind is 'skeleton'"),
    (with_first("purses", actual=100_001), "purses[0]: balance 100001 is above the ceiling 100000"),
    (with_first("purses", used=1), "purses[0]: overdraft in use 1 is above its limit 0 fen"),
    (
        with_first("purses", ceiling=1 << 24),
        "purses[0].ceiling is 16777216; expected a whole number",
    ),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES, ids=[said[:40] for _, said in DAMAGES])
def test_a_wrong_entry_is_named_with_what_was_expected(damage: Damage, said: str):
    found = told(card_file())
    damage(found)
    with pytest.raises(EntryError) as refused:
        load_card(sealed(found))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is not JSON in line 1"),
        (b"card", "it is not JSON in line 1"),
        (b"\xff\xfe", "it is not a text from byte 0 on"),
        (b"[]", "it holds a list; expected an object"),
        (b"1", "it holds 1; expected an object"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "it is not JSON that can be read"),
        (b'{"schema": 1}', "crc32 is None; expected '"),
        (b'{"schema": NaN}', "schema is nan; expected"),
    ],
)
def test_what_is_no_card_is_told(data: bytes, said: str):
    with pytest.raises(EntryError) as refused:
        load_card(data)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_changed_byte_is_noticed_or_changes_nothing():
    card = card_file()
    data = dump_card(card)
    refused = 0
    for at in range(0, len(data), 11):
        changed = data[:at] + bytes((data[at] ^ 1 << at % 7,)) + data[at + 1 :]
        try:
            assert load_card(changed) == card
        except EntryError:
            refused += 1
    assert refused > len(data) // 11 * 0.7  # the rest is layout


def test_a_cut_file_is_refused():
    data = dump_card(card_file())
    for size in [*range(0, len(data) - 2, 101), len(data) - 3]:
        with pytest.raises(EntryError, match=r"not JSON|expected an object"):
            load_card(data[:size])


def test_a_key_is_never_in_a_message_nor_in_the_json_for_programs():
    card = card_file(settled().card.image)
    found = told(card)
    keys = [k.get("secret") or k["pin"] for d in found["directories"] for k in d["keys"]]
    assert len(keys) > 12
    shown = json.dumps(card_json(card))
    for key in keys:
        assert f'"{key}"' not in shown
    assert shown.count('"check_value"') == len([k for k in keys if len(k) >= 16])
    assert card_json(card)["schema"] == SCHEMA


# Released files


def test_there_are_released_cards_of_every_schema():
    assert {p.parent.name for p in RELEASED} == {f"schema-{n}" for n in range(1, SCHEMA + 1)}
    wanted = {"student", "ed", "blocked", "open-trip", "mid-life"}
    assert wanted <= {p.stem for p in RELEASED if p.parent.name == "schema-1"}


@pytest.mark.parametrize("path", RELEASED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_released_card_loads_and_answers(path: Path, tmp_path: Path):
    data = path.read_bytes()
    card = read_card(path)
    assert load_card(dump_card(card)) == card
    assert path.read_bytes() == data
    mine = tmp_path / "card.json"
    mine.write_bytes(data)
    with FileStore(mine) as store:
        assert store.load() == card.image
        answer = inserted(store).process(SELECT.command(SELECT.data(AID_PURSE)))
        assert answer[-2:] == (b"\x6a\x81" if "blocked" in path.stem else OK)
        assert answer[:1] == b"\x6f"


def test_the_cards_in_the_released_files_are_what_they_are_called(tmp_path: Path):
    found = {p.stem: read_card(p) for p in RELEASED if p.parent.name == "schema-1"}
    assert set(found["ed"].image.directories[1].purses) == {1, 2}
    assert found["blocked"].image.directories[1].blocked.value == "temporary"
    assert len(found["mid-life"].image.directories[1].files[0x18].content) == 10
    assert found["mid-life"].image.directories[1].proofs.keys() == {2, 6, 7, 9}
    assert found["open-trip"].image.directories[1].files[0x1A].content[0][14] == 1
    path = tmp_path / "copy.json"
    create_card(path, found["mid-life"])
    with FileStore(path) as store:
        assert (
            card_in(store, SeededEnv(1)).purse == found["mid-life"].image.directories[1].purses[2]
        )
