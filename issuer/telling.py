"""Values of the office as JSON, for the service and for programs on the same machine.

Money is fen, bytes are hexadecimal, days and times are ISO. Numbers of the database stay inside.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

from issuer.finding import Finding

_INNER = frozenset(("id", "person_id", "student_id", "account_id", "op", "card_id", "slot", "data"))
"""Numbers of the database, which are nobody's business outside."""


def told(value: object) -> Any:  # noqa: ANN401 - whatever JSON may be
    """A value of the office as JSON: dataclasses as objects, without the database's numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in fields(value) if one.name not in _INNER]
        return {name: told(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(told(key)): told(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [told(one) for one in value]
    return _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value


def said(finding: Finding) -> dict[str, Any]:
    """A finding on a rule, with its sentence in both languages."""
    text = finding.text
    return {
        "rule": finding.rule,
        "status": finding.status.value,
        "seed_line": finding.seed_line,
        "zh": text.zh,
        "en": text.en,
    }
