"""The application: routes, errors as problem documents, and the OpenAPI document."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from issuer.office import Office
from issuer.service import conversations, gates, problems, staff, student
from issuer.service.guard import GuardedRoute, allow
from issuer.service.house import House, Limits
from issuer.service.wire import Wire

VERSION = "1"

DESCRIPTION = """
Who may hold a student card, how money gets on it, when it ends and what happens when it is lost.

An operation with a card is a conversation: the reply has a command for the card, its answer is
posted to the session, until there is a result. Cut anywhere, an operation is begun again with the
same `Idempotency-Key` and goes on where it stood.
"""

_common = APIRouter(prefix="/v1", tags=["service"], route_class=GuardedRoute)


class Health(BaseModel):
    """The service answers."""

    status: str = "ok"


@_common.get("/health", **allow())
def health() -> Health:
    """Whether the service answers. Needs no token."""
    return Health()


def make_app(office: Office, house: House | None = None) -> FastAPI:
    """The application of one back office. Tokens are in its database (`issuer.tokens`).

    house: made anew if left out; given by whoever wants limits, names, a clock or a relay.
    """
    held = house or House(office, Limits())

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        held.relay.close()

    app = FastAPI(
        title="tapbench issuer",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # a redirect names the host that the caller has named
    )
    app.state.house = held
    for one in (_common, student.router, conversations.router, staff.router, gates.router):
        app.include_router(one)
    problems.install(app)
    app.add_middleware(Wire, longest=held.limits.longest)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's own way
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: with the problem document and what a token looks like."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = made.setdefault("components", {})
        parts.setdefault("schemas", {})["ProblemBody"] = problems.ProblemBody.model_json_schema()
        parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = made
    return app.openapi_schema
