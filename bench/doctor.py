"""What this machine can run of the bench, and what to do about the rest.

Every check asks a `Machine` and answers with findings. Nothing here changes the machine, except
that the private pcscd is started once and stopped again.

What is told apart at the socket of a pcscd, whose libraries all say "no service" or "access
denied": no socket; a socket nobody listens on; no right to connect; connected and then dropped,
which is how pcscd 2.x treats a client that polkit does not let in (`ContextThread` in pcsc-lite's
winscard_svc.c; with no polkitd, as in most containers, it lets nobody in); and silence.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from errno import EPROTO
from pathlib import Path
from typing import Literal

from bench.machine import ANSWER_S, Machine, group, holder, number, text
from bench.rig.errors import RigError

__all__ = ["CHECKS", "Finding", "examine", "exit_code", "polkit_rule", "udev_rule"]

MINIMUM_PYTHON = (3, 11)
RUNTIME = {
    "construct==2.10.70": "construct",
    "cryptography>=45": "cryptography",
    "nfcpy>=1.0.4,<2": "nfc.clf",
    "SQLAlchemy>=2.1,<3": "sqlalchemy",
    "typer>=0.15": "typer",
    "rich>=13": "rich",
}
"""The requirements of pyproject.toml, and the module that shows whether one can be loaded."""

PCSC_EXTRA = "pyscard>=2.2"

ISSUER_EXTRA = {
    "alembic>=1.16": "alembic",
    "fastapi>=0.120": "fastapi",
    "httpx2>=2": "httpx2",
    "uvicorn>=0.35": "uvicorn",
}
"""What the back office and its service need (the extra `issuer`), and their modules."""

POSTGRES_EXTRA = "psycopg>=3.2"

TOOLS = {
    "opensc-tool": "opensc",
    "pcsc_scan": "pcsc-tools",
    "scriptor": "pcsc-tools",
    "nfc-list": "libnfc-bin",
    "tshark": "tshark",
}
"""Programs of others that tests drive, and their Debian packages."""

KERNEL_DRIVERS = ("pn533_usb", "port100", "pn533", "nfc")
"""Modules that take a reader from nfcpy and from pcscd, those that use others first."""

LISTENING = ("pn531", "pn532", "pn533", "rcs380")
"""nfcpy's drivers that can put our card into a gate's field (docs/hardware.md)."""

UDEV_FILE = "/etc/udev/rules.d/70-tapbench.rules"
POLKIT_FILE = "/etc/polkit-1/rules.d/70-tapbench.rules"

_SOCKET = "run/pcscd/pcscd.comm"
_SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
_REAL_ONLY = "only needed for real readers"

Status = Literal["ok", "missing", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. A fix of several lines is a sentence, then text to paste.

    status: `missing` is not there or too old; `warning` is there, but in the way or locked up.
    """

    name: str
    status: Status
    found: str
    fix: str = ""


def check_python(machine: Machine) -> Iterator[Finding]:
    """Whether the interpreter is new enough."""
    found = ".".join(map(str, machine.python))
    wanted = ".".join(map(str, MINIMUM_PYTHON))
    if machine.python >= MINIMUM_PYTHON:
        yield Finding("Python", "ok", found)
    else:
        yield Finding("Python", "missing", found, f"install Python {wanted} or newer")


def check_runtime(machine: Machine) -> Iterator[Finding]:
    """Whether the packages without which nothing runs are there."""
    for requirement, module in RUNTIME.items():
        system = "apt install libusb-1.0-0" if module == "nfc.clf" else ""
        yield _package(machine, requirement, module, f"pip install '{requirement}'", system)


def check_pyscard(machine: Machine) -> Iterator[Finding]:
    """Whether the extra for PC/SC readers is there."""
    fix = 'pip install "tapbench[pcsc]"'
    yield _package(machine, PCSC_EXTRA, "smartcard.scard", fix, "apt install libpcsclite1")


def check_issuer(machine: Machine) -> Iterator[Finding]:
    """Whether the extras of the back office are there: its service, and PostgreSQL."""
    for requirement, module in ISSUER_EXTRA.items():
        fix = 'pip install "tapbench[issuer]"; only needed for tapbench issuer and phone'
        yield _package(machine, requirement, module, fix, "")
    fix = 'pip install "tapbench[postgres]"; only needed for --db with PostgreSQL'
    yield _package(machine, POSTGRES_EXTRA, "psycopg", fix, "apt install libpq5")


