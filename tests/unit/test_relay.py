"""The relay: a transaction whose card is at the other end of a line that can break anywhere."""

import threading

import pytest

from issuer.relay import NoSession, Relay, RelayFull, WrongTurn
from reader.session import Send, Txn
from reader.transport.base import CardLost
from tests.services import Ticker

OWNER, OTHER = 7, 8


def echo(commands: int, seen: list[str] | None = None) -> Txn[bytes]:
    """Sends so many commands and gives back all that was answered; notes how it ends."""
    told, notes = b"", [] if seen is None else seen
    try:
        for number in range(commands):
            told += yield Send("card", bytes([number]))
    except CardLost:
        notes.append("lost")
        raise
    except GeneratorExit:
        notes.append("left")
        raise
    return told


def test_every_answer_reaches_the_transaction_and_its_result_comes_out():
    relay = Relay()
    turn = relay.start(OWNER, echo(3))
    for number in range(3):
        assert (turn.number, turn.command) == (number + 1, bytes([number]))
        turn = relay.answer(turn.session, OWNER, turn.number, bytes([0x10 + number]))
    assert (turn.command, turn.result) == (None, b"\x10\x11\x12")


def test_a_transaction_without_a_command_is_over_at_once():
    turn = Relay().start(OWNER, echo(0))
    assert (turn.number, turn.command, turn.result) == (1, None, b"")


@pytest.mark.parametrize("commands", [1, 2, 5])
def test_an_answer_that_comes_twice_is_used_once(commands):
    relay = Relay()
    turn = relay.start(OWNER, echo(commands))
    for number in range(commands):
        first = relay.answer(turn.session, OWNER, turn.number, bytes([number]))
        again = relay.answer(turn.session, OWNER, turn.number, b"other")
        assert first == again
        turn = first
    assert turn.result == bytes(range(commands))


@pytest.mark.parametrize("number", [0, 3, 99])
def test_an_answer_out_of_turn_is_refused_and_changes_nothing(number):
    relay = Relay()
    turn = relay.start(OWNER, echo(3))
    turn = relay.answer(turn.session, OWNER, 1, b"a")
    if number:
        with pytest.raises(WrongTurn):
            relay.answer(turn.session, OWNER, number, b"x")
    assert relay.answer(turn.session, OWNER, 2, b"b").number == 3


def test_another_account_cannot_speak_in_a_conversation_nor_end_it():
    relay, seen = Relay(), []
    turn = relay.start(OWNER, echo(2, seen))
    for intrude in (
        lambda: relay.answer(turn.session, OTHER, 1, b"x"),
        lambda: relay.drop(turn.session, OTHER),
    ):
        with pytest.raises(NoSession):
            intrude()
    assert not seen
    assert relay.answer(turn.session, OWNER, 1, b"a").number == 2


def test_a_card_that_left_is_told_to_the_transaction_and_told_again_the_same():
    relay, seen = Relay(), []
    turn = relay.start(OWNER, echo(2, seen))
    for _ in range(2):
        with pytest.raises(CardLost):
            relay.answer(turn.session, OWNER, 1, None)
    assert seen == ["lost"]


def test_a_conversation_ends_when_its_time_is_over():
    ticker, seen = Ticker(), []
    relay = Relay(ticker, life_s=60)
    turn = relay.start(OWNER, echo(3, seen))
    ticker.at += 59
    turn = relay.answer(turn.session, OWNER, 1, b"a")
    ticker.at += 59
    turn = relay.answer(turn.session, OWNER, 2, b"b")
    ticker.at += 61
    with pytest.raises(NoSession):
        relay.answer(turn.session, OWNER, 3, b"c")
    assert (seen, len(relay)) == (["left"], 0)


def test_an_account_that_begins_anew_leaves_its_old_conversation():
    relay, seen = Relay(), []
    old = relay.start(OWNER, echo(2, seen))
    others = relay.start(OTHER, echo(2, seen))
    new = relay.start(OWNER, echo(2, seen))
    assert seen == ["left"]
    with pytest.raises(NoSession):
        relay.answer(old.session, OWNER, 1, b"x")
    assert relay.answer(new.session, OWNER, 1, b"a").number == 2
    assert relay.answer(others.session, OTHER, 1, b"a").number == 2


def test_a_full_relay_refuses_and_leaves_the_others_alone():
    relay = Relay(most=2)
    held = [relay.start(owner, echo(2)) for owner in (1, 2)]
    with pytest.raises(RelayFull):
        relay.start(3, echo(2))
    assert relay.answer(held[0].session, 1, 1, b"a").number == 2
    assert relay.start(2, echo(2)).number == 1, "in place of its own"


def test_a_transaction_that_refuses_at_once_leaves_no_conversation():
    def refusing() -> Txn[None]:
        raise CardLost("at once")
        yield

    relay = Relay()
    with pytest.raises(CardLost, match="at once"):
        relay.start(OWNER, refusing())
    assert len(relay) == 0


def test_the_server_ends_all_conversations_as_it_ends():
    relay, seen = Relay(), []
    for owner in range(5):
        relay.start(owner, echo(2, seen))
    relay.close()
    assert (seen, len(relay)) == (["left"] * 5, 0)


def test_an_answer_sent_by_many_at_once_is_used_once():
    relay = Relay()
    turn = relay.start(OWNER, echo(2))
    told = []

    def send() -> None:
        told.append(relay.answer(turn.session, OWNER, 1, b"a"))

    threads = [threading.Thread(target=send) for _ in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {t.number for t in told} == {2}
    assert len(told) == 16
    assert relay.answer(turn.session, OWNER, 2, b"b").result == b"ab"
