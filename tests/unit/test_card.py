"""The card, clause by clause of protocol reference 2.2 to 2.5 and 4.4 to 4.20."""

from dataclasses import replace

import pytest

from apdu.commands import (
    AID_PPSE,
    AID_PURSE,
    BALANCE_KINDS,
    CREDIT_LOAD,
    DEBIT,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_CHALLENGE,
    GET_PROVE,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    READ_RECORD,
    SELECT,
    TABLE,
    UPDATE_CACHE,
)
from apdu.crypto import Key
from apdu.files import EF1A, EF1E, EF15, EF18, LogRecord
from apdu.purse import CAPP, LOAD, PURCHASE
from apdu.records import (
    AllBalances,
    CacheData,
    DebitReply,
    InitializeData,
    InitPurchaseReply,
    ProveData,
    SelectName,
    TacReply,
)
from apdu.spec import State
from apdu.sw import SW
from emulator.card.env import ScriptedEnv
from emulator.card.purse import CACHE_LIMIT
from emulator.card.state import Application, Blocked
from tests.cards import (
    DATE,
    OK,
    PATHS,
    TERMINAL,
    TIME,
    WAYS,
    Desk,
    Failing,
    desk_in,
    new_card,
    settled,
    sw_of,
    with_purse,
    with_trip,
)

FCI = (
    "6F318408A000000632010105A5259F0801029F0C1E"
    "09981001FFFFFFFF02010310522800990000001720250901202609300200"
)
PPSE = (
    "6F2E840E325041592E5359532E4444463031A51CBF0C19"
    "61174F08A00000063201010550084D4F545F545F4550870101"
)
MF = bytes.fromhex("00A40000023F00")


def desk(change=None, **kw) -> Desk:
    made = Desk(new_card(change, **kw))
    made.run(SELECT)
    return made


def begin(made: Desk, spec, amount: int) -> bytes:
    return made.ask(spec, InitializeData(1, amount, TERMINAL))


def pay(made: Desk, amount: int, spec=INIT_PURCHASE) -> bytes:
    assert begin(made, spec, amount)[-2:] == OK
    return made.ask(DEBIT)


def top_up(made: Desk, amount: int) -> bytes:
    assert begin(made, INIT_LOAD, amount)[-2:] == OK
    return made.ask(CREDIT_LOAD)


def purse(made: Desk) -> tuple[int, int]:
    """Actual balance and overdraft in use, as GET BALANCE tells them."""
    told = AllBalances.parse(made.ask(GET_ALL_BALANCES)[:-2])
    return told.actual, told.overdraft_used


def log(made: Desk, number: int = 1) -> LogRecord:
    response = made.ask(READ_RECORD, pair=(number, EF18.sfi << 3 | 4))
    assert response[-2:] == OK
    return LogRecord.parse(response[:-2])


# SELECT (2.2 to 2.5, 4.4)


def test_the_directory_and_the_fci_are_byte_for_byte_those_of_the_reference():
    made = Desk(new_card())
    assert made.ask(SELECT, SelectName(AID_PPSE)).hex().upper() == PPSE + "9000"
    assert made.ask(SELECT, SelectName(AID_PURSE)).hex().upper() == FCI + "9000"


def test_the_master_file_answers_like_the_directory():
    made = desk()
    assert made.send(MF).hex().upper() == PPSE + "9000"
    assert made.ask(GET_BALANCE).hex() == "6a82"


def test_the_fci_shows_what_ef15_holds_now():
    content = bytes(range(30))
    made = Desk(new_card(lambda i: replace(i, files={**i.files, EF15.sfi: content})))
    fci = made.ask(SELECT)
    assert fci[-32:-2] == content
    assert made.send(bytes.fromhex("00B0950000")) == content + OK


@pytest.mark.parametrize("size", range(1, 17))
def test_five_bytes_or_more_of_a_name_select_it(size):
    name = AID_PURSE[:size] if size <= 8 else AID_PURSE + bytes(size - 8)
    response = Desk(new_card()).send(bytes((0x00, 0xA4, 0x04, 0x00, size)) + name)
    if size < 5:
        assert response.hex() == "6700"
    elif size <= 8:
        assert response.hex().upper() == FCI + "9000"
    else:
        assert response.hex() == "6a82"


