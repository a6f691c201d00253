"""Who may call a route: each declares its roles, and is checked before its body is looked at."""

from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from issuer import tokens
from issuer.database import reading
from issuer.service.house import House
from issuer.service.problems import MEDIA_TYPE, ProblemBody, Refused
from issuer.tokens import Bearer, Role

ROLES = "x-roles"
"""The key of a route's roles in the OpenAPI document. No role: anybody."""

_LONGEST_TOKEN = 200

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def allow(*roles: Role, problems: tuple[int, ...] = ()) -> dict[str, Any]:
    """What a route is declared with: its roles, and the problems it may tell beside the usual."""
    codes = {400, 413, 422, 429, 503, *problems} | ({401, 403} if roles else set())
    told: dict[str, Any] = {ROLES: [role.value for role in roles]}
    if roles:
        told["security"] = [{"bearer": []}]
    responses = {
        code: {
            "description": HTTPStatus(code).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for code in sorted(codes)
    }
    return {"openapi_extra": told, "responses": responses}


class GuardedRoute(APIRoute):
    """A route that lets in who has a token of one of its roles.

    Raises ValueError for a route that does not say whom.
    """

    def get_route_handler(self) -> Handler:
        """See APIRoute."""
        if ROLES not in (self.openapi_extra or {}):
            raise ValueError(f"the route {self.path} does not say who may call it")
        roles = frozenset(map(Role, (self.openapi_extra or {})[ROLES]))
        handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await run_in_threadpool(_guard, request, roles)
            return await handle(request)

        return guarded


def _guard(request: Request, roles: frozenset[Role]) -> None:
    """Let a request in or raise Refused."""
    house: House = request.app.state.house
    bearer = _known(request, house)
    request.state.bearer = bearer
    caller = f"token:{bearer.id}" if bearer else f"host:{_host(request)}"
    wait_s = house.rate.wait_s(caller)
    if wait_s:
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_requests",
            "请求过于频繁，请稍后再试。",
            "Too many requests; wait before the next.",
            {"Retry-After": str(ceil(wait_s))},
        )
    if not roles:
        return
    if bearer is None:
        raise Refused(
            HTTPStatus.UNAUTHORIZED,
            "no_token",
            "缺少有效令牌，或令牌已过期。",
            "A token that is valid is needed; this one is missing, unknown or over.",
            {"WWW-Authenticate": "Bearer"},
        )
    if bearer.role not in roles:
        raise Refused(
            HTTPStatus.FORBIDDEN,
            "wrong_role",
            "此令牌的角色不能办理该业务。",
            "The role of this token may not do this.",
        )


def _known(request: Request, house: House) -> Bearer | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN:
        return None
    with reading(house.office.engine) as session:
        return tokens.find(session, token.strip(), house.office.now())


def _host(request: Request) -> str:
    return request.client.host if request.client else "unknown"


__all__ = ["ROLES", "GuardedRoute", "ProblemBody", "allow"]
