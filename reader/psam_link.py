"""What a gate needs of its PSAM, and a PSAM in a slot that gives it.

`Psam` is one in process. `RemotePsam` is any other, ours or a real one, behind a transport such as
a PC/SC reader's: it is asked for its terminal number and key index, and from then on it is the
same to the gate.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from apdu.codec import WireError
from apdu.command import body
from apdu.sam_commands import SAM_READ_BINARY, SAM_SELECT_FILE
from apdu.sam_records import FID_CPSAM, FID_MF, SamSelectId, SamTerminal
from reader.session import ProtocolError, StatusError, Txn, ask, exchange, run
from reader.transport.base import Transport


class SecureModule(Transport, Protocol):
    """A PSAM as a gate sees it. Besides commands it has a terminal number of 6 bytes and the
    index of its purchase key."""

    @property
    def terminal(self) -> bytes:
        """What INITIALIZE must name, because MAC1 holds it (protocol reference 5.7)."""
        ...

    @property
    def key_index(self) -> int:
        """Which key INITIALIZE must name: EF17 of the PSAM (5.7)."""
        ...


@dataclass(frozen=True, slots=True)
class SamIdentity:
    """What a PSAM says of itself. key_index: what INITIALIZE names."""

    terminal: bytes
    key_index: int


def introduce() -> Txn[SamIdentity]:
    """Select the PSAM's application and read who it is.

    EF16 and EF17 are read in the master file, and after 8011 where they are not there: gates
    differ, and so do PSAMs (5.7). In the end 8011 is selected. Raises StatusError, ProtocolError.
    """
    yield from ask("psam", SAM_SELECT_FILE, SamSelectId(FID_MF))
    try:
        above = yield from _identity()
    except StatusError:
        above = None
    yield from ask("psam", SAM_SELECT_FILE, SamSelectId(FID_CPSAM))
    return above if above is not None else (yield from _identity())


def _identity() -> Txn[SamIdentity]:
    terminal = yield from _bytes_of(0x16, SamTerminal.size())
    index = yield from _bytes_of(0x17, 1)
    return SamIdentity(terminal, index[0])


def _bytes_of(sfi: int, size: int) -> Txn[bytes]:
    """The first bytes of a file, with the Le of the ladders: 06 for EF16, 01 for EF17."""
    command = SAM_READ_BINARY.command(None, 0x80 | sfi, 0)[:-1] + bytes((size,))
    data = yield from exchange("psam", SAM_READ_BINARY, command)
    if len(data) != size:
        raise ProtocolError(f"the PSAM's EF{sfi:02X} gave {len(data)} bytes, expected {size}")
    return data


class RemotePsam:
    """A PSAM behind a transport, presented as the gate needs it.

    is_t0: the link speaks T=0, where a command that sends and asks for data goes out without Le,
           and the PSAM says 61xx until the answer is fetched with GET RESPONSE (ISO 7816-3).
    Raises StatusError, ProtocolError, TransportError.
    """

    def __init__(self, link: Transport, *, is_t0: bool = False) -> None:
        self._link = link
        self._is_t0 = is_t0
        identity = run(introduce(), {"psam": self})
        self.terminal: Final = identity.terminal
        self.key_index: Final = identity.key_index

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        return self._link.transmit(_without_le(command) if self._is_t0 else command)


def _without_le(command: bytes) -> bytes:
    """A command of case 4 as T=0 sends it; any other unchanged."""
    try:
        data, ne = body(command)
    except WireError:
        return command
    return command[:-1] if data and ne is not None else command
