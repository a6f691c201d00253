"""A storm of top-ups on one database: everything goes wrong at every step, and the sums are right.

python -m tests.interop.topup_storm --clients 50 --count 100 --seed 1 --database sqlite

Clients are threads that play a phone each, with a card and a key for each wish. Cards are pulled
out, clients forget what they did, offices die before and after commits, and the payer declines or
does not answer. Some clients share a card, as two phones of one login would, and some have an
office in a process of its own, which is killed. At the end each top-up is finished or cancelled,
and payments are credits, to the fen.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, event, func, select
from sqlalchemy.orm import Session

from emulator.card.card import Card as Chip
from issuer import ledger
from issuer.cards_book import Card
from issuer.database import open_database, reading
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.office import Office
from issuer.operations import Kind
from issuer.payer import Mishap, PayerAway, no_mishap
from issuer.tables import Operation, Payment
from issuer.topups import cancel, pending, top_up
from reader.loading import LoadInterrupted
from reader.session import ProtocolError, StatusError, Txn, run
from reader.transport.base import CardLost, TransportError
from tests.issuers import Clock, Crash, Desk, again, made_office
from tests.postgres import cluster

MOST_FEN = 400
SHARED = 5
"""Every fifth client shares the card of the one before it."""
KILLED = 7
"""Every seventh client has an office in a process of its own."""

CUT, FORGET, DIE, AWAY, DECLINE = 0.04, 0.02, 0.03, 0.05, 0.02
"""Chances: at each command, at each command, at each commit, at each payment, at each payment."""

Say = Callable[[str], object]


class Gone(BaseException):
    """The client has crashed: its transaction is forgotten."""


@dataclass
class Slot:
    """A card in a reader, on which commands of several come one at a time."""

    chip: Chip
    lock: threading.RLock = field(default_factory=threading.RLock)

    def transmit(self, command: bytes) -> bytes:
        with self.lock:
            return self.chip.process(command)

    def leave(self) -> None:
        with self.lock:
            again(self.chip)


@dataclass
class Storm:
    """What goes wrong at one client, by chance; it counts what did."""

    source: Random
    told: Counter[str] = field(default_factory=Counter)
    is_over: bool = False

    def strikes(self, chance: float, what: str) -> bool:
        if self.is_over or self.source.random() >= chance:
            return False
        self.told[what] += 1
        return True

    def mishap(self, kind: str, key: str) -> Mishap | None:
        if self.strikes(AWAY, "payer's answers lost"):
            return self.source.choice((Mishap.LOST_BEFORE, Mishap.LOST_AFTER))
        return Mishap.DECLINED if self.strikes(DECLINE, "payments declined") else None


@dataclass
class Torn:
    """A link to a card that is pulled out, from a client that may crash."""

    slot: Slot
    storm: Storm

    def transmit(self, command: bytes) -> bytes:
        if self.storm.strikes(FORGET, "clients crashed"):
            raise Gone
        is_cut = self.storm.strikes(CUT, "cards removed")
        if is_cut and self.storm.source.random() < 0.5:
            self.slot.leave()
            raise CardLost("the card was pulled out before it got the command")
        answer = self.slot.transmit(command)
        if is_cut:
            self.slot.leave()
            raise CardLost("the card was pulled out before it answered")
        return answer


STORMS: dict[Engine, Storm] = {}
"""Whose offices die with which storm."""


@contextmanager
def dying() -> Iterator[None]:
    """Offices die at commits, each by its own storm."""

    def after(session: Session) -> None:
        storm = STORMS.get(session.get_bind())  # type: ignore[call-overload]
        if storm is not None and storm.strikes(DIE / 2, "offices died after a commit"):
            raise Crash

    event.listen(Session, "after_commit", after)
    try:
        yield
    finally:
        event.remove(Session, "after_commit", after)
        STORMS.clear()


def doomed(where: str, storm: Storm) -> Office:
    """An office with an engine of its own, whose process dies at commits."""
    engine = open_database(where, wait_s=60.0)

    def before(connection: object) -> None:
        if storm.strikes(DIE / 2, "offices died before a commit"):
            raise Crash

    event.listen(engine, "commit", before)
    STORMS[engine] = storm
    return made_office(engine, Clock(), storm.mishap)


class Local:
    """An office in this process."""

    def __init__(self, where: str, storm: Storm) -> None:
        self.office = doomed(where, storm)

    def top_up(self, slot: Torn, account: int, key: str, fen: int) -> None:
        slot.slot.leave()
        run(top_up(self.office, account, key, fen), {"card": slot})

    def cancel(self, slot: Torn, account: int, key: str) -> None:
        slot.slot.leave()
        run(cancel(self.office, account, key), {"card": slot})

    def close(self) -> None:
        self.office.engine.dispose()


Wish = tuple[str, int, str, int]
KILL, KILL_IDLE = 0.02, 0.08


class Remote:
    """An office in a process of its own, which is killed at any moment."""

    def __init__(self, where: str, storm: Storm) -> None:
        self.where, self.storm = where, storm
        self._context = get_context("forkserver")
        self._start()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        seed = self.storm.source.random()
        self.process = self._context.Process(
            target=serve, args=(self.where, theirs, seed), daemon=True
        )
        self.process.start()
        theirs.close()
        self.line = ours

    def _kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()
        self._start()

    def top_up(self, slot: Torn, account: int, key: str, fen: int) -> None:
        self._ask(slot, ("top up", account, key, fen))

    def cancel(self, slot: Torn, account: int, key: str) -> None:
        self._ask(slot, ("cancel", account, key, 0))

    def _ask(self, slot: Torn, wish: Wish) -> None:
        slot.slot.leave()
        timer = None
        if self.storm.strikes(KILL_IDLE, "offices killed at a moment"):
            timer = threading.Timer(self.storm.source.uniform(0.0, 0.1), self.process.kill)
            timer.start()
        try:
            self.line.send(wish)  # the process may have been killed when the last wish was over
            self._serve_card(slot)
        except (EOFError, OSError, Gone):
            self._kill()
            raise Crash from None
        finally:
            if timer is not None:
                timer.join()

    def _serve_card(self, slot: Torn) -> None:
        while True:
            said = self.line.recv()
            if isinstance(said, BaseException):
                raise said
            if said is None:
                return
            if self.storm.strikes(KILL, "offices killed at a command"):
                raise EOFError
            try:
                self.line.send(slot.transmit(said))
            except CardLost as lost:
                self.line.send(str(lost))

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


class Line:
    """The other end of `Remote`: a transport over a pipe."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def transmit(self, command: bytes) -> bytes:
        self._line.send(command)
        answer = self._line.recv()
        if isinstance(answer, str):
            raise CardLost(answer)
        return bytes(answer)


