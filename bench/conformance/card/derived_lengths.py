"""Lc and Le of every command: what is refused before anything else is looked at (4.1)."""

from collections.abc import Iterator

from apdu.command import Command
from apdu.commands import GET_BALANCE, TABLE
from apdu.file_commands import GET_CHALLENGE, READ_BINARY, READ_RECORD, SELECT
from apdu.files import EF1A, EF15
from apdu.key_commands import BLOCK_ALGORITHM, CHANGE_ALGORITHM, GET_ALGORITHM
from apdu.spec import State
from apdu.sw import SW, length_is
from bench.conformance.case import Body, Case, Level, NotApplicable
from bench.conformance.derive import (
    PROTECTED_READS,
    clauses_of,
    home,
    le_expected,
    made,
    slug,
)
from bench.conformance.desk import Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import (
    REFUSED,
    enter,
    go,
    if_known,
    needs_of,
    refusal,
    refuse,
    right_pair,
    settle,
    usual_pair,
)
from bench.conformance.words import Words

ALGORITHMS = (GET_ALGORITHM, CHANGE_ALGORITHM, BLOCK_ALGORITHM)

_PLAIN_READS = {SELECT, READ_BINARY, READ_RECORD, GET_CHALLENGE, GET_BALANCE}


def too_short(spec: Spec) -> bytes:
    """A header with one byte of data less than the command takes, zeros."""
    return _with_data(spec, bytes(spec.data.SIZES[0] - 1))  # type: ignore[union-attr]


def wrong_lengths(spec: Spec) -> dict[str, tuple[tuple[str, str], list[bytes]]]:
    """Ways to spoil a command's lengths: what it is called, and the commands. Need no key."""
    head = bytes((spec.cla, spec.ins, *spec.usual))
    long = [head + bytes(3), head + b"\0\0\x01\0"]  # extended lengths
    tail = ("bytes after its end and extended lengths", "多余字节与扩展长度")
    if spec.data is None:
        return {
            "data": (("data where it has none", "不应有数据域"), [_with_data(spec, b"\xaa")]),
            "tail": (tail, [head + bytes(2), *long]),
        }
    least, most = spec.data.SIZES[0], spec.data.SIZES[-1]
    full = min(most, 254)
    found = {
        "absent": (("no Lc and no data", "无 Lc 无数据"), [head]),
        "zero": (("Lc 00", "Lc 为 00"), [head + b"\0", head + b"\0" + bytes(least)]),
        "disagree": (
            ("an Lc that disagrees with its bytes by one", "Lc 与数据长度差一"),
            [
                head + bytes((least - 1,)) + bytes(least),
                head + bytes((full + 1,)) + bytes(full),
            ],
        ),
        "tail": (tail, [head + bytes((least,)) + bytes(least + 2), *long]),
    }
    if least > 1:
        found["less"] = (("one byte of data less", "数据少一字节"), [too_short(spec)])
    if most < 255:
        longer = _with_data(spec, bytes(most + 1))
        found["more"] = (("one byte of data more", "数据多一字节"), [longer])
    return found


def _with_data(spec: Spec, data: bytes) -> bytes:
    return Command(spec.cla, spec.ins, *spec.usual, data, None).build()


def is_absent(lab: Lab, spec: Spec) -> bool:
    """Whether the card's profile leaves the whole instruction out (4.21)."""
    return spec in ALGORITHMS and not lab.declared.dialect.dual_alg


@family
def data_lengths() -> Iterator[Case]:
    """One case for each command and way to spoil its length."""
    for spec in TABLE:
        for key, (title, commands) in wrong_lengths(spec).items():
            yield made(
                "LEN",
                f"lengths.{slug(spec)}.lc-{key}",
                (f"{spec.name} refuses {title[0]}", f"{spec.name} 拒绝{title[1]}"),
                clauses_of(spec, "4.1"),
                if_known(spec, _refused(spec, commands)),
                grade=spec.grade[:1],
            )


def _refused(spec: Spec, commands: list[bytes]) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        wanted = SW.INS_UNKNOWN if is_absent(lab, spec) else SW.WRONG_LENGTH
        p1, p2 = usual_pair(lab, spec)
        for command in commands:
            go(lab, home(spec))
            refuse(lab, lab.send(command[:2] + bytes((p1, p2)) + command[4:]), wanted)

    return body


