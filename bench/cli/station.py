"""`tapbench station`: what a station's computer does for its gates, over HTTP.

Each gate has its own copy of the blacklist and its own journal, and works without the office. The
station brings the copies to the newest version, which a gate takes over before its next card, cuts
new records into batches, and sends what waits.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cli.remote import service_at
from bench.device.settings import Settings, read_settings
from bench.problem import Problem
from reader.blacklist_file import BlacklistFile
from reader.http_line import Service, fetch_blacklist, forward_http
from reader.journal import JournalError, journal_gate
from reader.outbox import Outbox
from reader.upload import LineError, Uplink


@dataclass(frozen=True, slots=True)
class Station:
    """Its gates' files, where its batches wait, and the office."""

    gates: tuple[Path, ...]
    outbox: Path
    service: Service
    as_json: bool


def station(
    gates: Iterable[Path], outbox: Path, url: str, token: Path | None, every_s: float, as_json: bool
) -> int:
    """Fetch and send once, or again and again. Returns 1 if a batch was refused for good.

    Raises Problem, SettingsError, BlacklistError, JournalError, OutboxError, LineError.
    """
    here = Station(tuple(gates), outbox, service_at(url, token), as_json)
    settings = [read_settings(path) for path in here.gates]
    for path, one in zip(here.gates, settings, strict=True):
        if one.blacklist is None and one.journal is None:
            raise Problem(f"the gate of {path} keeps neither blacklist nor journal; name one there")
    if not every_s:
        return _turn(here, settings)
    while True:
        try:
            _turn(here, settings)
        except LineError as error:  # the gates go on without the office, and so does the station
            print(f"{error}", flush=True)
        time.sleep(every_s)


def _turn(here: Station, settings: list[Settings]) -> int:
    lists = {one.blacklist for one in settings if one.blacklist is not None}
    told: dict[str, Any] = {"blacklists": [_fetched(path, here.service) for path in sorted(lists)]}
    outbox = Outbox(here.outbox)
    told["cut"] = sum(_cut(outbox, one.journal) for one in settings if one.journal is not None)
    uplink = Uplink(outbox)
    told["delivered"] = forward_http(uplink, here.service, time.monotonic)
    told["refused"] = uplink.refused
    if here.as_json:
        print(json.dumps(told), flush=True)
    else:
        print(_words(told), flush=True)
    return int(bool(uplink.refused))


def _fetched(path: str, service: Service) -> dict[str, Any]:
    held = BlacklistFile(path)
    before = held.blacklist.version
    fetch_blacklist(held, service)
    found = held.blacklist
    return {"file": path, "before": before, "version": found.version, "cards": len(found)}


def _cut(outbox: Outbox, journal: str) -> int:
    """New batches of a gate's journal; none before the gate has made one."""
    if not Path(journal).exists():
        return 0
    try:
        gate = journal_gate(Path(journal))
    except OSError as error:
        raise Problem(f"{journal} cannot be read: {error.strerror}") from error
    if gate is None:
        raise JournalError(f"{journal} is no gate's journal; look at the gate's file")
    return outbox.cut(journal, gate)


def _words(told: dict[str, Any]) -> str:
    lines = [
        f"{one['file']}: blacklist version {one['version']}, {one['cards']} cards"
        + (f" (was version {one['before']})" if one["before"] != one["version"] else "")
        for one in told["blacklists"]
    ]
    lines += [f"refused {one}" for one in told["refused"]]
    return "\n".join([*lines, f"{told['cut']} batches cut, {told['delivered']} delivered"])
