"""Rail networks and bus lines as files: what they hold, and files that are wrong."""

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import fixtures.network
from bench.cli.app import _sentence
from fixtures.network import NetworkError, load_network, network_names, parse_network, read_network
from fixtures.network.buses import bus_network_names, load_buses, parse_buses, read_buses
from reader.fares.bus import (
    Heading,
    LineKind,
    Rider,
    UnknownLine,
    boarding_balance,
    bus_charge,
    missed_charge,
)
from reader.fares.month import MonthTotal
from reader.fares.rail import rail_charge
from reader.fares.tariff import BUS, RAIL
from reader.policy import Policy

FOLDER = Path(fixtures.network.__file__).parent
RAIL_TEXT = (FOLDER / "beijing-sample.toml").read_text("utf-8")
BUS_TEXT = (FOLDER / "beijing-sample.bus.toml").read_text("utf-8")
NETWORK, BUSES = load_network(), load_buses()
STUDENT, NORMAL, BEIJING = Rider(0x02), Rider(0x01), Policy()

REFERENCE = {
    "010001": "Gaojing",
    "01000F": "Xidan",
    "020001": "Xizhimen",
    "040015": "Anheqiao North",
    "040027": "National Library",
    "04002B": "Xizhimen",
    "080013": "Yongtaizhuang",
    "080019": "Olympic Green",
    "080027": "Nanluoguxiang",
}
"""Stations of protocol reference 3.6."""

LINES = {*range(0x01, 0x17), 0x4F, *range(0x52, 0x56), 0x58, 0x59, *range(0x5B, 0x63)}
"""Lines of protocol reference 3.6."""


# The rail network


def test_all_lines_and_stations_of_the_reference_are_there_with_their_codes():
    assert {line.code for line in NETWORK.lines} - {0xF0} == LINES
    assert {key: NETWORK.station(key).name_en for key in REFERENCE} == REFERENCE
    named = {line.code: line.name_en for line in NETWORK.lines}
    assert (named[0x0A], named[0x13], named[0x62]) == ("Line 10", "Line 19", "Capital Airport Line")


def test_the_ladders_stations_cost_four_yuan():
    entry, leave = NETWORK.at(0x08, 0x13), NETWORK.at(0x08, 0x19)
    assert (NETWORK.distance_m(entry, leave), NETWORK.fare(entry, leave)) == (6_128, 400)


def test_the_network_carries_the_operator_of_the_captured_records():
    assert NETWORK.institution.hex().upper() == "01011000FFFFFFFF"
    assert (NETWORK.city, NETWORK.operator) == (b"\x10\x00", b"\x30\x00")


def test_every_edge_of_the_fare_is_a_ride_on_the_network():
    gaojing = NETWORK.station("Gaojing")
    fares = {
        NETWORK.distance_m(gaojing, s): NETWORK.fare(gaojing, s) for s in NETWORK.stations[-13:]
    }
    assert fares == {
        0: 300,
        6_000: 300,
        6_001: 400,
        12_000: 400,
        12_001: 500,
        22_000: 500,
        22_001: 600,
        32_000: 600,
        32_001: 700,
        52_000: 700,
        52_001: 800,
        72_000: 800,
        72_001: 900,
    }


def test_rides_over_real_stations_have_every_fare_from_three_to_eight_yuan():
    start = NETWORK.station("Tiangongyuan")
    real = [s for s in NETWORK.stations if s.line != 0xF0 and NETWORK.tariff_at(s) == RAIL]
    assert {NETWORK.fare(start, s) for s in real} == {300, 400, 500, 600, 700, 800}


def test_interchanges_are_the_same_place_on_two_lines():
    for a, b in NETWORK.transfers:
        assert a.name_zh == b.name_zh
        assert a.line != b.line
        assert NETWORK.is_same_place(a, b)


def test_the_loop_is_closed():
    west, east = NETWORK.at(2, 0x12), NETWORK.at(2, 0x01)
    assert NETWORK.distance_m(west, east) == 1_899