def test_a_short_name_selects_the_longer_instance():
    card = new_card()
    directory, app = card._chip.applications
    name = AID_PURSE + bytes.fromhex("10009156000014A1")
    longer = Application(name, app.fci_head, app.fci_file, app.files, app.has_purse)
    card._chip = replace(card._chip, applications=(directory, longer))
    made = Desk(card)
    for n in (5, 8, 16):
        assert made.ask(SELECT, SelectName(name[:n]))[-2:] == OK
        assert made.ask(GET_BALANCE)[-2:] == OK


@pytest.mark.parametrize("name", ["D2760000850101", "A00000000386980701", "A000000632010106"])
def test_an_unknown_application_is_6a82_and_the_old_one_stays(name):
    made = desk()
    assert made.ask(SELECT, SelectName(bytes.fromhex(name))).hex() == "6a82"
    assert made.ask(GET_BALANCE)[-2:] == OK


def test_power_on_selects_the_directory_and_gives_the_historical_bytes():
    made = desk()
    assert made.card.power_on() == made.card.contactless.historical
    assert made.ask(GET_BALANCE).hex() == "6a82"


# Blocked (2.5, 4.19)


def blocked(how: Blocked) -> Desk:
    made = Desk(new_card(lambda i: replace(i, blocked=how)))
    assert made.ask(SELECT).hex().upper() == FCI + "6A81"
    return made


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_a_blocked_purse_answers_select_with_fci_and_6a81_and_nothing_else(how):
    word = SW.BLOCKED if how is Blocked.TEMPORARY else SW.PERMANENTLY_BLOCKED
    for spec in TABLE:
        made = blocked(how)
        sw = sw_of(made.ask(spec))
        if spec.if_blocked:
            assert sw in (SW.OK, SW.BLOCKED)
        else:
            assert sw == word, spec.name


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_a_blocked_purse_gives_a_challenge(how):
    assert len(blocked(how).ask(GET_CHALLENGE)) == 6


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_blocked_comes_after_class_and_instruction_and_before_parameters(how):
    word = f"{SW.BLOCKED if how is Blocked.TEMPORARY else SW.PERMANENTLY_BLOCKED:04x}"
    made = blocked(how)
    assert made.send(bytes.fromhex("E05C000204")).hex() == "6e00"
    assert made.send(bytes.fromhex("80FF000204")).hex() == "6d00"
    assert made.send(bytes.fromhex("805CFFFF04")).hex() == word
    assert made.send(bytes.fromhex("8050010201AA")).hex() == word


def test_the_directory_of_a_blocked_card_still_answers():
    made = blocked(Blocked.TEMPORARY)
    assert made.ask(SELECT, SelectName(AID_PPSE)).hex().upper() == PPSE + "9000"
    assert made.ask(GET_BALANCE).hex() == "6a82"


# GET CHALLENGE (4.9)


def test_a_challenge_lives_for_one_command():
    made = desk(env=ScriptedEnv([b"abcd", b"efghijkl"]))
    assert made.ask(GET_CHALLENGE) == b"abcd" + OK
    assert made.card._card.challenge == b"abcd"
    made.ask(GET_BALANCE)
    assert made.card._card.challenge is None
    assert made.send(bytes.fromhex("0084000008")) == b"efghijkl" + OK
    made.card.power_off()
    assert made.card._card.challenge is None


# GET BALANCE (4.12)


def test_each_balance_has_its_word():
    made = desk(with_purse(ceiling=100_000, actual=0, limit=700, used=300))
    words = {"available": 400, "overdraft limit": 700, "overdraft in use": 300}
    words |= {"actual": 0, "ceiling": 100_000}
    assert set(words) == set(BALANCE_KINDS.values())
    for pair, kind in BALANCE_KINDS.items():
        assert made.ask(GET_BALANCE, pair=pair) == words[kind].to_bytes(4, "big") + OK


def test_all_balances_come_in_the_order_of_the_capture():
    made = desk(with_purse(ceiling=0x7A120, actual=0x2B22))
    told = "00002B220007A1200000000000000000"
    assert made.ask(GET_ALL_BALANCES).hex().upper() == told + "9000"


