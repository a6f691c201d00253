"""The judge of every exchange: what any card keeps, told by the bytes that passed.

It believes what a card says first, and from then on only what the commands it took allow. It
knows a purse is selected by the name in the FCI; elsewhere it judges words and states alone.
"""

from collections.abc import Callable
from typing import Any

from apdu.codec import WireError
from apdu.commands import (
    AID_PURSE,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_PROVE,
    INIT_LIMIT,
    INIT_LOAD,
    READ_BINARY,
    READ_RECORD,
    SELECT,
    UPDATE_CACHE,
)
from apdu.file_commands import GET_CHALLENGE
from apdu.files import EF1A, FILES, Structure
from apdu.records import Content, Protected, UpdateLimitData
from apdu.spec import ANY, BinaryRef, CommandSpec, CommandTable, RecordRef, Refuse, State
from apdu.sw import SW, describe
from bench.conformance.desk import FINALS, KINDS, OK, Desk, Offer, Spec
from bench.conformance.fuzz.breach import Breach, Rule
from bench.conformance.fuzz.inside import Inside
from bench.conformance.fuzz.ledger import WORDS, Ledger, Opened
from bench.conformance.fuzz.pages import Pages
from bench.conformance.fuzz.seals import Seals
from bench.conformance.reading import is_reading

BLOCKED = frozenset({SW.BLOCKED, SW.PERMANENTLY_BLOCKED})
PIPELINE = BLOCKED | {SW.OK, SW.WRONG_LENGTH}
"""Words that any command of the table may answer (`apdu.spec.CommandSpec`)."""

_WITH_DATA = (SW.OK, SW.BLOCKED, SW.DATA_MAY_BE_BAD, SW.FILE_INVALIDATED)
_NAME = b"\x84" + bytes((len(AID_PURSE),)) + AID_PURSE
_SELECT = bytes((SELECT.cla, SELECT.ins))
Follow = Callable[["Oracle", Any, bytes, bytes], None]


def is_declared(spec: Spec | SW, sw: int) -> bool:
    """Whether the table lets a command answer this word. spec: what `TABLE.route` said."""
    if isinstance(spec, SW):
        # 4.1: blocked comes after class and instruction, before P1 and P2. 80 CD may be unknown.
        return sw == spec or (spec is SW.WRONG_P1P2 and (sw in BLOCKED or sw == SW.INS_UNKNOWN))
    if sw in PIPELINE or (sw == SW.WRONG_STATE and spec.when is not ANY):
        return True
    word = SW.AUTHENTICATION_FAILED if sw & 0xFFF0 == 0x63C0 else sw
    return word in spec.errors or (sw >> 8 == 0x6C and not spec.le_rule)