# Le

_LE = {
    "absent": ("without Le answers all", "无 Le 时返回全部"),
    "zero": ("with Le 00 answers all", "Le 为 00 时返回全部"),
    "exact": ("with the exact Le answers all", "Le 恰好时返回全部"),
    "less": ("with a Le one too small", "Le 少一"),
    "more": ("with a Le one too large", "Le 多一"),
}
_NEEDLESS = {"free": ("is taken with a needless Le 00", "多余的 Le 00 可接受")}


@family
def answer_lengths() -> Iterator[Case]:
    """One case for each command that answers, and Le."""
    for spec in TABLE:
        if spec in REFUSED:
            continue
        is_wordless = spec.ne is None and spec is not SELECT
        for key, (en, zh) in (_NEEDLESS if is_wordless else _LE).items():
            yield made(
                "LEN",
                f"lengths.{slug(spec)}.le-{key}",
                (f"{spec.name} {en}", f"{spec.name} {zh}"),
                clauses_of(spec, "4.1"),
                _answered(spec, key),
                needs_of(spec),
                grade="D" if key == "less" and spec.le_rule else spec.grade[:1],
                level=Level.BASIC if spec in _PLAIN_READS and key == "absent" else Level.FULL,
            )


def _answered(spec: Spec, which: str) -> Body:
    def body(lab: Lab) -> None:
        refused = refusal(spec, lab.declared)
        if refused is not None:
            raise NotApplicable(f"the card refuses it: {refused.why}", f"卡片拒绝：{refused.zh}")
        if which == "free":
            response = lab.must(_send(lab, spec, 256))
            lab.require(not response.data, Words("no data", "无数据"), response.data.hex())
            return
        size = _size(lab, spec)
        _judge(lab, spec, which, size)

    return body


def _judge(lab: Lab, spec: Spec, which: str, size: int) -> None:
    mac = 4 * (spec in PROTECTED_READS)
    exact = size - mac
    ne = {"absent": None, "zero": 256, "exact": exact, "less": exact - 1, "more": exact + 1}[which]
    if ne is not None and ne < 1:
        raise NotApplicable("one byte less is Le 00", "少一字节即 Le 00")
    wanted = SW.OK if ne in (None, 256) else le_expected(spec, size, ne)
    words = [wanted]
    if spec.le_rule and wanted == SW.WRONG_LENGTH:
        words.append(length_is(exact))  # 4.1 has 6Cxx for reads and says nothing of the others
    if spec is GET_CHALLENGE and ne in (None, 256):
        words.append(SW.WRONG_LENGTH)  # "Le 04 or 08, else 6700" (4.9), or any ISO case (4.1)
    response = lab.must(_send(lab, spec, ne), *words)
    if response.sw != SW.OK:
        lab.require(not response.data, Words("no data", "无数据"), response.data.hex())
        return
    whole = {None: size, 256: 8 if spec is GET_CHALLENGE else size}
    count = whole.get(ne, size if spec.le_rule else (ne or 0) + mac)
    came = f"{len(response.data)} bytes"
    lab.require(len(response.data) == count, Words(f"{count} bytes", f"{count} 字节"), came)


def _send(lab: Lab, spec: Spec, ne: int | None) -> bytes:
    settle(lab, spec, home(spec))
    p1, p2 = right_pair(lab, spec)
    return lab.send(Command(spec.cla, spec.ins, p1, p2, lab.data(spec, p1, p2), ne).build())


def _size(lab: Lab, spec: Spec) -> int:
    """How many bytes the command answers: as declared, or what the file or FCI holds."""
    if spec.reply is not bytes:
        return int(spec.reply.size())
    fixed = {
        READ_BINARY.name: EF15.size,
        READ_RECORD.name: EF1A.size,
        PROTECTED_READS[0].name: EF15.size + 4,
        PROTECTED_READS[1].name: EF1A.size + 4,
        GET_CHALLENGE.name: 4,
        GET_ALGORITHM.name: 1,
    }
    if spec is SELECT:
        settle(lab, spec, State.IDLE)
        return len(lab.must(_send(lab, spec, None)).data)
    return fixed.get(spec.name, 0)
