"""A gate's journal: durable, whole after any cut, never the cause of a free or a double ride."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

import fixtures
from apdu.commands import DEBIT
from emulator.card.card import Card
from issuer.tac import TacCheck
from reader.gate import Direction, Reject, Verdict
from reader.journal import (
    FRAME,
    Journal,
    JournalError,
    MemoryJournal,
    journal_gate,
    read_records,
)
from reader.psam import Psam
from reader.taprecord import BODY, CLOCK_BACK, RECOVERED, Mark, RecordError, TapRecord
from reader.transactions import Receipt
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from tests.cards import purse_in
from tests.gates import ENTERED_AT, FARE, psam
from tests.taps import GATE, gate_with, no_room_beyond, open_journal, trip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gate.journal"


def filled(path: Path, card: Card) -> list[TapRecord]:
    """A journal with a trip in it."""
    with open_journal(path) as journal:
        trip(card, journal, psam())
    return list(read_records(path))


def test_a_trip_leaves_two_records_that_say_what_the_card_did(card: Card, path: Path):
    records = filled(path, card)
    assert [(r.mark, r.sequence, r.trip, r.amount) for r in records] == [
        (Mark.TAKEN, 1, 3, 0),
        (Mark.TAKEN, 2, 4, FARE),
    ]
    assert (records[1].before, records[1].after) == (5000, 5000 - FARE)
    assert records[1].after == purse_in(card.image).actual
    assert records[1].origin_line.hex() == "0800"
    assert records[1].origin_when == records[0].when
    assert records[1].end_date.hex() == "20260930"


def test_a_record_is_128_bytes_of_the_file_and_comes_back_as_it_was(card: Card, path: Path):
    records = filled(path, card)
    assert FRAME == 128
    assert path.stat().st_size == 5 * FRAME  # the header, and two records for each tap
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for record in records:
        assert TapRecord.parse(record.build()) == record


@pytest.mark.parametrize(
    ("at", "content"), [(0, b"XX"), (2, b"\x07"), (3, b"\x09"), (64, b"\xaa"), (BODY - 1, b"1")]
)
def test_bytes_that_are_no_record_are_refused(card: Card, path: Path, at: int, content: bytes):
    body = filled(path, card)[0].build()
    with pytest.raises(RecordError):
        TapRecord.parse(body[:at] + content + body[at + len(content) :])
    with pytest.raises(RecordError, match="124 bytes"):
        TapRecord.parse(body[:-1])


def test_the_record_is_on_disk_before_the_gate_says_pass(card: Card, path: Path):
    with open_journal(path) as journal:
        assert gate_with(journal, Direction.ENTRY).pass_(InProcess(card)).verdict is Verdict.PASS
        assert len(list(read_records(path))) == 1


@pytest.mark.parametrize("kept", range(FRAME))
def test_a_torn_record_is_cut_off_and_the_next_takes_its_place(card: Card, path: Path, kept: int):
    filled(path, card)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - FRAME + kept])
    with open_journal(path) as journal:
        assert path.stat().st_size == len(whole) - FRAME
        assert journal.sequence == 1
        assert [r.amount for r in journal.pending()] == [FARE]  # what it was the end of


def test_room_reserved_ahead_is_no_record(card: Card, path: Path):
    filled(path, card)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(1000))
    with open_journal(path) as journal:
        assert journal.sequence == 2
        assert path.stat().st_size == size


@pytest.mark.parametrize("bit", [0, 3, 200, 999])
def test_damage_with_records_behind_it_is_told_and_nothing_is_cut_off(
    card: Card, path: Path, bit: int
):
    filled(path, card)
    damaged = bytearray(path.read_bytes())
    damaged[FRAME + bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match="damaged at byte 128, with records behind it"):
        open_journal(path)
    with pytest.raises(JournalError, match="damaged at byte 128"):
        list(read_records(path))
    assert path.read_bytes() == damaged


def test_a_record_that_was_taken_out_is_missed_by_the_chain(card: Card, path: Path):
    filled(path, card)
    whole = path.read_bytes()
    path.write_bytes(whole[:FRAME] + whole[2 * FRAME :])
    with pytest.raises(JournalError, match="damaged"):
        open_journal(path)


def test_a_journal_of_another_gate_or_terminal_is_refused(card: Card, path: Path):
    filled(path, card)
    with pytest.raises(JournalError, match="of another gate: expected gate and terminal"):
        open_journal(path, gate=b"GATE0341")
    with pytest.raises(JournalError, match="of another gate"):
        open_journal(path, terminal=bytes(6))
    path.write_bytes(b"PNG" * 100)
    with pytest.raises(JournalError, match="is no journal of a gate"):
        open_journal(path)


def test_two_processes_cannot_write_one_journal(path: Path):
    with open_journal(path), pytest.raises(JournalError, match="in use by another process"):
        open_journal(path)
    with open_journal(path):
        pass


def test_a_journal_cut_off_while_it_was_made_is_made_again(path: Path):
    with open_journal(path):
        head = path.read_bytes()
    for size in (0, 1, 30, FRAME - 1):
        path.write_bytes(head[:size])
        with open_journal(path):
            assert path.read_bytes() == head


def test_a_journal_nowhere_is_one_sentence(tmp_path: Path):
    with pytest.raises(JournalError, match="no journal can be kept at"):
        open_journal(tmp_path / "nowhere" / "gate.journal")
    with pytest.raises(JournalError, match="cannot be read"):
        list(read_records(tmp_path / "gate.journal"))


def test_with_a_full_disk_no_debit_is_sent_and_nothing_is_lost(card: Card, path: Path):
    sent: list[bytes] = []
    link = InProcess(card)

    class Heard:
        def transmit(self, command: bytes) -> bytes:
            sent.append(command)
            return link.transmit(command)

    sam = psam()
    with open_journal(path) as journal:
        gate = gate_with(journal, Direction.ENTRY, sam)
        with (
            no_room_beyond(FRAME),
            pytest.raises(JournalError, match=r"takes no record .* the gate stays shut"),
        ):
            gate.pass_(Heard())
        assert sent
        assert not any(command[1] == DEBIT.ins for command in sent)
        assert purse_in(card.image).offline_seq == 0
        card.power_off()
        assert gate.pass_(link).verdict is Verdict.PASS
        assert journal.pending() == []


@pytest.mark.parametrize("frames", range(1, 12))
def test_wherever_the_disk_fills_up_every_debit_has_its_record(card: Card, path: Path, frames: int):
    sam = psam()
    room = no_room_beyond(frames * FRAME + 60)
    with open_journal(path) as journal, room, suppress(JournalError):
        for _ in range(3):
            trip(card, journal, sam)
    taken = list(read_records(path))
    assert len(taken) == purse_in(card.image).offline_seq
    assert sum(r.amount for r in taken) == 5000 - purse_in(card.image).actual


def test_a_checked_debit_that_could_not_be_written_passes_at_the_next_tap(card: Card):
    """The PSAM has checked its MAC2 and knows it no more; other cards come in between."""

    class Full(MemoryJournal):
        is_full = True

        def taken(self, receipt: Receipt) -> None:
            if self.is_full:
                raise JournalError("the disk is full")
            super().taken(receipt)

    journal, sam, sent = Full(GATE), psam(), []
    gate, link = gate_with(journal, Direction.ENTRY, sam), InProcess(card)

    class Heard:
        def transmit(self, command: bytes) -> bytes:
            sent.append(command)
            return link.transmit(command)

    for _ in range(2):
        with pytest.raises(JournalError, match="disk is full"):
            gate.pass_(Heard())
        card.power_off()
        assert purse_in(card.image).offline_seq == 1
    journal.is_full = False
    other = fixtures.card("calibration-101", balance=5000)
    assert gate.pass_(InProcess(other)).verdict is Verdict.PASS
    sent.clear()
    assert gate.pass_(Heard()).verdict is Verdict.PASS
    assert not any(command[1] == DEBIT.ins for command in sent)
    assert purse_in(card.image).offline_seq == 1
    assert not gate.unresolved
    assert not journal.pending()
    assert [one.mark for one in journal.records].count(Mark.TAKEN) == 2


def test_a_clock_that_went_backwards_is_noted_in_the_record(card: Card, path: Path):
    with open_journal(path) as journal:
        trip(card, journal, psam())
        gate_with(journal, Direction.ENTRY, psam(9), ENTERED_AT).pass_(InProcess(card))
    assert [r.flags for r in read_records(path)] == [0, 0, CLOCK_BACK]


def lost_at_debit(card: Card, journal: Journal, sam: Psam, point: CutPoint) -> None:
    """An entry whose tenth command, the DEBIT, is cut."""

    def leave() -> None:
        card.power_off()
        card.power_on()

    with suppress(CardLost):
        gate_with(journal, Direction.ENTRY, sam).pass_(Cutting(InProcess(card), 10, point, leave))


@pytest.mark.parametrize("point", list(CutPoint))
def test_a_debit_lost_before_a_restart_is_resolved_after_it(
    card: Card, path: Path, point: CutPoint
):
    sam = psam()
    with open_journal(path) as journal:
        lost_at_debit(card, journal, sam, point)
        assert len(journal.pending()) == 1
    with open_journal(path) as journal:
        gate = gate_with(journal, Direction.ENTRY, sam)
        assert len(gate.unresolved) == 1
        outcome = gate.pass_(InProcess(card))
        assert outcome.verdict is Verdict.PASS
        assert not journal.pending()
        assert not gate.unresolved
    records = list(read_records(path))
    assert purse_in(card.image).offline_seq == 1
    assert [r.terminal_seq for r in records] == list(range(1, len(records) + 1))
    [taken] = [r for r in records if r.mark == Mark.TAKEN]
    assert taken.flags == (RECOVERED if len(records) == 1 else 0)
    assert TacCheck(fixtures.load_roots()["TMK"]).is_right(taken)


def test_a_debit_the_card_refuses_leaves_a_void_record(card: Card, path: Path):
    sam = psam()
    with open_journal(path) as journal:
        gate_with(journal, Direction.ENTRY, sam).pass_(InProcess(card))
        card.power_off()
        gate = gate_with(journal, Direction.EXIT, sam)
        link = InProcess(card)

        class Refusing:
            def transmit(self, command: bytes) -> bytes:
                return b"\x94\x01" if command[:2] == b"\x80\x54" else link.transmit(command)

        outcome = gate.pass_(Refusing())
        assert outcome.reason is Reject.BALANCE_TOO_LOW
        assert journal.pending() == []
    assert [r.mark for r in read_records(path)] == [Mark.TAKEN, Mark.VOID]


def test_names_of_the_wrong_size_are_a_mistake_of_the_caller(path: Path):
    with pytest.raises(ValueError, match="8 bytes"):
        Journal(path, GATE[:7], bytes(6))


def test_closing_twice_is_harmless_and_unpromised_debits_cannot_end(path: Path):
    journal = open_journal(path)
    with pytest.raises(JournalError, match="was promised"):
        journal.void(7)
    journal.close()
    journal.close()
    assert os.path.exists(path)


def test_a_number_that_is_promised_cannot_be_promised_again(card: Card, path: Path):
    with open_journal(path) as journal:
        lost_at_debit(card, journal, psam(), CutPoint.AFTER)
        card.power_off()
        other = fixtures.card("student", balance=5000)
        gate = gate_with(journal, Direction.ENTRY, psam())  # its PSAM begins at 1 again
        gate.unresolved.clear()
        with pytest.raises(JournalError, match="the PSAM counts anew"):
            gate.pass_(InProcess(other))
        assert purse_in(other.image).offline_seq == 0


def test_a_journal_says_whose_it_is(card: Card, path: Path):
    filled(path, card)
    assert journal_gate(path) == GATE
    head = path.read_bytes()[:FRAME]
    for odd in (b"", head[:40], b"x" * FRAME, head[:20] + b"z" * 108):
        path.write_bytes(odd)
        assert journal_gate(path) is None
