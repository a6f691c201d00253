"""A card against plain integers, by every command of the table.

Money is conserved on both purses, numbers only grow, tries and blocks are what the reference says,
a cut leaves old or new, and whatever else is sent changes none of it. The machine predicts every
status word; `tests.shadow` beside it checks every MAC and the whole image.
"""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    DEBIT_UNLOAD,
    ED,
    EP,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_CASH,
    INIT_LIMIT,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
    SELECT,
    TABLE,
    UPDATE_CACHE,
    UPDATE_LIMIT,
)
from apdu.crypto import Key
from apdu.file_commands import GET_CHALLENGE, UPDATE_BINARY_MAC
from apdu.files import EF1A, EF1E, EF15, EF18, LogRecord
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    CARD_BLOCK,
    CHANGE_PIN,
    EXTERNAL_AUTHENTICATE,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
)
from apdu.purse import reload_pin_mac
from apdu.records import AllBalances, ChangePin, Pin, ProveData, ProveReply, ReloadPin
from apdu.spec import ANY, State
from apdu.sw import SW, retries_left
from emulator.card.state import KeyKind
from tests.cards import (
    OK,
    app_of,
    both,
    content_of,
    needs_challenge,
    new_card,
    sw_of,
    with_purse,
)
from tests.counter import opening
from tests.desk import KINDS, Desk
from tests.shadow import Shadow

CEILING = 100_000
ED_LOG = 0x19
SPENDING = {6: INIT_PURCHASE, 9: INIT_CAPP, 5: INIT_PURCHASE, 4: INIT_CASH}
PURSE_OF = {6: EP, 9: EP, 5: ED, 4: ED}
REST = State.IDLE
UNDER_CHALLENGE = {spec for spec in TABLE if needs_challenge(spec)}
CHALLENGE = GET_CHALLENGE.command(None)
COUNTED = {
    KeyKind.PIN: "pin",
    KeyKind.PIN_RELOAD: "drpk",
    KeyKind.PIN_UNBLOCK: "dpuk",
    KeyKind.EXTERNAL: "dack",
}
FOREIGN = Key(bytes(range(1, 17)))
TRIES = 3

amounts = st.one_of(st.integers(0, 600), st.sampled_from([0, 1, 4999, 5000, CEILING, 0xFFFFFFFF]))
loads = st.one_of(amounts, st.sampled_from([-1, -2]))
"""-1: as much as the purse holds, -2: one fen more."""

places = st.sampled_from(["", "before", "after"])
purses = st.sampled_from([ED, EP])
mostly = st.sampled_from([True, True, True, False])

MODELLED = {VERIFY_PIN, EXTERNAL_AUTHENTICATE, APPLICATION_BLOCK, APPLICATION_UNBLOCK, CARD_BLOCK}
MODELLED |= {CHANGE_PIN, RELOAD_PIN, PIN_UNBLOCK, SELECT}
OTHERS = [s for s in TABLE if s not in MODELLED and not (s.when != ANY and s.then is State.IDLE)]
"""Commands that change nothing, or cannot succeed on a card in service."""


