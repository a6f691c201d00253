"""An exchange in words: the same for every command, and its command looked up once."""

import pytest

from apdu import trace
from apdu.trace import explain_command, explain_response
from bench.cli.show import exchange_json, exchange_lines
from bench.conformance.lab import Said
from bench.conformance.shown import shown
from bench.throughput.seven import SevenTap
from bench.tracing.words import exchange_name, exchange_words
from reader.transport.decorators import Exchange

UNKNOWN = (bytes.fromhex("80AA0000"), bytes.fromhex("6D00"))
BROKEN = (b"\x00", b"\x90")


def exchanges() -> list[tuple[bytes, bytes | None]]:
    seven = SevenTap()
    told = [(command, seven.card.process(command)) for command in seven.commands]
    return [*told, UNKNOWN, BROKEN, (seven.init, None)]


@pytest.mark.parametrize(("command", "response"), exchanges())
def test_an_exchange_says_what_its_command_and_its_answer_say_alone(command, response):
    name, asked, said = exchange_words(command, response)
    assert name == exchange_name(command)
    assert asked == explain_command(command)
    assert said == (None if response is None else explain_response(response, command))
    told = exchange_json(Exchange("card", command, response, 0, 5000))
    assert (told["name"], told["us"], "answer" in told) == (asked.title, 5.0, said is not None)


@pytest.fixture
def looked_up(monkeypatch):
    """The commands that were looked up in the table, by the real look-up."""
    seen: list[bytes] = []
    find = trace.find_call
    monkeypatch.setattr(trace, "find_call", lambda command: seen.append(command) or find(command))
    return seen


@pytest.mark.parametrize(("command", "response"), exchanges())
def test_a_command_is_looked_up_once_whoever_shows_it(looked_up, command, response):
    exchange = Exchange("card", command, response, 0, 1)
    said = Said(command, response, 0)
    for show in (
        lambda: exchange_json(exchange),
        lambda: exchange_lines(exchange),
        lambda: shown([said], None, is_ours=True),
        lambda: exchange_name(command),
    ):
        looked_up.clear()
        show()
        assert looked_up == [command]