@pytest.mark.parametrize("p1", range(0x06, 0x0C))
def test_the_second_purse_is_6a86(p1):
    assert desk().send(bytes((0x80, 0x5C, p1, 0x02, 0x04))).hex() == "6a86"


# Load (4.13)


def test_a_load_is_added_numbered_logged_and_proved():
    made = desk()
    response = top_up(made, 2500)
    assert purse(made) == (7500, 0)
    assert made.card.image.purse.online_seq == 1
    assert log(made) == LogRecord(1, 0, 2500, LOAD, TERMINAL, DATE, TIME)
    proof = made.ask(GET_PROVE, ProveData(1), (0, LOAD))
    assert proof[4:8] == TacReply.parse(response[:-2]).tac


@pytest.mark.parametrize(
    ("used", "amount", "after"), [(300, 100, (0, 200)), (300, 300, (0, 0)), (300, 500, (200, 0))]
)
def test_a_load_repays_the_overdraft_first(used, amount, after):
    made = desk(with_purse(actual=0, limit=700, used=used))
    assert top_up(made, amount)[-2:] == OK
    assert purse(made) == after


@pytest.mark.parametrize(
    ("numbers", "amount", "sw"),
    [
        ({"actual": 99_999}, 1, SW.OK),
        ({"actual": 99_999}, 2, SW.CONDITIONS_OF_USE),
        ({"actual": 100_000}, 1, SW.CONDITIONS_OF_USE),
        ({"actual": 0}, 0, SW.CONDITIONS_OF_USE),
        ({"actual": 0}, 0xFFFFFFFF, SW.CONDITIONS_OF_USE),
        ({"actual": 0, "limit": 700, "used": 700}, 100_700, SW.OK),
        ({"actual": 0, "limit": 700, "used": 700}, 100_701, SW.CONDITIONS_OF_USE),
    ],
)
def test_a_load_fits_under_the_ceiling_or_is_6985(numbers, amount, sw):
    made = desk(with_purse(**numbers))
    assert sw_of(begin(made, INIT_LOAD, amount)) == sw
    if sw == SW.OK:
        assert made.ask(CREDIT_LOAD)[-2:] == OK
        assert purse(made)[0] == made.card.image.purse.ceiling or amount == 1


# Purchase (4.14, 4.16)


@pytest.mark.parametrize("spec", [INIT_PURCHASE, INIT_CAPP], ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("numbers", "amount", "after"),
    [
        ({"actual": 400}, 400, (0, 0)),
        ({"actual": 400}, 401, None),
        ({"actual": 400, "limit": 700}, 1100, (0, 700)),
        ({"actual": 400, "limit": 700}, 500, (0, 100)),
        ({"actual": 400, "limit": 700}, 1101, None),
        ({"actual": 0, "limit": 700, "used": 600}, 100, (0, 700)),
        ({"actual": 0, "limit": 700, "used": 600}, 101, None),
        ({"actual": 0}, 0, (0, 0)),
        ({"actual": 0}, 1, None),
        ({"actual": 0}, 0xFFFFFFFF, None),
    ],
)
def test_a_purchase_takes_own_money_then_the_overdraft_or_is_9401(spec, numbers, amount, after):
    made = desk(with_purse(**numbers))
    if after is None:
        assert sw_of(begin(made, spec, amount)) == SW.BALANCE_TOO_LOW
        return
    assert pay(made, amount, spec)[-2:] == OK
    assert purse(made) == after


@pytest.mark.parametrize("spec", [INIT_PURCHASE, INIT_CAPP], ids=lambda s: s.name)
def test_the_offer_includes_the_overdraft_limit(spec):
    made = desk(with_purse(actual=400, limit=700, offline_seq=0x12))
    offer = InitPurchaseReply.parse(begin(made, spec, 0)[:-2])
    assert (offer.balance, offer.overdraft_limit, offer.offline_seq) == (1100, 700, 0x12)
    assert (offer.key_version, offer.algorithm) == (1, 0)


@pytest.mark.parametrize("spec", [INIT_PURCHASE, INIT_CAPP], ids=lambda s: s.name)
def test_a_purchase_of_nothing_is_numbered_and_logged(spec):
    made = desk()
    assert pay(made, 0, spec)[-2:] == OK
    kind = PURCHASE if spec is INIT_PURCHASE else CAPP
    assert log(made) == LogRecord(1, 0, 0, kind, TERMINAL, DATE, TIME)
    assert purse(made) == (5000, 0)


