"""A card that is not ours on a reader that is not ours: `pcsc:READER` and `nfc:DEVICE`.

It is only read unless the user says otherwise and its issuer code is a test one. The guard in
front of it keeps to that whatever a case does: what would change the card skips the case.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from apdu.commands import AID_PURSE, EP, INIT_LOAD, SELECT
from apdu.key_commands import APPLICATION_UNBLOCK, VERIFY_PIN
from apdu.order import Secrets
from apdu.purse import LOAD, online_mac1, online_session
from apdu.records import InitializeData, Pin, SelectName
from apdu.sw import SW
from bench.conformance.case import Need, NotApplicable
from bench.conformance.declared import Identity, declared, look_at
from bench.conformance.desk import TERMINAL, Desk
from bench.conformance.guard import Guard
from bench.conformance.keys_file import KeyRing
from bench.conformance.tries import Tries
from bench.problem import Problem
from bench.roads import WAIT_S
from reader.transport.base import Coupler, Transport, TransportError

ROADS = ("pcsc", "nfc")

_DONE = b"\x90\x00"
_CHECKED = 100
"""Fen that INITIALIZE FOR LOAD is asked about to see whether the keys fit."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What the user allows and knows. profile: a name or a file."""

    profile: str | None = None
    keys: KeyRing | None = None
    may_write: bool = False


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
        self.can_unblock = False
        if {Need.KEYS, Need.WRITE} <= self.abilities:
            self.can_unblock = self._prove_unblock()

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

    def _prove_unblock(self) -> bool:
        """Whether the card takes our APPLICATION UNBLOCK; no case may block it otherwise.

        Raises Problem if DUBK is wrong: three wrong ones in a row block a card for good (4.19).
        """
        assert self.keys is not None
        self.reset()
        desk = Desk(self.link, self.keys, self.declared.pin)
        if desk.ask(SELECT, SelectName(AID_PURSE))[-2:] != _DONE:
            return False
        answer = desk.ask(APPLICATION_UNBLOCK)
        if self.tries.doubted(desk.request(APPLICATION_UNBLOCK)):
            raise Problem(
                f"the keys do not fit the card on {self.name}: APPLICATION UNBLOCK under this DUBK"
                f" answered {answer[-2:].hex().upper()}, and the third in a row blocks the card for"
                " good; give the keys of this card, or leave --write out"
            )
        return answer[-2:] == _DONE

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

    def give_back(self) -> None:
        """After the last case: no block is left behind, and the PIN has all its tries again."""
        with suppress(TransportError, NotApplicable):
            if self.is_blocked:
                self.reset()
                self._unblock()
            if self.tries.is_pin_proved and self.tries.has_wrong_pins:
                self.reset()
                self.link.transmit(SELECT.command(SelectName(AID_PURSE), *SELECT.usual))
                self.link.transmit(VERIFY_PIN.command(Pin(self.tries.pin)))

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
        stand = ReaderStand(via, coupler, leave, in_time=_in_time(road, where, coupler))
        try:
            yield stand
        finally:
            stand.give_back()


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
