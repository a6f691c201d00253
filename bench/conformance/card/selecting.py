"""SELECT by name and by id (2.2, 2.5, 4.4)."""

from collections.abc import Callable, Iterator

from apdu.commands import EP, SELECT
from apdu.file_commands import AID_PURSE
from apdu.files import EF15
from apdu.order import AID_CJT
from apdu.records import SelectName
from bench.conformance.card.fci import purse_fci
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    RIDE,
    init_command,
    opened,
    raw,
    read_binary,
    refused,
    select_ppse,
)
from bench.conformance.words import Words
from emulator.card.personalise import public_info
from emulator.card.state import Blocked


def _named(lab: Lab, name: bytes) -> bytes:
    return lab.ask(SELECT, SelectName(name))


def _is_purse(lab: Lab) -> None:
    """The purse is selected: its EF15 can be read."""
    data = lab.must(lab.send(read_binary(EF15.sfi)), clause="4.5").data
    lab.require(len(data) == EF15.size, Words("30 bytes", "30 字节"), f"{len(data)}")


# Names


def _partial(size: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        fci = opened(lab)
        lab.must(select_ppse(lab))
        name = AID_PURSE[:size]
        if size > len(AID_PURSE):
            refused(lab, SELECT.command(SelectName((AID_PURSE + bytes(8))[:size])), 0x6A82)
            return
        came = lab.must(_named(lab, name)).data
        lab.must_be(came, fci, Words("FCI", "FCI"))
        _is_purse(lab)

    return body


@family
def names() -> Iterator[Case]:
    """Names of 5 to 16 bytes (2.2, 4.4)."""
    for size in range(5, 17):
        if size <= len(AID_PURSE):
            title = Words(
                f"The first {size} bytes of the purse's name select it",
                f"应用名前 {size} 字节可选择钱包",
            )
        else:
            title = Words(
                f"A name of {size} bytes that only begins like the purse's is 6A82",
                f"仅开头相同的 {size} 字节应用名应答 6A82",
            )
        yield Case(f"sel.name.{size:02}", "SEL", title, ("4.4", "2.2"), _partial(size))


@case("SEL", "A name of 4 or 17 bytes is 6700", "应用名为 4 或 17 字节时应答 6700", "4.4", "2.2")
def names_too_short_or_long(lab: Lab) -> None:
    """Lc 05 to 10 is legal."""
    opened(lab)
    for name in (AID_PURSE[:4], AID_PURSE + bytes(9)):
        refused(lab, raw(0x00, 0xA4, 0x04, 0x00, name), 0x6700, 0x6A80)
    opened(lab)


@case(
    "SEL",
    "SELECT is taken with and without Le",
    "SELECT 带或不带 Le 均接受",
    "4.1",
    "4.4",
    level=Level.BASIC,
)
def with_and_without_le(lab: Lab) -> None:
    """ISO/IEC 7816-4 case 3 and case 4."""
    opened(lab)
    short = raw(0x00, 0xA4, 0x04, 0x00, AID_PURSE)
    came = lab.must(lab.send(short)).data
    lab.must_be(lab.must(lab.send(short + b"\0")).data, came, Words("the same FCI", "相同的 FCI"))


@case("SEL", "An application that is not there is 6A82", "不存在的应用应答 6A82", "2.5", "4.22")
def not_there(lab: Lab) -> None:
    """NDEF, a bank's PPSE entries, other kernels' AIDs and nonsense (4.22)."""
    opened(lab)
    names = ["D2760000850101", "A0000000031010", "A0000003330101", "A000000632010108", "FFFFFFFFFF"]
    for name in names:
        refused(lab, SELECT.command(SelectName(bytes.fromhex(name))), 0x6A82)
    opened(lab)
    _is_purse(lab)


@case("SEL", "The purse can be selected again and again", "可反复选择应用", "4.4")
def again_and_again(lab: Lab) -> None:
    """The same FCI each time, after the PPSE too."""
    fci = opened(lab)
    for _ in range(3):
        lab.must(select_ppse(lab))
        lab.must_be(opened(lab), fci, Words("FCI", "FCI"))


@case(
    "SEL",
    "SELECT by file id 3F00 leaves the purse for the master file",
    "按标识 3F00 选择主文件",
    "4.4",
    grade="D",
)
def master_file(lab: Lab) -> None:
    """It answers the PPSE's FCI."""
    opened(lab)
    fci = lab.must(select_ppse(lab)).data
    opened(lab)
    came = lab.must(lab.send(raw(0x00, 0xA4, 0x00, 0x00, b"\x3f\x00"))).data
    lab.must_be(came, fci, Words("the PPSE's FCI", "PPSE 的 FCI"))
    refused(lab, bytes((0x80, 0x5C, 0x00, EP, 4)), 0x6A82, 0x6A86, clause="4.12")


@case(
    "SEL",
    "No purse is served before SELECT",
    "未选择应用时不提供钱包服务",
    "2.1",
    "4.1",
    needs=(Need.CUT,),
)
def nothing_before_select(lab: Lab) -> None:
    """After the field came on: no balance, no EF15, no INITIALIZE."""
    opened(lab)
    lab.reset()
    for command in (bytes((0x80, 0x5C, 0x00, EP, 4)), read_binary(EF15.sfi)):
        answer = lab.send(command)
        lab.require(answer[-2:] != b"\x90\x00", Words("a refusal", "拒绝"), answer.hex())
    answer = lab.send(init_command(lab, RIDE, 0))
    lab.require(answer[-2:] != b"\x90\x00", Words("a refusal", "拒绝"), answer.hex())


@case(
    "SEL",
    "The housing ministry's purse is there if it is declared",
    "按声明具有住建部应用",
    "2.2",
    grade="D",
)
def housing_purse(lab: Lab) -> None:
    """A00000000386980701, else 6A82."""
    opened(lab)
    answer = _named(lab, AID_CJT)
    lab.must(answer, 0x9000 if lab.declared.dialect.cjt_application else 0x6A82)
    opened(lab)
    _is_purse(lab)


def _blocked(blocked: Blocked) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        shown = lab.declared.dialect.select_blocked
        word = int(shown[-4:], 16)
        for _ in range(2):
            answer = lab.must(lab.select(), word).data
            wanted = (
                purse_fci(lab, public_info(lab.declared).build())
                if shown.startswith("fci")
                else b""
            )
            lab.must_be(
                answer, wanted, Words("FCI", "FCI") if wanted else Words("no data", "无数据")
            )
            refused(
                lab,
                read_binary(EF15.sfi),
                0x6A81 if blocked is Blocked.TEMPORARY else 0x9303,
                clause="4.19",
            )

    return body


@family
def blocked() -> Iterator[Case]:
    """SELECT of a blocked application, as declared (2.5, Q5)."""
    for kind in (Blocked.TEMPORARY, Blocked.PERMANENT):
        zh = "临时" if kind is Blocked.TEMPORARY else "永久"
        title = Words(
            f"SELECT of an application with a {kind.value} block answers as declared",
            f"选择{zh}锁定的应用按声明应答",
        )
        setup = {"blocked": kind}
        yield Case(
            f"sel.blocked.{kind.value}",
            "SEL",
            title,
            ("2.5", "4.19"),
            _blocked(kind),
            "D",
            setup=setup,
        )
