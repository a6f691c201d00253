"""A card that is not ours: a minimal purse, written from the protocol reference alone.

It shares nothing with `emulator` and nothing with `apdu`: bytes, `struct` and DES. It can be
selected, read, topped up and spent from, with CAPP records, log and proof. It has no unload, no
overdraft, no PIN, no secure messaging, no way to be blocked or unblocked, no files selected by id
and none of the administrative commands (`COMMANDS` has the others): the suite must say so, and
nothing else.
"""

import hashlib
import struct
from collections.abc import Callable
from types import SimpleNamespace

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

ISSUER = bytes.fromhex("09981001FFFFFFFF")
SERIAL = bytes.fromhex("03105228009900000017")
EF15 = ISSUER + b"\x02\x01" + SERIAL + bytes.fromhex("20250901202609300200")
EF16 = bytes(55)
EF17 = bytes.fromhex("0000015610001000000102") + bytes(49)
PURSE_NAME = bytes.fromhex("A000000632010105")
PPSE_NAME = b"2PAY.SYS.DDF01"
PPSE = bytes.fromhex(
    "6F2E840E325041592E5359532E4444463031A51CBF0C1961174F08A00000063201010550084D4F545F545F45508701"
    "01"
)
FCI = bytes.fromhex("6F318408A000000632010105A5259F0801029F0C1E") + EF15
CEILING = 100_000
CACHES = 4

LOAD, SPEND, CAPP = 0x02, 0x06, 0x09


class Say(Exception):
    """The card answers with a status word and no data."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


# Triple and single DES (5.2 to 5.4)


def _ecb(key: bytes, block: bytes) -> bytes:
    whole = key * 3 if len(key) == 8 else key + key[:8]
    cipher = Cipher(TripleDES(whole), modes.ECB()).encryptor()
    return cipher.update(block)


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _mac(key: bytes, data: bytes) -> bytes:
    """5.4: single-DES CBC over padded data, the left four bytes."""
    padded = data + b"\x80"
    padded += bytes(-len(padded) % 8)
    chain = bytes(8)
    for at in range(0, len(padded), 8):
        chain = _ecb(key, _xor(chain, padded[at : at + 8]))
    return chain[:4]


def _derived(key: bytes, factor: bytes) -> bytes:
    return _ecb(key, factor) + _ecb(key, bytes(x ^ 0xFF for x in factor))


def card_key(root: str) -> bytes:
    """A key of this card from the bench's made-up roots (5.2, 5.8)."""
    top = hashlib.sha256(b"bjstu-sim/test-only/v1/" + root.encode()).digest()[:16]
    return _derived(_derived(top, ISSUER), SERIAL[2:])


def _trip(number: int) -> bytes:
    return bytes((0x27, number, 0x7D, 1, 1, 0)) + bytes(122)


