"""White list and blacklist: what is read, which update follows which, what a broken disk leaves."""

import errno
import fcntl
import os
import re
import resource
import stat
import subprocess
import sys
import threading
import time
from dataclasses import FrozenInstanceError
from hashlib import sha256
from pathlib import Path

import pytest

import reader.blacklist_file as module
import reader.gate
import reader.whole
from reader.blacklist import (
    LAST_VERSION,
    Blacklist,
    BlacklistError,
    BlacklistIncrement,
    MissingUpdate,
)
from reader.blacklist_file import BlacklistFile
from reader.blacklist_text import build_update, parse_update, read_update
from reader.white_list import WhiteListError, parse_white_list, read_white_list
from tests.lists import EIGHT, SEVEN, TO_EIGHT, A, B, C, D

PAGE = (Path(__file__).parents[2] / "docs" / "lists.md").read_text("utf-8")
EXAMPLES = re.findall(r"```text\n(.*?)```", PAGE, re.S)


def refused(call, *arguments) -> str:
    with pytest.raises((BlacklistError, WhiteListError)) as refusal:
        call(*arguments)
    said = str(refusal.value)
    assert "\n" not in said
    assert said
    return said


# White list


def test_a_white_list_is_read_line_by_line():
    lines = EXAMPLES[0].splitlines()
    expected = {("01011000", "31051700"), ("09981001", "31052280")}
    assert parse_white_list(lines) == expected


def test_a_header_in_the_encoding_of_the_laboratory_does_no_harm(tmp_path):
    path = tmp_path / "white"
    path.write_bytes("发卡机构    发卡标识\r\n01011000\t31051700\r\n\r\n".encode("gbk"))
    assert read_white_list(path) == {("01011000", "31051700")}


@pytest.mark.parametrize(
    "line",
    ["01011000", "01011000 3105170", "0101100A 31051700", "a b c", "０１０１１０００ 31051700"],
)
def test_a_wrong_line_is_named_with_its_file(tmp_path, line):
    path = tmp_path / "white"
    path.write_text(f"header\n01011000 31051700\n{line}\n", "utf-8")
    assert f"white list {path} line 3: expected two numbers" in refused(read_white_list, path)


def test_a_pair_is_never_lost_as_a_header():
    assert "line 1: expected a header" in refused(parse_white_list, ["01011000 31051700"])


@pytest.mark.parametrize("lines", [[], ["header"], ["header", "", " "]])
def test_a_white_list_that_would_refuse_every_card_is_refused(lines):
    assert "found no pair" in refused(parse_white_list, lines)


