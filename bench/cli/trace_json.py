"""Rows of a recording for programs."""

from typing import Any

from apdu.event import Source
from apdu.fresh import command_lines, response_lines
from apdu.rf import crc_of
from bench.tracing.rows import Apdu, Row
from bench.tracing.words import exchange_name, status_text


def row_json(row: Row) -> dict[str, Any]:
    """One row. Times in nanoseconds, money in fen. The bytes of a PIN or key are null."""
    shown: dict[str, Any] = {"t_ns": row.t_ns, "delta_ns": row.delta_ns, "tap": row.tap}
    event = row.event
    if event is not None and row.words is not None and event.source is not Source.FIELD:
        shown["frame"] = {
            "dir": event.source.value,
            "hex": None if row.hidden else event.data.hex().upper(),
            "bits": 8 * len(event.data) - (8 - event.tail) - event.head,
            "crc_ok": crc_of(event),
            "title": row.words.title,
            "fields": [line._asdict() for line in row.words.lines],
        }
        if row.words.block is not None:
            shown["block"] = row.words.block.title
    elif event is not None:
        shown[event.source.value] = {
            "name": row.words.title if row.words else event.name,
            "note": event.note,
            "gate": event.gate,
        }
    if row.apdu is not None:
        shown["apdu"] = _apdu_json(row.apdu)
        if row.hidden:
            shown["apdu"]["hex"] = None
    if row.money is not None:
        shown["money"] = {
            "purse": row.money.purse,
            "amount_fen": row.money.amount,
            "before_fen": row.money.before,
            "after_fen": row.money.after,
        }
    if row.marks:
        shown["marks"] = list(row.marks)
    return shown


def _apdu_json(apdu: Apdu) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "to": apdu.to,
        "dir": "picc" if apdu.is_response else "pcd",
        "name": exchange_name(apdu.command),
        "hex": apdu.data.hex().upper(),
    }
    if apdu.is_response:
        shown["sw"] = apdu.data[-2:].hex().upper()
        shown["status"] = status_text(apdu.data)
        lines = response_lines(apdu.command, apdu.data, fresh=True)
    else:
        lines = command_lines(apdu.data, fresh=True)
    shown["fields"] = [line._asdict() for line in lines]
    return shown
