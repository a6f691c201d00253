"""`tapbench issuer` and `tapbench phone` as programs: in a folder, and against a served office."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from stat import S_IMODE

import pytest

import fixtures
from bench.cli.app import run_app
from bench.cli.serve import _bound, _warn_of
from tests.ending import end
from tests.offices import document

NOW = ("--now", "2025-10-09T10:00:00+08:00")
PROVE = ("--school", "UCAS", "--number", "2025K00000", "--name", "王小明")
PROVE += ("--document", document(0))


@pytest.fixture(autouse=True)
def _wide(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def here(tmp_path) -> Path:
    return tmp_path


def tapbench(here: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints; on standard error if it fails. In this process, which is quicker."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(here), redirect_stdout(out), redirect_stderr(err):
        got = run_app(list(arguments))
    assert got == code, err.getvalue()
    if code == 2:
        assert err.getvalue().count("\n") == 1
        return err.getvalue()
    return out.getvalue()


@pytest.fixture
def ready(here) -> Path:
    """An office with students, and a phone whose owner is proven."""
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    tapbench(here, "phone", "prove", *PROVE, *NOW)
    return here


@contextmanager
def serving(here: Path, now: tuple[str, str] = NOW):
    """The office served, with its log; ended by SIGTERM."""
    with (here / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", "issuer", "serve", "--port", "0", *now],
            cwd=here,
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        line = process.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+", line)[0], process
    finally:
        end(process, signal.SIGTERM)
    assert process.returncode in (0, -signal.SIGKILL)


@contextmanager
def held(here: Path, phone: str):
    """A phone's card in the field of an emulated radio: the device path that finds it."""
    program = [sys.executable, "-m", "bench", "emulate", "--via", "udp", "--port", "0"]
    process = subprocess.Popen(
        [*program, "--card", f"{phone}/card.json"],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield next(found[0] for line in process.stdout if (found := re.search(r"udp:\S+", line)))
    finally:
        end(process)


def test_an_office_and_a_phone_hold_money_and_keys_for_their_owner_alone(ready):
    tapbench(ready, "phone", "open", *NOW)
    tapbench(ready, "issuer", "token", "gate", "--out", "gate.token")
    names = ("office/office.db", "office/documents.key", "phone/phone.json", "phone/card.json")
    for name in (*names, "gate.token"):
        assert S_IMODE((ready / name).stat().st_mode) == 0o600, name


def test_json_has_what_the_words_have(ready):
    card = json.loads(tapbench(ready, "phone", "open", *NOW, "--json"))
    assert (card["state"], card["end_date"]) == ("active", "2026-09-30")
    done = json.loads(tapbench(ready, "phone", "topup", "50", *NOW, "--json"))
    assert (done["amount"], done["balance"]) == (5000, 5000)
    page = json.loads(tapbench(ready, "phone", "show", *NOW, "--json"))
    assert (page["balance"], page["card"]["serial"]) == (5000, card["serial"])
    found = json.loads(tapbench(ready, "issuer", "student", "UCAS", "2025K00000", "--json"))
    assert [one["serial"] for one in found["cards"]] == [card["serial"]]
    assert "王小明" not in json.dumps(found, ensure_ascii=False)
    report = json.loads(tapbench(ready, "issuer", "report", "--json"))
    assert report["balances"]["cards"] == -5000
    assert json.loads(tapbench(ready, "issuer", "verify", "--json"))["is_balanced"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("phone", "topup", "0", *NOW), "R25"),
        (("phone", "topup", "1.234", *NOW), "R25"),
        (("phone", "topup", "9999999", *NOW), "R25"),
        (("phone", "topup", *NOW, "--", "-50"), "R25"),
        (("phone", "open", *NOW), "R6"),
        (("phone", "renew", "--now", "2026-07-29T23:59:59+08:00"), "R27"),
        (("phone", "carry", *NOW), "R29"),
        (("phone", "refund", *NOW), "R31"),
        (("phone", "topup", "5", "--now", "yesterday"), "YYYY-MM-DD"),
        (("phone", "show", "--phone", "nowhere"), "there is no phone"),
        (("phone", "new", "xiaoming"), "phone already"),
        (("phone", "new", "X", "--phone", "other", "--brand", "Nokia"), "no brand"),
        (("phone", "set", "colour=red"), "choose a field"),
        (("phone", "set", "is_nfc_on=maybe"), "expected one of"),
        (("phone", "topup", "5", "--url", "http://127.0.0.1:9"), "token"),
        (("issuer", "student", "UCAS", "nobody"), "R4"),
        (("issuer", "student", "NOWHERE", "2025K00000"), "R4"),
        (("issuer", "roster", "nowhere.csv"), "cannot be read"),
        (("issuer", "token", "king", "--out", "x"), "no role"),
        (("issuer", "token", "staff", "--out", "x"), "--login"),
        (("issuer", "token", "gate", "--out", "token"), "choose another name\n"),
        (("issuer", "refund", "12", "--key", "a"), "20 digits"),
        (("issuer", "allow-renewal", "12"), "20 digits"),
        (("issuer", "allow-renewal", "0" * 20), "there is no card 00000000000000000000"),
        (("issuer", "report", "--db", "nosuch://x"), "no database"),
        (("issuer", "topup", "5", "--key", "k", *NOW), "--phone"),
        (("issuer", "topup", "5", "--key", "k", "--phone", "phone", "--via", "pcsc"), "--phone"),
        (("issuer", "topup", "5", "--key", "k", "--via", "tube"), "no road"),
        (("issuer", "topup", "0", "--key", "k", "--phone", "phone", *NOW), "R25"),
        (("issuer", "topup", "0.001", "--key", "k", "--phone", "phone", *NOW), "R25"),
        (("issuer", "topup", "1000.01", "--key", "k", "--phone", "phone", *NOW), "R25"),
        (("issuer", "topup", "5", "--key", "k", "--phone", "nowhere", *NOW), "no phone"),
        (("issuer", "revoke", "nowhere"), "cannot be read"),
        (("issuer", "set-free", "UCAS", "nobody", *NOW), "R5"),
        (("issuer", "revoke", "phone/phone.json"), "no token"),
        (("phone", "show", "--url", "ftp://x", "--token-file", "token"), "expected an address"),
        (("phone", "show", "--url", "x", "--token-file", "token"), "expected an address"),
    ],
)
def test_a_wrong_wish_is_one_sentence_and_changes_nothing(opened, arguments, words):
    before = tapbench(opened, "issuer", "report")
    assert words in tapbench(opened, *arguments, code=2)
    assert tapbench(opened, "issuer", "report") == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("issuer", "report"),
        ("issuer", "verify"),
        ("issuer", "settle"),
        ("issuer", "serve", "--port", "0"),
        ("issuer", "report", "--office", "offcie"),
        ("issuer", "report", "--db", "offcie.db"),
        ("issuer", "token", "gate", "--out", "token"),
        ("clearing", "report"),
        ("clearing", "exceptions", "--db", "claering.db"),
    ],
)
def test_a_name_where_nothing_is_is_not_an_empty_office(here, arguments):
    assert "tapbench: there is no " in tapbench(here, *arguments, code=2)
    assert not list(here.iterdir())


