"""Cards of the maker's stock, an order for one, and the office that holds the test keys."""

from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any

import fixtures
from apdu.bcd import Moment
from apdu.crypto import Key
from apdu.fmcos import NEVER
from apdu.order import CardOrder
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import SeededEnv
from emulator.card.personalise import order_of, stock_image
from emulator.card.state import Chip, File, Image
from emulator.card.store import MemoryStore
from emulator.picc import Contactless
from issuer.card_access import SoftMacHost, find_card
from issuer.closing import ClosingHosts, Desk
from issuer.loads import SoftLoadHost
from issuer.opening import SoftOpeningHost, personalise_card
from issuer.unloading import SoftUnloadHost
from reader.loading import load
from reader.session import Txn, run
from reader.transactions import Receipt
from reader.transport.base import TransportError
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess

ROOTS = fixtures.load_roots()
TRANSPORT = Key(sha256(b"tapbench made-up transport key").digest()[:16])
TERMINAL = bytes.fromhex("100000000001")
AT = Moment(bytes.fromhex("20250909"), bytes.fromhex("111213"))
DESK = Desk(TERMINAL, AT)
ORDER: CardOrder = order_of(fixtures.load_profile("student"))
SERIAL = ORDER.serial
NEXT_END = date(2027, 9, 30)

OPENING = SoftOpeningHost(ROOTS, TRANSPORT)
LOADS = SoftLoadHost(ROOTS["LMK"], ROOTS["TMK"])
UNLOADS = SoftUnloadHost(ROOTS["UMK"])
RENEWALS = SoftMacHost(ROOTS["AMK"])
CLOSING = ClosingHosts(UNLOADS, SoftMacHost(ROOTS["BMK"]))

_RADIO = Contactless(b"\x04\x00", 0x20, bytes.fromhex("08000017"), bytes.fromhex("0578807002"))


def card_of(image: Image, **dialect: Any) -> Card:
    chip = Chip(Dialect(**dialect), SeededEnv("stock"), {})
    return Card(chip, MemoryStore(image), _RADIO)


def stock_card(transport: Key = TRANSPORT, **dialect: Any) -> Card:
    """A card as its maker ships it."""
    return card_of(stock_image(transport), **dialect)


def on(card: Card, transaction: Txn[Any]) -> Any:
    """What a transaction gives with a card that has just come into the field."""
    card.power_off()
    card.power_on()
    return run(transaction, {"card": InProcess(card)})


def commands(card: Card, transaction: Txn[Any]) -> list[bytes]:
    """What a whole transaction sends."""
    card.power_on()
    link = Recording(InProcess(card), lambda: 0)
    run(transaction, {"card": link})
    return [e.command for e in link.seen]


def cut(card: Card, transaction: Txn[Any], at: int, point: CutPoint) -> TransportError | None:
    """A transaction whose card leaves at a command. None if it ended before."""

    def leave() -> None:
        card.power_off()
        card.power_on()

    card.power_on()
    try:
        run(transaction, {"card": Cutting(InProcess(card), at, point, leave)})
    except TransportError as lost:
        return lost
    return None


def opened(order: CardOrder = ORDER, **dialect: Any) -> Card:
    """A card of the stock that has become the card ordered."""
    card = stock_card(**dialect)
    assert on(card, personalise_card(order, OPENING))
    return card


def load_of(amount: int) -> Txn[Receipt]:
    """A top-up of the ordered card."""
    info = yield from find_card(SERIAL)
    return (yield from load(info, amount, LOADS, TERMINAL, AT))


def as_fixtures_make_it(image: Image) -> Image:
    """A card of the stock without the three things in which a card of the fixtures differs.

    Its master file is closed for ever instead of by a key; so is the file of the PPSE's entries;
    and so are the applications' directories.
    """
    mf, *others = image.directories
    shut = {"create": NEVER, "erase": NEVER}
    files = {
        fid: File(replace(file.head, write=NEVER), file.content, file.is_written)
        for fid, file in mf.files.items()
    }
    directories = [replace(mf, head=replace(mf.head, **shut), keys={}, files=files)]
    directories += [replace(d, head=replace(d.head, **shut)) for d in others]
    return replace(image, directories=tuple(directories))
