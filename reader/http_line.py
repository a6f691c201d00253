"""A station's line to the office over HTTP: batches go up, the blacklist comes down.

The same store and forward as over TCP (`reader.upload`), with a POST for each batch; and the
blacklist step by step into the gate's own file. Needs nothing beside Python.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from reader.blacklist import BlacklistError
from reader.blacklist_file import BlacklistFile
from reader.upload import ANSWER_S, MOST_SENDS, LineError, Todo, Uplink

LONGEST = 64 << 20
"""Bytes of the longest answer that is read: a blacklist of three million cards."""

MOST_UPDATES = 10_000
"""Updates taken in one go; a service that never comes to an end is wrong."""

_OK, _NOTHING, _TOO_MANY = 200, 204, 429


@dataclass(frozen=True, slots=True)
class Service:
    """Where the office is. url: such as http://127.0.0.1:8000. token: a gate's.

    Raises ValueError if the URL is none.
    """

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise ValueError(
                f"expected an address such as http://127.0.0.1:8000, found {self.url!r}"
            )
        if not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("expected a token of printable ASCII characters")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # a port that is none is found when asked for
        host.encode("idna")
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return is_plain and parts.scheme in ("http", "https") and bool(host)


def forward_http(
    uplink: Uplink,
    service: Service,
    clock: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send what waits. Returns how many batches were delivered. Raises LineError, OutboxError.

    clock: seconds of a clock that only goes forward. sleep: waits when the office asks for it.
    """
    while (step := uplink.next(clock())).todo is not Todo.DONE:
        if step.todo is not Todo.SEND:
            # An answer over HTTP comes with its request or never; or its database is away.
            raise LineError(
                f"the office at {service.url} took no batch now; "
                "the batches wait, connect again later"
            )
        uplink.answered(_delivered(service, step.message, sleep))
    return uplink.delivered


def _delivered(service: Service, message: bytes, sleep: Callable[[float], None]) -> bytes:
    """The answer to a batch, which is asked for again if the line breaks. Raises LineError."""
    for number in range(1, MOST_SENDS + 1):
        try:
            return _ask(service, "POST", "/v1/batches", message)
        except _LineBroke as broke:
            if number == MOST_SENDS:
                raise
            sleep(broke.wait_s)
    raise AssertionError("the last send returned or raised")


def fetch_blacklist(held: BlacklistFile, service: Service) -> int:
    """Bring a gate's blacklist to the newest version. Returns how many updates were applied.

    Raises LineError, and BlacklistError if what came is none; the gate keeps what it has.
    """
    for applied in range(MOST_UPDATES):
        version = held.blacklist.version
        text = _ask(service, "GET", f"/v1/blacklist?since={version}")
        if not text:
            return applied
        held.take(text)
        if held.blacklist.version == version:
            break
    raise BlacklistError(
        f"the office at {service.url} sends updates that lead nowhere; version "
        f"{held.blacklist.version} stays in force"
    )


class _LineBroke(LineError):
    """No answer came, or one that asks to wait. wait_s: before the next send."""

    wait_s = 0.0


def _ask(service: Service, method: str, path: str, body: bytes | None = None) -> bytes:
    """The body of an answer. Raises LineError."""
    parts = urlsplit(service.url)
    assert parts.hostname is not None
    headers = {"Authorization": f"Bearer {service.token}"}
    if body is not None:
        headers["Content-Type"] = "application/octet-stream"
    line: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        line = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=ANSWER_S, context=context
        )
    else:
        line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S)
    try:
        line.request(method, parts.path.rstrip("/") + path, body, headers)
        answer = line.getresponse()
        data = answer.read(LONGEST)
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or error or type(error).__name__
        raise _LineBroke(
            f"the office at {service.url} cannot be reached ({said}); "
            "the batches wait, connect again later"
        ) from error
    finally:
        line.close()
    if answer.status == _TOO_MANY:
        slow = _LineBroke(
            f"the office at {service.url} is asked too often; the batches wait, connect again later"
        )
        slow.wait_s = _wait_s(answer.headers.get("Retry-After", ""))
        raise slow
    if answer.status not in (_OK, _NOTHING):
        raise LineError(
            f"the office at {service.url} says no ({answer.status}{_said(data)}); "
            "look at the address and the gate's token"
        )
    return data


def _wait_s(told: str) -> float:
    """What `Retry-After` says, within reason."""
    return min(float(told), ANSWER_S) if told.isascii() and told.isdecimal() else 1.0


def _said(data: bytes) -> str:
    try:
        return f", {json.loads(data)['en']}".rstrip(".")
    except (ValueError, KeyError, TypeError):
        return ""