def test_a_phone_needs_an_office(here):
    tapbench(here, "phone", "new", "xiaoming")
    said = tapbench(here, "phone", "prove", *PROVE, *NOW, code=2)
    assert said == "tapbench: there is no office at office; tapbench issuer init makes one\n"
    assert not (here / "office").exists()


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("opened")
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    tapbench(here, "phone", "prove", *PROVE, *NOW)
    tapbench(here, "phone", "open", *NOW)
    (here / "token").write_text("tb_x\n")
    return here


def test_another_students_card_in_the_phone_is_refused(opened):
    other = opened / "other"
    tapbench(opened, "phone", "new", "xiaohong", "--phone", "hong")
    who = ("--school", "UCAS", "--number", "2025K00001", "--name", "李小红")
    tapbench(opened, "phone", "prove", "--phone", "hong", *who, "--document", document(1), *NOW)
    tapbench(opened, "phone", "open", "--phone", "hong", *NOW)
    tapbench(opened, "phone", "new", "xiaohong", "--phone", "other")
    (other / "card.json").write_bytes((opened / "phone" / "card.json").read_bytes())
    (other / "card.json").chmod(0o600)
    before = tapbench(opened, "issuer", "report")
    said = tapbench(opened, "phone", "topup", "5", "--phone", "other", *NOW, code=2)
    assert "R24: Card" in said
    assert "present your own card" in said
    assert tapbench(opened, "issuer", "report") == before
    # What was begun, and paid perhaps, is not forgotten with the wrong card.
    assert list(json.loads((other / "phone.json").read_text())["pending"]) == ["topup 500"]
    (other / "card.json").write_bytes((opened / "hong" / "card.json").read_bytes())
    told = tapbench(opened, "phone", "topup", "5", "--phone", "other", *NOW)
    assert "5.00 yuan on the card" in told
    assert not json.loads((other / "phone.json").read_text())["pending"]


