"""A process that uses a card in a file until it is killed.

What each transaction moves follows from its number alone, so that whoever finds the card later can
tell from the numbers what must be on it.
"""

import random
from multiprocessing.connection import Connection

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    EP,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    SELECT,
    UPDATE_CACHE,
)
from apdu.files import EF1A, EF1E
from apdu.key_commands import RELOAD_PIN, VERIFY_PIN
from apdu.records import Pin
from emulator.card.filestore import FileStore
from emulator.card.state import Image
from tests.cards import purse_in
from tests.desk import Desk
from tests.saved import inserted

START = 50_000
"""Fen on the card at first."""


def loaded(seq: int) -> int:
    """What the load of that online number brings."""
    return 1 + seq * 7 % 500


def paid(seq: int) -> int:
    """What the purchase of that offline number costs."""
    return seq * 13 % 400


def wanted(image: Image) -> int:
    """The balance that the transaction numbers call for."""
    purse = purse_in(image)
    return (
        START + sum(map(loaded, range(purse.online_seq))) - sum(map(paid, range(purse.offline_seq)))
    )


def tap_for_ever(path: str, seed: int, answers: Connection) -> None:
    """Load, pay and fail PINs; each answer that left the card is told before the next command."""
    source = random.Random(seed)
    while True:
        with FileStore(path, journal_limit=source.choice((0, 2000, 1 << 20))) as store:
            desk = Desk(inserted(store, str(seed)))
            for _ in range(source.randint(1, 40)):
                tap(desk, source)
                purse = purse_in(store.load())
                answers.send_bytes(b"%d %d" % (purse.online_seq, purse.offline_seq))


def tap(desk: Desk, source: random.Random) -> None:
    """One transaction, chosen so that the balance stays in bounds."""
    desk.run(SELECT)
    purse = desk.card.image.directories[1].purses[EP]
    if source.random() < 0.2:
        desk.ask(VERIFY_PIN, Pin(b"\x99\x99"))
        desk.run(RELOAD_PIN)  # a locked PIN too: kills may fall between the two
    if purse.actual < 1000 or (purse.actual < 90_000 and source.random() < 0.4):
        desk.amount = loaded(purse.online_seq)
        desk.run(INIT_LOAD, CREDIT_LOAD)
        return
    desk.amount = paid(purse.offline_seq)
    if source.random() < 0.5:
        desk.run(INIT_PURCHASE, DEBIT)
        return
    desk.run(INIT_CAPP)
    desk.filler = purse.offline_seq & 0xFF
    for record, sfi in ((1, EF1A.sfi), (2, EF1A.sfi), (1, EF1E.sfi)):
        desk.record = record
        desk.run((UPDATE_CACHE, (0, sfi << 3)))
    desk.run(DEBIT)
