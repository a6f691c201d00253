"""What the laboratory says to people, in both languages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence or title. zh: Chinese, for the report's other half.

    >>> str(Words("the balance", "余额"))
    'the balance'
    """

    en: str
    zh: str

    def __str__(self) -> str:
        return self.en