WANG = ("UCAS", "2025K00000", "王小明", document(0))


@pytest.mark.parametrize(
    "claim",
    [
        ("UCAS", "2025K99999", *WANG[2:]),
        ("OTHER", *WANG[1:]),
        (*WANG[:2], "王大明", WANG[3]),
        (*WANG[:3], document(1)),
    ],
    ids=["unknown student", "wrong school", "another's name", "another's document"],
)
@pytest.mark.rule("R5")
def test_who_somebody_is_not_is_the_rules_sentence_and_proves_nothing(here, claim):
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    names = ("--school", "--number", "--name", "--document")
    who = [word for pair in zip(names, claim, strict=True) for word in pair]
    assert "R5: The identity check failed" in tapbench(here, "phone", "prove", *who, *NOW, code=2)
    assert "R5" in tapbench(here, "phone", "open", *NOW, code=2)
    assert "none" in tapbench(here, "issuer", "student", *WANG[:2])


def test_a_token_whose_time_is_over_does_nothing(here):
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    tapbench(here, "phone", "prove", *PROVE, *NOW)
    tapbench(here, "phone", "open", *NOW)
    old = ("--days", "1", "--now", "2025-10-08T10:00:00+08:00")
    tapbench(here, "issuer", "token", "student", "--login", "xiaoming", "--out", "t", *old)
    before = tapbench(here, "issuer", "report")
    with serving(here) as (url, _):
        said = tapbench(here, "phone", "topup", "5", "--url", url, "--token-file", "t", code=2)
    assert "A token that is valid is needed" in said
    assert tapbench(here, "issuer", "report") == before


def test_a_wish_that_was_cut_goes_on_with_the_same_key(ready):
    tapbench(ready, "phone", "open", *NOW)
    about = ready / "phone" / "phone.json"
    tapbench(ready, "phone", "topup", "50", *NOW, "--key", "kept-1")
    held = json.loads(about.read_text())
    assert held["pending"] == {}
    held["pending"] = {"topup 5000": "kept-1"}  # as if it had been cut before the end
    about.write_text(json.dumps(held))
    assert "50.00 yuan on the card" in tapbench(ready, "phone", "topup", "50", *NOW)
    assert "100.00 yuan on the card" in tapbench(ready, "phone", "topup", "50", *NOW)


def test_an_outlet_frees_a_student_whose_login_is_lost(opened):
    freed = tapbench(opened, "issuer", "set-free", "UCAS", "2025K00000", *NOW)
    assert "is free for a new login" in freed
    assert "R5" in tapbench(opened, "phone", "topup", "5", *NOW, code=2)
    tapbench(opened, "phone", "prove", *PROVE, *NOW)
    assert "5.00 yuan on the card" in tapbench(opened, "phone", "topup", "5", *NOW)
    assert "whole; ledger: balanced" in tapbench(opened, "issuer", "verify")


