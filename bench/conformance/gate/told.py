"""What the card was told, taken apart: the debits among the commands of a gate."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from apdu.commands import DEBIT, INIT_CAPP, INIT_PURCHASE, UPDATE_CACHE
from apdu.files import EF1A, EF1E
from bench.conformance.lab import Said

_HEADER = 4


@dataclass(frozen=True, slots=True)
class Charge:
    """A debit as the card saw it.

    amount: fen. terminal: 6 bytes, of INITIALIZE. number: the terminal's of DEBIT. when: date and
    time of DEBIT, 7 bytes. written: the records cached for it, by SFI. is_taken: the card did it.
    tac: of a debit that was taken. counter: the card's number after it. left: fen before it.
    """

    amount: int
    terminal: bytes
    number: int
    when: bytes
    written: dict[int, bytes] = field(default_factory=dict)
    is_taken: bool = False
    tac: bytes = b""
    counter: int = 0
    left: int = 0
    kind: int = 0

    @property
    def trip(self) -> bytes:
        """The EF1A record written with it; nothing if there is none."""
        return self.written.get(EF1A.sfi, b"")

    @property
    def log(self) -> bytes:
        """The EF1E record written with it; nothing if there is none."""
        return self.written.get(EF1E.sfi, b"")


def charges(said: Iterable[Said]) -> list[Charge]:
    """The debits among what was said, whether they were taken or not."""
    found: list[Charge] = []
    offer: Said | None = None
    written: dict[int, bytes] = {}
    for one in said:
        head, data = one.command[:2], data_of(one.command)
        if _is_purchase(one.command):
            offer, written = one, {}
        elif head == bytes((UPDATE_CACHE.cla, UPDATE_CACHE.ins)):
            written[one.command[3] >> 3] = data
        elif head == bytes((DEBIT.cla, DEBIT.ins)) and offer is not None and len(data) >= 11:
            found.append(_charge(offer, one, data, written))
    return found


def data_of(command: bytes) -> bytes:
    """The data field of a short command."""
    if len(command) <= _HEADER + 1:
        return b""
    return command[_HEADER + 1 : _HEADER + 1 + command[_HEADER]]


def _is_purchase(command: bytes) -> bool:
    kinds = {(INIT_PURCHASE.cla, INIT_PURCHASE.ins, 0x01), (INIT_CAPP.cla, INIT_CAPP.ins, 0x03)}
    return tuple(command[:3]) in kinds


def _charge(offer: Said, debit: Said, data: bytes, written: dict[int, bytes]) -> Charge:
    asked, offered = data_of(offer.command), offer.response or b""
    answer = debit.response or b""
    is_taken = answer[-2:] == b"\x90\x00"
    return Charge(
        int.from_bytes(asked[1:5], "big"),
        asked[5:11],
        int.from_bytes(data[:4], "big"),
        data[4:11],
        dict(written),
        is_taken,
        answer[:4] if is_taken else b"",
        int.from_bytes(offered[4:6], "big") + 1,
        int.from_bytes(offered[:4], "big"),
        0x09 if offer.command[2] == 0x03 else 0x06,
    )
