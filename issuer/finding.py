"""What a check of a phone and a student says of one rule."""

from dataclasses import dataclass
from enum import StrEnum

from issuer.rules_table import seed_rule


class Status(StrEnum):
    """UNKNOWN: nothing found breaks the rule, and nothing proves it. NOT_APPLICABLE: see text."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Text:
    """One thing said in Chinese and in English."""

    zh: str
    en: str

    @classmethod
    def same(cls, text: str) -> "Text":
        """A text that is the same in both, such as a version."""
        return cls(text, text)

    def __add__(self, other: "Text") -> "Text":
        return Text(f"{self.zh}；{other.zh}", f"{self.en}; {other.en}")


NOT_KNOWN = Text("未知", "not known")
NOT_THERE = Text("未安装", "not installed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule's function says: its status, what was found and what is needed."""

    status: Status
    found: Text
    needed: Text


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on a rule of the seed. rule: "R11". seed_line: where the rule begins."""

    rule: str
    status: Status
    found: Text
    needed: Text
    seed_line: int

    @property
    def is_failed(self) -> bool:
        """Whether the rule is broken."""
        return self.status is Status.FAILED

    @property
    def text(self) -> Text:
        """The finding as one sentence in each language."""
        rule, form = seed_rule(self.rule), _FORMS[self.status]
        return Text(
            form.zh.format(rule=rule.zh, found=self.found.zh, needed=self.needed.zh),
            form.en.format(rule=rule.en, found=self.found.en, needed=self.needed.en),
        )


_FORMS = {
    Status.OK: Text("符合：{rule}，{found}。", "OK: {rule}; found: {found}."),
    Status.FAILED: Text(
        "不符合：{rule}，现为：{found}，需要：{needed}。",
        "Failed: {rule}; found: {found}; needed: {needed}.",
    ),
    Status.UNKNOWN: Text(
        "无法确认：{rule}，现为：{found}，需要：{needed}。",
        "Unknown: {rule}; found: {found}; needed: {needed}.",
    ),
    Status.NOT_APPLICABLE: Text("不适用：{rule}，{found}。", "Not applicable: {rule}; {found}."),
}


def judge(is_right: bool | None, found: Text, needed: Text) -> Verdict:
    """A verdict from a test that passed, failed or could not be made (None)."""
    if is_right is None:
        return Verdict(Status.UNKNOWN, found, needed)
    return Verdict(Status.OK if is_right else Status.FAILED, found, needed)


def judge_flag(flag: bool | None, yes: Text, no: Text) -> Verdict:
    """A verdict on something that has to be so."""
    if flag is None:
        return Verdict(Status.UNKNOWN, NOT_KNOWN, yes)
    return Verdict(Status.OK, yes, yes) if flag else Verdict(Status.FAILED, no, yes)


def skip(why: Text) -> Verdict:
    """A verdict on a rule that says nothing of this case."""
    return Verdict(Status.NOT_APPLICABLE, why, Text("", ""))
