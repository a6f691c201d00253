"""One card's life under fire: recipes become commands, and every answer is judged."""

from typing import NamedTuple

from apdu.commands import GET_ALL_BALANCES, GET_BALANCE, READ_BINARY, READ_RECORD, TABLE
from apdu.files import FILES, Structure
from apdu.spec import CommandSpec, State
from apdu.sw import SW
from bench.conformance.case import NotApplicable
from bench.conformance.fuzz.bed import Bed
from bench.conformance.fuzz.breach import Breach, Rule
from bench.conformance.fuzz.grammar import SELECT_PURSE
from bench.conformance.fuzz.oracle import Oracle
from bench.conformance.fuzz.recipe import RESET, Fuzzer, Recipe, made
from reader.transport.base import CardLost, TransportError


class Said(NamedTuple):
    """One exchange of a script. An empty command is a field that went off and on."""

    command: bytes
    response: bytes


Seen = tuple[State, str, int]
"""State by the table, command, status word: what is new is worth keeping."""


class Life:
    """A card from the moment it is laid down.

    said: everything that was said to it. recipes: what it was made from.
    """

    def __init__(self, bed: Bed, kind: str) -> None:
        self._bed = bed
        bed.lay(kind)
        self.desk = Fuzzer(bed.link, bed.keys, bed.declared.pin)  # type: ignore[arg-type]
        self.oracle = Oracle(self.desk, has_ed=bed.declared.has_ed, inside=bed.inside)
        self.said: list[Said] = []
        self.recipes: list[Recipe] = []
        self.dead = 0
        """Answers in a row of a card that has no more to say."""

    def play(self, recipe: Recipe) -> Seen | None:
        """Send one. Returns what was seen; nothing if it was not sent. Raises Breach."""
        self.recipes.append(recipe)
        if recipe.spec == RESET:
            self._bed.reset()
            self.desk.link = self._bed.link
            self.oracle.left()
            self.said.append(Said(b"", b""))
            return None
        command = made(recipe, self.desk)
        return self._exchange(command) if len(command) >= SHORTEST else None

    def _exchange(self, command: bytes) -> Seen | None:
        desk = self.desk
        before = desk.state
        try:
            response = desk.send(command)
        except NotApplicable:
            return None  # its owner does not allow it
        except CardLost as lost:
            self.said.append(Said(command, b""))
            raise Breach(Rule.ALIVE, "an answer", str(lost)) from lost
        except TransportError:
            raise  # the reader's trouble, not the card's
        except Exception as error:
            self.said.append(Said(command, b""))
            raise Breach(Rule.ALIVE, "an answer", f"{type(error).__name__}: {error}") from error
        self.said.append(Said(command, response))
        spec = TABLE.route(command[:4])
        self.oracle.saw(spec, command, response, before)
        sw = response[-2:]
        self.dead = self.dead + 1 if sw in _OVER else 0
        name = spec.name if isinstance(spec, CommandSpec) else f"{int(spec):04X}"
        return before, name, int.from_bytes(sw, "big")

    def look(self, *, everything: bool) -> None:
        """Read the card back: balances, and everything else if asked to. Raises Breach."""
        self.play(SELECT_PURSE)
        if not self.oracle.is_here or self.dead:
            return
        for recipe in READ_BACK if everything else READ_BACK[:3]:
            self.play(recipe)


_OVER = frozenset(w.to_bytes(2, "big") for w in (SW.BLOCKED, SW.PERMANENTLY_BLOCKED))
SHORTEST = 4
"""PC/SC carries no shorter commands; in process `atheris_card` tries them."""


def _read_back() -> list[Recipe]:
    found = [
        Recipe(GET_ALL_BALANCES, GET_ALL_BALANCES.usual),
        Recipe(GET_BALANCE, (0, 2)),
        Recipe(GET_BALANCE, (0, 1)),
    ]
    for file in FILES.values():
        if file.structure is Structure.TRANSPARENT:
            found.append(Recipe(READ_BINARY, (0x80 | file.sfi, 0), place=1))
            continue
        found += [
            Recipe(READ_RECORD, (n, file.sfi << 3 | 4), place=1, record=n)
            for n in range(1, file.count + 1)
        ]
    return found


READ_BACK = _read_back()
