"""What files and records must read as: learnt when first read, compared ever after."""

from apdu.commands import EP
from apdu.files import EF18, FILES, LogRecord, Structure
from bench.conformance.fuzz.breach import Breach, Rule
from bench.conformance.fuzz.ledger import LIMIT, Opened

Place = tuple[int, int]
"""SFI and record number; number 0 for a transparent file."""


class Pages:
    """Contents of the purse's files by place. What was never read is not known."""

    def __init__(self) -> None:
        self.known: dict[Place, bytes] = {}

    def hear(self, place: Place, offset: int, came: bytes) -> None:
        """Something was read. Raises Breach if it was another thing before."""
        known = self.known.get(place)
        if known is None:
            if not offset and len(came) == FILES[place[0]].size:
                self.known[place] = came
            return
        if came != known[offset : offset + len(came)]:
            name = FILES[place[0]].name
            raise Breach(Rule.RECORD, f"{name} {place[1]} {known.hex()}", came.hex())

    def forget(self, sfi: int) -> None:
        """A file was written by other means than a transaction. SFI 0: any file."""
        for place in [one for one in self.known if sfi in (0, one[0])]:
            del self.known[place]

    def commit(self, opened: Opened, seq: int, limit: int | None, when: bytes) -> None:
        """A transaction writes its log record, and the records that were cached."""
        for (sfi, slot), content in opened.cache.items():
            if sfi not in FILES:
                continue
            if FILES[sfi].structure is Structure.CYCLIC:
                self._newest(sfi, content)
            else:
                self.known[sfi, slot] = content
        offer = opened.offer
        if opened.which != EP:
            return  # the ED has a log of its own
        if limit is None:
            self.forget(EF18.sfi)
            return
        amount = 0 if offer.kind == LIMIT else offer.asked.amount
        entry = LogRecord(seq, limit, amount, offer.kind, offer.asked.terminal, when[:4], when[4:])
        self._newest(EF18.sfi, entry.build())

    def _newest(self, sfi: int, content: bytes) -> None:
        count, known = FILES[sfi].count, self.known
        moved = {
            (sfi, n + 1): known.pop((sfi, n)) for n in range(1, count + 1) if (sfi, n) in known
        }
        moved.pop((sfi, count + 1), None)
        known |= moved
        known[sfi, 1] = content
