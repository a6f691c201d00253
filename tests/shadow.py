"""What a card must hold, told only by the bytes that passed: the purse as plain integers.

The shadow never asks the card. It believes an answer 9000 and works out what the card must hold
from then on; a final command that the card accepted must carry the right cryptogram by the
independent implementation (`tests.vectors.independent`). `check` compares with the card.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    GET_PROVE,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    TABLE,
    UPDATE_CACHE,
)
from apdu.files import EF1A, EF1E, EF18
from apdu.purse import CAPP, LOAD, PURCHASE
from apdu.spec import CommandSpec
from emulator.card.card import Card
from emulator.card.state import CardKeys
from tests.cards import OK
from tests.vectors import independent

SPENDING = {INIT_PURCHASE.name: PURCHASE, INIT_CAPP.name: CAPP}


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


@dataclass
class Pending:
    """A transaction under way. asked, offer: the bytes of INITIALIZE and of its answer."""

    kind: int
    asked: bytes
    offer: bytes
    cache: dict[tuple[int, int], bytes] = field(default_factory=dict)

    @property
    def amount(self) -> int:
        return number(self.asked[1:5])


class Shadow:
    """Follows one card. commits: final commands it accepted. trips: records written with them."""

    def __init__(self, card: Card, keys: CardKeys) -> None:
        purse, files = card.image.purse, card.image.files
        self.card, self.keys = card, keys
        self.ceiling, self.limit = purse.ceiling, purse.limit
        self.actual, self.used = purse.actual, purse.used
        self.online_seq, self.offline_seq = purse.online_seq, purse.offline_seq
        self.records = {sfi: list(files[sfi]) for sfi in (EF18.sfi, EF1A.sfi, EF1E.sfi)}
        self.fixed = {sfi: files[sfi] for sfi in files if sfi not in self.records}
        self.proofs: dict[int, tuple[int, bytes]] = {
            kind: (p.seq, p.mac2 + p.tac) for kind, p in card.image.proofs.items()
        }
        self.pending: Pending | None = None
        self.image = card.image
        self.commits = 0
        self.trips = 0

    @property
    def available(self) -> int:
        return self.actual + self.limit - self.used

    def saw(self, command: bytes, response: bytes) -> None:
        """One exchange, whether or not the terminal heard the answer. Checks the card after it."""
        pending, self.pending = self.pending, None
        spec = TABLE.route(bytes(command[:4]))
        if response[-2:] == OK and isinstance(spec, CommandSpec):
            follow = self._FOLLOW.get(spec.name)
            if follow is not None:
                data = command[5 : 5 + command[4]]
                follow(self, pending, command, data, response[:-2])
        self.check()

    def left(self) -> None:
        """The card left the field."""
        self.pending = None
        self.check()

    def check(self) -> None:
        """Old or new, never between: the image moves with an accepted final command alone."""
        image = self.card.image
        if image is self.image:
            return
        raise AssertionError("the card's image changed without an accepted final command")

    def _committed(self) -> None:
        image = self.card.image
        purse = image.purse
        assert image is not self.image
        held = (purse.actual, purse.used, purse.online_seq, purse.offline_seq)
        assert held == (self.actual, self.used, self.online_seq, self.offline_seq)
        assert (purse.ceiling, purse.limit) == (self.ceiling, self.limit)
        assert 0 <= purse.actual <= purse.ceiling
        assert 0 <= purse.used <= purse.limit
        assert not (purse.actual and purse.used)
        for sfi, records in self.records.items():
            assert list(image.files[sfi]) == records
        assert {sfi: image.files[sfi] for sfi in self.fixed} == self.fixed
        self.image = image
        self.commits += 1

    # What each command does when it answers 9000

    def _init_load(self, _: Any, command: bytes, asked: bytes, offer: bytes) -> None:
        assert number(asked[1:5]) > 0
        assert self.actual - self.used + number(asked[1:5]) <= self.ceiling
        assert (number(offer[:4]), number(offer[4:6])) == (self.available, self.online_seq)
        self.pending = Pending(LOAD, asked, offer)

    def _init_spend(self, _: Any, command: bytes, asked: bytes, offer: bytes) -> None:
        assert number(asked[1:5]) <= self.available
        assert (number(offer[:4]), number(offer[4:6])) == (self.available, self.offline_seq)
        assert number(offer[6:9]) == self.limit
        self.pending = Pending(CAPP if command[2] == 3 else PURCHASE, asked, offer)

    def _cache(self, pending: Pending | None, command: bytes, data: bytes, reply: bytes) -> None:
        assert pending is not None
        assert pending.kind == CAPP
        sfi = command[3] >> 3
        pending.cache[sfi, data[1] if sfi == EF1A.sfi else 0] = data
        self.pending = pending

    def _credit(self, pending: Pending | None, command: bytes, data: bytes, reply: bytes) -> None:
        assert pending is not None
        assert pending.kind == LOAD
        repaid = min(self.used, pending.amount)
        self.used -= repaid
        self.actual += pending.amount - repaid
        right = independent.load(
            {
                "dlk": self.keys.dlk.expose(),
                "dtk": self.keys.dtk.expose(),
                "random": pending.offer[8:12],
                "seq": pending.offer[4:6],
                "old_balance": pending.offer[:4],
                "new_balance": self.available.to_bytes(4, "big"),
                "amount": pending.asked[1:5],
                "terminal": pending.asked[5:11],
                "date": data[:4],
                "time": data[4:7],
            }
        )
        assert data[7:] == right["mac2"], "the card took a load the host did not authorise"
        assert reply == right["tac"]
        self.online_seq += 1
        self._write(pending, self.online_seq, data[:7], right["mac2"] + right["tac"])

    def _debit(self, pending: Pending | None, command: bytes, data: bytes, reply: bytes) -> None:
        assert pending is not None
        assert pending.kind in (PURCHASE, CAPP)
        right = independent.purchase(
            {
                "dpk": self.keys.dpk.expose(),
                "dtk": self.keys.dtk.expose(),
                "type": bytes((pending.kind,)),
                "amount": pending.asked[1:5],
                "terminal": pending.asked[5:11],
                "random": pending.offer[11:15],
                "seq": pending.offer[4:6],
                "terminal_seq": data[:4],
                "date": data[4:8],
                "time": data[8:11],
            }
        )
        assert data[11:] == right["mac1"], "the card paid without a terminal's MAC1"
        assert reply == right["tac"] + right["mac2"]
        own = min(self.actual, pending.amount)
        self.actual -= own
        self.used += pending.amount - own
        self.offline_seq += 1
        self._write(pending, self.offline_seq, data[4:11], right["mac2"] + right["tac"])

    def _write(self, pending: Pending, seq: int, when: bytes, proof: bytes) -> None:
        self.trips += len(pending.cache)
        for (sfi, slot), content in pending.cache.items():
            if slot:
                self.records[sfi][slot - 1] = content
            else:
                self._push(sfi, EF1E.count, content)
        entry = seq.to_bytes(2, "big") + self.limit.to_bytes(3, "big") + pending.asked[1:5]
        entry += bytes((pending.kind,)) + pending.asked[5:11] + when
        self._push(EF18.sfi, EF18.count, entry)
        self.proofs[pending.kind] = seq, proof
        self._committed()

    def _push(self, sfi: int, count: int, content: bytes) -> None:
        self.records[sfi] = [content, *self.records[sfi]][:count]

    def _prove(self, _: Any, command: bytes, data: bytes, reply: bytes) -> None:
        assert self.proofs[command[3]] == (number(data), reply)

    _FOLLOW: ClassVar[dict[str, Callable[..., None]]] = {
        INIT_LOAD.name: _init_load,
        INIT_PURCHASE.name: _init_spend,
        INIT_CAPP.name: _init_spend,
        UPDATE_CACHE.name: _cache,
        CREDIT_LOAD.name: _credit,
        DEBIT.name: _debit,
        GET_PROVE.name: _prove,
    }
