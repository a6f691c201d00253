"""What people do with a card at a desk, in a word each: pay, top up, look into the log."""

from apdu.codec import Record
from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    DEBIT_UNLOAD,
    GET_ALL_BALANCES,
    INIT_LIMIT,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
    READ_RECORD,
    UPDATE_CACHE,
    UPDATE_LIMIT,
)
from apdu.files import EF18, FileSpec, LogRecord
from apdu.records import AllBalances, CacheData, InitializeData, InitLimitData
from tests.cards import OK, TERMINAL, sw_of
from tests.desk import Desk, Pair, Spec

FINAL_OF = {
    INIT_LOAD.name: CREDIT_LOAD,
    INIT_UNLOAD.name: DEBIT_UNLOAD,
    INIT_LIMIT.name: UPDATE_LIMIT,
}


def final_of(spec: Spec) -> Spec:
    """The command that ends what an INITIALIZE begins."""
    return FINAL_OF.get(spec.name, DEBIT)


def opening(spec: Spec, amount: int, index: int = 1) -> Record:
    """INITIALIZE's data: a limit change has no amount."""
    if spec.data is InitLimitData:
        return InitLimitData(index, TERMINAL)
    return InitializeData(index, amount, TERMINAL)


def begin(made: Desk, spec: Spec, amount: int, pair: Pair | None = None) -> bytes:
    return made.ask(spec, opening(spec, amount), pair)


def make(made: Desk, spec: Spec, amount: int, pair: Pair | None = None) -> bytes:
    """A whole transaction; the final command's answer."""
    assert begin(made, spec, amount, pair)[-2:] == OK
    return made.ask(final_of(spec))


def pay(made: Desk, amount: int, spec: Spec = INIT_PURCHASE) -> bytes:
    return make(made, spec, amount)


def top_up(made: Desk, amount: int) -> bytes:
    return make(made, INIT_LOAD, amount)


def purse(made: Desk) -> tuple[int, int]:
    """Actual balance and overdraft in use, as GET BALANCE tells them."""
    told = AllBalances.parse(made.ask(GET_ALL_BALANCES)[:-2])
    return told.actual, told.overdraft_used


def stored(made: Desk, file: FileSpec, number: int) -> bytes:
    response = made.ask(READ_RECORD, pair=(number, file.sfi << 3 | 4))
    assert response[-2:] == OK
    return response[:-2]


def log(made: Desk, number: int = 1) -> LogRecord:
    return LogRecord.parse(stored(made, EF18, number))


def caching(made: Desk, sfi: int, content: bytes, p1: int = 0) -> int:
    return sw_of(made.ask(UPDATE_CACHE, CacheData(content), (p1, sfi << 3)))


def trip(number: int, filler: int = 0x11, lock: int = 0) -> bytes:
    return bytes((0x27, number, 0x7D, 1, 1, lock)) + bytes((filler,)) * 122
