"""The doctor on machines that are fine, lack something, or are odd; and on this one."""

import io
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import doctor as d
from bench.cli.doctor import doctor, render
from bench.doctor import Finding, examine, exit_code
from bench.machine import Machine
from bench.rig.pcscd import RigError

ACR122U = (0x072F, 0x2200)
UDEV_LINE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="072f", ATTRS{idProduct}=="2200", TAG+="uaccess"'
VERSIONS = {
    "construct": "2.10.70",
    "cryptography": "50.0.2",
    "nfcpy": "1.0.4",
    "SQLAlchemy": "2.1.0",
    "typer": "0.29",
    "rich": "15.0.0",
    "pyscard": "2.3.1",
    "alembic": "1.18.0",
    "fastapi": "0.130.0",
    "httpx2": "2.0",
    "uvicorn": "0.40.0",
    "psycopg": "3.3.2",
}


def raises(error):
    def probe(*_):
        raise error

    return probe


@pytest.fixture
def machine(tmp_path):
    """A machine with everything, whose files are in tmp_path."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text("ext4 1 0 - Live 0x0\n")
    return Machine(
        root=tmp_path,
        environ={},
        user="alice",
        python=(3, 12, 1),
        version_of=VERSIONS.get,
        why_not_loaded=lambda module: "",
        which=lambda program: f"/usr/bin/{program}",
        run=lambda command: "pcsc-lite version 2.0.3.\nEnabled features: Linux polkit usb\n",
        ask_pcscd=lambda path: ("ACS ACR1252 00 00",),
        find_vpcd=lambda: "/usr/lib/libifdvpcd.so",
        start_rig=lambda: None,
        usb_table=lambda: {ACR122U: "acr122"},
        may_use=lambda path: True,
    )


@pytest.fixture
def usb(tmp_path):
    """An ACR122U as /sys shows it, and its device node."""
    folder = tmp_path / "sys/bus/usb/devices/1-4"
    folder.mkdir(parents=True)
    files = {"idVendor": "072f", "idProduct": "2200", "busnum": "1", "devnum": "7"}
    files |= {"manufacturer": "ACS", "product": "ACR122U PICC Interface"}
    for name, content in files.items():
        (folder / name).write_text(content + "\n")
    (folder.parent / "usb1").mkdir()  # a hub without the files we read
    node = tmp_path / "dev/bus/usb/001/007"
    node.parent.mkdir(parents=True)
    node.touch()
    return folder


def one(check, machine) -> Finding:
    (finding,) = check(machine)
    return finding


def by_name(findings, name) -> Finding:
    (finding,) = (f for f in findings if f.name == name)
    return finding


def test_a_machine_with_everything_but_readers_can_run_the_core(machine):
    findings = examine(machine)
    assert {f.name for f in findings if f.status != "ok"} == {"USB NFC readers", "serial readers"}
    assert exit_code(findings) == 0
    assert all(f.fix for f in findings if f.status != "ok")


@pytest.mark.parametrize(
    ("python", "status"), [((3, 10, 14), "missing"), ((3, 11, 0), "ok"), ((4, 0, 0), "ok")]
)
def test_python_is_new_enough(machine, python, status):
    finding = one(d.check_python, replace(machine, python=python))
    assert (finding.found, finding.status) == (".".join(map(str, python)), status)


def test_requirements_are_those_of_the_package():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    assert list(d.RUNTIME) == project["dependencies"]
    extras = project["optional-dependencies"]
    assert extras["pcsc"] == [d.PCSC_EXTRA]
    assert extras["issuer"] == list(d.ISSUER_EXTRA)
    assert extras["postgres"] == [d.POSTGRES_EXTRA.replace("psycopg", "psycopg[binary]")]
    minimum = ".".join(map(str, d.MINIMUM_PYTHON))
    assert project["requires-python"] == f">={minimum}"


@pytest.mark.parametrize(
    ("package", "version", "status"),
    [
        ("construct", "2.10.70", "ok"),
        ("construct", "2.10.69", "missing"),
        ("construct", "2.10.71", "missing"),
        ("cryptography", "45", "ok"),
        ("cryptography", "44.0.9", "missing"),
        ("nfcpy", "1.0.4", "ok"),
        ("nfcpy", "1.1", "ok"),
        ("nfcpy", "1.0.3", "missing"),
        ("nfcpy", "2.0.0", "missing"),
        ("typer", "0.15", "ok"),
        ("typer", "0.9.4", "missing"),
        ("rich", "13.0.0rc1", "ok"),
        ("rich", "unknown", "missing"),
        ("rich", None, "missing"),
    ],
)
def test_package_versions(machine, package, version, status):
    odd = replace(machine, version_of=(VERSIONS | {package: version}).get)
    findings = examine(odd)
    finding = by_name(findings, package)
    assert finding.status == status
    assert exit_code(findings) == (0 if status == "ok" else 1)
    if status == "missing":
        assert finding.fix.startswith(f"pip install '{package}")


@pytest.mark.parametrize("package", ["alembic", "fastapi", "httpx2", "uvicorn", "psycopg"])
@pytest.mark.parametrize("version", [None, "0.1"])
def test_without_the_issuers_packages_cards_and_gates_run(machine, package, version):
    odd = replace(machine, version_of=(VERSIONS | {package: version}).get)
    finding = by_name(d.check_issuer(odd), package)
    extra = "postgres" if package == "psycopg" else "issuer"
    assert finding.status == "missing"
    assert f"tapbench[{extra}]" in finding.fix
    assert exit_code(examine(odd)) == 0


def test_a_package_that_does_not_load_is_missing(machine):
    odd = replace(machine, why_not_loaded=lambda module: "OSError: no libusb" * (module[0] == "n"))
    finding = by_name(d.check_runtime(odd), "nfcpy")
    assert finding.status == "missing"
    assert "no libusb" in finding.found
    assert finding.fix == "apt install libusb-1.0-0"
    assert one(d.check_usb, odd).status == "warning"


def test_pyscard_is_an_extra_and_not_needed(machine):
    odd = replace(machine, version_of=(VERSIONS | {"pyscard": None}).get)
    finding = one(d.check_pyscard, odd)
    assert (finding.status, finding.fix) == ("missing", 'pip install "tapbench[pcsc]"')
    assert exit_code(examine(odd)) == 0


def test_pcscd_tells_its_version_and_whether_it_asks_polkit(machine):
    assert one(d.check_pcscd, machine).found == "2.0.3, /usr/bin/pcscd, asks polkit"
    mute = one(d.check_pcscd, replace(machine, run=lambda command: ""))
    assert (mute.status, mute.found) == ("ok", "version unknown, /usr/bin/pcscd")
    gone = one(d.check_pcscd, replace(machine, which=lambda program: None))
    assert (gone.status, gone.fix) == ("missing", "apt install pcscd libccid")


def test_service_names_its_readers(machine):
    service, readers = d.check_service(replace(machine, run=lambda command: "active\n"))
    assert service.status == "ok"
    assert "systemd starts it on demand" in service.found
    assert readers.found == "ACS ACR1252 00 00"
    _, none = d.check_service(replace(machine, ask_pcscd=lambda path: ()))
    assert none.status == "missing"


@pytest.mark.parametrize(
    ("error", "status", "found", "fix"),
    [
        (FileNotFoundError(), "missing", "not running, there is no", "sudo pcscd;"),
        (ConnectionRefusedError(), "missing", "nobody listens", "sudo pcscd;"),
        (PermissionError(), "warning", "no permission", "sudo chmod 666"),
        (ConnectionResetError(), "warning", "access denied, by polkit", "--disable-polkit"),
        (BrokenPipeError(), "warning", "access denied, by polkit", "--disable-polkit"),
        (TimeoutError(), "warning", "silent for 5 s", "restart pcscd"),
        (OSError(71, "it speaks protocol 5.0"), "warning", "protocol 5.0", "same pcsc-lite"),
        (OSError("AF_UNIX path too long"), "warning", "too long", "restart pcscd"),
    ],
)
def test_a_service_that_cannot_be_used(machine, error, status, found, fix):
    finding = one(d.check_service, replace(machine, ask_pcscd=raises(error)))
    assert finding.status == status
    assert found in finding.found
    assert fix in finding.fix


def test_a_service_that_systemd_would_start(machine, tmp_path):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    finding = one(d.check_service, replace(machine, ask_pcscd=raises(FileNotFoundError())))
    assert finding.fix.startswith("sudo systemctl enable --now pcscd.socket;")


def test_a_refusal_by_polkit_comes_with_the_rule(machine):
    finding = one(d.check_service, replace(machine, ask_pcscd=raises(ConnectionError())))
    sentence, _, rule = finding.fix.partition("\n")
    assert sentence.endswith("write /etc/polkit-1/rules.d/70-tapbench.rules:")
    assert rule == d.polkit_rule("alice")
    assert rule.count("{") == rule.count("}") == 2
    assert rule.count("(") == rule.count(")")
    assert "org.debian.pcsc-lite.access_pcsc" in rule
    assert "org.debian.pcsc-lite.access_card" in rule
    assert 'subject.user == "alice"' in rule


@pytest.mark.parametrize(
    ("options", "is_blamed"),
    [("rw", False), ("rw,hidepid=2", True), ("rw,hidepid=invisible", True), ("hidepid=0", False)],
)
def test_hidepid_is_blamed_for_a_refusal(machine, tmp_path, options, is_blamed):
    (tmp_path / "proc/mounts").write_text(f"none / ext4 rw 0 0\nproc /proc proc {options} 0 0\n")
    finding = one(d.check_service, replace(machine, ask_pcscd=raises(ConnectionError())))
    assert ("hidepid" in finding.found) == is_blamed


def test_another_pcscd_in_the_environment_is_a_warning(machine):
    assert one(d.check_csock, machine).status == "ok"
    diverted = replace(machine, environ={"PCSCLITE_CSOCK_NAME": "/tmp/x"})
    finding = one(d.check_csock, diverted)
    assert (finding.status, finding.fix) == ("warning", "unset PCSCLITE_CSOCK_NAME")
    assert "/tmp/x, which answers" in finding.found
    dead = one(d.check_csock, replace(diverted, ask_pcscd=raises(FileNotFoundError("gone"))))
    assert "does not answer (gone)" in dead.found


@pytest.mark.parametrize(
    ("check", "probe"), [(d.check_vpcd, "find_vpcd"), (d.check_rig, "start_rig")]
)
def test_a_rig_that_fails_says_what_to_do(machine, check, probe):
    assert one(check, machine).status == "ok"
    error = RigError("setpriv is not installed; apt install util-linux.")
    finding = one(check, replace(machine, **{probe: raises(error)}))
    assert finding.status == "missing"
    assert (finding.found, finding.fix) == (
        "setpriv is not installed",
        "apt install util-linux",
    )


def test_a_usb_reader_that_may_be_used(machine, usb):
    finding = one(d.check_usb, machine)
    assert (finding.name, finding.status) == ("USB 072f:2200", "ok")
    assert "ACS ACR122U PICC Interface, path usb:001:007" in finding.found
    assert finding.found.endswith("nfcpy's driver acr122, gate side")


def test_a_usb_reader_without_permission_comes_with_the_udev_rule(machine, usb):
    finding = one(d.check_usb, replace(machine, may_use=lambda path: False))
    sentence, rule, reload = finding.fix.split("\n")
    assert finding.status == "warning"
    assert "/etc/udev/rules.d/70-tapbench.rules" in sentence
    assert rule == UDEV_LINE
    assert reload == "sudo udevadm control --reload-rules && sudo udevadm trigger"


def test_a_usb_reader_that_the_container_was_not_given(machine, usb, tmp_path):
    (tmp_path / "dev/bus/usb/001/007").unlink()
    finding = one(d.check_usb, machine)
    assert (finding.status, finding.fix[-29:]) == ("warning", "--device /dev/bus/usb/001/007")


@pytest.mark.parametrize(
    ("driver", "found", "fix"),
    [
        ("usbfs", "another program", "stop pcscd.socket pcscd"),
        ("pn533_usb", "pn533_usb", "sudo modprobe -r pn533_usb"),
    ],
)
def test_a_usb_reader_that_somebody_has(machine, usb, tmp_path, driver, found, fix):
    (tmp_path / driver).mkdir()
    interface = usb / "1-4:1.0"
    interface.mkdir()
    (interface / "driver").symlink_to(tmp_path / driver)
    finding = one(d.check_usb, machine)
    assert finding.status == "warning"
    assert f"taken by {found}" in finding.found
    assert fix in finding.fix


def test_a_usb_tree_without_our_reader_or_with_nonsense(machine, usb):
    (usb / "idVendor").write_bytes(b"\xff\xfe")
    finding = one(d.check_usb, machine)
    assert (finding.status, finding.found) == ("missing", "none that nfcpy drives")
    assert "072f:2200" in finding.fix


def test_serial_ports_are_candidates(machine, tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/ttyUSB0").touch()
    (tmp_path / "dev/ttyACM1").touch()
    acm, usb0 = d.check_serial(machine)
    assert (acm.name, acm.found) == (
        "serial ttyACM1",
        "path tty:ACM1:pn532 or tty:ACM1:arygon",
    )
    assert usb0.status == "ok"
    locked, _ = d.check_serial(replace(machine, may_use=lambda path: False))
    assert locked.status == "warning"
    assert re.fullmatch(r"sudo usermod -aG \S+ alice, then log in anew", locked.fix)


def test_kernel_modules_that_take_readers(machine, tmp_path):
    assert one(d.check_kernel, machine).status == "ok"
    modules = "nfc 1 1 pn533, Live\npn533 1 1 pn533_usb, Live\npn533_usb 1 0 - Live\n"
    (tmp_path / "proc/modules").write_text(modules)
    finding = one(d.check_kernel, machine)
    assert finding.status == "warning"
    _, unload, keep = finding.fix.split("\n")
    assert unload == "sudo modprobe -r pn533_usb pn533 nfc"
    assert keep.endswith("pn533_usb pn533 nfc | sudo tee /etc/modprobe.d/tapbench.conf")
    (tmp_path / "proc/modules").unlink()
    assert one(d.check_kernel, machine).status == "warning"


def test_missing_tools_name_their_package(machine):
    findings = list(d.check_tools(replace(machine, which=lambda program: None)))
    assert [f.name for f in findings] == list(d.TOOLS)
    assert by_name(findings, "nfc-list").fix == "apt install libnfc-bin"


def test_a_check_that_breaks_is_a_finding(machine):
    odd = replace(machine, version_of=raises(RuntimeError("odd")), usb_table=raises(KeyError(1)))
    findings = examine(odd)
    assert by_name(findings, "runtime").found == "cannot be examined (RuntimeError: odd)"
    assert by_name(findings, "usb").status == "warning"
    assert exit_code(findings) == 1  # whether the core runs is not known


def test_an_empty_root_is_not_an_error(machine, tmp_path):
    findings = examine(replace(machine, root=tmp_path / "nothing"))
    assert exit_code(findings) == 0
    assert not any("cannot be examined" in f.found for f in findings)


def test_this_machine_is_examined_without_raising():
    findings = examine()
    assert not any("cannot be examined" in f.found for f in findings)
    assert exit_code(findings) == 0
    assert {f.status for f in findings} <= {"ok", "missing", "warning"}
    assert all(f.fix for f in findings if f.status != "ok")


def test_the_report_as_json(capsys):
    code = doctor(as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert code == 0
    assert all(set(row) == {"name", "status", "found", "fix"} for row in rows)
    assert {"Python", "construct", "private pcscd"} <= {row["name"] for row in rows}


def test_the_report_as_a_table(capsys):
    assert doctor() == 0
    assert "construct" in capsys.readouterr().out


def test_text_to_paste_is_printed_whole(capsys, monkeypatch, machine, usb):
    locked = replace(machine, may_use=lambda path: False, version_of={}.get)
    monkeypatch.setattr("bench.cli.doctor.examine", lambda: examine(locked))
    monkeypatch.setenv("COLUMNS", "60")
    assert doctor() == 1
    assert UDEV_LINE in capsys.readouterr().out.splitlines()


def test_brackets_are_not_taken_for_markup():
    out = io.StringIO()
    finding = Finding("pyscard", "missing", "[no]", 'pip install "tapbench[pcsc]"')
    Console(file=out, width=120).print(render([finding]))
    assert "[no]" in out.getvalue()
    assert "tapbench[pcsc]" in out.getvalue()
