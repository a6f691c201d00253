"""CAPP purchases with their records, log and proof, and all or nothing (4.15, 3.5, 4.20, 6.9)."""

import pytest

from apdu.commands import (
    DEBIT,
    EP,
    GET_PROVE,
    INIT_CAPP,
    INIT_PURCHASE,
    SELECT,
    TABLE,
)
from apdu.files import EF1A, EF1E, EF18
from apdu.purse import CAPP, LOAD, PURCHASE
from apdu.records import DebitReply, ProveData
from apdu.spec import State
from apdu.sw import SW
from emulator.card.card import Card
from emulator.card.purchase import CACHE_LIMIT
from tests.cards import OK, Failing, app_of, contents_of, sw_of, with_purse, with_trip
from tests.counter import begin, caching, log, pay, purse, stored, top_up, trip
from tests.desk import PATHS, PRELUDE, WAYS, Desk, desk_of, ready, settled, way_id

each_way = pytest.mark.parametrize("way", WAYS, ids=way_id)

# CAPP (4.15)


def ride(filler: int) -> bytes:
    return bytes((filler,)) * EF1E.size


def test_cached_records_are_written_together_with_the_debit():
    made = desk_of()
    old = [stored(made, EF1A, 1), stored(made, EF1A, 3), stored(made, EF1E, 1)]
    begin(made, INIT_CAPP, 100)
    assert caching(made, EF1A.sfi, trip(1)) == SW.OK
    assert caching(made, EF1A.sfi, trip(3, 0x33)) == SW.OK
    assert caching(made, EF1E.sfi, ride(0x22)) == SW.OK
    files = contents_of(made.card.image)
    assert [files[EF1A.sfi][0], files[EF1A.sfi][2]] == old[:2]
    assert files[EF1E.sfi] == ()
    assert made.ask(DEBIT)[-2:] == OK
    assert [stored(made, EF1A, 1), stored(made, EF1A, 3)] == [trip(1), trip(3, 0x33)]
    assert stored(made, EF1E, 1) == ride(0x22)
    assert stored(made, EF1E, 2) == bytes(EF1E.size)
    assert purse(made) == (4900, 0)


def test_a_later_cache_of_the_same_record_wins():
    made = desk_of()
    begin(made, INIT_CAPP, 0)
    for filler in (0x11, 0x22, 0x33):
        assert caching(made, EF1A.sfi, trip(2, filler), 2) == SW.OK
        assert caching(made, EF1E.sfi, ride(filler)) == SW.OK
    assert made.ask(DEBIT)[-2:] == OK
    assert stored(made, EF1A, 2) == trip(2, 0x33)
    assert (stored(made, EF1E, 1), stored(made, EF1E, 2)) == (ride(0x33), bytes(EF1E.size))


def test_a_capp_purchase_without_records_writes_none():
    made = desk_of()
    before = contents_of(made.card.image)
    assert pay(made, 100, INIT_CAPP)[-2:] == OK
    after = contents_of(made.card.image)
    assert {k: v for k, v in after.items() if k != EF18.sfi} == {
        k: v for k, v in before.items() if k != EF18.sfi
    }


@pytest.mark.parametrize("lock", [0x01, 0x80, 0xFF])
def test_a_stored_lock_byte_is_9407_and_the_new_one_does_not_matter(lock):
    made = desk_of(with_trip(trip(1, lock=lock)))
    begin(made, INIT_CAPP, 0)
    assert caching(made, EF1A.sfi, trip(1)) == SW.RECORD_LOCKED
    assert made.card.state is State.IDLE
    begin(made, INIT_CAPP, 0)
    assert caching(made, EF1A.sfi, trip(2, lock=lock)) == SW.OK


