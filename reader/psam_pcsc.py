"""A PSAM in a PC/SC reader's slot, real or virtual, for the length of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager

from reader.psam_link import RemotePsam
from reader.transport.base import NoCard, ReaderFault
from reader.transport.pcsc import PcscCoupler

WAIT_S = 10.0
"""How long a PSAM may take to be powered: it is in its slot before the gate starts."""


@contextmanager
def psam_in_slot(reader: str | None, wait_s: float = WAIT_S) -> Iterator[RemotePsam]:
    """The PSAM in a reader, which no other program can use meanwhile: its state is one for all.

    reader: see `reader.transport.pcsc.choose_reader`.
    Raises ReaderFault, StatusError or ProtocolError if there is no PSAM.
    """
    coupler = PcscCoupler(reader, is_shared=False)
    try:
        try:
            link = coupler.wait_card(wait_s)
        except NoCard as none:
            raise ReaderFault(f"there is no PSAM in {coupler.name}; put one in.") from none
        yield RemotePsam(link, is_t0=link.is_t0)
    finally:
        coupler.close()
