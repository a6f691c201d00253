"""Transactions as generators: who is asked, what comes back, and how it breaks."""

import pytest

from apdu.commands import DEBIT, GET_BALANCE, SAM_CREDIT_PURCHASE, SELECT
from apdu.records import Balance, SamCreditData, SelectName
from apdu.sw import SW
from reader.session import ProtocolError, Send, StatusError, ask, exchange, run
from reader.transport.base import CardLost, NoCard, ReaderFault, TransportError


class Peer:
    """Answers from a list; an exception in it is raised."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.heard.append(command)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def balance():
    reply = yield from ask("card", GET_BALANCE, None)
    return reply.amount


def test_an_answer_is_read_as_declared():
    card = Peer(bytes.fromhex("000013889000"))
    assert run(balance(), {"card": card}) == 5000
    assert card.heard == [bytes.fromhex("805C000204")]


def test_each_command_goes_to_its_peer_in_order():
    card, sam = Peer(bytes.fromhex("000000019000"), bytes.fromhex("000000029000")), Peer(b"\x90\0")

    def both():
        first = yield from balance()
        yield from ask("psam", SAM_CREDIT_PURCHASE, SamCreditData(first.to_bytes(4, "big")))
        return first, (yield from balance())

    assert run(both(), {"card": card, "psam": sam}) == (1, 2)
    assert sam.heard == [bytes.fromhex("807200000400000001")]


def test_a_transaction_can_be_driven_by_hand():
    txn = balance()
    assert next(txn) == Send("card", bytes.fromhex("805C000204"))
    with pytest.raises(StopIteration) as end:
        txn.send(bytes.fromhex("000000079000"))
    assert end.value.value == 7


def test_a_transaction_that_sends_nothing_just_ends():
    def nothing():
        return 3
        yield

    assert run(nothing(), {}) == 3


@pytest.mark.parametrize("p1", range(5))
def test_other_parameters_than_the_usual_can_be_asked_for(p1):
    card = Peer(bytes.fromhex("000000009000"))
    run(ask("card", GET_BALANCE, None, p1), {"card": card})
    assert card.heard[0][2:4] == bytes((p1, 2))


# Refusals


def test_a_refusal_is_a_status_error_with_its_data():
    card = Peer(bytes.fromhex("6F00") + b"\x6a\x81")
    with pytest.raises(StatusError) as caught:
        run(ask("card", SELECT, SelectName(b"12345")), {"card": card})
    error = caught.value
    assert (error.to, error.spec, error.sw, error.data) == ("card", SELECT, 0x6A81, b"\x6f\x00")


@pytest.mark.parametrize(
    ("spec", "sw", "words"),
    [
        (DEBIT, SW.MAC_INVALID, "MAC1 is not a terminal's"),
        (DEBIT, 0x6581, "memory failure"),
        (DEBIT, 0x1234, "unknown status word"),
    ],
)
def test_a_refusal_says_who_what_and_why(spec, sw, words):
    text = str(StatusError("card", spec, int(sw)))
    assert text == f"the card refused {spec.name} with {int(sw):04X}, {words}"


@pytest.mark.parametrize("answer", [b"", b"\x90"])
def test_an_answer_without_a_status_word_is_a_protocol_error(answer):
    with pytest.raises(ProtocolError, match=f"answered {len(answer)} bytes"):
        run(balance(), {"card": Peer(answer)})


@pytest.mark.parametrize("data", ["", "001388", "0000138800"])
def test_an_answer_of_another_length_is_a_protocol_error(data):
    with pytest.raises(ProtocolError, match="GET BALANCE") as caught:
        run(balance(), {"card": Peer(bytes.fromhex(data) + b"\x90\0")})
    assert caught.value.__cause__ is not None


def test_a_command_already_built_is_sent_as_it_is():
    card = Peer(bytes.fromhex("000000019000"))
    raw = bytes.fromhex("805C030204")
    assert run(exchange("card", GET_BALANCE, raw), {"card": card}) == Balance(1)
    assert card.heard == [raw]


# The link breaks


@pytest.mark.parametrize("error", [CardLost("gone"), NoCard("none"), ReaderFault("out")])
def test_a_broken_link_comes_out_of_run(error):
    assert isinstance(error, TransportError)
    with pytest.raises(type(error)) as caught:
        run(balance(), {"card": Peer(error)})
    assert caught.value is error


def test_a_broken_link_is_thrown_in_at_the_command_it_broke():
    def careful():
        try:
            return (yield from balance())
        except CardLost:
            return "lost"

    assert run(careful(), {"card": Peer(CardLost("gone"))}) == "lost"


def test_a_transaction_may_go_on_with_another_peer_after_a_break():
    def failing_over():
        try:
            yield from balance()
        except CardLost:
            yield from ask("psam", SAM_CREDIT_PURCHASE, SamCreditData(bytes(4)))
        return (yield from balance())

    card, sam = Peer(CardLost("gone"), bytes.fromhex("000000099000")), Peer(b"\x90\0")
    assert run(failing_over(), {"card": card, "psam": sam}) == 9


def test_our_own_mistakes_are_not_hidden():
    with pytest.raises(KeyError):
        run(balance(), {})
    with pytest.raises(ZeroDivisionError):
        run(balance(), {"card": Peer(ZeroDivisionError())})


def test_the_transaction_is_told_that_it_ends():
    ended = []

    def tidy():
        try:
            return (yield from balance())
        finally:
            ended.append(True)

    with pytest.raises(CardLost):
        run(tidy(), {"card": Peer(CardLost("gone"))})
    assert ended == [True]
