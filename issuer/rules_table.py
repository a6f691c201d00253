"""The seed's rules R1 to R33, declared once, and who holds each.

A function that holds a rule says so with `@holds("R26")`; a test that proves it carries
`@pytest.mark.rule("R26")`. `holders` gathers the functions. Where a gate or the card holds a rule,
the function is named in `ELSEWHERE`, because these packages do not import the issuer.
Source: the seed document; the numbers are those of domain facts 1.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar


class By(StrEnum):
    """Who checks a rule."""

    BACK_OFFICE = "B"
    WALLET = "W"
    CARD = "C"
    GATE = "G"
    OUTLET = "O"


@dataclass(frozen=True, slots=True)
class SeedRule:
    """A rule. lines: of the seed, first and last of each place. by: letters of `By`."""

    name: str
    lines: tuple[tuple[int, int], ...]
    by: str
    zh: str
    en: str

    @property
    def line(self) -> int:
        """Where it begins in the seed."""
        return self.lines[0][0]

    @property
    def checked_by(self) -> tuple[By, ...]:
        """Who checks it."""
        return tuple(map(By, self.by))

    @property
    def where(self) -> str:
        """Its lines in words, such as "29-30" or "18, 31, 37"."""
        return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in self.lines)


def _rule(number: int, lines: str, by: str, zh: str, en: str) -> SeedRule:
    places = (place.partition("-") for place in lines.split(", "))
    return SeedRule(f"R{number}", tuple((int(a), int(b or a)) for a, _, b in places), by, zh, en)


RULES: tuple[SeedRule, ...] = (
    _rule(1, "41", "B", "一卡通公司与院校联合发行", "issued jointly by the company and a school"),
    _rule(2, "41", "B", "发放对象内的学生类别", "a kind of student the card is meant for"),
    _rule(3, "41", "B", "无工资收入的正式学籍学生", "formal student status and no wage income"),
    _rule(4, "43", "B", "合作院校的学生", "a student of a school that cooperates"),
    _rule(5, "4", "BW", "高校服务中身份认证成功", "identity proven in 高校服务"),
    _rule(6, "41", "B", "只允许有一张可用的学生交通卡", "no other usable student card"),
    _rule(7, "41", "W", "基于手机NFC或超级SIM卡", "a phone with NFC, or a Super-SIM"),
    _rule(
        8, "7", "W", "北京一卡通App版本（安卓、鸿蒙）", "version of the App on Android or HarmonyOS"
    ),
    _rule(9, "35", "W", "北京一卡通App版本（苹果）", "version of the App on an iPhone"),
    _rule(10, "11", "W", "手机钱包为当前最新版本", "the phone's wallet in its latest version"),
    _rule(11, "13", "W", "华为钱包版本", "version of Huawei Wallet"),
    _rule(12, "16", "W", "打开NFC功能（华为）", "NFC switched on (Huawei)"),
    _rule(13, "17", "W", "登录华为钱包及一卡通App", "logged in to Huawei Wallet and to the App"),
    _rule(
        14, "24", "W", "小米智能卡App版本（稳定版）", "version of the Mi smart card app (stable)"
    ),
    _rule(15, "27", "W", "MIUI系统版本（开发版）", "version of MIUI (developer build)"),
    _rule(16, "29-30", "W", "打开NFC功能（小米）", "NFC switched on (Xiaomi)"),
    _rule(17, "29-30", "W", "默认钱包为小米钱包", "Xiaomi Wallet as the default wallet"),
    _rule(18, "34", "W", "iOS系统版本", "version of iOS"),
    _rule(19, "18, 31, 37", "W", "在App的高校服务中开通", "opened in the App, under 高校服务"),
    _rule(20, "38", "W", "在手机一卡通中展示", "shown in the App, under 手机一卡通"),
    _rule(21, "57-313", "WB", "华为、荣耀支持机型", "a model of the Huawei table"),
    _rule(22, "317-390", "WB", "小米支持机型", "a model of the Xiaomi table"),
    _rule(23, "394-425", "WB", "苹果支持机型", "a model of the Apple table"),
    _rule(24, "43", "BW", "发行本人的卡", "the student's own card"),
    _rule(25, "45", "BC", "在App内充值", "top-up in the App"),
    _rule(26, "47", "BCG", "有效期一年，每年9月30日到期", "valid one year, to 30 September"),
    _rule(27, "47", "BW", "7月30日后可延期", "renewal from 30 July"),
    _rule(28, "47", "BC", "延期至次年9月30日", "renewal lasts to 30 September of the next year"),
    _rule(
        29, "49", "BG", "手机遗失更换先挂失后开卡", "loss is reported before a new card is opened"
    ),
    _rule(30, "49", "O", "手机损坏咨询手机客服", "a damaged phone goes to its maker"),
    _rule(31, "51", "BWC", "退卡后在App内完成退资", "refund in the App after the return"),
    _rule(32, "51", "BO", "200元以上到自营网点退资", "a refund of 200 yuan or more at an outlet"),
    _rule(33, "53", "WBC", "通过App退卡", "the card is returned in the App"),
)
"""All rules, in order."""

_BY_NAME = {rule.name: rule for rule in RULES}

ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "R25": ("reader.loading.load", "reader.loading.recover_load"),
    "R26": ("reader.checks.is_expired",),
    "R29": ("reader.blocking.block_card",),
}
"""Functions outside the issuer that hold a rule, by dotted name."""

_held: dict[str, list[str]] = {}

F = TypeVar("F", bound=Callable[..., object])


def seed_rule(name: str) -> SeedRule:
    """A rule by its name. Raises KeyError.

    >>> seed_rule("R16").where, seed_rule("R16").line
    ('29-30', 29)
    """
    return _BY_NAME[name]


def holds(*names: str) -> Callable[[F], F]:
    """Say that a function holds these rules. The function stays as it is.

    Raises KeyError if there is no such rule.
    """
    rules = [seed_rule(name) for name in names]

    def note(function: F) -> F:
        place = f"{function.__module__}.{function.__qualname__}"
        for rule in rules:
            _held.setdefault(rule.name, []).append(place)
        return function

    return note


def holders() -> dict[str, tuple[str, ...]]:
    """The functions that hold each rule, by dotted name, sorted; rules nobody holds have none.

    Imports every module of the issuer, so that nothing is missed.
    """
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        importlib.import_module(module.name)
    return {
        rule.name: tuple(sorted({*_held.get(rule.name, ()), *ELSEWHERE.get(rule.name, ())}))
        for rule in RULES
    }
