"""`tapbench conformance` as a user runs it: over roads, on readers, and when things go wrong."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fixtures
from apdu.order import ROOTS
from bench.conformance.reading import is_reading
from bench.conformance.suite import card_cases, gate_cases
from emulator.frontends.errors import FrontendError
from emulator.frontends.udp import UdpFrontend
from emulator.frontends.vpcd import VpcdFrontend
from emulator.picc import Picc
from tests.interop.test_hardware_suite import foreign_card
from tests.interop.test_nfc_target import free_port
from tests.liars import Liar, honest, penniless
from tests.unmeasured import unmeasured

BALANCE_CASE = "CARD-LOAD-001"
ONLY = "CARD-LOAD-*"


@contextmanager
def on_the_air(card: Picc) -> Iterator[str]:
    """The card on nfcpy's UDP air, as --via names it."""
    with (front := UdpFrontend(card, port=0)).running():
        host, port = front.address
        yield f"nfc:udp:{host}:{port}"


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch):
    """A card that has gone is not waited for as long as people need."""
    monkeypatch.setattr("bench.conformance.reader_stand.WAIT_S", 1.0)


def found_in(folder: Path) -> dict:
    return json.loads((folder / "conformance.json").read_text())


# Our own card


def test_the_suite_passes_on_our_card_with_the_same_ids_on_each_road(here, tmp_path: Path):
    done = here("conformance", "card", "--via", "inproc,udp", "--only", ONLY, "--report", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    coverage, last = done.stdout.splitlines()[-2:]
    assert "0 failed" in last
    assert " of 61 sections of the reference are judged; not 1.1, 1.2, " in coverage
    assert "4.13" not in coverage
    inproc, udp = found_in(tmp_path)["runs"]
    outcomes = [[(case["id"], case["outcome"]) for case in run["cases"]] for run in (inproc, udp)]
    assert outcomes[0] == outcomes[1]
    assert BALANCE_CASE in dict(outcomes[0])


def test_three_reports_are_written_for_their_owner_alone(here, tmp_path: Path):
    folder, other = tmp_path / "new/folder", tmp_path / "other.xml"
    for _ in range(2):  # and written again
        done = here(
            "conformance", "card", "--only", ONLY, "--report", folder, "--junit", other, "--json"
        )
        assert done.returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "conformance.html", "conformance.json", "conformance.xml",
    ]  # fmt: skip
    for path in (*folder.iterdir(), other):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(done.stdout)["ending"] == "passed"
    suites = [
        ET.parse(path).getroot().find("testsuite") for path in (other, folder / "conformance.xml")
    ]
    counts = {suite.get("tests") for suite in suites if suite is not None}
    assert counts == {str(len(json.loads(done.stdout)["runs"][0]["cases"]))}


def test_cases_are_chosen_by_id_key_clause_and_level(here):
    for only in (BALANCE_CASE, "ladders.top_up_adds*", "4.13"):
        listed = here("conformance", "list", "--only", only, "--json")
        assert BALANCE_CASE in [case["id"] for case in json.loads(listed.stdout)]
    shown = here("conformance", "list", "--level", "basic")
    assert BALANCE_CASE in shown.stdout
    basic = json.loads(here("conformance", "list", "--level", "basic", "--json").stdout)
    assert {case["level"] for case in basic} == {"basic"}
    every = json.loads(here("conformance", "list", "--json").stdout)
    assert [case["id"] for case in every] == [*card_cases(), *gate_cases()]


