"""What a station's computer does: it fetches the blacklist and hands in its gates' records."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Body as FastBody

from issuer import blacklist_book
from issuer.database import reading
from issuer.service.guard import GuardedRoute, allow
from issuer.service.house import TheHouse
from issuer.tokens import Role
from reader.blacklist_text import build_update

router = APIRouter(prefix="/v1", tags=["gates"], route_class=GuardedRoute)

BATCH = "application/octet-stream"
LONGEST_VERSION = 2**31
STEPS = 16
"""A gate that is further behind gets the full list at once, instead of step after step."""


def _allow(content: dict[int, dict[str, Any]]) -> dict[str, Any]:
    declared = allow(Role.GATE)
    return {**declared, "responses": {**declared["responses"], **content}}


_TEXT = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "A text"}}
_NONE = {204: {"description": "The version held is the newest"}}
_ANSWER = {
    200: {
        "content": {BATCH: {"schema": {"type": "string", "format": "binary"}}},
        "description": "The answer, as on the station's line",
    }
}


@router.get("/blacklist", response_class=Response, **_allow({**_TEXT, **_NONE}))
def blacklist(
    house: TheHouse, since: Annotated[int, Query(ge=0, lt=LONGEST_VERSION)] = 0
) -> Response:
    """The next update for a gate that holds a version, as a text of docs/lists.md.

    A step to the next version, or the full list for a gate that has none or is far behind. Ask
    again with the version that it leads to, until there is nothing more.
    """
    with reading(house.office.engine) as session:
        newest = blacklist_book.version_of(session)
        if since == newest:
            return Response(status_code=204)
        if 0 < since < newest and newest - since <= STEPS:
            text = build_update(blacklist_book.increment(session, since))
        elif newest:
            text = build_update(blacklist_book.full(session))
        else:
            return Response(status_code=204)
    return Response(text, media_type="text/plain")


@router.post("/batches", response_class=Response, **_allow(_ANSWER))
def batches(body: Annotated[bytes, FastBody(media_type=BATCH)], house: TheHouse) -> Response:
    """Take a batch of records (`reader.batch`) and answer as on the station's line.

    A batch is stored before it is answered; delivered again, it is answered and not stored. While
    the database is away there is a 503, as of every route, and the batch waits.
    """
    answer = house.clearing.receive(body, house.office.now())
    return Response(answer.build(), media_type=BATCH)
