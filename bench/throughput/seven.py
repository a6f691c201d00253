"""The tap of seven APDUs that other cards are measured with, as bytes made in advance.

SELECT AID, READ 15, READ RECORD 1E, GET BALANCE, INITIALIZE CAPP, one 80 DC of 48 bytes, DEBIT:
performance reference 2. The card's random number stands still, so one MAC1 is right each time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import fixtures
from apdu.bcd import Moment
from apdu.commands import AID_PURSE, DEBIT, GET_BALANCE, INIT_CAPP, SELECT, UPDATE_CACHE
from apdu.crypto import Key, MacKey
from apdu.files import EF1E, EF18
from apdu.purse import CAPP, card_key, purchase_session, spend_mac1, spend_mac2, spend_tac
from apdu.records import CacheData, DebitData, InitializeData, SelectName
from bench.scenario import ENTERED_AT, ENTRY_TERMINAL
from emulator.card.card import Card
from emulator.card.personalise import new_image, personalise
from emulator.card.store import MemoryStore

SELECT_PURSE = SELECT.command(SelectName(AID_PURSE))
READ_15 = bytes.fromhex("00B0950000")
READ_1E = bytes.fromhex("00B201F400")
BALANCE = GET_BALANCE.command(None)
AMOUNT, SEQ, TERMINAL_SEQ, KEY_INDEX = 100, 0, 1, 1
RANDOM = bytes.fromhex("00010203")
RECORD = bytes.fromhex("03") + bytes(47)
WHEN = Moment.of(ENTERED_AT)
_WHEN = WHEN.date + WHEN.time
_FULL = (EF1E.count, EF18.count)
"""Records of EF1E and EF18."""


class Standing:
    """Randomness that stands still (`emulator.card.env.Env`)."""

    def random(self, n: int) -> bytes:
        """See Env."""
        return RANDOM[:n]


@dataclass(frozen=True, slots=True)
class Work:
    """What a purchase's cryptograms are made of, on both sides. issuer_key: of the PSAM."""

    dpk: Key
    dtk: Key
    issuer_key: Key
    serial: bytes

    def session(self, key: Key) -> MacKey:
        """The session key of the purchase below."""
        return purchase_session(key, RANDOM, SEQ, TERMINAL_SEQ)

    def card_side(self) -> tuple[bytes, bytes, bytes]:
        """MAC1, MAC2 and TAC, as DEBIT makes them."""
        session = self.session(self.dpk)
        mac1 = spend_mac1(session, AMOUNT, CAPP, ENTRY_TERMINAL, _WHEN)
        mac2 = spend_mac2(session, AMOUNT)
        tac = spend_tac(self.dtk, AMOUNT, CAPP, ENTRY_TERMINAL, TERMINAL_SEQ, _WHEN)
        return mac1, mac2, tac

    def reader_side(self) -> tuple[bytes, bytes]:
        """MAC1 and MAC2, as the PSAM makes them: for a card whose key it diversifies first."""
        session = self.session(self.issuer_key.diversify(self.serial[-8:]))
        mac1 = spend_mac1(session, AMOUNT, CAPP, ENTRY_TERMINAL, _WHEN)
        return mac1, spend_mac2(session, AMOUNT)


class SevenTap:
    """A card, and the seven commands that pay with it.

    is_full: whether its logs, EF18 and EF1E, are full; otherwise EF1E has one record.
    """

    def __init__(self, *, is_full: bool = False) -> None:
        past = _FULL if is_full else (1, 0)
        profile, roots = fixtures.load_profile("student").with_balance(5000), fixtures.load_roots()
        trips, transactions = ((bytes(RECORD),) * past[0], (bytes(EF18.size),) * past[1])
        profile = replace(profile, trips=trips, transactions=transactions)
        self._image = new_image(profile, roots)
        self._store = MemoryStore(self._image)
        self.card: Card = personalise(profile, roots, Standing(), self._store)
        pmk = roots["PMK"]
        self.work = Work(
            card_key(pmk, profile.issuer, profile.serial),
            card_key(roots["TMK"], profile.issuer, profile.serial),
            pmk.diversify(profile.issuer),
            profile.serial,
        )
        mac1, _, _ = self.work.card_side()
        self.init = INIT_CAPP.command(InitializeData(KEY_INDEX, AMOUNT, ENTRY_TERMINAL))
        self.cache = UPDATE_CACHE.command(CacheData(RECORD), 0, EF1E.sfi << 3)
        self.debit = DEBIT.command(DebitData(TERMINAL_SEQ, WHEN.date, WHEN.time, mac1))
        self.commands = (
            SELECT_PURSE, READ_15, READ_1E, BALANCE, self.init, self.cache, self.debit,
        )  # fmt: skip
        self.put_back()
        for command in self.commands:
            self._demand(command)
        self.put_back()

    def _demand(self, command: bytes) -> None:
        answer = self.card.process(command)
        if answer[-2:] != b"\x90\x00":
            raise AssertionError(f"{command.hex()} was answered {answer.hex()}")

    def put_back(self) -> None:
        """The card before the tap, without power."""
        self._store.commit(self._image)
        self.card.power_off()

    def ready(self) -> None:
        """The card before the tap, with its purse selected."""
        self.put_back()
        self.card.process(SELECT_PURSE)

    def tap(self) -> Callable[[], None]:
        """The seven commands, card only."""
        process, commands = self.card.process, self.commands

        def act() -> None:
            for command in commands:
                process(command)

        return act

    def tap_with_reader(self) -> Callable[[], None]:
        """The seven commands, and the cryptograms that a reader's PSAM makes for them."""
        process, commands, reader = self.card.process, self.commands, self.work.reader_side

        def act() -> None:
            for command in commands:
                process(command)
            reader()

        return act

    def purchase(self) -> Callable[[], None]:
        """INITIALIZE and DEBIT alone."""
        process, init, debit = self.card.process, self.init, self.debit

        def act() -> None:
            process(init)
            process(debit)

        return act