def check_pcscd(machine: Machine) -> Iterator[Finding]:
    """Whether the PC/SC service is installed, and which."""
    path = machine.which("pcscd")
    if path is None:
        yield Finding("pcscd", "missing", "not installed", "apt install pcscd libccid")
        return
    said = machine.run([path, "--version"])
    version = re.search(r"version (\d+(?:\.\d+)+)", said)
    found = f"{version[1] if version else 'version unknown'}, {path}"
    yield Finding("pcscd", "ok", found + (", asks polkit" if "polkit" in said else ""))


def check_service(machine: Machine) -> Iterator[Finding]:
    """Whether the system's pcscd answers, and with which readers."""
    path = machine.root / _SOCKET
    try:
        readers = machine.ask_pcscd(path)
    except OSError as error:
        yield _why_silent(machine, path, error)
        return
    how = ", systemd starts it on demand" if _is_socket_activated(machine) else ""
    yield Finding("pcscd service", "ok", f"answers on {path}{how}")
    if readers:
        yield Finding("PC/SC readers", "ok", ", ".join(readers))
    else:
        fix = f"plug one in, and apt install libccid; {_REAL_ONLY}"
        yield Finding("PC/SC readers", "missing", "pcscd has none", fix)


def check_csock(machine: Machine) -> Iterator[Finding]:
    """Whether PC/SC programs started from here are sent to another pcscd."""
    path = machine.environ.get(_SOCKET_VARIABLE)
    if path is None:
        yield Finding(_SOCKET_VARIABLE, "ok", "not set: programs use the system's pcscd")
        return
    try:
        machine.ask_pcscd(Path(path))
        answers = "answers"
    except OSError as error:
        answers = f"does not answer ({error})"
    found = f"{path}, which {answers}; programs started here do not see the system's pcscd"
    yield Finding(_SOCKET_VARIABLE, "warning", found, f"unset {_SOCKET_VARIABLE}")


def check_vpcd(machine: Machine) -> Iterator[Finding]:
    """Whether the driver of the virtual reader is installed."""
    try:
        yield Finding("vpcd driver", "ok", machine.find_vpcd())
    except RigError as error:
        yield _from_rig("vpcd driver", error)


def check_rig(machine: Machine) -> Iterator[Finding]:
    """Whether a private pcscd starts: it is tried, binary, setpriv, /run/pcscd and all."""
    try:
        machine.start_rig()
        yield Finding("private pcscd", "ok", "starts with two virtual slots")
    except RigError as error:
        yield _from_rig("private pcscd", error)


def check_usb(machine: Machine) -> Iterator[Finding]:
    """Which USB readers nfcpy could drive, and whether it may."""
    reason = machine.why_not_loaded("nfc.clf.device")
    if reason:
        found = f"unknown, nfcpy does not load ({reason})"
        yield Finding("USB NFC readers", "warning", found, "mend nfcpy first")
        return
    table = machine.usb_table()
    is_seen = False
    devices = machine.root / "sys/bus/usb/devices"
    for folder in sorted(devices.glob("*")):
        ids = number(folder / "idVendor", 16), number(folder / "idProduct", 16)
        if ids in table:
            is_seen = True
            yield _usb_reader(machine, folder, ids, table[ids])
    if not is_seen:
        known = ", ".join(f"{vid:04x}:{pid:04x}" for vid, pid in table)
        fix = f"plug in one of {known}; {_REAL_ONLY}"
        found = "none that nfcpy drives" if devices.exists() else f"no {devices}, so no USB here"
        yield Finding("USB NFC readers", "missing", found, fix)


def check_serial(machine: Machine) -> Iterator[Finding]:
    """Which serial ports may have a PN532 or Arygon reader, and whether it may be used."""
    ports = [p for kind in ("USB", "ACM") for p in (machine.root / "dev").glob(f"tty{kind}*")]
    for port in sorted(ports):
        found = f"path tty:{port.name[3:]}:pn532 or tty:{port.name[3:]}:arygon"
        if machine.may_use(port):
            yield Finding(f"serial {port.name}", "ok", found)
        else:
            fix = f"sudo usermod -aG {group(port)} {machine.user}, then log in anew"
            yield Finding(f"serial {port.name}", "warning", "no permission to open it", fix)
    if not ports:
        fix = f"plug in a PN532 board on a serial adapter; {_REAL_ONLY}"
        yield Finding("serial readers", "missing", "no /dev/ttyUSB* or /dev/ttyACM*", fix)


