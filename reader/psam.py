"""The reader's secure module in software: purchase MACs (protocol reference 5.7).

It checks that it has the key and that MAC2 is its own. It does not check balances, dates or
blacklists: those are the gate's.
"""

from dataclasses import dataclass
from typing import Any

from apdu.commands import SAM_CREDIT_PURCHASE, SAM_INIT_PURCHASE, SAM_TABLE
from apdu.crypto import Key, compare_digest
from apdu.purse import purchase_session, spend_mac1, spend_mac2
from apdu.records import SamCreditData, SamPurchaseData, SamPurchaseReply
from apdu.spec import Call, CommandSpec, CommandTable, Refuse, answer_of
from apdu.sw import SW

_ISSUERS_KEPT = 64
_UNRESOLVED_KEPT = 1024
_ALGORITHMS = (0x00, 0x01)
"""Both mean 3DES: T-Union captures show 00, one FMCOS card 01 (5.8, V4)."""


@dataclass(slots=True)
class _Open:
    """A transaction that waits for the card's MAC2."""

    terminal_seq: int
    mac2: bytes


class Psam:
    """One PSAM: a terminal number, root keys by version, and a transaction number.

    terminal:     6 bytes, what the gate must send in INITIALIZE.
    roots:        purchase root keys (PMK) by key version.
    terminal_seq: the number the next transaction gets; it grows by one each time.

    Transactions whose MAC2 never came are kept (the last 1024, more than a gate remembers), so that
    a debit recovered with GET TRANSACTION PROVE can still be checked after others passed (6.8).
    """

    def __init__(self, terminal: bytes, roots: dict[int, Key], terminal_seq: int = 1) -> None:
        if len(terminal) != 6:
            raise ValueError(f"a terminal number is 6 bytes, got {len(terminal)}")
        self.terminal = terminal
        self.terminal_seq = terminal_seq
        self._roots = roots
        self._issuers: dict[tuple[int, bytes], Key] = {}
        self._open: list[_Open] = []

    def process(self, command: bytes) -> bytes:
        """Answer a C-APDU with an R-APDU; never raises on input."""
        try:
            spec = SAM_TABLE.route(bytes(command[:4]))
            if isinstance(spec, SW):
                raise Refuse(spec)
            reply = self._answer(spec, CommandTable.shape(spec, command))
        except Refuse as refusal:
            return refusal.sw.to_bytes(2, "big")
        return reply + b"\x90\x00"

    transmit = process
    """A PSAM in process is its own transport."""

    def _answer(self, spec: CommandSpec[Any, Any], call: Call[Any]) -> bytes:
        if spec is SAM_INIT_PURCHASE:
            return answer_of(spec, self._initialize(call.data), call.ne)
        assert spec is SAM_CREDIT_PURCHASE
        self._credit(call.data)
        return b""

    def _initialize(self, q: SamPurchaseData) -> SamPurchaseReply:
        if self.terminal_seq > 0xFFFFFFFF:
            raise Refuse(SW.COUNTER_AT_MAXIMUM)
        if q.algorithm not in _ALGORITHMS:
            raise Refuse(SW.KEY_INDEX)
        dpk = self._issuer_key(q.key_version, q.issuer).diversify(q.serial)
        seq = self.terminal_seq
        session = purchase_session(dpk, q.random, q.offline_seq, seq)
        mac1 = spend_mac1(session, q.amount, q.kind, self.terminal, q.date + q.time)
        if len(self._open) == _UNRESOLVED_KEPT:
            del self._open[0]
        self._open.append(_Open(seq, spend_mac2(session, q.amount)))
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

    def _credit(self, q: SamCreditData) -> None:
        if not self._open:
            raise Refuse(SW.WRONG_STATE)
        for i in range(len(self._open) - 1, -1, -1):
            if compare_digest(self._open[i].mac2, q.mac2):
                del self._open[i]
                return
        raise Refuse(SW.MAC_INVALID)
