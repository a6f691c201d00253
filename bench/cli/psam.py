"""`tapbench psam serve`: a PSAM in a slot until Ctrl-C."""

import random
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from apdu.bcd import digits
from apdu.trace import explain_exchange
from bench.problem import Problem
from bench.recording import Recorder
from bench.scenario import ENTRY_TERMINAL, sam_keys
from emulator.picc import ContactCard
from reader.psam import Psam
from reader.psam_store import PsamFile, PsamStore

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class PsamOptions:
    """What the command line says. number: the first one of a PSAM that has none yet."""

    via: str
    terminal: str | None
    file: Path | None
    number: int | None
    seed: int | None
    reader_name: str
    port: int | None
    system: bool
    trace: Path | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """What is in the slot. slot: the PSAM, or the PSAM with a recorder around it."""

    psam: Psam
    slot: ContactCard


class _Recorded:
    """A PSAM whose exchanges are recorded."""

    def __init__(self, psam: Psam, recorder: Recorder) -> None:
        self.atr = psam.atr
        self.power_on = psam.power_on
        self.power_off = psam.power_off
        self.process = recorder.link(psam, "psam").transmit


def serve(options: PsamOptions) -> None:
    """Hold a PSAM in a slot. Raises Problem, PsamFileError, FrontendError, RigError."""
    if options.via != "pcsc":
        raise Problem(f"there is no road '{options.via}' for a PSAM; choose pcsc")
    with ExitStack() as stack:
        psam = _make(options, stack)
        held = _Held(psam, psam)
        if options.trace is not None:
            from bench.cli.trace_files import recorded_to

            title = f"PSAM of terminal {digits(psam.terminal)}"
            recorder = stack.enter_context(recorded_to(options.trace, title))
            held = _Held(psam, _Recorded(psam, recorder))
        try:
            (_over_system_vpcd if options.system else _over_private_pcscd)(held, options)
        except KeyboardInterrupt:
            print(f"PSAM removed, {_state(psam)}{_where(options)}")


def _make(options: PsamOptions, stack: ExitStack) -> Psam:
    terminal = None if options.terminal is None else _terminal(options.terminal)
    store: PsamStore
    if options.file is None:
        terminal = ENTRY_TERMINAL if terminal is None else terminal
        store = PsamStore(_first_number(options))
    else:
        if terminal is None and not options.file.exists():
            terminal = ENTRY_TERMINAL
        file = PsamFile(options.file, terminal, options.number or 1)
        store = stack.enter_context(file)
        terminal = file.terminal
    return Psam(terminal, sam_keys(), store=store, random=_random(options))


def _first_number(options: PsamOptions) -> int:
    """Numbers never repeat: without a memory of its own a PSAM starts anywhere."""
    if options.number is not None:
        return options.number
    return 1 if options.seed is not None else 1 + secrets.randbelow(1 << 31)


def _random(options: PsamOptions) -> Callable[[int], bytes]:
    if options.seed is None:
        return secrets.token_bytes
    return random.Random(f"psam {options.seed}").randbytes  # noqa: S311 - repeatable on purpose


def _terminal(text: str) -> bytes:
    if len(text) != _DIGITS or not (text.isascii() and text.isdecimal()):
        raise Problem(f"a terminal number is {_DIGITS} digits, such as 300089000195; got '{text}'")
    return bytes.fromhex(text)


def _state(psam: Psam) -> str:
    open_ones = len(psam.store.unresolved)
    return f"next number {psam.terminal_seq}, {open_ones or 'none'} without MAC2"


def _where(options: PsamOptions) -> str:
    return "" if options.file is None else f", kept in {options.file}"


def _announce(psam: Psam, options: PsamOptions, *where: str) -> None:
    print(f"PSAM of terminal {digits(psam.terminal)}: {_state(psam)}{_where(options)}")
    for line in where:
        print(line)
    print("Ctrl-C takes the PSAM away.", flush=True)


def _print_exchange(command: bytes, response: bytes) -> None:
    asked, said = explain_exchange(command, response)
    request = f" {{{asked.brief()}}}" if asked.lines else ""
    answer = f" {{{said.brief()}}}" if said.lines else ""
    print(f"{asked.title}{request} -> {said.status}{answer}", flush=True)


def _over_system_vpcd(held: _Held, options: PsamOptions) -> None:
    from emulator.frontends.vpcd import VPCD_PORT, VpcdFrontend

    port = options.port or VPCD_PORT + 1  # the first slot is the card's
    front = VpcdFrontend(held.slot, port, on_exchange=_print_exchange)
    link = front.insert()
    _announce(held.psam, options, f"in the vpcd reader on port {port}")
    front.attend(link)


def _over_private_pcscd(held: _Held, options: PsamOptions) -> None:
    from bench.rig.pcscd import PrivatePcscd
    from emulator.frontends.vpcd import VpcdFrontend

    with PrivatePcscd(options.reader_name, port=options.port or None) as rig:
        front = VpcdFrontend(held.slot, rig.ports[1], on_exchange=_print_exchange)
        link = front.insert()
        _announce(
            held.psam,
            options,
            f"in the reader '{rig.reader_names[1]}' of a private pcscd; programs reach it with:",
            f"  export PCSCLITE_CSOCK_NAME={rig.socket_path}",
            f"the reader '{rig.reader_names[0]}' beside it takes a card:",
            f"  tapbench emulate --via pcsc --system --port {rig.port}",
        )
        front.attend(link)