@pytest.mark.parametrize("read", [read_white_list, read_update, BlacklistFile])
def test_what_is_no_regular_file_is_told(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in refused(read, tmp_path / "pipe")
    assert "directory" in refused(read, tmp_path)
    assert "null byte" in refused(read, "a\0b")


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "No such file" in refused(read_white_list, tmp_path / "none")
    assert "No such file" in refused(read_update, tmp_path / "none")


def test_a_file_that_is_too_long_is_told(tmp_path):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(reader.whole.LONGEST + 1)
    assert "longer than" in refused(read_update, path)


# Versions


def test_a_gate_begins_without_a_list():
    assert (Blacklist().version, len(Blacklist()), A in Blacklist()) == (0, 0, False)


def test_membership_compares_all_ten_bytes():
    assert A in SEVEN
    assert C not in SEVEN
    assert A[:9] not in SEVEN
    assert bytes((A[0] ^ 0x10, *A[1:])) not in SEVEN


def test_lists_and_updates_do_not_change():
    with pytest.raises(FrozenInstanceError):
        SEVEN.serials = frozenset()
    with pytest.raises(FrozenInstanceError):
        TO_EIGHT.added = frozenset()
    assert len({SEVEN, EIGHT, TO_EIGHT, Blacklist(7, SEVEN.serials)}) == 3


def test_an_increment_leads_to_the_next_version():
    assert SEVEN.updated(TO_EIGHT) == EIGHT
    assert Blacklist().updated(BlacklistIncrement(0, frozenset({A}))) == Blacklist(
        1, frozenset({A})
    )


@pytest.mark.parametrize("held", [Blacklist(), Blacklist(6, frozenset({D})), SEVEN])
def test_a_full_list_of_a_later_version_is_always_good(held):
    assert held.updated(EIGHT) is EIGHT


def test_a_repetition_is_harmless_and_told_apart():
    assert EIGHT.updated(TO_EIGHT) is EIGHT
    assert EIGHT.updated(Blacklist(8, frozenset({A, C}))) is EIGHT


def test_a_lost_update_is_noticed_by_the_next_and_named():
    with pytest.raises(MissingUpdate) as missing:
        SEVEN.updated(BlacklistIncrement(8, frozenset({D})))
    assert missing.value.held == 7
    assert str(missing.value) == EXAMPLES[3].strip()


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (Blacklist(7, SEVEN.serials), "which is older; send version 9 or later"),
        (BlacklistIncrement(6, frozenset({D})), "older; send the update from 8 to 9"),
        (BlacklistIncrement(0, frozenset({D})), "older; send the update from 8 to 9"),
        (Blacklist(8, frozenset({A})), "another list of version 8"),
        (BlacklistIncrement(7, frozenset({D})), "another list of version 8"),
        (BlacklistIncrement(7, frozenset(), frozenset({A})), "another list of version 8"),
        (BlacklistIncrement(8, frozenset({A})), "adds card 0310.*, which is listed already"),
        (BlacklistIncrement(8, frozenset(), frozenset({B})), "removes card .*, which is not"),
        (BlacklistIncrement(9), "send the update from 8 to 9 first"),
    ],
)
def test_what_does_not_follow_is_refused_and_the_old_list_stays(tmp_path, update, words):
    assert re.search(words, refused(EIGHT.updated, update))
    file = BlacklistFile(tmp_path / "list")
    file.take(build_update(EIGHT))
    assert re.search(words, refused(file.take, build_update(update)))
    assert file.blacklist == EIGHT == BlacklistFile(file.path).blacklist
    assert os.listdir(tmp_path) == ["list"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blacklist(-1),
        lambda: Blacklist(0, frozenset({A})),
        lambda: Blacklist(LAST_VERSION + 1),
        lambda: Blacklist(1, frozenset({A[:9]})),
        lambda: Blacklist(1, frozenset({bytes.fromhex("0310522800990000011A")})),
        lambda: BlacklistIncrement(-1),
        lambda: BlacklistIncrement(LAST_VERSION),
        lambda: BlacklistIncrement(1, frozenset({b""})),
        lambda: BlacklistIncrement(1, frozenset(), frozenset({A + A})),
        lambda: BlacklistIncrement(1, frozenset({A, B}), frozenset({A})),
    ],
)
def test_what_is_no_list_and_no_update_cannot_be_made(make):
    refused(make)


# Text


def test_the_examples_of_the_page_are_what_is_written_and_read(tmp_path):
    path = tmp_path / "example"
    full = Blacklist(7, frozenset(map(bytes.fromhex, re.findall(r"^\d{20}$", EXAMPLES[1], re.M))))
    for text in EXAMPLES[1:3]:
        path.write_text(text, "ascii")
        assert build_update(read_update(path)) == path.read_bytes()
    assert read_update(path).base == full.version == 7
    assert parse_update(EXAMPLES[1].encode()) == full
    assert full.updated(read_update(path)).version == 8


