"""Renewing a card: UPDATE BINARY of EF15, EF16 and EF17 (4.6, 6.6)."""

from collections.abc import Callable

from apdu.file_commands import UPDATE_BINARY_MAC
from apdu.files import EF1E, EF15, EF16, EF17
from apdu.records import Protected
from apdu.tlv import Tlv
from bench.conformance.case import Level, Need, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.scenes import (
    PAID,
    TRIP,
    begin,
    cache,
    finish,
    opened,
    read_binary,
    ready,
    refused,
    trip_log,
)
from bench.conformance.words import Words


def update(lab: Lab, sfi: int, offset: int, data: bytes) -> bytes:
    """UPDATE BINARY under MAC with a fresh challenge. Returns the command, ready to be sent."""
    lab.prepare(UPDATE_BINARY_MAC)
    p1 = 0x80 | sfi
    mac = lab.sm_mac(lab.keys.damk, UPDATE_BINARY_MAC, p1, offset, data)
    return UPDATE_BINARY_MAC.command(Protected(data + mac), p1, offset)


_END = bytes.fromhex("20270930")


def _renew(lab: Lab) -> None:
    lab.must(lab.send(update(lab, EF15.sfi, 24, _END)))


def _fci_data(fci: bytes) -> bytes:
    found = Tlv(fci)
    for tag in (0xA5, 0x9F0C):
        inner = found.first(tag)
        if inner is None:
            raise NotApplicable("this card's FCI has no issuer data", "此卡 FCI 无发卡方数据")
        found = inner
    return found.value


@case(
    "RENEW",
    "A renewal changes the end date in EF15 and in the FCI, and nothing else",
    "延期只改变 EF15 和 FCI 中的截止日期",
    "6.6",
    "2.4",
    needs=PAID,
    level=Level.BASIC,
)
def renewal(lab: Lab) -> None:
    """Four bytes at offset 24, under DAMK."""
    opened(lab)
    before = picture(lab, deep=True)
    _renew(lab)
    old = before.facts["EF15"]
    new = old[:24] + _END + old[28:]
    before.facts["EF15"] = new
    same(lab, before, deep=True)
    lab.must_be(_fci_data(opened(lab)), new[:-2], Words("9F0C", "9F0C"), clause="2.4")


@case(
    "RENEW",
    "A renewal outlives the field",
    "延期结果掉电后不丢失",
    "6.9",
    "6.6",
    needs=PAID | {Need.CUT},
)
def renewal_survives(lab: Lab) -> None:
    """Read again, and written a second time with a new challenge."""
    opened(lab)
    _renew(lab)
    lab.reset()
    opened(lab)
    came = lab.must(lab.send(read_binary(EF15.sfi, 24))).data[:4]
    lab.must_be(came, _END, Words("end date", "截止日期"))
    _renew(lab)


@case("RENEW", "EF15 is not written without a MAC", "无 MAC 不能写 EF15", "6.6", "4.6", needs=PAID)
def renewal_without_mac(lab: Lab) -> None:
    """CLA 00 is 6987, or 6982; with a challenge before it too."""
    opened(lab)
    before = picture(lab)
    for sfi in (EF15.sfi, EF16.sfi, EF17.sfi):
        lab.prepare(UPDATE_BINARY_MAC)
        refused(lab, bytes((0x00, 0xD6, 0x80 | sfi, 24, 4)) + _END, 0x6987, 0x6982)
    same(lab, before)


def _written(sfi: int, offset: int, data: bytes) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        before = picture(lab)
        lab.must(lab.send(update(lab, sfi, offset, data)))
        name = f"EF{sfi:02X}"
        old = before.facts[name]
        before.facts[name] = old[:offset] + data + old[offset + len(data) :]
        same(lab, before)

    return body


@case("RENEW", "EF16 is written under MAC", "EF16 可在 MAC 保护下写入", "4.6", "3.3", needs=PAID)
def holder_is_written(lab: Lab) -> None:
    """The staff flag alone: a part of a file may be written."""
    _written(EF16.sfi, 1, b"\x01")(lab)


@case("RENEW", "EF17 is written under MAC", "EF17 可在 MAC 保护下写入", "4.6", "3.4", needs=PAID)
def kind_is_written(lab: Lab) -> None:
    """The card kind: a student who has left."""
    _written(EF17.sfi, 10, b"\x01")(lab)


@case(
    "RENEW",
    "The last byte of EF15 can be written, the one after it cannot",
    "EF15 可写到最后一字节，不能越界",
    "4.6",
    needs=PAID,
)
def written_to_the_end(lab: Lab) -> None:
    """Offset and length inside the file; else 6B00 or 6A84, and nothing is written."""
    _written(EF15.sfi, EF15.size - 1, b"\x5a")(lab)
    before = picture(lab)
    for offset, data in ((EF15.size - 1, b"\x01\x02"), (EF15.size, b"\x01"), (24, bytes(7))):
        refused(lab, update(lab, EF15.sfi, offset, data), 0x6B00, 0x6A84, 0x6700)
    same(lab, before)


@case(
    "RENEW",
    "EF15 is not written under a gate's block key",
    "不能用闸机的锁定密钥写 EF15",
    "5.1",
    "4.6",
    needs=PAID,
)
def renewal_under_another_key(lab: Lab) -> None:
    """DBK is in every gate's PSAM, DAMK is the issuer's."""
    opened(lab)
    before = picture(lab)
    lab.prepare(UPDATE_BINARY_MAC)
    mac = lab.sm_mac(lab.keys.dbk, UPDATE_BINARY_MAC, 0x95, 24, _END)
    answer = lab.send(UPDATE_BINARY_MAC.command(Protected(_END + mac), 0x95, 24))
    lab.must(answer, 0x6988, 0x63C2)
    same(lab, before)
    _renew(lab)


@case("RENEW", "A renewed card travels on", "延期后的卡片可继续使用", "6.6", "6.1", needs=PAID)
def renewed_card_travels(lab: Lab) -> None:
    """An entry right after the renewal, without a field loss."""
    ready(lab, TRIP, 0)
    _renew(lab)
    before = picture(lab)
    record = (EF1E.sfi, trip_log(0x0A))
    q = begin(lab, TRIP, 0)
    cache(lab, record)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, [record]))