def test_the_capital_airport_line_is_flat_and_the_daxing_one_ten_to_thirty_five():
    city, terminal = NETWORK.at(0x62, 0x15), NETWORK.at(0x62, 0x1B)
    assert NETWORK.fare(city, terminal) == NETWORK.fare(city, city) == 2_500
    caoqiao, xincheng, airport = (NETWORK.at(0x58, code) for code in (0x17, 0x19, 0x1B))
    assert NETWORK.fare(caoqiao, xincheng) == 1_000
    assert NETWORK.fare(xincheng, airport) == 2_500
    assert NETWORK.fare(caoqiao, airport) == 3_500
    for station in (city, caoqiao):
        assert not NETWORK.tariff_at(station).in_month


def test_a_month_of_rides_on_the_network_is_the_printed_one():
    entry, leave = NETWORK.station("Gaojing"), NETWORK.station("Sample 22000m")
    total, amounts = MonthTotal(), []
    for minute in range(134):
        at = datetime(2025, 9, 8, 6) + timedelta(minutes=minute)
        charge = rail_charge(NETWORK.ride(entry, leave, at, at), total, BEIJING)
        total = charge.month
        amounts.append(charge.amount)
    assert amounts == [500] * 20 + [400] * 13 + [250] * 100 + [500]
    assert total.paid == 40_700


def test_a_ride_to_another_platform_of_the_same_place_is_one_to_the_same_station():
    at = datetime(2025, 9, 8, 6)
    back = NETWORK.ride(NETWORK.at(2, 0x01), NETWORK.at(4, 0x2B), at, at)
    assert back.is_same_station
    assert rail_charge(back, MonthTotal(), BEIJING).refundable == 300
    airport = NETWORK.ride(NETWORK.at(0x62, 0x15), NETWORK.at(0x62, 0x1B), at, at)
    assert rail_charge(airport, MonthTotal(202509, 20_000), BEIJING).amount == 2_500


def test_the_rail_file_says_of_every_figure_where_it_comes_from():
    data = tomllib.loads(RAIL_TEXT)
    assert data["is_sample"]
    from_reference = set()
    for line in data["lines"]:
        is_made_up = line["code"] == 0xF0
        assert line["code_from"] == ("sample" if is_made_up else "reference")
        for station in line.get("stations", ()):
            said = station.get("code_from", line["codes_from"])
            assert said == "sample" if is_made_up else said in {"reference", "table"}
            if said == "reference":
                from_reference.add(f"{line['code']:02X}00{station['code']:02X}")
            if "m" in station:
                assert station.get("m_from", line["metres_from"]) in {"published", "sample"}
    assert from_reference == set(REFERENCE)


def test_networks_are_listed_and_others_refused():
    assert network_names() == bus_network_names() == ("beijing-sample",)
    with pytest.raises(NetworkError, match="there is beijing-sample"):
        load_network("../secret")
    with pytest.raises(NetworkError, match="there is beijing-sample"):
        load_buses("../secret")


# The buses


def test_the_printed_bus_examples_are_rides_on_the_sample_line():
    line = BUSES.line(300)
    first = line.stops[0]
    paid = {}
    for stop in line.stops:
        full = line.tariff.fare(stop.at_m)
        student = bus_charge(line, first, stop, STUDENT, BEIJING)
        paid[stop.at_m] = (full, bus_charge(line, first, stop, NORMAL, BEIJING), student)
    assert paid[10_000] == (200, 100, 50)
    assert paid[10_001] == (300, 150, 75)
    assert paid[20_000] == (400, 200, 100)
    assert paid[40_000] == (800, 400, 200)


def test_a_missed_tap_at_km_30_of_40_is_six_yuan():
    line = BUSES.line(300)
    boarded = next(stop for stop in line.stops if stop.at_m == 30_000)
    assert missed_charge(line, boarded) == 600
    assert boarding_balance(line, boarded, Heading.DOWN, STUDENT, BEIJING) == 150


def test_bus_rapid_transit_has_the_citys_concessions_and_its_public_codes():
    line = BUSES.line(0x0443)
    assert (line.name_zh, len(line.stops)) == ("快速公交1线", 17)
    assert (line.stop(0x01).name_zh, line.stop(0x11).name_zh) == ("德茂庄", "前门")
    assert line.kind is LineKind.CITY
    assert bus_charge(line, line.stops[0], line.stops[1], STUDENT, BEIJING) == 50


