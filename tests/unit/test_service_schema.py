"""Schemathesis: bodies and parameters made from the OpenAPI document, right ones and wrong ones."""

from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from issuer.database import open_database
from issuer.tokens import Role
from tests.offices import NOW, Office
from tests.services import PHONE, Desk, PhoneCard

EXAMPLES = 15
SOME_EXAMPLES = 6
"""Of each route and role, in all and in a slice."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    office = Office(open_database(str(tmp_path_factory.mktemp("schema") / "office.db")), NOW)
    office.fill()
    made = Desk(office, NOW)
    made.remote(made.student()).open_card("open-1", PHONE, PhoneCard())
    return made


@pytest.fixture(scope="module")
def web(desk):
    return schemathesis.openapi.from_asgi("/v1/openapi.json", desk.app)


@pytest.fixture(scope="module")
def tokens(desk) -> dict[str, str]:
    held = {role.value: desk.token(role) for role in (Role.STAFF, Role.GATE)}
    return held | {Role.STUDENT.value: desk.student()}


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_the_service_answers_as_its_document_says_and_never_with_500(web, tokens, some):
    count, examples = 0, EXAMPLES if some.is_whole else SOME_EXAMPLES
    for found in web.get_all_operations():
        operation = found.ok()
        roles = operation.definition.raw["x-roles"]
        headers = {"Authorization": f"Bearer {tokens[roles[0]]}"} if roles else {}
        for mode in GenerationMode:
            count += examine(operation, mode, headers, examples)
    assert count > 20 * examples


def examine(operation, mode: GenerationMode, headers: dict[str, str], examples: int) -> int:
    """Call an operation with right or wrong data. Returns how often."""
    seen = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def call(case):
        seen.append(case)
        case.call_and_validate(headers=headers, checks=CHECKS)

    try:
        call()
    except (Unsatisfiable, SkipTest):  # nothing wrong can be sent where nothing is taken
        assert mode is GenerationMode.NEGATIVE
    return len(seen)