class OtherCard:
    """The card (the first seam of `docs/design.md`). balance: fen."""

    contactless = SimpleNamespace(
        atqa=b"\x04\x00",
        sak=0x20,
        uid=b"\x08\x00\x00\x17",
        ats=bytes.fromhex("0578807002"),
        historical=b"",
    )

    def __init__(self, balance: int = 5000) -> None:
        self.dpk, self.dlk = card_key("PMK"), card_key("LMK")
        dtk = card_key("TMK")
        self.tac_key = _xor(dtk[:8], dtk[8:])
        self.balance = balance
        self.online, self.offline = 0, 0
        self.log: list[bytes] = []
        self.rides: list[bytes] = []
        self.trips = {number: _trip(number) for number in range(1, 19)}
        self.proofs: dict[int, tuple[int, bytes]] = {}
        self.draws = 0
        self.selected = b""
        self.pending: tuple[int, int, bytes, bytes] | None = None
        self.cache: dict[tuple[int, int], bytes] = {}

    def power_on(self) -> bytes:
        """The field comes up."""
        self._forget()
        self.selected = b""
        return b""

    def power_off(self) -> None:
        """The field is gone."""
        self.power_on()

    def _forget(self) -> None:
        self.pending = None
        self.cache = {}

    def process(self, command: bytes) -> bytes:
        """4.1: the order of checks, and 4.2: whatever fails or steps between ends a transaction."""
        pending, cache = self.pending, dict(self.cache)
        self._forget()
        try:
            if len(command) < 4:
                raise Say(0x6700)
            cla, ins, p1, p2 = command[:4]
            if cla not in (0x00, 0x80, 0x04, 0x84):
                raise Say(0x6E00)
            answer = COMMANDS.get((cla, ins))
            if answer is None:
                is_plain = cla & 4 and (cla & ~4, ins) in COMMANDS
                raise Say(0x6882 if is_plain else 0x6D00)
            out = answer(self, p1, p2, command, pending, cache)
        except Say as said:
            return struct.pack(">H", said.sw)
        return out + b"\x90\x00"

    def _in_purse(self) -> None:
        if self.selected != PURSE_NAME:
            raise Say(0x6A82)

    def draw(self, size: int) -> bytes:
        """Numbers nobody can guess who does not know the count: enough for a test card."""
        self.draws += 1
        return hashlib.sha256(b"other %d" % self.draws).digest()[:size]


Pending = tuple[int, int, bytes, bytes] | None
Cache = dict[tuple[int, int], bytes]


def _body(command: bytes) -> tuple[bytes, int | None]:
    """ISO 7816-3 cases 1 to 4, short."""
    rest = command[4:]
    if not rest:
        return b"", None
    if len(rest) == 1:
        return b"", rest[0] or 256
    lc = rest[0]
    if not lc or len(rest) not in (1 + lc, 2 + lc):
        raise Say(0x6700)
    return rest[1 : 1 + lc], (rest[-1] or 256) if len(rest) == 2 + lc else None


def _demand(holds: bool, sw: int) -> None:
    if not holds:
        raise Say(sw)


def _fits(out: bytes, ne: int | None) -> bytes:
    _demand(ne is None or ne >= len(out), 0x6700)
    return out


