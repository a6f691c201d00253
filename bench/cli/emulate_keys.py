"""Keys that turn knobs while a card is held in a field, for somebody at a terminal."""

from dataclasses import dataclass

from apdu.commands import DEBIT
from bench.conformance.gate.played import Cut, Mutation, PlayedCard
from bench.conformance.gate.script import KnobScript, Turn
from reader.transport.decorators import CutPoint

_DEBIT = bytes((DEBIT.cla, DEBIT.ins))
LATE_S = 0.5


@dataclass(frozen=True, slots=True)
class Key:
    """One key. turn: the knob. is_once: for the next tap alone; otherwise on, and off again."""

    letter: str
    says: str
    turn: Turn
    is_once: bool = False


KEYS = (
    Key("d", f"DEBIT is answered {LATE_S:g} s late", Turn(debit_delay_s=LATE_S)),
    Key("z", "GET BALANCE answers 0.00", Turn(forced_balance=0)),
    Key("m", "MAC2 is wrong", Turn(mutation=Mutation(DEBIT.cla, DEBIT.ins, 4, b"\x01"))),
    Key("t", "TAC is wrong", Turn(mutation=Mutation(DEBIT.cla, DEBIT.ins, 0, b"\x01"))),
    Key("w", "the ATS promises FWI 14", Turn(fwi=14)),
    Key("b", "lost before DEBIT", Turn(cut=Cut(_DEBIT, CutPoint.BEFORE)), is_once=True),
    Key("a", "lost after DEBIT", Turn(cut=Cut(_DEBIT, CutPoint.AFTER)), is_once=True),
)
OFF = "o"


def keys_for(*, has_ats: bool) -> tuple[Key, ...]:
    """The keys that do something where the ATS is shown, or is not."""
    return tuple(key for key in KEYS if has_ats or key.turn.fwi is None)


def table(keys: tuple[Key, ...] = KEYS) -> list[str]:
    """The keys, for the screen."""
    rows = [
        f"  {key.letter}  {key.says}{', at the next tap' if key.is_once else ', on or off'}"
        for key in keys
    ]
    return ["Keys:", *rows, f"  {OFF}  all off, the script's knobs too"]


def pressed(
    letter: str, script: KnobScript, played: PlayedCard, keys: tuple[Key, ...] = KEYS
) -> str:
    """Turn what a key stands for, from the next tap on. Returns what to say; "" for no key."""
    if letter == OFF:
        script.turns.clear()
        return "all knobs are off"
    key = next((one for one in keys if one.letter == letter), None)
    if key is None:
        return ""
    if key.is_once:
        script.turns.append(Turn(played.taps + 1, cut=key.turn.cut))
        return f"at the next tap: {key.says}"
    if key.turn in script.turns:
        script.turns.remove(key.turn)
        return f"off: {key.says}"
    script.turns.append(key.turn)
    return f"on: {key.says}"
