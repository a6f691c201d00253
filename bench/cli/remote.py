"""A service of an office and the token for it, as the command line names them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.problem import Problem
from issuer.client import RemoteOffice
from reader.http_line import Service
from reader.whole import read_whole

_LONGEST_TOKEN = 1000


@contextmanager
def remote_office(url: str, token: Path | None) -> Iterator[RemoteOffice]:
    """The office at a service, for who holds the token in a file. Raises Problem."""
    service = service_at(url, token)
    try:
        import httpx2
    except ModuleNotFoundError as error:
        raise Problem(
            "httpx2 is missing; install it with pip install 'tapbench[issuer]'"
        ) from error
    with httpx2.Client(base_url=service.url, timeout=30, trust_env=False) as http:
        yield RemoteOffice(http, service.token)


def service_at(url: str, token: Path | None) -> Service:
    """A service, and the token for it that is in a file. Raises Problem."""
    if token is None:
        raise Problem("a service asks for a token; make one with tapbench issuer token")
    try:
        return Service(url, token_in(token))
    except ValueError as error:
        raise Problem(str(error)) from error


def token_in(path: Path) -> str:
    """The token in a file. Raises Problem."""
    try:
        token = read_whole(path, _LONGEST_TOKEN).decode("ascii").strip()
    except OSError as error:
        raise Problem(f"the token in {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise Problem(f"{path} holds no token; make one with tapbench issuer token")
    return token
