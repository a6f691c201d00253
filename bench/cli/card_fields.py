"""What `tapbench card set` can change: each field with its values, checked by the balance model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from apdu.bcd import pack_date
from apdu.codec import Record
from apdu.commands import ED, EP
from apdu.files import CARD_KINDS, EF1A, EF15, EF17, TRIP_STATES, Interop, PublicInfo, RailTrip
from bench.cli.options import parse_yuan
from bench.problem import Problem
from emulator.card.cardfile import CardFile
from emulator.card.personalise import purse_index
from emulator.card.security import with_keys
from emulator.card.state import (
    Blocked,
    Content,
    Directory,
    File,
    Image,
    KeyKind,
    balance_fault,
    with_directory,
)

MOST = 0xFFFFFF
"""Fen: what three bytes hold."""

_PURSES = {EP: "", ED: "ed-"}
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

Change = Callable[[Directory, str, CardFile], Directory]


@dataclass(frozen=True, slots=True)
class CardField:
    """One field. values: what people may write."""

    name: str
    values: str
    change: Change


def with_fields(card: CardFile, assignments: list[str]) -> Image:
    """The card's image with fields changed, all or none. Raises Problem."""
    if not assignments:
        raise Problem(f"there is nothing to set; give FIELD=VALUE, of: {', '.join(FIELDS)}")
    try:
        at = purse_index(card.image)
    except KeyError:
        raise Problem("the card has no purse application, so there is nothing to set") from None
    directory = card.image.directories[at]
    seen: set[str] = set()
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in FIELDS:
            raise Problem(
                f"'{assignment}' is not FIELD=VALUE; choose a field of: {', '.join(FIELDS)}"
            )
        if name in seen:
            raise Problem(f"'{name}' is set twice; give it once")
        seen.add(name)
        directory = FIELDS[name].change(directory, text, card)
    for which, purse in directory.purses.items():
        fault = balance_fault(purse.ceiling, purse.actual, purse.limit, purse.used)
        if fault:
            raise Problem(f"the {_name(which)} cannot be set like this: {fault}")
    return with_directory(card.image, at, directory)


def _name(which: int) -> str:
    return {EP: "purse", ED: "ED"}.get(which, "purse")


def _is_short_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9


def _number(text: str, low: int, high: int, what: str) -> int:
    if not (_is_short_number(text) and low <= int(text) <= high):
        raise Problem(f"'{text}' is not {what}; expected a whole number from {low} to {high}")
    return int(text)


def _flag(text: str, what: str) -> bool:
    if text.lower() not in _YES:
        raise Problem(f"'{text}' is not a value of {what}; expected yes or no")
    return _YES[text.lower()]


def _coded(text: str, names: Mapping[int, str], what: str) -> int:
    """A code by its name or its number."""
    known = {name: code for code, name in names.items()}
    if text in known:
        return known[text]
    if _is_short_number(text) and int(text) <= 0xFF:
        return int(text)
    raise Problem(f"'{text}' is no {what}; expected one of {', '.join(known)}, or 0 to 255")


def _day(text: str) -> bytes:
    try:
        return pack_date(date.fromisoformat(text))
    except ValueError:
        raise Problem(f"'{text}' is not a day; expected YYYY-MM-DD") from None


def _of_purse(which: int, attribute: str, parse: Callable[[str], int]) -> Change:
    def change(directory: Directory, text: str, card: CardFile) -> Directory:
        purse = directory.purses.get(which)
        if purse is None:
            raise Problem(f"the card has no {_name(which)}, so there is nothing to set")
        after = replace(purse, **{attribute: parse(text)})
        return replace(directory, purses={**directory.purses, which: after})

    return change


def _file(directory: Directory, sfi: int) -> File:
    if sfi not in directory.files:
        raise Problem(f"the card has no EF{sfi:02X}, so there is nothing to set")
    return directory.files[sfi]


def _written(directory: Directory, sfi: int, content: Content) -> Directory:
    file = File(_file(directory, sfi).head, content, True)
    return replace(directory, files={**directory.files, sfi: file})


def _record_changed(kind: type[Record], content: Content, sfi: int, **fields: Any) -> bytes:  # noqa: ANN401 - as the record declares them
    if not isinstance(content, bytes) or len(content) != kind.size():
        raise Problem(f"EF{sfi:02X} of this card has another layout, so there is nothing to set")
    rec: Any = kind.parse(content)
    changed: Record = replace(rec, **fields)
    return changed.build()


def _in_file(kind: type[Record], sfi: int, name: str, parse: Callable[[str], Any]) -> Change:
    def change(directory: Directory, text: str, card: CardFile) -> Directory:
        content = _file(directory, sfi).content
        changed = _record_changed(kind, content, sfi, **{name: parse(text)})
        return _written(directory, sfi, changed)

    return change


