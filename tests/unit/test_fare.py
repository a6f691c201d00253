import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.network import load_network
from reader.fare import (
    BASE_FARE,
    Line,
    Network,
    Station,
    Tariff,
    Track,
    UnknownStation,
    rail_fare,
)

NETWORK = load_network()
stations = st.sampled_from([s for s in NETWORK.stations if NETWORK.tariff_at(s).in_month])
FLAT = Tariff("flat", ((0, 2_500),))

A = Station(1, 1, "甲", "Alpha")
B = Station(1, 2, "乙", "Beta")
C = Station(2, 1, "丙", "Gamma")


AB = Track(A, B, 5_000)


def network(*, listed=(A, B, C), tracks=(AB,), transfers=((B, C),), **fields):
    values = {"name": "Test", "city": bytes(2), "institution": bytes(8), "operator": bytes(2)}
    values |= fields
    return Network(**values, stations=listed, tracks=tracks, transfers=transfers)


# The table


@pytest.mark.parametrize(
    ("distance_m", "fare"),
    [
        (0, 300),
        (1, 300),
        (6_000, 300),
        (6_001, 400),
        (12_000, 400),
        (12_001, 500),
        (22_000, 500),
        (22_001, 600),
        (32_000, 600),
        (32_001, 700),
        (52_000, 700),
        (52_001, 800),
        (72_000, 800),
        (72_001, 900),
        (112_000, 1_000),
        (112_001, 1_100),
    ],
)
def test_fare_to_the_fen(distance_m, fare):
    assert rail_fare(distance_m) == fare


def test_negative_distance_is_refused():
    with pytest.raises(ValueError, match="-1 m"):
        rail_fare(-1)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_longer_way_is_never_cheaper(a, b):
    shorter, longer = sorted((a, b))
    assert rail_fare(shorter) <= rail_fare(longer)


@given(st.integers(0, 10**9))
def test_fares_are_whole_yuan_from_three_up(distance_m):
    fare = rail_fare(distance_m)
    assert fare >= BASE_FARE
    assert fare % 100 == 0


@given(st.integers(32_000, 10**9))
def test_every_further_20_km_cost_one_yuan(distance_m):
    assert rail_fare(distance_m + 20_000) == rail_fare(distance_m) + 100


# Ways through a network


@given(stations, stations)
def test_fares_are_the_same_both_ways(a, b):
    assert NETWORK.distance_m(a, b) == NETWORK.distance_m(b, a)
    assert NETWORK.fare(a, b) == NETWORK.fare(b, a)


@given(stations, stations, stations)
def test_a_detour_is_never_shorter(a, b, c):
    assert NETWORK.distance_m(a, c) <= NETWORK.distance_m(a, b) + NETWORK.distance_m(b, c)


@given(stations, stations)
def test_every_fare_lies_between_the_cheapest_and_the_dearest(a, b):
    assert NETWORK.min_fare <= NETWORK.fare(a, b) <= NETWORK.max_fare_from(a)


@given(stations)
def test_in_and_out_at_the_same_station_costs_the_base_fare(a):
    assert NETWORK.fare(a, a) == 300


def test_the_shorter_of_two_ways_counts():
    around = (Track(A, B, 9_000), Track(A, C, 2_000), Track(C, B, 3_000))
    assert network(tracks=around, transfers=()).distance_m(A, B) == 5_000


def test_a_transfer_costs_no_distance():
    assert network().distance_m(B, C) == 0
    assert network().distance_m(A, C) == 5_000


def test_a_line_of_another_tariff_is_a_paid_area_of_its_own():
    airport = (Line(1, "", "City"), Line(2, "", "Airport", FLAT))
    apart = network(transfers=(), lines=airport)
    assert apart.fare(A, B) == 300
    assert apart.fare(C, C) == 2_500
    assert (apart.min_fare_from(A), apart.min_fare_from(C)) == (300, 2_500)
    with pytest.raises(UnknownStation, match=r"010001 Alpha to 020001 Gamma.* rail and flat\.$"):
        apart.fare(A, C)


def test_platforms_of_an_interchange_are_one_place():
    assert network().is_same_place(B, C)
    assert network().is_same_place(A, A)
    assert not network().is_same_place(A, B)


def test_fare_to_a_station_elsewhere_is_refused():
    elsewhere = Station(9, 9, "他", "Elsewhere")
    with pytest.raises(UnknownStation, match="Elsewhere"):
        network().fare(A, elsewhere)
    with pytest.raises(UnknownStation, match="Elsewhere"):
        network().fare(elsewhere, A)


# Finding a station


@pytest.mark.parametrize(
    "name",
    ["奥林匹克公园", " 奥林匹克 公园", "Olympic Green", "olympicGREEN", "080019", "0819", "08 19"],
)
def test_station_is_found_by_name_or_code(name):
    assert NETWORK.station(name) is NETWORK.at(0x08, 0x19)


def test_an_interchange_is_found_on_the_line_listed_first():
    assert NETWORK.station("xizhimen").key == "020001"
    assert NETWORK.station("04002b").name_en == "Xizhimen"


def test_unknown_station_lists_close_names():
    with pytest.raises(UnknownStation, match=r"no station 'Olympic Gren'; close: Olympic Green"):
        NETWORK.station("Olympic Gren")


def test_unknown_station_without_close_names_says_only_that():
    with pytest.raises(UnknownStation, match=r"no station '\?'\.$"):
        NETWORK.station("?")


@given(st.text())
def test_any_text_is_a_station_or_unknown(name):
    try:
        found = NETWORK.station(name)
    except UnknownStation:
        return
    assert found in NETWORK.stations


def test_keys_and_record_fields_spell_the_codes():
    station = NETWORK.station("Yongtaizhuang")
    assert station.key == "080013"
    assert (station.line_bytes, station.station_bytes) == (b"\x08\x00", b"\x13\x00")


# Data that do not fit


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"listed": ()}, "at least one"),
        ({"listed": (A, A, B, C)}, "Two stations"),
        ({"listed": (A, B)}, "not in the list"),
        ({"transfers": ()}, "No way leads from 010001 to 020001"),
        ({"lines": (Line(2, "", "", FLAT),)}, "010002 and 020001 have different tariffs"),
        ({"lines": (Line(2, "", ""), Line(2, "", ""))}, "Two lines have the code 02"),
        ({"tracks": (Track(A, B, 0),)}, "is 0 m"),
        ({"city": b"\x10"}, "city of a network is 2 bytes, not 1"),
        ({"institution": bytes(7)}, "institution"),
        ({"operator": bytes(3)}, "operator"),
    ],
)
def test_network_that_does_not_fit_is_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        network(**fields)


@pytest.mark.parametrize("code", [0, 0xFF])
def test_every_byte_is_a_code(code):
    assert (Line(code, "", "").code, Station(code, code, "", "").code) == (code, code)


@pytest.mark.parametrize(("line", "code"), [(256, 0), (-1, 0), (0, 256)])
def test_station_codes_are_single_bytes(line, code):
    with pytest.raises(ValueError, match="one byte"):
        Station(line, code, "", "")
    if line > 0xFF or line < 0:
        with pytest.raises(ValueError, match="one byte"):
            Line(line, "", "")
