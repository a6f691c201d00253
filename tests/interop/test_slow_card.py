"""A card that takes its time, read by unmodified readers: S(WTX) on real roads."""

from contextlib import closing

import fixtures
from apdu.blocks import Block, Kind
from apdu.event import Event
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from emulator.frontends.udp import UdpFrontend
from fixtures.timing import load_timing
from reader.gate import Direction, Verdict
from reader.transport.nfc import NfcCoupler


def test_nfcpy_grants_the_time_a_slow_card_asks_for():
    """DEBIT takes 67 ms, FWT is 38.7: stock nfcpy answers S(WTX), and the tap goes well."""
    seen: list[Event] = []
    card = fixtures.card("student", balance=5000)
    timing = load_timing("measured")
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    with UdpFrontend(card, port=0, observe=seen.append, service=timing.card).running() as front:
        host, port = front.address
        with closing(NfcCoupler(f"udp:{host}:{port}")) as coupler:
            outcome = gate.pass_(coupler.wait_card(10.0))
    assert outcome.verdict is Verdict.PASS
    blocks = [block for event in seen if (block := Block.parse(event.data)) is not None]
    extensions = [block for block in blocks if block.kind is Kind.WTX]
    assert len(extensions) == 2, "one request and one response"
    assert {block.title for block in extensions} == {"S(WTX 2)"}
