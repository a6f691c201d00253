"""A desk that always knows the right bytes for a card: terminal, PSAM, load host and issuer in one.

What a request carries follows from the record the table declares for it (`Desk._DATA`), so a new
command with an old record needs nothing here, and one with a new record fails loudly. The ways
through the command table (`PATHS`, `WAYS`) are derived from it too.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from apdu.codec import Record, WireError
from apdu.command import Command
from apdu.commands import AID_PURSE, TABLE
from apdu.crypto import Key, MacKey
from apdu.file_commands import (
    APPEND_RECORD_MAC,
    GET_CHALLENGE,
    READ_BINARY_MAC,
    READ_RECORD_MAC,
    UPDATE_BINARY_MAC,
    UPDATE_RECORD_MAC,
)
from apdu.files import EF1A, EF15, FILES
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    PIN_UNBLOCK,
    WRITE_KEY_MAC,
)
from apdu.order import Secrets
from apdu.purse import (
    external_authenticate,
    limit_mac2,
    online_mac2,
    online_session,
    purchase_session,
    reload_pin_mac,
    secure_messaging_encrypt,
    secure_messaging_mac,
    spend_mac1,
)
from apdu.records import (
    CacheData,
    ChangePin,
    Content,
    CreateFileData,
    CreditLoadData,
    Cryptogram,
    DebitData,
    InitializeData,
    InitLimitData,
    InternalData,
    KeyData,
    OnlyMac,
    Pin,
    Protected,
    ProveData,
    ReloadPin,
    SelectId,
    SelectName,
    UpdateLimitData,
)
from apdu.spec import ANY, CommandSpec, State
from apdu.sw import SW
from reader.transport.base import Transport

Spec = CommandSpec[Any, Any]
Pair = tuple[int, int]

OK = b"\x90\x00"
TERMINAL = bytes.fromhex("300089000195")
DATE, TIME = bytes.fromhex("20250908"), bytes.fromhex("073015")
PIN = bytes.fromhex("123456")


def needs_challenge(spec: Spec) -> bool:
    """Whether the command is taken only directly after GET CHALLENGE."""
    return SW.RANDOM_UNUSABLE in spec.errors


KINDS = {
    (0x00, 0x01): 0x01,
    (0x00, 0x02): 0x02,
    (0x05, 0x01): 0x03,
    (0x05, 0x02): 0x03,
    (0x02, 0x01): 0x04,
    (0x01, 0x01): 0x05,
    (0x01, 0x02): 0x06,
    (0x04, 0x01): 0x07,
    (0x04, 0x02): 0x07,
    (0x03, 0x02): 0x09,
}
"""Transaction type by P1 and P2 of INITIALIZE (protocol reference 3.7, annex 7)."""

FINALS = (CreditLoadData, DebitData, UpdateLimitData)
NEW_KEY = 0x35
"""A key type no card of ours has: WRITE KEY can add it."""


@dataclass(frozen=True)
class Offer:
    """What INITIALIZE was asked and answered."""

    kind: int
    asked: Any
    reply: Any

    @property
    def seq(self) -> int:
        """The transaction number of INITIALIZE's answer, before it counts."""
        reply = self.reply
        return int(reply.online_seq if hasattr(reply, "online_seq") else reply.offline_seq)


