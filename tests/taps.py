"""Records of real taps: a card and two gates with journals, what the journal's tests share."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from emulator.card.card import Card
from fixtures.network import load_network
from reader.gate import Direction, Gate, GateConfig, Outcome
from reader.journal import Journal, MemoryJournal, TapJournal
from reader.psam import Psam
from reader.psam_link import SecureModule
from reader.transport.inprocess import InProcess
from tests.gates import ENTERED_AT, NO_PASSBACK, NOW, TERMINAL, WHITE_LIST, psam

GATE = b"GATE0340"
NETWORK = load_network()


def gate_with(
    journal: TapJournal | None,
    direction: Direction,
    sam: SecureModule | None = None,
    at: datetime = NOW,
) -> Gate:
    """A gate at the network's two stations of the ladders, entry at one and exit at the other."""
    station = NETWORK.station("080013" if direction is Direction.ENTRY else "080019")
    config = GateConfig(NETWORK, station, direction, WHITE_LIST, policy=NO_PASSBACK)
    return Gate(config, sam or psam(), lambda: at, journal)


def open_journal(path: Path, gate: bytes = GATE, terminal: bytes = TERMINAL) -> Journal:
    return Journal(path, gate, terminal)


def trip(card: Card, journal: Journal | MemoryJournal, sam: Psam) -> list[Outcome]:
    """In and out at gates that share a journal and a PSAM."""
    outcomes = []
    for direction, at in ((Direction.ENTRY, ENTERED_AT), (Direction.EXIT, NOW)):
        outcomes.append(gate_with(journal, direction, sam, at).pass_(InProcess(card)))
        card.power_off()
    return outcomes


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: the kernel refuses the write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
