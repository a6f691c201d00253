"""The service as an HTTP server: ids, logs, limits, problem documents."""

import json
import logging
import re

import pytest

from issuer.service import Limits
from issuer.service.house import CALLERS_KEPT, RateLimit
from issuer.service.wire import JsonLines
from issuer.tokens import Role
from tests.offices import NAMES, NOW, claim, document
from tests.services import PHONE, Desk, PhoneCard, Ticker, bearer


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office, NOW)


def test_a_request_keeps_its_id_in_answer_problem_and_log(desk, caplog):
    caplog.set_level(logging.INFO, "tapbench.service")
    answer = desk.http.get("/v1/card", headers={"X-Request-ID": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.json()["request_id"] == "abc-1"
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert (line["request_id"], line["status"], line["route"]) == ("abc-1", 401, "/v1/card")


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\tb"])
def test_an_id_that_is_none_is_replaced(desk, name):
    answer = desk.http.get("/v1/health", headers={"X-Request-ID": name})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_logs_hold_nothing_personal_and_no_command_of_a_card(desk, caplog):
    caplog.set_level(logging.DEBUG, "tapbench")
    caplog.set_level(logging.DEBUG, "issuer")
    token = desk.token(Role.STUDENT, "student0")
    remote, phone = desk.remote(token), PhoneCard()
    with pytest.raises(Exception, match="R5"):
        remote.authenticate(claim(0, name=NAMES[1]))
    remote.authenticate(claim(0))
    remote.open_card("open-1", PHONE, phone)
    remote.top_up("topup-1", 5000, phone.again())
    desk.post("/v1/account/identity", token, json={"name": NAMES[0], "document": document(0)})
    lines = [json.loads(JsonLines().format(one)) for one in caplog.records]
    mine = [one for one in lines if "request_id" in one]
    assert len(mine) > 50
    text = json.dumps(mine, ensure_ascii=False) + caplog.text
    for secret in (*NAMES, document(0), "2025K", token, "topup-1", "805000"):
        assert secret not in text
    allowed = {"level", "message", "request_id", "method", "route", "status", "ms", "who"}
    assert set().union(*mine) == allowed


def test_what_was_sent_is_not_repeated_in_a_problem(desk):
    token = desk.token(Role.STUDENT)
    body = {"name": NAMES[0], "document": document(0), "number": 7, NAMES[2]: 1}
    answer = desk.post("/v1/account/identity", token, json=body)
    assert answer.status_code == 422
    for secret in (NAMES[0], NAMES[2], document(0)):  # the last is the name of a field
        assert secret not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount":1.5}',
        b'{"amount":1e400}',
        b'{"amount":NaN}',
        b'{"amount":"5000"}',
        b'{"amount":true}',
        b'{"amount":null}',
        b'{"amount":' + b"9" * 40 + b"}",
        b'{"amount":' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"amount":0}',
        b'{"amount":-1}',
        b'{"amount":100001}',
    ],
)
@pytest.mark.rule("R25")
def test_an_amount_that_is_none_is_told_with_the_rule(desk, body):
    headers = bearer(desk.student()) | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = desk.http.post("/v1/card/top-up", content=body, headers=headers)
    assert answer.status_code in (409, 422)
    assert answer.json()["rule"] == "R25"
    assert not desk.remote(desk.token(Role.STAFF)).trial_balance()["balances"]["cards"]


@pytest.mark.parametrize(
    ("route", "role", "kind", "body"),
    [
        ("/v1/card/top-up", Role.STUDENT, "application/json", b"[" * 100_000),
        ("/v1/card/top-up", Role.STUDENT, "application/json", b'{"amount":' + b"9" * 5000 + b"}"),
        ("/v1/card/top-up", Role.STUDENT, "application/json", b'{"amount":\xff}'),
        ("/v1/card/top-up", Role.STUDENT, "text/xml", b"<amount/>"),
        ("/v1/card/top-up", Role.STUDENT, ";;/", b'{"amount":5}'),
        ("/v1/account/identity", Role.STUDENT, "application/json", b'{"name":"\\ud800"}'),
        ("/v1/roster", Role.STAFF, "text/plain", b"[x]\na=" + b"[" * 100_000),
        ("/v1/roster", Role.STAFF, "text/plain", b"\xff\xfe"),
        ("/v1/batches", Role.GATE, "application/json", b"{}"),
    ],
)
def test_a_body_that_cannot_be_read_is_the_callers_fault(desk, route, role, kind, body):
    headers = bearer(desk.token(role)) | {"Idempotency-Key": "k", "Content-Type": kind}
    answer = desk.http.post(route, content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_answer_sends_a_caller_to_the_host_that_it_has_named(desk):
    answer = desk.http.get("/v1/card/", headers={"Host": "elsewhere"}, follow_redirects=False)
    assert answer.status_code == 404


def test_a_caller_who_asks_too_often_waits_and_others_do_not(office):
    desk = Desk(office, NOW, Limits(per_second=2, burst=5))
    token, other = desk.token(Role.STAFF), desk.token(Role.STAFF, "other-staff")
    codes = [desk.get("/v1/books/audit", token).status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    refused = desk.get("/v1/books/audit", token)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["reason"] == "too_many_requests"
    assert desk.get("/v1/books/audit", other).status_code == 200
    desk.ticker.at += 0.5
    assert desk.get("/v1/books/audit", token).status_code == 200
    assert desk.get("/v1/books/audit", token).status_code == 429


def test_who_guesses_tokens_is_slowed_down(office):
    desk = Desk(office, NOW, Limits(per_second=1, burst=5))
    codes = [desk.get("/v1/card", f"tb_{number}").status_code for number in range(8)]
    assert codes == [401] * 5 + [429] * 3


def test_the_limit_forgets_who_has_not_come_for_long():
    limit = RateLimit(Limits(per_second=1, burst=2), Ticker())
    for number in range(2 * CALLERS_KEPT):
        assert limit.wait_s(str(number)) == 0
    assert len(limit._held) == CALLERS_KEPT


def test_a_body_that_is_too_long_is_not_read(office):
    desk = Desk(office, NOW, Limits(longest=1000))
    token = desk.token(Role.STAFF)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain"}
    answer = desk.http.post("/v1/roster", content=b"x" * 2000, headers=headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/", 404), ("PUT", "/v1/card", 405)])
def test_an_address_that_is_none_is_a_problem_document(desk, method, path, code):
    answer = desk.http.request(method, path)
    assert answer.status_code == code
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == code


def test_a_bug_is_told_without_what_went_wrong(desk, monkeypatch, caplog):
    def broken(*arguments):
        raise RuntimeError("a secret")

    monkeypatch.setattr("issuer.audit.verify", broken)
    answer = desk.get("/v1/books/audit", desk.token(Role.STAFF))
    assert (answer.status_code, answer.json()["reason"]) == (500, "bug")
    assert "a secret" not in answer.text


def test_a_database_that_is_gone_is_a_503(desk, monkeypatch):
    from issuer.errors import DatabaseError

    def broken(*arguments):
        raise DatabaseError("the database at /somewhere is locked")

    monkeypatch.setattr("issuer.audit.verify", broken)
    answer = desk.get("/v1/books/audit", desk.token(Role.STAFF))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "somewhere" not in answer.text


def test_the_document_has_an_example_for_every_body(desk):
    document_ = desk.http.get("/v1/openapi.json").json()
    for name, schema in document_["components"]["schemas"].items():
        if name in ("Claim", "PhoneBody", "Amount", "CardAnswer", "Serial", "Conversation"):
            assert schema["examples"], name
