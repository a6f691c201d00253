"""Trips as gates and buses write them, built like the captures (protocol reference 6.1 to 6.3)."""

from dataclasses import replace
from typing import Any

from apdu.files import EF1A, EF1E, BusTrip, RailTrip, TripLog
from bench.conformance.desk import DATE, TERMINAL, TIME
from bench.conformance.lab import Lab
from bench.conformance.scenes import (
    TRIP,
    Inputs,
    answers,
    available_after,
    begin,
    cache,
    finish,
)
from bench.conformance.words import Words
from emulator.card.state import Blocked

_INSTITUTION = bytes.fromhex("01011000FFFFFFFF")
_CITY = bytes.fromhex("1000")
_LATER = bytes.fromhex("20250908080142")

Record = tuple[int, bytes]


def rich(balance: int = 5000, **also: Any) -> dict[str, Any]:  # noqa: ANN401 - profile fields
    """A setup with a balance in fen, no open or locked trip, and these fields."""
    return {
        "blocked": Blocked.NO,
        "balance": balance,
        "ceiling": 100_000,
        "overdraft_limit": 0,
        "overdraft_used": 0,
        "online_seq": 3,
        "offline_seq": 0x12,
        "trip_record": None,
        **also,
    }


def rail(balance: int, fare: int | None = None) -> tuple[Record, Record]:
    """EF1A 2701 and EF1E of a rail trip: at the entry, or at the exit with a fare in fen."""
    is_exit = fare is not None
    entered = RailTrip(
        b"\x27\x01", 0x7D, 1, 1, 0, bytes.fromhex("0000000000025701"), 1,
        _CITY, bytes(2), _INSTITUTION, bytes(8),
        bytes.fromhex("1000751309000819"), bytes(8),
        bytes.fromhex("100075131F081909"), bytes(8),
        DATE + TIME, bytes(7), 900, 0x08, 0, 0, balance, 0, b"\x01" + bytes(28),
    )  # fmt: skip
    if fare is not None:
        entered = replace(
            entered,
            state=2,
            exit_city=_CITY,
            exit_institution=_INSTITUTION,
            exit_station=bytes.fromhex("1000751309001900"),
            exit_time=_LATER,
            exit_line=0x08,
            exit_amount=fare,
        )
    log = TripLog(
        4 if is_exit else 3, bytes(2) + TERMINAL, 1, b"\x08\0", b"\x13\0", b"\x30\0", 0,
        fare or 0, balance - (fare or 0), _LATER if is_exit else DATE + TIME, _CITY, _INSTITUTION,
        bytes(6),
    )  # fmt: skip
    return (EF1A.sfi, entered.build()), (EF1E.sfi, log.build())


def bus(balance: int, fare: int | None = None) -> tuple[Record, Record]:
    """EF1A 2702 and EF1E of a bus trip by distance: boarding, or alighting with a fare."""
    log = rail(balance, fare)[1][1]
    none8, none2 = bytes(8), bytes(2)
    got_off = (
        (none2, none8, none2, none2, 0, none8, none8, bytes(7), 0)
        if fare is None
        else (_CITY, _INSTITUTION, b"\x30\0", b"\x04\x43", 9, b"BUS00001", none8, _LATER, fare)
    )
    record = BusTrip(
        b"\x27\x02", 0x7D, 1, 1, 0, none8, 1 if fare is None else 2,
        _CITY, _INSTITUTION, b"\x30\0", b"\x04\x43", 1, b"BUS00001", none8, DATE + TIME, 600, 0xAB,
        *got_off, 0, bytes(26),
    )  # fmt: skip
    return (EF1A.sfi, record.build()), (EF1E.sfi, log[:9] + b"\x02" + log[10:])


def ride(lab: Lab, amount: int, *records: Record) -> Inputs:
    """A whole CAPP purchase, its cryptograms checked."""
    q = begin(lab, TRIP, amount)
    want, _ = answers(lab, TRIP, q, available_after(lab, TRIP, q))
    cache(lab, *records)
    lab.must_be(finish(lab, TRIP, q), want, Words("TAC and MAC2", "TAC 和 MAC2"), clause="5.5")
    return q
