"""`tapbench psam serve` with bad input: one sentence, exit code 2, nothing left behind."""

import pytest

from bench.cli.app import run_app
from reader.psam_store import PsamFile

TERMINAL = bytes.fromhex("300089000195")


def refused(capsys, *options: str) -> str:
    assert run_app(["psam", "serve", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tapbench: ")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("via", ["udp", "nfc", "", "all"])
def test_there_is_one_road(capsys, via):
    assert "no road" in refused(capsys, "--via", via)


@pytest.mark.parametrize(
    "terminal", ["", "1", "30008900019A", "3000890001950", "３０００８９０００１９５"]
)
def test_a_terminal_number_is_twelve_digits(capsys, terminal):
    assert "12 digits" in refused(capsys, "--via", "pcsc", "--terminal", terminal)


@pytest.mark.parametrize("number", ["0", "-1", "4294967296", "one"])
def test_a_number_is_one_a_psam_can_give(capsys, number):
    assert "number" in refused(capsys, "--via", "pcsc", "--number", number)


def test_a_file_of_another_psam_is_told(capsys, tmp_path):
    path = tmp_path / "psam"
    PsamFile(path, TERMINAL).close()
    said = refused(capsys, "--via", "pcsc", "--file", str(path), "--terminal", "300089000340")
    assert "is of terminal 300089000195" in said


def test_a_psam_in_use_is_told(capsys, tmp_path):
    path = tmp_path / "psam"
    with PsamFile(path, TERMINAL):
        assert "another program" in refused(capsys, "--via", "pcsc", "--file", str(path))


def test_a_folder_that_is_not_there_is_told(capsys, tmp_path):
    path = tmp_path / "none" / "psam"
    assert "No such file" in refused(capsys, "--via", "pcsc", "--file", str(path))


def test_without_a_vpcd_it_says_what_to_install(capsys):
    assert "vsmartcard-vpcd" in refused(capsys, "--via", "pcsc", "--system", "--port", "1")
