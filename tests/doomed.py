"""The processes that are killed: terminals with their journals, and clearing with its database."""

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import fixtures
from issuer.tac import TacCheck
from reader.gate import Direction, Outcome, Reject, Verdict
from reader.journal import Journal, TapJournal, read_records
from reader.psam_link import SecureModule
from reader.session import run
from reader.terminal import Terminal
from reader.transport.base import Transport
from reader.validator import Door
from tests.books import RECEIVED, clearing_at
from tests.buses import OTHER_VEHICLE, VEHICLE, Case, case
from tests.taps import gate_with

NAMES = (b"KILLED00", b"KILLED01")
TERMINALS = (bytes.fromhex("300089000195"), bytes.fromhex("300089000340"))


Make = Callable[[int, TapJournal, SecureModule], Terminal]
"""Makes one of a lane's two terminals, 0 or 1."""


def _gate(n: int, journal: TapJournal, sam: SecureModule) -> Terminal:
    return gate_with(journal, (Direction.ENTRY, Direction.EXIT)[n], sam)


def _door(n: int, journal: TapJournal, sam: SecureModule) -> Terminal:
    return case((Door.BOARD, Door.ALIGHT)[n]).validator(journal, sam)


def _bus(n: int, journal: TapJournal, sam: SecureModule) -> Terminal:
    vehicle = (VEHICLE, OTHER_VEHICLE)[n]
    return Case(Door.BOARD, config={"vehicle": vehicle}).validator(journal, sam)


LANES: dict[str, Make] = {"rail": _gate, "bus": _door, "missed": _bus}
"""Two terminals that a passenger uses in turn: gates, doors of a bus, or two buses; whoever boards
one of these never taps off, so every boarding is two debits."""

_DONE = (Reject.ALREADY_ENTERED, Reject.NOT_ENTERED, Reject.NOT_BOARDED)


def is_done(outcome: Outcome) -> bool:
    """Whether the card shows that it passed here before the barrier could open."""
    return outcome.repeated or outcome.reason in _DONE


class Remote:
    """A device in the other process. peer: how it is told apart."""

    def __init__(self, line: Connection, peer: bytes) -> None:
        self._line, self._peer = line, peer

    def transmit(self, command: bytes) -> bytes:
        self._line.send_bytes(self._peer + command)
        return self._line.recv_bytes()


class FarPsam(Remote):
    """A gate reads its PSAM's number from it."""

    def __init__(self, line: Connection, which: int) -> None:
        super().__init__(line, b"%d" % which)
        self.terminal = TERMINALS[which]
        self.key_index = 1


def tap_for_ever(lane: str, folder: str, which: int, line: Connection) -> None:
    """The passenger's terminal first, then the other one, in turn."""
    journals = [Journal(Path(folder) / f"{n}.journal", NAMES[n], TERMINALS[n]) for n in (0, 1)]
    psams = [FarPsam(line, n) for n in (0, 1)]
    gates = [LANES[lane](n, journals[n], psams[n]) for n in (0, 1)]
    card = Remote(line, b"c")
    while True:
        line.send_bytes(b"@%d" % which)
        outcome = run(gates[which].tap(), {"card": card, "psam": psams[which]})
        told = b"=pass"
        if outcome.reason is Reject.UNPROVEN:
            proved_at_the_desk(card, gates[which])
            told = b"=desk"
        elif is_done(outcome):
            # The terminal died between the record and the barrier: the record says all is paid.
            assert outcome.view is not None
            [*_, last] = read_records(journals[which].path)
            assert last.serial == outcome.view.info.serial
            told = b"=kept"
        else:
            assert outcome.verdict is Verdict.PASS, outcome
        line.send_bytes(told)
        which = 1 - which


def proved_at_the_desk(card: Transport, gate: Terminal) -> Outcome:
    """The gate died after its PSAM had closed the debit: staff take the card's proof instead."""
    links = {"card": card, "psam": gate.psam}
    outcome = run(gate.prove(), links)
    if outcome.verdict is Verdict.TAP_AGAIN:  # it was for the ride before
        outcome = run(gate.tap(), links)
    assert outcome.verdict is Verdict.PASS, outcome
    return outcome


def tacs() -> TacCheck:
    return TacCheck(fixtures.load_roots()["TMK"])


def clear(where: str, parts: list[bytes], told: Connection) -> None:
    """Take every batch, say so, and examine."""
    clearing = clearing_at(where)
    told.send_bytes(b"begin")
    for number, part in enumerate(parts):
        assert clearing.receive(part, RECEIVED).is_kept
        told.send_bytes(b"%d" % number)
    clearing.examine()
    told.send_bytes(b"done")
    told.recv_bytes()
