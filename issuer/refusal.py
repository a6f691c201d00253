"""A rule's no: what an operation of the issuer gives back instead of what was asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was changed, and why. rule: "R27". reason: a word for programs."""

    rule: str
    reason: str
    zh: str
    en: str
