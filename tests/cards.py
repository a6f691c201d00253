"""Cards of any kind, and a desk that always knows the right bytes for them.

Derived tests walk the command table and ask the desk for a request that the card must take. What a
request carries follows from the record the table declares for it (`Desk._DATA`), so a new command
with an old record needs nothing here, and one with a new record fails loudly.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import fixtures
from apdu.codec import Record
from apdu.command import Command
from apdu.commands import AID_PURSE, INIT_CAPP, INIT_LOAD, INIT_PURCHASE, SELECT, TABLE
from apdu.files import EF1A, FILES
from apdu.purse import (
    CAPP,
    LOAD,
    PURCHASE,
    online_mac2,
    online_session,
    purchase_session,
    spend_mac1,
)
from apdu.records import (
    CacheData,
    CreditLoadData,
    DebitData,
    InitializeData,
    InitLoadReply,
    InitPurchaseReply,
    ProveData,
    SelectId,
    SelectName,
)
from apdu.spec import CommandSpec, State
from apdu.sw import SW
from emulator.card.card import Card
from emulator.card.env import Env, SeededEnv
from emulator.card.personalise import card_keys, new_image, personalise
from emulator.card.state import CardKeys, Image
from emulator.card.store import MemoryStore, Store, StoreError

OK = b"\x90\x00"
TERMINAL = bytes.fromhex("300089000195")
DATE, TIME = bytes.fromhex("20250908"), bytes.fromhex("073015")

KIND_OF = {INIT_LOAD.name: LOAD, INIT_PURCHASE.name: PURCHASE, INIT_CAPP.name: CAPP}
"""Transaction type each INITIALIZE begins (protocol reference 3.7)."""

PIPELINE = {
    SW.CLA_UNKNOWN,
    SW.INS_UNKNOWN,
    SW.WRONG_P1P2,
    SW.WRONG_LENGTH,
    SW.WRONG_STATE,
    SW.BLOCKED,
    SW.PERMANENTLY_BLOCKED,
    SW.MEMORY_FAILURE,
}
"""Words the pipeline itself gives (`apdu.spec.CommandSpec`)."""

Pair = tuple[int, int]


def sw_of(response: bytes) -> int:
    return int.from_bytes(response[-2:], "big")


def allowed(command: bytes, sw: int) -> bool:
    """Whether a status word may answer these bytes: 9000, the pipeline's, or the command's own."""
    if sw in PIPELINE:
        return True
    spec = TABLE.route(bytes(command[:4]))
    if isinstance(spec, SW):
        return sw == spec
    return sw == SW.OK or sw in spec.errors or (sw >> 8 == 0x6C and not spec.le_rule)


def new_card(
    change: Callable[[Image], Image] | None = None,
    *,
    env: Env | None = None,
    store: Callable[[Image], Store] = MemoryStore,
    **profile: Any,
) -> Card:
    """A student's card with 50.00 yuan. profile: fields of the profile to replace."""
    made = replace(fixtures.load_profile("student"), **{"balance": 5000} | profile)
    image = new_image(made)
    if change is not None:
        image = change(image)
    return personalise(made, fixtures.load_roots(), env or SeededEnv("tests"), store(image))


def student_keys() -> CardKeys:
    return card_keys(fixtures.load_profile("student"), fixtures.load_roots())


def with_purse(**numbers: int) -> Callable[[Image], Image]:
    """A change of the purse object."""
    return lambda image: replace(image, purse=replace(image.purse, **numbers))


def with_trip(record: bytes, number: int = 1) -> Callable[[Image], Image]:
    """A change of one record of EF1A."""

    def change(image: Image) -> Image:
        records = list(image.files[EF1A.sfi])
        records[number - 1] = record
        return replace(image, files={**image.files, EF1A.sfi: tuple(records)})

    return change