def test_patterns_and_places_are_read_as_people_write_them(here):
    done = here(
        "conformance", "card", "--via", "inproc, inproc", "--only", "card-load-001 ,CARD-LOAD-002"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "conformance: 2 passed, 0 failed, 0 skipped"


def test_a_case_is_explained_with_its_steps(here):
    said = here("conformance", "explain", BALANCE_CASE.lower()).stdout
    for wanted in (
        "充值后余额恰好增加充值金额",
        "6.4 top-up; 4.13 top-up",
        "INITIALIZE FOR LOAD",
        "> 805C000204",
    ):
        assert wanted in said
    found = json.loads(here("conformance", "explain", BALANCE_CASE, "--json").stdout)
    assert found["doc"].startswith("The balance before comes from the card")


# A card on a reader


def test_a_foreign_card_is_only_read(here):
    card = Liar(honest, foreign_card())
    with on_the_air(card) as via:
        done = here("conformance", "card", "--via", via, "--keys", "test", "--only", ONLY)
    assert done.returncode == 0, done.stderr
    assert "it changes the card for good; allow it with --write" in done.stdout
    assert card.seen
    assert all(map(is_reading, card.seen))


def test_a_foreign_card_of_an_issuer_in_service_is_never_written_to(here):
    card = Liar(honest, foreign_card())
    with on_the_air(card) as via:
        done = here("conformance", "card", "--via", via, "--keys", "test", "--write")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--write is refused: the card" in done.stderr
    assert all(map(is_reading, card.seen))


def test_a_test_card_is_judged_whole_with_keys_and_leave(here, tmp_path: Path):
    with on_the_air(fixtures.card("student")) as via:
        done = here(
            "conformance", "card", "--via", via, "--keys", "test", "--write", "--profile",
            "student", "--only", ONLY, "--report", tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {case["id"]: case["outcome"] for case in found_in(tmp_path)["runs"][0]["cases"]}
    assert outcomes[BALANCE_CASE] == "passed"


def test_over_pc_sc_too(here, pcscd):
    with VpcdFrontend(fixtures.card("student"), pcscd.port).running():
        via = f"pcsc:{pcscd.reader_names[0]}"
        done = here(
            "conformance", "card", "--via", via, "--keys", "test", "--write", "--only", BALANCE_CASE
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_failure_tells_what_was_expected_what_came_and_how_to_see_it(here, tmp_path: Path):
    with on_the_air(Liar(penniless)) as via:
        done = here(
            "conformance", "card", "--via", via, "--keys", "test", "--write", "--shrink",
            "--only", BALANCE_CASE, "--report", tmp_path,
        )  # fmt: skip
    assert done.returncode == 1
    for wanted in (
        f"FAILED {BALANCE_CASE}", "expected  a balance of 100 fen", "came      0 fen",
        "clause    6.4", "CREDIT FOR LOAD", "    > 805C000204", "1 failed",
    ):  # fmt: skip
        assert wanted in done.stdout, done.stdout
    (case,) = found_in(tmp_path)["runs"][0]["cases"]
    script = tmp_path / "script.txt"
    script.write_text(case["script"])
    assert "GET BALANCE" in here("trace", "show", script).stdout


# Bad use


def refused(done, *wanted: str) -> None:
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.splitlines()
    for word in wanted:
        assert word in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("card", "--via", "nosuch"), "there is no road 'nosuch'; choose one of: inproc, air"),
        (("card", "--via", "inproc,nosuch"), "there is no road 'nosuch'"),
        (("card", "--via", "pcsc:"), "names no reader"),
        (("card", "--only", "CARD-NO-*"), "no case fits 'CARD-NO-*'; tapbench conformance list"),
        (("card", "--only", "CARD-LOAD-*, LAOD"), "no case fits 'LAOD'"),
        (("card", "--only", "CARD-OFFS-*", "--level", "basic"), "no case of level basic fits"),
        (("card", "--level", "most"), "there is no level 'most'; choose basic or full"),
        (("card", "--profile", "nobody"), "there is no profile 'nobody'"),
        (("card", "--keys", "test"), "--keys is for a card on a reader"),
        (("card", "--keys", "/nowhere.toml"), "keys file /nowhere.toml cannot be read"),
        (("card", "--report", "/dev/null/x"), "no folder can be made at /dev/null/x"),
        (("card", "--junit", "/nowhere/x.xml"), "there is no folder /nowhere"),
        (("card", "--via", "nfc:tty:NOSUCH:pn532"), "No NFC reader answers on tty:NOSUCH:pn532"),
        (("list", "--only", "nothing"), "no case fits 'nothing'"),
        (("explain", "CARD-LOAD-999"), "there is no case 'CARD-LOAD-999'; near it are CARD-LOAD-"),
        (("explain", "x"), "there is no case 'x'; tapbench conformance list"),
    ],
)
def test_bad_use_is_one_sentence(here, arguments: tuple[str, ...], why: str):
    refused(here("conformance", *arguments), why)


def test_a_reader_that_is_not_there_is_named(here, pcscd):
    refused(here("conformance", "card", "--via", "pcsc:NOSUCH"), "no reader matches 'NOSUCH'")