def test_a_phone_does_the_same_over_http(here):
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    for role in ("student", "staff"):
        login = "xiaoming" if role == "student" else "counter"
        tapbench(here, "issuer", "token", role, "--login", login, "--out", f"{role}.token", *NOW)
    with serving(here) as (url, _):
        at = ("--url", url, "--token-file", "student.token")
        assert "R5" in tapbench(here, "phone", "open", *at, code=2)
        tapbench(here, "phone", "prove", *PROVE, *at)
        assert "R21" in tapbench(here, "phone", "check", *at)
        assert "is open" in tapbench(here, "phone", "open", *at)
        assert "50.00 yuan on the card" in tapbench(here, "phone", "topup", "50", *at)
        assert "R27" in tapbench(here, "phone", "renew", *at, code=2)
        assert "手机一卡通" in tapbench(here, "phone", "show", *at)
        wrong = ("--url", url, "--token-file", "staff.token")
        assert "role" in tapbench(here, "phone", "topup", "5", *wrong, code=2)
        assert "returned" in tapbench(here, "phone", "return", *at)
        assert "50.00 yuan refunded" in tapbench(here, "phone", "refund", *at)
    lines = [json.loads(line) for line in (here / "log").read_text().splitlines()]
    assert all(one["level"] == "info" for one in lines), lines
    assert {"/v1/card/top-up", "/v1/sessions/{session}"} <= {one.get("route") for one in lines}
    text = (here / "log").read_text()
    assert "王小明" not in text
    assert document(0) not in text
    assert "whole; ledger: balanced" in tapbench(here, "issuer", "verify")


def test_a_service_that_is_killed_in_the_middle_of_a_top_up_loses_nothing(here):
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    tapbench(here, "phone", "prove", *PROVE, *NOW)
    tapbench(here, "phone", "open", *NOW)
    tapbench(here, "issuer", "token", "student", "--login", "xiaoming", "--out", "t", *NOW)
    with serving(here) as (url, process):
        process.kill()
        process.wait(20)
        at = ("--url", url, "--token-file", "t")
        assert "does not answer" in tapbench(here, "phone", "topup", "50", *at, code=2)
    pending = json.loads((here / "phone" / "phone.json").read_text())["pending"]
    assert list(pending) == ["topup 5000"]
    with serving(here) as (url, _):
        at = ("--url", url, "--token-file", "t")
        assert "50.00 yuan on the card" in tapbench(here, "phone", "topup", "50", *at)
    assert not json.loads((here / "phone" / "phone.json").read_text())["pending"]


def test_serve_listens_on_this_machine_alone_unless_told(here):
    tapbench(here, "issuer", "init")
    with serving(here) as (url, _):
        assert url.startswith("http://127.0.0.1:")
    assert "in the clear" not in (here / "log").read_text()


@pytest.mark.rule("R28")
def test_an_outlet_lets_a_card_be_renewed_again_that_has_refused_the_mac(ready, monkeypatch):
    tapbench(ready, "phone", "open", *NOW)
    serial = json.loads(tapbench(ready, "phone", "show", *NOW, "--json"))["card"]["serial"]
    later = ("--now", "2026-09-10T10:00:00+08:00")
    roots = fixtures.load_roots()
    with monkeypatch.context() as patch:  # an office whose key is another than the card's
        patch.setattr("fixtures.load_roots", lambda: {**roots, "AMK": roots["PMK"]})
        for key in "12":
            said = tapbench(ready, "phone", "renew", *later, "--key", key, code=2)
            assert "third wrong MAC" in said
    said = tapbench(ready, "phone", "renew", *later, "--key", "3", code=2)
    assert "R28" in said
    told = tapbench(ready, "issuer", "allow-renewal", serial, *later)
    assert told == f"card {serial} may be renewed again\n"
    assert "2027-09-30" in tapbench(ready, "phone", "renew", *later, "--key", "3")


class Reading(io.StringIO):
    """Standard output of somebody who ends the program as soon as it serves."""

    def flush(self) -> None:
        if self.getvalue().startswith("serving"):
            signal.raise_signal(signal.SIGTERM)


