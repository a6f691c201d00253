"""Data fields and answers of the commands, byte for byte (protocol reference 4 and 5.7).

A fixed record takes every byte string of its length: a wrong shape is a wrong length and nothing
else. Meaning (a key that is not there, a date that is no date) is the handler's to judge.
"""

from apdu.codec import (
    Bytes,
    GreedyBytes,
    Int8ub,
    Int16ub,
    Int24ub,
    Int32ub,
    Record,
    Show,
    record,
    wire,
)

TRANSACTION_KINDS = {
    0x01: "ED load",
    0x02: "EP load",
    0x03: "unload",
    0x04: "ED cash withdraw",
    0x05: "ED purchase",
    0x06: "EP purchase",
    0x07: "overdraft limit change",
    0x09: "EP CAPP purchase",
    0x91: "grey lock ED",
    0x92: "grey lock EP",
    0x93: "unlock debit ED",
    0x94: "unlock debit EP",
    0x95: "online unlock ED",
    0x96: "online unlock EP",
}
"""Transaction type codes (protocol reference 3.7)."""

_ALGORITHMS = {0x00: "3DES", 0x01: "3DES (FMCOS)", 0x03: "SM4 (experimental)"}


@record(sizes=range(5, 17))
class SelectName(Record):
    """SELECT by DF name (2.2: Lc 05 to 10)."""

    name: bytes = wire(GreedyBytes, "AID or DF name, or its first 5 bytes or more")


@record
class SelectId(Record):
    """SELECT by file id (4.4)."""

    fid: bytes = wire(Bytes(2), "file id", values={0x3F00: "MF"})


@record
class InitializeData(Record):
    """INITIALIZE FOR LOAD, PURCHASE and CAPP PURCHASE (4.13, 4.14)."""

    key_index: int = wire(Int8ub, "key index")
    amount: int = wire(Int32ub, "amount", Show.MONEY)
    terminal: bytes = wire(Bytes(6), "terminal number", Show.DIGITS)


@record
class InitPurchaseReply(Record):
    """What the card offers before a purchase (4.14)."""

    balance: int = wire(Int32ub, "available balance, overdraft limit included", Show.MONEY)
    offline_seq: int = wire(Int16ub, "offline transaction number, before this one")
    overdraft_limit: int = wire(Int24ub, "overdraft limit", Show.MONEY)
    key_version: int = wire(Int8ub, "version of DPK")
    algorithm: int = wire(Int8ub, "algorithm of DPK", values=_ALGORITHMS)
    random: bytes = wire(Bytes(4), "card random")


@record
class InitLoadReply(Record):
    """What the card offers before a load or unload (4.13, 4.17)."""

    balance: int = wire(Int32ub, "balance before", Show.MONEY)
    online_seq: int = wire(Int16ub, "online transaction number, before this one")
    key_version: int = wire(Int8ub, "version of the key")
    algorithm: int = wire(Int8ub, "algorithm of the key", values=_ALGORITHMS)
    random: bytes = wire(Bytes(4), "card random")
    mac1: bytes = wire(Bytes(4), "MAC1")


@record
class CreditLoadData(Record):
    """CREDIT FOR LOAD (4.13)."""

    date: bytes = wire(Bytes(4), "host date", Show.DATE)
    time: bytes = wire(Bytes(3), "host time", Show.TIME)
    mac2: bytes = wire(Bytes(4), "MAC2")


@record
class TacReply(Record):
    """A TAC alone."""

    tac: bytes = wire(Bytes(4), "TAC")


@record
class DebitData(Record):
    """DEBIT FOR PURCHASE or CAPP PURCHASE (4.16)."""

    terminal_seq: int = wire(Int32ub, "terminal transaction number")
    date: bytes = wire(Bytes(4), "date", Show.DATE)
    time: bytes = wire(Bytes(3), "time", Show.TIME)
    mac1: bytes = wire(Bytes(4), "MAC1")


@record
class DebitReply(Record):
    """TAC, then MAC2 (4.16)."""

    tac: bytes = wire(Bytes(4), "TAC")
    mac2: bytes = wire(Bytes(4), "MAC2")


@record
class ProveData(Record):
    """GET TRANSACTION PROVE (4.20)."""

    seq: int = wire(Int16ub, "transaction number after the transaction")


@record
class ProveReply(Record):
    """MAC2, then TAC: the reverse of DEBIT's order (4.20)."""

    mac2: bytes = wire(Bytes(4), "MAC2 (MAC3 of an unload)")
    tac: bytes = wire(Bytes(4), "TAC")


@record(sizes=range(1, 256))
class CacheData(Record):
    """UPDATE CAPP DATA CACHE: one whole record of EF1A or EF1E (4.15)."""

    content: bytes = wire(GreedyBytes, "record to be written with the debit")


@record
class Balance(Record):
    """GET BALANCE with P1 00 to 04 (4.12)."""

    amount: int = wire(Int32ub, "value asked for", Show.MONEY)


@record
class AllBalances(Record):
    """GET BALANCE with P1 05; the order of words 2 and 4 is inferred (4.12, Q18)."""

    actual: int = wire(Int32ub, "actual balance B", Show.MONEY)
    ceiling: int = wire(Int32ub, "ceiling A", Show.MONEY)
    overdraft_used: int = wire(Int32ub, "overdraft in use D", Show.MONEY)
    overdraft_limit: int = wire(Int32ub, "overdraft limit C", Show.MONEY)


