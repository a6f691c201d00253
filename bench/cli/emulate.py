"""`tapbench emulate`: a card in the field until Ctrl-C."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import date

import fixtures
from apdu.show import money
from apdu.trace import explain_command, explain_response
from bench.cli.options import parse_day, parse_yuan
from bench.problem import Problem
from emulator.card.card import Card
from emulator.card.env import SystemEnv
from emulator.card.personalise import personalise
from emulator.card.profile import Profile


def emulate(
    via: str,
    profile: str,
    balance: str,
    issued: str,
    reader_name: str,
    port: int | None,
    system: bool,
) -> None:
    """Hold a card in the field. Raises Problem, ProfileError, FrontendError, RigError."""
    if via not in ("udp", "pcsc"):
        raise Problem(f"there is no road '{via}' for a card; choose one of: udp, pcsc")
    chosen = _prepared(profile, balance, parse_day(issued))
    card = personalise(chosen, fixtures.load_roots(), SystemEnv())
    try:
        if via == "udp":
            _over_udp(card, chosen, port)
        elif system:
            _over_system_vpcd(card, chosen, port)
        else:
            _over_private_pcscd(card, chosen, reader_name, port)
    except KeyboardInterrupt:
        print(f"card removed, balance {money(card.image.purse.available)} yuan")


def _prepared(name: str, balance: str, day: date) -> Profile:
    profile = fixtures.load_profile(name)
    fen = parse_yuan(balance, profile.ceiling)
    return replace(profile.issued_on(day), balance=fen)


def _announce(profile: Profile, balance: int, *where: str) -> None:
    print(f"{profile.title}: {money(balance)} yuan, valid to {profile.end_date}")
    for line in where:
        print(line)
    print("Ctrl-C takes the card away.", flush=True)


def _print_exchange(command: bytes, response: bytes) -> None:
    asked, said = explain_command(command), explain_response(response, command)
    request = f" {{{asked.brief()}}}" if asked.lines else ""
    answer = f" {{{said.brief()}}}" if said.lines else ""
    print(f"{asked.title}{request} -> {said.status}{answer}", flush=True)


def _over_udp(card: Card, profile: Profile, port: int | None) -> None:
    from emulator.frontends.udp import UDP_PORT, UdpFrontend

    front = UdpFrontend(card, port=UDP_PORT if port is None else port, on_exchange=_print_exchange)
    try:
        host, bound = front.address
        _announce(
            profile,
            profile.balance,
            f"on nfcpy's UDP air; the reader is: udp:{host}:{bound}",
        )
        front.serve()
    finally:
        front.close()


def _over_system_vpcd(card: Card, profile: Profile, port: int | None) -> None:
    from emulator.frontends.vpcd import VPCD_PORT, VpcdFrontend

    front = VpcdFrontend(card, port or VPCD_PORT, on_exchange=_print_exchange)
    link = front.insert()
    _announce(profile, profile.balance, f"in the vpcd reader on port {port or VPCD_PORT}")
    front.attend(link)


def _over_private_pcscd(card: Card, profile: Profile, reader_name: str, port: int | None) -> None:
    from bench.rig.pcscd import PrivatePcscd
    from emulator.frontends.vpcd import VpcdFrontend

    with ExitStack() as stack:
        rig = stack.enter_context(PrivatePcscd(reader_name, port=port or None))
        front = VpcdFrontend(card, rig.port, on_exchange=_print_exchange)
        link = front.insert()
        _announce(
            profile,
            profile.balance,
            f"in the reader '{rig.reader_names[0]}' of a private pcscd; programs reach it with:",
            f"  export PCSCLITE_CSOCK_NAME={rig.socket_path}",
        )
        front.attend(link)