def test_the_recipe_of_the_page_makes_a_list(tmp_path):
    recipe = re.search(r"```sh\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "serials").write_text(f"{B.hex()}\n{A.hex()}\n")
    subprocess.run(["sh", "-c", recipe], cwd=tmp_path, check=True, timeout=20)
    assert read_update(tmp_path / "list") == SEVEN


def test_the_lack_of_a_list_has_no_text():
    with pytest.raises(ValueError, match="version 0"):
        build_update(Blacklist())


@pytest.fixture(
    params=[SEVEN, TO_EIGHT, Blacklist(1), BlacklistIncrement(0)], ids=lambda u: u.version
)
def text(request) -> bytes:
    return build_update(request.param)


def test_a_file_cut_off_at_any_byte_is_refused(text):
    for size in range(len(text)):
        refused(parse_update, text[:size])


def test_a_changed_byte_is_refused(text):
    for at in range(len(text)):
        for other in range(256):
            if other != text[at]:
                refused(parse_update, text[:at] + bytes((other,)) + text[at + 1 :])


def test_a_line_that_is_dropped_doubled_or_moved_is_refused(text):
    lines = text.splitlines(keepends=True)
    for at, line in enumerate(lines):
        refused(parse_update, b"".join(lines[:at] + lines[at + 1 :]))
        refused(parse_update, b"".join([*lines[:at], line, *lines[at:]]))
        others = lines[:at] + lines[at + 1 :]
        for to in range(len(lines)):
            if to != at:
                refused(parse_update, b"".join([*others[:to], line, *others[to:]]))


@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b"end", b"\n\n"])
def test_bytes_behind_the_end_or_before_the_beginning_are_refused(text, more):
    refused(parse_update, text + more)
    refused(parse_update, more + text)


def signed(*lines: str) -> bytes:
    """Lines with a last line that is right, whatever they say."""
    body = "".join(f"{line}\n" for line in lines).encode()
    return body + f"end {len(lines) - 1} {sha256(body).hexdigest()}\n".encode()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["TAPBENCH BLACKLIST 2 full 7"], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 full 0"], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 full 07"], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 full 7 "], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 full 7\r"], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 from 7 to 9"], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 from 8 to 7"], "expected a first line such as"),
        (["TAPBENCH BLACKLIST 1 full 4294967296"], "version from"),
        (["TAPBENCH BLACKLIST 1 from 4294967295 to 4294967296"], "version from"),
        (["TAPBENCH BLACKLIST 1 full 7", A.hex(), "+" + B.hex()], "line 3: expected a serial"),
        (["TAPBENCH BLACKLIST 1 full 7", A.hex()[1:]], "line 2: expected a serial"),
        (["TAPBENCH BLACKLIST 1 full 7", A.hex() + "0"], "line 2: expected a serial"),
        (["TAPBENCH BLACKLIST 1 full 7", "A" * 20], "line 2: expected a serial"),
        (["TAPBENCH BLACKLIST 1 full 7", "０" * 20], "line 2: expected a serial"),
        (["TAPBENCH BLACKLIST 1 full 7", ""], "line 2: expected a serial"),
        (["TAPBENCH BLACKLIST 1 full 7", A.hex(), A.hex()], "line 3: card .* is there twice"),
        (["TAPBENCH BLACKLIST 1 from 7 to 8", A.hex()], "line 2: expected . or - and a serial"),
        (["TAPBENCH BLACKLIST 1 from 7 to 8", "-" + A.hex(), "-" + A.hex()], "is there twice"),
        (["TAPBENCH BLACKLIST 1 from 7 to 8", "-" + A.hex(), "+" + A.hex()], "both added and"),
    ],
)
def test_a_right_check_over_wrong_lines_helps_nothing(lines, words):
    assert re.search(words, refused(parse_update, signed(*lines)))


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xfe\0", b"header\n01011000 31051700\n"])
def test_what_is_no_blacklist_at_all_is_told(data):
    assert "expected a blacklist" in refused(parse_update, data)


def test_a_hundred_thousand_cards_are_loaded_in_less_than_a_second(tmp_path):
    cards = frozenset(bytes.fromhex(f"{n * 7919:020d}") for n in range(100_000))
    path = tmp_path / "list"
    path.write_bytes(build_update(Blacklist(1, cards)))
    begin = time.process_time()
    held = BlacklistFile(path).blacklist
    assert time.process_time() - begin < 1.0
    assert held.serials == cards


# The gate's copy


