"""The generated pages are fresh, whole and true to the card."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import fixtures
from apdu.codec import Record
from apdu.commands import SAM_TABLE, TABLE
from apdu.docs import PIPELINE, commands_page, files_page, parameters, table
from apdu.files import EF1A, EF1E, EF18, FILES, TRIP_KINDS, BusTrip, RailTrip, Structure
from apdu.spec import ANY, State
from apdu.statechart import WIDTH, states_svg
from apdu.states import REFUSED, bystanders, edges, transitions
from bench.docs import FOLDER, PAGES, write
from emulator.card.dialect import switches
from emulator.card.personalise import purse_index
from emulator.card.security import ALWAYS, MAINTENANCE_ID, NEVER, RECORD_ID
from emulator.card.state import Kind

SVG = "{http://www.w3.org/2000/svg}"
each_spec = pytest.mark.parametrize("spec", [*TABLE, *SAM_TABLE], ids=lambda s: s.name)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_in_docs_is_fresh(name):
    path = FOLDER / name
    assert path.exists(), f"docs/{name} is missing: run `make docs`"
    assert path.read_text("utf-8") == PAGES[name](), f"docs/{name} is stale: run `make docs`"


def test_writing_touches_stale_pages_alone(tmp_path, monkeypatch):
    quick = {name: PAGES[name] for name in ("commands.md", "files.md", "states.svg")}
    monkeypatch.setattr("bench.docs.PAGES", quick)
    assert write(tmp_path) == list(quick)
    (tmp_path / "files.md").write_text("old", "utf-8")
    assert write(tmp_path) == ["files.md"]
    assert write(tmp_path) == []


def test_the_commands_page_can_be_printed():
    done = subprocess.run(
        [sys.executable, "-m", "apdu.docs"], capture_output=True, text=True, check=True
    )
    assert done.stdout == commands_page()


# Commands


def section(spec) -> str:
    return commands_page().partition(f"\n### {spec.name}\n")[2].partition("\n### ")[0]


@each_spec
def test_every_command_says_all_its_table_says(spec):
    text = section(spec)
    assert f"`{spec.cla:02X} {spec.ins:02X}`" in text
    assert f"Clause {spec.clause}. Grade {spec.grade}." in text
    for layout in (spec.data, spec.reply):
        for field in layout.FIELDS if layout and issubclass(layout, Record) else ():
            assert f"| `{field.name}` |" in text
            assert field.meaning in text
    for sw, why in spec.errors.items():
        shown = "63Cx" if sw == 0x6300 else f"{sw:04X}"
        assert f"| `{shown}` | {why} |" in text


@each_spec
def test_every_legal_p1p2_of_the_examples_is_covered(spec):
    rows = parameters(spec.params)
    assert rows
    assert all(p1 and p2 for p1, p2, _ in rows)


def test_parameters_without_words_are_told():
    with pytest.raises(TypeError, match="no words for the parameters"):
        parameters(object())


def test_pipeline_words_come_before_the_commands():
    text = commands_page()
    at = [text.index(f"| `{sw:04X}` | {why} |") for sw, why in PIPELINE.items()]
    assert at == sorted(at)


def test_a_bar_in_a_cell_is_escaped():
    assert table(("a",), [("x|y",)]).endswith("| x\\|y |")


# States


def test_the_rows_are_every_command_in_every_state():
    rows = transitions(TABLE)
    assert len(rows) == len(TABLE.specs) * len(State)
    for row in rows:
        assert row.refused is REFUSED is State.IDLE
        assert row.ok is (row.spec.then if row.state in row.spec.when else None)


def test_every_row_is_drawn_or_listed():
    rows = transitions(TABLE)
    arrows, quiet = edges(rows), bystanders(rows)
    for row in rows:
        if row.ok is None:
            continue
        drawn = [
            a
            for a in arrows
            if row.spec.name in a.names and a.source in (None, row.state) and a.target is row.ok
        ]
        assert bool(drawn) != (row.spec.name in quiet), row.spec.name
    names = {name for arrow in arrows for name in arrow.names} | set(quiet)
    assert names == {spec.name for spec in TABLE}


def test_commands_that_begin_are_legal_everywhere():
    assert {s.name for s in TABLE if s.when == ANY and s.then is not State.IDLE} == {
        name for arrow in edges(transitions(TABLE)) if arrow.source is None for name in arrow.names
    }


def test_the_picture_has_every_state_and_arrow_inside_its_frame():
    root = ElementTree.fromstring(states_svg())
    texts = root.findall(f"{SVG}text")
    said = [t.text for t in texts]
    assert {state.name for state in State} <= set(said)
    assert len(root.findall(f"{SVG}path")) == len(edges(transitions(TABLE)))
    height = int(root.get("height"))
    for text in texts:
        assert 0 < int(text.get("x")) < WIDTH
        assert 0 < int(text.get("y")) < height


def test_the_boxes_of_the_picture_do_not_overlap():
    root = ElementTree.fromstring(states_svg())
    boxes = [
        tuple(int(rect.get(name)) for name in ("x", "y", "width", "height"))
        for rect in root.findall(f"{SVG}rect")[1:]
    ]
    assert len(boxes) == len(State)
    for i, (x1, y1, w1, h1) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1


# Files


@pytest.mark.parametrize("spec", FILES.values(), ids=lambda f: f.name)
def test_every_file_shows_its_fields(spec):
    text = files_page().partition(f"\n## EF{spec.sfi:02X} ")[2].partition("\n## ")[0]
    layouts = (RailTrip, BusTrip) if spec.sfi == EF1A.sfi else (spec.layout,)
    for layout in layouts:
        for field in layout.FIELDS:
            assert f"| {field.offset} | {field.size} | `{field.name}` |" in text
            assert all(f"`{v:0{2 * field.size}X}` {n}" in text for v, n in field.values.items())


def test_values_of_fields_are_named():
    assert all(name in files_page() for name in TRIP_KINDS.values())


@pytest.mark.parametrize("spec", FILES.values(), ids=lambda f: f.name)
def test_the_card_gives_the_rights_the_page_tells(spec):
    image = fixtures.card("student").image
    head = image.directories[purse_index(image)].files[spec.sfi].head
    kinds = {Structure.TRANSPARENT: Kind.TRANSPARENT, Structure.CYCLIC: Kind.CYCLIC}
    # Records of one length: variable records of the reference are a linear file here.
    assert head.kind is kinds.get(spec.structure, Kind.LINEAR)
    assert (head.size, head.count) == (spec.size, spec.count)
    assert head.read == ALWAYS
    assert head.protection & 0x80, "reading needs no MAC"
    key = 3 - (head.protection & 0x03)
    if spec is EF18:
        assert (head.write, spec.caches) == (NEVER, False)
        assert spec.written == "the card alone, with every transaction"
    else:
        assert head.guard == 0x80
        assert key == (RECORD_ID if spec in (EF1A, EF1E) else MAINTENANCE_ID)
        assert ("record key" if key == RECORD_ID else "under DAMK") in spec.written
        assert ("80 DC" in spec.written) == spec.caches


# Dialects and profiles


def test_every_switch_and_profile_is_on_its_page():
    dialects, profiles = PAGES["dialects.md"](), PAGES["profiles.md"]()
    assert all(f"| `{s.name}` |" in dialects for s in switches())
    assert all(f"| `{name}` |" in profiles for name in fixtures.profile_names())


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "CHANGELOG.md"])
def test_hand_written_pages_count_right(name):
    text = (FOLDER.parent / name).read_text("utf-8")
    counts = {int(n) for n in re.findall(r"(\d+)(?: profiles| cards| 个卡片配置)", text)}
    assert counts == {len(fixtures.profile_names())}
    assert {int(n) for n in re.findall(r"(\d+)(?: dialects?| 个方言开关)", text)} == {
        len(switches())
    }
