"""`kill -9` on an office that opens a card, at each of its steps; by hand, all of them:

python -m tests.interop.opening_kills --database both

A step is a command to the card, which the office is killed before or after the card has it, or a
commit, before or right after which it is killed. Then another office takes over, with the same
blank or with another one.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.orm import Session

from apdu.files import EF15
from emulator.card.card import Card as Chip
from issuer import audit, blacklist_book, cards_book, operations
from issuer.card_states import CardEvent, CardState
from issuer.cards_book import Card
from issuer.database import open_database
from issuer.errors import RuleError
from issuer.openings import RUN_S, open_card
from issuer.operations import DONE
from reader.session import run
from reader.transport.base import CardLost
from tests.cards import content_of
from tests.postgres import cluster
from tests.students import PHONE, Campus, blank, office_of, sent

COMMITS = 3
"""Reserved, about to write, active."""

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """When an office is killed. what: a command or a commit. number: which, from 1."""

    what: str
    number: int
    is_after: bool


class Line:
    """The office's end of the line to the card."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def transmit(self, command: bytes) -> bytes:
        self._line.send_bytes(command)
        answer = self._line.recv_bytes()
        if not answer:
            raise CardLost("the card was pulled out")
        return answer


def open_until_killed(
    where: str, at: datetime, wish: tuple[int, str], step: Step, line: Connection
) -> None:
    """Be an office that opens a card, and at its commits kills itself."""
    office = office_of(open_database(where), lambda: at)
    count = 0

    def before(session: Session) -> None:
        nonlocal count
        if not session.in_nested_transaction():
            count += 1
            die(is_after=False)

    def after(session: Session) -> None:
        if not session.in_nested_transaction():
            die(is_after=True)

    def die(*, is_after: bool) -> None:
        if step == Step("commit", count, is_after):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, "before_commit", before)
    event.listen(Session, "after_commit", after)
    run(open_card(office, *wish, PHONE), {"card": Line(line)})


def killed(where: str, campus: Campus, wish: tuple[int, str], step: Step, chip: Chip) -> None:
    """Let an office open a card and die at a step. Raises AssertionError if it does not."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.students"])
    ours, theirs = context.Pipe()
    process = context.Process(
        target=open_until_killed, args=(where, campus.clock(), wish, step, theirs), daemon=True
    )
    process.start()
    theirs.close()
    serve(chip, ours, process.pid, step)
    process.join(PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL, (step, process.exitcode)
    ours.close()


def serve(chip: Chip, line: Connection, pid: int | None, step: Step) -> None:
    """Be the card of an office until that is gone."""
    assert pid is not None
    chip.power_off()
    chip.power_on()
    count = 0
    try:
        while True:
            command = line.recv_bytes()
            count += 1
            if step == Step("command", count, is_after=False):
                os.kill(pid, signal.SIGKILL)
            answer = chip.process(command)
            if step == Step("command", count, is_after=True):
                os.kill(pid, signal.SIGKILL)
            line.send_bytes(answer)
    except (EOFError, OSError):
        return


def steps(campus: Campus) -> list[Step]:
    """Every step of an opening."""
    account = campus.account(2)
    commands = len(sent(blank(), open_card(campus.office, account, "whole", PHONE)))
    numbers = [("command", n) for n in range(1, commands + 1)]
    numbers += [("commit", n) for n in range(1, COMMITS + 1)]
    return [Step(what, n, is_after) for (what, n), is_after in product(numbers, (False, True))]


def slice_of(every: Sequence[Step], many: int) -> list[Step]:
    """The commits, and some of the commands."""
    commands = [step for step in every if step.what == "command"]
    commits = [step for step in every if step.what == "commit"]
    return [*commits, *commands[:: max(len(commands) // many, 1)]]


def kill_at(where: str, campus: Campus, account: int, number: int, step: Step) -> Card:
    """Kill an office at a step and take over. Raises AssertionError if that is not one card."""
    key, first = f"open {number}", blank(f"first {number}")
    killed(where, campus, (account, key), step, first)
    is_same = number % 2 == 0 or (step.what, step.is_after) == ("commit", True)
    chip = first if is_same else blank(f"second {number}")
    campus.actions()
    assert sum(state in ("opening", "active") for _, state in campus.rows()) <= 2
    try:
        card = campus.open(account, chip, key)
    except RuleError as no:
        if no.reason != "being_written":
            raise
        campus.clock.now += timedelta(seconds=RUN_S)
        card = campus.open(account, chip, key)
    look(campus, account, key, card, {chip: True, first: is_same})
    return card


def look(campus: Campus, account: int, key: str, card: Card, chips: dict[Chip, bool]) -> None:
    """See that there is one card, in the books and of plastic. chips: whether each is it."""
    assert card.state is CardState.ACTIVE
    for chip, is_it in chips.items():
        assert (serial_on(chip) == card.serial) is is_it
        again = serial_on(chip)
        listed = again is not None and campus.do(blacklist_book.is_listed, again)
        assert is_it or again is None or not any(again) or listed
    states = Counter(state for _, state in campus.rows())
    assert states["active"] == 2  # one is of whoever counted the steps
    assert states["opening"] == 0
    voided = [bytes.fromhex(serial) for serial, state in campus.rows() if state == "void"]
    assert all(campus.do(blacklist_book.is_listed, serial) for serial in voided)
    assert not campus.do(blacklist_book.is_listed, card.serial)
    assert campus.do(operations.held, account, key).state == DONE
    (chip,) = [chip for chip, is_it in chips.items() if is_it]
    assert sent(chip, open_card(campus.office, account, key, PHONE)) == []
    assert audit.verify(campus.office.engine).is_whole


def serial_on(chip: Chip) -> bytes | None:
    try:
        return content_of(chip.image, EF15.sfi)[10:20]
    except (IndexError, KeyError, StopIteration):
        return None


def campaign(where: str, many: int = 0) -> Counter[str]:
    """Kill an office at `many` of its commands and all of its commits, or at every step if 0."""
    campus = Campus.of(open_database(where))
    every = steps(campus)
    account, tally = campus.account(), Counter[str]()
    for number, step in enumerate(slice_of(every, many) if many else every):
        card = kill_at(where, campus, account, number, step)
        tally[f"killed at a {step.what}"] += 1
        campus.do(cards_book.move, card.id, CardEvent.RETURN, campus.clock())
    tally["serials given up"] = sum(state == "void" for _, state in campus.rows())
    campus.office.engine.dispose()
    return tally


@contextmanager
def database(kind: str) -> Iterator[str]:
    """A new database: sqlite or postgresql."""
    if kind == "postgresql":
        with cluster(is_durable=True) as server:
            yield server.database("opening")
        return
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "opening.db")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    asked = parser.parse_args()
    kinds = ("sqlite", "postgresql") if asked.database == "both" else (asked.database,)
    for kind in kinds:
        with database(kind) as where:
            sys.stdout.write(f"{kind}: {dict(campaign(where))}\n")


if __name__ == "__main__":
    main()
