"""Packed decimal digits, the wire form of dates, times and numbers ("cn" in the standard)."""

from datetime import date, datetime, time

from apdu.value import value


def digits(data: bytes) -> str:
    """The digits as printed; hexadecimal letters stay visible, so padding FF shows as FF.

    >>> digits(bytes.fromhex("01011000ffffffff"))
    '01011000FFFFFFFF'
    """
    return data.hex().upper()


def pack(text: str, size: int) -> bytes:
    """Digits to exactly `size` bytes, right-aligned with leading zeros.

    Raises ValueError if the text is not digits (0-9, A-F) or does not fit.

    >>> pack("257", 8).hex()
    '0000000000000257'
    """
    if len(text) > 2 * size:
        raise ValueError(f"{text} has more than {2 * size} digits")
    packed = bytes.fromhex(text.rjust(2 * size, "0"))
    if len(packed) != size:  # fromhex skips white space without a word
        raise ValueError(f"{text!r} is not digits alone")
    return packed


def is_decimal(data: bytes) -> bool:
    """Whether every half byte is a digit 0 to 9."""
    return data.hex().isdecimal()


def pack_date(day: date) -> bytes:
    """YYYYMMDD in 4 bytes.

    >>> pack_date(date(2026, 9, 30)).hex()
    '20260930'
    """
    return bytes.fromhex(f"{day.year:04d}{day.month:02d}{day.day:02d}")


def pack_time(at: time) -> bytes:
    """hhmmss in 3 bytes."""
    return bytes.fromhex(f"{at.hour:02d}{at.minute:02d}{at.second:02d}")


def unpack_date(data: bytes) -> date:
    """The day in 4 bytes of YYYYMMDD. Raises ValueError if there is no such day."""
    text = data.hex()
    if len(text) != 8 or not text.isdecimal():
        raise ValueError(f"a date is 8 decimal digits, got {text.upper()}")
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def unpack_time(data: bytes) -> time:
    """The time of day in 3 bytes of hhmmss. Raises ValueError if there is no such time."""
    text = data.hex()
    if len(text) != 6 or not text.isdecimal():
        raise ValueError(f"a time is 6 decimal digits, got {text.upper()}")
    return time(int(text[:2]), int(text[2:4]), int(text[4:]))


def unpack_moment(data: bytes) -> datetime:
    """The time in 7 bytes of YYYYMMDDhhmmss, without a zone. Raises ValueError if there is none.

    >>> unpack_moment(bytes.fromhex("20250908073015"))
    datetime.datetime(2025, 9, 8, 7, 30, 15)
    """
    text = data.hex()
    if len(text) != 14 or not text.isdecimal():
        raise ValueError(f"a time is 14 decimal digits, got {text.upper()}")
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    return datetime(year, month, day, int(text[8:10]), int(text[10:12]), int(text[12:]))


@value
class Moment:
    """A point in time as card and terminal exchange it: 4 bytes of date, 3 bytes of time.

    >>> Moment.of(datetime(2025, 9, 8, 7, 30, 15)).both.hex()
    '20250908073015'
    """

    date: bytes
    time: bytes

    @classmethod
    def of(cls, at: datetime) -> "Moment":
        """From a local (Asia/Shanghai) time."""
        # Not strftime: its %Y does not fill early years with zeros.
        text = at.isoformat(" ", "seconds")[:19].replace("-", "").replace(":", "")
        both = bytes.fromhex(text)
        return cls(both[:4], both[4:])

    @property
    def both(self) -> bytes:
        """YYYYMMDDhhmmss, 7 bytes."""
        return self.date + self.time
