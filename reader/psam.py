"""The reader's secure module in software (protocol reference 5.7).

It makes the MACs that a gate needs and must not be able to make itself: MAC1 of a purchase, the MAC
of APPLICATION BLOCK under the lock key, and TACs where it holds that key. It checks that it has the
key and that MAC2 is its own. It does not check balances, dates or blacklists: those are the gate's.

Which command is accepted when, and what each answers, stands in `apdu.sam_commands`.
"""

import secrets
from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor
from typing import Any, Final

from apdu.commands import SAM_TABLE
from apdu.crypto import Key, compare_digest
from apdu.purse import CAPP, PURCHASE, purchase_session, spend_mac1, spend_mac2
from apdu.records import SamPurchaseData, SamPurchaseReply
from apdu.sam_commands import (
    SAM_CIPHER,
    SAM_CREDIT_EARLIER,
    SAM_CREDIT_PURCHASE,
    SAM_DELIVERY_KEY,
    SAM_DELIVERY_KEY_ONE,
    SAM_GET_CHALLENGE,
    SAM_INIT_PURCHASE,
    SAM_READ_BINARY,
    SAM_SELECT,
    SAM_SELECT_FILE,
    KeyType,
    SamSpec,
    SamState,
)
from apdu.sam_records import (
    FID_CPSAM,
    FID_MF,
    NAME_CPSAM,
    NAME_MF,
    DeliveryData,
    SamApplication,
    SamPublicInfo,
    SamTerminal,
)
from apdu.spec import BinaryRef, Call, CommandTable, Refuse, answer_of
from apdu.sw import SW, length_is
from reader.psam_keys import SamKeys
from reader.psam_store import LAST_NUMBER, PsamFileError, PsamStore

_ISSUERS_KEPT = 64
_BLOCK = 8
_HISTORICAL = b"TBPSAM"

_INTERFACE = bytes((0x80 | len(_HISTORICAL), 0x01))
ATR: Final = b"\x3b" + _INTERFACE + _HISTORICAL + bytes((reduce(xor, _INTERFACE + _HISTORICAL),))
"""Answer to reset: direct convention, T=1 and nothing else, six historical bytes, check byte.

T=1, because a virtual slot moves whole APDUs: with T=0 a client must cut Le off and fetch the
answer with GET RESPONSE. A real PSAM is mostly T=0; see `reader.psam_link`."""


