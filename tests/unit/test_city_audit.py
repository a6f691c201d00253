"""A city's day held against a second opinion that shares no code with it.

Distances, fares and cryptograms are computed here from the files and the references alone: rail by
domain facts 3.2, keys and TACs by `tests.vectors.independent`.
"""

import tomllib
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta, timezone
from importlib.resources import files
from itertools import pairwise, product

import pyarrow.parquet as pq
import pytest

import fixtures
from bench.city.folder import CityFolder
from bench.city.plan import CityPlan
from bench.city.shard import play_shard
from tests.vectors.independent import OPS

PLAN = CityPlan(200, date(2026, 9, 1), 11, 100)
BEIJING = timezone(timedelta(hours=8))
ENTRY, EXIT = 0x03, 0x04


FAR = 10**9
"""Where no way leads."""


def neighbours():
    """Pairs of stations of the distance fare with the metres between them, and all stations."""
    found = tomllib.loads((files("fixtures.network") / "beijing-sample.toml").read_text("utf-8"))
    ways, keys = [], []
    for line in found["lines"]:
        stops = [] if "tariff" in line else line.get("stations", [])
        row = [f"{line['code']:02X}{one['code']:04X}" for one in stops]
        keys += row
        ways += [(*ends, stop["m"]) for ends, stop in zip(pairwise(row), stops[1:], strict=True)]
        if "loop_m" in line:
            ways.append((row[-1], row[0], line["loop_m"]))
    return ways + [(*one["between"], 0) for one in found["transfers"]], keys


def distances():
    """Metres between any two stations, by everything against everything."""
    ways, keys = neighbours()
    found = defaultdict(lambda: FAR)
    for one, other, metres in ways:
        found[one, other] = found[other, one] = min(metres, found[one, other])
    for by, one in product(keys, keys):
        first = found[one, by]
        if first < FAR:
            for other in keys:
                found[one, other] = min(found[one, other], first + found[by, other])
    return found


def fare_fen(metres):
    """Domain facts 3.2, for students too."""
    for most, yuan in ((6_000, 3), (12_000, 4), (22_000, 5), (32_000, 6)):
        if metres <= most:
            return yuan * 100
    return 600 + 100 * -(-(metres - 32_000) // 20_000)


def key_of(line, station):
    return f"{line[0]:02X}00{station[0]:02X}"


def at(bcd):
    return datetime.strptime(bcd.hex(), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Records as they came to clearing, the results, and the table."""
    records, results = [], []
    folder = tmp_path_factory.mktemp("city") / "day"

    def carry(some):
        records.extend(some)
        return some

    with CityFolder(folder, PLAN) as kept:
        for shard in range(PLAN.shards):
            results.append(play_shard(PLAN, shard, carry))
            kept.keep(results[-1])
    return records, results, pq.read_table(sorted(folder.glob("*.parquet"))).to_pylist()


@pytest.fixture(scope="module")
def by_card(day):
    found = defaultdict(list)
    for one in day[0]:
        found[one.serial].append(one)
    return {serial: sorted(some, key=lambda one: one.counter) for serial, some in found.items()}


def test_every_record_has_the_tac_that_a_second_opinion_computes(day):
    root = fixtures.load_roots()["TMK"].expose()
    diversify, tac = OPS["diversify"], OPS["tac"]
    assert len(day[0]) == 2 * PLAN.trips
    for one in day[0]:
        key = root
        for factor in (one.issuer, one.serial[-8:]):
            key = diversify({"key": key, "factor": factor})["key"]
        said = one.amount.to_bytes(4) + bytes((one.kind,)) + one.terminal
        said += one.terminal_seq.to_bytes(4) + one.when
        assert tac({"dtk": key, "data": said})["tac"] == one.tac


def test_every_card_s_money_and_number_follow_record_by_record(day, by_card):
    assert len(by_card) == sum(one.tally.cards for one in day[1])
    opening = closing = 0
    for some in by_card.values():
        assert [one.counter for one in some] == list(range(1, len(some) + 1))
        assert all(one.before - one.amount == one.after for one in some)
        assert all(one.after == other.before for one, other in pairwise(some))
        opening, closing = opening + some[0].before, closing + some[-1].after
    assert opening == sum(one.tally.money.opening for one in day[1])
    assert closing == sum(one.tally.money.closing for one in day[1])
    assert opening - closing == sum(one.amount for one in day[0])


def test_every_trip_costs_what_the_way_between_its_stations_does(by_card):
    ways = distances()
    for some in by_card.values():
        for entry, left in zip(some[::2], some[1::2], strict=True):
            assert (entry.trip, left.trip, entry.amount) == (ENTRY, EXIT, 0)
            assert entry.when < left.when
            assert (left.origin_line, left.origin_station) == (entry.line, entry.station)
            ends = key_of(entry.line, entry.station), key_of(left.line, left.station)
            assert ways[ends] < FAR
            assert left.amount == fare_fen(ways[ends]), ends


def test_every_row_of_the_table_is_a_pair_of_records(day, by_card):
    assert len(day[2]) == PLAN.trips
    rows = defaultdict(list)
    for one in day[2]:
        rows[one["card"]].append(one)
    assert len(rows) == len(by_card)
    for serial, some in by_card.items():
        pairs = zip(some[::2], some[1::2], strict=True)
        for (entry, left), row in zip(pairs, rows[int(serial.hex()[-10:])], strict=True):
            assert row["entry_station"] == key_of(entry.line, entry.station)
            assert row["exit_station"] == key_of(left.line, left.station)
            assert row["entered_at"].astimezone(UTC) == at(entry.when)
            assert row["left_at"].astimezone(UTC) == at(left.when)
            money = row["fare_fen"], row["balance_fen"], row["counter"]
            assert money == (left.amount, left.after, left.counter)
