"""Every route against every role: derived from the routes, so that a new one is tested too."""

import itertools

import pytest

from issuer import tokens
from issuer.service.guard import GuardedRoute
from issuer.tokens import Role
from tests.offices import NOW
from tests.services import Desk

PROBLEM = "application/problem+json"


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office, NOW)


def operations(desk: Desk) -> list[tuple[str, str, frozenset[str]]]:
    """Method, path and roles of every operation of the OpenAPI document."""
    document = desk.http.get("/v1/openapi.json").json()
    return [
        (method.upper(), path, frozenset(told["x-roles"]))
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def call(desk: Desk, method: str, path: str, token: str = ""):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return desk.http.request(method, path.replace("{session}", "none"), headers=headers)


def test_no_token_of_another_role_opens_a_route_and_its_own_does(desk):
    held = {role: desk.token(role) for role in Role}
    found = operations(desk)
    assert len(found) > 20
    assert set().union(*(roles for *_, roles in found)) == {role.value for role in Role}
    for (method, path, roles), role in itertools.product(found, Role):
        answer = call(desk, method, path, held[role])
        is_shut = answer.status_code == 403
        assert is_shut == bool(roles and role.value not in roles), (method, path, role)
        assert answer.status_code < 500, (method, path, role, answer.text)
        if is_shut:
            assert answer.headers["content-type"] == PROBLEM
            assert answer.json()["reason"] == "wrong_role"


@pytest.mark.parametrize("token", ["", "tb_wrong", "tb_" + "a" * 43, "x" * 5000, "ä"])
def test_no_route_but_health_opens_without_a_token_that_is_good(desk, token):
    for method, path, roles in operations(desk):
        headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
        answer = desk.http.request(method, path.replace("{session}", "none"), headers=headers)
        assert (answer.status_code == 401) == bool(roles), (method, path)
        if roles:
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == PROBLEM
    assert [path for _, path, roles in operations(desk) if not roles] == ["/v1/health"]


def test_a_token_is_looked_at_before_a_body(desk):
    answer = desk.http.post(
        "/v1/card/top-up", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 401


def test_a_token_whose_time_is_over_opens_nothing(desk):
    token = desk.token(Role.STAFF, days=1)
    assert desk.get("/v1/books/audit", token).status_code == 200
    desk.now = desk.now.replace(day=desk.now.day + 1)
    assert desk.get("/v1/books/audit", token).status_code == 401


def test_a_token_that_was_revoked_opens_nothing(desk):
    token, other = desk.token(Role.STAFF), desk.token(Role.STAFF)
    assert desk.get("/v1/books/audit", token).status_code == 200
    assert desk.books.do(tokens.revoke, token, desk.now)
    assert desk.get("/v1/books/audit", token).status_code == 401
    assert desk.get("/v1/books/audit", other).status_code == 200


def test_every_route_is_guarded(desk):
    paths = {route.path for route in desk.app.routes if getattr(route, "include_in_schema", False)}
    guarded = {r.path for r in desk.app.routes if isinstance(r, GuardedRoute)}
    assert paths == guarded


def test_a_route_that_does_not_say_who_may_call_it_cannot_be_made():
    with pytest.raises(ValueError, match="who may call"):
        GuardedRoute("/x", lambda: None)
