"""Wrong keys, replays, MACs of another session, and transactions that were left (4.2, 5.1, 5.3)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from apdu.commands import GET_BALANCE, GET_PROVE, SELECT
from apdu.crypto import Key
from apdu.file_commands import AID_PURSE, GET_CHALLENGE
from apdu.files import EF15, EF18
from apdu.records import ProveData, SelectName
from bench.conformance.card.macs import is_refused
from bench.conformance.case import Case, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import family
from bench.conformance.scenes import (
    DEALS,
    PAID,
    Deal,
    Scene,
    begin,
    final_command,
    finish,
    of_deals,
    opened,
    permit,
    raw,
    read_binary,
    read_record,
    ready,
    refused,
)
from bench.conformance.words import Words

_BAD_MAC = 0x9302
_WRONG_STATE = 0x6901

_each = partial(of_deals, "MACS")


def _other_key(lab: Lab, deal: Deal) -> None:
    other: Key = lab.keys.dlk if deal.keyed != "dlk" else lab.keys.dulk
    is_refused(
        lab,
        deal,
        lambda lab, q: final_command(lab, deal, q, permit(deal, replace(q, secret=other))),
    )


def _tac_key(lab: Lab, deal: Deal) -> None:
    other = lab.keys.dtk
    is_refused(
        lab,
        deal,
        lambda lab, q: final_command(lab, deal, q, permit(deal, replace(q, secret=other))),
    )


def _constant(lab: Lab, deal: Deal) -> None:
    for mac in (bytes(4), b"\xff" * 4):
        is_refused(lab, deal, lambda lab, q, mac=mac: final_command(lab, deal, q, mac))  # type: ignore[misc]


def _own_mac(lab: Lab, deal: Deal) -> None:
    """The card's own MAC1 is no MAC2."""

    def forge(lab: Lab, q: Any) -> bytes:  # noqa: ANN401
        assert lab.offer is not None
        return final_command(lab, deal, q, lab.offer.reply.mac1)

    is_refused(lab, deal, forge)


def _said_twice(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    finish(lab, deal, q)
    command = lab.said[-1].command
    refused(lab, command, _WRONG_STATE)
    before = picture(lab)
    refused(lab, command, _WRONG_STATE)
    same(lab, before)


def _replayed(lab: Lab, deal: Deal) -> None:
    ready(lab, deal, 200)
    finish(lab, deal, begin(lab, deal))
    command = lab.said[-1].command
    before = picture(lab)
    begin(lab, deal)
    refused(lab, command, _BAD_MAC)
    same(lab, before)


def _earlier_offer(lab: Lab, deal: Deal) -> None:
    is_refused(lab, deal, lambda lab, q: (begin(lab, deal), final_command(lab, deal, q))[1])


def _other_session(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    old = final_command(lab, deal, begin(lab, deal))
    lab.reset()
    ready(lab, deal)
    before = picture(lab)
    ready(lab, deal)
    begin(lab, deal)
    refused(lab, old, _BAD_MAC)
    same(lab, before)


def _left(step: Callable[[Lab], object]) -> Scene:
    def scene(lab: Lab, deal: Deal) -> None:
        ready(lab, deal)
        before = picture(lab)
        q = begin(lab, deal)
        step(lab)
        refused(lab, final_command(lab, deal, q), _WRONG_STATE)
        same(lab, before)

    return scene


def _select_again(lab: Lab) -> None:
    lab.must(lab.ask(SELECT, SelectName(AID_PURSE)))


def _field_again(lab: Lab) -> None:
    lab.reset()
    opened(lab)


_STEPS: dict[str, tuple[Words, Callable[[Lab], object], frozenset[Need]]] = {
    "balance": (Words("GET BALANCE", "读余额"), lambda lab: lab.done_ok(GET_BALANCE), PAID),
    "binary": (
        Words("READ BINARY", "读二进制文件"),
        lambda lab: lab.must(lab.send(read_binary(EF15.sfi))),
        PAID,
    ),
    "record": (
        Words("READ RECORD", "读记录"),
        lambda lab: lab.send(read_record(EF18.sfi, 1)),
        PAID,
    ),
    "challenge": (Words("GET CHALLENGE", "取随机数"), lambda lab: lab.done_ok(GET_CHALLENGE), PAID),
    "prove": (
        Words("GET TRANSACTION PROVE", "取交易认证"),
        lambda lab: lab.send(GET_PROVE.command(ProveData(0xFFFF), 0, 2)),
        PAID,
    ),
    "select": (Words("SELECT", "选择应用"), _select_again, PAID),
    "file": (
        Words("SELECT of a file", "选择文件"),
        lambda lab: lab.send(raw(0x00, 0xA4, 0x00, 0x00, b"\x00\x15")),
        PAID,
    ),
    "field": (Words("a field loss", "掉电"), _field_again, PAID | {Need.CUT}),
}


@family
def forged() -> Iterator[Case]:
    """Wrong keys, replays, and MACs of another session."""
    yield from _each(
        "key",
        "{} under another key of the purse is refused",
        "{}使用另一把密钥时拒绝",
        _other_key,
        "5.1",
        "5.3",
    )
    yield from _each(
        "tac-key",
        "{} under the TAC key is refused",
        "{}使用 TAC 密钥时拒绝",
        _tac_key,
        "5.1",
        "5.3",
    )
    yield from _each(
        "constant",
        "{} with a MAC of zeros or of FF is refused",
        "{}的 MAC 全 0 或全 FF 时拒绝",
        _constant,
        "4.16",
        "5.4",
    )
    yield from _each(
        "own",
        "{} with the card's own MAC1 in place of MAC2 is refused",
        "{}用卡片自己的 MAC1 代替 MAC2 时拒绝",
        _own_mac,
        "5.5",
        deals=tuple(deal for deal in DEALS if not deal.is_spending),
    )


@family
def replayed() -> Iterator[Case]:
    """What was right once, said again."""
    yield from _each(
        "twice", "{} said twice is done once", "{}重复发送只执行一次", _said_twice, "4.2", "4.16"
    )
    yield from _each(
        "replayed",
        "{} of an earlier transaction is refused in the next",
        "重放上一笔{}时拒绝",
        _replayed,
        "5.3",
        "4.16",
    )
    yield from _each(
        "earlier",
        "{} under the MAC of an earlier INITIALIZE is refused",
        "{}使用先前初始化的 MAC 时拒绝",
        _earlier_offer,
        "5.3",
        "4.2",
    )
    yield from _each(
        "session",
        "{} under the MAC of a session before a field loss is refused",
        "{}使用掉电前会话的 MAC 时拒绝",
        _other_session,
        "5.3",
        "4.1",
        needs=PAID | {Need.CUT},
    )


@family
def left() -> Iterator[Case]:
    """Any other command ends a transaction under way (4.2, Q17)."""
    for name, (words, step, needs) in _STEPS.items():
        yield from _each(
            f"left.{name}",
            f"{{}} under way is over after {words.en}",
            f"{words.zh}之后，进行中的{{}}作废",
            _left(step),
            "4.2",
            "4.1",
            needs=needs,
            grade="I",
        )
