"""The phone's side of the service when something else answers at the address."""

import json

import httpx2
import pytest

from issuer.client import RemoteOffice, ServiceError
from tests.offices import claim
from tests.services import PHONE, PhoneCard

CALLS = {
    "account": lambda office: office.account(),
    "authenticate": lambda office: office.authenticate(claim(0)),
    "check": lambda office: office.check(PHONE),
    "page": lambda office: office.page(),
    "top_up": lambda office: office.top_up("k", 5, PhoneCard()),
    "lost": lambda office: office.report_lost("k"),
    "refund": lambda office: office.refund("k"),
    "outlet_refund": lambda office: office.outlet_refund("k", bytes(10)),
}

TURN = {"session": "a", "turn": 1, "command": "00B0950000", "result": None}

BODIES = [
    b"<html>",
    b"\xff",
    b"",
    b"null",
    b"7",
    b'"x"',
    b"[1]",
    b"{}",
    *(json.dumps(one).encode() for one in (TURN | {"command": "zz"}, TURN | {"command": 5})),
    *(json.dumps(one).encode() for one in (TURN | {"turn": "x"}, TURN | {"command": None})),
]


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_the_services_answer_is_one_sentence(name, body, status):
    server = httpx2.MockTransport(lambda request: httpx2.Response(status, content=body))
    with httpx2.Client(base_url="http://127.0.0.1:1", transport=server) as http:
        office = RemoteOffice(http, "tb_x")
        with pytest.raises(ServiceError, match="look at the address") as told:
            CALLS[name](office)
    assert told.value.reason == "not_the_service"
