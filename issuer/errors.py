"""Errors of the back office whose message is one sentence for the user."""

from issuer.refusal import Refusal


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class RuleError(Exception):
    """A rule refuses, and nothing was changed. rule: R1 to R33. zh, en: one sentence each.

    reason: a word for programs. Nothing personal is in any of them.
    """

    def __init__(self, rule: str, zh: str, en: str, reason: str = "refused") -> None:
        super().__init__(f"{rule}: {en} ({zh})")
        self.rule, self.zh, self.en, self.reason = rule, zh, en, reason

    @classmethod
    def of(cls, refusal: Refusal) -> "RuleError":
        """The error that tells a refusal."""
        return cls(refusal.rule, refusal.zh, refusal.en, refusal.reason)
