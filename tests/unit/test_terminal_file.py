"""The file that says what a terminal is: every key, every wrong value, and what it builds."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

import fixtures
from bench.device.build import desk, device
from bench.device.settings import (
    PATHS,
    Settings,
    SettingsError,
    keys,
    make_settings,
    read_settings,
)
from fixtures.policy import load_policy
from reader.blacklist import Blacklist
from reader.blacklist_file import BlacklistFile
from reader.blacklist_text import build_update
from reader.fare import UnknownStation
from reader.fares.bus import UnknownLine, UnknownStop
from reader.gate import Emergency, Gate
from reader.journal import Journal, JournalError, read_records
from reader.modes import Mode
from reader.outcome import Reject, Verdict
from reader.psam_store import PsamFile, PsamFileError
from reader.transport.inprocess import InProcess
from reader.validator import Validator
from reader.white_list import WhiteListError

AT = datetime(2025, 9, 8, 8, 1, 42)
PAGE = (Path(__file__).parents[2] / "docs" / "gate.md").read_text("utf-8")
ENTRY = 'direction = "entry"\nstation = "Yongtaizhuang"\n'
EXIT = 'direction = "exit"\nstation = "080019"\n'

Write = Callable[[str], Path]


def clock() -> datetime:
    return AT


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "gate.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'direction' is missing; expected one of: entry, exit, board, alight, single"),
        ('direction = "in"', "'direction' is 'in'; expected one of: entry, exit"),
        ('direction = "entry"', "direction 'entry' needs a 'station'; name one"),
        ('direction = "board"', "direction 'board' needs a 'line'; name one"),
        (ENTRY + "line = 1", "direction 'entry' has no 'line'"),
        ('direction = "board"\nline = 1\nstation = "x"', "direction 'board' has no 'station'"),
        (ENTRY + 'statoin = "x"', "there is no key 'statoin'; close: station"),
        (ENTRY + "qqq = 1", "there is no key 'qqq'; there is direction, name"),
        (ENTRY + 'name = "GATE"', "'name' is 'GATE'; expected a text of 8 ASCII characters"),
        (ENTRY + 'name = "第一道闸机检票口"', "expected a text of 8 ASCII characters"),
        (ENTRY + 'terminal = "30008900019X"', "expected a text of 12 digits"),
        (ENTRY + 'modes = ["time_free", "time_free"]', "expected a list, without repetition, of:"),
        (ENTRY + 'modes = ["sleepy"]', "'modes' is ['sleepy']; expected a list"),
        (ENTRY + "journal = 7", "'journal' is 7; expected a text"),
        (ENTRY + 'psam = "a"\npsam_reader = "b"', "'psam' and 'psam_reader' are both there"),
        (ENTRY + "emergencies = [1]", "expected a list of tables, each with the days"),
        (
            ENTRY + "[[emergencies]]\nbegan = 2025-09-02\nended = 2025-09-01",
            "expected a list of tables, each with the days",
        ),
        (ENTRY + "policy = 4", "'policy' is 4; expected a name, a file or a table"),
        (ENTRY + 'policy = "nowhere.toml"', "nowhere.toml cannot be read"),
        (ENTRY + "[policy]\npassback = 1", "there is no knob 'passback'"),
        (ENTRY + "[policy]\npassback_s = -1", "knob 'passback_s' is -1; expected a whole number"),
        ("direction =", "is not TOML"),
        ('direction = "board"\nline = 65536', "'line' is 65536; expected a whole number"),
        ('direction = "board"\nline = true', "'line' is true; expected a whole number"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_the_key(write: Write, text: str, said: str):
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value).replace("is not TOML", "")


def test_a_file_that_is_not_there_or_no_text_is_one_sentence(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_settings(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not a text in UTF-8"):
        read_settings(tmp_path / "bytes.toml")


def test_paths_are_taken_from_the_folder_of_the_file(write: Write):
    text = ENTRY + "".join(f'{name} = "{name}.x"\n' for name in PATHS)
    path = write(text)
    found = read_settings(path)
    for name in PATHS:
        assert getattr(found, name) == str(path.parent / f"{name}.x")


def test_the_command_line_wins(write: Write):
    found = read_settings(write(ENTRY + 'modes = ["closed"]'), direction="exit", modes=["offline"])
    assert (found.direction, found.modes, found.station) == ("exit", ("offline",), "Yongtaizhuang")


def test_the_policy_is_a_name_a_file_or_a_table(write: Write):
    assert read_settings(write(ENTRY)).policy == load_policy()
    assert read_settings(write(ENTRY + 'policy = "beijing"')).policy == load_policy("beijing")
    write("passback_s = 9", "own.toml")
    assert read_settings(write(ENTRY + 'policy = "own.toml"')).policy.passback_s == 9
    assert read_settings(write(ENTRY + "[policy]\npassback_s = 7")).policy.passback_s == 7


def test_the_page_lists_every_key_with_what_is_expected():
    for name, expected, what, _ in keys():
        assert f"| `{name}` | {expected} | {what} |" in PAGE


def test_the_page_s_example_is_a_terminal(write: Write):
    example = PAGE.split("```toml\n")[1].split("```")[0]
    found = read_settings(write(example))
    assert found.journal is not None
    with device(found, clock) as made:
        assert isinstance(made.terminal, Gate)
        assert made.terminal.policy.passback_s == 3


# What is built


def settings(**over: object) -> Settings:
    return make_settings({"direction": "entry", "station": "Yongtaizhuang"}, **over)


def test_a_gate_keeps_its_records_and_its_psam_s_numbers_together(tmp_path: Path):
    path = tmp_path / "gate.journal"
    numbers = []
    for _ in range(3):
        with device(settings(journal=str(path)), clock) as made:
            outcome = made.terminal.pass_(InProcess(fixtures.card("student", balance=5000)))
            assert outcome.receipt is not None
            numbers.append(outcome.receipt.terminal_seq)
            assert made.name == made.terminal.psam.terminal.hex()[-8:]
    assert numbers == [1, 2, 3]
    assert [record.terminal_seq for record in read_records(path)] == numbers
    assert (tmp_path / "gate.journal.psam").stat().st_mode & 0o777 == 0o600


def test_an_exit_gate_that_restarts_knows_what_cards_have_paid_this_month(tmp_path: Path):
    path = str(tmp_path / "gate.journal")
    made = make_settings({"direction": "exit", "station": "080019", "journal": path})
    card = fixtures.card("student-open-trip")
    with device(made, clock) as first:
        outcome = first.terminal.pass_(InProcess(card))
        assert outcome.fare == 400
    with device(made, clock) as second:
        assert isinstance(second.terminal, Gate)
        assert outcome.card is not None
        assert second.terminal.months.total(outcome.card).paid == 400


def test_lists_of_files_decide(tmp_path: Path, write: Write):
    listed = Blacklist(4, frozenset({bytes.fromhex("03105228009900000017")}))
    held = BlacklistFile(tmp_path / "black.txt")
    held.take(build_update(listed))
    white = write("issuer IIN\n01011000 31051700\n", "white.txt")
    with device(settings(blacklist=str(held.path)), clock) as made:
        assert made.blacklist.version == 4
        card = fixtures.card("student", balance=5000)
        outcome = made.terminal.pass_(InProcess(card))
        assert (outcome.reason, outcome.detail) == (Reject.BLACKLISTED, "the card is blocked")
        card.power_off()
        assert made.terminal.pass_(InProcess(card)).reason is Reject.BLOCKED
    with device(settings(white_list=str(white)), clock) as made:
        outcome = made.terminal.pass_(InProcess(fixtures.card("student", balance=5000)))
        assert outcome.reason is Reject.ISSUER_UNKNOWN
    white.write_text("nothing", "utf-8")
    with pytest.raises(WhiteListError), device(settings(white_list=str(white)), clock):
        pass


def test_a_blacklist_that_is_not_there_is_told(tmp_path: Path):
    path = str(tmp_path / "black.txt")
    with (
        pytest.raises(SettingsError, match=r"there is no blacklist at .* make it with tapbench"),
        device(settings(blacklist=path), clock),
    ):
        pass


def test_modes_and_emergencies_come_from_the_file(write: Write):
    text = (
        ENTRY + 'modes = ["maintenance"]\n[[emergencies]]\nbegan = 2025-09-01\nended = 2025-09-02\n'
    )
    found = read_settings(write(text))
    assert found.emergencies == (Emergency(date(2025, 9, 1), date(2025, 9, 2)),)
    with device(found, clock) as made:
        assert made.terminal.modes == {Mode.MAINTENANCE}
        assert isinstance(made.terminal, Gate)
        assert made.terminal.config.emergencies == found.emergencies
    with device(settings(policy=load_policy().__class__(modes=("closed",))), clock) as made:
        assert made.terminal.modes == {Mode.CLOSED}


def test_a_bus_has_line_stop_heading_and_vehicle():
    found = make_settings(
        {"direction": "board", "line": 0x0443, "stop": 3, "heading": "down", "vehicle": "BUS00042"}
    )
    with device(found, clock) as made:
        assert isinstance(made.terminal, Validator)
        place = made.terminal.place
        assert (place.line, place.stop, place.is_up, place.vehicle) == (
            0x0443,
            3,
            False,
            b"BUS00042",
        )
        outcome = made.terminal.pass_(InProcess(fixtures.card("student", balance=5000)))
        assert outcome.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        ({"direction": "entry", "station": "Nowhere"}, UnknownStation, "has no station 'Nowhere'"),
        ({"direction": "board", "line": 1}, UnknownLine, "has no line 0x0001; there is 0x0443"),
        (
            {"direction": "board", "line": 0x0443, "stop": 99},
            UnknownStop,
            "has no stop 99; it has 1 to ",
        ),
        ({"direction": "single", "line": 0x0443}, SettingsError, "for board or alight, not single"),
    ],
)
def test_a_place_there_is_not_makes_no_file(
    tmp_path: Path, found: dict[str, object], error: type[Exception], said: str
):
    path = tmp_path / "gate.journal"
    made = make_settings(found, journal=str(path))
    with pytest.raises(error, match=said), device(made, clock):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_journal_of_another_gate_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "gate.journal"
    with Journal(path, b"OTHER001", bytes(6)):
        pass
    before = path.read_bytes()
    with (
        pytest.raises(JournalError, match=r"is of another gate: .* found OTHER001 0{12};"),
        device(settings(journal=str(path)), clock),
    ):
        pass
    assert path.read_bytes() == before


def test_a_journal_and_a_psam_in_use_are_refused(tmp_path: Path):
    made = settings(journal=str(tmp_path / "gate.journal"))
    with (
        device(made, clock),
        pytest.raises(PsamFileError, match="another program has the PSAM"),
        device(made, clock),
    ):
        pass
    with PsamFile(tmp_path / "gate.journal.psam", None, 1) as file:
        assert file.next_seq == 1


def test_a_desk_is_at_a_station():
    bus = make_settings({"direction": "board", "line": 0x0443})
    with pytest.raises(SettingsError, match="a desk is at a station"), desk(bus, clock):
        pass
    with desk(settings(), clock) as made:
        link = InProcess(fixtures.card("student-open-trip"))
        outcome = made.serve_card(made.missing_exit(), link)
        assert (outcome.verdict, outcome.fare) == (Verdict.PASS, 300)