def test_no_card_on_the_reader_is_one_sentence(here):
    refused(here("conformance", "card", "--via", f"nfc:udp:127.0.0.1:{free_port()}"), "No card")


def test_a_card_without_a_purse_is_one_sentence(here):
    phone = fixtures.phone("xiaomi-wrong-wallet", card=fixtures.card("student"))
    with on_the_air(phone) as via:
        refused(here("conformance", "card", "--via", via), "has no purse A000000632010105")


def test_a_wrong_keys_file_is_one_sentence(here, tmp_path: Path):
    path = tmp_path / "keys.toml"
    path.write_text('[roots]\nPMK = "00"\n')
    with on_the_air(fixtures.card("student")) as via:
        done = here("conformance", "card", "--via", via, "--keys", path)
    refused(done, str(path), "lacks AMK; expected 32 hexadecimal digits")


def test_keys_that_do_not_fit_are_told_and_never_shown(here, tmp_path: Path):
    path, value = tmp_path / "keys.toml", "00112233445566778899AABBCCDDEEFF"
    path.write_text("[roots]\n" + "".join(f'{n} = "{value}"\n' for n in set(ROOTS.values())))
    path.chmod(0o600)
    with on_the_air(fixtures.card("student")) as via:
        done = here("conformance", "card", "--via", via, "--keys", path)
    assert done.returncode == 2
    notice, sentence = done.stderr.splitlines()
    assert notice.startswith(f"NOTICE: the keys of {path} are not the project's test keys")
    assert "the keys do not fit the card" in sentence
    assert value not in done.stdout + done.stderr


# What cannot be written


def test_what_fits_on_a_full_disk_is_kept_and_the_summary_told(tmp_path: Path):
    """No file of this process may be longer than 40 kB: there is room for the XML alone."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "conformance", "card", "--only", ONLY, "--report",
         str(tmp_path)],
        capture_output=True, text=True, env=unmeasured(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
    )  # fmt: skip
    assert done.returncode == 2
    assert "0 failed" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("tapbench: no file can be written at")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["conformance.xml"]


def test_a_full_disk_under_the_summary_is_one_sentence_and_the_report_is_there(tmp_path: Path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bench", "conformance", "card", "--only", ONLY, "--report",
             str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "tapbench: there is no space left for what it prints"
    assert "Traceback" not in done.stderr
    assert found_in(tmp_path)["ending"] == "passed"


def test_a_reader_of_the_summary_who_stops_reading_loses_no_report(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "conformance", "card", "--only", ONLY, "--report",
         str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert found_in(tmp_path)["ending"] == "passed"


# What ends early


def incomplete(done, folder: Path, why: str) -> None:
    """Exit code 3, one sentence, and every report marked and whole."""
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    run = found_in(folder)["runs"][0]
    assert why in run["incomplete"]
    assert len(run["cases"]) < run["planned"]
    assert "INCOMPLETE, " in done.stdout
    assert "Incomplete: via" in (folder / "conformance.html").read_text()
    assert ET.parse(folder / "conformance.xml").getroot().get("errors") == "1"


def test_a_card_that_is_removed_ends_the_suite_and_what_was_found_is_kept(here, tmp_path: Path):
    stop = threading.Event()

    def leave(command: bytes, answer: bytes) -> bytes:
        if len(card.seen) == 12:
            stop.set()
            time.sleep(0.5)
        return answer

    card = Liar(leave)
    front = UdpFrontend(card, port=0)
    with front.running():
        host, port = front.address
        remover = threading.Thread(target=lambda: (stop.wait(20), front.stop()))
        remover.start()
        done = here(
            "conformance", "card", "--via", f"nfc:udp:{host}:{port}", "--keys", "test", "--write",
            "--report", tmp_path,
        )  # fmt: skip
        remover.join()
    incomplete(done, tmp_path, "No card came to udp:")


def test_a_service_that_goes_away_ends_the_suite_too(here, pcscd, tmp_path: Path):
    def kill(command: bytes, answer: bytes) -> bytes:
        if len(card.seen) == 12:
            os.kill(pcscd.pid, signal.SIGKILL)
        return answer

    card = Liar(kill)
    front = VpcdFrontend(card, pcscd.port)
    with pytest.raises(FrontendError, match="closed the connection"), front.running():
        done = here(
            "conformance", "card", "--via", f"pcsc:{pcscd.reader_names[0]}", "--keys", "test",
            "--write", "--report", tmp_path,
        )  # fmt: skip
    incomplete(done, tmp_path, "pcsc")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_found(tmp_path: Path, number: signal.Signals):
    reached = threading.Event()

    def slow(command: bytes, answer: bytes) -> bytes:
        if len(card.seen) >= 12:
            reached.set()
            time.sleep(0.3)
        return answer

    card = Liar(slow)
    with on_the_air(card) as via:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", "conformance", "card", "--via", via, "--keys", "test",
             "--write", "--report", str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert reached.wait(30)
        process.send_signal(number)
        said = process.communicate(timeout=30)
    done = subprocess.CompletedProcess([], process.returncode, *said)
    incomplete(done, tmp_path, "it was stopped by Ctrl-C or by a signal, at CARD-")


def test_ctrl_c_while_the_json_is_written_leaves_it_whole():
    """It is longer than a pipe holds, so it is on its way when its first byte has come."""
    command = [sys.executable, "-m", "bench", "conformance", "card", "--only", "CARD-CAPP-*"]
    with subprocess.Popen(
        [*command, "--via", "inproc", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": ""},  # unbuffered, Python drops what a signal cuts
    ) as process:
        assert process.stdout is not None
        begun = os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert json.loads(begun + rest)["ending"] == "passed"
    assert (process.returncode, errors) == (130, b"tapbench: stopped before it was done\n")


def test_a_road_this_machine_lacks_makes_the_report_incomplete(
    here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A place for the service's socket whose path is too long: no PC/SC road here."""
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setattr("tempfile.tempdir", None)
    out = tmp_path / "out"
    done = here("conformance", "card", "--via", "inproc,pcsc", "--only", ONLY, "--report", out)
    assert done.returncode == 3
    inproc, pcsc = found_in(out)["runs"]
    assert (inproc["incomplete"], inproc["counts"]["failed"]) == (None, 0)
    assert "so no case was played" in pcsc["incomplete"]


