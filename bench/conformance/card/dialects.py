"""What depends on a dialect switch, under each of its values: on cards made for it."""

from collections.abc import Callable, Iterator
from dataclasses import fields

from bench.conformance.card.blocking import three_strikes
from bench.conformance.card.capp import addressed_as_declared, cache_too_soon
from bench.conformance.card.fci import ef15_is_declared, fci_is_exact, ppse_is_exact
from bench.conformance.card.ladders import gate_blocks, pin_opens_a_load
from bench.conformance.card.logs import unused_records
from bench.conformance.card.macs import debit_with_declared_p1
from bench.conformance.card.selecting import housing_purse
from bench.conformance.case import Case, Need
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.scenes import PAID
from bench.conformance.words import Words
from emulator.card.dialect import Dialect

_NAME = "CARD IMAGE 0001"
SENSITIVE: dict[str, tuple[str, Callable[[Lab], None], Words, tuple[str, ...]]] = {
    "unused_records": (
        "LOG",
        unused_records,
        Words("Records never written read as declared", "未写记录按声明读出"),
        ("3.5", "4.7"),
    ),
    "debit_p1": (
        "MACS",
        debit_with_declared_p1,
        Words("DEBIT takes the P1 declared", "DEBIT 按声明接受 P1"),
        ("4.16",),
    ),
    "cache_address": (
        "CAPP",
        addressed_as_declared,
        Words("80 DC is addressed as declared", "80 DC 按声明寻址"),
        ("4.15",),
    ),
    "cache_too_soon": (
        "CAPP",
        cache_too_soon,
        Words("80 DC too soon answers as declared", "过早的 80 DC 按声明应答"),
        ("4.2", "4.15"),
    ),
    "select_blocked": (
        "SEL",
        gate_blocks,
        Words("SELECT of a blocked application is as declared", "锁定应用按声明应答"),
        ("2.5", "4.19"),
    ),
    "wrong_mac": (
        "SM",
        three_strikes,
        Words("A wrong MAC answers as declared", "MAC 错误按声明应答"),
        ("4.6",),
    ),
    "kind_in_ef15": (
        "FCI",
        ef15_is_declared,
        Words("EF15 has the kind as declared", "EF15 卡种按声明"),
        ("3.2",),
    ),
    "fci_version": (
        "FCI",
        fci_is_exact,
        Words("The FCI's version is as declared", "FCI 版本按声明"),
        ("2.4",),
    ),
    "fci_label": (
        "FCI",
        fci_is_exact,
        Words("The FCI's label is as declared", "FCI 标签按声明"),
        ("2.4",),
    ),
    "fci_algorithm": (
        "FCI",
        fci_is_exact,
        Words("The FCI's DF00 is as declared", "FCI 的 DF00 按声明"),
        ("2.4",),
    ),
    "fci_preferred_name": (
        "FCI",
        fci_is_exact,
        Words("The FCI's preferred name is as declared", "FCI 首选名称按声明"),
        ("2.4",),
    ),
    "fci_padding": (
        "FCI",
        fci_is_exact,
        Words("The FCI's padding is as declared", "FCI 填充按声明"),
        ("2.4",),
    ),
    "pin_for_load": (
        "LOAD",
        pin_opens_a_load,
        Words("A load wants the PIN as declared", "充值按声明需要 PIN"),
        ("4.11", "4.13"),
    ),
    "cjt_application": (
        "SEL",
        housing_purse,
        Words("The housing ministry's purse is as declared", "住建部应用按声明"),
        ("2.2",),
    ),
    "ec_in_ppse": (
        "FCI",
        ppse_is_exact,
        Words("The PPSE lists what is declared", "PPSE 按声明列出应用"),
        ("2.3",),
    ),
}
"""A case for each switch a reader can see without secure reads or another cipher."""


_ALSO = {"unused_records": {"transactions": (), "trips": ()}}
"""What else the card must be like: one with records that were never written."""


def _choices(name: str) -> tuple[object, ...]:
    one = next(one for one in fields(Dialect) if one.name == name)
    return tuple(one.metadata["choices"]) or ("", _NAME)


@family
def declared() -> Iterator[Case]:
    """Each of those cases under each value of its switch."""
    for name, (group, body, words, clauses) in SENSITIVE.items():
        for value in _choices(name):
            shown = str(value).lower() if isinstance(value, bool) else value or "none"
            title = Words(f"{words.en}: {name} {shown}", f"{words.zh}：{name} {shown}")
            yield Case(
                f"dialect.{name}.{shown}",
                group,
                title,
                clauses,
                body,
                "D",
                PAID | {Need.FRESH},
                setup={"dialect": {name: value}, **_ALSO.get(name, {})},
            )