def select(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.4: by name, whole or from its fifth byte on; by id the MF and nothing else."""
    _demand((p1, p2) in ((0, 0), (4, 0)), 0x6A86)
    data, ne = _body(command)
    if p1 == 0:
        _demand(len(data) == 2, 0x6700)
        _demand(data == b"\x3f\x00", 0x6A82)
        card.selected = PPSE_NAME
        return _fits(PPSE, ne)
    _demand(5 <= len(data) <= 16, 0x6700)
    for name, fci in ((PPSE_NAME, PPSE), (PURSE_NAME, FCI)):
        if name.startswith(data):
            card.selected = name
            return _fits(fci, ne)
    raise Say(0x6A82)


def read_binary(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.5: by SFI."""
    _demand(p1 < 0x80 or 0x81 <= p1 <= 0x9E, 0x6A86)
    data, ne = _body(command)
    _demand(not data, 0x6700)
    if p1 < 0x80:
        raise Say(0x6986)
    card._in_purse()
    _demand(p1 & 0x1F not in (0x18, 0x1A, 0x1E), 0x6981)
    found = {0x15: EF15, 0x16: EF16, 0x17: EF17}.get(p1 & 0x1F)
    _demand(found is not None, 0x6A82)
    assert found is not None
    _demand(p2 < len(found), 0x6B00)
    rest = found[p2:]
    if ne is not None and ne != 256:
        _demand(ne <= len(rest), 0x6C00 | len(rest))
        return rest[:ne]
    return rest


def read_record(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.7: cyclic files from the newest on, EF1A by the low byte of the id."""
    sfi = p2 >> 3
    _demand(0 < sfi < 0x1F and p2 & 7 in ((0, 4) if sfi == 0x1A else (4,)), 0x6A86)
    data, ne = _body(command)
    _demand(not data, 0x6700)
    card._in_purse()
    if sfi == 0x1A:
        record = card.trips.get(p1)
    elif sfi in (0x18, 0x1E):
        kept, count, size = (card.log, 10, 23) if sfi == 0x18 else (card.rides, 30, 48)
        record = (kept + [bytes(size)] * count)[p1 - 1] if 1 <= p1 <= count else None
    else:
        _demand(sfi not in (0x15, 0x16, 0x17), 0x6981)
        raise Say(0x6A82)
    _demand(record is not None, 0x6A83)
    assert record is not None
    _demand(ne is None or ne in (256, len(record)), 0x6C00 | len(record))
    return record


def challenge(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.9."""
    _demand((p1, p2) == (0, 0), 0x6A86)
    data, ne = _body(command)
    _demand(not data and ne in (4, 8), 0x6700)
    assert ne is not None
    return card.draw(ne)


def balance(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.12, without a limit: what is available is what is there."""
    _demand(p2 == 2 and p1 <= 5, 0x6A86)
    data, ne = _body(command)
    _demand(not data, 0x6700)
    card._in_purse()
    words = {0: card.balance, 1: 0, 2: 0, 3: card.balance, 4: CEILING}
    out = (
        struct.pack(">IIII", card.balance, CEILING, 0, 0)
        if p1 == 5
        else struct.pack(">I", words[p1])
    )
    return _fits(out, ne)


def initialize(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.13 and 4.14."""
    kind = {(0, 2): LOAD, (1, 2): SPEND, (3, 2): CAPP}.get((p1, p2))
    _demand(kind is not None, 0x6A86)
    assert kind is not None
    data, ne = _body(command)
    _demand(len(data) == 11, 0x6700)
    card._in_purse()
    index, amount, terminal = struct.unpack(">BI6s", data)
    _demand(index == 1, 0x9403)
    seq = card.online if kind == LOAD else card.offline
    _demand(seq < 0xFFFF, 0x9402)
    if kind == LOAD:
        _demand(amount > 0 and card.balance + amount <= CEILING, 0x6985)
    else:
        _demand(amount <= card.balance, 0x9401)
    random = card.draw(4)
    card.pending = (kind, amount, terminal, random)
    if kind != LOAD:
        return _fits(struct.pack(">IH3sBB4s", card.balance, seq, bytes(3), 1, 0, random), ne)
    session = _ecb(card.dlk, random + struct.pack(">H", seq) + b"\x80\x00")
    mac1 = _mac(session, struct.pack(">IIB", card.balance, amount, LOAD) + terminal)
    return _fits(struct.pack(">IHBB4s4s", card.balance, seq, 1, 0, random, mac1), ne)


def credit(
    card: OtherCard,
    p1: int,
    p2: int,
    command: bytes,
    pending: Pending,
    cache: Cache,
) -> bytes:
    """4.13: MAC2 first, then the money."""
    _demand(p1 == 0 and p2 in (0, 2), 0x6A86)
    data, ne = _body(command)
    _demand(len(data) == 11 and (ne is None or ne >= 4), 0x6700)
    _demand(pending is not None and pending[0] == LOAD, 0x6901)
    assert pending is not None
    _, amount, terminal, random = pending
    when, mac2 = data[:7], data[7:]
    head = struct.pack(">IB", amount, LOAD) + terminal + when
    session = _ecb(card.dlk, random + struct.pack(">H", card.online) + b"\x80\x00")
    _demand(_mac(session, head) == mac2, 0x9302)
    after = card.balance + amount
    tac = _mac(card.tac_key, struct.pack(">IH", after, card.online) + head)
    card.balance, card.online = after, card.online + 1
    _keep(card, LOAD, card.online, amount, terminal + when, mac2 + tac)
    return tac


def cache_record(
    card: OtherCard,
    p1: int,
    p2: int,
    command: bytes,
    pending: Pending,
    cache: Cache,
) -> bytes:
    """4.15: held until the debit."""
    sfi, mode = p2 >> 3, p2 & 7
    _demand(0 < sfi < 0x1F and mode in (0, 4), 0x6A86)
    _demand(sfi != 0x1E or p1 == 0, 0x6A86)
    data, _ = _body(command)
    _demand(bool(data), 0x6700)
    _demand(pending is not None and pending[0] == CAPP, 0x6901)
    _demand(sfi in (0x15, 0x16, 0x17, 0x18, 0x1A, 0x1E), 0x6A82)
    _demand(sfi in (0x1A, 0x1E), 0x6981)
    size = 128 if sfi == 0x1A else 48
    _demand(len(data) <= size, 0x6A84)
    _demand(len(data) == size, 0x6700)
    slot = _trip_slot(card, p1, data) if sfi == 0x1A else 0
    cache[sfi, slot] = data
    _demand(len(cache) <= CACHES, 0x6A84)
    card.pending, card.cache = pending, cache
    return b""


def _trip_slot(card: OtherCard, p1: int, data: bytes) -> int:
    _demand(p1 in (0, data[1]) and data[0] == 0x27, 0x6A80)
    stored = card.trips.get(data[1])
    _demand(stored is not None, 0x6A83)
    assert stored is not None
    _demand(stored[5] == 0, 0x9407)
    return data[1]


def debit(
    card: OtherCard,
    p1: int,
    p2: int,
    command: bytes,
    pending: Pending,
    cache: Cache,
) -> bytes:
    """4.16: all or nothing."""
    _demand(p1 in (1, 2) and p2 == 0, 0x6A86)
    data, ne = _body(command)
    _demand(len(data) == 15 and (ne is None or ne >= 8), 0x6700)
    _demand(pending is not None and pending[0] in (SPEND, CAPP), 0x6901)
    assert pending is not None
    kind, amount, terminal, random = pending
    terminal_seq, when, mac1 = data[:4], data[4:11], data[11:]
    session = _ecb(card.dpk, random + struct.pack(">H", card.offline) + terminal_seq[2:])
    head = struct.pack(">IB", amount, kind) + terminal
    _demand(_mac(session, head + when) == mac1, 0x9302)
    mac2 = _mac(session, struct.pack(">I", amount))
    tac = _mac(card.tac_key, head + terminal_seq + when)
    card.balance, card.offline = card.balance - amount, card.offline + 1
    for (sfi, slot), record in cache.items():
        if sfi == 0x1A:
            card.trips[slot] = record
        else:
            card.rides.insert(0, record)
    _keep(card, kind, card.offline, amount, terminal + when, mac2 + tac)
    return tac + mac2


def _keep(
    card: OtherCard, kind: int, seq: int, amount: int, where_when: bytes, proof: bytes
) -> None:
    card.log.insert(0, struct.pack(">H3sIB", seq, bytes(3), amount, kind) + where_when)
    card.proofs[kind] = (seq, proof)


def prove(card: OtherCard, p1: int, p2: int, command: bytes, *_: object) -> bytes:
    """4.20."""
    _demand(p1 == 0 and p2 in (2, 3, 6, 7, 9), 0x6A86)
    data, ne = _body(command)
    _demand(len(data) == 2, 0x6700)
    card._in_purse()
    seq, proof = card.proofs.get(p2, (0, b""))
    _demand(bool(proof) and seq == int.from_bytes(data, "big"), 0x9406)
    return _fits(proof, ne)


COMMANDS: dict[tuple[int, int], Callable[..., bytes]] = {
    (0x00, 0xA4): select,
    (0x00, 0xB0): read_binary,
    (0x00, 0xB2): read_record,
    (0x00, 0x84): challenge,
    (0x80, 0x5C): balance,
    (0x80, 0x50): initialize,
    (0x80, 0x52): credit,
    (0x80, 0xDC): cache_record,
    (0x80, 0x54): debit,
    (0x80, 0x5A): prove,
}
