"""How values look to people: money in yuan, dates with dashes, codes with their names."""

from typing import NamedTuple

from apdu.codec import Field, Record, Show

_MONEY = Show.MONEY  # a member of an Enum costs more to name than to compare


class Line(NamedTuple):
    """One named value. depth: how far it is nested. note: what it means."""

    label: str
    value: str
    note: str = ""
    depth: int = 0


def money(fen: int) -> str:
    """Fen as yuan.

    >>> money(5000), money(-5)
    ('50.00', '-0.05')
    """
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02d}"


def hexed(data: bytes) -> str:
    """Bytes in capital hexadecimal; a long run of one filler byte is shortened.

    >>> hexed(bytes(20))
    '00 x 20'
    """
    if len(data) > 12 and data == data[:1] * len(data):
        return f"{data[0]:02X} x {len(data)}"
    return data.hex().upper()


def _cut(text: str, *ends: int) -> list[str]:
    return [text[a:b] for a, b in zip((0, *ends), ends, strict=False)]


def value_text(field: Field, value: int | bytes) -> str:
    """One field's value in words. A PIN or key is never shown, only its length."""
    if isinstance(value, int):
        if field.show is _MONEY:
            return money(value)
        name = field.values.get(value)
        return f"{value}" if name is None else f"{value} ({name})"
    if field.show is Show.SECRET:
        return f"{len(value)} bytes, not shown"
    text = value.hex()
    if text.isdecimal() and value.strip(b"\0"):
        if field.show is Show.DATE:
            return "-".join(_cut(text, 4, 6, 8))
        if field.show is Show.TIME:
            return ":".join(_cut(text, 2, 4, 6))
        if field.show is Show.MOMENT:
            return "-".join(_cut(text, 4, 6, 8)) + " " + ":".join(_cut(text[8:], 2, 4, 6))
    return hexed(value)


def record_lines(rec: Record, depth: int = 0) -> list[Line]:
    """A record's fields by name."""
    return [Line(f.name, value_text(f, getattr(rec, f.name)), f.meaning, depth) for f in rec.FIELDS]
