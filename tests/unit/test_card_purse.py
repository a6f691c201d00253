"""Balance, load and purchase; keys, numbers and MACs of every transaction (4.12 to 4.18)."""

from dataclasses import replace

import pytest

from apdu.commands import (
    BALANCE_KINDS,
    CREDIT_LOAD,
    DEBIT,
    ED,
    EP,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    TABLE,
)
from apdu.crypto import Key
from apdu.files import LogRecord
from apdu.purse import CAPP, LOAD, PURCHASE
from apdu.records import InitializeData, InitLimitData, InitPurchaseReply, ProveData, TacReply
from apdu.spec import State
from apdu.sw import SW
from emulator.card.env import ScriptedEnv
from tests.cards import DATE, OK, TERMINAL, TIME, both, sw_of, with_purse
from tests.counter import begin, final_of, log, make, opening, pay, purse, top_up
from tests.desk import PRELUDE, WAYS, Desk, desk_of, ready, settled, way_id

# GET BALANCE (4.12)


def test_each_balance_has_its_word():
    made = desk_of(with_purse(ceiling=100_000, actual=0, limit=700, used=300))
    words = {"available": 400, "overdraft limit": 700, "overdraft in use": 300}
    words |= {"actual": 0, "ceiling": 100_000}
    assert set(words) == {kind for pair, kind in BALANCE_KINDS.items() if pair[1] == EP}
    for pair, kind in BALANCE_KINDS.items():
        if pair[1] == ED:
            assert made.ask(GET_BALANCE, pair=pair).hex() == "6a86", "the card has no ED"
            continue
        assert made.ask(GET_BALANCE, pair=pair) == words[kind].to_bytes(4, "big") + OK


def test_all_balances_come_in_the_order_of_the_capture():
    made = desk_of(with_purse(ceiling=0x7A120, actual=0x2B22))
    told = "00002B220007A1200000000000000000"
    assert made.ask(GET_ALL_BALANCES).hex().upper() == told + "9000"


@pytest.mark.parametrize("p1", range(0x06, 0x0C))
def test_the_second_purse_is_6a86(p1):
    assert desk_of().send(bytes((0x80, 0x5C, p1, 0x02, 0x04))).hex() == "6a86"


# Load (4.13)


def test_a_load_is_added_numbered_logged_and_proved():
    made = desk_of()
    response = top_up(made, 2500)
    assert purse(made) == (7500, 0)
    assert made.card.purse.online_seq == 1
    assert log(made) == LogRecord(1, 0, 2500, LOAD, TERMINAL, DATE, TIME)
    proof = made.ask(GET_PROVE, ProveData(1), (0, LOAD))
    assert proof[4:8] == TacReply.parse(response[:-2]).tac


@pytest.mark.parametrize(
    ("used", "amount", "after"), [(300, 100, (0, 200)), (300, 300, (0, 0)), (300, 500, (200, 0))]
)
def test_a_load_repays_the_overdraft_first(used, amount, after):
    made = desk_of(with_purse(actual=0, limit=700, used=used))
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
    made = desk_of(with_purse(**numbers))
    assert sw_of(begin(made, INIT_LOAD, amount)) == sw
    if sw == SW.OK:
        assert made.ask(CREDIT_LOAD)[-2:] == OK
        assert purse(made)[0] == made.card.purse.ceiling or amount == 1


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
    made = desk_of(with_purse(**numbers))
    if after is None:
        assert sw_of(begin(made, spec, amount)) == SW.BALANCE_TOO_LOW
        return
    assert pay(made, amount, spec)[-2:] == OK
    assert purse(made) == after


@pytest.mark.parametrize("spec", [INIT_PURCHASE, INIT_CAPP], ids=lambda s: s.name)
def test_the_offer_includes_the_overdraft_limit(spec):
    made = desk_of(with_purse(actual=400, limit=700, offline_seq=0x12))
    offer = InitPurchaseReply.parse(begin(made, spec, 0)[:-2])
    assert (offer.balance, offer.overdraft_limit, offer.offline_seq) == (1100, 700, 0x12)
    assert (offer.key_version, offer.algorithm) == (1, 0)


@pytest.mark.parametrize("spec", [INIT_PURCHASE, INIT_CAPP], ids=lambda s: s.name)
def test_a_purchase_of_nothing_is_numbered_and_logged(spec):
    made = desk_of()
    assert pay(made, 0, spec)[-2:] == OK
    kind = PURCHASE if spec is INIT_PURCHASE else CAPP
    assert log(made) == LogRecord(1, 0, 0, kind, TERMINAL, DATE, TIME)
    assert purse(made) == (5000, 0)


