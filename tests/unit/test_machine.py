"""The questions the doctor asks, put to real programs, sockets and packages."""

import logging
import socket
import sys
import threading
import warnings
from contextlib import contextmanager

import pytest

from bench.machine import Machine, group, number, text
from bench.rig import pcsclite

READERS = ("ACS ACR1252 00 00", "tapbench 00 00")


@contextmanager
def service(path, serve):
    """A pcscd that does to its first client what `serve` does."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def run():
            client, _ = listening.accept()
            with client:
                serve(client)

        thread = threading.Thread(target=run)
        thread.start()
        yield
        thread.join()


def greet(client, refusal=0):
    client.recv(pcsclite.HEADER.size + pcsclite.VERSION.size, socket.MSG_WAITALL)
    client.sendall(pcsclite.VERSION.pack(4, 5, refusal))


def list_readers(client):
    greet(client)
    client.recv(pcsclite.HEADER.size, socket.MSG_WAITALL)
    for slot in range(pcsclite.MAX_READERS):
        name = READERS[slot].encode() if slot < len(READERS) else b""
        client.sendall(pcsclite.READER_STATE.pack(name, 0, 0, 0, b"", 0, 0))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pcscd.comm"


def test_pcscd_names_its_readers(path):
    with service(path, list_readers):
        assert Machine().ask_pcscd(path) == READERS


def test_no_socket_is_told_apart(path):
    with pytest.raises(FileNotFoundError):
        Machine().ask_pcscd(path)


def test_a_dead_socket_is_told_apart(path):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with pytest.raises(ConnectionRefusedError):
        Machine().ask_pcscd(path)


def test_a_pcscd_that_drops_us_is_told_apart(path):
    with service(path, socket.socket.close), pytest.raises(ConnectionError) as failure:
        Machine().ask_pcscd(path)
    assert not isinstance(failure.value, ConnectionRefusedError)


def test_a_silent_pcscd_does_not_hold_us(path, monkeypatch):
    monkeypatch.setattr("bench.machine.ANSWER_S", 0.05)
    done = threading.Event()
    with service(path, lambda client: done.wait()):
        with pytest.raises(TimeoutError):
            Machine().ask_pcscd(path)
        done.set()


def test_another_protocol_is_told_apart(path):
    with (
        service(path, lambda client: greet(client, refusal=0x8010001E)),
        pytest.raises(OSError, match=r"it speaks protocol 4\.5"),
    ):
        Machine().ask_pcscd(path)


def test_programs_are_found_run_and_not_waited_for(monkeypatch):
    machine = Machine()
    assert machine.which("sh")
    assert machine.which("no-such-program") is None
    assert machine.run(["sh", "-c", "echo yes"]) == "yes\n"
    assert machine.run(["no-such-program"]) == ""
    monkeypatch.setattr("bench.machine._RUN_S", 0.05)
    assert machine.run(["sleep", "60"]) == ""


def test_a_package_that_is_not_there_has_no_version():
    assert Machine().version_of("no-such-package") is None
    assert Machine().version_of("construct") == "2.10.70"


def test_whatever_a_module_raises_is_a_reason(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    machine = Machine()
    assert machine.why_not_loaded("broken_module").startswith("ZeroDivisionError")
    assert machine.why_not_loaded("no_such_module").startswith("ModuleNotFoundError")
    assert machine.why_not_loaded("struct") == ""


def test_a_module_that_redirects_warnings_does_not_get_its_way(tmp_path, monkeypatch):
    (tmp_path / "redirecting.py").write_text("import logging\nlogging.captureWarnings(True)\n")
    monkeypatch.syspath_prepend(tmp_path)
    logging.captureWarnings(False)
    before = warnings.showwarning
    assert Machine().why_not_loaded("redirecting") == ""
    assert warnings.showwarning is before
    del sys.modules["redirecting"]


def test_nfcpy_still_has_the_table_we_read():
    assert Machine().usb_table()[0x072F, 0x2200] == "acr122"


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert Machine().user.isdecimal()


def test_files_that_are_not_there_say_nothing(tmp_path):
    assert text(tmp_path / "none") == ""
    assert number(tmp_path / "none") == -1
    assert group(tmp_path / "none") == "dialout"
