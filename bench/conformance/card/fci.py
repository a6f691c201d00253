"""What SELECT answers, and who the card says it is (2.3, 2.4, 3.2 to 3.4)."""

from apdu.file_commands import AID_PPSE, AID_PURSE
from apdu.files import EF15
from apdu.order import AID_CASH
from apdu.tlv import Tlv
from bench.conformance.case import Level, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.registry import case
from bench.conformance.scenes import (
    opened,
    read_binary,
    select_ppse,
)
from bench.conformance.words import Words


def purse_fci(lab: Lab, public: bytes) -> bytes:
    """The purse's FCI as declared, from EF15 (2.4)."""
    dialect = lab.declared.dialect
    parts = []
    if dialect.fci_label:
        parts = [Tlv.make(0x50, b"MOT_T_EP"), Tlv.make(0x87, b"\x02")]
    parts.append(Tlv.make(0x9F08, bytes.fromhex(dialect.fci_version)))
    if dialect.fci_algorithm:
        parts.append(Tlv.make(0xDF00, b"\x02"))
    if dialect.fci_preferred_name:
        parts.append(Tlv.make(0x9F12, dialect.fci_preferred_name.encode()))
    parts.append(Tlv.make(0x9F0C, public))
    if dialect.fci_padding:
        return _padded(parts)
    return bytes(Tlv.make(0x6F, Tlv.make(0x84, AID_PURSE), Tlv.make(0xA5, *parts)))


def _padded(parts: list[Tlv]) -> bytes:
    inner = b"".join(parts) + bytes(4)
    a5 = bytes((0xA5, len(inner))) + inner
    whole = bytes(Tlv.make(0x84, AID_PURSE)) + a5
    return bytes((0x6F, len(whole))) + whole


@case(
    "FCI",
    "The purse's FCI is, byte for byte, the one declared",
    "钱包 FCI 与声明逐字节一致",
    "2.4",
    level=Level.BASIC,
)
def fci_is_exact(lab: Lab) -> None:
    """6F, 84, A5 with 9F08 and 9F0C, and what the dialect adds."""
    fci = opened(lab)
    public = lab.must(lab.send(read_binary(EF15.sfi)), clause="4.5").data
    wanted = purse_fci(lab, public)
    opened(lab)
    lab.must_be(fci, wanted, Words("FCI", "FCI"))


@case("FCI", "The plain FCI has 51 bytes", "普通 FCI 为 51 字节", "2.4", grade="D")
def plain_fci_is_51(lab: Lab) -> None:
    """Readers of fixed offsets find EF15 at 21 (a card without extras)."""
    dialect = lab.declared.dialect
    extras = (
        dialect.fci_label,
        dialect.fci_algorithm,
        dialect.fci_preferred_name,
        dialect.fci_padding,
    )
    if any(extras) or dialect.fci_version != "02":
        raise NotApplicable("the FCI of this card has extras", "此卡 FCI 含附加数据")
    fci = opened(lab)
    lab.require(len(fci) == 51, Words("51 bytes", "51 字节"), f"{len(fci)}")
    public = lab.must(lab.send(read_binary(EF15.sfi))).data
    lab.must_be(fci[21:], public, Words("EF15", "EF15"))


@case("FCI", "Tag 9F0C is EF15", "标签 9F0C 即 EF15", "2.4", "3.2")
def fci_has_ef15(lab: Lab) -> None:
    """All thirty bytes, wherever they lie."""
    fci = opened(lab)
    public = lab.must(lab.send(read_binary(EF15.sfi)), clause="4.5").data
    tagged = b"\x9f\x0c\x1e" + public
    lab.require(tagged in fci, Words("9F0C with EF15", "9F0C 内为 EF15"), fci.hex().upper())