@record
class SamPurchaseData(Record):
    """PSAM INIT_SAM_FOR_PURCHASE with two levels of diversification (5.7)."""

    random: bytes = wire(Bytes(4), "card random")
    offline_seq: int = wire(Int16ub, "card's offline transaction number")
    amount: int = wire(Int32ub, "amount", Show.MONEY)
    kind: int = wire(Int8ub, "transaction type", values=TRANSACTION_KINDS)
    date: bytes = wire(Bytes(4), "date", Show.DATE)
    time: bytes = wire(Bytes(3), "time", Show.TIME)
    key_version: int = wire(Int8ub, "version of DPK, from the card")
    algorithm: int = wire(Int8ub, "algorithm of DPK, from the card", values=_ALGORITHMS)
    serial: bytes = wire(Bytes(8), "level 2 factor, EF15[12..19]", Show.DIGITS)
    issuer: bytes = wire(Bytes(8), "level 1 factor, EF15[0..7]", Show.DIGITS)


@record
class SamPurchaseReply(Record):
    """PSAM's MAC1 and the number it gave the transaction (5.7)."""

    terminal_seq: int = wire(Int32ub, "terminal transaction number")
    mac1: bytes = wire(Bytes(4), "MAC1")


@record
class SamEarlierData(Record):
    """PSAM: MAC2 of an earlier transaction, by its number. Our own, for recovery."""

    terminal_seq: int = wire(Int32ub, "terminal transaction number")
    mac2: bytes = wire(Bytes(4), "MAC2")


@record
class SamCreditData(Record):
    """PSAM CREDIT_SAM_FOR_PURCHASE (5.7)."""

    mac2: bytes = wire(Bytes(4), "MAC2")


@record(sizes=range(1, 256))
class Content(Record):
    """Data of UPDATE BINARY, UPDATE RECORD, APPEND RECORD without protection."""

    content: bytes = wire(GreedyBytes, "data to be written")


@record(sizes=range(4, 256))
class Protected(Record):
    """A data field whose last four bytes are the secure-messaging MAC (5.6)."""

    field: bytes = wire(GreedyBytes, "data, then MAC")

    @property
    def content(self) -> bytes:
        """The data, plain or enciphered."""
        return self.field[:-4]

    @property
    def mac(self) -> bytes:
        """The MAC over header, Lc and data."""
        return self.field[-4:]


@record
class OnlyMac(Record):
    """A secure-messaging MAC alone: block, unblock, protected read (4.19)."""

    mac: bytes = wire(Bytes(4), "secure-messaging MAC")


@record(sizes=range(2, 7))
class Pin(Record):
    """VERIFY PIN; the coding is the issuer's (4.11, Q14)."""

    pin: bytes = wire(GreedyBytes, "PIN", Show.SECRET)


@record(sizes=range(5, 14))
class ChangePin(Record):
    """CHANGE PIN: old PIN, FF, new PIN (4.11)."""

    pins: bytes = wire(GreedyBytes, "old PIN, FF, new PIN", Show.SECRET)


@record(sizes=range(6, 11))
class ReloadPin(Record):
    """RELOAD PIN: new PIN and its MAC (4.11)."""

    field: bytes = wire(GreedyBytes, "new PIN, then MAC", Show.SECRET)


@record
class Cryptogram(Record):
    """EXTERNAL AUTHENTICATE (4.10)."""

    cryptogram: bytes = wire(Bytes(8), "challenge, enciphered")


@record(sizes=range(1, 256))
class InternalData(Record):
    """INTERNAL AUTHENTICATE: whole blocks of 8 to encipher or decipher, any data for a MAC."""

    data: bytes = wire(GreedyBytes, "data")


@record
class Mac3Reply(Record):
    """DEBIT FOR UNLOAD (4.17)."""

    mac3: bytes = wire(Bytes(4), "MAC3")


@record
class InitLimitData(Record):
    """INITIALIZE FOR UPDATE (4.18)."""

    key_index: int = wire(Int8ub, "key index")
    terminal: bytes = wire(Bytes(6), "terminal number", Show.DIGITS)


@record
class InitLimitReply(Record):
    """What the card offers before its overdraft limit changes (4.18)."""

    balance: int = wire(Int32ub, "available balance", Show.MONEY)
    online_seq: int = wire(Int16ub, "online transaction number, before this one")
    overdraft_limit: int = wire(Int24ub, "old overdraft limit", Show.MONEY)
    key_version: int = wire(Int8ub, "version of DUK")
    algorithm: int = wire(Int8ub, "algorithm of DUK", values=_ALGORITHMS)
    random: bytes = wire(Bytes(4), "card random")
    mac1: bytes = wire(Bytes(4), "MAC1")


@record
class UpdateLimitData(Record):
    """UPDATE OVERDRAW LIMIT (4.18)."""

    overdraft_limit: int = wire(Int24ub, "new overdraft limit", Show.MONEY)
    date: bytes = wire(Bytes(4), "host date", Show.DATE)
    time: bytes = wire(Bytes(3), "host time", Show.TIME)
    mac2: bytes = wire(Bytes(4), "MAC2")


@record(sizes=range(7, 25))
class CreateFileData(Record):
    """CREATE FILE: the file's header, and a DF's name (FMCOS annex 3)."""

    header: bytes = wire(GreedyBytes, "file header")


@record(sizes=range(7, 22))
class KeyData(Record):
    """WRITE KEY in the clear: five attributes and the key, or a new key (FMCOS annex 4)."""

    field: bytes = wire(GreedyBytes, "key record", Show.SECRET)
