"""A gate's side: its store-and-forward and its blacklist, against the service on a real socket."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn

from bench.cli.serve import HTTP
from emulator.card.card import Card
from issuer import blacklist_book
from issuer.service import Limits
from issuer.service.gates import STEPS
from issuer.tokens import Role
from reader.batch import Refusal, parse_answer
from reader.blacklist import BlacklistError
from reader.blacklist_file import BlacklistFile
from reader.blacklist_text import parse_update
from reader.http_line import Service, fetch_blacklist, forward_http
from reader.outbox import Outbox
from reader.upload import LineError, Uplink
from tests.gates import psam
from tests.offices import NOW
from tests.services import Desk, bearer
from tests.taps import GATE, open_journal, trip

SERIALS = [bytes.fromhex(f"03105228001{number:09d}") for number in range(100)]


@contextmanager
def served(desk: Desk) -> Iterator[str]:
    """The service on a free port of the loopback."""
    config = uvicorn.Config(desk.app, host="127.0.0.1", port=0, **HTTP)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office, NOW)


@pytest.fixture
def line(desk) -> Iterator[Service]:
    with served(desk) as url:
        yield Service(url, desk.token(Role.GATE))


@pytest.fixture
def outbox(card: Card, tmp_path: Path) -> Outbox:
    with open_journal(tmp_path / "gate.journal") as made:
        sam = psam()
        for _ in range(3):
            trip(card, made, sam)
    held = Outbox(tmp_path / "outbox")
    assert held.cut(tmp_path / "gate.journal", GATE, most=2) == 3
    return held


def test_a_gates_batches_arrive_and_leave_its_outbox(desk, line, outbox):
    assert forward_http(Uplink(outbox), line, time.monotonic) == 3
    assert not outbox.waiting()
    assert desk.app.state.house.clearing.last(GATE) == outbox.last(GATE)


def test_a_batch_that_was_stored_unanswered_is_delivered_again_and_stored_once(desk, line, outbox):
    first = outbox.waiting()[0].message()
    for wanted in (Refusal.NONE, Refusal.DUPLICATE):
        answer = desk.http.post(
            "/v1/batches",
            content=first,
            headers=bearer(line.token) | {"Content-Type": "application/octet-stream"},
        )
        assert parse_answer(answer.content).refusal is wanted
    assert forward_http(Uplink(outbox), line, time.monotonic) == 3


def test_a_header_of_a_proxy_gives_nobody_more_guesses(office):
    desk = Desk(office, NOW, Limits(per_second=1, burst=5))
    with served(desk) as url, httpx2.Client(base_url=url) as http:
        codes = [
            http.get("/v1/card", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
            for n in range(8)
        ]
    assert codes == [401] * 5 + [429] * 3


def test_while_nobody_answers_the_batches_wait(outbox):
    nobody = Service("http://127.0.0.1:9", "tb_x")
    with pytest.raises(LineError, match="batches wait"):
        forward_http(Uplink(outbox), nobody, time.monotonic)
    assert len(outbox.waiting()) == 3


def test_a_token_of_another_role_delivers_nothing(desk, line, outbox):
    wrong = Service(line.url, desk.token(Role.STAFF))
    with pytest.raises(LineError, match="role"):
        forward_http(Uplink(outbox), wrong, time.monotonic)
    assert len(outbox.waiting()) == 3


@pytest.mark.parametrize("body", [b"x", b"TB", bytes(300)])
def test_what_is_no_batch_is_answered_with_the_check_that_failed(desk, line, body):
    answer = desk.http.post(
        "/v1/batches",
        content=body,
        headers=bearer(line.token) | {"Content-Type": "application/octet-stream"},
    )
    assert answer.status_code == 200
    assert not parse_answer(answer.content).is_kept


def test_a_batch_the_database_cannot_store_waits(desk, line, outbox, monkeypatch):
    from issuer.clearing import Clearing
    from issuer.errors import DatabaseError

    def broken(*arguments):
        raise DatabaseError("locked")

    monkeypatch.setattr(Clearing, "receive", broken)
    uplink, waiting = Uplink(outbox), outbox.waiting()
    with pytest.raises(LineError, match="503"):
        forward_http(uplink, line, time.monotonic)
    assert (uplink.delivered, uplink.refused, outbox.waiting()) == (0, [], waiting)
    monkeypatch.undo()
    assert forward_http(Uplink(outbox), line, time.monotonic) == 3


def test_a_station_with_many_batches_waits_when_it_asks_too_often(office, outbox):
    desk, slept = Desk(office, NOW, Limits(per_second=1, burst=1)), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        desk.ticker.at += seconds

    with served(desk) as url:
        line = Service(url, desk.token(Role.GATE))
        assert forward_http(Uplink(outbox), line, time.monotonic, sleep) == 3
    assert slept == [1.0, 1.0]


@pytest.mark.parametrize("versions", [1, 3, STEPS + 5])
def test_a_gate_comes_to_the_newest_blacklist_from_any_version(desk, line, tmp_path, versions):
    held = BlacklistFile(tmp_path / "held")
    assert fetch_blacklist(held, line) == 0
    for number in range(versions):
        desk.books.do(blacklist_book.change, NOW, [SERIALS[number]])
    assert fetch_blacklist(held, line) == 1
    for number in range(versions):
        desk.books.do(blacklist_book.change, NOW, [SERIALS[50 + number]])
    assert fetch_blacklist(held, line) == (versions if versions <= STEPS else 1)
    assert held.blacklist.version == 2 * versions
    assert len(held.blacklist) == 2 * versions
    assert fetch_blacklist(held, line) == 0


def test_a_version_that_was_never_made_here_gets_the_full_list(desk, line):
    desk.books.do(blacklist_book.change, NOW, [SERIALS[0]])
    answer = desk.get("/v1/blacklist?since=700", line.token)
    assert parse_update(answer.content).version == 1


def test_an_answer_that_is_no_blacklist_leaves_the_gate_with_what_it_has(
    desk, line, tmp_path, monkeypatch
):
    held = BlacklistFile(tmp_path / "held")
    monkeypatch.setattr("reader.http_line._ask", lambda *arguments: b"<html>")
    with pytest.raises(BlacklistError):
        fetch_blacklist(held, line)
    assert held.blacklist.version == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "127.0.0.1:80",
        "http://",
        "http://[::1",
        "http://h:port",
        "http://h:99999",
        "http://a..b",
        "http://h/ü",
        "http://h/a b",
        "http://h/\n",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="address"):
        Service(url, "tb_x")
