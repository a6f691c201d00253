"""Exchanges as people see them: names, bytes and fields, the same in every report."""

from collections.abc import Sequence
from dataclasses import dataclass

from apdu.secret import has_secret
from apdu.show import Line
from apdu.trace import explain_command, explain_response
from bench.conformance.lab import Said
from bench.conformance.runner import Violation
from bench.tracing.words import exchange_name, status_text

_HEADER = 5
HIDDEN = ".."
"""What stands for each byte of a PIN or a key."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One exchange in words.

    answer:  hexadecimal, None if there was none or nobody waited for it.
    broke:   the bytes of the answer that broke the rule, first and behind the last; None if this
             exchange does not show it.
    note:    what happened beside it.
    """

    name: str
    command: str
    request: tuple[Line, ...]
    answer: str | None
    status: str
    reply: tuple[Line, ...]
    broke: tuple[int, int] | None
    note: str
    took_us: float


def shown(said: Sequence[Said], violation: Violation | None, is_ours: bool) -> list[Shown]:
    """All exchanges of a case. is_ours: PINs in the bytes are not hidden, they are public."""
    return [_shown(one, _broken_bytes(one, violation, at), is_ours) for at, one in enumerate(said)]


def command_hex(command: bytes, is_ours: bool) -> str:
    """A command in hexadecimal; on a foreign card without the bytes that may be a PIN or a key."""
    if is_ours or not has_secret(command):
        return command.hex().upper()
    return command[:_HEADER].hex().upper() + HIDDEN * len(command[_HEADER:])


def _shown(said: Said, broke: tuple[int, int] | None, is_ours: bool) -> Shown:
    if not said.command and said.note:
        return Shown(said.note, "", (), None, "", (), broke, "", 0.0)
    reply: tuple[Line, ...] = ()
    if said.response is not None:
        reply = tuple(explain_response(said.response, said.command).lines)
    return Shown(
        name=exchange_name(said.command),
        command=command_hex(said.command, is_ours),
        request=tuple(explain_command(said.command).lines),
        answer=None if said.response is None else said.response.hex().upper(),
        status=said.note or status_text(said.response),
        reply=reply,
        broke=broke,
        note=said.note,
        took_us=said.took_ns / 1000,
    )


def _broken_bytes(said: Said, violation: Violation | None, at: int) -> tuple[int, int] | None:
    if violation is None or violation.at != at:
        return None
    return violation.where or (0, len(said.response or b""))