def test_there_is_a_line_of_each_kind_that_matters():
    flat = BUSES.line(5)
    assert flat.is_flat
    assert bus_charge(flat, flat.stops[0], flat.stops[0], STUDENT, BEIJING) == 50
    for number in (9001, 9002, 9003):
        line = BUSES.line(number)
        assert bus_charge(line, *line.stops[:2], STUDENT, BEIJING) == line.tariff.fare(
            line.stops[1].at_m
        )
    assert BUSES.line(300).tariff is BUS


def test_an_unknown_line_lists_those_there_are():
    said = "no line 0x0007; there is 0x0443 BRT 1, 0x012C Sample 300"
    with pytest.raises(UnknownLine, match=said):
        BUSES.line(7)


# Files that are wrong


@pytest.mark.parametrize(
    ("printed", "instead", "sentence"),
    [
        (
            '"Gaojing", code',
            '"Gaojing", cod = 1, code',
            "station 1: unknown entry 'cod'; close: code",
        ),
        ("code = 0x13, zh", "zh", "'code' is missing; expected a whole number"),
        ("m = 2553", "m = 2553.0", "'m' is 2553.0; expected a whole number"),
        ("m = 2553", "m = true", "'m' is true; expected a whole number"),
        ("m = 2553", "m = -2553", "080013 to 080015 is -2553 m."),
        (", m = 2553", "", "'m' is missing; expected a whole number"),
        ("code = 0x15, zh", "code = 0x13, zh", "Two stations have the code"),
        ("code = 0x15, zh", "code = 0x115, zh", "A station code is one byte, not 277."),
        ('code_from = "reference"', 'code_from = "hearsay"', "expected a key of [sources]:"),
        ('codes_from = "table"\n', "", "'codes_from' is missing; a line with stations says"),
        ('city = "1000"', 'city = "10"', "'city' is '10'; expected 4 hexadecimal digits"),
        ('city = "1000"', 'city = "Rome"', "'city' is 'Rome'; expected 4 hexadecimal digits"),
        (
            'tariff = "capital-airport"',
            'tariff = "x"',
            "there is no tariff 'x'; choose one of: rail",
        ),
        ("[tariffs.capital-airport]", "[tariffs.rail]", "tariff rail: this name is the common"),
        (
            "steps = [[0, 2500]]",
            "steps = [[0, 2500.0]]",
            "step [0, 2500.0]; expected metres and fen",
        ),
        ("steps = [[0, 2500]]", "steps = []", "Tariff capital-airport has no step."),
        ('grade = "V-B"\n', "", "tariff capital-airport: 'grade' is missing; expected a text"),
        ("loop_m = 1899", "loop = 1899", "unknown entry 'loop'; close: loop_m"),
        ('"010014", "02000B"', '"010014"', "is between ['010014']; expected two station keys"),
        ('"010014", "02000B"', '"010014", "02000G"', "no station has the key '02000G'"),
        ('"010014", "02000B"', '"010014", ["x"]', "no station has the key ['x']"),
        ('"010014", "02000B"', '"010014", "620015"', "010014 and 620015 have different tariffs."),
        ("\n[sources]", "\n[soruces]", "unknown entry 'soruces'; close: sources"),
        ('reference = "', "reference = 1 #", "[sources] is wrong; expected a table of texts"),
        ("[operator]", "[operator", "expected TOML; "),
        ("[[transfers]]\n", "[[transfers]]\nx = 1\n", "a transfer: unknown entry 'x'"),
        ("is_sample = true", "is_sample = 1", "'is_sample' is 1; expected true or false"),
    ],
)
def test_a_wrong_rail_file_is_one_sentence(printed, instead, sentence):
    assert printed in RAIL_TEXT
    with pytest.raises(NetworkError) as refusal:
        parse_network(RAIL_TEXT.replace(printed, instead, 1), "mine")
    says = str(refusal.value)
    assert says.startswith("network mine: ")
    assert sentence in says
    assert "\n" not in says
    assert _sentence(refusal.value) == says


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file: 'name' is missing; expected a text"),
        ("lines = 5", "the file: 'lines' is 5; expected a list"),
        ("tariffs = 5", "the file: 'tariffs' is 5; expected a table"),
    ],
)
def test_a_file_with_next_to_nothing_is_one_sentence(text, sentence):
    for parse in (parse_network, parse_buses):
        with pytest.raises(NetworkError) as refusal:
            parse(text)
        assert str(refusal.value).endswith(sentence)