# Keys, numbers, MACs

INITIALIZES = [s for s in TABLE if s.data is InitializeData]
each_initialize = pytest.mark.parametrize("spec", INITIALIZES, ids=lambda s: s.name)


@each_initialize
@pytest.mark.parametrize("index", [0, 2, 0x41, 0xFF])
def test_a_wrong_key_index_is_9403(spec, index):
    made = desk()
    assert sw_of(made.ask(spec, InitializeData(index, 1, TERMINAL))) == SW.KEY_INDEX


@each_initialize
def test_a_number_at_its_maximum_is_9402_and_the_last_one_before_works(spec):
    full = desk(with_purse(online_seq=0xFFFF, offline_seq=0xFFFF))
    assert sw_of(begin(full, spec, 1)) == SW.COUNTER_AT_MAXIMUM
    last = desk(with_purse(online_seq=0xFFFE, offline_seq=0xFFFE))
    assert begin(last, spec, 1)[-2:] == OK
    final = CREDIT_LOAD if spec is INIT_LOAD else DEBIT
    assert last.ask(final)[-2:] == OK
    assert sw_of(begin(last, spec, 1)) == SW.COUNTER_AT_MAXIMUM
    assert log(last).seq == 0xFFFF


@each_initialize
def test_key_comes_before_number_and_number_before_money(spec):
    made = desk(with_purse(online_seq=0xFFFF, offline_seq=0xFFFF))
    assert sw_of(made.ask(spec, InitializeData(9, 0xFFFFFFFF, TERMINAL))) == SW.KEY_INDEX
    assert sw_of(begin(made, spec, 0xFFFFFFFF)) == SW.COUNTER_AT_MAXIMUM


@each_initialize
def test_any_number_of_initialize_uses_no_number_up(spec):
    made = desk()
    before = made.card.image
    offers = [begin(made, spec, 1) for _ in range(50)]
    assert made.card.image is before
    parsed = [spec.parse_reply(o[:-2]) for o in offers]
    assert len({p.random for p in parsed}) == 50
    assert len({p.balance for p in parsed}) == 1
    final = CREDIT_LOAD if spec is INIT_LOAD else DEBIT
    assert made.ask(final)[-2:] == OK, "the last offer counts"


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
@pytest.mark.parametrize("byte", range(1, 5))
def test_a_wrong_mac_is_9302_and_nothing_changes(way, byte):
    made = desk()
    made.run(*way[:-1])
    before = made.card.image
    command = bytearray(made.request(way[-1]))
    command[5 + command[4] - byte] ^= 0x01
    assert made.send(bytes(command)).hex() == "9302"
    assert made.card.image is before
    assert made.card.state is State.IDLE
    assert sw_of(made.ask(way[-1])) == SW.WRONG_STATE, "the random number is used up"


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
def test_a_mac_under_another_key_is_9302(way):
    made = desk()
    made.run(*way[:-1])
    other = Key(bytes(range(16)))
    made.keys = replace(made.keys, dpk=other, dlk=other)
    assert made.ask(way[-1]).hex() == "9302"


def test_the_mac_of_a_purchase_does_not_fit_a_capp_purchase():
    made = desk(env=ScriptedEnv([b"same", b"same"]))
    begin(made, INIT_PURCHASE, 100)
    debit = made.request(DEBIT)
    begin(made, INIT_CAPP, 100)
    assert made.send(debit).hex() == "9302"


def test_a_debit_heard_twice_is_paid_once():
    made = desk()
    begin(made, INIT_PURCHASE, 100)
    debit = made.request(DEBIT)
    assert made.send(debit)[-2:] == OK
    assert made.send(debit).hex() == "6901"
    assert purse(made) == (4900, 0)


# CAPP (4.15)


def caching(made: Desk, sfi: int, content: bytes, p1: int = 0) -> int:
    return sw_of(made.ask(UPDATE_CACHE, CacheData(content), (p1, sfi << 3)))


def trip(number: int, filler: int = 0x11, lock: int = 0) -> bytes:
    return bytes((0x27, number, 0x7D, 1, 1, lock)) + bytes((filler,)) * 122


