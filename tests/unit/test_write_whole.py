"""Files for people are written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from bench.files import demand_place, write_whole
from bench.problem import Problem


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("data", [b"", b"some bytes", bytes(1_000_000)])
def test_a_file_is_written_for_its_owner_alone(tmp_path: Path, data: bytes):
    target = tmp_path / "a.svg"
    write_whole(target, data)
    assert target.read_bytes() == data
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert names(tmp_path) == ["a.svg"]


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path):
    target = tmp_path / "a.svg"
    target.write_bytes(b"old")
    target.chmod(0o644)
    with pytest.raises(Problem, match=r"a\.svg is there already; .* --force"):
        write_whole(str(target), b"new")
    assert target.read_bytes() == b"old"
    write_whole(str(target), b"new", force=True)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert names(tmp_path) == ["a.svg"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, force: bool):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (tmp_path, pipe, Path("/dev/null"), Path("")):
        with pytest.raises(Problem, match="no regular file"):
            write_whole(place, b"new", force)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", ["missing/a.svg", "file/a.svg", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Problem, match="no file can be written at"):
        write_whole(tmp_path / name, b"new")
    assert names(tmp_path) == ["file"]


def test_a_folder_that_may_not_be_written_in_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write in every folder
    with pytest.raises(Problem, match=r"a\.svg: Permission denied"):
        demand_place(tmp_path / "a.svg")


@pytest.mark.parametrize("content", [None, b"old"])
def test_a_link_is_there_and_stays_one_with_the_file_at_its_end_if_forced(
    tmp_path: Path, content: bytes | None
):
    end, link = tmp_path / "end", tmp_path / "link"
    link.symlink_to(end)
    if content is not None:
        end.write_bytes(content)
    with pytest.raises(Problem, match="is there already"):
        write_whole(link, b"new")
    write_whole(link, b"new", force=True)
    assert link.is_symlink()
    assert end.read_bytes() == b"new"
    assert names(tmp_path) == ["end", "link"]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        ("link", FileExistsError(17, "File exists"), "is there already"),
        ("fsync", OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=["somebody was quicker", "the disk is full"],
)
def test_what_goes_wrong_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: OSError, sentence: str
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Problem, match=sentence):
        write_whole(tmp_path / "a.svg", b"new")
    assert names(tmp_path) == []


def test_nothing_is_left_behind_when_the_data_is_no_data(tmp_path: Path):
    with pytest.raises(TypeError):
        write_whole(tmp_path / "a.svg", "text")  # type: ignore[arg-type]
    assert names(tmp_path) == []