def serve(where: str, line: Connection, seed: float) -> None:
    """Be an office until killed."""
    storm = Storm(Random(seed))
    office = made_office(open_database(where, wait_s=60.0), Clock(), storm.mishap)
    while True:
        what, account, key, fen = line.recv()
        wish: Txn[Any] = cancel(office, account, key)
        if what == "top up":
            wish = top_up(office, account, key, fen)
        try:
            run(wish, {"card": Line(line)})
        except RuleError as no:
            line.send(Refused(no.reason))
        except (TransportError, PayerAway, ProtocolError, StatusError) as lost:
            line.send(CardLost(str(lost)))
        else:
            line.send(None)


class Refused(Exception):
    """A rule said no, in another process. args: the reason."""


RETRIED = (CardLost, LoadInterrupted, PayerAway, StatusError, ProtocolError)
FINAL = frozenset(("declined", "given_back", "given_up", "credited", "no_top_up"))


@dataclass
class Client:
    """A phone that tops a card up, so and so often."""

    number: int
    where: str
    account: int
    slot: Slot
    storm: Storm
    is_remote: bool
    turn: threading.RLock

    def live(self, count: int) -> None:
        self.office: Local | Remote = (Remote if self.is_remote else Local)(self.where, self.storm)
        self.card = Torn(self.slot, self.storm)
        try:
            for wish in range(count):
                self._want(f"{self.number}-{wish}", self.storm.source.randint(1, MOST_FEN))
        finally:
            self.office.close()

    def _want(self, key: str, fen: int) -> None:
        """Ask until the wish is over, or forget about it."""
        for _ in range(200):
            if self._try(lambda: self.office.top_up(self.card, self.account, key, fen)):
                return
            if self.storm.strikes(0.03, "wishes forgotten"):
                return
            if self.storm.strikes(0.03, "wishes cancelled"):
                while not self._try(lambda: self.office.cancel(self.card, self.account, key)):
                    pass
                return
        raise AssertionError(f"top-up {key} does not come to an end")

    def _try(self, ask: Callable[[], None]) -> bool:
        """Returns whether the wish is over."""
        is_alone = self.storm.source.random() < 0.75
        if is_alone:
            self.turn.acquire()
        try:
            ask()
        except (RuleError, Refused) as no:
            reason = no.reason if isinstance(no, RuleError) else no.args[0]
            self.storm.told[f"told {reason}"] += 1
            return reason in FINAL
        except (*RETRIED, Gone):
            return False
        except Crash:
            if isinstance(self.office, Local):
                self.office.close()
            return False
        finally:
            if is_alone:
                self.turn.release()
        self.storm.told["top-ups told as done"] += 1
        return True


@dataclass
class Tally:
    """What happened, and the sums. fen: paid and not given back, and on cards."""

    told: Counter[str]
    ops: Counter[str]
    paid: int
    credited: int
    seconds: float

    def __str__(self) -> str:
        lines = [f"{number:8d} {what}" for what, number in sorted(self.told.items())]
        lines += [f"{number:8d} operations {state}" for state, number in sorted(self.ops.items())]
        lines.append(f"{self.paid:8d} fen paid and not given back")
        lines.append(f"{self.credited:8d} fen on cards")
        rate = self.ops["done"] / self.seconds
        lines.append(f"{self.seconds:8.1f} s, {rate:.1f} top-ups a second")
        return "\n".join(lines)