def ride(filler: int) -> bytes:
    return bytes((filler,)) * EF1E.size


def stored(made: Desk, file, number: int) -> bytes:
    return made.ask(READ_RECORD, pair=(number, file.sfi << 3 | 4))[:-2]


def test_cached_records_are_written_together_with_the_debit():
    made = desk()
    old = [stored(made, EF1A, 1), stored(made, EF1A, 3), stored(made, EF1E, 1)]
    begin(made, INIT_CAPP, 100)
    assert caching(made, EF1A.sfi, trip(1)) == SW.OK
    assert caching(made, EF1A.sfi, trip(3, 0x33)) == SW.OK
    assert caching(made, EF1E.sfi, ride(0x22)) == SW.OK
    files = made.card.image.files
    assert [files[EF1A.sfi][0], files[EF1A.sfi][2]] == old[:2]
    assert files[EF1E.sfi] == ()
    assert made.ask(DEBIT)[-2:] == OK
    assert [stored(made, EF1A, 1), stored(made, EF1A, 3)] == [trip(1), trip(3, 0x33)]
    assert stored(made, EF1E, 1) == ride(0x22)
    assert stored(made, EF1E, 2) == bytes(EF1E.size)
    assert purse(made) == (4900, 0)


def test_a_later_cache_of_the_same_record_wins():
    made = desk()
    begin(made, INIT_CAPP, 0)
    for filler in (0x11, 0x22, 0x33):
        assert caching(made, EF1A.sfi, trip(2, filler), 2) == SW.OK
        assert caching(made, EF1E.sfi, ride(filler)) == SW.OK
    assert made.ask(DEBIT)[-2:] == OK
    assert stored(made, EF1A, 2) == trip(2, 0x33)
    assert (stored(made, EF1E, 1), stored(made, EF1E, 2)) == (ride(0x33), bytes(EF1E.size))


def test_a_capp_purchase_without_records_writes_none():
    made = desk()
    before = made.card.image.files
    assert pay(made, 100, INIT_CAPP)[-2:] == OK
    after = made.card.image.files
    assert {k: v for k, v in after.items() if k != EF18.sfi} == {
        k: v for k, v in before.items() if k != EF18.sfi
    }


@pytest.mark.parametrize("lock", [0x01, 0x80, 0xFF])
def test_a_stored_lock_byte_is_9407_and_the_new_one_does_not_matter(lock):
    made = desk(with_trip(trip(1, lock=lock)))
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
    made = desk()
    begin(made, INIT_CAPP, 0)
    assert caching(made, EF1A.sfi, content, p1) == sw
    assert made.card.state is (State.CAPP_CACHED if sw == SW.OK else State.IDLE)


def test_one_transaction_caches_at_least_four_records_and_not_without_end():
    made = desk()
    begin(made, INIT_CAPP, 0)
    words = [caching(made, EF1A.sfi, trip(n)) for n in range(1, EF1A.count + 1)]
    took = words.index(SW.NO_SPACE)
    assert took == CACHE_LIMIT >= 4
    assert words[:took] == [SW.OK] * took
    assert made.card.state is State.IDLE


def test_the_trip_file_keeps_its_thirty_newest_records():
    made = desk()
    for n in range(EF1E.count + 3):
        begin(made, INIT_CAPP, 0)
        assert caching(made, EF1E.sfi, ride(n + 1)) == SW.OK
        assert made.ask(DEBIT)[-2:] == OK
    kept = [stored(made, EF1E, n)[0] for n in range(1, EF1E.count + 1)]
    assert kept == list(range(EF1E.count + 3, 3, -1))


# The log (3.5)


def test_the_log_is_newest_first_ten_deep_and_zero_where_unused():
    made = desk()
    for n in range(13):
        filled = [log(made, k) for k in range(1, EF18.count + 1)]
        expected = [*range(n, max(n - 10, 0), -1), *[0] * (10 - n)]
        assert [r.seq for r in filled] == expected[:10]
        assert [r.amount for r in filled] == expected[:10]
        assert all(r.build() == bytes(23) for r in filled if r.seq == 0)
        assert pay(made, n + 1)[-2:] == OK


