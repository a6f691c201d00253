"""Knobs by script: at which tap and command the card that plays does what.

TOML, or JSON Lines with one such table a line:

    [[knob]]
    tap = 2              # from 1; left out, every tap
    command = "DEBIT"    # a name of COMMANDS, or CLA and INS in hexadecimal
    nth = 1              # which of them in the tap, from 1; of answers left out, each
    cut = "after"        # the card leaves "before" it hears the command or "after" it acted

    [[knob]]
    forced_balance = 0   # fen that GET BALANCE answers

A table has one of `KNOBS`. `answer`, `xor` and `put` are hexadecimal and change the answer to a
command: another one whole, bits that flip from `at` on, bytes that stand there.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.conformance.gate.played import Cut, Knobs, Mutation, PlayedCard, with_fwi
from bench.problem import Problem
from reader.transport.decorators import CutPoint

COMMANDS = {
    "SELECT": b"\x00\xa4",
    "READ BINARY": b"\x00\xb0",
    "READ RECORD": b"\x00\xb2",
    "GET CHALLENGE": b"\x00\x84",
    "GET BALANCE": b"\x80\x5c",
    "INITIALIZE": b"\x80\x50",
    "UPDATE CAPP DATA CACHE": b"\x80\xdc",
    "DEBIT": b"\x80\x54",
    "GET TRANSACTION PROVE": b"\x80\x5a",
    "APPLICATION BLOCK": b"\x84\x1e",
}
KNOBS = ("debit_delay_s", "forced_balance", "fwi", "cut", "answer", "xor", "put")
_OF_COMMAND = ("cut", "answer", "xor", "put")
_POINTS = {"before": CutPoint.BEFORE, "after": CutPoint.AFTER}
_OTHERS = ("tap", "command", "nth", "at", "p1")
_LONGEST_DELAY_S = 60


@dataclass(frozen=True, slots=True)
class Turn:
    """One knob turned. tap: from 1, None for every tap. nth: 0 for each of the commands."""

    tap: int | None = None
    debit_delay_s: float | None = None
    forced_balance: int | None = None
    fwi: int | None = None
    cut: Cut | None = None
    mutation: Mutation | None = None
    nth: int = 0

    def is_for(self, tap: int) -> bool:
        """Whether it is turned in this tap."""
        return self.tap is None or self.tap == tap


class KnobScript:
    """Turns knobs as a card plays (`played.Hook`). turns: may change while it plays."""

    def __init__(self, turns: Iterable[Turn] = ()) -> None:
        self.turns = list(turns)
        self._counts: dict[bytes, int] = {}
        self._now: list[Turn] = []

    def begin(self, played: PlayedCard, *, has_ats: bool = True) -> None:
        """Take hold of a card before its first field.

        has_ats: whether who holds it shows its ATS. Raises Problem if an FWI cannot be shown.
        """
        ats = played.contactless.ats
        for turn in self.turns:
            if turn.fwi is None:
                continue
            if not has_ats:
                raise Problem(
                    "a PC/SC reader shows no ATS, so fwi does nothing there; leave it out"
                )
            try:
                with_fwi(ats, turn.fwi)
            except ValueError as error:
                raise Problem(f"this card cannot play the script: {error}") from None
        played.hook = self
        self._ats = played.contactless.ats
        self._show(played, played.taps + 1)

    def on_tap(self, played: PlayedCard) -> None:
        """See Hook."""
        self._counts.clear()
        self._now = [turn for turn in self.turns if turn.is_for(played.taps)]
        knobs = Knobs()
        for turn in self._now:
            if turn.debit_delay_s is not None:
                knobs.debit_delay_s = turn.debit_delay_s
            if turn.forced_balance is not None:
                knobs.forced_balance = turn.forced_balance
            if turn.cut is not None:
                knobs.cut = turn.cut
        played.knobs = knobs
        self._show(played, played.taps + 1)

    def on_command(self, played: PlayedCard, command: bytes) -> None:
        """See Hook."""
        head = command[:2]
        self._counts[head] = count = self._counts.get(head, 0) + 1
        played.knobs.mutations = tuple(
            turn.mutation
            for turn in self._now
            if turn.mutation is not None and turn.nth in (0, count)
        )

    def _show(self, played: PlayedCard, tap: int) -> None:
        """What the next field will see of it."""
        fwis = [turn.fwi for turn in self.turns if turn.is_for(tap) and turn.fwi is not None]
        played.show_ats(with_fwi(self._ats, fwis[-1]) if fwis else self._ats)


def read_script(path: Path) -> KnobScript:
    """The script in a file. Raises Problem: one sentence that says what is wrong and where."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise Problem(f"script {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Problem(f"script {path} is no text in UTF-8") from None
    return parse_script(text, path.name)


def parse_script(text: str, name: str = "script") -> KnobScript:
    """The script of a text, TOML or JSON Lines. Raises Problem."""
    tables = _lines(text, name) if text.lstrip().startswith("{") else _toml(text, name)
    turns = [_turn(table, where) for where, table in tables]
    if not turns:
        raise Problem(f"{name} turns no knob; write a table [[knob]] for each")
    return KnobScript(turns)


def _lines(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            found = json.loads(line)
        except ValueError as error:
            raise Problem(f"{where} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise Problem(f"{where} is no JSON object; expected one like {_EXAMPLE}")
        yield where, found


_EXAMPLE = '{"tap": 1, "command": "DEBIT", "cut": "after"}'


def _toml(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{name} is not TOML: {error}") from None
    tables = found.pop("knob", [])
    if found:
        raise Problem(f"{name} has '{next(iter(found))}'; expected tables [[knob]] alone")
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise Problem(f"{name}: 'knob' is no list of tables; write [[knob]] before each")
    for number, table in enumerate(tables, 1):
        yield f"{name}, knob {number}", table


def _turn(table: Mapping[str, Any], where: str) -> Turn:
    for entry in table:
        if entry not in KNOBS and entry not in _OTHERS:
            raise Problem(
                f"{where} has '{entry}'; expected one of: {', '.join((*KNOBS, *_OTHERS))}"
            )
    turned = [knob for knob in KNOBS if knob in table]
    if len(turned) != 1:
        came = " and ".join(turned) or "none"
        raise Problem(f"{where} turns {came}; expected exactly one of: {', '.join(KNOBS)}")
    tap = _whole(table, "tap", where, 1, 1_000_000) if "tap" in table else None
    if turned[0] in _OF_COMMAND:
        return _of_command(table, turned[0], tap, where)
    _demand_none(table, turned[0], where, "command", "nth", "at", "p1")
    return _of_tap(table, turned[0], tap, where)


def _demand_none(table: Mapping[str, Any], knob: str, where: str, *entries: str) -> None:
    for entry in entries:
        if entry in table:
            raise Problem(f"{where} has '{entry}', which means nothing beside {knob}")


def _of_tap(table: Mapping[str, Any], knob: str, tap: int | None, where: str) -> Turn:
    if knob == "fwi":
        return Turn(tap, fwi=_whole(table, knob, where, 0, 14))
    if knob == "forced_balance":
        return Turn(tap, forced_balance=_whole(table, knob, where, 0, 0xFFFFFFFF))
    came = table[knob]
    if isinstance(came, bool) or not isinstance(came, int | float):
        raise Problem(f"{where}: {knob} is {came!r}; expected seconds")
    if not 0 <= came <= _LONGEST_DELAY_S:
        raise Problem(f"{where}: {knob} is {came}; expected 0 to {_LONGEST_DELAY_S} seconds")
    return Turn(tap, debit_delay_s=float(came))


def _of_command(table: Mapping[str, Any], knob: str, tap: int | None, where: str) -> Turn:
    head = _head(table, where)
    nth = _whole(table, "nth", where, 1, 1000) if "nth" in table else 0
    if knob == "cut":
        _demand_none(table, knob, where, "at", "p1")
        point = next((one for name, one in _POINTS.items() if name == table["cut"]), None)
        if point is None:
            raise Problem(f"{where}: cut is {table['cut']!r}; expected 'before' or 'after'")
        return Turn(tap, cut=Cut(head, point, nth or 1))
    at = _whole(table, "at", where, -256, 255) if "at" in table else 0
    p1 = _whole(table, "p1", where, 0, 255) if "p1" in table else None
    value = _hex(table, knob, where)
    if knob == "answer":
        _demand_none(table, knob, where, "at")
        if len(value) < 2:
            raise Problem(f"{where}: answer is {len(value)} byte; a status word alone has 2")
        return Turn(tap, mutation=Mutation(head[0], head[1], answer=value, p1=p1), nth=nth)
    made = Mutation(head[0], head[1], at, p1=p1, **{knob: value})
    return Turn(tap, mutation=made, nth=nth)


def _head(table: Mapping[str, Any], where: str) -> bytes:
    came = table.get("command")
    if came is None:
        raise Problem(f"{where} names no command; expected one of: {', '.join(COMMANDS)}, or 8054")
    if isinstance(came, str) and came in COMMANDS:
        return COMMANDS[came]
    try:
        head = bytes.fromhex(came)
    except (TypeError, ValueError):
        head = b""
    if len(head) != 2:
        raise Problem(
            f"{where}: there is no command {came!r}; expected one of: {', '.join(COMMANDS)},"
            " or CLA and INS such as 8054"
        )
    return head


def _whole(table: Mapping[str, Any], entry: str, where: str, least: int, most: int) -> int:
    came = table[entry]
    if isinstance(came, bool) or not isinstance(came, int) or not least <= came <= most:
        raise Problem(f"{where}: {entry} is {came!r}; expected a whole number, {least} to {most}")
    return came


def _hex(table: Mapping[str, Any], entry: str, where: str) -> bytes:
    try:
        found = bytes.fromhex(table[entry])
    except (TypeError, ValueError):
        found = b""
    if not found:
        raise Problem(f"{where}: {entry} is {table[entry]!r}; expected bytes in hexadecimal")
    return found
