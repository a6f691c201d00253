"""One shard of a city's day: its money, its TACs, and what is found if somebody tampers."""

import subprocess
import sys
from array import array
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from bench.city.plan import CityPlan, network, plan_shard, stations
from bench.city.result import Tally, digest_of
from bench.city.run import run_city
from bench.city.shard import COLUMNS, Street, play_shard

PLAN = CityPlan(120, date(2026, 9, 1), 1, 60)


@pytest.fixture(scope="module")
def played():
    return play_shard(PLAN, 0)


def test_no_fen_is_lost_and_clearing_has_every_record_with_its_tac(played):
    tally, money = played.tally, played.tally.money
    planned, places = plan_shard(PLAN, 0), stations()
    fares = [network().fare(places[t.origin], places[t.target]) for t in planned.trips]
    assert tally.problems == []
    assert tally.findings == Counter()
    assert (tally.trips, tally.taps, tally.records, tally.tacs) == (60, 120, 120, 120)
    assert money.opening == sum(planned.opening)
    assert money.fares == money.cleared == money.tariff == sum(fares)
    assert money.closing == sum(planned.opening) - sum(fares)
    assert tally.by_fare == Counter(fares)
    assert sum(tally.entries.values()) == sum(tally.exits.values()) == 60
    assert tally.way_in == Counter(t.origin for t in planned.trips)
    assert tally.way_out == Counter(t.target for t in planned.trips)


def test_the_columns_are_the_trips(played):
    columns = {name: array(code) for name, code in COLUMNS.items()}
    for name, column in columns.items():
        column.frombytes(played.columns[name])
    trips = plan_shard(PLAN, 0).trips
    assert list(columns["entered"]) == [trip.entered for trip in trips]
    assert list(columns["exit_station"]) == [trip.target for trip in trips]
    assert sum(columns["fare"]) == played.tally.money.fares
    last = dict(zip(columns["card"], columns["balance"], strict=True))
    assert sum(last.values()) == played.tally.money.closing


def test_a_shard_played_again_comes_to_the_same(played):
    again = play_shard(PLAN, 0)
    assert again.digest == played.digest
    assert again.tally == played.tally
    assert again.columns == played.columns
    assert play_shard(PLAN, 1).digest != played.digest
    assert play_shard(replace(PLAN, seed=2), 0).digest != played.digest


def once(change):
    """Do something to the first records that come by."""
    done = []

    def carry(records):
        if done:
            return records
        done.append(True)
        return change(list(records))

    return carry


def cheaper(records):
    return [replace(records[0], amount=records[0].amount + 100), *records[1:]]


def with_another_tac(records):
    return [replace(records[0], tac=bytes(4)), *records[1:]]


def misnumbered(records):
    return [*records[:-1], replace(records[-1], sequence=len(records) + 5)]


def without_the_first(records):
    return records[1:]


def without_the_last(records):
    return records[:-1]


def doubled(records):
    return [*records, replace(records[-1], sequence=records[-1].sequence + 1)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_the_first, ["60 trips have 119 records cleared", "119 right TACs"]),
        (without_the_last, ["60 trips have 119 records cleared", "119 right TACs"]),
        (doubled, ["C02", "60 trips have 121 records cleared"]),
        (cheaper, ["C01", "C04", "119 right TACs", "fen, but clearing has"]),
        (with_another_tac, ["C01", "119 right TACs"]),
        (
            misnumbered,
            ["clearing refused a batch: a record in it cannot be read", "records cleared"],
        ),
    ],
)
def test_who_tampers_with_records_is_found(change, said):
    tally = play_shard(PLAN, 0, once(change)).tally
    for words in said:
        assert any(words in problem for problem in tally.problems), tally.problems


def test_a_card_that_no_gate_lets_through_is_told_of():
    street = Street(PLAN, 0)
    street.cards[0] = street.issue.fresh(299)
    street.play()
    street.clear(lambda records: records)
    problems = street.tally.problems
    assert "did not let card 0 through: balance too low" in problems[0]
    refused = 2 * sum(trip.card == 0 for trip in street.trips)
    assert f"60 trips have {120 - refused} taps passed" in problems
    assert any(one.startswith("the tariff says") for one in problems)


@pytest.mark.parametrize("way", ["what two trips cost", "what two cards hold"])
def test_a_mistake_that_sums_hide_is_found(way):
    street = Street(PLAN, 0)
    street.play()
    if way == "what two trips cost":
        street._fares[0] += 100
        street._fares[-1] -= 100
        said = "trips that cost something else than the tariff says: 2"
    else:
        ends = [street.cards[0], street.cards[-1]]
        street.cards[0], street.cards[-1] = ends[::-1]
        said = "cards that do not hold what they had less their fares: 2"
    street.clear(lambda records: records)
    money = street.tally.money
    assert money.faults() == []
    assert said in street.tally.problems


def test_the_most_memory_is_the_worker_s_own_and_not_of_who_started_it():
    script = """if True:
        import subprocess, sys
        ballast = bytearray(400 << 20)
        ballast[::4096] = bytes([1]) * len(ballast[::4096])
        ask = "from bench.city.shard import peak_mib; print(peak_mib())"
        print(subprocess.run([sys.executable, "-c", ask], stdout=-1, text=True).stdout)
    """
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert 10 < float(done.stdout) < 300


def test_a_tally_survives_json(played):
    assert Tally.from_json(played.tally.as_json()) == played.tally


def test_the_digest_of_a_city_depends_on_the_order_of_shards():
    assert digest_of(["aa", "bb"]) != digest_of(["bb", "aa"])


class Repeating:
    """A crew that delivers everything twice."""

    workers, repeated = 1, 0

    def ready(self):
        pass

    def play(self, plan, shards):
        for number in shards:
            result = play_shard(plan, number)
            yield result
            yield result

    def close(self):
        pass


def test_a_shard_that_comes_twice_counts_once(played):
    city = run_city(PLAN, Repeating())
    assert city.is_good
    assert (city.tally.trips, city.played) == (120, 120)
    assert city.digest == digest_of([played.digest, play_shard(PLAN, 1).digest])
