"""`tapbench issuer` and `tapbench phone` as programs: in a folder, and against a served office."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from stat import S_IMODE

import pytest

from bench.cli.app import run_app
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
def serving(here: Path):
    """The office served, with its log; ended by SIGTERM."""
    with (here / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", "issuer", "serve", "--port", "0", *NOW],
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
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


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
        (("issuer", "refund", "12", "--key", "a"), "20 digits"),
        (("issuer", "report", "--db", "nosuch://x"), "no database"),
    ],
)
def test_a_wrong_wish_is_one_sentence_and_changes_nothing(opened, arguments, words):
    before = tapbench(opened, "issuer", "report")
    assert words in tapbench(opened, *arguments, code=2)
    assert tapbench(opened, "issuer", "report") == before


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("opened")
    tapbench(here, "issuer", "init", "--sample")
    tapbench(here, "phone", "new", "xiaoming")
    tapbench(here, "phone", "prove", *PROVE, *NOW)
    tapbench(here, "phone", "open", *NOW)
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
    tapbench(opened, "phone", "topup", "5", "--phone", "other", *NOW, code=2)
    assert tapbench(opened, "issuer", "report") == before
    # What was begun, and paid perhaps, is not forgotten with the wrong card.
    assert list(json.loads((other / "phone.json").read_text())["pending"]) == ["topup 500"]
    (other / "card.json").write_bytes((opened / "hong" / "card.json").read_bytes())
    told = tapbench(opened, "phone", "topup", "5", "--phone", "other", *NOW)
    assert "5.00 yuan on the card" in told
    assert not json.loads((other / "phone.json").read_text())["pending"]


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
    with serving(here) as (url, _):
        assert url.startswith("http://127.0.0.1:")


def test_a_changed_audit_log_is_found(ready):
    import sqlite3

    tapbench(ready, "phone", "open", *NOW)
    with sqlite3.connect(ready / "office" / "office.db") as held:
        held.execute("DROP TRIGGER audit_no_update")
        held.execute("UPDATE audit SET detail = '{}' WHERE id = 1")
    held.close()
    assert "changed at line 1" in tapbench(ready, "issuer", "verify", code=1)
