"""An office from a folder or a database's URL: made once, and found again."""

import os
from datetime import datetime

import pytest

from bench.office import TRANSPORT, Choice, blank_card, close_office, open_office, station_names
from bench.problem import Problem
from fixtures.network.buses import load_buses
from issuer import roster
from issuer.moments import SHANGHAI
from issuer.openings import open_card
from issuer.policy import IssuerPolicy
from reader.trips import BUS, METRO
from tests import stock
from tests.offices import small_roster
from tests.students import PHONE, Campus, Clock, on


def test_a_folder_becomes_an_office_and_is_one_the_next_time(tmp_path):
    home, clock = tmp_path / "a" / "office", Clock()
    office = open_office(home, clock)
    roster.take(office.engine, office.documents, small_roster())
    account = Campus(office, clock).account()
    card = on(blank_card(), open_card(office, account, "open", PHONE))
    close_office(office)
    assert {name: os.stat(home / name).st_mode & 0o777 for name in os.listdir(home)} == {
        "office.db": 0o600,
        "documents.key": 0o600,
    }
    assert os.stat(home).st_mode & 0o777 == 0o700
    again = open_office(home, clock)
    campus = Campus(again, clock)
    campus.prove(account)
    assert campus.card(card) == card
    close_office(again)


@pytest.mark.each_database
def test_the_database_may_be_elsewhere(tmp_path, where):
    office = open_office(tmp_path / "home", Clock(), where)
    assert os.listdir(tmp_path / "home") == ["documents.key"]
    assert "office" in repr(office)
    close_office(office)


def test_the_time_and_the_decisions_are_the_callers(tmp_path):
    at = datetime(2026, 9, 30, 23, 59, 50, tzinfo=SHANGHAI)
    office = open_office(tmp_path, lambda: at, choice=Choice(policy=IssuerPolicy(settle_days=3)))
    assert (office.now(), office.policy.settle_days) == (at, 3)
    assert office.catalogue.find("mate 50e").is_listed
    assert office.gate_policy.max_balance == 100_000
    close_office(office)
    with_clock = open_office(tmp_path)
    assert with_clock.now().tzinfo is not None
    close_office(with_clock)


def test_an_office_decides_as_the_file_in_its_folder_says(tmp_path):
    (tmp_path / "issuer-policy.toml").write_text("student_card_limit = 2\nsettle_days = 3\n")
    office = open_office(tmp_path)
    assert office.policy == IssuerPolicy(student_card_limit=2, settle_days=3)
    close_office(office)
    chosen = open_office(tmp_path, choice=Choice(policy=IssuerPolicy()))
    assert chosen.policy == IssuerPolicy()
    close_office(chosen)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"student_card_limit = 0\n", "knob 'student_card_limit' is 0"),
        (b"card_limit = 2\n", "there is no knob 'card_limit'"),
        (b"settle_days = \n", "expected TOML;"),
        (b"\xff", "expected TOML in UTF-8"),
    ],
)
def test_a_wrong_file_of_decisions_is_one_sentence_and_nothing_is_made(tmp_path, text, sentence):
    (tmp_path / "issuer-policy.toml").write_bytes(text)
    with pytest.raises(Problem, match=sentence):
        open_office(tmp_path)
    assert os.listdir(tmp_path) == ["issuer-policy.toml"]


def test_what_is_no_office_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match=r"no office can be kept at .*file"):
        open_office(tmp_path / "file")
    with pytest.raises(Problem, match="no database 'nonsense'"):
        open_office(tmp_path, url="nonsense://x")
    (tmp_path / "documents.key").chmod(0o644)
    with pytest.raises(Problem, match="others can read the key file"):
        open_office(tmp_path)


def test_another_key_of_documents_is_refused(tmp_path):
    close_office(open_office(tmp_path))
    (tmp_path / "documents.key").unlink()
    with pytest.raises(Problem, match="bring its key file back"):
        open_office(tmp_path)


def test_a_blank_is_a_card_of_the_stock():
    assert TRANSPORT.expose() == stock.TRANSPORT.expose()
    assert blank_card().image == stock.stock_card().image


def test_stations_and_stops_have_names_in_two_languages():
    zh, en = station_names(), station_names("en")
    line = load_buses().line(300)
    stop = line.stops[3]
    at = (line.number.to_bytes(2, "big"), stop.index.to_bytes(2, "big"))
    assert (zh(BUS, *at), en(BUS, *at)) == (stop.name_zh, stop.name_en)
    assert en(METRO, b"\x08\x00", b"\x13\x00")
    for unknown in ((METRO, b"\x77\0", b"\1\0"), (BUS, b"\0\1", b"\0\1"), (BUS, at[0], b"\1\1")):
        assert zh(*unknown) is None