@pytest.mark.parametrize(
    ("p1", "content", "sw"),
    [
        (0, trip(1), SW.OK),
        (1, trip(1), SW.OK),
        (18, trip(18), SW.OK),
        (2, trip(1), SW.WRONG_DATA),
        (1, trip(2), SW.WRONG_DATA),
        (0, trip(19), SW.RECORD_NOT_FOUND),
        (19, trip(19), SW.RECORD_NOT_FOUND),
        (0, trip(0), SW.RECORD_NOT_FOUND),
        (1, b"\x28" + trip(1)[1:], SW.RECORD_NOT_FOUND),
        (1, trip(1) + b"\0", SW.NO_SPACE),
        (1, trip(1)[:-1], SW.WRONG_LENGTH),
    ],
)
def test_a_trip_record_is_found_by_its_id_and_p1_agrees(p1, content, sw):
    made = desk_of()
    begin(made, INIT_CAPP, 0)
    assert caching(made, EF1A.sfi, content, p1) == sw
    assert made.card.state is (State.CAPP_CACHED if sw == SW.OK else State.IDLE)


def test_one_transaction_caches_at_least_four_records_and_not_without_end():
    made = desk_of()
    begin(made, INIT_CAPP, 0)
    words = [caching(made, EF1A.sfi, trip(n)) for n in range(1, EF1A.count + 1)]
    took = words.index(SW.NO_SPACE)
    assert took == CACHE_LIMIT >= 4
    assert words[:took] == [SW.OK] * took
    assert made.card.state is State.IDLE


def test_the_trip_file_keeps_its_thirty_newest_records():
    made = desk_of()
    for n in range(EF1E.count + 3):
        begin(made, INIT_CAPP, 0)
        assert caching(made, EF1E.sfi, ride(n + 1)) == SW.OK
        assert made.ask(DEBIT)[-2:] == OK
    kept = [stored(made, EF1E, n)[0] for n in range(1, EF1E.count + 1)]
    assert kept == list(range(EF1E.count + 3, 3, -1))


# The log (3.5)


def test_the_log_is_newest_first_ten_deep_and_zero_where_unused():
    made = desk_of()
    for n in range(13):
        filled = [log(made, k) for k in range(1, EF18.count + 1)]
        expected = [*range(n, max(n - 10, 0), -1), *[0] * (10 - n)]
        assert [r.seq for r in filled] == expected[:10]
        assert [r.amount for r in filled] == expected[:10]
        assert all(r.build() == bytes(23) for r in filled if r.seq == 0)
        assert pay(made, n + 1)[-2:] == OK


def test_log_numbers_are_those_after_the_transaction_of_their_own_counter():
    made = desk_of(with_purse(online_seq=7, offline_seq=0x12))
    pay(made, 1)
    top_up(made, 2)
    pay(made, 3, INIT_CAPP)
    assert [(log(made, n).kind, log(made, n).seq) for n in (1, 2, 3)] == [
        (CAPP, 0x14),
        (LOAD, 8),
        (PURCHASE, 0x13),
    ]


def test_the_log_shows_the_overdraft_limit():
    made = desk_of(with_purse(limit=700))
    pay(made, 1)
    assert log(made).overdraft_limit == 700


# GET TRANSACTION PROVE (4.20)


def test_the_proof_has_the_number_after_and_the_reverse_order():
    made = desk_of(with_purse(offline_seq=0x13))
    done = DebitReply.parse(pay(made, 400, INIT_CAPP)[:-2])
    assert made.ask(GET_PROVE, ProveData(0x14), (0, CAPP)) == done.mac2 + done.tac + OK
    for seq in (0x13, 0x15, 0):
        assert sw_of(made.ask(GET_PROVE, ProveData(seq), (0, CAPP))) == SW.PROOF_NOT_AVAILABLE
    for kind in (LOAD, PURCHASE, 0x03, 0x07):
        assert sw_of(made.ask(GET_PROVE, ProveData(0x14), (0, kind))) == SW.PROOF_NOT_AVAILABLE


