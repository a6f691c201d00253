"""Where a woken card falls back to, and when answers of ISO/IEC 14443-3 begin (1.2)."""

from collections.abc import Callable, Iterator

from apdu.blocks import RATS
from bench.conformance.card.radio_activation import FRAMES, asleep, halted, silent
from bench.conformance.case import Case
from bench.conformance.lab import Lab
from bench.conformance.radio import Radio
from bench.conformance.registry import family
from bench.conformance.words import Words
from emulator.radio.timing import FDT_CARD, ns

_JITTER_NS = 100
"""Rounding of instants; the standard's tolerance is the receiver's affair."""


def _woken(lab: Lab) -> Radio:
    radio = asleep(lab)
    came = radio.wupa()
    lab.require(came is not None, Words("an answer to WUPA", "应答 WUPA"), "silence")
    return radio


_FALLS: dict[str, tuple[Words, Callable[[Radio], bytes | None], bool]] = {
    "ready-garbage": (
        Words("An unknown frame in READY*", "READY* 状态下的未知帧"),
        lambda radio: radio.ask(bytes.fromhex("3000")),
        False,
    ),
    "ready-reqa": (
        Words("REQA in READY*", "READY* 状态下的 REQA"),
        lambda radio: radio.reqa(),
        False,
    ),
    "active-garbage": (
        Words("An unknown frame in ACTIVE*", "ACTIVE* 状态下的未知帧"),
        lambda radio: radio.ask(bytes.fromhex("3000")),
        True,
    ),
    "active-wupa": (
        Words("WUPA in ACTIVE*", "ACTIVE* 状态下的 WUPA"),
        lambda radio: radio.wupa(),
        True,
    ),
    "active-rats": (
        Words("A spoiled RATS in ACTIVE*", "ACTIVE* 状态下损坏的 RATS"),
        lambda radio: radio.spoiled(bytes([RATS, 0x80])),
        True,
    ),
}


@family
def falls() -> Iterator[Case]:
    """A card that was woken falls back to HALT."""
    for name, (words, act, is_selected) in _FALLS.items():
        title = Words(f"{words.en} leads back to HALT", f"{words.zh}回到 HALT")

        def body(
            lab: Lab,
            act: Callable[[Radio], bytes | None] = act,
            is_selected: bool = is_selected,
        ) -> None:
            radio = _woken(lab)
            if is_selected:
                radio.choose()
            silent(lab, act(radio))
            halted(lab)

        yield Case(f"act.falls.{name}", "ACT", title, ("1.2",), body, "K", FRAMES)


_DELAYS: dict[str, tuple[Words, Callable[[Radio], object]]] = {
    "reqa": (Words("ATQA", "ATQA"), lambda radio: radio.reqa()),
    "wupa": (Words("ATQA after WUPA", "WUPA 后的 ATQA"), lambda radio: radio.wupa()),
    "level": (Words("the UID", "UID"), lambda radio: (radio.reqa(), radio.level())),
    "select": (Words("SAK", "SAK"), lambda radio: (radio.reqa(), radio.choose())),
}


@family
def delays() -> Iterator[Case]:
    """Answers of ISO/IEC 14443-3 begin with the bit grid (6.2.1.1)."""
    for name, (words, act) in _DELAYS.items():
        title = Words(
            f"{words.en[0].upper()}{words.en[1:]} begins one frame delay time after the question",
            f"{words.zh} 在帧延迟时间后开始",
        )

        def body(lab: Lab, act: Callable[[Radio], object] = act) -> None:
            lab.radio.anew()
            act(lab.radio)
            came, due = lab.radio.delay_ns, ns(FDT_CARD)
            lab.require(
                came is not None and abs(came - due) <= _JITTER_NS,
                Words(f"{due} ns", f"{due} 纳秒"),
                f"{came} ns",
            )

        yield Case(f"act.delay.{name}", "ACT", title, ("1.2",), body, "K", FRAMES)
