"""A top-up seen on the wire, as the record that clearing gets of it (protocol reference 6.4)."""

from collections.abc import Callable

from apdu.bcd import Moment
from apdu.files import PublicInfo
from apdu.records import CreditLoadData, InitializeData, InitLoadReply
from reader.loading import UnresolvedLoad
from reader.taprecord import TapRecord, load_record
from reader.transport.base import Transport

_READ_INFO, _INIT, _CREDIT, _PROVE = b"\x00\xb0\x95", b"\x80\x50\x00", b"\x80\x52", b"\x80\x5a"
_OK, _HEAD, _TAC = b"\x90\x00", 5, 4


class LoadWatch:
    """What one card was offered and credited with. It stays with the card from tap to tap.

    keep: gets a record of each top-up that the card has proven, by its answer or afterwards.
    """

    def __init__(self, desk: bytes, operator: bytes, keep: Callable[[TapRecord], None]) -> None:
        self._desk, self._operator, self._keep = desk, operator, keep
        self._info: PublicInfo | None = None
        self._offered: tuple[InitializeData, InitLoadReply] | None = None
        self._credited: UnresolvedLoad | None = None

    def link(self, link: Transport) -> Transport:
        """The transport, watched."""
        return _Watched(link, self)

    def sent(self, command: bytes) -> None:
        """A command goes out, whatever becomes of it."""
        if command[:2] == _CREDIT and self._offered is not None and self._info is not None:
            data = CreditLoadData.from_wire(command[_HEAD : _HEAD + 11])
            when = Moment(data.date, data.time)
            self._credited = UnresolvedLoad(self._info, *self._offered, when, data.mac2)

    def answered(self, command: bytes, answer: bytes) -> None:
        """A card has answered."""
        if answer[-2:] != _OK:
            return
        if command[:3] == _READ_INFO:
            self._info = PublicInfo.from_wire(answer[:-2])
        elif command[:3] == _INIT:
            asked = InitializeData.from_wire(command[_HEAD : _HEAD + 11])
            self._offered = (asked, InitLoadReply.from_wire(answer[:-2]))
        elif command[:2] in (_CREDIT, _PROVE):
            self._taken(answer[-2 - _TAC : -2], command[:2] == _PROVE)

    def _taken(self, tac: bytes, recovered: bool) -> None:
        made, self._credited = self._credited, None
        if made is not None:
            receipt = made.receipt(tac, recovered=recovered)
            self._keep(load_record(made.info, receipt, self._desk, self._operator))


class _Watched:
    def __init__(self, link: Transport, watch: LoadWatch) -> None:
        self._link, self._watch = link, watch

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        self._watch.sent(command)
        answer = self._link.transmit(command)
        self._watch.answered(command, answer)
        return answer
