"""One scenario on every road, and the contract every road keeps."""

import threading
from contextlib import ExitStack, contextmanager

import pytest

from apdu.commands import AID_PURSE, SELECT
from apdu.records import SelectName
from bench.rig.pcscd import PrivatePcscd
from bench.roads import ROADS
from bench.scenario import fresh_card, play
from emulator.card.card import Card
from tests.cards import content_of
from tests.kits import check_transport
from tests.needs import require_module, require_tool


@contextmanager
def road(name: str, card):
    if name == "pcsc":
        require_module("smartcard", "tapbench[pcsc]")
        require_tool("pcscd", "pcscd vsmartcard-vpcd")
    with ROADS[name](card) as link:
        yield link


@pytest.mark.parametrize("name", ROADS)
def test_every_road_keeps_the_contract_of_a_transport(name, card: Card):
    with road(name, card) as link:
        check_transport(link)


@pytest.mark.parametrize("seed", [1, 2026])
def test_one_seed_gives_one_transcript_on_every_road(seed):
    transcripts = {}
    for name in ROADS:
        with road(name, fresh_card(seed)) as link:
            run = play(link, seed)
        assert run.is_good
        transcripts[name] = run.transcript()
    assert all(transcript == transcripts["inproc"] for transcript in transcripts.values())
    assert len(transcripts["inproc"]) == 27


def test_seeds_differ():
    runs = []
    for seed in (1, 2):
        with road("inproc", fresh_card(seed)) as link:
            runs.append(play(link, seed).transcript())
    assert runs[0] != runs[1]


@pytest.mark.parametrize("name", ROADS)
def test_a_tap_leaves_the_same_card_on_every_road(name):
    card = fresh_card(7)
    with road(name, card) as link:
        run = play(link, 7)
    assert run.balances == {"top-up": (0, 5000), "entry": (5000, 5000), "exit": (5000, 4600)}
    purse = card.purse
    assert (purse.actual, purse.online_seq, purse.offline_seq) == (4600, 1, 2)
    assert len(content_of(card.image, 0x18)) == 3
    assert len(content_of(card.image, 0x1E)) == 2


def test_two_roads_work_at_once():
    """A card over PC/SC and another over the air, tapped from two threads."""
    cards = {name: fresh_card(3) for name in ("udp", "pcsc")}
    results = {}
    with ExitStack() as stack:
        links = {name: stack.enter_context(road(name, card)) for name, card in cards.items()}

        def work(name):
            results[name] = play(links[name], 3).transcript()

        threads = [threading.Thread(target=work, args=(name,)) for name in links]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results["udp"] == results["pcsc"]


def test_a_private_service_is_gone_after_its_block():
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    with PrivatePcscd() as rig:
        folder = rig.socket_path.parent
        assert folder.exists()
    assert not folder.exists()


def test_select_answers_the_same_bytes_everywhere(card: Card):
    command = SELECT.command(SelectName(AID_PURSE))
    answers = set()
    for name in ROADS:
        with road(name, card) as link:
            answers.add(link.transmit(command))
    assert len(answers) == 1
