"""The payer: one payment for one key, whatever is lost on the way."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from issuer.payer import Answer, Mishap, PayerAway, PayerError, SoftPayer
from tests.offices import NOW, Office


def payer_of(office: Office, *mishaps: Mishap | None) -> SoftPayer:
    """A payer to whom the mishaps happen, one at each request."""
    left = list(mishaps)
    return SoftPayer(office.engine, lambda: NOW, lambda kind, key: left.pop(0) if left else None)


def test_a_charge_is_made_once_for_its_key(office: Office):
    payer = payer_of(office)
    for _ in range(3):
        assert payer.charge("a", 5000, "card1") == Answer("a", 5000, True)
    assert payer.total("charge") == 5000


@pytest.mark.parametrize(("mishap", "moved"), [(Mishap.LOST_BEFORE, 0), (Mishap.LOST_AFTER, 5000)])
def test_who_got_no_answer_asks_again_and_pays_once(office: Office, mishap: Mishap, moved: int):
    payer = payer_of(office, mishap)
    with pytest.raises(PayerAway, match="ask again with the same key"):
        payer.charge("a", 5000, "card1")
    assert payer.total("charge") == moved
    assert payer.charge("a", 5000, "card1").is_done
    assert payer.total("charge") == 5000


def test_a_decline_is_final_for_its_key(office: Office):
    payer = payer_of(office, Mishap.DECLINED)
    assert not payer.charge("a", 5000, "card1").is_done
    assert not payer.charge("a", 5000, "card1").is_done
    assert payer.charge("b", 5000, "card1").is_done
    assert payer.total("charge") == 5000


def test_a_refund_is_made_once_and_never_above_its_charge(office: Office):
    payer = payer_of(office, None, Mishap.LOST_AFTER)
    payer.charge("a", 5000, "card1")
    with pytest.raises(PayerAway):
        payer.refund("r", 3000, "card1", "a")
    assert payer.refund("r", 3000, "card1", "a").is_done
    with pytest.raises(PayerError, match="2000 fen of charge a can be given back, not 2001"):
        payer.refund("s", 2001, "card1", "a")
    assert payer.refund("s", 2000, "card1", "a").is_done
    assert payer.total("refund") == 5000


def test_a_payout_needs_no_charge(office: Office):
    payer = payer_of(office)
    assert payer.refund("r", 100, "card1").is_done
    assert payer.total("refund") == 100


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "5"])
def test_an_amount_that_is_none_moves_nothing(office: Office, amount):
    payer = payer_of(office)
    with pytest.raises(PayerError, match="whole fen above 0"):
        payer.charge("a", amount, "card1")
    with pytest.raises(PayerError, match="whole fen above 0"):
        payer.refund("a", amount, "card1")
    assert payer.total("charge") == payer.total("refund") == 0


def test_a_key_is_not_used_for_another_payment(office: Office):
    payer = payer_of(office)
    payer.charge("a", 5000, "card1")
    for again in (
        lambda: payer.charge("a", 5001, "card1"),
        lambda: payer.charge("a", 5000, "card2"),
        lambda: payer.refund("a", 5000, "card1"),
    ):
        with pytest.raises(PayerError, match="use a new key"):
            again()


def test_what_was_not_charged_is_not_given_back(office: Office):
    payer = payer_of(office, Mishap.DECLINED)
    payer.charge("declined", 5000, "card1")
    payer.charge("a", 5000, "card1")
    for charge, account in (("nothing", "card1"), ("a", "card2"), ("declined", "card1")):
        with pytest.raises(PayerError):
            payer.refund("r", 1, account, charge)
    assert payer.total("refund") == 0


def test_one_key_asked_by_many_at_once_moves_money_once(office: Office):
    payer = payer_of(office)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: payer.charge("a", 5000, "card1"), range(40)))
    assert set(answers) == {Answer("a", 5000, True)}
    assert payer.total("charge") == 5000


def test_refunds_of_many_at_once_never_exceed_the_charge(office: Office):
    payer = payer_of(office)
    payer.charge("a", 5000, "card1")

    def give(number: int) -> bool:
        try:
            return payer.refund(f"r{number}", 1000, "card1", "a").is_done
        except PayerError:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(give, range(20))) == 5
    assert payer.total("refund") == 5000


def test_one_refund_asked_by_many_at_once_is_given_once_and_told_to_all(office: Office):
    """On PostgreSQL all have looked for the key before the first has locked the charge."""
    payer = payer_of(office)
    with ThreadPoolExecutor(16) as pool:
        for number in range(10):
            payer.charge(f"c{number}", 5000, "card1")
            wish = (f"r{number}", 5000, "card1", f"c{number}")
            given = list(pool.map(lambda _, wish=wish: payer.refund(*wish), range(16)))
            assert set(given) == {Answer(f"r{number}", 5000, True)}
    assert payer.total("refund") == 50_000