def test_our_gates_are_judged_and_reported(here, tmp_path: Path):
    done = here("conformance", "gate", "--only", "GATE-JBGN-*", "--report", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "sections of the reference are judged" in done.stdout
    assert "0 failed" in done.stdout
    data = json.loads((tmp_path / "out" / "conformance.json").read_text("utf-8"))
    assert data["suite"] == "gate"
    assert {case["group"] for case in data["runs"][0]["cases"]} == {"JBGN"}
    root = ET.parse(tmp_path / "out" / "conformance.xml").getroot()
    assert root.get("name") == "tapbench conformance gate"


def test_a_gate_case_is_explained_on_our_own_gate(here):
    said = here("conformance", "explain", "GATE-JBGN-007").stdout
    assert "On the bench's own gate it is passed" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gate", "--via", "tube"), "no road 'tube' to a gate"),
        (("gate", "--via", "gate:udp"), "needs an operator"),
        (("gate", "--can", "fly"), "--can is 'fly'"),
        (("gate", "--only", "GATE-NONE-*"), "no case fits 'GATE-NONE-*'"),
        (("gate", "--profile", "nobody"), "there is no profile 'nobody'"),
        (("mutants", "fish"), "choose one of: card, gate"),
        (("mutants", "card", "--only", "M-NONE"), "no mutant fits"),
        (("mutants", "card", "--report", "/dev/null/x"), "no folder can be made"),
    ],
)
def test_a_wrong_wish_for_gates_or_mutants_is_one_sentence(here, arguments, words):
    done = here("conformance", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_cards_are_judged_and_a_page_names_the_case(here, tmp_path: Path):
    done = here("conformance", "mutants", "card", "--only", "M-CARD-001", "--report", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 broken cards are caught: 100.0 %." in done.stdout
    [mutant] = json.loads((tmp_path / "mutants.json").read_text("utf-8"))["mutants"]
    [caught] = mutant["by"]
    assert caught in card_cases()
    page = (tmp_path / "mutants.html").read_text("utf-8")
    assert f"<code>{caught}</code>" in page
    assert "http" not in page
