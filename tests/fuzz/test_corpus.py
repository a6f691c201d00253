"""Every input the fuzzers kept still goes through its target; no atheris is needed for that."""

from pathlib import Path

import pytest

from tests.fuzz.targets import RECORDS, TARGETS, pieces

CORPUS = Path(__file__).parent / "corpus"
LARGEST = 1_000_000


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_fail_with_the_declared_error_alone(name):
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs, f"{name} has no corpus"
    for path in inputs:
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_no_target_minds_short_inputs(name):
    for data in (b"", b"\0", b"\xff", b"\1\1", bytes(64)):
        TARGETS[name](data)


def test_the_corpus_is_small_and_of_the_targets_there_are():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < LARGEST


def test_pieces_are_length_prefixed_and_the_last_may_be_short():
    assert list(pieces(b"\2ab\0\5xy")) == [b"ab", b"", b"xy"]


def test_all_records_of_the_declarations_are_tried():
    assert len(RECORDS) > 30