class Oracle:
    """Follows one card. desk: who sends, and knows the keys if anybody does.

    is_here: whether the purse is selected. inside: looks into our own card, if it can be reached.
    """

    def __init__(self, desk: Desk, *, has_ed: bool, inside: Inside | None = None) -> None:
        self.desk = desk
        self.ledger = Ledger(desk, has_ed=has_ed)
        self.pages = Pages()
        self.inside = inside
        self.is_here = False
        self._opened: Opened | None = None
        self.seals = Seals(desk, desk.pin)
        self._randoms: list[bytes] = []
        self._challenge: bytes | None = None

    def left(self) -> None:
        """The field went off."""
        self.is_here, self._opened, self._challenge = False, None, None
        self.desk.state, self.desk.challenge = State.IDLE, None

    def saw(self, spec: Spec | SW, command: bytes, response: bytes, before: State) -> None:
        """One exchange. before: the state it came in, by the table. Raises Breach."""
        sw = _form(spec, response)
        try:
            self._judge(spec, command, response, before)
        except WireError as error:
            raise Breach(Rule.FORM, "the declared form", str(error)) from None
        if command[:2] == _SELECT:
            self._selected(command, response)
        if self.inside is not None:
            self.inside.saw(spec, command, sw, self.desk.state)

    def _judge(self, spec: Spec | SW, command: bytes, response: bytes, before: State) -> None:
        opened, self._opened = self._opened, None
        challenge, self._challenge = self._challenge, None
        if isinstance(spec, SW):
            return
        if response[-2:] != OK:
            sw = int.from_bytes(response[-2:], "big")
            self._refused(spec, command, sw, before, opened)
            return
        if spec.when is not ANY and before not in spec.when:
            raise Breach(Rule.STATE, f"{spec.name} refused in '{before.value}'", "9000")
        _demand_shape(spec, command, len(response) - 2)
        if self._knows_keys():
            self.seals.taken(spec, command, challenge)
        self._taken(spec, command, response[:-2], opened)

    def _selected(self, command: bytes, response: bytes) -> None:
        if len(response) > 2:
            self.is_here = _NAME in response
        elif response[-2:] == OK and command[5:7] == b"\x3f\x00":
            self.is_here = False

    def _refused(
        self, spec: Spec, command: bytes, sw: int, before: State, opened: Opened | None
    ) -> None:
        if sw == SW.WRONG_STATE and before in spec.when:
            raise Breach(Rule.STATE, f"{spec.name} not 6901 in '{before.value}'", "6901")
        if sw != SW.MAC_INVALID or spec.data not in FINALS or opened is None:
            return
        if self._knows_keys() and self.ledger.is_right(opened, _record(spec, command)):
            raise Breach(Rule.MAC, f"{spec.name} with a right MAC taken", f"{sw:04X}")

    def _knows_keys(self) -> bool:
        return self.is_here and self.desk.keys is not None

    def _taken(self, spec: Spec, command: bytes, data: bytes, opened: Opened | None) -> None:
        if spec.data in FINALS:
            self._final(spec, command, data, opened)
        elif spec is UPDATE_CACHE:
            self._cached(command, opened)
        elif spec is GET_CHALLENGE:
            self._challenged(command, data)
        elif self.is_here:
            follow = _FOLLOWS.get(spec)
            if follow is not None:
                follow(self, spec, command, data)
            elif not is_reading(command):
                self._written(spec, command)

    # Transactions

    def _init(self, spec: Spec, command: bytes, data: bytes) -> None:
        assert spec.data is not None
        asked = spec.data.parse(command[5 : 5 + command[4]])
        offer = Offer(KINDS[command[2], command[3]], asked, spec.parse_reply(data))
        self._random(offer.reply.random)
        self._opened = self.ledger.opened(command[3], offer)

    def _random(self, came: bytes) -> None:
        """Three equal ones in a row are no chance."""
        self._randoms = [*self._randoms[-2:], came]
        if self._randoms == [came] * 3:
            raise Breach(Rule.RANDOM, "a new random number", f"{came.hex()} three times")

    def _challenged(self, command: bytes, data: bytes) -> None:
        size = (command[4] or 8) if len(command) == 5 else len(data)
        if len(data) != size:
            raise Breach(Rule.FORM, f"a challenge of {size} bytes", data.hex())
        self._random(data)
        self._challenge = data

    def _cached(self, command: bytes, opened: Opened | None) -> None:
        if opened is None:
            return
        sfi, data = command[3] >> 3, command[5 : 5 + command[4]]
        slot = data[1] if sfi == EF1A.sfi and len(data) > 1 else command[2]
        file = FILES.get(sfi)
        if file is not None and file.structure is Structure.CYCLIC:
            slot = 0
        opened.cache.pop((sfi, slot), None)
        opened.cache[sfi, slot] = data
        self._opened = opened

    def _final(self, spec: Spec, command: bytes, data: bytes, opened: Opened | None) -> None:
        if opened is None or not self._knows_keys():
            self.ledger.numbers = {which: {} for which in self.ledger.numbers}
            self.ledger.proofs.clear()
            self.pages.forget(0)
            return
        sent = _record(spec, command)
        if not self.ledger.is_right(opened, sent):
            raise Breach(Rule.MAC, f"{spec.name} with a wrong MAC refused", "9000")
        seq = self.ledger.commit(opened, sent, data)
        self.pages.commit(
            opened, seq, self.ledger.numbers[opened.which].get("limit"), sent.date + sent.time
        )
        limited = isinstance(sent, UpdateLimitData)
        if limited and self.ledger.numbers[opened.which].get("used", 0) > sent.overdraft_limit:
            raise Breach(Rule.BOUND, "a limit above what is in use", str(sent.overdraft_limit))

    # Reading and writing

    def _balance(self, spec: Spec, command: bytes, data: bytes) -> None:
        if len(data) != 4:
            raise Breach(Rule.FORM, "4 bytes of balance", data.hex())
        self.ledger.hear(command[3], WORDS[command[2]], int.from_bytes(data, "big"))

    def _balances(self, spec: Spec, command: bytes, data: bytes) -> None:
        all_of = GET_ALL_BALANCES.parse_reply(data)
        for name, came in (
            ("actual", all_of.actual),
            ("ceiling", all_of.ceiling),
            ("used", all_of.overdraft_used),
            ("limit", all_of.overdraft_limit),
        ):
            self.ledger.hear(command[3], name, came)
        available = all_of.actual + all_of.overdraft_limit - all_of.overdraft_used
        self.ledger.hear(command[3], "available", available)

    def _proved(self, spec: Spec, command: bytes, data: bytes) -> None:
        self.ledger.prove(command[3], int.from_bytes(command[5:7], "big"), data)

    def _read_binary(self, spec: Spec, command: bytes, data: bytes) -> None:
        sfi = BinaryRef.split(command[2], 0)[0]
        if sfi in FILES:
            self.pages.hear((sfi, 0), command[3], data)

    def _read_record(self, spec: Spec, command: bytes, data: bytes) -> None:
        sfi = command[3] >> 3
        file = FILES.get(sfi)
        if file is not None and file.structure is Structure.CYCLIC and command[2] > file.count:
            raise Breach(Rule.RECORD, f"{file.count} records of {file.name}", f"{command[2]}")
        if sfi in FILES and command[2] and command[3] & 7 == 4:
            self.pages.hear((sfi, command[2]), 0, data)

    def _written(self, spec: Spec, command: bytes) -> None:
        """A file was written beside a transaction: what is there now is read anew."""
        if spec.data not in (Content, Protected):
            return
        if isinstance(spec.params, RecordRef):
            self.pages.forget(command[3] >> 3)
        elif isinstance(spec.params, BinaryRef):
            self.pages.forget(BinaryRef.split(command[2], 0)[0] or 0)