def test_log_numbers_are_those_after_the_transaction_of_their_own_counter():
    made = desk(with_purse(online_seq=7, offline_seq=0x12))
    pay(made, 1)
    top_up(made, 2)
    pay(made, 3, INIT_CAPP)
    assert [(log(made, n).kind, log(made, n).seq) for n in (1, 2, 3)] == [
        (CAPP, 0x14),
        (LOAD, 8),
        (PURCHASE, 0x13),
    ]


def test_the_log_shows_the_overdraft_limit():
    made = desk(with_purse(limit=700))
    pay(made, 1)
    assert log(made).overdraft_limit == 700


# GET TRANSACTION PROVE (4.20)


def test_the_proof_has_the_number_after_and_the_reverse_order():
    made = desk(with_purse(offline_seq=0x13))
    done = DebitReply.parse(pay(made, 400, INIT_CAPP)[:-2])
    assert made.ask(GET_PROVE, ProveData(0x14), (0, CAPP)) == done.mac2 + done.tac + OK
    for seq in (0x13, 0x15, 0):
        assert sw_of(made.ask(GET_PROVE, ProveData(seq), (0, CAPP))) == SW.PROOF_NOT_AVAILABLE
    for kind in (LOAD, PURCHASE, 0x03, 0x07):
        assert sw_of(made.ask(GET_PROVE, ProveData(0x14), (0, kind))) == SW.PROOF_NOT_AVAILABLE


def test_a_proof_lasts_until_the_next_transaction_of_its_type():
    made = desk()
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
    made = desk()
    begin(made, INIT_PURCHASE, 100)
    assert sw_of(made.ask(GET_PROVE, ProveData(1), (0, PURCHASE))) == SW.PROOF_NOT_AVAILABLE


# All or nothing (6.9)


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
def test_a_store_that_fails_is_6581_and_the_old_state(way):
    stores: list[Failing] = []

    def store(image):
        stores.append(Failing(image))
        return stores[0]

    made = desk(store=store)
    made.run(*way[:-1])
    before = made.card.image
    final = made.request(way[-1])
    stores[0].fails = True
    assert made.send(final).hex() == "6581"
    assert made.card.image is before is stores[0].image
    assert made.card.state is State.IDLE
    stores[0].fails = False
    assert made.send(final).hex() == "6901", "the transaction is lost, the money is not"
    made.run(*way)
    assert stores[0].commits == 1


def test_only_final_commands_reach_the_store():
    stores: list[Failing] = []

    def store(image):
        stores.append(Failing(image))
        return stores[0]

    made = desk(store=store)
    for n, way in enumerate(WAYS):
        made.run(*way[:-1])
        assert stores[0].commits == n
        made.run(way[-1])
        assert stores[0].commits == n + 1


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
def test_a_cut_after_every_command_leaves_old_or_new(way):
    whole = settled()
    old = whole.card.image
    whole.run(*way)
    for done in range(len(way) + 1):
        made = settled()
        assert made.card.image == old
        made.run(*way[:done])
        made.card.power_off()
        expected = old if done < len(way) else made.card.image
        assert made.card.image == expected
        assert (made.card.image == old) == (done < len(way))
        assert made.card.state is State.IDLE
        made.run(SELECT, *way)


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
def test_everything_of_a_transaction_changes_at_once(way):
    made = settled()
    before = made.card.image
    made.run(*way)
    after = made.card.image
    kind = made.offer.kind
    assert after.purse != before.purse
    assert after.files[EF18.sfi][1:] == before.files[EF18.sfi][: len(after.files[EF18.sfi]) - 1]
    assert after.proofs[kind] != before.proofs[kind]
    assert {k: v for k, v in after.proofs.items() if k != kind} == {
        k: v for k, v in before.proofs.items() if k != kind
    }


def test_the_state_dies_with_the_field():
    for state in PATHS:
        made = desk_in(state)
        made.card.power_off()
        assert made.card.state is State.IDLE
        made.run(SELECT)
        for spec in TABLE:
            if State.IDLE not in spec.when:
                assert sw_of(made.ask(spec)) == SW.WRONG_STATE


def test_commits_outlive_the_card_object():
    made = desk()
    pay(made, 400)
    store = made.card._store
    again = Desk(type(made.card)(made.card._chip, store, made.card.contactless))
    again.run(SELECT)
    assert purse(again) == (4600, 0)
    assert log(again).amount == 400
