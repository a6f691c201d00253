"""What became of a lost debit: the card's proof, and its log (protocol reference 6.8)."""

from apdu.commands import (
    GET_PROVE,
    READ_RECORD,
    SAM_CREDIT_EARLIER,
    SAM_CREDIT_PURCHASE,
)
from apdu.files import EF18, LogRecord
from apdu.purse import LIMIT, LOAD, UNLOAD
from apdu.records import ProveData, SamCreditData, SamEarlierData
from apdu.sw import SW
from reader.session import ProtocolError, StatusError, Txn, ask
from reader.transactions import Receipt, Unresolved, read_layout


class Unproven(Exception):
    """The card proves a debit that the PSAM does not remember: staff must look."""


class Overtaken(Exception):
    """The card has made other transactions since, and its proof of the lost debit is gone.

    Its log shows that the debit was taken, or cannot tell. There is no TAC to be had.
    """


def recover(lost: Unresolved, is_last: bool = True) -> Txn[Receipt | None]:
    """Ask the selected purse whether a lost debit was committed (6.8).

    is_last: the lost debit is the PSAM's latest transaction; an earlier one is named by its number.
    Returns its receipt, with no second charge, or None if nothing was taken: the card has no such
    proof (9406), or the proof is another gate's, which got the number because ours never reached
    the card. Raises Unproven; Overtaken; ProtocolError if the proof was spoilt on its way.
    """
    try:
        proof = yield from ask("card", GET_PROVE, ProveData(lost.seq + 1), 0x00, lost.kind)
        yield from _proven(lost, proof.mac2, is_last)
    except StatusError as refused:
        if (refused.to, refused.sw) == ("card", SW.PROOF_NOT_AVAILABLE):
            if (yield from _is_logged(lost)) is not False:
                raise Overtaken("the proof of an earlier debit is gone from the card") from refused
            return None
        if (refused.to, refused.sw) == ("psam", SW.MAC_INVALID):
            if (yield from _is_logged(lost)):
                raise ProtocolError(
                    "GET TRANSACTION PROVE: MAC2 is not that of the debit"
                ) from None
            return None
        if refused.to == "psam":
            raise Unproven(str(refused)) from refused
        raise
    return _recovered(lost, proof.tac)


def take_proof(lost: Unresolved) -> Txn[Receipt | None]:
    """The selected purse's own proof of a lost debit, unchecked: its TAC is for clearing to check.

    For staff, where the PSAM does not remember the debit (`Unproven`). Returns None if the card's
    log has another transaction of that number: the proof is another gate's, and ours never reached
    the card. Raises StatusError if the card has no proof.
    """
    proof = yield from ask("card", GET_PROVE, ProveData(lost.seq + 1), 0x00, lost.kind)
    if (yield from _is_logged(lost)) is False:
        return None
    return _recovered(lost, proof.tac)


def _recovered(lost: Unresolved, tac: bytes) -> Receipt:
    return Receipt(
        lost.info.serial,
        lost.info.issuer,
        lost.seq + 1,
        lost.amount,
        lost.balance_after,
        lost.kind,
        lost.terminal,
        lost.terminal_seq,
        lost.when,
        tac,
        recovered=True,
    )


def _proven(lost: Unresolved, mac2: bytes, is_last: bool) -> Txn[None]:
    """Let the PSAM check a proof. Raises StatusError."""
    if is_last:
        try:
            yield from ask("psam", SAM_CREDIT_PURCHASE, SamCreditData(mac2))
            return
        except StatusError as refused:
            if refused.sw == SW.MAC_INVALID:
                raise
            # It was powered off since, and nothing is under way: by its number it may know it.
    yield from ask("psam", SAM_CREDIT_EARLIER, SamEarlierData(lost.terminal_seq, mac2))


def _is_logged(lost: Unresolved) -> Txn[bool | None]:
    """Whether EF18 shows a lost debit as taken; None if there is none, or it begins later.

    A card proves the last transaction of a type alone (4.20): of a debit that others followed it
    answers 9406 too, as of one that it never got.
    """
    for number in range(1, EF18.count + 1):
        command = READ_RECORD.command(None, number, EF18.sfi << 3 | 4)
        try:
            entry: LogRecord = yield from read_layout(READ_RECORD, command, LogRecord)
        except StatusError as refused:
            if refused.sw == SW.FILE_NOT_FOUND:
                return None
            if refused.sw != SW.RECORD_NOT_FOUND:
                raise
            return False  # all it ever did is in the log
        if entry.kind in _ONLINE or entry.seq > lost.seq + 1:
            continue
        found = (entry.amount, entry.kind, entry.terminal, entry.date + entry.time)
        ours = (lost.amount, lost.kind, lost.terminal, lost.when.both)
        return entry.seq == lost.seq + 1 and found == ours
    return None


_ONLINE = frozenset((LOAD, UNLOAD, LIMIT))
"""Transactions with numbers of their own."""
