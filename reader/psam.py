"""The reader's secure module in software: purchase MACs (protocol reference 5.7).

It checks that it has the key and that MAC2 is its own. It does not check balances, dates or
blacklists: those are the gate's.
"""

from typing import Any

from apdu.commands import SAM_CREDIT_EARLIER, SAM_CREDIT_PURCHASE, SAM_INIT_PURCHASE, SAM_TABLE
from apdu.crypto import Key, compare_digest
from apdu.purse import purchase_session, spend_mac1, spend_mac2
from apdu.records import SamPurchaseData, SamPurchaseReply
from apdu.spec import Call, CommandSpec, CommandTable, Refuse, answer_of
from apdu.sw import SW

_ISSUERS_KEPT = 64
_UNRESOLVED_KEPT = 4096


class Psam:
    """One PSAM: a terminal number, root keys by version, and a transaction number.

    terminal:     6 bytes, what the gate must send in INITIALIZE.
    roots:        purchase root keys (PMK) by key version; experimental SM4 ones too (5.9).
    terminal_seq: the number the next transaction gets; it grows by one each time.

    CREDIT_SAM_FOR_PURCHASE takes the MAC2 of the transaction under way and of no other. Those whose
    MAC2 never came are kept (the last 4096), so that a debit recovered with GET TRANSACTION PROVE
    (6.8) can be checked after others have passed: by its number, with P2 01, which is our own.
    """

    def __init__(self, terminal: bytes, roots: dict[int, Key], terminal_seq: int = 1) -> None:
        if len(terminal) != 6:
            raise ValueError(f"a terminal number is 6 bytes, got {len(terminal)}")
        self.terminal = terminal
        self.terminal_seq = terminal_seq
        self._roots = roots
        self._issuers: dict[tuple[int, bytes], Key] = {}
        self._expected: dict[int, bytes] = {}
        self._current: int | None = None

    def process(self, command: bytes) -> bytes:
        """Answer a C-APDU with an R-APDU; never raises on input."""
        current, self._current = self._current, None  # anything but 8072 clears the state (5.7)
        try:
            spec = SAM_TABLE.route(bytes(command[:4]))
            if isinstance(spec, SW):
                raise Refuse(spec)
            reply = self._answer(spec, CommandTable.shape(spec, command), current)
        except Refuse as refusal:
            return refusal.sw.to_bytes(2, "big")
        return reply + b"\x90\x00"

    transmit = process
    """A PSAM in process is its own transport."""

    def _answer(self, spec: CommandSpec[Any, Any], call: Call[Any], current: int | None) -> bytes:
        if spec is SAM_INIT_PURCHASE:
            return answer_of(spec, self._initialize(call.data), call.ne)
        if spec is SAM_CREDIT_PURCHASE:
            if current is None:
                raise Refuse(SW.WRONG_STATE)
            self._current = current  # a wrong MAC2 does not end the transaction, a right one does
            self._credit(current, call.data.mac2)
            self._current = None
        else:
            assert spec is SAM_CREDIT_EARLIER
            if call.data.terminal_seq not in self._expected:
                raise Refuse(SW.REFERENCE_NOT_FOUND)
            self._credit(call.data.terminal_seq, call.data.mac2)
        return b""

    def _initialize(self, q: SamPurchaseData) -> SamPurchaseReply:
        if self.terminal_seq > 0xFFFFFFFF:
            raise Refuse(SW.COUNTER_AT_MAXIMUM)
        issuer_key = self._issuer_key(q.key_version, q.issuer)
        if q.algorithm not in issuer_key.ALGORITHMS:
            raise Refuse(SW.KEY_INDEX)
        dpk = issuer_key.diversify(q.serial)
        seq = self.terminal_seq
        session = purchase_session(dpk, q.random, q.offline_seq, seq)
        mac1 = spend_mac1(session, q.amount, q.kind, self.terminal, q.date + q.time)
        if len(self._expected) >= _UNRESOLVED_KEPT:
            del self._expected[next(iter(self._expected))]
        self._expected[seq] = spend_mac2(session, q.amount)
        self._current = seq
        self.terminal_seq = seq + 1
        return SamPurchaseReply(seq, mac1)

    def _issuer_key(self, version: int, issuer: bytes) -> Key:
        key = self._issuers.get((version, issuer))
        if key is None:
            root = self._roots.get(version)
            if root is None:
                raise Refuse(SW.KEY_INDEX)
            if len(self._issuers) >= _ISSUERS_KEPT:
                self._issuers.clear()
            key = self._issuers[version, issuer] = root.diversify(issuer)
        return key

    def _credit(self, seq: int, mac2: bytes) -> None:
        """Close a transaction. If MAC2 is wrong it stays open: a spoilt answer may be recovered."""
        if not compare_digest(self._expected[seq], mac2):
            raise Refuse(SW.MAC_INVALID)
        del self._expected[seq]