def test_serve_ended_as_soon_as_it_has_said_its_address_ends_in_order(here):
    tapbench(here, "issuer", "init")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the program has it
    out, err = Reading(), io.StringIO()
    try:
        with chdir(here), redirect_stdout(out), redirect_stderr(err):
            code = run_app(["issuer", "serve", "--port", "0", *NOW])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (code, err.getvalue()) == (0, "")
    assert "serving office at http://127.0.0.1:" in out.getvalue()


@pytest.mark.parametrize(
    ("host", "is_warned"),
    [
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.0.2.1", True),
        ("desk.example", True),
    ],
)
def test_an_address_that_others_can_reach_is_warned_of(host, is_warned, capsys):
    _warn_of(host)
    assert ("in the clear" in capsys.readouterr().err) == is_warned


def test_who_knows_the_address_is_let_in_before_the_service_is_up():
    with _bound("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname(), 5):
        pass


@pytest.mark.parametrize("host", ["nosuch.invalid", "192.0.2.1", "a..b", "::zz", "\0"])
def test_an_address_that_cannot_be_served_is_one_sentence(here, host):
    tapbench(here, "issuer", "init")
    assert "nothing can be served" in tapbench(here, "issuer", "serve", "--host", host, code=2)


def test_a_card_in_use_stays_in_the_phone_while_the_service_cannot_be_asked(here):
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    tapbench(here, "phone", "prove", *PROVE, *NOW)
    tapbench(here, "phone", "open", *NOW)
    before = (here / "phone" / "card.json").read_bytes()
    (here / "t").write_text("tb_x")
    away = ("--url", "http://127.0.0.1:9", "--token-file", "t")
    tapbench(here, "phone", "open", *away, code=2)
    assert (here / "phone" / "card.json").read_bytes() == before
    assert "5.00 yuan on the card" in tapbench(here, "phone", "topup", "5", *NOW)


def test_an_opening_that_cannot_be_ended_is_given_up(ready):
    assert "no opening is under way" in tapbench(ready, "phone", "give-up", *NOW, code=2)
    tapbench(ready, "phone", "open", *NOW, "--key", "one")
    assert "R24" in tapbench(ready, "phone", "give-up", *NOW, "--key", "one", code=2)
    assert "R24" in tapbench(ready, "phone", "give-up", *NOW, "--key", "other", code=2)


def test_an_outlet_tops_up_whichever_card_is_presented(ready):
    tapbench(ready, "phone", "open", *NOW)
    card = ("--phone", "phone")
    said = tapbench(ready, "issuer", "topup", "30", "--key", "a", *card, *NOW)
    assert "30.00 yuan taken in cash and loaded, 30.00 yuan on card 0310" in said
    for _ in range(2):  # the same key is the same wish
        air = ("--via", "air", "--key", "b", "--json")
        done = json.loads(tapbench(ready, "issuer", "topup", "20.50", *air, *card, *NOW))
        assert (done["amount"], done["balance"]) == (2050, 5050)
    assert json.loads(tapbench(ready, "issuer", "report", "--json"))["balances"]["cards"] == -5050


def test_an_outlet_tops_up_a_card_in_the_field_of_its_reader_at_a_served_office(ready):
    tapbench(ready, "phone", "open", *NOW)
    tapbench(ready, "issuer", "token", "staff", "--login", "desk", "--out", "s", *NOW)
    with held(ready, "phone") as device, serving(ready) as (url, _):
        road = ("--via", "nfc", "--device", device)
        at = ("--url", url, "--token-file", "s", "--key", "c")
        said = tapbench(ready, "issuer", "topup", "10", *road, *at)
        assert "10.00 yuan on card" in said
        tapbench(ready, "issuer", "revoke", "s", *NOW)
        assert "token" in tapbench(ready, "issuer", "topup", "10", *road, *at, code=2)


def test_a_changed_audit_log_is_found(ready):
    import sqlite3

    tapbench(ready, "phone", "open", *NOW)
    with sqlite3.connect(ready / "office" / "office.db") as held:
        held.execute("DROP TRIGGER audit_no_update")
        held.execute("UPDATE audit SET detail = '{}' WHERE id = 1")
    held.close()
    assert "changed at line 1" in tapbench(ready, "issuer", "verify", code=1)