def storm(where: str, clients: int, count: int, seed: int, say: Say = print) -> Tally:
    """Let the storm loose. Raises AssertionError if a fen is missing or too many."""
    engine = open_database(where, wait_s=60.0)
    desk = Desk(engine)
    desk.books.fill(clients)
    phones: list[Client] = []
    for number in range(clients):
        source = Storm(Random(f"{seed} {number}"))
        is_remote = number % KILLED == KILLED - 1
        if number % SHARED == SHARED - 1:
            other = phones[-1]
            phones.append(
                Client(number, where, other.account, other.slot, source, is_remote, other.turn)
            )
            continue
        account = desk.student(number)
        _, chip = desk.opened(account)
        turn = threading.RLock()
        phones.append(Client(number, where, account, Slot(chip), source, is_remote, turn))
    start = time.monotonic()
    with dying():
        _together(phones, count, say)
    seconds = time.monotonic() - start
    tally = Tally(Counter(), Counter(), 0, 0, seconds)
    for phone in phones:
        tally.told.update(phone.storm.told)
    _settle(desk, phones, tally)
    _look(desk, tally)
    engine.dispose()
    return tally


def _together(phones: list[Client], count: int, say: Say) -> None:
    failed: list[BaseException] = []

    def live(phone: Client) -> None:
        try:
            phone.live(count)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failed.append(error)

    threads = [threading.Thread(target=live, args=(phone,), daemon=True) for phone in phones]
    for thread in threads:
        thread.start()
    for number, thread in enumerate(threads, 1):
        thread.join()
        if number % 10 == 0:
            say(f"{number} clients have come to their end")
    if failed:
        raise failed[0]


def _settle(desk: Desk, phones: list[Client], tally: Tally) -> None:
    """After the storm: what was left is finished or cancelled, by turns."""
    office = made_office(desk.engine, desk.clock, no_mishap)
    for phone in phones:
        for number, op in enumerate(pending(office, phone.account)):
            phone.slot.leave()
            link = {"card": phone.slot}
            with suppress(RuleError):  # it was credited, which the card has told
                wish: Txn[Any] = cancel(office, phone.account, op.key)
                if number % 2:
                    wish = top_up(office, phone.account, op.key, op.amount)
                run(wish, link)
            tally.told["settled after the storm"] += 1
        assert pending(office, phone.account) == []


def _look(desk: Desk, tally: Tally) -> None:
    """Payments are credits, to the fen, in all and for each card."""
    desk.assert_balanced()
    with reading(desk.engine) as session:
        states = select(Operation.state, func.count()).group_by(Operation.state)
        tally.ops.update({state: number for state, number in session.execute(states)})
        done = select(func.coalesce(func.sum(Operation.amount), 0)).where(
            Operation.state == "done", Operation.kind == Kind.TOP_UP.value
        )
        in_ops = session.execute(done).scalar_one()
        charges = select(func.count()).where(Payment.kind == "charge", Payment.is_done)
        back = select(func.count()).where(Payment.kind == "refund", Payment.is_done)
        tally.told["charges"] = session.execute(charges).scalar_one()
        tally.told["charges given back"] = session.execute(back).scalar_one()
    for serial, chip in desk.chips.items():
        card = _by_serial(desk, serial)
        assert chip.purse.actual == card.balance == desk.owed(Account.CARDS, card.id)
        assert chip.purse.online_seq == card.online_seq
    tally.paid, tally.credited = desk.paid(), desk.on_chips()
    owed = ledger.trial_balance(desk.engine).balances
    assert tally.paid == tally.credited == in_ops == -owed[Account.CARDS], (tally, in_ops)
    assert owed[Account.PAID_IN] == owed[Account.PAYABLE] == 0
    assert tally.told["charges"] == tally.told["charges given back"] + tally.ops["done"]


def _by_serial(desk: Desk, serial: bytes) -> Card:
    from issuer import cards_book

    found = desk.books.do(cards_book.by_serial, serial)
    assert found is not None
    return found


@contextmanager
def database(kind: str) -> Iterator[str]:
    """A new database: sqlite or postgresql. Processes die here and machines do not."""
    if kind == "postgresql":
        with cluster() as server:
            yield server.database("storm")
        return
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "storm.db")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    asked = parser.parse_args()
    kinds = ("sqlite", "postgresql") if asked.database == "both" else (asked.database,)
    for kind in kinds:
        sys.stdout.write(f"{kind}: {asked.clients} clients, {asked.count} top-ups each\n")
        with database(kind) as where:
            told = storm(where, asked.clients, asked.count, asked.seed)
        sys.stdout.write(f"{told}\nseed {asked.seed}\n")


if __name__ == "__main__":
    main()