@pytest.fixture
def file(tmp_path) -> BlacklistFile:
    made = BlacklistFile(tmp_path / "list")
    assert made.blacklist == Blacklist()
    assert made.take(build_update(SEVEN))
    return made


def test_the_last_version_is_there_after_a_restart(file, tmp_path):
    update = tmp_path / "update"
    update.write_bytes(build_update(TO_EIGHT))
    assert file.take(update)
    assert file.blacklist == EIGHT == BlacklistFile(file.path).blacklist
    assert Path(file.path).read_bytes() == build_update(EIGHT)
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["list", "update"]


def test_a_repetition_writes_nothing(file):
    before = os.stat(file.path)
    assert not file.take(build_update(SEVEN))
    assert os.path.samestat(before, os.stat(file.path))


def test_a_wrong_update_is_told_with_its_file_and_changes_nothing(file, tmp_path):
    update = tmp_path / "update"
    update.write_bytes(build_update(TO_EIGHT)[:-1])
    assert f"blacklist {update}: it is cut off" in refused(file.take, update)
    assert file.blacklist == SEVEN == BlacklistFile(file.path).blacklist


def test_what_another_program_applied_is_neither_lost_nor_undone(file):
    other = BlacklistFile(file.path)
    other.take(build_update(TO_EIGHT))
    assert file.blacklist == SEVEN
    assert file.take(build_update(BlacklistIncrement(8, frozenset({D}))))
    assert file.blacklist == Blacklist(9, EIGHT.serials | {D}) == BlacklistFile(file.path).blacklist
    assert other.reload()
    assert other.blacklist == file.blacklist
    assert not other.reload()


def test_a_file_that_is_gone_or_older_is_written_anew_from_the_list_in_force(file):
    os.unlink(file.path)
    assert not file.reload()
    assert not file.take(build_update(SEVEN))
    assert BlacklistFile(file.path).blacklist == SEVEN
    Path(file.path).write_bytes(build_update(Blacklist(3)))
    assert file.take(build_update(TO_EIGHT))
    assert BlacklistFile(file.path).blacklist == EIGHT


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "list")
    assert BlacklistFile(tmp_path / "link").take(build_update(SEVEN))
    assert (tmp_path / "link").is_symlink()
    assert BlacklistFile(tmp_path / "there" / "list").blacklist == SEVEN


@pytest.mark.parametrize("content", [b"", b"x", build_update(SEVEN)[:-9], build_update(TO_EIGHT)])
def test_a_file_that_holds_no_list_is_told_and_left_as_it_is(file, content):
    path = Path(file.path)
    path.write_bytes(content)
    assert re.search("move it away|no full list", refused(BlacklistFile, path))
    refused(file.take, build_update(TO_EIGHT))
    refused(file.reload)
    assert file.blacklist == SEVEN
    assert path.read_bytes() == content