_FOLLOWS: dict[Spec, Follow] = {
    GET_BALANCE: Oracle._balance,
    GET_ALL_BALANCES: Oracle._balances,
    GET_PROVE: Oracle._proved,
    READ_BINARY: Oracle._read_binary,
    READ_RECORD: Oracle._read_record,
}


def _inits() -> dict[Spec, Follow]:
    from apdu.commands import TABLE

    forms = (INIT_LOAD.data, INIT_LIMIT.data)
    return {spec: Oracle._init for spec in TABLE if spec.data in forms}


_FOLLOWS |= _inits()


def _form(spec: Spec | SW, response: bytes) -> int:
    size = len(response)
    if not 2 <= size <= 258:
        raise Breach(Rule.FORM, "2 to 258 bytes", f"{size} bytes")
    sw = int.from_bytes(response[-2:], "big")
    if not is_declared(spec, sw):
        what = spec.name if isinstance(spec, CommandSpec) else f"what answers {int(spec):04X}"
        raise Breach(Rule.WORD, f"a word declared for {what}", f"{sw:04X} {describe(sw)}")
    if size > 2 and sw not in _WITH_DATA:
        raise Breach(Rule.FORM, f"no data with {sw:04X}", response[:-2].hex())
    return sw


def _demand_shape(spec: Spec, command: bytes, size: int) -> None:
    """A command that was taken has the declared form, and its answer no more than Le (4.1)."""
    try:
        call = CommandTable.shape(spec, command)
    except Refuse:
        raise Breach(Rule.FORM, f"6700 to lengths {spec.name} does not have", "9000") from None
    if call.ne is not None and size > call.ne:
        raise Breach(Rule.FORM, f"6700, for Le is {call.ne}", f"{size} bytes")


def _record(spec: Spec, command: bytes) -> Any:  # noqa: ANN401 - a record of the table
    assert spec.data is not None
    return spec.data.parse(command[5 : 5 + command[4]])
