"""What the doctor asks of a machine: programs, packages, sockets, device nodes.

`Machine()` is the one we run on. Every question can be replaced, and `root` moves all files, so
that a test can build a machine that nobody has. No question takes longer than some seconds.
"""

import importlib
import importlib.metadata
import logging
import os
import pwd
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.rig import pcscd as rig
from bench.rig.pcsclite import ask_reader_names

__all__ = ["ANSWER_S", "Machine", "group", "holder", "number", "text"]

ANSWER_S = 5.0
_RUN_S = 5.0


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _why_not_loaded(module: str) -> str:
    """Why a module cannot be imported; empty if it can."""
    showwarning = warnings.showwarning
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything
        return f"{type(error).__name__}: {error}"
    finally:
        if warnings.showwarning is not showwarning:  # nfcpy redirects warnings; undone
            logging.captureWarnings(False)
    return ""


def _which(program: str) -> str | None:
    try:
        return rig.find_tool(program)
    except rig.RigError:
        return None


def _run(command: Sequence[str]) -> str:
    """What a program prints; nothing if it cannot be run or takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - our own command lines, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_RUN_S
        ).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""


def _ask_pcscd(path: Path) -> tuple[str, ...]:
    """The readers of the pcscd at a socket. Raises OSError, one kind for each thing wrong."""
    return ask_reader_names(path, ANSWER_S)


def _start_rig() -> None:
    with rig.PrivatePcscd():
        pass


def _usb_table() -> Mapping[tuple[int, int], str]:
    """Vendor and product of the USB readers that nfcpy drives, and its driver's name."""
    table: dict[tuple[int, int], str] = importlib.import_module("nfc.clf.device").usb_device_map
    return table


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything the checks ask. The defaults ask the machine we run on.

    why_not_loaded: of a module, a reason or nothing.   ask_pcscd: of a socket, reader names.
    start_rig, find_vpcd: raise RigError.               may_use: whether we may read and write.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: str = field(default_factory=_user)
    python: tuple[int, int, int] = sys.version_info[:3]
    version_of: Callable[[str], str | None] = _version_of
    why_not_loaded: Callable[[str], str] = _why_not_loaded
    which: Callable[[str], str | None] = _which
    run: Callable[[Sequence[str]], str] = _run
    ask_pcscd: Callable[[Path], tuple[str, ...]] = _ask_pcscd
    find_vpcd: Callable[[], str] = rig.find_driver
    start_rig: Callable[[], None] = _start_rig
    usb_table: Callable[[], Mapping[tuple[int, int], str]] = _usb_table
    may_use: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)


def holder(folder: Path) -> str:
    """The kernel driver that has an interface of a device; usbfs stands for a program."""
    for link in folder.glob(f"{folder.name}:*/driver"):
        return link.resolve().name
    return ""


def group(node: Path) -> str:
    """The group that may use a device node; the usual one for serial ports if nobody knows."""
    try:
        return node.group()
    except (OSError, KeyError):
        return "dialout"


def text(path: Path) -> str:
    """What a small file says; nothing if it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def number(path: Path, base: int = 10) -> int:
    """The number in a file of /sys; -1 if there is none."""
    try:
        return int(text(path), base)
    except ValueError:
        return -1
