"""What a gate's case works with: a card that plays, a gate to tap at, and what both showed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from apdu.commands import DEBIT
from apdu.spec import CommandSpec
from bench.conformance.case import Broken
from bench.conformance.gate.played import Cut, Knobs
from bench.conformance.gate.post import MORNING, Post
from bench.conformance.gate.stand import GateStand, Heard
from bench.conformance.lab import Said
from bench.conformance.words import Words
from reader.outcome import Reject, Verdict
from reader.transport.decorators import CutPoint

Spec = CommandSpec[Any, Any]


class GateLab:
    """One case at a gate. stand: the gate and the card before it."""

    def __init__(self, stand: GateStand, now_ns: Callable[[], int]) -> None:
        self.stand = stand
        self.now_ns = now_ns
        self.now: datetime = MORNING
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

    def tap(self, post: Post) -> Heard:
        """Hold the card to the gate at a post. Returns what became of it."""
        self._seen_before = len(self.said)
        return self.stand.tap(post, self.now)

    def cut_at(self, spec: Spec, point: CutPoint, nth: int = 1) -> None:
        """Lose the card at this command of the next tap."""
        self.knobs.cut = Cut(spec.cla, spec.ins, point, nth)

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
        return self.stand.balance

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

    def paid(self, before: int, fen: int, *, clause: str = "") -> None:
        """The card holds so much less than before, to the fen. Raises Broken."""
        want = Words(f"{fen} fen off the card", f"卡内减少 {fen} 分")
        self.require(before - self.balance == fen, want, f"{before - self.balance} fen", clause)

    def never_asked(self, spec: Spec, *, clause: str = "") -> None:
        """The card saw no such command in the last tap. Raises Broken at the first it saw."""
        for n, said in enumerate(self.said[self._seen_before :], self._seen_before):
            if said.command[:2] == bytes((spec.cla, spec.ins)):
                want = Words(f"no {spec.name}", f"不发送 {spec.name}")
                raise Broken(want, f"{spec.name} was sent", clause, n)

    def require(self, holds: bool, expected: Words, came: object, clause: str = "") -> None:
        """Any other requirement. Raises Broken."""
        if not holds:
            raise Broken(expected, str(came), clause, len(self.said) - 1 if self.said else None)

    def _verdict(self, heard: Heard, wanted: Verdict, why: Words | None, clause: str) -> None:
        if heard.verdict is wanted:
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