class PurseMachine(RuleBasedStateMachine):
    """money is what the passenger has in each purse, told only by the receipts."""

    @initialize(
        balance=st.sampled_from([0, 500, 99_999]),
        limit=st.sampled_from([0, 700]),
        saved=st.sampled_from([0, 3000]),
    )
    def issue(self, balance: int, limit: int, saved: int) -> None:
        change = both(
            with_purse(EP, actual=balance, limit=limit, ceiling=CEILING),
            with_purse(ED, actual=saved, ceiling=CEILING),
        )
        self.card = new_card(change, has_ed=True)
        self.desk = Desk(self.card)
        self.shadow = Shadow(self.card)
        self.money, self.limits = {EP: balance, ED: saved}, {EP: limit, ED: 0}
        self.start = balance + saved
        self.loaded = self.spent = 0
        self.seqs = {EP: [0, 0], ED: [0, 0]}
        self.entries: dict[int, list[tuple[int, int]]] = {EP: [], ED: []}
        self.trip = content_of(self.card.image, EF1A.sfi)[0]
        self.tries = dict.fromkeys(("pin", "drpk", "dpuk", "dack"), TRIES)
        self.strikes = self.unblock_strikes = 0
        self.blocked = "no"
        self.verified = False
        self.send(self.desk.request(SELECT))

    def send(self, command: bytes) -> bytes:
        response = self.desk.send(command)
        self.shadow.saw(command, response)
        return response

    def word(self, otherwise: int) -> int:
        """What a command answers that is not taken while the application is blocked."""
        words = {"temporary": SW.BLOCKED, "permanent": SW.PERMANENTLY_BLOCKED, "dead": SW.BLOCKED}
        return words.get(self.blocked, otherwise)

    def ask(self, spec, expected: int, data=None, pair=None) -> bytes:
        if spec in UNDER_CHALLENGE:
            self.send(CHALLENGE)
        p1, p2 = pair or spec.usual
        command = self.desk.request(spec, pair) if data is None else spec.command(data, p1, p2)
        response = self.send(command)
        assert sw_of(response) == expected, (spec.name, response.hex())
        return response

    def cut(self) -> None:
        self.card.power_off()
        self.card.power_on()
        self.shadow.left()
        self.verified = False
        sw = sw_of(self.send(self.desk.request(SELECT)))
        assert sw == (SW.OK if self.blocked == "no" else SW.BLOCKED)

    # Transactions

    def right(self, which: int, otherwise: int) -> int:
        """The ED wants the PIN since it was selected (annex 7)."""
        unmet = which == ED and not self.verified
        return self.word(SW.SECURITY_STATUS if unmet else otherwise)

    def begin(self, spec, which: int, amount: int, otherwise: int) -> bool:
        """INITIALIZE; whether a transaction is under way."""
        sw = self.right(which, otherwise)
        p1 = spec.usual[0]
        self.ask(spec, sw, opening(spec, amount), (p1, which))
        return sw == SW.OK

    def finish(self, spec, kind: int, which: int, cut: str) -> bool:
        """The final command. Returns whether it happened, by asking the card if it was cut."""
        command = self.desk.request(spec)
        seq = self.seqs[which][kind in SPENDING] + 1
        if not cut:
            assert self.send(command)[-2:] == OK
            return True
        answer = self.send(command) if cut == "after" else b""
        self.cut()
        proof = self.send(GET_PROVE.command(ProveData(seq), 0, kind))
        if cut == "before":
            # Load, unload and limit of the two purses share a proof (by type), so another purse's
            # may stand there; it cannot be this transaction's.
            held = app_of(self.card.image).proofs.get(kind)
            known = held is not None and held.seq == seq
            assert (sw_of(proof) == SW.OK) == known
            return False
        told = ProveReply.parse(proof[:-2])
        if kind == 3:
            assert (told.mac2, told.tac) == (answer[:4], bytes(4)), "MAC3 and zeros (Q8)"
        else:
            assert told.tac == answer[:4]
            assert kind not in SPENDING or told.mac2 == answer[4:8]
        return True

    def done(self, which: int, kind: int, amount: int) -> None:
        self.seqs[which][kind in SPENDING] += 1
        self.entries[which].insert(0, (kind, amount))

    @rule(which=purses, amount=loads, cut=places)
    def load(self, which: int, amount: int, cut: str) -> None:
        if amount < 0:
            amount = CEILING - self.money[which] - 1 - amount
        fits = amount > 0 and self.money[which] + amount <= CEILING
        kind = KINDS[0, which]
        if not self.begin(INIT_LOAD, which, amount, SW.OK if fits else SW.CONDITIONS_OF_USE):
            return
        if self.finish(CREDIT_LOAD, kind, which, cut):
            self.money[which] += amount
            self.loaded += amount
            self.done(which, kind, amount)

    @rule(which=purses, amount=amounts, cut=places)
    def unload(self, which: int, amount: int, cut: str) -> None:
        """Only own money can be taken off, never the overdraft (4.17)."""
        own = max(self.money[which], 0)
        sw = SW.CONDITIONS_OF_USE if amount == 0 else SW.OK if amount <= own else SW.BALANCE_TOO_LOW
        if not self.begin(INIT_UNLOAD, which, amount, sw):
            return
        if self.finish(DEBIT_UNLOAD, 3, which, cut):
            self.money[which] -= amount
            self.spent += amount
            self.done(which, 3, amount)

    @rule(which=purses, limit=st.sampled_from([0, 100, 700, 5000, 0xFFFFFF]), cut=places)
    def change_limit(self, which: int, limit: int, cut: str) -> None:
        if not self.begin(INIT_LIMIT, which, 0, SW.OK):
            return
        self.desk.limit = limit
        used = max(-self.money[which], 0)
        bad = (
            SW.BALANCE_TOO_LOW
            if limit < used
            else SW.CONDITIONS_OF_USE
            if CEILING + limit > 0xFFFFFF
            else None
        )
        if bad is not None:
            self.ask(UPDATE_LIMIT, bad)
        elif self.finish(UPDATE_LIMIT, 7, which, cut):
            self.limits[which] = limit
            self.done(which, 7, 0)

    @rule(
        amount=amounts, kind=st.sampled_from(list(SPENDING)), cut=places, filler=st.integers(0, 9)
    )
    def spend(self, amount: int, kind: int, cut: str, filler: int) -> None:
        which = PURSE_OF[kind]
        fits = amount <= self.money[which] + self.limits[which]
        sw = SW.OK if fits else SW.BALANCE_TOO_LOW
        if not self.begin(SPENDING[kind], which, amount, sw):
            return
        trip = None
        if kind == 9 and filler:
            self.desk.filler = filler
            for file in (EF1A, EF1E):
                assert self.send(self.desk.request(UPDATE_CACHE, (0, file.sfi << 3))) == OK
            trip = self.desk.content(EF1A.sfi)
        if self.finish(DEBIT, kind, which, cut):
            self.money[which] -= amount
            self.spent += amount
            self.done(which, kind, amount)
            self.trip = trip or self.trip

    @rule(
        spec=st.sampled_from([INIT_LOAD, INIT_UNLOAD, INIT_LIMIT, INIT_PURCHASE, INIT_CAPP]),
        bit=st.integers(0, 31),
    )
    def forge(self, spec, bit: int) -> None:
        """One bit of a MAC is wrong."""
        command = spec.command(opening(spec, 1), spec.usual[0], EP)
        if self.send(command)[-2:] != OK:
            return
        final = next(s for s in TABLE if spec.then in s.when and s.when != ANY and s.then is REST)
        forged = bytearray(self.desk.request(final))
        forged[5 + forged[4] - 1 - bit // 8] ^= 1 << bit % 8
        assert sw_of(self.send(bytes(forged))) == SW.MAC_INVALID

    @rule(
        times=st.integers(1, 5),
        spec=st.sampled_from([INIT_LOAD, INIT_UNLOAD, INIT_LIMIT, INIT_PURCHASE, INIT_CAPP]),
    )
    def begin_and_leave(self, times: int, spec) -> None:
        for _ in range(times):
            self.send(spec.command(opening(spec, 1), spec.usual[0], EP))
        self.cut()

    @rule()
    def leave(self) -> None:
        self.cut()

    @rule()
    def select_again(self) -> None:
        """The PIN is asked for again, though the card has not left the field (annex 5.1)."""
        self.send(self.desk.request(SELECT))
        self.verified = False

    @rule(overdrawn=st.integers(1, 700), back=loads)
    def go_into_the_overdraft_and_pay_it_back(self, overdrawn: int, back: int) -> None:
        if self.money[EP] >= 0:
            self.spend(self.money[EP] + overdrawn, 6, "", 0)
            self.load(EP, back, "")

    # PIN

    def judged(self, name: str, is_right: bool, wrong: int | None = None) -> int:
        """What a command with a counted secret answers; keeps the count."""
        if self.blocked != "no":
            return self.word(SW.OK)
        if not self.tries[name]:
            return SW.METHOD_BLOCKED
        self.tries[name] = TRIES if is_right else self.tries[name] - 1
        if is_right:
            return SW.OK
        return retries_left(self.tries[name]) if wrong is None else wrong

    @rule(is_right=mostly)
    def verify(self, is_right: bool) -> None:
        sw = self.judged("pin", is_right)
        self.ask(VERIFY_PIN, sw, Pin(self.desk.pin if is_right else b"\x99\x99"))
        self.verified = self.verified or sw == SW.OK

    @rule(is_right=mostly, new=st.binary(min_size=2, max_size=6).filter(lambda p: p[-1] != 0xFF))
    def change_pin(self, is_right: bool, new: bytes) -> None:
        old = self.desk.pin if is_right else bytes(b ^ 1 for b in self.desk.pin)
        sw = self.judged("pin", is_right)
        self.ask(CHANGE_PIN, sw, ChangePin(old + b"\xff" + new))
        if sw == SW.OK:
            self.desk.pin = new

    @rule(is_right=mostly, new=st.binary(min_size=2, max_size=6).filter(lambda p: p[-1] != 0xFF))
    def reload_pin(self, is_right: bool, new: bytes) -> None:
        key = self.desk.keys.drpk if is_right else FOREIGN
        sw = self.judged("drpk", is_right, SW.MAC_INVALID)
        self.ask(RELOAD_PIN, sw, ReloadPin(new + reload_pin_mac(key, new)))
        if sw == SW.OK:
            self.desk.pin = new
            self.tries["pin"] = TRIES

    @rule(is_right=mostly)
    def unblock_pin(self, is_right: bool) -> None:
        sw = self.judged("dpuk", is_right, SW.MAC_WRONG)
        self.with_keys(PIN_UNBLOCK, sw, is_right, "dpuk")
        if sw == SW.OK:
            self.tries["pin"] = TRIES

    @rule(is_right=mostly)
    def authenticate(self, is_right: bool) -> None:
        sw = self.judged("dack", is_right)
        self.with_keys(EXTERNAL_AUTHENTICATE, sw, is_right, "dack")
        self.verified = self.verified or sw == SW.OK  # state 4 meets F1 as well (annex 5.2)

    def with_keys(self, spec, sw: int, is_right: bool, name: str, pair=None) -> None:
        """A command under a MAC, right or under a foreign key."""
        right = self.desk.keys
        if not is_right:
            self.desk.keys = replace(right, **{name: FOREIGN})
        try:
            self.ask(spec, sw, pair=pair)
        finally:
            self.desk.keys = right

    # Files under MAC, blocks

    @rule(is_right=mostly)
    def renew(self, is_right: bool) -> None:
        """UPDATE BINARY of EF15 under MAC; the third wrong one in a row blocks for good (4.6)."""
        sw = self.word(SW.OK)
        if self.blocked == "no":
            self.strikes = 0 if is_right else self.strikes + 1
            if not is_right:
                sw = SW.MAC_WRONG if self.strikes < 3 else SW.PERMANENTLY_BLOCKED
        self.with_keys(UPDATE_BINARY_MAC, sw, is_right, "damk", (0x80 | EF15.sfi, 24))
        if self.strikes == 3 and self.blocked == "no":
            self.blocked = "permanent"

    @rule(is_right=mostly, stays=st.sampled_from([False, False, False, True]))
    def block(self, is_right: bool, stays: bool) -> None:
        sw = SW.OK if is_right else SW.MAC_WRONG
        if self.blocked in ("permanent", "dead"):
            sw = self.word(sw)
        self.with_keys(APPLICATION_BLOCK, sw, is_right, "dbk", (0, 0))
        if sw == SW.OK:
            self.blocked = "temporary"
            if not stays:
                self.the_card_tells_its_balance()
                self.unblock(is_right=True)

    @rule(is_right=mostly)
    def unblock(self, is_right: bool) -> None:
        """The third failure in a row blocks for good (4.19)."""
        sw = SW.OK if is_right else SW.MAC_WRONG
        if self.blocked in ("permanent", "dead"):
            sw = self.word(sw)
        elif not is_right:
            self.unblock_strikes += 1
            if self.unblock_strikes == 3:
                sw = SW.PERMANENTLY_BLOCKED
        self.with_keys(APPLICATION_UNBLOCK, sw, is_right, "dubk")
        if sw == SW.OK:
            self.blocked, self.strikes, self.unblock_strikes = "no", 0, 0
        elif sw == SW.PERMANENTLY_BLOCKED:
            self.blocked = "permanent"

    @precondition(lambda self: self.blocked == "permanent")
    @rule(is_right=mostly)
    def kill(self, is_right: bool) -> None:
        self.with_keys(CARD_BLOCK, SW.OK if is_right else SW.MAC_WRONG, is_right, "damk")
        if is_right:
            self.blocked = "dead"

    # Everything else

    @rule(spec=st.sampled_from(OTHERS), choice=st.integers(0, 20), asks=st.booleans())
    def anything_else(self, spec, choice: int, asks: bool) -> None:
        """Whatever it answers, it must not touch what this machine knows."""
        if spec in UNDER_CHALLENGE and asks:
            return  # a right MAC: `renew` and the others know what it does
        examples = spec.params.examples()
        self.send(self.desk.request(spec, examples[choice % len(examples)]))
        if self.card._card.at == 0 or self.card.state is not State.IDLE:
            self.cut()

    # What always holds

    @invariant()
    def money_is_conserved(self) -> None:
        assert sum(self.money.values()) == self.start + self.loaded - self.spent
        for which, purse in app_of(self.card.image).purses.items():
            assert purse.actual - purse.used == self.money[which]
            assert (purse.ceiling, purse.limit) == (CEILING, self.limits[which])
            assert purse.actual == 0 or purse.used == 0
            assert 0 <= purse.used <= purse.limit

    @invariant()
    def the_card_tells_its_balance(self) -> None:
        response = self.send(GET_ALL_BALANCES.command(None))
        assert sw_of(response) == self.word(SW.OK)
        if response[-2:] == OK:
            told = AllBalances.parse(response[:-2])
            assert told.actual - told.overdraft_used == self.money[EP]
            assert (told.ceiling, told.overdraft_limit) == (CEILING, self.limits[EP])
        saved = self.send(GET_BALANCE.command(None, 0, ED))
        assert sw_of(saved) == self.right(ED, SW.OK)
        if saved[-2:] == OK:
            assert int.from_bytes(saved[:4], "big") == self.money[ED] + self.limits[ED]

    @invariant()
    def numbers_grow_by_one_with_each_transaction(self) -> None:
        for which, purse in app_of(self.card.image).purses.items():
            assert [purse.online_seq, purse.offline_seq] == self.seqs[which]

    @invariant()
    def the_logs_hold_the_last_ten(self) -> None:
        for which, file in ((EP, EF18.sfi), (ED, ED_LOG)):
            records = [LogRecord.parse(r) for r in content_of(self.card.image, file)]
            assert [(r.kind, r.amount) for r in records] == self.entries[which][:10]

    @invariant()
    def trip_files_are_written_with_the_debit_or_not_at_all(self) -> None:
        assert content_of(self.card.image, EF1A.sfi)[0] == self.trip
        assert len(content_of(self.card.image, EF1E.sfi)) <= EF1E.count

    @invariant()
    def tries_and_blocks_are_counted(self) -> None:
        app = app_of(self.card.image)
        left = {
            entry: key.tries_left
            for (_, kid), key in app.keys.items()
            if kid == 0 and (entry := COUNTED.get(key.kind))
        }
        assert left == self.tries
        assert app.strikes == self.strikes
        assert app.unblock_strikes == self.unblock_strikes
        held = "dead" if self.card.image.is_dead else app.blocked.value
        assert held == self.blocked


TestPurse = PurseMachine.TestCase
TestPurse.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
