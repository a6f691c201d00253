"""The shadow's purses: every transaction, and its MACs once more (`tests.shadow`)."""

from apdu.files import EF1A
from emulator.card.state import KeyKind, Kind
from tests.desk import KINDS
from tests.plain import PlainPurse
from tests.shadow_files import FilesShadow, Pending, Said, number
from tests.vectors import independent as own

ONLINE = {1: "dlk", 2: "dlk", 3: "dulk", 7: "duk"}
KEY_OF = {"dlk": KeyKind.LOAD, "dulk": KeyKind.UNLOAD, "duk": KeyKind.LIMIT}
SPENDS = (4, 5, 6, 9)


class PurseShadow(FilesShadow):
    """Balances, transactions, their log, records and proofs."""

    # Transactions

    def _begin(self, said: Said) -> None:
        kind, which, asked, offer = KINDS[said.p1, said.p2], said.p2, said.data, said.reply
        if kind == 7 and which not in self.here.purses:
            which = 2  # P2 01 of a limit change is the EP where there is no ED (4.18)
        purse = self.here.purses[which]
        assert self._met(purse.usage)
        seq = purse.offline_seq if kind in SPENDS else purse.online_seq
        assert seq < 0xFFFF
        assert (number(offer[:4]), number(offer[4:6])) == (purse.available, seq)
        pending = Pending(kind, which, asked, offer)
        amount = pending.amount
        if kind in SPENDS:
            assert amount <= purse.available
            assert number(offer[6:9]) == purse.limit
        elif kind == 3:
            assert 0 < amount <= purse.actual
        elif kind != 7:
            assert 0 < amount <= purse.ceiling - purse.actual + purse.used
        if kind in ONLINE:
            right = self._online(pending, purse)
            assert offer[-4:] == right["mac1"]
        self.pending = pending

    def _online(self, p: Pending, purse: PlainPurse, **more: bytes) -> dict[str, bytes]:
        """Every MAC of an online transaction, by the independent implementation."""
        name = ONLINE[p.kind]
        random = p.offer[8:12] if p.kind != 7 else p.offer[11:15]
        i = {
            name: self.here.keys[KEY_OF[name], p.asked[0]].value,
            "dtk": self.here.keys[KeyKind.TAC, 0].value,
            "random": random,
            "seq": p.offer[4:6],
            "old_balance": p.offer[:4],
            "amount": p.amount.to_bytes(4, "big"),
            "type": bytes((p.kind,)),
            "terminal": p.terminal,
        } | more
        if p.kind == 7:
            blank = {"date": b"", "time": b"", "new_limit": bytes(3), "new_balance": bytes(4)}
            return own.limit(blank | i | {"old_limit": p.offer[6:9]})
        blank = {"date": b"", "time": b"", "new_balance": bytes(4)}
        return own.unload(blank | i) if p.kind == 3 else own.load(i)

    def _cache(self, said: Said) -> None:
        assert said.pending is not None
        assert said.pending.kind == 9
        fid, file = self._file(said.p2 >> 3)
        slot = said.p1
        if file.kind == Kind.CYCLIC:
            slot = 0
        elif fid == EF1A.sfi:
            slot = said.data[1]
            assert file.content[slot - 1][5] == 0, "a locked record was cached"
        assert len(said.data) == file.size
        said.pending.cache.pop((fid, slot), None)
        said.pending.cache[fid, slot] = said.data
        self.pending = said.pending

    def _credit(self, said: Said) -> None:
        p = self._of(said, 1, 2)
        purse = self.here.purses[p.which]
        repaid = min(purse.used, p.amount)
        purse.used -= repaid
        purse.actual += p.amount - repaid
        new = purse.available.to_bytes(4, "big")
        right = self._online(p, purse, date=said.data[:4], time=said.data[4:7], new_balance=new)
        assert said.data[7:] == right["mac2"], "the card took a load the host did not authorise"
        assert said.reply == right["tac"]
        purse.online_seq += 1
        self._write(p, purse, purse.online_seq, said.data[:7], right["mac2"] + right["tac"])

    def _unload(self, said: Said) -> None:
        p = self._of(said, 3)
        purse = self.here.purses[p.which]
        purse.actual -= p.amount
        new = purse.available.to_bytes(4, "big")
        right = self._online(p, purse, date=said.data[:4], time=said.data[4:7], new_balance=new)
        assert said.data[7:] == right["mac2"], "the card gave money back to nobody"
        assert said.reply == right["mac3"]
        purse.online_seq += 1
        self._write(p, purse, purse.online_seq, said.data[:7], right["mac3"] + bytes(4))

    def _change_limit(self, said: Said) -> None:
        p = self._of(said, 7)
        purse = self.here.purses[p.which]
        purse.limit = number(said.data[:3])
        new = purse.available.to_bytes(4, "big")
        date, time = said.data[3:7], said.data[7:10]
        right = self._online(
            p, purse, date=date, time=time, new_balance=new, new_limit=said.data[:3]
        )
        assert said.data[10:] == right["mac2"], "a limit nobody gave"
        assert said.reply == right["tac"]
        purse.online_seq += 1
        self._write(p, purse, purse.online_seq, date + time, right["mac2"] + right["tac"])

    def _debit(self, said: Said) -> None:
        p = self._of(said, *SPENDS)
        purse, data = self.here.purses[p.which], said.data
        right = own.purchase(
            {
                "dpk": self.here.keys[KeyKind.PURCHASE, p.asked[0]].value,
                "dtk": self.here.keys[KeyKind.TAC, 0].value,
                "type": bytes((p.kind,)),
                "amount": p.asked[1:5],
                "terminal": p.terminal,
                "random": p.offer[11:15],
                "seq": p.offer[4:6],
                "terminal_seq": data[:4],
                "date": data[4:8],
                "time": data[8:11],
            }
        )
        assert data[11:] == right["mac1"], "the card paid without a terminal's MAC1"
        assert said.reply == right["tac"] + right["mac2"]
        money = min(purse.actual, p.amount)
        purse.actual -= money
        purse.used += p.amount - money
        purse.offline_seq += 1
        self._write(p, purse, purse.offline_seq, data[4:11], right["mac2"] + right["tac"])

    @staticmethod
    def _of(said: Said, *kinds: int) -> Pending:
        assert said.pending is not None
        assert said.pending.kind in kinds
        return said.pending

    def _write(self, p: Pending, purse: PlainPurse, seq: int, when: bytes, proof: bytes) -> None:
        self.commits += 1
        self.trips += len(p.cache)
        for (fid, slot), content in p.cache.items():
            file = self.here.files[fid]
            file.is_written = True
            if slot:
                file.content[slot - 1] = content
            else:
                file.content = [content, *file.content][: file.count]
        entry = (
            seq.to_bytes(2, "big") + purse.limit.to_bytes(3, "big") + p.amount.to_bytes(4, "big")
        )
        entry += bytes((p.kind,)) + p.terminal + when
        log = self.here.files[purse.log]
        log.content = [entry, *log.content][: log.count]
        log.is_written = True
        self.here.proofs[p.kind] = seq, proof
        self._changed()
