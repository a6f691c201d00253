"""A listed card is blocked by the gate's PSAM, and its money stays on it (6.7)."""

import pytest

import fixtures
from apdu.sw import SW
from reader.blocking import block_card
from reader.gate import Direction, Reject, Verdict
from reader.psam import Psam
from reader.psam_keys import SamKeys
from reader.session import StatusError, run
from reader.transactions import Blocked as BlockedError
from reader.transactions import read_card, select_purse
from reader.transport.inprocess import InProcess
from tests.cards import sw_of
from tests.gates import TERMINAL, gate_at, passed
from tests.vectors.ladders import LADDERS, sam_keys
from tests.vectors.test_ladders import Scripted

AID = "00A4040008A00000063201010500"


def viewed():
    yield from select_purse()
    return (yield from read_card())


def blocked(card, psam, **how) -> None:
    links = {"card": InProcess(card), "psam": psam}
    run(block_card(run(viewed(), links), **how), links)


def psam(keys=None) -> Psam:
    return Psam(TERMINAL, keys or sam_keys())


@pytest.mark.rule("R29")
def test_the_listed_card_s_ladder_is_spoken_as_printed():
    ladder = LADDERS["listed-card"]
    script = Scripted(ladder)
    view = run(viewed(), {"card": InProcess(ladder.card())})
    script.steps = [step for step in script.steps if step["command"][:4] not in ("00A4", "00B0")]
    script.card.process(bytes.fromhex(AID))
    run(block_card(view), script.links)
    assert not script.steps
    assert script.card.process(bytes.fromhex(AID))[-2:].hex() == "6a81"


@pytest.mark.rule("R29")
@pytest.mark.parametrize("is_permanent", [False, True])
def test_a_blocked_card_says_so_at_select_and_keeps_its_money(is_permanent):
    card = fixtures.card("student", balance=5000)
    before = card.purse
    blocked(card, psam(), is_permanent=is_permanent)
    fci = card.process(bytes.fromhex(AID))
    assert sw_of(fci) == SW.BLOCKED
    assert (card.purse.actual, card.purse) == (5000, before)
    with pytest.raises(BlockedError):
        run(select_purse(), {"card": InProcess(card)})
    outcome = passed(gate_at(Direction.ENTRY), card)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.BLOCKED)


def test_blocking_twice_is_no_error():
    card = fixtures.card("student")
    links = {"card": InProcess(card), "psam": psam()}
    view = run(viewed(), links)
    run(block_card(view), links)
    card.process(bytes.fromhex(AID))
    run(block_card(view), links)


@pytest.mark.parametrize(
    ("keys", "peer", "word"),
    [
        (SamKeys({1: fixtures.load_roots()["PMK"]}), "psam", SW.KEY_INDEX),
        (SamKeys(lock=fixtures.load_roots()["BUMK"]), "card", SW.MAC_WRONG),
    ],
    ids=["no lock key", "another lock key"],
)
def test_without_the_right_lock_key_the_card_is_not_blocked(keys, peer, word):
    card = fixtures.card("student")
    with pytest.raises(StatusError) as refused:
        blocked(card, psam(keys))
    assert (refused.value.to, refused.value.sw) == (peer, word)
    assert sw_of(card.process(bytes.fromhex(AID))) == SW.OK
