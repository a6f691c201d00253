"""A card against plain integers: money is conserved, numbers only grow, a cut leaves old or new."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    GET_ALL_BALANCES,
    GET_PROVE,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    SELECT,
    UPDATE_CACHE,
)
from apdu.files import EF1A, EF1E, EF18, LogRecord
from apdu.purse import CAPP, LOAD, PURCHASE
from apdu.records import AllBalances, InitializeData, ProveData, ProveReply
from apdu.sw import SW
from tests.cards import OK, TERMINAL, Desk, new_card, sw_of, with_purse
from tests.shadow import Shadow

SPENDING = {PURCHASE: INIT_PURCHASE, CAPP: INIT_CAPP}
amounts = st.one_of(st.integers(0, 600), st.sampled_from([0, 1, 4999, 5000, 100_000, 0xFFFFFFFF]))
places = st.sampled_from(["", "before", "after"])


class PurseMachine(RuleBasedStateMachine):
    """Loads, purchases and cuts. money is what the passenger has, told only by the receipts."""

    @initialize(balance=st.sampled_from([0, 500, 99_999]), limit=st.sampled_from([0, 700]))
    def issue(self, balance: int, limit: int) -> None:
        self.card = new_card(with_purse(actual=balance, limit=limit))
        self.desk = Desk(self.card)
        self.shadow = Shadow(self.card, self.desk.keys)
        self.limit, self.money, self.loaded, self.spent = limit, balance, 0, 0
        self.start = balance
        self.seqs = (0, 0)
        self.entries: list[tuple[int, int]] = []
        self.trip = self.card.image.files[EF1A.sfi][0]
        self.send(self.desk.request(SELECT))

    def send(self, command: bytes) -> bytes:
        response = self.desk.send(command)
        self.shadow.saw(command, response)
        return response

    def begin(self, spec, amount: int) -> int:
        return sw_of(self.send(spec.command(InitializeData(1, amount, TERMINAL))))

    def cut(self) -> None:
        self.card.power_off()
        self.card.power_on()
        self.shadow.left()
        self.send(self.desk.request(SELECT))

    def finish(self, spec, kind: int, cut: str) -> bool:
        """The final command. Returns whether it happened, by asking the card if it was cut."""
        command = self.desk.request(spec)
        seq = self.seqs[0 if kind == LOAD else 1] + 1
        if not cut:
            assert self.send(command)[-2:] == OK
            return True
        answer = self.send(command) if cut == "after" else b""
        self.cut()
        proof = self.send(GET_PROVE.command(ProveData(seq), 0, kind))
        if cut == "before":
            assert sw_of(proof) == SW.PROOF_NOT_AVAILABLE
            return False
        told = ProveReply.parse(proof[:-2])
        assert told.tac == answer[:4]
        assert kind == LOAD or told.mac2 == answer[4:8]
        return True

    @rule(amount=amounts, cut=places)
    def load(self, amount: int, cut: str) -> None:
        fits = amount > 0 and self.money + amount <= 100_000
        assert self.begin(INIT_LOAD, amount) == (SW.OK if fits else SW.CONDITIONS_OF_USE)
        if fits and self.finish(CREDIT_LOAD, LOAD, cut):
            self.money += amount
            self.loaded += amount
            self.seqs = (self.seqs[0] + 1, self.seqs[1])
            self.entries.insert(0, (LOAD, amount))

    @rule(
        amount=amounts, kind=st.sampled_from([PURCHASE, CAPP]), cut=places, filler=st.integers(0, 9)
    )
    def spend(self, amount: int, kind: int, cut: str, filler: int) -> None:
        fits = amount <= self.money + self.limit
        assert self.begin(SPENDING[kind], amount) == (SW.OK if fits else SW.BALANCE_TOO_LOW)
        if not fits:
            return
        trip = None
        if kind == CAPP and filler:
            self.desk.filler = filler
            for file in (EF1A, EF1E):
                assert self.send(self.desk.request(UPDATE_CACHE, (0, file.sfi << 3))) == OK
            trip = self.desk.content(EF1A.sfi)
        if self.finish(DEBIT, kind, cut):
            self.money -= amount
            self.spent += amount
            self.seqs = (self.seqs[0], self.seqs[1] + 1)
            self.entries.insert(0, (kind, amount))
            self.trip = trip or self.trip

    @rule(spec=st.sampled_from([INIT_LOAD, INIT_PURCHASE, INIT_CAPP]), bit=st.integers(0, 31))
    def forge(self, spec, bit: int) -> None:
        """One bit of a MAC is wrong."""
        if self.begin(spec, 1) != SW.OK:
            return
        command = bytearray(self.desk.request(CREDIT_LOAD if spec is INIT_LOAD else DEBIT))
        command[5 + command[4] - 1 - bit // 8] ^= 1 << bit % 8
        assert sw_of(self.send(bytes(command))) == SW.MAC_INVALID

    @rule(times=st.integers(1, 5), spec=st.sampled_from([INIT_LOAD, INIT_PURCHASE, INIT_CAPP]))
    def begin_and_leave(self, times: int, spec) -> None:
        for _ in range(times):
            self.begin(spec, 1)
        self.cut()

    @rule()
    def leave(self) -> None:
        self.cut()

    @invariant()
    def money_is_conserved(self) -> None:
        assert self.money == self.start + self.loaded - self.spent
        told = AllBalances.parse(self.send(GET_ALL_BALANCES.command(None))[:-2])
        assert told.actual - told.overdraft_used == self.money
        assert (told.ceiling, told.overdraft_limit) == (100_000, self.limit)
        assert told.actual == 0 or told.overdraft_used == 0
        assert told.overdraft_used <= self.limit

    @invariant()
    def numbers_grow_by_one_with_each_transaction(self) -> None:
        purse = self.card.image.purse
        assert (purse.online_seq, purse.offline_seq) == self.seqs

    @invariant()
    def the_log_holds_the_last_ten(self) -> None:
        records = [LogRecord.parse(r) for r in self.card.image.files[EF18.sfi]]
        assert [(r.kind, r.amount) for r in records] == self.entries[:10]

    @invariant()
    def trip_files_are_written_with_the_debit_or_not_at_all(self) -> None:
        files = self.card.image.files
        assert files[EF1A.sfi][0] == self.trip
        assert len(files[EF1E.sfi]) <= EF1E.count


TestPurse = PurseMachine.TestCase
TestPurse.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
