"""A card that is not ours on a reader that is not ours: `pcsc:READER` and `nfc:DEVICE`.

It is only read unless the user says otherwise and its issuer code is a test one. The guard in
front of it keeps to that whatever a case does: what would change the card skips the case.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from apdu.codec import WireError
from apdu.commands import AID_PURSE, EP, INIT_LOAD, SELECT
from apdu.file_commands import UPDATE_BINARY
from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK, PIN_UNBLOCK
from apdu.order import Secrets
from apdu.purse import LOAD, online_mac1, online_session
from apdu.records import InitializeData, SelectName
from apdu.secret import has_secret
from apdu.sw import SW
from apdu.tlv import value_of
from bench.conformance.case import Need, NotApplicable
from bench.conformance.declared import Identity, declared, issuer_data, look_at
from bench.conformance.desk import TERMINAL, Desk
from bench.conformance.keys_file import KeyRing
from bench.conformance.reading import is_reading
from bench.conformance.tries import Tries
from bench.problem import Problem
from bench.roads import WAIT_S
from reader.transport.base import Coupler, Transport

ROADS = ("pcsc", "nfc")

_SELECT = b"\x00\xa4"
_NAME = 0x84
_BLOCK = bytes((APPLICATION_BLOCK.cla, APPLICATION_BLOCK.ins))
_PIN_UNBLOCK = bytes((PIN_UNBLOCK.cla, PIN_UNBLOCK.ins))
_UPDATE_BINARY = bytes((UPDATE_BINARY.ins,))
_DONE = b"\x90\x00"
_CHECKED = 100
"""Fen that INITIALIZE FOR LOAD is asked about to see whether the keys fit."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What the user allows and knows. profile: a name or a file."""

    profile: str | None = None
    keys: KeyRing | None = None
    may_write: bool = False


class Guard:
    """A transport to a foreign card that lets nothing pass that its owner did not allow.

    Raises NotApplicable, which skips the case.
    """

    def __init__(self, link: Transport, stand: "ReaderStand") -> None:
        self._link = link
        self._stand = stand
        self._is_test_purse = False

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        if not is_reading(command):
            self._demand(command)
        answer = self._link.transmit(command)
        self._stand.tries.hear(command, answer)
        if command[:2] == _BLOCK and answer[-2:] == _DONE:
            self._stand.is_blocked = True
        if command[:2] == _SELECT:
            self._selected(command, answer)
        return answer

    def _demand(self, command: bytes) -> None:
        if Need.WRITE not in self._stand.abilities:
            raise NotApplicable(Need.WRITE.words.en, Need.WRITE.words.zh)
        if not self._is_test_purse:
            raise NotApplicable(
                "no purse of a test issuer is selected, so nothing is written",
                "未选中测试发行机构的钱包，不写卡",
            )
        if command[1:2] == _UPDATE_BINARY:
            raise NotApplicable(
                "EF15 to EF17 say whose card it is and of what kind, and are left as they are",
                "EF15 至 EF17 说明卡片归属与类别，保持不变",
            )
        if _is_of_pin(command) and not self._stand.knows_pin:
            raise NotApplicable(
                "the card's PIN is not known, and a wrong one costs a try; --profile declares it",
                "卡片 PIN 未知，错误尝试会减少次数；用 --profile 声明",
            )
        last = self._stand.tries.last(command)
        if last:
            raise NotApplicable(
                f"a wrong {last} might be the last that the card forgives",
                f"错误的 {last} 可能耗尽卡片的剩余次数",
            )

    def _selected(self, command: bytes, answer: bytes) -> None:
        """A directory's answer tells whose it is; a file's, and a refusal, change nothing."""
        if not _is_directory(answer):
            return
        found, identity = issuer_data(answer), self._stand.identity
        is_it = AID_PURSE in command and not identity.in_fci
        if found is not None:
            is_it = found.issuer == identity.info.issuer
        self._is_test_purse = is_it and identity.is_test_card


def _is_of_pin(command: bytes) -> bool:
    """Whether it shows a PIN or, as PIN UNBLOCK does under encipherment, sets one."""
    return has_secret(command) or command[:2] == _PIN_UNBLOCK


def _is_directory(answer: bytes) -> bool:
    try:
        return value_of(answer[:-2], _NAME) is not None
    except WireError:
        return False


