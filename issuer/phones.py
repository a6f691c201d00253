"""On which phone the card can be: rules R7 to R18 and R20 to R23 over a value.

Which rules speak of a phone depends on its brand and system; the others are not applicable. A card
in a Super-SIM is in no phone's hands, so R8 to R23 do not apply to it (R7).
Source: seed lines 7 to 41 and 57 to 425; domain facts 1.2 and 2.
"""

from dataclasses import dataclass
from enum import StrEnum

from issuer.devices import Brand, Catalogue, Listing, Match
from issuer.finding import NOT_KNOWN, NOT_THERE, Text, Verdict, judge, judge_flag, skip
from issuer.policy import IssuerPolicy
from issuer.rules_table import holds, seed_rule
from issuer.versions import is_at_least, is_dev_build

APP_LEAST = "6.0.0.1"
HUAWEI_WALLET_LEAST = "9.0.13.304"
SMART_CARD_LEAST = "21.08.09.1"
DEV_BUILD_LEAST = "21.7.27"
IOS_LEAST = "13.4"

XIAOMI_WALLETS = frozenset({"小米钱包", "Xiaomi Wallet"})


class Medium(StrEnum):
    """What carries the card. HCE: an app without secure element, which the seed does not name."""

    NFC = "nfc_ese"
    SUPER_SIM = "super_sim"
    HCE = "hce"


class System(StrEnum):
    """ANDROID: with MIUI on Xiaomi's phones. OTHER: a watch, for instance."""

    ANDROID = "Android"
    HARMONYOS = "HarmonyOS"
    HYPEROS = "HyperOS"
    IOS = "iOS"
    OTHER = "other"


class Channel(StrEnum):
    """Which builds of MIUI a phone gets."""

    STABLE = "stable"
    DEV = "dev"


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone as it is. None means that it is not known; of an app, "" that it is not installed.

    model: its name, such as "HUAWEI P50 Pro". system_version: of iOS, or of MIUI.
    app: the version of 北京一卡通. huawei_wallet: of 华为钱包. smart_card: of 小米智能卡.
    is_wallet_latest: of the phone's own wallet. has_nfc: the hardware.
    default_wallet: the default payment app, such as 小米钱包.
    """

    brand: Brand
    system: System
    model: str | None = None
    medium: Medium | None = Medium.NFC
    system_version: str | None = None
    channel: Channel | None = None
    app: str | None = None
    huawei_wallet: str | None = None
    smart_card: str | None = None
    is_wallet_latest: bool | None = None
    has_nfc: bool | None = None
    is_nfc_on: bool | None = None
    default_wallet: str | None = None
    is_wallet_logged_in: bool | None = None
    is_app_logged_in: bool | None = None

    @property
    def is_huawei(self) -> bool:
        """Whether it is in Huawei's table, where Honor's are too."""
        return self.brand in (Brand.HUAWEI, Brand.HONOR)

    @property
    def is_apple(self) -> bool:
        """Whether the seed's section on iPhones speaks of it; the other one does, if not."""
        return self.brand is Brand.APPLE or self.system is System.IOS

    def match(self, catalogue: Catalogue) -> Match | None:
        """What the tables say of it, or None if its name is not known."""
        return None if self.model is None else catalogue.find(self.model, self.brand)


_OTHER_BRAND = Text("本条针对其他品牌手机", "the rule speaks of another brand")
_OTHER_SYSTEM = Text("本条针对其他操作系统", "the rule speaks of another system")


def _version(found: str | None, least: str) -> Verdict:
    needed = Text(f"{least}及以上", f"{least} or later")
    if not found:
        is_right, said = (None, NOT_KNOWN) if found is None else (False, NOT_THERE)
        return judge(is_right, said, needed)
    return judge(is_at_least(found, least), Text.same(found), needed)


