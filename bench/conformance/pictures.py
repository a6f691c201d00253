"""Pictures of a card: all that can be read of a purse, before a transaction and after it.

`Picture.after` says what must be read once a transaction has been committed (protocol reference
6.9).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from apdu.commands import EP, GET_BALANCE
from apdu.files import EF1A, EF1E, EF15, EF16, EF17, EF18, LogRecord
from apdu.sw import SW
from bench.conformance.lab import Lab
from bench.conformance.scenes import (
    NEW_LIMIT,
    RIDE,
    TOP_UP,
    Deal,
    Inputs,
    init_command,
    read_binary,
    read_record,
)
from bench.conformance.words import Words

SHALLOW = {EF18.sfi: (1, 2), EF1E.sfi: (1, 2), EF1A.sfi: (1, 2, EF1A.count)}
DEEP = {spec.sfi: tuple(range(1, spec.count + 1)) for spec in (EF18, EF1E, EF1A)}

_WORDS = {"actual balance": 0x03, "overdraft limit": 0x01, "overdraft in use": 0x02}


@dataclass(slots=True)
class Picture:
    """All that can be read of a purse, as answers by name. at: the exchange that shows each."""

    facts: dict[str, bytes]
    at: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """A fact as a number, its status word left out."""
        return int.from_bytes(self.facts[name][:-2], "big")

    def after(self, deal: Deal, q: Inputs, cached: Iterable[tuple[int, bytes]] = ()) -> "Picture":
        """What must be read after this transaction of the electronic purse."""
        made = Picture(dict(self.facts))
        made._pay(deal, q.amount)
        seq = "offline number" if deal.is_spending else "online number"
        made.facts[seq] = (q.seq + 1).to_bytes(2, "big") + b"\x90\x00"
        limit = made.number("overdraft limit")
        amount = 0 if deal is NEW_LIMIT else q.amount
        entry = LogRecord(q.seq + 1, limit, amount, q.kind, q.terminal, q.date, q.time)
        made._push(EF18.sfi, entry.build())
        for sfi, record in cached:
            if sfi == EF1E.sfi:
                made._push(sfi, record)
            elif f"EF{sfi:02X} record {record[1]}" in made.facts:
                made.facts[f"EF{sfi:02X} record {record[1]}"] = record + b"\x90\x00"
        return made

    def _pay(self, deal: Deal, amount: int) -> None:
        held, used = self.number("actual balance"), self.number("overdraft in use")
        if deal is NEW_LIMIT:
            self._set("overdraft limit", amount)
        elif deal is TOP_UP:
            repaid = min(used, amount)
            self._set("actual balance", held + amount - repaid)
            self._set("overdraft in use", used - repaid)
        else:
            from_held = min(held, amount)
            self._set("actual balance", held - from_held)
            self._set("overdraft in use", used + amount - from_held)

    def _set(self, name: str, fen: int) -> None:
        self.facts[name] = fen.to_bytes(4, "big") + b"\x90\x00"

    def _push(self, sfi: int, record: bytes) -> None:
        names = [name for name in self.facts if name.startswith(f"EF{sfi:02X} record")]
        for later, earlier in zip(reversed(names), reversed(names[:-1]), strict=False):
            self.facts[later] = self.facts[earlier]
        if names:
            self.facts[names[0]] = record + b"\x90\x00"


def picture(lab: Lab, *, deep: bool = False) -> Picture:
    """Read a purse that is selected. deep: every record. It leaves the card at rest."""
    made = Picture({})

    def keep(name: str, answer: bytes) -> None:
        made.facts[name] = answer
        made.at[name] = len(lab.said) - 1

    for name, p1 in _WORDS.items():
        keep(name, lab.ask(GET_BALANCE, pair=(p1, EP)))
    for spec in (EF15, EF16, EF17):
        keep(f"EF{spec.sfi:02X}", lab.send(read_binary(spec.sfi)))
    for sfi, numbers in (DEEP if deep else SHALLOW).items():
        for number in numbers:
            keep(f"EF{sfi:02X} record {number}", lab.send(read_record(sfi, number)))
    for name, deal in (("online number", NEW_LIMIT), ("offline number", RIDE)):
        keep(name, _seq(lab.send(init_command(lab, deal, 0))))
    lab.ask(GET_BALANCE)
    return made


def _seq(answer: bytes) -> bytes:
    """The number in INITIALIZE's answer; a card that says 9402 has reached FFFF."""
    at_end = int.from_bytes(answer[-2:], "big") == SW.COUNTER_AT_MAXIMUM
    return b"\xff\xff\x90\x00" if at_end else answer[4:6] + answer[-2:]


def same(lab: Lab, wanted: Picture, *, clause: str = "", deep: bool = False) -> None:
    """Read the purse again; every fact is as wanted. Raises Broken."""
    came = picture(lab, deep=deep)
    for name, fact in wanted.facts.items():
        shown = fact.hex().upper()
        lab.require(
            came.facts[name] == fact,
            Words(f"{name} {shown}", f"{name}: {shown}"),
            came.facts[name].hex().upper(),
            clause=clause,
            at=came.at[name],
        )