@pytest.mark.parametrize(
    ("read", "text", "loaded"),
    [(read_network, RAIL_TEXT, NETWORK), (read_buses, BUS_TEXT, BUSES)],
    ids=["rail", "bus"],
)
def test_a_file_of_ones_own_is_read_or_refused_in_one_sentence(tmp_path, read, text, loaded):
    mine = tmp_path / "mine.toml"
    with pytest.raises(NetworkError, match=r"mine\.toml cannot be read: No such file"):
        read(mine)
    mine.write_bytes(b"\xff")
    with pytest.raises(NetworkError, match=r"mine\.toml is not a text in UTF-8"):
        read(mine)
    mine.write_text(text, "utf-8")
    assert read(mine) == loaded


def test_three_stations_are_a_loop():
    head = RAIL_TEXT.partition("[[lines]]")[0]
    line = 'code = 1\ncode_from = "table"\nname_zh = ""\nname_en = ""\nloop_m = 700\n'
    said = 'codes_from = "table"\nmetres_from = "sample"\n'
    names = [f'{{ code = {n}, zh = "{n}", en = "{n}", m = 500 }}' for n in (1, 2, 3)]
    stations = f"stations = [{names[0].replace(', m = 500', '')}, {names[1]}, {names[2]}]\n"
    loop = parse_network(f"{head}[[lines]]\n{line}{said}{stations}")
    assert loop.distance_m(loop.at(1, 3), loop.at(1, 1)) == 700
    assert loop.distance_m(loop.at(1, 3), loop.at(1, 2)) == 500


def test_a_loop_needs_three_stations():
    head = RAIL_TEXT.partition("[[lines]]")[0]
    line = 'code = 1\ncode_from = "table"\nname_zh = ""\nname_en = ""\nloop_m = 5\n'
    with pytest.raises(NetworkError, match="'loop_m' is there, but fewer than three stations"):
        parse_network(f"{head}[[lines]]\n{line}")
    with pytest.raises(NetworkError, match="A network has at least one station"):
        parse_network(f"{head}[[lines]]\n{line.replace('loop_m = 5', '')}")
    with pytest.raises(NetworkError, match=r"line 1 of \[\[lines\]\] is 5; expected a table"):
        parse_network(head.replace("is_sample = true", "lines = [5]"))


@pytest.mark.parametrize(
    ("printed", "instead", "sentence"),
    [
        (
            'kind = "city"',
            'kind = "town"',
            "mine: line 1 of [[lines]]: 'kind' is 'town'; choose one of: city, suburban",
        ),
        ('kind_from = "sample"\n', "", "'kind_from' is missing; expected a text"),
        ('tariff = "flat"', 'tariff = "x"', "there is no tariff 'x'; choose one of: bus, flat"),
        ("index = 0x02", "index = 0x01", "Two stops of line BRT 1 have one number."),
        ("number = 300", "number = 0x0443", "Two lines have the number 0443."),
        ("number = 300", "number = 5", "Two lines have the number 0005."),
        ("number = 300", "number = 70000", "The number of a line is two bytes, not 70000."),
        ("m = 5000", "m = 0", "Stop B is not further on than Stop A."),
        (", m = 5000", "", "stop 2: 'm' is missing; expected a whole number"),
        ("m = 5000", "miles = 3", "stop 2: unknown entry 'miles'; there may be: index, zh, en, m"),
        ('operator_from = "sample"', 'operator_from = "x"', "expected a key of [sources]:"),
    ],
)
def test_a_wrong_bus_file_is_one_sentence(printed, instead, sentence):
    assert printed in BUS_TEXT
    with pytest.raises(NetworkError) as refusal:
        parse_buses(BUS_TEXT.replace(printed, instead, 1), "mine")
    says = str(refusal.value)
    assert says.startswith("bus network mine: ")
    assert sentence in says
    assert "\n" not in says
