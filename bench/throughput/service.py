"""How long the served office takes to answer when many ask at once.

The service is a process of its own on the loopback, as `tapbench issuer serve` starts it. The
clients are threads of this process, each with a line, a phone and a card, so what is measured is
what a caller waits: the machine's processors are shared by the service, the clients and the cards.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, perf_counter_ns

import httpx2

from bench.office import blank_card, close_office, open_office
from bench.problem import Problem
from bench.semester.people import GOOD_PHONE, PARTNER, SCHOOLS, roster_line
from bench.throughput.histogram import Measure, Spread
from bench.throughput.issuer import proven_account
from emulator.card.env import SeededEnv
from issuer import blacklist_book, ledger, roster, tokens
from issuer.client import RemoteOffice
from issuer.database import transact
from issuer.ledger import Account
from issuer.moments import SHANGHAI
from issuer.office import Office
from issuer.roster_file import Roster
from issuer.tokens import Role
from reader.transport.inprocess import InProcess

NOW = datetime(2025, 10, 9, 10, tzinfo=SHANGHAI)
KINDS = ("page", "top-up", "blacklist")
MIX = ("page", "top-up", "page", "blacklist", "page")
"""What a client asks for, again and again (D): the App's page most, as people look at it."""

FEN = 100
LISTED = [bytes.fromhex(f"03105228002{number:09d}") for number in range(1000)]
"""Cards on the blacklist when the gates ask for it."""

_START_S, _OPEN_S = 60.0, 900.0


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """database: its kind. waits: by kind, ms; a top-up is the whole, card and all its requests.

    requests: over HTTP, of all kinds. seconds: from the first to the last.
    """

    database: str
    waits: Mapping[str, Measure]
    requests: int
    seconds: float

    @property
    def measures(self) -> dict[str, Measure]:
        """Everything that can be compared, by name."""
        rate = Measure("1/s", (self.requests / self.seconds,), "more", count=self.requests)
        return {**self.waits, "requests a second": rate}


def measure(clients: int, count: int, url: str | None = None) -> ServiceFigures:
    """Measure so many clients, each asking so many times. url: a database of its own.

    Raises Problem, DatabaseError, ServiceError; AssertionError if the books are not right then.
    """
    with TemporaryDirectory() as folder:
        office = open_office(Path(folder), lambda: NOW, url)
        try:
            callers = _callers(office, clients)
            with _served(Path(folder), url) as address:
                took_ns, requests, seconds = _asked(callers, address, count)
            _demand_right_books(office, len(took_ns["top-up"]))
            waits = {kind: _waits(took_ns[kind]) for kind in KINDS}
            return ServiceFigures(office.engine.dialect.name, waits, requests, seconds)
        finally:
            close_office(office)


def _waits(took_ns: list[int]) -> Measure:
    spread = Spread()
    spread.add_run(took_ns)
    return spread.measure("ms")


@dataclass
class _Caller:
    """A student with a phone, and a gate beside. took_ns: what it waited, by kind."""

    number: int
    student: str
    gate: str
    took_ns: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    requests: int = 0

    def open(self, http: httpx2.Client) -> None:
        """Have a card, which is not measured."""
        card = blank_card(SeededEnv(f"service {self.number}"))
        card.power_on()
        self._link, self._http = InProcess(card), http
        self._office = RemoteOffice(http, self.student)
        self._office.open_card("open", GOOD_PHONE, self._link)

    def ask(self, kind: str, turn: int) -> None:
        """Ask for one thing, and note how long it took."""
        acts: dict[str, Callable[[], object]] = {
            "page": self._office.page,
            "top-up": lambda: self._office.top_up(f"top-up-{turn}", FEN, self._link),
            "blacklist": self._fetch,
        }
        begin = perf_counter_ns()
        acts[kind]()
        self.took_ns[kind].append(perf_counter_ns() - begin)

    def _fetch(self) -> None:
        headers = {"Authorization": f"Bearer {self.gate}"}
        answer = self._http.get("/v1/blacklist?since=0", headers=headers)
        if answer.status_code != 200:
            raise AssertionError(f"a gate got {answer.status_code} and no blacklist")

    def note(self, request: object) -> None:
        """Count a request."""
        self.requests += 1


def _callers(office: Office, clients: int) -> list[_Caller]:
    lines = tuple(roster_line(number, PARTNER) for number in range(clients))
    roster.take(office.engine, office.documents, Roster("bench", SCHOOLS, lines))
    transact(office.engine, lambda s: blacklist_book.change(s, NOW, LISTED))
    until = NOW + timedelta(days=1)

    def token(role: Role, account: int | None) -> str:
        return transact(office.engine, lambda s: tokens.make(s, role, account, NOW, until))

    return [
        _Caller(number, token(Role.STUDENT, proven_account(office, number)), token(Role.GATE, None))
        for number in range(clients)
    ]


@contextmanager
def _served(folder: Path, url: str | None) -> Iterator[str]:
    """The address of the office served by a process of its own."""
    program = [sys.executable, "-m", "bench", "issuer", "serve", "--office", str(folder)]
    program += ["--port", "0", "--now", NOW.isoformat(), *(["--db", url] if url else [])]
    with (folder / "service.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - this Python, and words of ours
            program, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            said = (folder / "service.log").read_text().strip().splitlines()
            raise Problem(f"the service did not start: {said[-1] if said else 'it said nothing'}")
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=_START_S)


def _asked(
    callers: list[_Caller], address: str, count: int
) -> tuple[dict[str, list[int]], int, float]:
    """Nanoseconds by kind, how many requests, and seconds, of all callers together."""
    begun: list[float] = []
    ready = threading.Barrier(len(callers), action=lambda: begun.append(perf_counter()))
    is_over = threading.Event()

    def live(caller: _Caller) -> float:
        hooks = {"request": [caller.note]}
        with httpx2.Client(
            base_url=address, timeout=_START_S, trust_env=False, event_hooks=hooks
        ) as http:
            try:
                caller.open(http)
                ready.wait(_OPEN_S)
            except BaseException:
                ready.abort()
                raise
            caller.requests = 0
            for turn, kind in enumerate(islice(_mixed(caller.number), count)):
                if is_over.is_set():
                    break
                caller.ask(kind, turn)
        return perf_counter()

    pool = ThreadPoolExecutor(len(callers))
    try:
        ended = max(pool.map(live, callers))
    finally:  # of Ctrl-C, or where one has failed: the end of the service ends the others
        is_over.set()
        ready.abort()
        pool.shutdown(wait=False, cancel_futures=True)
    took_ns = {kind: [one for caller in callers for one in caller.took_ns[kind]] for kind in KINDS}
    return took_ns, sum(caller.requests for caller in callers), ended - begun[0]


def _mixed(number: int) -> Iterator[str]:
    """The mix without an end; callers do not all ask for the same at once."""
    while True:
        yield MIX[number % len(MIX)]
        number += 1


def _demand_right_books(office: Office, top_ups: int) -> None:
    """What was paid is on the cards, to the fen."""
    books = ledger.trial_balance(office.engine)
    on_cards = -books.balances[Account.CARDS]
    if not books.is_balanced or on_cards != top_ups * FEN:
        raise AssertionError(f"{top_ups} top-ups of {FEN} fen, but {on_cards} fen on cards")