@holds("R7")
def medium_verdict(phone: Phone, catalogue: Catalogue, policy: IssuerPolicy) -> Verdict:
    """A phone with NFC and a secure element, or a Super-SIM."""
    needed = Text("手机NFC或超级SIM卡", "NFC with a secure element, or a Super-SIM")
    match phone.medium:
        case None:
            return judge(None, NOT_KNOWN, needed)
        case Medium.SUPER_SIM:
            return judge(policy.super_sim != "refuse", Text("超级SIM卡", "a Super-SIM"), needed)
        case Medium.HCE:
            found = Text("应用模拟卡，无安全单元", "a card in an app, without secure element")
            return judge(False, found, needed)
    if phone.has_nfc is False:
        return judge(False, Text("手机没有NFC硬件", "no NFC hardware"), needed)
    listed = phone.match(catalogue)
    is_doubtful = listed and listed.member and listed.member.has_nfc is False
    if phone.has_nfc is None and is_doubtful:
        found = Text("此机型可能没有NFC硬件", "this model is assumed to have no NFC hardware")
        return judge(None, found, needed)
    return judge(True, Text("手机NFC", "NFC of the phone"), needed)


@holds("R8")
def android_app_verdict(phone: Phone) -> Verdict:
    """The App on Android and HarmonyOS."""
    return skip(_OTHER_SYSTEM) if phone.is_apple else _version(phone.app, APP_LEAST)


@holds("R9")
def iphone_app_verdict(phone: Phone) -> Verdict:
    """The App on an iPhone."""
    return _version(phone.app, APP_LEAST) if phone.is_apple else skip(_OTHER_SYSTEM)


@holds("R10")
def latest_wallet_verdict(phone: Phone) -> Verdict:
    """A soft warning: nobody knows for long what the latest version is, so it never fails."""
    if phone.is_apple:
        return skip(_OTHER_SYSTEM)
    latest = Text("最新版本", "the latest version")
    if phone.is_wallet_latest:
        return judge(True, latest, latest)
    is_told = phone.is_wallet_latest is not None
    found = Text("有新版本，建议更新", "there is a newer one; updating is advised")
    return judge(None, found if is_told else NOT_KNOWN, latest)


@holds("R11")
def huawei_wallet_verdict(phone: Phone) -> Verdict:
    """Huawei Wallet. Newer Honor phones have a wallet of Honor's, of which the seed is silent."""
    if not phone.is_huawei:
        return skip(_OTHER_BRAND)
    if phone.brand is Brand.HONOR and not phone.huawei_wallet:
        needed = Text(
            f"华为钱包{HUAWEI_WALLET_LEAST}及以上", f"Huawei Wallet {HUAWEI_WALLET_LEAST}"
        )
        return judge(None, _HONOR, needed)
    return _version(phone.huawei_wallet, HUAWEI_WALLET_LEAST)


_HONOR = Text(
    "没有华为钱包，操作说明未提及荣耀钱包", "no Huawei Wallet, and the seed is silent on Honor's"
)
_NFC_ON, _NFC_OFF = Text("NFC已打开", "NFC is on"), Text("NFC未打开", "NFC is off")


@holds("R12")
def huawei_nfc_verdict(phone: Phone) -> Verdict:
    """NFC switched on."""
    return judge_flag(phone.is_nfc_on, _NFC_ON, _NFC_OFF) if phone.is_huawei else skip(_OTHER_BRAND)


@holds("R13")
def login_verdict(phone: Phone) -> Verdict:
    """Logged in to both. Of Honor's own wallet nothing is known, so that it may fail."""
    if not phone.is_huawei:
        return skip(_OTHER_BRAND)
    both = (phone.is_wallet_logged_in, phone.is_app_logged_in)
    if phone.brand is Brand.HONOR and not phone.huawei_wallet:
        both = (None, phone.is_app_logged_in)
    words = zip(("华为钱包", "一卡通App"), ("Huawei Wallet", "App"), both, strict=True)
    wallet, app = (
        Text(zh + _LOGIN[is_in].zh, f"{en} {_LOGIN[is_in].en}") for zh, en, is_in in words
    )
    needed = Text("华为钱包及一卡通App均已登录", "logged in to both")
    is_right = False if False in both else None if None in both else True
    return judge(is_right, wallet + app, needed)


_LOGIN = {
    None: Text("登录状态未知", "not known"),
    True: Text("已登录", "logged in"),
    False: Text("未登录", "not logged in"),
}
_CHANNEL = Text("MIUI版本类型未知", "the channel of MIUI is not known")


@holds("R14")
def smart_card_verdict(phone: Phone) -> Verdict:
    """The Mi smart card app, on stable builds."""
    if phone.brand is not Brand.XIAOMI:
        return skip(_OTHER_BRAND)
    if phone.channel is Channel.DEV:
        return skip(Text("开发版系统", "a developer build"))
    verdict = _version(phone.smart_card, SMART_CARD_LEAST)
    return judge(None, _CHANNEL, verdict.needed) if phone.channel is None else verdict


