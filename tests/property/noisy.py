"""Noisy conversations between the reader's and the card's block machines, from a seed.

    python -m tests.property.noisy --count 10000 --seed 1

Each conversation has a card of some frame size, waiting time, bit rates and computing time, a
reader of some frame size, with or without CID, and an air that loses, bends, cuts, copies and
delays up to a fifth of all frames. Commands are numbered. What holds: each is delivered exactly
once and unaltered and its answer arrives unaltered, or the link is declared dead; a dead link's
last command was delivered once or never.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from apdu.event import Event
from apdu.frame import Frame
from emulator.radio.air import UNNOTICED, Air
from emulator.radio.faults import NOISE, FaultKind, Noise
from emulator.radio.medium import Reply, drive
from emulator.radio.pcd import LinkDead, PcdIsoDep, find
from emulator.radio.station import Station
from tests.campaigns import run_campaign
from tests.unit.pcd import EchoCard, with_ats

KINDS = (*NOISE, FaultKind.DELAYED)
MOST_RATE = 0.2
SIZES = (1, 2, 5, 12, 13, 14, 29, 60, 61, 130, 261)
FRAME_SIZES = (0, 1, 2, 5, 8)  # 16, 24, 32, 64 and 256 bytes


@dataclass
class Result:
    """What a run saw."""

    conversations: int = 0
    commands: int = 0
    dead: int = 0
    never_active: int = 0
    frames: int = 0
    extensions: int = 0
    unnoticed: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class SomeTimes:
    """A card's computing time, drawn anew for each command; sometimes far beyond its FWT."""

    def __init__(self, rng: Random, most_ns: int) -> None:
        self._rng = rng
        self._most_ns = most_ns

    def time_ns(self, command: bytes) -> int:
        return self._rng.randrange(self._most_ns) if self._rng.random() < 0.3 else 0


class Counting(Station):
    """Counts S(WTX) requests."""

    extensions = 0

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        reply = super().receive(frame, timeout_ns)
        self.extensions += self.link.isodep.is_extending
        return reply


def converse(seed: int, result: Result) -> None:
    """One conversation. Raises AssertionError where a promise is broken."""
    rng = Random(seed)
    contactless = with_ats(
        fsci=rng.choice(FRAME_SIZES),
        tc=rng.choice((0x00, 0x02)),
        ta=rng.choice((0x80, 0x77, 0xB3)),
        fwi=rng.choice((2, 4, 7)),
    )
    card = EchoCard(contactless)
    service = rng.choice((None, SomeTimes(rng, 60_000_000)))
    station = Counting(card, service)
    noise = Noise(rng.getrandbits(64), rng.random() * MOST_RATE, KINDS, most_ns=80_000_000)
    seen: list[Event] = []
    air = Air(faults=noise, observer=seen.append)
    air.bring(station)
    isodep = activated(air, rng)
    if isodep is None:
        result.never_active += 1
    else:
        talk(air, isodep, card, rng, result, seen)
    result.conversations += 1
    result.frames += air.frames
    result.extensions += station.extensions
    result.faults.update(fault.kind.value for fault in noise.happened)


def activated(air: Air, rng: Random) -> PcdIsoDep | None:
    """Find the card and open ISO-DEP through the noise, the field off and on between tries."""
    for _ in range(10):
        air.field_off()
        air.field_on()
        if drive(find(), air) is None:
            continue
        cid = rng.choice((None, 0, 5, 14))
        isodep = PcdIsoDep(rng.choice(FRAME_SIZES), cid, tries=rng.choice((3, 3, 8, 30)))
        if drive(isodep.activate(), air) is None:
            continue
        rate = rng.randrange(4)
        if rate and isodep.ats.offers(rate, rate) and not drive(isodep.pps(rate, rate), air):
            continue  # whether the card has changed its rate is not known: once more
        return isodep
    return None


def talk(
    air: Air, isodep: PcdIsoDep, card: EchoCard, rng: Random, result: Result, seen: list[Event]
) -> None:
    """Commands and answers until the end, or until the link is dead."""
    for number in range(rng.randint(1, 12)):
        command = number.to_bytes(2, "big") + rng.randbytes(rng.choice(SIZES))
        before = len(card.seen)
        seen.clear()
        answer = None
        try:
            answer = drive(isodep.transmit(command), air)
        except LinkDead:
            result.dead += 1
        if any(UNNOTICED in event.note for event in seen):
            result.unnoticed += 1
            return
        if answer is None:
            assert card.seen[before:] in ([], [command]), "a dead link delivered something else"
            return
        assert card.seen[before:] == [command], "not delivered exactly once"
        assert answer == command + b"\x90\x00", "the answer is altered"
        result.commands += 1


def campaign(count: int, seed: int, say: Callable[[str], object] | None = None) -> Result:
    """`count` conversations from one seed. Raises AssertionError, noting the one that failed."""
    master, result, start = Random(seed), Result(), time.monotonic()
    for done in range(1, count + 1):
        one = master.getrandbits(64)
        try:
            converse(one, result)
        except Exception as error:
            error.add_note(f"campaign seed {seed}, conversation seed {one}")
            raise
        if say is not None and done % max(count // 10, 1) == 0:
            say(f"{done:>7} conversations, {time.monotonic() - start:6.1f} s")
    return result


def report(result: Result) -> str:
    """The counts, in words."""
    kinds = ", ".join(f"{kind} {n}" for kind, n in result.faults.most_common())
    return (
        f"{result.conversations} conversations, {result.commands} APDUs delivered exactly once, "
        f"{result.dead} links declared dead, {result.never_active} never activated\n"
        f"{result.frames} frames, {result.extensions} times S(WTX); faults: {kinds}\n"
        f"never twice, never altered; {result.unnoticed} conversations ended by a damaged frame "
        "whose checksum fits"
    )


if __name__ == "__main__":
    run_campaign("Noisy conversations of the block machines.", 10_000, campaign, report)
