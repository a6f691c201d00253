"""Classes and instructions that no command has (4.1, 4.23)."""

from collections.abc import Iterator

from apdu.commands import TABLE
from apdu.file_commands import GET_RESPONSE
from apdu.key_commands import GET_ALGORITHM
from apdu.sw import SW
from bench.conformance.case import Body, Case
from bench.conformance.derive import empty_request, made
from bench.conformance.desk import Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import enter, refuse

KNOWN = {spec.cla for spec in TABLE}
COMMANDS = {(spec.cla, spec.ins) for spec in TABLE}
SECURE = 0x04
"""The bit of CLA that announces secure messaging."""

BLOCKS = 8
"""Cases that share the values of one byte among them."""


def _part(n: int) -> range:
    size = 256 // BLOCKS
    return range(n * size, (n + 1) * size)


@family
def classes() -> Iterator[Case]:
    """Every class that no command has, with the instructions of all commands."""
    for n in range(BLOCKS):
        clas = [cla for cla in _part(n) if cla not in KNOWN and cla != 0xFF]
        first, last = (f"{_part(n)[at]:02X}" for at in (0, -1))
        yield made(
            "CLASS",
            f"classes.cla.{_part(n)[0]:02x}",
            (
                f"Unknown classes from {first} to {last} answer 6E00",
                f"未知类别 {first} 至 {last} 应答 6E00",
            ),
            ("4.1", "4.23"),
            _unknown([bytes((cla,)) + empty_request(spec)[1:] for cla in clas for spec in _FEW]),
        )
    # Readers on PC/SC may take class FF for themselves, so it is alone.
    yield made(
        "CLASS",
        "classes.cla.pcsc",
        ("Class FF answers 6E00", "类别 FF 应答 6E00"),
        ("4.1", "4.23"),
        _unknown([bytes.fromhex("FF0A000000")]),
    )


_FEW = [spec for spec in TABLE if spec.name in ("SELECT", "GET BALANCE", "DEBIT FOR PURCHASE")]


def _unknown(commands: list[bytes], word: SW = SW.CLA_UNKNOWN) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        for command in commands:
            refuse(lab, lab.send(command), word)

    return body


@family
def instructions() -> Iterator[Case]:
    """Every instruction that a known class does not have, and has in no plain form either."""
    for cla in sorted(KNOWN):
        for n in range(BLOCKS):
            inss = [ins for ins in _part(n) if _is_unknown(cla, ins)]
            first, last = (f"{_part(n)[at]:02X}" for at in (0, -1))
            yield made(
                "CLASS",
                f"classes.ins.{cla:02x}.{_part(n)[0]:02x}",
                (
                    f"Unknown instructions {first} to {last} of class {cla:02X} answer 6D00",
                    f"类别 {cla:02X} 的未知指令 {first} 至 {last} 应答 6D00",
                ),
                ("4.1", "4.23"),
                _unknown([bytes((cla, ins, 0, 0)) for ins in inss], SW.INS_UNKNOWN),
            )


def _is_unknown(cla: int, ins: int) -> bool:
    return (cla, ins) not in COMMANDS and not (cla & SECURE and (cla - SECURE, ins) in COMMANDS)


@family
def secured() -> Iterator[Case]:
    """Commands without secure messaging, asked for with it."""
    seen = set()
    for spec in TABLE:
        other = (spec.cla | SECURE, spec.ins)
        if spec.cla & SECURE or other in COMMANDS or other in seen:
            continue
        seen.add(other)
        yield made(
            "CLASS",
            f"classes.secured.{other[0]:02x}{other[1]:02x}",
            (
                f"{spec.name} under secure messaging (class {other[0]:02X}) answers 6882",
                f"{spec.name} 使用安全报文类别 {other[0]:02X} 应答 6882",
            ),
            ("4.23", "4.1"),
            _secured(spec),
            grade="1",
        )


def _secured(spec: Spec) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        is_algorithm = spec.ins == GET_ALGORITHM.ins and not lab.declared.dialect.dual_alg
        is_absent = is_algorithm or spec is GET_RESPONSE  # a card need not know it (4.1)
        words = (SW.SECURE_MESSAGING_NOT_SUPPORTED, *((SW.INS_UNKNOWN,) if is_absent else ()))
        plain = empty_request(spec)
        refuse(lab, lab.send(bytes((plain[0] | SECURE,)) + plain[1:]), *words)
        refuse(lab, lab.send(bytes((plain[0] | SECURE, *plain[1:4]))), *words)

    return body
