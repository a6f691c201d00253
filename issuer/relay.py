"""The server's side of a card that is at the other end of HTTP: a transaction, a command at a time.

Somebody starts a transaction and gets its first command; the phone gives it to the card and sends
the answer, and so on to the end. A conversation is kept in memory alone. If it is lost, in time or
with the server, the operation is started again with the same idempotency key and goes on where it
stood, as after any other cut.

An answer that comes twice, because the reply to it was lost, is answered twice and used once: each
command has a number, its turn.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apdu.value import value
from reader.session import Txn
from reader.transport.base import CardLost

log = logging.getLogger(__name__)

LIFE_S = 60.0
"""How long a conversation waits for the card's next answer."""

MOST = 2000
"""Conversations at a time."""

MOST_OF_ONE = 1
"""Conversations of one account at a time: its oldest gives way to the next."""


@value
class Turn:
    """What comes next. command: for the card, or None at the end, where there is the result."""

    session: str
    number: int
    command: bytes | None
    result: Any = None


class NoSession(LookupError):
    """There is no such conversation, or it is another account's."""


class WrongTurn(ValueError):
    """The answer is to another command than the one that is waited for. wanted: its number."""

    def __init__(self, wanted: int) -> None:
        super().__init__(f"expected the answer of turn {wanted}")
        self.wanted = wanted


class RelayFull(Exception):
    """Too many conversations at once; try again later."""


@dataclass(slots=True)
class _Session:
    """A conversation. error: what ended it, if it was not the result."""

    name: str
    owner: int
    transaction: Txn[Any]
    until: float
    turn: Turn | None = None
    error: Exception | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_dropped: bool = False

    @property
    def is_over(self) -> bool:
        return self.error is not None or (self.turn is not None and self.turn.command is None)

    def drop(self) -> None:
        """Leave the transaction where it is, once nobody is in the middle of a step of it."""
        with self.lock:
            self.is_dropped = True
            try:
                self.transaction.close()
            except Exception:
                log.exception("a transaction did not end well")

    def advance(self, step: Callable[[], Any]) -> Turn:
        """Let the transaction run to its next command. Raises what it raises."""
        number = 1 if self.turn is None else self.turn.number + 1
        try:
            self.turn = Turn(self.name, number, step().command)
        except StopIteration as end:
            self.turn = Turn(self.name, number, None, end.value)
        except Exception as error:
            self.error = error
            raise
        return self.turn


class Relay:
    """The conversations of one server. Any thread may call it; a step runs in the caller's.

    clock: seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        life_s: float = LIFE_S,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._clock = clock
        self._life_s = life_s
        self._most = most
        self._most_of_one = most_of_one
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def start(self, owner: int, transaction: Txn[Any]) -> Turn:
        """Begin a conversation of an account. Raises RelayFull, and what the transaction raises."""
        session = _Session(
            secrets.token_urlsafe(24), owner, transaction, self._clock() + self._life_s
        )
        with self._lock:
            given_up = self._make_room(owner)
            is_full = len(self._sessions) >= self._most
            if not is_full:
                self._sessions[session.name] = session
        for old in given_up:
            old.drop()
        if is_full:
            transaction.close()
            raise RelayFull("too many cards are being served; try again in a minute")
        try:
            with session.lock:
                return session.advance(lambda: next(transaction))
        except BaseException:
            self._forget(session)
            raise

    def answer(self, name: str, owner: int, number: int, response: bytes | None) -> Turn:
        """Take the card's answer to the command of a turn. response: None if the card has gone.

        Raises NoSession, WrongTurn, and what the transaction raises: CardLost for a card that has
        gone, if nothing more is to be said of it.
        """
        session = self._held(name, owner)
        with session.lock:
            if session.is_dropped or session.turn is None:
                raise NoSession("the conversation is over")
            if number == session.turn.number - 1:
                return session.turn
            if session.error is not None and number == session.turn.number:
                raise session.error
            if session.is_over or number != session.turn.number:
                raise WrongTurn(session.turn.number)
            session.until = self._clock() + self._life_s
            transaction = session.transaction
            if response is None:
                return session.advance(lambda: transaction.throw(_gone()))
            return session.advance(lambda: transaction.send(response))

    def drop(self, name: str, owner: int) -> None:
        """End a conversation where it is. Raises NoSession."""
        session = self._held(name, owner)
        self._forget(session)
        session.drop()

    def close(self) -> None:
        """End all conversations, as the server ends."""
        with self._lock:
            held, self._sessions = list(self._sessions.values()), {}
        for session in held:
            session.drop()

    def _held(self, name: str, owner: int) -> _Session:
        with self._lock:
            late = self._late()
            session = self._sessions.get(name)
        for old in late:
            old.drop()
        if session is None or session.owner != owner:
            raise NoSession("there is no such conversation; start the operation again")
        return session

    def _make_room(self, owner: int) -> list[_Session]:
        """Take out what is late, and the account's oldest if it has too many."""
        given_up = self._late()
        own = [one for one in self._sessions.values() if one.owner == owner]
        for old in own[: max(0, len(own) - self._most_of_one + 1)]:
            del self._sessions[old.name]
            given_up.append(old)
        return given_up

    def _late(self) -> list[_Session]:
        """Take out the conversations whose time is over."""
        now = self._clock()
        late = [one for one in self._sessions.values() if one.until < now]
        for one in late:
            del self._sessions[one.name]
        return late

    def _forget(self, session: _Session) -> None:
        with self._lock:
            self._sessions.pop(session.name, None)


def _gone() -> CardLost:
    return CardLost("the card left before it answered; present it again")