class Psam:
    """One PSAM: a terminal number, keys, and a transaction number.

    terminal:     6 bytes, what the gate must send in INITIALIZE.
    keys:         its root keys; a mapping of purchase roots by key version will do.
    terminal_seq: the number the next transaction gets, if no store is given; it grows by one each
                  time.
    store:        where that number, and transactions without a MAC2, outlive the PSAM.
    key_index:    what EF17 tells the gate to name in INITIALIZE.
    random:       where GET CHALLENGE takes its bytes.

    CREDIT_SAM_FOR_PURCHASE takes the MAC2 of the transaction under way and of no other. Those whose
    MAC2 never came are kept (the last 4096), so that a debit recovered with GET TRANSACTION PROVE
    (6.8) can be checked after others have passed, or after a restart: by its number, with P2 01,
    which is our own.
    """

    atr = ATR

    def __init__(
        self,
        terminal: bytes,
        keys: SamKeys | Mapping[int, Key],
        terminal_seq: int = 1,
        *,
        store: PsamStore | None = None,
        key_index: int = 1,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if len(terminal) != 6:
            raise ValueError(f"a terminal number is 6 bytes, got {len(terminal)}")
        self.terminal = terminal
        self.key_index = key_index
        self.store = PsamStore(terminal_seq) if store is None else store
        self._keys = keys if isinstance(keys, SamKeys) else SamKeys(dict(keys))
        self._random = random
        self._issuers: dict[tuple[int, int, bytes], Key] = {}
        self._files = _files(terminal, key_index)
        self._state = SamState.IDLE
        self._current = 0
        self._delivered: tuple[KeyType, Key] | None = None

    @property
    def terminal_seq(self) -> int:
        """The number the next transaction gets."""
        return self.store.next_seq

    def power_on(self) -> bytes:
        """Power or reset: nothing is under way. Returns the ATR."""
        self.power_off()
        return self.atr

    def power_off(self) -> None:
        """Forget what is under way. Numbers and unresolved transactions stay."""
        self._state, self._delivered = SamState.IDLE, None

    def process(self, command: bytes) -> bytes:
        """Answer a C-APDU with an R-APDU; never raises on input."""
        state, self._state = self._state, SamState.IDLE
        try:
            spec = SAM_TABLE.route(bytes(command[:4]))
            if isinstance(spec, SW):
                raise Refuse(spec)
            assert isinstance(spec, SamSpec)
            reply = self._answer(spec, CommandTable.shape(spec, command), state)
        except Refuse as refusal:
            return refusal.sw.to_bytes(2, "big")
        self._state = spec.leads
        return reply + b"\x90\x00"

    transmit = process
    """A PSAM in process is its own transport."""

    def _answer(self, spec: SamSpec[Any, Any], call: Call[Any], state: SamState) -> bytes:
        if spec.reply is not bytes and call.ne is not None and call.ne < (spec.ne or 0):
            raise Refuse(SW.WRONG_LENGTH)  # before a number is used up
        if state not in spec.legal:
            raise Refuse(SW.WRONG_STATE)
        try:
            return answer_of(spec, _HANDLERS[spec.name](self, call), call.ne)
        except Refuse as refusal:
            if refusal.sw in spec.stays:
                self._state = state
            raise
        except (OSError, PsamFileError):
            raise Refuse(SW.MEMORY_FAILURE) from None

    # Files (5.7: EF16 is read in MF by some gates and after 8011 by others)

    def _select(self, call: Call[Any]) -> bytes:
        wanted: bytes = call.data.name
        for name in (NAME_CPSAM, NAME_MF):
            if name.startswith(wanted):
                return _fci(name)
        raise Refuse(SW.FILE_NOT_FOUND)

    def _select_file(self, call: Call[Any]) -> bytes:
        name = {FID_MF: NAME_MF, FID_CPSAM: NAME_CPSAM}.get(call.data.fid)
        if name is None:
            raise Refuse(SW.FILE_NOT_FOUND)
        return _fci(name)

    def _read(self, call: Call[Any]) -> bytes:
        sfi, offset = BinaryRef.split(call.p1, call.p2)
        if sfi is None:
            raise Refuse(SW.NO_CURRENT_EF)
        content = self._files.get(sfi)
        if content is None:
            raise Refuse(SW.FILE_NOT_FOUND)
        left = content[offset:]
        if not left:
            raise Refuse(SW.OFFSET_OUTSIDE)
        if call.ne is None or call.ne == 256:
            return left
        if call.ne > len(left):
            raise Refuse(length_is(len(left)))  # 4.1, as the card does
        return left[: call.ne]

    def _challenge(self, call: Call[Any]) -> bytes:
        if call.ne not in (4, 8):
            raise Refuse(SW.WRONG_LENGTH)
        return self._random(call.ne)

    # Purchase

    def _initialize(self, call: Call[SamPurchaseData]) -> SamPurchaseReply:
        q = call.data
        if q.kind not in (PURCHASE, CAPP):
            raise Refuse(SW.WRONG_DATA)
        issuer_key = self._issuer_key(q.key_version, q.algorithm, q.issuer)
        store = self.store
        seq = store.next_seq
        if seq > LAST_NUMBER:
            raise Refuse(SW.COUNTER_AT_MAXIMUM)
        session = purchase_session(issuer_key.diversify(q.serial), q.random, q.offline_seq, seq)
        mac1 = spend_mac1(session, q.amount, q.kind, self.terminal, q.date + q.time)
        store.begin(spend_mac2(session, q.amount))  # kept before MAC1 leaves
        self._current = seq
        return SamPurchaseReply(seq, mac1)

    def _issuer_key(self, version: int, algorithm: int, issuer: bytes) -> Key:
        key = self._issuers.get((version, algorithm, issuer))
        if key is None:
            root = self._keys.purchase_root(version, algorithm)
            if root is None:
                raise Refuse(SW.KEY_INDEX)
            if len(self._issuers) >= _ISSUERS_KEPT:
                self._issuers.clear()
            key = self._issuers[version, algorithm, issuer] = root.diversify(issuer)
        return key

    def _credit(self, call: Call[Any]) -> bytes:
        return self._settle(self._current, call.data.mac2)

    def _credit_earlier(self, call: Call[Any]) -> bytes:
        return self._settle(call.data.terminal_seq, call.data.mac2)

    def _settle(self, seq: int, mac2: bytes) -> bytes:
        """Close a transaction. If MAC2 is wrong it stays open: a spoilt answer may be recovered."""
        expected = self.store.unresolved.get(seq)
        if expected is None:
            raise Refuse(SW.REFERENCE_NOT_FOUND)
        if not compare_digest(expected, mac2):
            raise Refuse(SW.MAC_INVALID)
        self.store.settle(seq)
        return b""

    # Delivered keys

    def _deliver(self, call: Call[Any]) -> bytes:
        kind = KeyType(call.p1 & 0x1F)
        root = self._keys.delivered(kind, call.p2)
        if root is None:
            raise Refuse(SW.KEY_INDEX)
        q = call.data
        two = isinstance(q, DeliveryData)
        key = root.diversify(q.issuer).diversify(q.serial) if two else root.diversify(q.factor)
        # A TAC is a single-DES MAC under the two halves xored (5.3).
        self._delivered = kind, Key(key.halves_xored()) if kind is KeyType.TAC else key
        return b""

    def _cipher(self, call: Call[Any]) -> bytes:
        blocks: bytes = call.data.blocks
        if len(blocks) % _BLOCK:
            raise Refuse(SW.WRONG_DATA)
        assert self._delivered is not None
        kind, key = self._delivered
        if kind is KeyType.PURCHASE:
            # T(DPK, block) is a session key: whoever has it makes MAC1 without the PSAM.
            raise Refuse(SW.CONDITIONS_OF_USE)
        return key.retail_block(blocks[_BLOCK:], blocks[:_BLOCK])


_HANDLERS: Mapping[str, Callable[[Psam, Call[Any]], Any]] = {
    SAM_SELECT.name: Psam._select,
    SAM_SELECT_FILE.name: Psam._select_file,
    SAM_READ_BINARY.name: Psam._read,
    SAM_GET_CHALLENGE.name: Psam._challenge,
    SAM_INIT_PURCHASE.name: Psam._initialize,
    SAM_CREDIT_PURCHASE.name: Psam._credit,
    SAM_CREDIT_EARLIER.name: Psam._credit_earlier,
    SAM_DELIVERY_KEY.name: Psam._deliver,
    SAM_DELIVERY_KEY_ONE.name: Psam._deliver,
    SAM_CIPHER.name: Psam._cipher,
}


def _fci(name: bytes) -> bytes:
    """File control information with the DF name alone."""
    return bytes((0x6F, len(name) + 2, 0x84, len(name))) + name


def _files(terminal: bytes, key_index: int) -> dict[int, bytes]:
    """EF15, EF16 and EF17: what is beyond terminal number and key index is ours."""
    serial, nobody = bytes(4) + terminal, b"\xff" * 8
    first, last = bytes.fromhex("20200101"), bytes.fromhex("20991231")
    return {
        0x15: SamPublicInfo(serial, 1, 0, bytes(2)).build(),
        0x16: SamTerminal(terminal).build(),
        0x17: SamApplication(key_index, nobody, nobody, first, last).build(),
    }
