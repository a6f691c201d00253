"""Basic functions: which of several applications a gate takes (protocol reference 2.1, 2.3)."""

from apdu.commands import AID_PPSE, AID_PURSE, SELECT
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry
from bench.conformance.registry import case

G = "JBGN"


@case(
    G,
    "Of two purses in the PPSE the first in rank is selected",
    "PPSE 中有两个钱包时选择优先级最高者",
    "2.1",
    "2.3",
    grade="D",
)
def first_rank_is_selected(lab: GateLab) -> None:
    purses = ((AID_PURSE + b"\x01", 2), (AID_PURSE, 1))
    entries = b"".join(_entry(aid, rank) for aid, rank in purses)
    directory = b"\xbf\x0c" + bytes((len(entries),)) + entries
    fci = _tlv(0x84, AID_PPSE) + _tlv(0xA5, directory)
    lab.mutate(SELECT, answer=_tlv(0x6F, fci) + b"\x90\x00", about=AID_PPSE)
    lab.passes(lab.tap(entry()))


@case(
    G,
    "A card with electronic cash beside its purse pays with the purse",
    "同时带电子现金的卡使用电子钱包",
    "2.3",
    "2.1",
)
def purse_beside_cash_is_selected(lab: GateLab) -> None:
    lab.mutate(SELECT, answer=_DUAL, about=AID_PPSE)
    lab.passes(lab.tap(entry()))


_DUAL = bytes.fromhex(
    "6F49840E325041592E5359532E4444463031A537BF0C34"
    "61194F08A000000632010106500A4D4F545F545F43415348870101"
    "61174F08A00000063201010550084D4F545F545F45508701029000"
)
"""The PPSE of such a card, from the personalisation template (2.3)."""


def _entry(aid: bytes, rank: int) -> bytes:
    return _tlv(0x61, _tlv(0x4F, aid) + _tlv(0x87, bytes((rank,))))


def _tlv(tag: int, value: bytes) -> bytes:
    return bytes((tag, len(value))) + value