def check_kernel(machine: Machine) -> Iterator[Finding]:
    """Whether the kernel takes NFC readers for itself."""
    path = machine.root / "proc/modules"
    try:
        loaded = {line.split()[0] for line in path.read_text().splitlines() if line.strip()}
    except OSError:
        found, fix = f"{path} cannot be read", f"run lsmod | grep nfc on the host; {_REAL_ONLY}"
        yield Finding("kernel modules", "warning", found, fix)
        return
    taking = [name for name in KERNEL_DRIVERS if name in loaded]
    if not taking:
        yield Finding("kernel modules", "ok", f"none of {', '.join(KERNEL_DRIVERS)} is loaded")
        return
    fix = "unload them, and keep them from coming back:\n"
    fix += f"sudo modprobe -r {' '.join(taking)}\n"
    fix += rf"printf 'blacklist %s\n' {' '.join(taking)} | "
    fix += "sudo tee /etc/modprobe.d/tapbench.conf"
    yield Finding("kernel modules", "warning", f"{', '.join(taking)}: they take readers", fix)


def check_tools(machine: Machine) -> Iterator[Finding]:
    """Whether the programs are there that tests compare us with."""
    for tool, package in TOOLS.items():
        path = machine.which(tool)
        if path:
            yield Finding(tool, "ok", path)
        else:
            yield Finding(tool, "missing", "not installed", f"apt install {package}")


Check = Callable[[Machine], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    check_python,
    check_runtime,
    check_pyscard,
    check_issuer,
    check_pcscd,
    check_service,
    check_csock,
    check_vpcd,
    check_rig,
    check_usb,
    check_serial,
    check_kernel,
    check_tools,
)


