"""`tapbench issuer serve`: the service until Ctrl-C."""

import ipaddress
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from bench.cli.issuer import Place
from bench.cli.options import parse_moment
from bench.cli.stopping import on_stop
from bench.clock import now as wall_clock
from bench.office import close_office, open_office, station_names
from bench.problem import Problem

HTTP: dict[str, Any] = {
    "log_config": None,
    "ws": "none",
    "server_header": False,
    # X-Forwarded-For is anybody's word: who guesses tokens would be somebody else each time.
    "proxy_headers": False,
}
"""How uvicorn serves the application."""


def serve(place: Place, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises Problem."""
    try:
        import uvicorn

        from issuer.service import Limits, make_app
        from issuer.service.house import House
        from issuer.service.wire import JsonLines
    except ModuleNotFoundError as error:
        raise Problem(
            f"{error.name} is missing; install it with pip install 'tapbench[issuer]'"
        ) from error
    office = open_office(place.folder, _running(place.now), place.db or None, may_make=False)
    try:
        app = make_app(office, House(office, Limits(), names=station_names()))
        server = uvicorn.Server(uvicorn.Config(app, **HTTP))

        def end(number: int, frame: object) -> None:
            """Also before uvicorn listens to signals, and after."""
            server.should_exit = True

        with _logged_to_stderr(JsonLines()), _bound(host, port) as listening, on_stop(end):
            number = listening.getsockname()[1]
            print(f"serving {place.folder} at http://{_shown(host)}:{number}", flush=True)
            _warn_of(host)
            server.run(sockets=[listening])
    finally:
        close_office(office)


def _running(text: str) -> Callable[[], datetime]:
    """The machine's clock, or one that begins at a moment and goes on."""
    if not text:
        return wall_clock
    began, at = monotonic(), parse_moment(text)
    return lambda: at + timedelta(seconds=monotonic() - began)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # so that nobody who has read the address is turned away
    except (OSError, UnicodeError, TypeError) as error:  # a name can be no name in several ways
        listening.close()
        why = getattr(error, "strerror", None) or "that is no address"
        raise Problem(
            f"nothing can be served at {_shown(host)}:{port}: {why}; choose another port, or an "
            "address of this machine"
        ) from error
    return listening


def _warn_of(host: str) -> None:
    """Tokens and id documents go over the line as they are: say so if others can reach it."""
    if not _is_loopback(host):
        print(
            f"tapbench: {host} may be reached from other machines, and tokens go there in the "
            "clear; leave --host out, or put a proxy with TLS in front",
            file=sys.stderr,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _logged_to_stderr(form: logging.Formatter) -> Iterator[None]:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form)
    logs = [logging.getLogger(name) for name in ("tapbench.service", "issuer")]
    for log in logs:
        log.setLevel(logging.INFO)
        log.addHandler(handler)
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)
