"""Where a returned card's money is paid back, to the fen (domain facts 1.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.policy import IssuerPolicy
from issuer.refunds import Channel, Refund, channel_of, refund
from issuer.refusal import Refusal

INCLUSIVE, EXCLUSIVE = IssuerPolicy(), IssuerPolicy(refund_outlet_threshold_inclusive=False)


@pytest.mark.rule("R32")
@pytest.mark.parametrize(
    ("balance", "policy", "channel"),
    [
        (19_999, INCLUSIVE, Channel.APP),
        (20_000, INCLUSIVE, Channel.OUTLET),
        (20_001, INCLUSIVE, Channel.OUTLET),
        (19_999, EXCLUSIVE, Channel.APP),
        (20_000, EXCLUSIVE, Channel.APP),
        (20_001, EXCLUSIVE, Channel.OUTLET),
        (1, INCLUSIVE, Channel.APP),
        (0, INCLUSIVE, Channel.NONE),
        (0, EXCLUSIVE, Channel.NONE),
        (9_999, IssuerPolicy(refund_outlet_from=10_000), Channel.APP),
        (10_000, IssuerPolicy(refund_outlet_from=10_000), Channel.OUTLET),
    ],
)
def test_the_amount_decides_who_pays(balance, policy, channel):
    assert channel_of(balance, policy) is channel
    paid = refund(balance, policy, has_open_trip=False)
    assert (paid.channel, paid.amount) == (channel, balance)


@pytest.mark.rule("R31")
def test_a_trip_without_exit_comes_first_unless_the_knob_says_otherwise():
    refusal = refund(5000, INCLUSIVE, has_open_trip=True)
    assert (refusal.rule, refusal.reason) == ("R31", "open_trip")
    loose = IssuerPolicy(refund_requires_closed_trip=False)
    assert refund(5000, loose, has_open_trip=True).channel is Channel.APP


@pytest.mark.rule("R31")
def test_an_overdraft_is_paid_first():
    refusal = refund(-1, INCLUSIVE, has_open_trip=False)
    assert (refusal.rule, refusal.reason) == ("R31", "overdrawn")
    assert "overdrawn by 0.01 yuan" in refusal.en
    assert "已透支0.01元" in refusal.zh


@pytest.mark.rule("R31", "R32")
@pytest.mark.parametrize(
    ("balance", "en", "zh"),
    [
        (19_999, "199.99 yuan are paid back in the App.", "退资199.99元，在北京一卡通App内完成。"),
        (
            20_000,
            "200.00 yuan are paid back at an outlet run by the company.",
            "退资200.00元，请到北京一卡通自营服务网点办理。",
        ),
        (0, "The balance is 0.00; the card is closed.", "余额0.00元，直接销卡，无需退资。"),
    ],
)
def test_the_answer_is_a_sentence(balance, en, zh):
    paid = refund(balance, INCLUSIVE, has_open_trip=False)
    assert (paid.en, paid.zh) == (en, zh)


@given(st.integers(-(2**31), 2**31), st.booleans(), st.booleans(), st.booleans())
def test_a_refund_is_the_whole_balance_or_nothing(balance, is_open, inclusive, closed):
    policy = IssuerPolicy(
        refund_outlet_threshold_inclusive=inclusive, refund_requires_closed_trip=closed
    )
    answer = refund(balance, policy, has_open_trip=is_open)
    if isinstance(answer, Refund):
        assert answer.amount == balance >= 0
    else:
        assert isinstance(answer, Refusal)
        assert balance < 0 or (is_open and closed)