@holds("R15")
def dev_build_verdict(phone: Phone) -> Verdict:
    """The developer build. Numbers of stable builds and of HyperOS are never compared with it."""
    if phone.brand is not Brand.XIAOMI:
        return skip(_OTHER_BRAND)
    if phone.channel is Channel.STABLE:
        return skip(Text("稳定版系统", "a stable build"))
    found, needed = (
        phone.system_version,
        Text(f"{DEV_BUILD_LEAST}及以上", f"{DEV_BUILD_LEAST} or later"),
    )
    if phone.channel is None:
        return judge(None, _CHANNEL, needed)
    if not found:
        return judge(None, NOT_KNOWN, needed)
    if phone.system is System.HYPEROS or not is_dev_build(found):
        said = Text(
            f"{found}，不是MIUI开发版的版本号", f"{found}, no number of a MIUI developer build"
        )
        return judge(None, said, needed)
    return _version(found, DEV_BUILD_LEAST)


@holds("R16")
def xiaomi_nfc_verdict(phone: Phone) -> Verdict:
    """NFC switched on."""
    is_xiaomi = phone.brand is Brand.XIAOMI
    return judge_flag(phone.is_nfc_on, _NFC_ON, _NFC_OFF) if is_xiaomi else skip(_OTHER_BRAND)


@holds("R17")
def default_wallet_verdict(phone: Phone) -> Verdict:
    """Xiaomi Wallet is the default."""
    if phone.brand is not Brand.XIAOMI:
        return skip(_OTHER_BRAND)
    needed, found = Text("小米钱包", "Xiaomi Wallet"), phone.default_wallet
    if found is None:
        return judge(None, NOT_KNOWN, needed)
    if found in XIAOMI_WALLETS:
        return judge(True, needed, needed)
    return judge(False, Text.same(found) if found else Text("未设置", "none"), needed)


@holds("R18")
def ios_verdict(phone: Phone) -> Verdict:
    """iOS itself. The system of a watch has numbers of its own."""
    if not phone.is_apple:
        return skip(_OTHER_SYSTEM)
    verdict = _version(phone.system_version or None, IOS_LEAST)
    if phone.system is not System.IOS:
        return judge(None, Text("不是iOS系统", "a system other than iOS"), verdict.needed)
    return verdict


@holds("R20")
def shown_verdict() -> Verdict:
    """Nothing to check before the card is open; then the App shows it there."""
    return skip(Text("开卡后在App首页-手机一卡通查看", "once open, the card is shown there"))


@holds("R21", "R22", "R23")
def model_verdict(rule: str, phone: Phone, catalogue: Catalogue, policy: IssuerPolicy) -> Verdict:
    """A model of the table of this rule. A brand the seed does not name is held to R21 and R22."""
    is_other = phone.brand is Brand.OTHER and rule != "R23"
    if phone.brand.rule != rule and not is_other:
        return skip(_OTHER_BRAND)
    lines = seed_rule(rule).where
    needed = Text(f"支持机型情况表（{lines}行）所列机型", f"a model of the table, lines {lines}")
    match = phone.match(catalogue)
    if match is None:
        return judge(None, NOT_KNOWN, needed)
    if match.is_listed:
        return judge(True, _how_listed(match), needed)
    is_right = None if policy.unlisted_model == "warn" else False
    return judge(is_right, _unlisted(phone.model or "", match), needed)


def _how_listed(match: Match) -> Text:
    if match.site is not None:
        return Text(
            f"本单位补充机型：{match.site.reason}", f"listed by the site: {match.site.reason}"
        )
    line, row = match.seed_line, match.device.name if match.device else ""
    if match.listing is Listing.BY_SERIES:
        zh = f"第{line}行“{row}”，按解释属于该系列"
        return Text(zh, f"line {line}, {row}, by interpretation of the series")
    return Text(f"第{line}行“{row}”", f"line {line}, {row}")


def _unlisted(model: str, match: Match) -> Text:
    found = Text(f"{model}未列入", f"{model} is unlisted")
    return (
        found + Text(match.remark.zh.rstrip("。"), match.remark.en.rstrip("."))
        if match.remark
        else found
    )
