"""Clearing finds what was planted, and nothing in honest days."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from apdu.files import TRIP_KINDS
from bench.honest import DEBITS, TRIPS
from issuer.balance import balance_of, days
from issuer.clearing import Clearing, Policy
from issuer.database import open_database
from issuer.errors import DatabaseError
from issuer.faults import BY_CODE, Fault
from reader.batch import Refusal, build_batch, parse_batch
from reader.taprecord import EP_LOAD, Mark
from tests.books import (
    PLANTS,
    RECEIVED,
    TMK,
    Plant,
    batches_of,
    clearing_at,
    honest_day,
    messages,
    signed,
)
from tests.interop.planted import is_found

DAY = 20250908


@pytest.fixture
def clearing() -> Clearing:
    return clearing_at(":memory:", honest_day())


def sent(clearing: Clearing, parts: list[bytes], at: datetime = RECEIVED) -> dict[Fault, int]:
    for number, part in enumerate(parts):
        clearing.receive(part, at, f"part {number}")
    return clearing.examine()


def test_an_honest_day_balances_and_nothing_is_found(clearing: Clearing):
    day = honest_day()
    assert sent(clearing, messages(batches_of(day))) == {}
    balance = balance_of(clearing.engine, DAY)
    assert balance.is_balanced
    assert balance.taps == DEBITS * day.cards
    assert balance.off_cards == balance.in_records == balance.settled > 0
    assert balance.loaded == 10_000 * day.cards
    assert (balance.held, days(clearing.engine)) == (0, [DAY])
    assert sum(share.taps for share in balance.shares) == balance.taps


def test_an_honest_day_has_every_kind_of_trip_and_as_many_records_as_it_says():
    day = honest_day()
    records = [record for journal in day.journals.values() for record in journal.records]
    assert len(records) == day.size
    kinds = Counter((record.industry, TRIP_KINDS[record.trip]) for record in records)
    assert kinds == {
        (0, "EP load"): day.cards,
        (1, "EP entry"): day.cards * (TRIPS + 2),
        (1, "EP exit"): day.cards * (TRIPS + 2),
        (1, "EP fare adjust"): day.cards * 3,
        (2, "EP entry"): day.cards * 3,
        (2, "EP exit"): day.cards * 2,
        (2, "EP single"): day.cards,
        (2, "EP fare adjust"): day.cards,
    }


def test_every_operator_gets_what_was_ridden_on_its_lines(clearing: Clearing):
    day = honest_day()
    owed: Counter[tuple[str, str]] = Counter()
    for journal in day.journals.values():
        for record in journal.records:
            if record.trip != EP_LOAD:
                owed[record.operator.hex(), record.line.hex()] += record.amount
    sent(clearing, messages(batches_of(day)))
    balance = balance_of(clearing.engine, DAY)
    assert {(s.operator, s.line): s.fen for s in balance.shares} == owed
    assert {operator for operator, _ in owed} == {"1000", "3000"}  # buses, metro
    assert {line for operator, line in owed if operator == "1000"} == {"012c", "0005"}
    assert owed["1000", "0005"] == 50 * day.cards


@pytest.mark.parametrize("plant", PLANTS, ids=[p.name for p in PLANTS])
def test_what_is_planted_is_found(plant: Plant):
    assert is_found(plant, honest_day(), Random(1))


def test_the_balance_shows_what_an_altered_amount_would_have_brought(clearing: Clearing):
    batches = batches_of(honest_day())
    altered = PLANTS[1].change(batches, Random(1))
    assert altered is not None
    sent(clearing, messages(batches))
    balance = balance_of(clearing.engine, DAY)
    assert not balance.is_balanced
    assert balance.held == altered.amount
    assert balance.settled == balance.in_records - altered.amount


def test_a_replayed_record_is_counted_once(clearing: Clearing):
    batches = batches_of(honest_day())
    sent(clearing, messages(batches))
    before = balance_of(clearing.engine, DAY)
    again = [replace(r, sequence=r.sequence + 900) for r in batches[2][1]]
    found = sent(clearing, [build_batch(batches[2][0], again)])
    assert found == {Fault.DUPLICATE_RECORD: len(again), Fault.DUPLICATED_BATCH: 1}
    assert balance_of(clearing.engine, DAY) == before


def test_a_batch_delivered_again_is_taken_once_and_noted(clearing: Clearing):
    parts = messages(batches_of(honest_day()))
    sent(clearing, parts)
    before = balance_of(clearing.engine, DAY)
    assert clearing.receive(parts[0], RECEIVED).refusal is Refusal.DUPLICATE
    assert clearing.examine() == {Fault.BATCH_AGAIN: 1}
    assert list(clearing.exceptions(notes=False)) == []
    assert balance_of(clearing.engine, DAY) == before


def test_many_batches_in_one_transaction_come_to_the_same_as_one_by_one(clearing: Clearing):
    parts = messages(batches_of(honest_day()))
    post = [*parts, parts[0], parts[1][:-20], parts[1][:-20]]
    one_by_one = clearing_at(":memory:", honest_day())
    singly = [one_by_one.receive(part, RECEIVED) for part in post]
    assert clearing.receive_all(post, RECEIVED) == singly
    refusals = [answer.refusal for answer in singly[len(parts) :]]
    assert refusals == [Refusal.DUPLICATE, Refusal.END_MARK, Refusal.END_MARK]
    assert clearing.examine() == one_by_one.examine()
    assert list(clearing.exceptions()) == list(one_by_one.exceptions())


def test_of_many_batches_nothing_is_stored_if_one_cannot_be(tmp_path: Path):
    parts = messages(batches_of(honest_day()))
    clearing = clearing_at(str(tmp_path / "books.db"), honest_day())
    with clearing.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON batches WHEN "
            "(SELECT count(*) FROM batches) = 2 BEGIN SELECT RAISE(ABORT, 'no more'); END"
        )
    with pytest.raises(DatabaseError, match="no more"):
        clearing.receive_all(parts, RECEIVED)
    gates = {parse_batch(part).gate for part in parts}
    assert {clearing.last(gate) for gate in gates} == {0}


def test_a_record_that_comes_late_mends_what_its_absence_broke(clearing: Clearing):
    parts = messages(batches_of(honest_day()))
    found = sent(clearing, parts[:3] + parts[4:])
    assert found[Fault.CARD_COUNTER_GAP] > 0
    assert not balance_of(clearing.engine, DAY).is_balanced
    found = sent(clearing, [parts[3]], RECEIVED + timedelta(days=5))
    assert set(found) == {Fault.LATE}
    assert balance_of(clearing.engine, DAY).is_balanced


def test_a_truncated_batch_is_refused_whole_and_comes_whole_later(clearing: Clearing):
    part = messages(batches_of(honest_day()))[1]
    for size in (0, 1, 50, len(part) - 1):
        assert not clearing.receive(part[:size], RECEIVED, "cut off").is_kept
    assert clearing.examine() == {Fault.TRUNCATED_BATCH: 4}
    assert days(clearing.engine) == []
    assert {e.name for e in clearing.exceptions()} == {"cut off"}
    assert clearing.receive(part, RECEIVED).refusal is Refusal.NONE


def test_a_spoilt_batch_is_refused_whole(clearing: Clearing):
    part = bytearray(messages(batches_of(honest_day()))[1])
    part[300] ^= 1
    assert clearing.receive(bytes(part), RECEIVED).refusal is Refusal.CHECKSUM
    assert clearing.examine() == {Fault.SPOILT_BATCH: 1}


@pytest.mark.parametrize("when", ["20251308073000", "20250908253000", "20250908076100"])
def test_a_time_that_is_none_is_refused(clearing: Clearing, when: str):
    gate, records = batches_of(honest_day())[1]
    odd = [replace(records[0], when=bytes.fromhex(when)), *records[1:]]
    assert clearing.receive(build_batch(gate, odd), RECEIVED).refusal is Refusal.RECORDS
    assert days(clearing.engine) == []


@pytest.mark.parametrize("end_date", ["FFFFFFFF", "2026093A"])
def test_a_last_valid_day_that_is_no_day_spoils_no_batch_and_is_found(
    clearing: Clearing, end_date: str
):
    batches = batches_of(honest_day())
    records = next(part for _, part in batches if part[0].trip == 3)
    odd = records[0].info[:24] + bytes.fromhex(end_date) + records[0].info[28:]
    records[0] = replace(records[0], info=odd)
    assert sent(clearing, messages(batches)) == {Fault.EXPIRED: 1}
    assert balance_of(clearing.engine, DAY).is_balanced


def test_an_expired_card_is_found_by_the_day_it_entered(clearing: Clearing):
    batches = batches_of(honest_day())
    for _, records in batches:
        for at, record in enumerate(records):
            if record.trip == EP_LOAD:
                continue
            info = record.info[:24] + bytes.fromhex("20250907") + record.info[28:]
            records[at] = replace(record, info=info)
    found = sent(clearing, messages(batches))
    assert found == {Fault.EXPIRED: honest_day().cards * DEBITS}
    [first, *_] = clearing.exceptions()
    assert (first.wanted, first.found) == (20250907, DAY)


def test_a_missing_load_breaks_the_balance_chain_and_a_known_one_does_not():
    day = honest_day()
    batches = batches_of(day)
    # Move one load between two taps of its card: the taps before it had less money.
    desk = next(records for _, records in batches if records[0].trip == EP_LOAD)
    load = desk[0]
    for _, records in batches:
        for at, record in enumerate(records):
            if record.serial == load.serial and record.trip != EP_LOAD and record.counter <= 2:
                lower = replace(record, before=record.before - 1000, after=record.after - 1000)
                records[at] = lower
    clearing = clearing_at(":memory:", day)
    found = sent(clearing, messages(batches))
    assert found == {Fault.BROKEN_CHAIN: 1}
    [broken] = clearing.exceptions()
    assert broken.found is not None
    assert broken.wanted == broken.found - 1000


def test_a_gate_that_is_not_registered_is_found_only_where_there_is_a_register():
    parts = messages(batches_of(honest_day()))
    clearing = clearing_at(":memory:")
    assert sent(clearing, parts) == {}
    clearing.register([(b"GATE9999", bytes(6))])
    assert clearing.examine()[Fault.WRONG_TERMINAL] == honest_day().size


def test_a_gate_whose_clock_is_ahead_is_found(clearing: Clearing):
    parts = messages(batches_of(honest_day()))
    early = datetime(2025, 9, 8, 12, 0, 0)
    assert set(sent(clearing, parts, early)) == {Fault.AHEAD_OF_TIME}


def test_void_numbers_close_the_gap_of_a_terminal(clearing: Clearing):
    batches = batches_of(honest_day())
    records = next(part for _, part in batches if part[0].trip == 3)
    gone = records[1]
    records[1] = replace(gone, mark=Mark.VOID, tac=bytes(4))
    found = sent(clearing, messages(batches))
    assert Fault.TERMINAL_GAP not in found
    assert found == {Fault.CARD_COUNTER_GAP: 1}  # the card did count: the gate told a lie


def test_a_negative_counter_or_balance_never_stops_clearing(clearing: Clearing):
    batches = batches_of(honest_day())
    desk = next(records for _, records in batches if records[0].trip == EP_LOAD)
    desk[0] = replace(desk[0], counter=0)
    desk[1] = replace(desk[1], after=-5)
    assert sent(clearing, messages(batches))[Fault.BAD_TAC] == 2


def test_the_first_loss_report_counts(clearing: Clearing):
    serial = honest_day().journals[b"DESK0001"].records[0].serial
    clearing.blacklist(serial, datetime(2025, 9, 9))
    clearing.blacklist(serial, datetime(2025, 9, 8))
    clearing.blacklist(serial, datetime(2025, 9, 10))
    found = sent(clearing, messages(batches_of(honest_day())))
    assert found == {Fault.BLACKLISTED: 1 + DEBITS}


def test_an_overdraft_that_is_allowed_is_no_fault():
    batches = batches_of(honest_day())
    PLANTS[9].change(batches, Random(1))
    lenient = Clearing(open_database(":memory:"), TMK, Policy(overdraft=500))
    assert Fault.NEGATIVE_BALANCE not in sent(lenient, messages(batches))


def test_every_fault_has_a_code_and_words_in_two_languages():
    assert len(BY_CODE) == len(Fault)
    for fault in Fault:
        assert fault.zh
        assert fault.en
        assert fault.todo


def test_records_signed_by_the_test_are_what_cards_sign():
    record = next(r for _, part in batches_of(honest_day()) for r in part if r.trip == 4)
    assert signed(replace(record, tac=bytes(4))) == record


def test_batches_keep_their_identity():
    gate, records = batches_of(honest_day())[0]
    assert (
        parse_batch(build_batch(gate, records)).batch_id
        == parse_batch(build_batch(gate, records)).batch_id
    )
