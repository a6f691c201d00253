"""Names for people: of an exchange, of how many there are, of status words."""

from typing import Final

from apdu.commands import AID_PPSE, AID_PURSE, SAM_TABLE, TABLE
from apdu.sw import describe
from apdu.trace import Explanation, explain_command, explain_exchange

_APPLICATIONS: Final = {AID_PPSE.hex().upper(): "PPSE", AID_PURSE.hex().upper(): "purse"}
_NAMES: Final = frozenset(spec.name for table in (TABLE, SAM_TABLE) for spec in table)
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def exchange_name(command: bytes) -> str:
    """A command's name, with the file, record, application or balance it is about.

    >>> exchange_name(bytes.fromhex("00B0950000")), exchange_name(bytes.fromhex("805C000204"))
    ('READ BINARY EF15', 'GET BALANCE')
    >>> exchange_name(bytes.fromhex("80AA0000"))
    '80AA, not in the table'
    >>> exchange_name(bytes.fromhex("00B201D400"))
    'READ RECORD EF1A 1'
    """
    return _name(command, explain_command(command))


def exchange_words(
    command: bytes, response: bytes | None
) -> tuple[str, Explanation, Explanation | None]:
    """An exchange's name, what was asked and what was answered; the command is looked up once.

    >>> name, _, said = exchange_words(bytes.fromhex("805C000204"), bytes.fromhex("000013889000"))
    >>> name, said.status
    ('GET BALANCE', '9000 done')
    """
    if response is None:
        asked, said = explain_command(command), None
    else:
        asked, said = explain_exchange(command, response)
    return _name(command, asked), asked, said


def _name(command: bytes, asked: Explanation) -> str:
    if asked.title not in _NAMES:
        return f"{command[:2].hex().upper()}, not in the table"
    values = {line.label: line.value for line in asked.lines}
    about = [values[label] for label in ("file", "record") if label in values]
    if asked.title == "SELECT":
        about.append(_APPLICATIONS.get(values.get("name", ""), values.get("name", "")))
    return " ".join((asked.title, *about))


def status_text(response: bytes | None) -> str:
    """A status word and its meaning, or that there was no answer."""
    if response is None:
        return "no answer"
    sw = int.from_bytes(response[-2:], "big")
    return f"{sw:04X} {describe(sw)}" if len(response) >= 2 else "no status word"


def counted(count: int, what: str) -> str:
    """A number and what it counts, small numbers in words.

    >>> counted(1, "exchange"), counted(12, "frame")
    ('one exchange', '12 frames')
    """
    number = _NUMBERS[count] if count < len(_NUMBERS) else f"{count}"
    return f"{number} {what}{'' if count == 1 else 's'}"