def test_two_programs_do_not_write_at_once(file):
    handle = os.open(file.path + ".writing", os.O_CREAT | os.O_WRONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another program is writing it" in refused(file.take, build_update(TO_EIGHT))
    finally:
        os.close(handle)
    assert file.take(build_update(TO_EIGHT))


def test_of_many_programs_none_undoes_what_another_applied(tmp_path):
    path, last = tmp_path / "list", 40
    seen = [0]

    def pushed(version: int) -> str:
        try:
            BlacklistFile(path).take(build_update(Blacklist(version, frozenset({A}))))
        except BlacklistError as error:
            return str(error)
        return "older"

    def push(first: int) -> None:
        for version in range(first, last + 1, 4):
            while "another program" in (said := pushed(version)):
                pass
            assert "older" in said

    pushing = [threading.Thread(target=push, args=(first,)) for first in range(1, 5)]
    for thread in pushing:
        thread.start()
    while any(thread.is_alive() for thread in pushing):
        seen.append(BlacklistFile(path).blacklist.version)
    assert seen == sorted(seen)
    assert BlacklistFile(path).blacklist.version == last
    assert os.listdir(tmp_path) == ["list"]


def test_without_a_folder_it_is_told(tmp_path):
    file = BlacklistFile(tmp_path / "none" / "list")
    said = refused(file.take, build_update(SEVEN))
    assert "No such file" in said
    assert "version 0 stays in force" in said


def test_what_is_in_the_way_of_the_draft_is_told(file):
    draft = Path(file.path + ".writing")
    os.mkfifo(draft)
    assert "version 7 stays in force" in refused(file.take, build_update(TO_EIGHT))
    draft.unlink()
    draft.symlink_to(file.path)
    assert "version 7 stays in force" in refused(file.take, build_update(TO_EIGHT))
    assert BlacklistFile(file.path).blacklist == SEVEN


def test_a_full_disk_keeps_the_old_list_in_force(file, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        said = refused(file.take, build_update(TO_EIGHT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "takes no update (File too large); version 7 stays in force" in said
    assert file.blacklist == SEVEN == BlacklistFile(file.path).blacklist
    assert os.listdir(tmp_path) == ["list"]
    assert file.take(build_update(TO_EIGHT))


class CountedOs:
    """The module `os`, of which one call fails: the n-th that asks the system for something."""

    CALLS = ("open", "fchmod", "ftruncate", "write", "fsync", "replace", "fstat", "stat")

    def __init__(self, failing: int) -> None:
        self.failing = failing
        self.calls: list[str] = []

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in self.CALLS:
            return real

        def call(*arguments, **named):
            self.calls.append(name)
            if len(self.calls) == self.failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **named)

        return call


def with_failing(monkeypatch, number: int) -> CountedOs:
    counted = CountedOs(number)
    monkeypatch.setattr(module, "os", counted)
    return counted


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_answer(
    file, monkeypatch
):
    counted = with_failing(monkeypatch, 0)
    file.take(build_update(TO_EIGHT))
    order = [name for name in counted.calls if name in ("write", "fsync", "replace")]
    assert order == ["write", "fsync", "replace", "fsync"]


def test_whichever_call_fails_there_is_the_old_list_or_the_new(file, tmp_path, monkeypatch):
    old = Path(file.path).read_bytes()
    number, seen = 0, set()
    while True:
        number += 1
        Path(file.path).write_bytes(old)
        held = BlacklistFile(file.path)
        counted, said = with_failing(monkeypatch, number), ""
        try:
            held.take(build_update(TO_EIGHT))
        except BlacklistError as error:
            said = str(error)
        monkeypatch.setattr(module, "os", os)
        if len(counted.calls) < number:
            break
        if held.blacklist == SEVEN:
            assert "version 7 stays in force: mend that" in said
        else:
            assert (held.blacklist, said) == (EIGHT, "")
        found = BlacklistFile(file.path).blacklist
        assert found in (SEVEN, EIGHT)
        seen.add(found.version)
        held.take(build_update(TO_EIGHT))
        assert held.blacklist == EIGHT == BlacklistFile(file.path).blacklist
        assert os.listdir(tmp_path) == ["list"]
    assert number > 10
    assert seen == {7, 8}


def test_whenever_it_is_killed_there_is_the_old_list_or_the_new():
    done = subprocess.run(
        [sys.executable, "-m", "tests.lists_killed"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"killed \d\d+ times: \d+ old, \d+ new\n", done.stdout)


def test_a_changed_file_is_taken_over_and_a_damaged_one_told_once(tmp_path):
    held, writer = BlacklistFile(tmp_path / "list"), BlacklistFile(tmp_path / "list")
    assert not held.reload()
    writer.take(build_update(SEVEN))
    assert held.reload()
    assert (held.blacklist, A in held, C in held) == (SEVEN, True, False)
    assert not held.reload()
    (tmp_path / "list").write_bytes(b"junk")
    with pytest.raises(BlacklistError):
        held.reload()
    assert not held.reload()
    assert held.blacklist == SEVEN
    (tmp_path / "list").unlink()
    assert not held.reload()
    assert A in held, "a gate works with the last list it has"