@case(
    "FCI",
    "EF15 says who the card is declared to be",
    "EF15 与声明的卡片身份一致",
    "3.2",
    level=Level.BASIC,
)
def ef15_is_declared(lab: Lab) -> None:
    """Issuer, enable flag and serial; the application type says ED, EP or both."""
    opened(lab)
    came = lab.must(lab.send(read_binary(EF15.sfi))).data
    declared = lab.declared
    kind = 0x03 if declared.has_ed else 0x02
    wanted = declared.issuer + bytes((kind, declared.enabled)) + declared.serial
    lab.must_be(came[:20], wanted, Words("issuer to serial", "发卡方至序列号"))
    hint = declared.card_kind if declared.dialect.kind_in_ef15 else 0
    lab.must_be(came[28:29], bytes((hint,)), Words("issuer's byte 1", "自定义字节 1"), at=28)


@case(
    "FCI",
    "EF17 says where the card belongs and of what kind it is",
    "EF17 与声明的地区和卡种一致",
    "3.4",
    level=Level.BASIC,
)
def ef17_is_declared(lab: Lab) -> None:
    """Country, province, city, interop flag, card kind."""
    opened(lab)
    came = lab.must(lab.send(read_binary(0x17))).data
    d = lab.declared
    place = d.country + d.province + d.city
    wanted = place + int(d.interop).to_bytes(2, "big") + bytes((d.card_kind,))
    lab.must_be(came[:11], wanted, Words("country to kind", "国家至卡种"))
    lab.require(len(came) == 60, Words("60 bytes", "60 字节"), f"{len(came)}")


@case(
    "FCI",
    "EF16 has 55 bytes and no personal data",
    "EF16 为 55 字节且不含个人信息",
    "3.3",
    grade="D",
)
def ef16_is_empty(lab: Lab) -> None:
    """Zeros, spaces or the literal test name."""
    opened(lab)
    came = lab.must(lab.send(read_binary(0x16))).data
    lab.require(len(came) == 55, Words("55 bytes", "55 字节"), f"{len(came)}")
    document = came[22:54].strip(b"\x00\x20\xff")
    lab.require(not document, Words("no document number", "无证件号码"), "a number")


@case(
    "FCI",
    "The PPSE is, byte for byte, the one declared",
    "PPSE 与声明逐字节一致",
    "2.3",
    level=Level.BASIC,
)
def ppse_is_exact(lab: Lab) -> None:
    """The purse alone, 48 bytes, or electronic cash before it, 75 bytes (Q3)."""
    listed = [(AID_PURSE, b"MOT_T_EP")]
    if lab.declared.dialect.ec_in_ppse:
        listed.insert(0, (AID_CASH, b"MOT_T_CASH"))
    entries = [
        Tlv.make(0x61, Tlv.make(0x4F, aid), Tlv.make(0x50, label), Tlv.make(0x87, bytes((rank,))))
        for rank, (aid, label) in enumerate(listed, 1)
    ]
    a5 = Tlv.make(0xA5, Tlv.make(0xBF0C, *entries))
    wanted = bytes(Tlv.make(0x6F, Tlv.make(0x84, AID_PPSE), a5))
    lab.must_be(lab.must(select_ppse(lab)).data, wanted, Words("PPSE", "PPSE"))


@case(
    "FCI",
    "The purse listed in the PPSE can be selected",
    "PPSE 中所列钱包可被选择",
    "2.1",
    level=Level.BASIC,
)
def ppse_leads_to_the_purse(lab: Lab) -> None:
    """Walk 61 and 4F as a reader does."""
    fci = Tlv(lab.must(select_ppse(lab)).data)
    found = [
        aid.value
        for one in (fci.first(0xA5) or fci).children()
        for entry in one.children()
        if (aid := entry.first(0x4F)) is not None
    ]
    lab.require(
        AID_PURSE in found, Words("the purse's AID", "钱包 AID"), [aid.hex() for aid in found]
    )
    opened(lab)
    lab.must(lab.send(read_binary(EF15.sfi)), clause="4.5")
