"""The PSAM's file: no number is given twice, no transaction is forgotten, two never share it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reader.psam_store as module
from apdu.commands import SAM_CREDIT_EARLIER, SAM_CREDIT_PURCHASE, SAM_INIT_PURCHASE
from apdu.records import SamCreditData, SamEarlierData
from apdu.sw import SW
from reader.psam import Psam
from reader.psam_store import UNRESOLVED_KEPT, PsamFile, PsamFileError, PsamStore
from tests.cards import OK, sw_of
from tests.unit.test_psam_commands import asked
from tests.vectors.ladders import sam_keys

TERMINAL = bytes.fromhex("300089000195")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "gate.psam"


def opened(path: Path, **first) -> PsamFile:
    return PsamFile(path, TERMINAL, **first)


def psam(store: PsamStore) -> Psam:
    return Psam(TERMINAL, sam_keys(), store=store)


def given_out(sam: Psam) -> int:
    response = sam.process(SAM_INIT_PURCHASE.command(asked()))
    assert response[-2:] == OK
    return int.from_bytes(response[:4], "big")


def test_the_number_goes_on_after_a_restart(path):
    numbers = []
    for _ in range(5):
        with opened(path, first_seq=7) as store:
            sam = psam(store)
            numbers += [given_out(sam) for _ in range(3)]
    assert numbers == list(range(7, 22))


def test_a_transaction_without_mac2_is_credited_after_a_restart_by_its_number(path):
    with opened(path) as store:
        sam = psam(store)
        first, second = given_out(sam), given_out(sam)
        expected = dict(store.unresolved)
        assert (
            sw_of(sam.process(SAM_CREDIT_PURCHASE.command(SamCreditData(expected[second]))))
            == 0x9000
        )
    with opened(path) as store:
        assert store.unresolved == {first: expected[first]}
        sam = psam(store)

        def credit(seq: int) -> int:
            data = SamEarlierData(seq, expected[seq])
            return sw_of(sam.process(SAM_CREDIT_EARLIER.command(data)))

        plain = SAM_CREDIT_PURCHASE.command(SamCreditData(expected[first]))
        assert sw_of(sam.process(plain)) == SW.WRONG_STATE
        assert (credit(first), credit(first), credit(second)) == (0x9000, 0x6A88, 0x6A88)
    with opened(path) as store:
        assert store.unresolved == {}


def test_the_file_is_its_owner_s_alone_and_holds_no_key(path):
    path.touch(mode=0o666)
    path.unlink()
    with opened(path) as store:
        given_out(psam(store))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_bytes()
    os.chmod(path, 0o644)
    with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    for root in (sam_keys().lock, sam_keys().tac[1]):
        assert root.expose().hex().upper().encode() not in text


def test_two_programs_cannot_have_one_psam(path):
    with opened(path), pytest.raises(PsamFileError, match="another program has the PSAM"):
        opened(path)
    opened(path).close()


def test_another_process_cannot_have_it_either(path):
    code = "import sys; from reader.psam_store import *; PsamFile(sys.argv[1])"
    with opened(path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    assert "another program has the PSAM" in done.stderr


def test_a_file_of_another_terminal_is_refused(path):
    opened(path).close()
    with pytest.raises(PsamFileError, match="is of terminal 300089000195, not of 0000"):
        PsamFile(path, bytes(6))
    assert PsamFile(path).terminal == TERMINAL


def test_without_a_terminal_no_file_is_made(path):
    with pytest.raises(PsamFileError, match="No such file"):
        PsamFile(path)


@pytest.mark.parametrize("what", ["directory", "device", "link", "text"])
def test_what_is_no_psam_s_file_is_told_and_left_alone(path, what):
    if what == "directory":
        path.mkdir()
    elif what == "device":
        path = Path("/dev/null")
    elif what == "link":
        path.symlink_to(path.parent / "elsewhere")
    else:
        path.write_text("hello\n")
    with pytest.raises(PsamFileError):
        opened(path)
    assert what != "text" or path.read_text() == "hello\n"


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def filled(path: Path, count: int = 4) -> bytes:
    """A file of numbers 1 to `count`, of which the second is settled."""
    with opened(path) as store:
        for n in range(1, count + 1):
            store.begin(bytes((n,)) * 4)
        store.settle(2)
    return path.read_bytes()


def test_a_cut_at_any_byte_gives_no_number_again(path):
    text = filled(path)
    head = len(text.split(b"\n")[0]) + 1
    for size in range(head, len(text) + 1):
        path.write_bytes(text[:size])
        begun = text[:size].count(b"\n+ ") + text[:size].startswith(b"+")
        whole = sum(line.endswith(b"\n") for line in lines(path)[1:] if line.startswith(b"+"))
        with opened(path) as store:
            assert store.next_seq > whole, size
            assert store.next_seq >= begun, size
            assert set(store.unresolved) <= set(range(1, whole + 1))


def test_a_last_line_that_is_damaged_costs_its_number(path):
    text = filled(path)
    path.write_bytes(text + b"+ 00000005 05050505 00000000\n")
    with opened(path) as store:
        assert store.next_seq == 6


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_with_whole_lines_behind_it_is_told(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("psam") / "file"
    text = filled(path)
    last = text.rstrip(b"\n").rfind(b"\n")
    at = data.draw(st.integers(0, last - 1))
    bad = bytearray(text)
    bad[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bad)
    with pytest.raises(PsamFileError):
        opened(path)
    assert path.read_bytes() == bad


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_file_is_read_or_told(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("psam") / "file"
    path.write_bytes(junk)
    with pytest.raises(PsamFileError):
        opened(path)


def test_the_file_stays_short(path, monkeypatch):
    monkeypatch.setattr(module, "LINES_KEPT", 10)
    with opened(path) as store:
        for _ in range(95):
            store.begin(bytes(4))
            store.settle(store.next_seq - 1)
        store.begin(b"last")
        assert len(lines(path)) <= 12
    with opened(path) as store:
        assert (store.next_seq, store.unresolved) == (97, {96: b"last"})


def test_what_memory_forgets_the_file_forgets(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "fdatasync", lambda handle: None)
    with opened(tmp_path / "psam") as store:
        memory = PsamStore()
        for n in range(UNRESOLVED_KEPT + 10):
            for one in (store, memory):
                one.begin(n.to_bytes(4, "big"))
        assert store.unresolved == memory.unresolved
    with opened(tmp_path / "psam") as store:
        assert list(store.unresolved) == list(memory.unresolved)
        assert store.unresolved == memory.unresolved


def test_the_last_number_is_kept_as_used_up(path):
    with opened(path, first_seq=0xFFFFFFFF) as store:
        sam = psam(store)
        assert given_out(sam) == 0xFFFFFFFF
        assert sw_of(sam.process(SAM_INIT_PURCHASE.command(asked()))) == SW.COUNTER_AT_MAXIMUM
    with opened(path) as store:
        assert store.next_seq == 1 << 32


FULL = """
import resource, sys
from reader.psam_store import PsamFile
from tests.unit.test_psam_store import psam, SAM_INIT_PURCHASE, SAM_CREDIT_PURCHASE, asked
store = PsamFile(sys.argv[1], bytes.fromhex("300089000195"))
sam = psam(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
answers = [sam.process(SAM_INIT_PURCHASE.command(asked())).hex() for _ in range(200)]
good = [a for a in answers if a.endswith("9000")]
assert 30 < len(good) < 100, len(good)
assert answers[len(good):] == ["6581"] * (200 - len(good)), answers
print(int(good[-1][:8], 16))
"""


def test_a_full_disk_gives_no_number_out(path):
    """The limit on the size of files stands in for the disk: the system refuses the write."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with opened(path) as store:
        assert store.next_seq > int(done.stdout)


def test_a_closed_file_gives_no_number_out(path):
    store = opened(path)
    sam = psam(store)
    store.close()
    assert sw_of(sam.process(SAM_INIT_PURCHASE.command(asked()))) == SW.MEMORY_FAILURE
    assert sam.terminal_seq == 1


def test_a_failed_rewrite_gives_no_number_out_until_the_file_is_opened_again(path, monkeypatch):
    """The name may lead to the old file or the new one: nobody may append to either."""
    monkeypatch.setattr(module, "LINES_KEPT", 3)
    store = opened(path)
    sam = psam(store)
    last = [given_out(sam) for _ in range(2)][-1]

    def broken(path: str) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_sync_names", broken)
        assert sw_of(sam.process(SAM_INIT_PURCHASE.command(asked()))) == SW.MEMORY_FAILURE
    assert sw_of(sam.process(SAM_INIT_PURCHASE.command(asked()))) == SW.MEMORY_FAILURE
    with opened(path) as again:
        assert given_out(psam(again)) == last + 1


MOVES = st.lists(st.sampled_from(["begin", "credit", "wrong", "earlier", "reset", "restart"]))


@settings(max_examples=40, deadline=None)
@given(moves=MOVES, picks=st.lists(st.integers(0, 1 << 16), min_size=1))
def test_a_psam_that_is_restarted_answers_as_one_that_lost_power(tmp_path_factory, moves, picks):
    path = tmp_path_factory.mktemp("psam") / "file"
    kept, memory = psam(opened(path)), psam(PsamStore())
    mac2s: list[bytes] = []
    for at, move in enumerate(moves):
        number = picks[at % len(picks)] % (len(mac2s) + 1)
        mac2 = mac2s[number - 1] if number and mac2s else bytes(4)
        if move == "restart":
            kept.store.close()
            kept = psam(opened(path))
            memory.power_on()
            continue
        if move == "reset":
            assert kept.power_on() == memory.power_on()
            continue
        command = {
            "begin": SAM_INIT_PURCHASE.command(asked(amount=at)),
            "credit": SAM_CREDIT_PURCHASE.command(SamCreditData(mac2s[-1] if mac2s else mac2)),
            "wrong": SAM_CREDIT_PURCHASE.command(SamCreditData(bytes(4))),
            "earlier": SAM_CREDIT_EARLIER.command(SamEarlierData(number, mac2)),
        }[move]
        assert kept.process(command) == memory.process(command)
        if move == "begin":
            mac2s.append(memory.store.unresolved[memory.terminal_seq - 1])
        assert kept.store.unresolved == memory.store.unresolved
    kept.store.close()
