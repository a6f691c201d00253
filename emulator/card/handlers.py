"""Which function answers which command of the table."""

from collections.abc import Callable
from typing import Any, TypeVar

from apdu.codec import Record
from apdu.spec import Call, CommandSpec
from emulator.card.state import CardState, Chip

Q = TypeVar("Q", bound=Record | None)
A = TypeVar("A", bound=Record | bytes)

Handler = Callable[[CardState, Call[Q], Chip], tuple[CardState, A]]
"""A pure function: state and request in, new state and answer out.

Returning the very state it got means "nothing changed"; the pipeline then brings a transaction
under way to rest (protocol reference 4.2). Refusals are raised as `Refuse`.
"""

HANDLERS: dict[str, Handler[Any, Any]] = {}
"""By command name. Filled when `emulator.card.card` imports the modules of handlers."""


def handles(spec: CommandSpec[Q, A]) -> Callable[[Handler[Q, A]], Handler[Q, A]]:
    """Register a handler. Its types must match the command's statement."""

    def register(handler: Handler[Q, A]) -> Handler[Q, A]:
        HANDLERS[spec.name] = handler
        return handler

    return register