class Desk:
    """Everybody a card deals with, and every key of one card.

    link:  the card, with nothing selected and no transaction under way.
    keys:  the card's own. state: where the card's transaction machine must be by the table.
    """

    def __init__(self, link: Transport, keys: Secrets, pin: bytes = PIN) -> None:
        self.link = link
        self.keys = keys
        self.pin = pin
        self.state = State.IDLE
        self.offer: Offer | None = None
        self.challenge: bytes | None = None
        self.done: dict[int, int] = {}
        self.amount = 100
        self.limit = 700
        self.terminal_seq = 0x101
        self.filler = 0x5A
        self.record = 1

    def send(self, command: bytes) -> bytes:
        """Send bytes, and remember what matters of the answer for the next command."""
        response = self.link.transmit(command)
        self.challenge = None
        self.state = State.IDLE
        spec = TABLE.route(bytes(command[:4]))
        if response[-2:] == OK and isinstance(spec, CommandSpec):
            self.state = spec.then
            with suppress(
                WireError, IndexError
            ):  # a card that takes or says nonsense teaches nothing
                self._learn(spec, command, response[:-2])
        return response

    def _learn(self, spec: Spec, command: bytes, data: bytes) -> None:
        if spec is GET_CHALLENGE:
            self.challenge = data
        elif spec.data in (InitializeData, InitLimitData):
            self.offer = None
            asked = spec.data.parse(command[5 : 5 + command[4]])
            self.offer = Offer(KINDS[command[2], command[3]], asked, spec.parse_reply(data))
        elif spec.data in FINALS and self.offer is not None:
            self.done[self.offer.kind] = self.offer.seq + 1

    def run(self, *steps: "Spec | Step") -> bytes:
        """Several commands that must all succeed. Returns the last answer's data."""
        data = b""
        for step in steps:
            spec, pair = step if isinstance(step, tuple) else (step, None)
            response = self.ask(spec, pair=pair)
            assert response[-2:] == OK, f"{spec.name} answered {response.hex()}"
            data = response[:-2]
        return data

    def ask(self, spec: Spec, data: Record | None = None, pair: Pair | None = None) -> bytes:
        """One command with this data, whatever the answer. A challenge is fetched if needed."""
        self.prepare(spec)
        if data is None:
            return self.send(self.request(spec, pair))
        p1, p2 = pair or spec.usual
        return self.send(spec.command(data, p1, p2))

    def prepare(self, spec: Spec) -> None:
        """GET CHALLENGE before a command that needs one, where it costs no transaction."""
        if needs_challenge(spec) and self.state is State.IDLE:
            self.send(GET_CHALLENGE.command(None))

    def request(self, spec: Spec, pair: Pair | None = None) -> bytes:
        """A command that the card must take if its state is right."""
        p1, p2 = pair or spec.usual
        return Command(spec.cla, spec.ins, p1, p2, self.data(spec, p1, p2), spec.ne).build()

    def data(self, spec: Spec, p1: int, p2: int) -> bytes:
        """The data field of that command."""
        if spec.data is None:
            return b""
        return self._DATA[spec.data](self, spec, p1, p2).build()

    # The transaction under way

    def _initialize(self, spec: Spec, p1: int, p2: int) -> InitializeData:
        return InitializeData(1, self.amount, TERMINAL)

    def _credit(self, spec: Spec, p1: int, p2: int) -> CreditLoadData:
        return CreditLoadData(DATE, TIME, self.mac2())

    def _debit(self, spec: Spec, p1: int, p2: int) -> DebitData:
        return DebitData(self.terminal_seq, DATE, TIME, self.mac1())

    def _limit(self, spec: Spec, p1: int, p2: int) -> UpdateLimitData:
        return UpdateLimitData(self.limit, DATE, TIME, self.limit_mac())

    def _session(self, key: Key) -> MacKey:
        assert self.offer is not None, "nothing was initialized"
        return online_session(key, self.offer.reply.random, self.offer.seq)

    def mac2(self, key: Key | None = None) -> bytes:
        """The host's MAC over the load or unload under way, or zeros."""
        offer = self.offer
        if offer is None or offer.kind not in (1, 2, 3):
            return bytes(4)
        own = self.keys.dulk if offer.kind == 3 else self.keys.dlk
        asked = offer.asked
        session = self._session(key or own)
        return online_mac2(session, asked.amount, offer.kind, asked.terminal, DATE + TIME)

    def mac1(self, key: Key | None = None) -> bytes:
        """The terminal's MAC over the purchase under way, or zeros."""
        offer = self.offer
        if offer is None or offer.kind not in (4, 5, 6, 9):
            return bytes(4)
        session = purchase_session(
            key or self.keys.dpk, offer.reply.random, offer.seq, self.terminal_seq
        )
        asked = offer.asked
        return spend_mac1(session, asked.amount, offer.kind, asked.terminal, DATE + TIME)

    def limit_mac(self, key: Key | None = None) -> bytes:
        """The host's MAC over the limit change under way, or zeros."""
        offer = self.offer
        if offer is None or offer.kind != 7:
            return bytes(4)
        return limit_mac2(
            self._session(key or self.keys.duk), self.limit, offer.asked.terminal, DATE + TIME
        )

    # Contents

    def content(self, sfi: int) -> bytes:
        """A record that fits the file: an EF1A record has the id of `record`."""
        size = FILES[sfi].size if sfi in FILES else 16
        head = bytes((0x27, self.record, size - 3, 1, 1, 0)) if sfi == EF1A.sfi else b""
        return head + bytes((self.filler,)) * (size - len(head))

    def _content(self, spec: Spec, p1: int, p2: int) -> Content:
        is_binary = spec.ins == UPDATE_BINARY_MAC.ins
        return Content(bytes((self.filler,)) * 2 if is_binary else self.content(p2 >> 3))

    def key_record(self, p1: int) -> bytes:
        """WRITE KEY: a new key of a type of its own, or the same one changed."""
        kind = NEW_KEY if p1 == 1 else p1
        return bytes((kind, 0xF0, 0xF0, 1, 0)) + bytes((self.filler,)) * 16

    # Secure messaging

    def file_key(self, spec: Spec) -> Key:
        """Records are written under the record protection key, all else is DAMK's."""
        is_record_write = spec.ins in (UPDATE_RECORD_MAC.ins, APPEND_RECORD_MAC.ins)
        return self.keys.record if is_record_write else self.keys.damk

    def _protected(self, spec: Spec, p1: int, p2: int) -> Protected:
        key, content = self.file_key(spec), b""
        if spec is PIN_UNBLOCK:
            key = self.keys.dpuk
            content = secure_messaging_encrypt(key, self.pin)
        elif spec is WRITE_KEY_MAC:
            key = self.keys.dack
            content = secure_messaging_encrypt(key, self.key_record(p1))
        elif spec not in (READ_BINARY_MAC, READ_RECORD_MAC):
            content = self._content(spec, p1, p2).build()
        return Protected(content + self.sm_mac(key, spec, p1, p2, content))

    def sm_mac(self, key: Key, spec: Spec, p1: int, p2: int, content: bytes) -> bytes:
        """The MAC under the challenge just had; under zeros if there was none."""
        head = bytes((spec.cla, spec.ins, p1, p2, (len(content) + 4) & 0xFF))
        return secure_messaging_mac(key, self.challenge or bytes(4), head + content)

    def _only_mac(self, spec: Spec, p1: int, p2: int) -> OnlyMac:
        keys = {APPLICATION_BLOCK: self.keys.dbk, APPLICATION_UNBLOCK: self.keys.dubk}
        return OnlyMac(self.sm_mac(keys.get(spec, self.keys.damk), spec, p1, p2, b""))

    _DATA: ClassVar[dict[type[Any], Callable[["Desk", Spec, int, int], Record]]] = {
        SelectName: lambda self, spec, p1, p2: SelectName(AID_PURSE),
        SelectId: lambda self, spec, p1, p2: SelectId(EF15.sfi.to_bytes(2, "big")),
        InitializeData: _initialize,
        InitLimitData: lambda self, spec, p1, p2: InitLimitData(1, TERMINAL),
        CreditLoadData: _credit,
        DebitData: _debit,
        UpdateLimitData: _limit,
        ProveData: lambda self, spec, p1, p2: ProveData(self.done.get(p2, 0)),
        CacheData: lambda self, spec, p1, p2: CacheData(self.content(p2 >> 3)),
        Content: _content,
        Protected: _protected,
        OnlyMac: _only_mac,
        Pin: lambda self, spec, p1, p2: Pin(self.pin),
        ChangePin: lambda self, spec, p1, p2: ChangePin(self.pin + b"\xff" + self.pin),
        ReloadPin: lambda self, spec, p1, p2: ReloadPin(
            self.pin + reload_pin_mac(self.keys.drpk, self.pin)
        ),
        Cryptogram: lambda self, spec, p1, p2: Cryptogram(
            external_authenticate(self.keys.dack, self.challenge or bytes(4))
        ),
        InternalData: lambda self, spec, p1, p2: InternalData(bytes(range(16))),
        CreateFileData: lambda self, spec, p1, p2: CreateFileData(bytes.fromhex("280010F0F0FFFF")),
        KeyData: lambda self, spec, p1, p2: KeyData(self.key_record(p1)),
    }


