"""Around every request: its id, a line in the log, and a limit for its body.

A line has the route's form, not the address that was called, and numbers of accounts, not people.
"""

import json
import logging
import re
import secrets
import time
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from issuer.service.problems import Refused, problem

log = logging.getLogger("tapbench.service")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADER = b"x-request-id"


class JsonLines(logging.Formatter):
    """Log records as lines of JSON: what the service said of a request, and nothing of its body."""

    def format(self, record: logging.LogRecord) -> str:
        """A line."""
        told: dict[str, Any] = {"level": record.levelname.lower(), "message": record.getMessage()}
        told |= getattr(record, "told", {})
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
        return json.dumps(told, ensure_ascii=False)


class Wire:
    """The outermost layer of the application. longest: bytes of a body."""

    def __init__(self, app: ASGIApp, longest: int) -> None:
        self._app = app
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Call(scope, send)
        try:
            await self._app(scope, _limited(receive, self._longest), call.send)
        except Exception:
            log.exception("a bug", extra={"told": {"request_id": call.name}})
            if call.status is None:
                await problem(call.name, _BUG)(scope, receive, call.send)
        finally:
            call.note()


class _Call:
    """One request on its way. status: what was answered, None while nothing was."""

    def __init__(self, scope: Scope, send: Send) -> None:
        told = next((v for k, v in scope["headers"] if k == _HEADER), b"").decode("latin-1")
        self.name = told if _ID.fullmatch(told) else secrets.token_hex(8)
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.name

    async def send(self, message: Message) -> None:
        """Send on, with the id among the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), (_HEADER, self.name.encode())]
            message = {**message, "headers": headers}
        await self._send(message)

    def note(self) -> None:
        """Write the line of the log."""
        route, bearer = self._scope.get("route"), self._scope["state"].get("bearer")
        told = {
            "request_id": self.name,
            "method": self._scope["method"],
            "route": getattr(route, "path", "none"),
            "status": self.status,
            "ms": round((time.perf_counter() - self._began) * 1000, 1),
            "who": bearer.actor if bearer else "anybody",
        }
        log.info("request", extra={"told": told})


def _limited(receive: Receive, longest: int) -> Receive:
    got = 0

    async def limited() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > longest:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return limited


_BUG = Refused(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "bug",
    "系统内部错误，请联系管理员并提供请求编号。",
    "A fault of ours; report it with the request's id.",
)
