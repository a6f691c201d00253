"""The message a station uploads: a batch of records, checked in the order the standard names.

A start mark, versions, command, packet split, cipher, key version, kind of checksum, a unique id,
gate and range, the records' bodies (`reader.taprecord`), a SHA-256 of all of it and an end mark
(domain facts 4.4, DB11/T 1164.3). The fields' sizes are tapbench's own: no public layout is known.
A batch is one packet in clear; another split, cipher or key is refused by name.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from hashlib import sha256
from struct import Struct

from apdu.value import value
from reader.taprecord import BODY, TapRecord

START, END = b"TB", b"BT"
PROTOCOL, DATA, RECORDS, CLEAR, NO_KEY, SHA_256 = 1, 1, 1, 0, 0, 1
MOST_RECORDS = 10_000

_HEAD = Struct(">2sBBBHHBBB16s8sLL")
_SUM, _ANSWER = 32, Struct(">2sB16sB")
HEAD, TAIL = _HEAD.size, _SUM + len(END)
LONGEST = HEAD + MOST_RECORDS * BODY + TAIL
"""Bytes of the longest batch."""

ANSWER = _ANSWER.size
_ANSWERED = b"TA"


class Refusal(IntEnum):
    """Why a batch is refused. The order is the order of the checks."""

    NONE = 0
    START_MARK = 1
    END_MARK = 2
    PROTOCOL_VERSION = 3
    DATA_VERSION = 4
    COMMAND = 5
    PACKET_SPLIT = 6
    CIPHER = 7
    KEY_VERSION = 8
    CHECKSUM_KIND = 9
    CHECKSUM = 10
    RECORDS = 11
    DUPLICATE = 12
    NOT_STORED = 13

    @property
    def words(self) -> str:
        """The check, in words."""
        return _WORDS[self]


_WORDS = {
    Refusal.NONE: "nothing is wrong",
    Refusal.START_MARK: "it does not begin with the start mark",
    Refusal.END_MARK: "it does not end with the end mark after the records it announces",
    Refusal.PROTOCOL_VERSION: "its protocol version is not 1",
    Refusal.DATA_VERSION: "its data version is not 1",
    Refusal.COMMAND: "its command is not 1, records",
    Refusal.PACKET_SPLIT: "it is not packet 1 of 1",
    Refusal.CIPHER: "it is not in clear",
    Refusal.KEY_VERSION: "it names a key though it is in clear",
    Refusal.CHECKSUM_KIND: "its checksum is not SHA-256",
    Refusal.CHECKSUM: "its checksum is wrong",
    Refusal.RECORDS: "a record in it cannot be read",
    Refusal.DUPLICATE: "it was delivered before",
    Refusal.NOT_STORED: "clearing could not store it",
}


class BatchError(ValueError):
    """A message is no batch. refusal: the first check that failed; batch_id: if it was readable."""

    def __init__(self, refusal: Refusal, batch_id: bytes = bytes(16)) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal
        self.batch_id = batch_id


@value
class Batch:
    """Records of one gate, in the order of its journal. first: the first one's number."""

    batch_id: bytes
    gate: bytes
    first: int
    records: Sequence[TapRecord]

    @property
    def last(self) -> int:
        """The last record's number."""
        return self.first + len(self.records) - 1


def build_batch(gate: bytes, records: Sequence[TapRecord]) -> bytes:
    """The message of these records, one at least. Its id follows from what is in it."""
    if not 0 < len(records) <= MOST_RECORDS:
        raise ValueError(f"a batch is 1 to {MOST_RECORDS} records, got {len(records)}")
    first, bodies = records[0].sequence, b"".join(record.build() for record in records)
    batch_id = sha256(gate + first.to_bytes(4, "big") + bodies).digest()[:16]
    head = _HEAD.pack(
        START,
        PROTOCOL,
        DATA,
        RECORDS,
        1,
        1,
        CLEAR,
        NO_KEY,
        SHA_256,
        batch_id,
        gate,
        first,
        len(records),
    )
    return head + bodies + sha256(head + bodies).digest() + END


def size_of(head: bytes) -> int:
    """How long the message with this head is. Raises BatchError."""
    if len(head) < HEAD or not head.startswith(START):
        raise BatchError(Refusal.START_MARK)
    count: int = _HEAD.unpack_from(head)[-1]
    if not 0 < count <= MOST_RECORDS:
        raise BatchError(Refusal.END_MARK)
    return HEAD + count * BODY + TAIL


def parse_batch(message: bytes) -> Batch:
    """The batch of a message. Raises BatchError: a batch is taken whole or not at all."""
    size = size_of(message[:HEAD])
    _, *fields, batch_id, gate, first, count = _HEAD.unpack_from(message)
    if len(message) != size or message[-2:] != END:
        raise BatchError(Refusal.END_MARK, batch_id)
    for found, (wanted, refusal) in zip(_grouped(fields), _CHECKS, strict=True):
        if found != wanted:
            raise BatchError(refusal, batch_id)
    if sha256(message[:-TAIL]).digest() != message[-TAIL:-2]:
        raise BatchError(Refusal.CHECKSUM, batch_id)
    try:
        records = [
            TapRecord.parse(message[at : at + BODY]) for at in range(HEAD, size - TAIL, BODY)
        ]
    except ValueError as error:
        raise BatchError(Refusal.RECORDS, batch_id) from error
    if [record.sequence for record in records] != list(range(first, first + count)):
        raise BatchError(Refusal.RECORDS, batch_id)
    return Batch(batch_id, gate, first, records)


def _grouped(fields: list[int]) -> list[object]:
    """The header's fields as they are checked: packet number and packets are one check."""
    protocol, data, command, packet, packets, cipher, key, kind = fields
    return [protocol, data, command, (packet, packets), cipher, key, kind]


_CHECKS: tuple[tuple[object, Refusal], ...] = (
    (PROTOCOL, Refusal.PROTOCOL_VERSION),
    (DATA, Refusal.DATA_VERSION),
    (RECORDS, Refusal.COMMAND),
    ((1, 1), Refusal.PACKET_SPLIT),
    (CLEAR, Refusal.CIPHER),
    (NO_KEY, Refusal.KEY_VERSION),
    (SHA_256, Refusal.CHECKSUM_KIND),
)


@value
class Answer:
    """ACK, or NACK with the check that failed, to the batch of an id."""

    batch_id: bytes
    refusal: Refusal = Refusal.NONE

    @property
    def is_kept(self) -> bool:
        """Whether the other side has the batch for good: taken now, or earlier."""
        return self.refusal in (Refusal.NONE, Refusal.DUPLICATE)

    def build(self) -> bytes:
        """The message."""
        is_ack = self.refusal is Refusal.NONE
        return _ANSWER.pack(_ANSWERED, is_ack, self.batch_id, self.refusal)


def parse_answer(message: bytes) -> Answer | None:
    """The answer of a message; None if it is none: as good as no answer."""
    if len(message) != ANSWER:
        return None
    mark, is_ack, batch_id, refusal = _ANSWER.unpack(message)
    if mark != _ANSWERED or refusal not in _WORDS or bool(is_ack) != (refusal == 0):
        return None
    return Answer(batch_id, Refusal(refusal))


Receive = Callable[[bytes], Answer]
"""The other side: takes a message, stores it, and only then answers."""