class ReaderStand:
    """A foreign card (`Stand`). Raises Problem for a card that cannot be judged or written to."""

    def __init__(self, name: str, coupler: Coupler, leave: Leave, *, in_time: bool) -> None:
        self.name = name
        self._coupler = coupler
        self.link: Transport = coupler.wait_card(WAIT_S)
        self.identity: Identity = look_at(self.link, name)
        self.declared = declared(self.identity, leave.profile)
        self.knows_pin = leave.profile is not None
        self.abilities = frozenset({Need.CUT} | ({Need.TIME} if in_time else set()))
        self.keys: Secrets | None = None
        if leave.may_write:
            self._allow_writing()
        if leave.keys is not None:
            self._take(leave.keys)
        self.tries = Tries(self.keys, self.declared.pin if self.knows_pin else b"")
        self.is_blocked = False

    def _allow_writing(self) -> None:
        if not self.identity.is_test_card:
            issuer = self.identity.info.issuer[:4].hex()
            raise Problem(
                f"--write is refused: the card on {self.name} is of issuer {issuer}, and only cards"
                " of the test issuers 09981001 and 09991001 are written to; leave --write out"
            )
        self.abilities |= {Need.WRITE}

    def _take(self, ring: KeyRing) -> None:
        info = self.identity.info
        keys = ring.of(info.issuer, info.serial, sm4=self.declared.dialect.sm4)
        if fits(self.link, keys) is False:
            raise Problem(
                f"the keys do not fit the card on {self.name}: MAC1 of INITIALIZE FOR LOAD is not"
                " made with this DLK; give the keys of this issuer, or leave --keys out"
            )
        self.keys = keys
        self.abilities |= {Need.KEYS}

    def place(self, setup: Mapping[str, Any]) -> None:
        """See Stand: the same card, with whatever the case before left on it."""
        assert not setup, "only our own cards are made for a case"
        self.reset()
        if self.is_blocked:
            self._unblock()
            self.reset()

    def _unblock(self) -> None:
        """A case was left with the application blocked for a time; the next needs it."""
        self.is_blocked = False
        assert self.keys is not None
        desk = Desk(self.link, self.keys, self.declared.pin)
        selected = desk.ask(SELECT, SelectName(AID_PURSE))
        if selected[-2:] == SW.BLOCKED.to_bytes(2, "big"):
            desk.ask(APPLICATION_UNBLOCK)

    def reset(self) -> None:
        """See Stand."""
        self.link = Guard(self._coupler.wait_card(WAIT_S), self)


def fits(link: Transport, keys: Secrets) -> bool | None:
    """Whether DLK made MAC1 of INITIALIZE FOR LOAD, which changes nothing.

    link: the card with its purse selected. Returns None if the card does not answer it.
    """
    asked = InitializeData(1, _CHECKED, TERMINAL)
    answer = link.transmit(INIT_LOAD.command(asked, 0x00, EP))
    if answer[-2:] != _DONE:
        return None
    try:
        said = INIT_LOAD.parse_reply(answer[:-2])
    except ValueError:
        return None
    session = online_session(keys.dlk, said.random, said.online_seq)
    return said.mac1 == online_mac1(session, said.balance, _CHECKED, LOAD, TERMINAL)


@contextmanager
def reader_stand(via: str, leave: Leave) -> Iterator[ReaderStand]:
    """The card on a reader. via: `pcsc:` and a part of its name, or `nfc:` and nfcpy's path.

    Raises Problem, TransportError.
    """
    road, _, where = via.partition(":")
    if not where:
        raise Problem(f"'{via}' names no reader; expected pcsc:READER or nfc:DEVICE")
    with closing(_coupler(road, where)) as coupler:
        yield ReaderStand(via, coupler, leave, in_time=_in_time(road, where, coupler))


def _coupler(road: str, where: str) -> Coupler:
    if road == "pcsc":
        from reader.transport.pcsc import PcscCoupler

        return PcscCoupler(where)
    from reader.transport.nfc import NfcCoupler

    return NfcCoupler(where)


def _in_time(road: str, where: str, coupler: Coupler) -> bool:
    """Whether a card of silicon is behind the road, as far as its name tells."""
    name = getattr(coupler, "name", where)
    return not (where.startswith("udp:") if road == "nfc" else "Virtual PCD" in name)
