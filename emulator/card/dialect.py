"""Where real cards and readers contradict each other, one switch each, with the reason.

A dialect belongs to a profile. The default is what the protocol reference recommends.
"""

from dataclasses import dataclass, field, fields
from typing import Any

LONGEST_NAME = 16
"""Characters of a preferred name 9F12."""


def _switch(default: Any, choices: tuple[Any, ...], reason: str) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"choices": choices, "reason": reason})


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a card differs where the reference leaves room. See `tapbench card dialects`."""

    unused_records: str = _switch(
        "zeros",
        ("zeros", "FF", "6A83"),
        "Log records never written read as zeros on most cards, as FF on some, and others answer"
        " 6A83 (3.5, 4.7, Q28).",
    )
    debit_p1: str = _switch(
        "both",
        ("both", "01", "02"),
        "Captures send DEBIT with P1 01, laboratory documents print 02 (Q19).",
    )
    cache_address: str = _switch(
        "any",
        ("any", "id", "zero", "number"),
        "80 DC names an EF1A record with P1 its id or 00 and P2 SFI<<3 (id, zero), or with P1 its"
        " number and P2 SFI<<3|4 (number); readers differ (4.15, Q10).",
    )
    kind_in_ef15: bool = _switch(
        True,
        (True, False),
        "The card kind is EF17[10]; some cities read EF15[28] instead (3.2, Q1).",
    )
    select_blocked: str = _switch(
        "fci-6A81",
        ("fci-6A81", "6A81", "fci-6283", "6283", "9303"),
        "SELECT of a blocked application: logs show FCI and 6A81, texts 6A81 alone, 6283 or, when"
        " blocked for good, 9303 (2.5, Q5).",
    )
    wrong_mac: str = _switch(
        "6988",
        ("6988", "63Cx"),
        "A wrong secure-messaging MAC answers 6988, or 63Cx with the tries left (4.6, Q15).",
    )
    cache_too_soon: str = _switch(
        "6901",
        ("6901", "6985"),
        "80 DC without INITIALIZE: 6901 by the state rule, 6985 in one text (4.2, Q16).",
    )
    fci_version: str = _switch(
        "02",
        ("02", "0030"),
        "The application version 9F08 has one byte, on one card two: readers of fixed offsets then"
        " miss the issuer data (2.4).",
    )
    fci_label: bool = _switch(
        False, (False, True), "Some cards put label 50 and priority 87 into the FCI (2.4, Q4)."
    )
    fci_algorithm: bool = _switch(
        False, (False, True), "One laboratory card has DF00 01 02 in its FCI (2.4, Q4)."
    )
    fci_preferred_name: str = _switch(
        "", (), "Some cards have a preferred name 9F12 in the FCI; the text, or nothing (2.4, Q4)."
    )
    fci_padding: bool = _switch(
        False, (False, True), "Some cards end A5 with four bytes of zero (2.4, Q4)."
    )
    pin_for_load: bool = _switch(
        False, (False, True), "FMCOS and housing cards want the PIN before an EP load (4.11, Q13)."
    )
    protected_reads: bool = _switch(
        False,
        (False, True),
        "FMCOS answers 04 B0 and 04 B2 of a protected file with data and MAC (4.5, Q29).",
    )
    cjt_application: bool = _switch(
        False,
        (False, True),
        "Some cards also carry the housing ministry's purse A00000000386980701 (2.2).",
    )
    ec_in_ppse: bool = _switch(
        False, (False, True), "The PPSE lists the electronic cash too, or the purse alone (Q3)."
    )
    dual_alg: bool = _switch(
        False, (False, True), "Dual-algorithm cards answer 80 CD; others 6D00 (4.21)."
    )
    sm4: bool = _switch(
        False,
        (False, True),
        "Experimental SM4 purse, invented because no layout is public: NOT interoperable (5.9).",
    )

    def __post_init__(self) -> None:
        """Refuse a value a switch does not have. Raises ValueError with one sentence."""
        for switch in fields(self):
            choices = switch.metadata["choices"]
            found = getattr(self, switch.name)
            if choices and (found not in choices or type(found) is not type(choices[0])):
                shown = ", ".join(str(c).lower() if isinstance(c, bool) else c for c in choices)
                raise ValueError(f"dialect '{switch.name}' is {found!r}; choose one of: {shown}")
            if not choices and not _is_name(found):
                raise ValueError(
                    f"dialect '{switch.name}' is {found!r};"
                    f" expected at most {LONGEST_NAME} ASCII characters"
                )


def _is_name(found: object) -> bool:
    return isinstance(found, str) and found.isascii() and len(found) <= LONGEST_NAME


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch for people."""

    name: str
    default: str
    choices: tuple[str, ...]
    reason: str


def switches() -> list[Switch]:
    """All switches with their reasons."""
    return [
        Switch(
            f.name,
            str(f.default),
            tuple(str(c) for c in f.metadata["choices"]),
            f.metadata["reason"],
        )
        for f in fields(Dialect)
    ]
