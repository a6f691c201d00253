"""What a gate's case works with: a card that plays, a gate to tap at, and what both showed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from apdu.commands import DEBIT
from apdu.files import EF1A, EF1E, EF15
from apdu.spec import CommandSpec
from bench.conformance.case import Broken
from bench.conformance.gate.played import Cut, Knobs, Mutation
from bench.conformance.gate.post import Post
from bench.conformance.gate.stand import GateStand, Heard
from bench.conformance.gate.told import Charge, charges
from bench.conformance.lab import Said
from bench.conformance.words import Words
from emulator.card.card import Card
from emulator.card.personalise import purse_index
from reader.outcome import Reject, Verdict
from reader.taprecord import TapRecord
from reader.transport.decorators import CutPoint

Spec = CommandSpec[Any, Any]


class GateLab:
    """One case at a gate. stand: the gate and the card before it."""

    def __init__(self, stand: GateStand, now_ns: Callable[[], int]) -> None:
        self.stand = stand
        self.now_ns = now_ns
        self.now: datetime = stand.begins
        self._seen_before = 0

    @property
    def said(self) -> list[Said]:
        """What the card saw since the case began."""
        return self.stand.played.seen

    @property
    def knobs(self) -> Knobs:
        """What can be turned: see `played.Knobs`."""
        return self.stand.played.knobs

    # Doing

    def wait(self, **time: float) -> None:
        """Time goes by: keywords of `datetime.timedelta`."""
        self.now += timedelta(**time)
        self.stand.wait(timedelta(**time))

    def tap(self, post: Post) -> Heard:
        """Hold the card to the gate at a post. Returns what became of it."""
        self._seen_before = len(self.said)
        return self.stand.tap(post, self.now)

    def tap_pair(self, post: Post, other: Card) -> list[Heard]:
        """Hold the card and another one to the gate at once. Returns what became of each turn."""
        self._seen_before = len(self.said)
        return self.stand.tap_pair(post, self.now, other)

    def cut_at(self, spec: Spec, point: CutPoint, nth: int = 1) -> None:
        """Lose the card at this command of the next tap."""
        self.knobs.cut = Cut(bytes((spec.cla, spec.ins)), point, nth)

    def cut_nth(self, nth: int, point: CutPoint) -> None:
        """Lose the card at the n-th command of the next tap, from 1, whatever it is."""
        self.knobs.cut = Cut(b"", point, nth)

    def another(self, **setup: Any) -> Card:  # noqa: ANN401 - fields of a profile
        """Somebody else's card comes to the same gates. Returns the one that was there.

        Unless it has a number of its own it comes half a minute later, so that no gate takes it for
        the one before.
        """
        if "serial" not in setup:
            self.now += timedelta(seconds=30)
        return self.stand.bring(setup)

    def back(self, card: Card) -> None:
        """A card comes back that was there before."""
        self.stand.hold(card)

    def mutate(self, spec: Spec, at: int = 0, **how: Any) -> None:  # noqa: ANN401 - of Mutation
        """Change the card's answers to a command from now on; see `played.Mutation`."""
        made = Mutation(spec.cla, spec.ins, at, **how)
        self.knobs.mutations = (*self.knobs.mutations, made)

    def ride(self, way_in: Post, way_out: Post, **took: float) -> Heard:
        """In and out. took: how long it was, by default half an hour. Returns what came of both."""
        self.passes(self.tap(way_in))
        self.wait(**(took or {"minutes": 30}))
        return self.tap(way_out)

    # Looking

    @property
    def seen(self) -> list[Said]:
        """What the card saw in the last tap."""
        return self.said[self._seen_before :]

    def asked(self, spec: Spec) -> list[bytes]:
        """The commands of one kind that the card saw in the last tap."""
        head = bytes((spec.cla, spec.ins))
        return [said.command for said in self.seen if said.command[:2] == head]

    @property
    def balance(self) -> int:
        """What is on the card, fen: the bench made it and may look."""
        return self.stand.card.purse.actual - self.stand.card.purse.used

    @property
    def serial(self) -> bytes:
        """The number of the card that plays, 10 bytes."""
        return self.file(EF15.sfi)[0][10:20]

    def file(self, sfi: int) -> tuple[bytes, ...]:
        """The records of a file of the purse, or its content alone."""
        image = self.stand.card.image
        content = image.directories[purse_index(image)].files[sfi].content
        return (content,) if isinstance(content, bytes) else content

    @property
    def trip(self) -> bytes:
        """The rail trip on the card, EF1A 2701."""
        return next(one for one in self.file(EF1A.sfi) if one[:2] == b"\x27\x01")

    @property
    def bus_trip(self) -> bytes:
        """The bus trip on the card, EF1A 2702."""
        return next(one for one in self.file(EF1A.sfi) if one[:2] == b"\x27\x02")

    @property
    def last_log(self) -> bytes:
        """The newest trip record on the card, EF1E."""
        return self.file(EF1E.sfi)[0]

    @property
    def charges(self) -> list[Charge]:
        """The debits of the last tap, as the card saw them."""
        return charges(self.seen)

    @property
    def all_charges(self) -> list[Charge]:
        """The debits of the whole case."""
        return charges(self.said)

    @property
    def charge(self) -> Charge:
        """The one debit of the last tap that was taken. Raises Broken."""
        taken = [one for one in self.charges if one.is_taken]
        want = Words("one debit in this tap", "本次刷卡恰有一笔扣款")
        self.require(len(taken) == 1, want, len(taken))
        return taken[0]

    def records(self, post: Post) -> Sequence[TapRecord]:
        """What the gate at a post has kept. Needs RECORDS."""
        return self.stand.records(post)

    # Requirements

    def passes(self, heard: Heard, why: Words | None = None, *, clause: str = "") -> None:
        """The gate opened. Raises Broken."""
        self._verdict(heard, Verdict.PASS, why, clause)

    def taps_again(self, heard: Heard, why: Words | None = None, *, clause: str = "") -> None:
        """The gate stays shut and asks for the card again. Raises Broken."""
        self._verdict(heard, Verdict.TAP_AGAIN, why, clause)

    def refuses(self, heard: Heard, *reasons: Reject, clause: str = "") -> None:
        """The gate stays shut, for one of these reasons where it tells any, and takes no money."""
        self._verdict(heard, Verdict.REJECT, None, clause)
        if reasons and heard.reason is not None and heard.reason not in reasons:
            names = " / ".join(f"{r.code} {r.en}" for r in reasons)
            zh = " / ".join(f"{r.code} {r.zh}" for r in reasons)
            raise Broken(Words(names, zh), f"{heard.reason.code} {heard.reason.en}", clause)
        self.never_asked(DEBIT, clause=clause)

    def opens_free(self, heard: Heard, *, clause: str = "") -> None:
        """The gate opens and takes no money. Raises Broken."""
        self.passes(heard, clause=clause)
        self.never_asked(DEBIT, clause=clause)

    def shut(self, heard: Heard, *, clause: str = "") -> None:
        """The gate stays shut, whatever it says. Raises Broken."""
        if heard.verdict is Verdict.PASS:
            want = Words("the gate stays shut", "闸机不放行")
            raise Broken(want, heard.words, clause, len(self.said) - 1 if self.said else None)

    def are(self, came: bytes, wanted: str, what: Words, clause: str = "") -> None:
        """These bytes are what they have to be. wanted: hex, blanks allowed. Raises Broken."""
        should = bytes.fromhex(wanted)
        if came != should:
            pairs = enumerate(zip(came, should, strict=False))
            first = next((n for n, (a, b) in pairs if a != b), min(len(came), len(should)))
            shown = Words(
                f"{what.en}, byte {first} on: {should[first:].hex().upper() or '-'}",
                f"{what.zh}，自第 {first} 字节：{should[first:].hex().upper() or '-'}",
            )
            self.require(False, shown, came[first:].hex().upper() or "nothing", clause)

    def same(self, came: object, wanted: object, what: Words, clause: str = "") -> None:
        """A value is what it has to be. Raises Broken."""
        shown = Words(f"{what.en} {wanted}", f"{what.zh} {wanted}")
        self.require(came == wanted, shown, came, clause)

    def paid(self, before: int, fen: int, *, clause: str = "") -> None:
        """The card holds so much less than before, to the fen. Raises Broken."""
        want = Words(f"{fen} fen off the card", f"卡内减少 {fen} 分")
        self.require(before - self.balance == fen, want, f"{before - self.balance} fen", clause)

    def never_asked(self, spec: Spec, *, clause: str = "") -> None:
        """The card saw no such command in the last tap. Raises Broken at the first it saw."""
        for n, said in enumerate(self.said[self._seen_before :], self._seen_before):
            if said.command[:2] == bytes((spec.cla, spec.ins)):
                want = Words(f"no {spec.name}", f"不发送 {spec.name}")
                amount = [f" for {one.amount} fen" for one in self.charges if spec is DEBIT]
                raise Broken(want, f"{spec.name} was sent{''.join(amount[:1])}", clause, n)

    def require(self, holds: bool, expected: Words, came: object, clause: str = "") -> None:
        """Any other requirement. Raises Broken."""
        if not holds:
            raise Broken(expected, str(came), clause, len(self.said) - 1 if self.said else None)

    def _verdict(self, heard: Heard, wanted: Verdict, why: Words | None, clause: str) -> None:
        if heard.verdict is wanted or (heard.is_vague and wanted is not Verdict.PASS):
            return
        expected = _VERDICTS[wanted]
        if why is not None:
            expected = Words(f"{why.en}: {expected.en}", f"{why.zh}：{expected.zh}")
        raise Broken(expected, heard.words, clause, len(self.said) - 1 if self.said else None)


_VERDICTS = {
    Verdict.PASS: Words("the gate opens", "闸机放行"),
    Verdict.REJECT: Words("the gate refuses", "闸机拒绝"),
    Verdict.TAP_AGAIN: Words("the gate asks for the card again", "闸机提示重刷"),
}