# Keys, numbers, MACs

INITIALIZES = [
    (spec, pair)
    for spec in TABLE
    if spec.data in (InitializeData, InitLimitData)
    for pair in spec.params.examples()
]
each_initialize = pytest.mark.parametrize(
    ("spec", "pair"), INITIALIZES, ids=[f"{s.name}-{p[1]:02X}" for s, p in INITIALIZES]
)
each_way = pytest.mark.parametrize("way", WAYS, ids=way_id)


def desk_with(**numbers: int) -> Desk:
    """A workshop card with these numbers in both purses, the PIN verified."""
    made = settled()
    change = both(with_purse(1, **numbers), with_purse(2, **numbers))
    made.card._store.commit(change(made.card.image))
    made.card.power_on()
    made.run(*PRELUDE)
    return made


@each_initialize
@pytest.mark.parametrize("index", [0, 2, 0x41, 0xFF])
def test_a_wrong_key_index_is_9403(spec, pair, index):
    made = desk_with()
    assert sw_of(made.ask(spec, opening(spec, 1, index), pair)) == SW.KEY_INDEX


@each_initialize
def test_a_number_at_its_maximum_is_9402_and_the_last_one_before_works(spec, pair):
    full = desk_with(online_seq=0xFFFF, offline_seq=0xFFFF)
    assert sw_of(begin(full, spec, 1, pair)) == SW.COUNTER_AT_MAXIMUM
    last = desk_with(online_seq=0xFFFE, offline_seq=0xFFFE)
    assert make(last, spec, 1, pair)[-2:] == OK
    assert sw_of(begin(last, spec, 1, pair)) == SW.COUNTER_AT_MAXIMUM
    assert 0xFFFF in last.done.values()


@each_initialize
def test_key_comes_before_number_and_number_before_money(spec, pair):
    made = desk_with(online_seq=0xFFFF, offline_seq=0xFFFF)
    assert sw_of(made.ask(spec, opening(spec, 0xFFFFFFFF, 9), pair)) == SW.KEY_INDEX
    assert sw_of(begin(made, spec, 0xFFFFFFFF, pair)) == SW.COUNTER_AT_MAXIMUM


@each_initialize
def test_any_number_of_initialize_uses_no_number_up(spec, pair):
    made = desk_with()
    before = made.card.image
    offers = [begin(made, spec, 1, pair) for _ in range(50)]
    assert made.card.image is before
    parsed = [spec.parse_reply(o[:-2]) for o in offers]
    assert len({p.random for p in parsed}) == 50
    assert len({p.balance for p in parsed}) == 1
    assert made.ask(final_of(spec))[-2:] == OK, "the last offer counts"


@each_way
@pytest.mark.parametrize("byte", range(1, 5))
def test_a_wrong_mac_is_9302_and_nothing_changes(way, byte):
    made = ready(State.IDLE)
    made.run(*way[:-1])
    before = made.card.image
    spec, pair = way[-1]
    command = bytearray(made.request(spec, pair))
    command[5 + command[4] - byte] ^= 0x01
    assert made.send(bytes(command)).hex() == "9302"
    assert made.card.image is before
    assert made.card.state is State.IDLE
    assert sw_of(made.ask(spec, pair=pair)) == SW.WRONG_STATE, "the random number is used up"


@each_way
def test_a_mac_under_another_key_is_9302(way):
    made = ready(State.IDLE)
    made.run(*way[:-1])
    other = Key(bytes(range(1, 17)))
    made.keys = replace(made.keys, dpk=other, dlk=other, dulk=other, duk=other)
    assert made.ask(way[-1][0], pair=way[-1][1]).hex() == "9302"


def test_the_mac_of_a_purchase_does_not_fit_a_capp_purchase():
    made = desk_of(env=ScriptedEnv([b"same", b"same"]))
    begin(made, INIT_PURCHASE, 100)
    debit = made.request(DEBIT)
    begin(made, INIT_CAPP, 100)
    assert made.send(debit).hex() == "9302"


def test_a_debit_heard_twice_is_paid_once():
    made = desk_of()
    begin(made, INIT_PURCHASE, 100)
    debit = made.request(DEBIT)
    assert made.send(debit)[-2:] == OK
    assert made.send(debit).hex() == "6901"
    assert purse(made) == (4900, 0)
