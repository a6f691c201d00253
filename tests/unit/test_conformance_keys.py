"""Keys for a foreign card: what a file may say, and what is told of it."""

from pathlib import Path

import pytest

import fixtures
from apdu.order import ROOTS
from bench.conformance.keys_file import load_keys
from bench.problem import Problem
from emulator.card.personalise import card_secrets

ROOT_NAMES = sorted(set(ROOTS.values()))
CARD_NAMES = [name.upper() for name in ROOTS]
VALUE = "00112233445566778899AABBCCDDEEFF"
STUDENT = fixtures.load_profile("student")
OURS = card_secrets(STUDENT, fixtures.load_roots())


def lines(names: list[str], **others: str) -> str:
    return "".join(f"{name} = {others.get(name, repr(VALUE))}\n" for name in names)


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "keys.toml"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return str(path)


def test_the_projects_own_keys_have_a_name_and_need_no_notice():
    ring = load_keys("test")
    assert ring.of(STUDENT.issuer, STUDENT.serial) == OURS
    assert not ring.notices


def test_root_keys_of_a_file_are_diversified_by_issuer_and_serial(tmp_path: Path):
    roots = fixtures.load_roots()
    text = "[roots]\n" + lines(ROOT_NAMES, **{n: repr(k.expose().hex()) for n, k in roots.items()})
    ring = load_keys(written(tmp_path, text))
    assert ring.of(STUDENT.issuer, STUDENT.serial) == OURS
    assert not ring.notices, "they are the project's own, by their check values"


def test_a_cards_own_keys_are_taken_as_they_are(tmp_path: Path):
    own = {name.upper(): repr(getattr(OURS, name).expose().hex()) for name in ROOTS}
    ring = load_keys(written(tmp_path, "[card]\n" + lines(CARD_NAMES, **own)))
    assert ring.of(bytes(8), bytes(10)) == OURS


def test_foreign_keys_print_one_notice_and_are_never_shown(tmp_path: Path):
    ring = load_keys(written(tmp_path, "[roots]\n" + lines(ROOT_NAMES)))
    (notice,) = ring.notices
    assert notice.startswith("NOTICE: ")
    assert "\n" not in notice
    assert VALUE not in notice + repr(ring) + repr(ring.of(bytes(8), bytes(10)))


def test_a_file_that_others_can_read_is_told(tmp_path: Path):
    path = written(tmp_path, "[roots]\n" + lines(ROOT_NAMES), 0o644)
    assert f"others can read the keys file {path}; chmod 600 {path}" in load_keys(path).notices


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"expected one table, \[roots\] or \[card\]"),
        ("[keys]\n", r"expected one table, \[roots\] or \[card\]"),
        ("roots = 1\n", r"expected one table, \[roots\] or \[card\]"),
        ("[roots]\n[card]\n", r"expected one table, \[roots\] or \[card\]"),
        ("[roots\n", "is not TOML"),
        ("[roots]\nPMK = " + VALUE, "is not TOML"),
        ("[roots]\n" + lines(ROOT_NAMES[1:]), f"lacks {ROOT_NAMES[0]}; expected 32 hexadecimal"),
        ("[card]\n" + lines(CARD_NAMES[:-1]), f"lacks {CARD_NAMES[-1]}; expected 32 hexadecimal"),
        ("[roots]\n" + lines([*ROOT_NAMES, "XMK"]), r"\[roots\] has no key XMK; expected AMK, "),
        ("[roots]\n" + lines(ROOT_NAMES, LMK='"00"'), "LMK has 1 bytes; expected 32 hexadecimal"),
        ("[roots]\n" + lines(ROOT_NAMES, LMK='"xyz"'), "LMK is not hexadecimal; expected 32"),
        ("[roots]\n" + lines(ROOT_NAMES, LMK="7"), "LMK is not hexadecimal; expected 32"),
    ],
)
def test_a_wrong_keys_file_is_told_in_one_sentence_without_a_key(
    tmp_path: Path, text: str, why: str
):
    with pytest.raises(Problem, match=why) as told:
        load_keys(written(tmp_path, text))
    assert VALUE not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(Problem, match="cannot be read: No such file"):
        load_keys(str(tmp_path / "none.toml"))
    with pytest.raises(Problem, match="cannot be read: Is a directory"):
        load_keys(str(tmp_path))
    path = tmp_path / "raw"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Problem, match="is not TOML"):
        load_keys(str(path))