def test_a_proof_lasts_until_the_next_transaction_of_its_type():
    made = desk_of()
    first = pay(made, 1)
    top_up(made, 5)
    pay(made, 2, INIT_CAPP)
    made.card.power_off()
    made.run(SELECT)
    told = made.ask(GET_PROVE, ProveData(1), (0, PURCHASE))
    assert told == first[4:8] + first[:4] + OK
    pay(made, 3)
    assert sw_of(made.ask(GET_PROVE, ProveData(1), (0, PURCHASE))) == SW.PROOF_NOT_AVAILABLE
    assert made.ask(GET_PROVE, ProveData(3), (0, PURCHASE))[-2:] == OK


def test_nothing_is_proved_that_was_not_paid():
    made = desk_of()
    begin(made, INIT_PURCHASE, 100)
    assert sw_of(made.ask(GET_PROVE, ProveData(1), (0, PURCHASE))) == SW.PROOF_NOT_AVAILABLE


# All or nothing (6.9)


def stored_desk() -> tuple[Desk, Failing]:
    """A workshop card whose store can fail, everything selected and verified."""
    made = settled()
    store = Failing(made.card.image)
    made.card = Card(made.card._chip, store, made.card.contactless)
    made.run(*PRELUDE)
    return made, store


@each_way
def test_a_store_that_fails_is_6581_and_the_old_state(way):
    made, store = stored_desk()
    made.run(*way[:-1])
    before = made.card.image
    final = made.request(*way[-1])
    store.fails = True
    assert made.send(final).hex() == "6581"
    assert made.card.image is before is store.image
    assert made.card.state is State.IDLE
    store.fails = False
    assert made.send(final).hex() == "6901", "the transaction is lost, the money is not"
    made.run(*way)
    assert store.commits == 1


def test_only_final_commands_reach_the_store():
    made, store = stored_desk()
    for n, way in enumerate(WAYS):
        made.run(*way[:-1])
        assert store.commits == n
        made.run(way[-1])
        assert store.commits == n + 1


@each_way
def test_a_cut_after_every_command_leaves_old_or_new(way):
    whole = ready(State.IDLE)
    old = whole.card.image
    whole.run(*way)
    for done in range(len(way) + 1):
        made = ready(State.IDLE)
        assert made.card.image == old
        made.run(*way[:done])
        made.card.power_off()
        expected = old if done < len(way) else made.card.image
        assert made.card.image == expected
        assert (made.card.image == old) == (done < len(way))
        assert made.card.state is State.IDLE
        made.run(*PRELUDE, *way)


@each_way
def test_everything_of_a_transaction_changes_at_once(way):
    made = ready(State.IDLE)
    before = app_of(made.card.image)
    made.run(*way)
    after = app_of(made.card.image)
    kind = made.offer.kind
    which = way[0][1][1] if len(way) == 2 else EP
    assert after.purses[which] != before.purses[which]
    assert after.purses[3 - which] == before.purses[3 - which]
    log_file = after.purses[which].log
    new, old = after.files[log_file].content, before.files[log_file].content
    assert new[1:] == old[: len(new) - 1]
    assert after.proofs[kind] != before.proofs[kind]
    assert {k: v for k, v in after.proofs.items() if k != kind} == {
        k: v for k, v in before.proofs.items() if k != kind
    }
    assert after.keys == before.keys


@pytest.mark.parametrize("state", PATHS, ids=lambda s: s.name)
def test_the_state_dies_with_the_field(state):
    made = ready(state)
    made.card.power_off()
    assert made.card.state is State.IDLE
    made.run(*PRELUDE)
    for spec in TABLE:
        if State.IDLE not in spec.when:
            assert sw_of(made.ask(spec)) == SW.WRONG_STATE


def test_commits_outlive_the_card_object():
    made = desk_of()
    pay(made, 400)
    store = made.card._store
    again = Desk(type(made.card)(made.card._chip, store, made.card.contactless))
    again.run(SELECT)
    assert purse(again) == (4600, 0)
    assert log(again).amount == 400
