"""What a terminal knows of its own debits: promised, taken, void, or lost and to be asked for.

One place for the rule of protocol reference 6.8 and 6.9: before DEBIT is sent, it is kept what is
about to happen; after it, how it ended; and what ended unknown is asked of the card at its next
tap. Gates, validators and staff desks all debit through `Debits.pay`.
"""

from collections.abc import Callable

from apdu.bcd import Moment
from reader.journal import JournalError, TapJournal
from reader.proofs import Overtaken, recover, take_proof
from reader.psam_link import SecureModule
from reader.rides import Sale
from reader.session import ProtocolError, StatusError, Txn
from reader.taprecord import TapRecord
from reader.transactions import (
    Accept,
    Interrupted,
    Receipt,
    Unresolved,
    Watch,
)
from reader.transport.base import TransportError

MOST_UNRESOLVED = 1000
"""Lost debits a terminal remembers; the oldest is forgotten first."""

Note = Callable[[Unresolved], TapRecord]
"""Makes the record of a debit that is about to be sent."""

Taken = Callable[[TapRecord], None]
"""Told of every debit that was taken, once it is kept."""


class _Kept:
    """A debit under way. Its record is made when somebody wants it: mostly the journal, at once."""

    __slots__ = ("_lost", "_note", "_record")

    def __init__(self, lost: Unresolved, note: Note) -> None:
        self._lost = lost
        self._note = note
        self._record: TapRecord | None = None

    @property
    def record(self) -> TapRecord:
        if self._record is None:
            self._record = self._note(self._lost)
        return self._record


class Debits:
    """The debits of one terminal. journal: where they outlive it, or None.

    taken: told of each that is sure, also of those a card proved later; None if nobody is.
    """

    def __init__(
        self, psam: SecureModule, journal: TapJournal | None, taken: Taken | None = None
    ) -> None:
        self.psam = psam
        self.unresolved: dict[bytes, Unresolved] = {}
        """By serial of the card."""
        self._journal = journal
        self._taken = taken
        self._kept: dict[int, _Kept] = {}
        self._sure: dict[int, Receipt] = {}
        """By terminal number: what is proved, but could not be written. The PSAM proves it once."""
        self._last_seq: int | None = None
        self._reload()

    @property
    def name(self) -> bytes:
        """The device's own name, 8 bytes; zeros if it keeps no journal."""
        return bytes(8) if self._journal is None else self._journal.gate

    def psam_used(self) -> None:
        """Something else was asked of the PSAM: its latest transaction is none of the lost ones."""
        self._last_seq = None

    def pay(
        self,
        make: Callable[[Sale], Txn[Receipt]],
        note: Note,
        at: Moment,
        accept: Accept | None = None,
    ) -> Txn[Receipt]:
        """Run a transaction, and keep what became of it before anything else is done.

        Raises Interrupted, after which the debit is in `unresolved`; JournalError, after which the
        barrier must stay shut; and whatever the transaction raises, which took nothing.
        """
        self.psam_used()
        sent: list[int] = []

        def promise(lost: Unresolved) -> None:
            kept = _Kept(lost, note)
            if self._journal is not None:
                self._journal.promise(kept.record)
            self._kept[lost.terminal_seq] = kept
            sent.append(lost.terminal_seq)

        try:
            receipt = yield from make(Sale(self.psam, at, Watch(accept, promise)))
        except Interrupted as interrupted:
            self._remember(interrupted.unresolved)
            raise
        except (StatusError, ProtocolError, TransportError):
            for terminal_seq in sent:  # DEBIT was not sent, or the card refused it for certain
                self._keep(None, terminal_seq)
            raise
        self._keep(receipt, receipt.terminal_seq)
        return receipt

    def resolve(self, serial: bytes) -> Txn[tuple[Receipt | None, TapRecord | None]]:
        """Ask the selected purse what became of its lost debit (6.8).

        Returns the receipt, None if nothing was taken, and the debit's record. Raises Unproven,
        ProtocolError, TransportError, StatusError, after which it is still unresolved; Overtaken,
        after which it is not asked about again; JournalError.
        """
        lost = self.unresolved[serial]
        sure = self._sure.get(lost.terminal_seq)
        if sure is not None:
            return self._ended(serial, sure)
        try:
            receipt = yield from recover(lost, lost.terminal_seq == self._last_seq)
        except Overtaken:
            # No TAC is to be had. In the journal the promise stays open: clearing must ask.
            del self.unresolved[serial]
            self._kept.pop(lost.terminal_seq, None)
            raise
        return self._ended(serial, receipt)

    def prove(self, serial: bytes) -> Txn[tuple[Receipt | None, TapRecord | None]]:
        """Take the selected purse's word for its lost debit, which the PSAM does not remember.

        Staff decide so; clearing checks the TAC. Returns as `resolve` does. Raises StatusError if
        the card has no proof, TransportError, ProtocolError, JournalError: then it is still
        unresolved.
        """
        return self._ended(serial, (yield from take_proof(self.unresolved[serial])))

    def _ended(
        self, serial: bytes, receipt: Receipt | None
    ) -> tuple[Receipt | None, TapRecord | None]:
        """It is known now how a lost debit ended: keep it. Raises JournalError."""
        lost = self.unresolved[serial]
        kept = self._kept.get(lost.terminal_seq)
        self._keep(receipt, lost.terminal_seq)
        del self.unresolved[serial]
        return receipt, None if kept is None else kept.record

    def _keep(self, receipt: Receipt | None, terminal_seq: int) -> None:
        """Write how a debit ended, before the barrier opens. Raises JournalError."""
        kept = self._kept.pop(terminal_seq, None)
        try:
            if self._journal is not None and receipt is None:
                self._journal.void(terminal_seq)
            elif self._journal is not None and receipt is not None:
                self._journal.taken(receipt)
        except JournalError:
            self._reload()  # it is closed at the card's next tap
            if receipt is not None:
                self._sure[terminal_seq] = receipt
            raise
        self._sure.pop(terminal_seq, None)
        if self._taken is not None and receipt is not None and kept is not None:
            self._taken(kept.record)

    def _reload(self) -> None:
        """Take over what the journal holds open."""
        for record in self._journal.pending() if self._journal else []:
            lost = record.unresolved()
            self.unresolved[record.serial] = lost
            self._kept[record.terminal_seq] = _Kept(lost, _noted(record))

    def _remember(self, lost: Unresolved) -> None:
        if len(self.unresolved) >= MOST_UNRESOLVED:
            oldest = self.unresolved.pop(next(iter(self.unresolved)))
            self._kept.pop(oldest.terminal_seq, None)
        self.unresolved[lost.info.serial] = lost
        self._last_seq = lost.terminal_seq


def _noted(record: TapRecord) -> Note:
    return lambda lost: record
