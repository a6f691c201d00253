"""`tapbench card` and `emulate --card` as a user runs them."""

import json
import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.card.dialect import switches
from emulator.card.filestore import FileStore, journal_of, read_card
from tests.cards import purse_in
from tests.interop.test_cli import read_until, refused, running, tapbench

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(here) -> Run:
    """`tapbench card`, in this process: code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        done = here("card", *arguments)
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.fixture
def card(tmp_path: Path, run: Run) -> Path:
    path = tmp_path / "card.json"
    code, _, err = run("new", "--profile", "student", "--balance", "50", path)
    assert (code, err) == (0, "")
    return path


def balance(path: Path) -> int:
    return purse_in(read_card(path).image).actual


def test_a_card_is_made_shown_changed_copied_compared_and_dumped(tmp_path: Path):
    path, other = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    made = tapbench("card", "new", "--profile", "student", "--balance", "50.00", path)
    assert made.returncode == 0, made.stderr
    assert "50.00 yuan, valid to 2026-09-30" in made.stdout
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    shown = tapbench("card", "show", path).stdout
    for part in (
        "purse EP  50.00 yuan available",
        "actual balance B  50.00",
        "card kind  2 (student)",
    ):
        assert part in shown
    assert tapbench("card", "copy", path, other).returncode == 0
    same = tapbench("card", "diff", path, other)
    assert (same.returncode, same.stdout) == (0, "The two cards are equal.\n")
    done = tapbench("card", "set", other, "balance=12.34", "blocked=temporary")
    assert done.returncode == 0, done.stderr
    assert "actual balance B: 50.00 -> 12.34" in done.stdout
    differ = tapbench("card", "diff", path, other)
    assert (differ.returncode, differ.stdout) == (1, done.stdout)
    dumped = tapbench("card", "dump", other)
    assert "  0018" not in dumped.stdout
    assert "  001A   1 27017D" in dumped.stdout
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.json"]


def test_what_a_new_card_is_told_to_be(run: Run, tmp_path: Path):
    path = tmp_path / "card.json"
    code, out, err = run(
        "new", "--profile", "student", "--issued", "2025-10-01", "--balance", "7",
        "--serial", "3105228009900000099", "--dialect", "wrong_mac=63Cx",
        "--dialect", "fci_padding=true", "--dialect", "fci_preferred_name=TU", path,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "7.00 yuan, valid to 2026-09-30" in out
    made = read_card(path)
    ef15 = made.image.directories[1].files[0x15].content
    assert ef15[10:28].hex() == "031052280099000000992025100120260930"
    assert made.contactless.uid.hex() == "08a1b2c3"
    dialect = made.dialect
    assert (dialect.wrong_mac, dialect.fci_padding, dialect.fci_preferred_name) == (
        "63Cx",
        True,
        "TU",
    )
    assert run("new", "--profile", "senior", "--serial", "03105228009900000099", "--force", path)
    assert read_card(path).contactless.uid.hex() == "08000099"


def test_a_card_of_the_library_keeps_what_it_is(run: Run, tmp_path: Path):
    path = tmp_path / "card.json"
    assert run("new", "--profile", "student-expired", path)[0] == 0
    _, shown, _ = run("show", path)
    assert "end date  2024-09-30" in shown


def test_json_has_the_documented_structure_and_no_key(run: Run, card: Path):
    found = json.loads(run("dump", "--json", card)[1])
    documented = (Path(__file__).parents[2] / "docs" / "card-file.md").read_text()
    for name in found:
        assert f"`{name}`" in documented
    for name in found["directories"][1]:
        assert f"`{name}`" in documented
    keys = found["directories"][1]["keys"]
    assert not any({"secret", "pin"} & set(key) for key in keys)
    assert all("check_value" in key or "digits" in key for key in keys)
    written = json.loads(card.read_text())
    for key in written["directories"][1]["keys"]:
        assert (key.get("secret") or f'"{key["pin"]}"') not in json.dumps(found)


def test_dialects_are_listed_with_their_reasons(run: Run):
    found = json.loads(run("dialects", "--json")[1])
    assert [one["name"] for one in found] == [switch.name for switch in switches()]
    assert all(len(one["reason"]) > 20 for one in found)
    table = run("dialects")[1]
    assert all(switch.name in table for switch in switches())


def test_force_overwrites_and_nothing_else_does(run: Run, card: Path):
    before = card.read_bytes()
    code, _, err = run("new", "--profile", "senior", card)
    assert (code, err) == (2, f"tapbench: {card} is there already; nothing was written\n")
    assert card.read_bytes() == before
    assert run("new", "--profile", "senior", "--force", card)[0] == 0
    assert read_card(card).profile == "senior"


def test_show_folds_records_that_are_as_issued(run: Run, card: Path):
    assert "record 1 to 18  as issued" in run("show", card)[1]
    run("set", card, "trip-state=entered")
    shown = run("show", card)[1]
    assert "record 2 to 18  as issued" in shown
    assert "state  1 (entered)" in shown


BAD: list[tuple[tuple[str, ...], str]] = [
    (("new", "--profile", "nobody", "NEW"), "there is no profile 'nobody'"),
    (("new", "--profile", "student"), "missing argument 'FILE'"),
    (("new", "NEW"), "missing option '--profile'"),
    (("new", "--profile", "student", "CARD"), "is there already"),
    (("new", "--profile", "student", "--balance", "much", "NEW"), "'much' is not an amount"),
    (("new", "--profile", "student", "--balance", "1000.01", "NEW"), "yuan from 0.00 to 1000.00"),
    (("new", "--profile", "student", "--issued", "soon", "NEW"), "'soon' is not a day"),
    (("new", "--profile", "student", "--serial", "12", "NEW"), "'12' is not a serial"),
    (("new", "--profile", "student", "--serial", "x" * 19, "NEW"), "is not a serial"),
    (("new", "--profile", "student", "--dialect", "wrong_mac", "NEW"), "is not SWITCH=VALUE"),
    (("new", "--profile", "student", "--dialect", "accent=1", "NEW"), "choose a switch of"),
    (("new", "--profile", "student", "--dialect", "wrong_mac=1", "NEW"), "choose one of: 6988"),
    (("new", "--profile", "student", "--dialect", "sm4=1", "NEW"), "dialect 'sm4' is '1'"),
    (("new", "--profile", "student", "no/folder/card.json"), "there is no such folder"),
    (("new", "--profile", "student", "--force", "FOLDER"), "Is a directory"),
    (("show", "NEW"), "there is no card file"),
    (("show", "FOLDER"), "Is a directory"),
    (("show", "SPOILT"), "it is not JSON"),
    (("show",), "missing argument 'FILE'"),
    (("set", "CARD"), "there is nothing to set"),
    (("set", "CARD", "balance=1000.01"), "above the ceiling"),
    (("set", "CARD", "balance=1", "colour=red"), "'colour=red' is not FIELD=VALUE"),
    (("set", "NEW", "balance=1"), "there is no card file"),
    (("set", "SPOILT", "balance=1"), "it is not JSON"),
    (("copy", "CARD", "CARD"), "is there already"),
    (("copy", "NEW", "OTHER"), "there is no card file"),
    (("copy", "SPOILT", "OTHER"), "it is not JSON"),
    (("copy", "CARD"), "missing argument 'TO'"),
    (("diff", "CARD", "NEW"), "there is no card file"),
    (("diff", "SPOILT", "CARD"), "it is not JSON"),
    (("dump", "CARD", "--hex", "--json"), "--hex and --json exclude each other"),
    (("dump", "SPOILT"), "it is not JSON"),
    (("dump", "CARD", "--yaml"), "no such option: --yaml"),
    (("dialects", "--colour"), "no such option: --colour"),
    (("eat", "CARD"), "no such command 'eat'"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_input_is_one_sentence_and_touches_nothing(
    arguments: tuple[str, ...], said: str, run: Run, card: Path
):
    folder = card.parent
    spoilt = folder / "spoilt.json"
    spoilt.write_bytes(card.read_bytes()[:-20])
    places = {
        "CARD": card,
        "NEW": folder / "new.json",
        "OTHER": folder / "other.json",
        "FOLDER": folder,
        "SPOILT": spoilt,
    }
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    code, out, err = run(*(places.get(word, word) for word in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("tapbench: ")
    assert err.count("\n") == 1
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_card_in_use_is_refused_by_every_command(run: Run, card: Path):
    with FileStore(card):
        before = card.read_bytes()
        for arguments in (
            ("show", card),
            ("set", card, "balance=1"),
            ("copy", card, card.with_name("other.json")),
            ("diff", card, card),
            ("dump", card),
            ("new", "--force", "--profile", "student", card),
        ):
            code, _, err = run(*arguments)
            assert code == 2
            assert "is in use by another program; end that one first" in err
        assert card.read_bytes() == before


def test_bad_input_to_a_real_process(tmp_path: Path):
    refused(tapbench("card", "show", str(tmp_path / "nothing")), "there is no card file")
    refused(tapbench("card", "new"), "missing argument 'FILE'")
    refused(tapbench("emulate", "--via", "udp", "--card", str(tmp_path)), "Is a directory")


# The card lives on between runs


def entered(path: Path, *options: str) -> str:
    """Hold the card in the field and let it in at a gate. Returns what the gate said."""
    with running("emulate", "--via", "udp", "--port", "0", "--card", str(path)) as held:
        said = read_until(held, "Ctrl-C")
        device = re.search(r"udp:\S+", said)
        assert device
        refused(tapbench("card", "show", str(path)), "in use by another program")
        gate = tapbench(
            "gate", "--via", "nfc", "--device", device[0], "--direction", "entry", "--station",
            "Yongtaizhuang", "--cards", "1", "--at", "2025-09-08T07:30:00", "--json", *options,
        )  # fmt: skip
        held.send_signal(signal.SIGINT)
        assert held.stdout is not None
        rest = held.stdout.read()
        assert f"kept in {path}" in rest
    return gate.stdout


def test_an_emulated_card_keeps_what_happened_to_it(run: Run, card: Path):
    first = json.loads(entered(card))
    assert first["verdict"] == "pass"
    kept = read_card(card)
    assert kept.commits == 1
    assert kept.image.directories[1].files[0x1A].content[0][14] == 1
    again = json.loads(entered(card))
    assert (again["verdict"], again["reason"]) == ("reject", "ALREADY_ENTERED")
    assert os.listdir(card.parent) == [card.name]


def test_a_card_in_a_killed_emulator_keeps_what_happened_to_it(run: Run, card: Path):
    with running("emulate", "--via", "udp", "--port", "0", "--card", str(card)) as held:
        device = re.search(r"udp:\S+", read_until(held, "Ctrl-C"))
        assert device
        gate = tapbench(
            "gate", "--via", "nfc", "--device", device[0], "--direction", "entry", "--station",
            "Yongtaizhuang", "--cards", "1", "--at", "2025-09-08T07:30:00",
        )  # fmt: skip
        assert gate.returncode == 0, gate.stdout + gate.stderr
        held.kill()
        held.wait(timeout=10)
    assert os.path.getsize(journal_of(str(card))) > 0
    assert "state  1 (entered)" in run("show", card)[1]
    assert run("set", card, "city=2900")[0] == 0
    assert os.listdir(card.parent) == [card.name]


@pytest.mark.parametrize("option", [("--profile", "senior"), ("--balance", "1"), ("--issued", "")])
def test_a_card_file_excludes_what_makes_a_new_card(here, option: tuple[str, str], card: Path):
    done = here("emulate", "--via", "udp", "--card", str(card), *option)
    refused(done, f"--card and {option[0]} exclude each other")