def _card_kind(directory: Directory, text: str, card: CardFile) -> Directory:
    """EF17[10], and EF15[28] where the dialect repeats it (Q1)."""
    code = _coded(text, CARD_KINDS, "card kind")
    after = _in_file(Interop, EF17.sfi, "card_kind", lambda _: code)(directory, text, card)
    if card.dialect.kind_in_ef15:
        after = _in_file(PublicInfo, EF15.sfi, "fci1", lambda _: code)(after, text, card)
    return after


def _trip_state(directory: Directory, text: str, card: CardFile) -> Directory:
    """State of EF1A record 2701; the rest of the record stays."""
    records = _file(directory, EF1A.sfi).content
    if not isinstance(records, tuple) or not records:
        raise Problem("the card has no trip record 2701, so there is nothing to set")
    state = _coded(text, TRIP_STATES, "trip state")
    changed = _record_changed(RailTrip, records[0], EF1A.sfi, state=state)
    return _written(directory, EF1A.sfi, (changed, *records[1:]))


def _blocked(directory: Directory, text: str, card: CardFile) -> Directory:
    """Lifting a block also forgets the failures that led to it, as APPLICATION UNBLOCK does."""
    try:
        blocked = Blocked(text)
    except ValueError:
        expected = ", ".join(b.value for b in Blocked)
        raise Problem(f"'{text}' is no way to be blocked; expected one of {expected}") from None
    if blocked is Blocked.NO:
        return replace(directory, blocked=blocked, strikes=0, unblock_strikes=0)
    return replace(directory, blocked=blocked)


def _pin_tries(directory: Directory, text: str, card: CardFile) -> Directory:
    entry = directory.keys.get((KeyKind.PIN, 0))
    if entry is None:
        raise Problem("the card has no PIN, so there is nothing to set")
    left = _number(text, 0, entry.algorithm >> 4, "a number of tries")
    return with_keys(directory, entry.with_tries(left))


def _pin(directory: Directory, text: str, card: CardFile) -> Directory:
    entry = directory.keys.get((KeyKind.PIN, 0))
    if entry is None:
        raise Problem("the card has no PIN, so there is nothing to set")
    if not (text.isascii() and text.isdecimal() and len(text) in range(4, 13, 2)):
        raise Problem("this is not a PIN; expected 4, 6, 8, 10 or 12 digits")
    return with_keys(directory, replace(entry.restored(), pin=bytes.fromhex(text)))


def _place(text: str) -> bytes:
    if len(text) != 4 or not (text.isascii() and text.isdecimal()):
        raise Problem(f"'{text}' is not a code of GB 13497; expected four digits")
    return bytes.fromhex(text)


def _yuan(text: str) -> int:
    return parse_yuan(text, MOST)


def _seq(text: str) -> int:
    return _number(text, 0, 0xFFFF, "a transaction number")


def _strikes(text: str) -> int:
    return _number(text, 0, 15, "a number of failures")


def _purse_fields() -> list[CardField]:
    made = []
    for which, prefix in _PURSES.items():
        for name, attribute, values, parse in (
            ("balance", "actual", "yuan", _yuan),
            ("ceiling", "ceiling", "yuan", _yuan),
            ("limit", "limit", "yuan", _yuan),
            ("used", "used", "yuan", _yuan),
            ("online-seq", "online_seq", "0 to 65535", _seq),
            ("offline-seq", "offline_seq", "0 to 65535", _seq),
        ):
            made.append(CardField(prefix + name, values, _of_purse(which, attribute, parse)))
    return made


def _all() -> list[CardField]:
    ef15, ef17 = EF15.sfi, EF17.sfi
    enabled = lambda text: _number(text, 0, 255, "an enable flag")  # noqa: E731
    return [
        *_purse_fields(),
        CardField("blocked", "no, temporary, permanent", _blocked),
        CardField(
            "strikes",
            "0 to 15",
            lambda directory, text, card: replace(directory, strikes=_strikes(text)),
        ),
        CardField("start-date", "YYYY-MM-DD", _in_file(PublicInfo, ef15, "start_date", _day)),
        CardField("end-date", "YYYY-MM-DD", _in_file(PublicInfo, ef15, "end_date", _day)),
        CardField("enabled", "0 to 255", _in_file(PublicInfo, ef15, "enabled", enabled)),
        CardField("card-kind", "a name or 0 to 255", _card_kind),
        CardField(
            "interop",
            "yes, no",
            _in_file(Interop, ef17, "interop", lambda text: int(_flag(text, "interop"))),
        ),
        CardField("province", "four digits", _in_file(Interop, ef17, "province", _place)),
        CardField("city", "four digits", _in_file(Interop, ef17, "city", _place)),
        CardField("trip-state", "a name or 0 to 255", _trip_state),
        CardField("pin-tries", "0 to the most", _pin_tries),
        CardField("pin", "4 to 12 digits", _pin),
    ]


FIELDS: dict[str, CardField] = {field.name: field for field in _all()}
"""Every field by its name."""
