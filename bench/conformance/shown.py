"""Exchanges as people see them: names, bytes and fields, the same in every report."""

from collections.abc import Sequence
from dataclasses import dataclass

from apdu.blocks import KINDS, Kind
from apdu.event import Event, Layer, Source
from apdu.rf import FrameReader
from apdu.secret import has_secret
from apdu.show import Line
from bench.conformance.lab import Said
from bench.conformance.radio import FIELD_OFF, FIELD_ON
from bench.conformance.runner import Violation
from bench.tracing.words import exchange_words, status_text

_HEADER = 5
SILENT = "silence"
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
    frames = FrameReader()
    made = []
    for at, one in enumerate(said):
        broke = _broken_bytes(one, violation, at)
        made.append(
            _frame(one, broke, is_ours, frames) if one.is_frame else _shown(one, broke, is_ours)
        )
    return made


def command_hex(command: bytes, is_ours: bool) -> str:
    """A command in hexadecimal; on a foreign card without the bytes that may be a PIN or a key."""
    if is_ours or not has_secret(command):
        return command.hex().upper()
    return command[:_HEADER].hex().upper() + HIDDEN * len(command[_HEADER:])


def _shown(said: Said, broke: tuple[int, int] | None, is_ours: bool) -> Shown:
    if not said.command and said.note:
        return Shown(said.note, "", (), None, "", (), broke, "", 0.0)
    name, asked, answered = exchange_words(said.command, said.response)
    return Shown(
        name=name,
        command=command_hex(said.command, is_ours),
        request=tuple(asked.lines),
        answer=None if said.response is None else said.response.hex().upper(),
        status=said.note or status_text(said.response),
        reply=() if answered is None else tuple(answered.lines),
        broke=broke,
        note=said.note,
        took_us=said.took_ns / 1000,
    )


def _frame(said: Said, broke: tuple[int, int] | None, is_ours: bool, frames: FrameReader) -> Shown:
    """A frame and its answer, as what came before them makes them mean."""
    if said.note in (FIELD_ON, FIELD_OFF):
        on = bytes([said.note == FIELD_ON])
        name = frames.read(Event(0, Source.FIELD, Layer.RF, on)).title
        return Shown(name, "", (), None, "", (), broke, "", 0.0)
    asked = frames.read(Event(0, Source.PCD, Layer.RF, said.command, has_crc=None))
    status, reply = SILENT, None
    if said.response is not None:
        reply = frames.read(Event(0, Source.PICC, Layer.RF, said.response, has_crc=None))
        status = reply.title
    return Shown(
        name=asked.title if said.command else "an empty frame",
        command=frame_hex(said.command, is_ours),
        request=tuple(asked.lines),
        answer=None if said.response is None else said.response.hex().upper(),
        status=said.note or status,
        reply=() if reply is None else tuple(reply.lines),
        broke=broke,
        note=said.note,
        took_us=said.took_ns / 1000,
    )


def frame_hex(frame: bytes, is_ours: bool) -> str:
    """A reader's frame in hexadecimal; to a foreign card without what I-blocks carry."""
    if is_ours or not frame or KINDS.get(frame[0]) is not Kind.I_BLOCK:
        return frame.hex().upper()
    return frame[:1].hex().upper() + HIDDEN * (len(frame) - 1)


def _broken_bytes(said: Said, violation: Violation | None, at: int) -> tuple[int, int] | None:
    if violation is None or violation.at != at:
        return None
    return violation.where or (0, len(said.response or b""))