def examine(machine: Machine | None = None, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """All findings, in the order of the checks. A check that breaks is a finding too."""
    machine = machine or Machine()
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(machine)
        except Exception as error:  # noqa: BLE001 - a doctor reports what it cannot examine
            name = check.__name__.removeprefix("check_")
            found = f"cannot be examined ({type(error).__name__}: {error})"
            findings.append(Finding(name, "warning", found, "report this line as a bug"))
    return findings


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if cards and gates can run here, hardware or not; else 1."""
    usable = {finding.name for finding in findings if finding.status != "missing"}
    needed = {"Python", *(_split(requirement)[0] for requirement in RUNTIME)}
    return 0 if needed <= usable else 1


def udev_rule(vendor: int, product: int) -> str:
    """The line that lets who sits at the machine use a USB reader."""
    return (
        f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor:04x}", '
        f'ATTRS{{idProduct}}=="{product:04x}", TAG+="uaccess"'
    )


def polkit_rule(user: str) -> str:
    """The rule that lets a user reach pcscd and its cards from anywhere."""
    return f"""polkit.addRule(function(action, subject) {{
    if ((action.id == "org.debian.pcsc-lite.access_pcsc" ||
         action.id == "org.debian.pcsc-lite.access_card") &&
        subject.user == "{user}") {{
        return polkit.Result.YES;
    }}
}});"""


def _package(machine: Machine, requirement: str, module: str, fix: str, system: str) -> Finding:
    """One Python package: there, of a version that will do, and loadable.

    system: how to get the system library it loads.
    """
    name, bounds = _split(requirement)
    version = machine.version_of(name)
    if version is None:
        return Finding(name, "missing", "not installed", fix)
    if not _is_within(version, bounds):
        return Finding(name, "missing", f"{version}, but {','.join(bounds)} is needed", fix)
    reason = machine.why_not_loaded(module)
    if reason:
        return Finding(name, "missing", f"{version}, does not load ({reason})", system or fix)
    return Finding(name, "ok", version)


def _split(requirement: str) -> tuple[str, list[str]]:
    name = re.split("[=<>]", requirement, maxsplit=1)[0]
    return name, requirement[len(name) :].split(",")


def _is_within(version: str, bounds: Iterable[str]) -> bool:
    """Whether a version keeps `==`, `>=` and `<` bounds. Numbers only: a pre-release counts."""
    here = _numbers(version)
    for bound in bounds:
        there = _numbers(bound)
        width = max(len(here), len(there))
        a, b = (x + (0,) * (width - len(x)) for x in (here, there))
        if not {"==": a == b, ">=": a >= b}.get(bound[:2], a < b):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    release = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()


def _from_rig(name: str, error: RigError) -> Finding:
    """A rig's sentence says what is wrong, a semicolon, and what to do."""
    found, _, fix = str(error).rstrip(".").rpartition("; ")
    return Finding(name, "missing", found or fix, fix)


def _is_socket_activated(machine: Machine) -> bool:
    return machine.run(["systemctl", "is-active", "pcscd.socket"]).strip() == "active"


def _why_silent(machine: Machine, path: Path, error: OSError) -> Finding:
    """What it means that the system's pcscd could not be asked."""
    name = "pcscd service"
    start = "sudo pcscd"
    if (machine.root / "run/systemd/system").is_dir():
        start = "sudo systemctl enable --now pcscd.socket"
    start += "; the bench starts its own pcscd and does without"
    if isinstance(error, FileNotFoundError):
        return Finding(name, "missing", f"not running, there is no {path}", start)
    if isinstance(error, ConnectionRefusedError):
        return Finding(name, "missing", f"not running, nobody listens on {path}", start)
    if isinstance(error, PermissionError):
        fix = f"sudo chmod 666 {path}, or run as a user that may"
        return Finding(name, "warning", f"no permission to connect to {path}", fix)
    if isinstance(error, ConnectionError):
        return Finding(name, "warning", _refused(machine), _let_in(machine))
    if isinstance(error, TimeoutError):
        fix = "sudo systemctl restart pcscd, or end it and run sudo pcscd"
        return Finding(name, "warning", f"connects, but is silent for {ANSWER_S:g} s", fix)
    fix = f"see what {path} is, and restart pcscd"
    if error.errno == EPROTO:
        fix = "install the same pcsc-lite here and where pcscd runs"
    return Finding(name, "warning", f"cannot be used ({error})", fix)


def _refused(machine: Machine) -> str:
    mounts = text(machine.root / "proc/mounts")
    found = "it drops us at once: access denied, by polkit as a rule"
    if re.search(r"^\S+ /proc proc \S*hidepid=(?!0|off)", mounts, re.MULTILINE):
        found += "; /proc is mounted with hidepid, which alone makes polkit refuse"
    return found


def _let_in(machine: Machine) -> str:
    return (
        "start pcscd with --disable-polkit (2.0.0 or newer; with systemd, PCSCD_ARGS="
        "--disable-polkit in /etc/default/pcscd or /etc/sysconfig/pcscd), "
        f"or, where pcscd runs, write {POLKIT_FILE}:\n{polkit_rule(machine.user)}"
    )


def _usb_reader(machine: Machine, folder: Path, ids: tuple[int, int], driver: str) -> Finding:
    """One reader that nfcpy knows: its node, who has it, and whether we may open it."""
    name = f"USB {ids[0]:04x}:{ids[1]:04x}"
    bus, device = number(folder / "busnum"), number(folder / "devnum")
    node = Path("dev/bus/usb", f"{bus:03d}", f"{device:03d}")
    model = " ".join(filter(None, (text(folder / "manufacturer"), text(folder / "product"))))
    if not (machine.root / node).exists():
        fix = f"give it to the container: --device /{node}"
        return Finding(name, "warning", f"{model or driver}: plugged in, but no /{node}", fix)
    if not machine.may_use(machine.root / node):
        fix = f"write {UDEV_FILE}, reload, and replug the reader:\n{udev_rule(*ids)}\n"
        fix += "sudo udevadm control --reload-rules && sudo udevadm trigger"
        return Finding(name, "warning", f"{model or driver}: no permission for /{node}", fix)
    taker = holder(folder)
    if taker:
        fix = f"sudo modprobe -r {taker}"
        if taker == "usbfs":
            fix = "use it over PC/SC, or stop the program: sudo systemctl stop pcscd.socket pcscd"
            taker = "another program, pcscd as a rule"
        return Finding(name, "warning", f"{model or driver}: taken by {taker}", fix)
    path = f"usb:{bus:03d}:{device:03d}"
    sides = "gate and card side" if driver in LISTENING else "gate side"
    return Finding(name, "ok", f"{model or driver}, path {path}, nfcpy's driver {driver}, {sides}")