# Ways through the table

Step = tuple[Spec, Pair | None]


def paths() -> dict[State, tuple[Spec, ...]]:
    """The shortest commands from rest into every state the table can reach."""
    found: dict[State, tuple[Spec, ...]] = {State.IDLE: ()}
    queue = [State.IDLE]
    for state in queue:
        for spec in TABLE:
            if state in spec.when and spec.then not in found:
                found[spec.then] = (*found[state], spec)
                queue.append(spec.then)
    return found


PATHS = paths()

Way = tuple[Step, ...]


def ways() -> Iterator[Way]:
    """Every whole transaction of the table: every opening, with every example of parameters."""
    for opening in TABLE:
        if opening.then is State.IDLE:
            continue
        before = State.IDLE if opening.when == ANY else next(s for s in PATHS if s in opening.when)
        head: Way = tuple((spec, spec.usual) for spec in PATHS[before])
        for final in TABLE:
            if opening.then in final.when and final.when != ANY and final.then is State.IDLE:
                for one in opening.params.examples():
                    for other in final.params.examples():
                        yield (*head, (opening, one), (final, other))


WAYS = list(ways())


def way_id(way: Way) -> str:
    """What a way is called in a test's name."""
    return " > ".join(f"{s.name}-{p[0]:02X}{p[1]:02X}" for s, p in way if p is not None)