class Failing:
    """A store that fails when told to."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.fails = False
        self.commits = 0

    def load(self) -> Image:
        return self.image

    def commit(self, image: Image) -> None:
        if self.fails:
            raise StoreError("told to")
        self.commits += 1
        self.image = image


@dataclass(frozen=True)
class Offer:
    """What INITIALIZE was asked and answered."""

    kind: int
    asked: InitializeData
    reply: Any


class Desk:
    """A terminal, a PSAM and a load host in one, with every key of one card."""

    def __init__(self, card: Card, keys: CardKeys | None = None) -> None:
        self.card = card
        self.keys = keys or student_keys()
        self.offer: Offer | None = None
        self.done: dict[int, int] = {}
        self.amount = 100
        self.terminal_seq = 0x101
        self.filler = 0x5A
        self.record = 1

    def send(self, command: bytes) -> bytes:
        """Send bytes, and remember what the answer to INITIALIZE and to a final command said."""
        response = self.card.process(command)
        spec = TABLE.route(bytes(command[:4]))
        if response[-2:] == OK and isinstance(spec, CommandSpec):
            self._learn(spec, command, response[:-2])
        return response

    def _learn(self, spec: CommandSpec[Any, Any], command: bytes, data: bytes) -> None:
        if spec.name in KIND_OF:
            asked = InitializeData.parse(command[5 : 5 + command[4]])
            self.offer = Offer(KIND_OF[spec.name], asked, spec.parse_reply(data))
        elif spec.data in (CreditLoadData, DebitData) and self.offer is not None:
            reply = self.offer.reply
            seq = reply.online_seq if isinstance(reply, InitLoadReply) else reply.offline_seq
            self.done[self.offer.kind] = seq + 1

    def run(self, *specs: CommandSpec[Any, Any]) -> bytes:
        """Several commands that must all succeed. Returns the last answer's data."""
        data = b""
        for spec in specs:
            response = self.send(self.request(spec))
            assert response[-2:] == OK, f"{spec.name} answered {response.hex()}"
            data = response[:-2]
        return data

    def ask(
        self, spec: CommandSpec[Any, Any], data: Record | None = None, pair: Pair | None = None
    ) -> bytes:
        """One command with this data, whatever the answer."""
        if data is None:
            return self.send(self.request(spec, pair))
        p1, p2 = pair or spec.params.examples()[0]
        return self.send(spec.command(data, p1, p2))

    def request(self, spec: CommandSpec[Any, Any], pair: Pair | None = None) -> bytes:
        """A command that the card must take if its state is right."""
        p1, p2 = pair or spec.params.examples()[0]
        return Command(spec.cla, spec.ins, p1, p2, self.data(spec, p1, p2), spec.ne).build()

    def data(self, spec: CommandSpec[Any, Any], p1: int, p2: int) -> bytes:
        """The data field of that command."""
        if spec.data is None:
            return b""
        return self._DATA[spec.data](self, p2).build()

    def _initialize(self, p2: int) -> InitializeData:
        return InitializeData(1, self.amount, TERMINAL)

    def _credit(self, p2: int) -> CreditLoadData:
        return CreditLoadData(DATE, TIME, self.mac2())

    def _debit(self, p2: int) -> DebitData:
        return DebitData(self.terminal_seq, DATE, TIME, self.mac1())

    def mac2(self, key: Any = None) -> bytes:
        """The host's MAC over the load under way, or zeros."""
        offer = self.offer
        if offer is None or not isinstance(offer.reply, InitLoadReply):
            return bytes(4)
        session = online_session(key or self.keys.dlk, offer.reply.random, offer.reply.online_seq)
        return online_mac2(session, offer.asked.amount, LOAD, offer.asked.terminal, DATE + TIME)

    def mac1(self, key: Any = None) -> bytes:
        """The terminal's MAC over the purchase under way, or zeros."""
        offer = self.offer
        if offer is None or not isinstance(offer.reply, InitPurchaseReply):
            return bytes(4)
        session = purchase_session(
            key or self.keys.dpk, offer.reply.random, offer.reply.offline_seq, self.terminal_seq
        )
        asked = offer.asked
        return spend_mac1(session, asked.amount, offer.kind, asked.terminal, DATE + TIME)

    def _cache(self, p2: int) -> CacheData:
        return CacheData(self.content(p2 >> 3))

    def content(self, sfi: int) -> bytes:
        """A record that fits the file: an EF1A record has the id of `record`."""
        size = FILES[sfi].size if sfi in FILES else 16
        head = bytes((0x27, self.record, size - 3, 1, 1, 0)) if sfi == EF1A.sfi else b""
        return head + bytes((self.filler,)) * (size - len(head))

    _DATA: ClassVar[dict[type[Any], Callable[["Desk", int], Record]]] = {
        SelectName: lambda self, p2: SelectName(AID_PURSE),
        SelectId: lambda self, p2: SelectId(b"\x00\x15"),
        InitializeData: _initialize,
        CreditLoadData: _credit,
        DebitData: _debit,
        ProveData: lambda self, p2: ProveData(self.done.get(p2, 0)),
        CacheData: _cache,
    }


def paths() -> dict[State, tuple[CommandSpec[Any, Any], ...]]:
    """The shortest commands from rest into every state the table can reach."""
    found: dict[State, tuple[CommandSpec[Any, Any], ...]] = {State.IDLE: ()}
    queue = [State.IDLE]
    for state in queue:
        for spec in TABLE:
            if state in spec.when and spec.then not in found:
                found[spec.then] = (*found[state], spec)
                queue.append(spec.then)
    return found


PATHS = paths()


def desk_in(state: State, card: Card | None = None) -> Desk:
    """A desk whose card stands in this state, reached by real commands, the purse selected."""
    desk = Desk(card or new_card())
    desk.run(SELECT, *PATHS[state])
    assert desk.card.state is state
    return desk


def ways() -> Iterator[tuple[CommandSpec[Any, Any], ...]]:
    """Every whole transaction of the table: a path to a state and a command that ends it."""
    for state, path in PATHS.items():
        if state is not State.IDLE:
            yield from (
                (*path, s)
                for s in TABLE
                if state in s.when and len(s.when) < len(State) and s.then is State.IDLE
            )


WAYS = list(ways())


def settled() -> Desk:
    """A desk whose card has made every transaction of the table once, and has a proof of each."""
    desk = Desk(new_card())
    desk.run(SELECT)
    for way in WAYS:
        desk.run(*way)
    return desk
