"""`tapbench emulate`: a card in the field until Ctrl-C."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from threading import Event

import fixtures
from apdu.bcd import is_decimal
from apdu.files import EF15, PublicInfo
from apdu.show import money
from apdu.trace import explain_command, explain_response
from bench.cli.options import parse_day, parse_yuan
from bench.problem import Problem
from emulator.card.card import Card
from emulator.card.env import SystemEnv
from emulator.card.filestore import FileStore, card_in
from emulator.card.personalise import personalise, purse_index

NEW_BALANCE = "50.00"


@dataclass(frozen=True, slots=True)
class EmulateOptions:
    """What the command line says. card: a card file; what a new card is made of excludes it."""

    via: str
    card: str | None
    profile: str | None
    balance: str | None
    issued: str | None
    reader_name: str
    port: int | None
    system: bool


def emulate(options: EmulateOptions) -> None:
    """Hold a card in the field.

    Raises Problem, ProfileError, CardFileError, FrontendError, RigError.
    """
    if options.via not in ("udp", "pn532", "pcsc"):
        raise Problem(
            f"there is no road '{options.via}' for a card; choose one of: udp, pn532, pcsc"
        )
    with ExitStack() as stack:
        if options.card is None:
            title, card = _new_card(options)
        else:
            title, card = _card_in_file(options, stack)
        try:
            _hold(card, title, options)
        except KeyboardInterrupt:
            kept = "" if options.card is None else f", kept in {options.card}"
            print(f"card removed, balance {_money(card)}{kept}")


def _new_card(options: EmulateOptions) -> tuple[str, Card]:
    """A profile's card; a student's with some money, opened today, if none is named."""
    made = fixtures.load_profile(options.profile or "student")
    issued, balance = options.issued, options.balance
    if options.profile is None:
        issued, balance = issued or "", NEW_BALANCE if balance is None else balance
    if issued is not None:
        made = made.issued_on(parse_day(issued))
    if balance is not None:
        made = made.with_balance(parse_yuan(balance, made.ceiling))
    return made.title, personalise(made, fixtures.load_roots(), SystemEnv())


def _card_in_file(options: EmulateOptions, stack: ExitStack) -> tuple[str, Card]:
    assert options.card is not None
    for name in ("profile", "balance", "issued"):
        if getattr(options, name) is not None:
            raise Problem(f"--card and --{name} exclude each other; a card file has its own")
    store = stack.enter_context(FileStore(options.card))
    return store.card.title, card_in(store, SystemEnv())


def _hold(card: Card, title: str, options: EmulateOptions) -> None:
    if options.via == "udp":
        _over_udp(card, title, options.port)
    elif options.via == "pn532":
        _over_pn532(card, title)
    elif options.system:
        _over_system_vpcd(card, title, options.port)
    else:
        _over_private_pcscd(card, title, options)


def _money(card: Card) -> str:
    try:
        return f"{money(card.purse.available)} yuan"
    except LookupError:
        return "unknown, it has no purse"


def _last_day(card: Card) -> str:
    """The last day of validity, if the card has an EF15 that says."""
    try:
        file = card.image.directories[purse_index(card.image)].files[EF15.sfi]
        assert isinstance(file.content, bytes)
        packed = PublicInfo.parse(file.content).end_date
        return f", valid to {date.fromisoformat(packed.hex())}" if is_decimal(packed) else ""
    except (KeyError, ValueError):
        return ""


def _announce(title: str, card: Card, *where: str) -> None:
    print(f"{title}: {_money(card)}{_last_day(card)}")
    for line in where:
        print(line)
    print("Ctrl-C takes the card away.", flush=True)


def _print_exchange(command: bytes, response: bytes) -> None:
    asked, said = explain_command(command), explain_response(response, command)
    request = f" {{{asked.brief()}}}" if asked.lines else ""
    answer = f" {{{said.brief()}}}" if said.lines else ""
    print(f"{asked.title}{request} -> {said.status}{answer}", flush=True)


def _over_udp(card: Card, title: str, port: int | None) -> None:
    from emulator.frontends.udp import UDP_PORT, UdpFrontend

    front = UdpFrontend(card, port=UDP_PORT if port is None else port, on_exchange=_print_exchange)
    try:
        host, bound = front.address
        _announce(
            title,
            card,
            f"on nfcpy's UDP air; the reader is: udp:{host}:{bound}",
        )
        front.serve()
    finally:
        front.close()


def _over_pn532(card: Card, title: str) -> None:
    from bench.rig.pn532 import VirtualPn532
    from emulator.frontends.watched import Watched
    from emulator.radio.air import Air
    from emulator.radio.clock import Unpaced
    from emulator.radio.station import Station

    is_unread = Event()

    def show(command: bytes, response: bytes) -> None:
        try:
            _print_exchange(command, response)
        except BrokenPipeError:  # in the chip's thread, which goes on to answer
            is_unread.set()

    air = Air(clock=Unpaced())
    air.bring(Station(Watched(card, show)))
    with VirtualPn532(air) as chip:
        _announce(
            title,
            card,
            f"in the field of a virtual PN532 on {chip.path}; programs reach it with:",
            f"  nfcpy   {chip.nfcpy_path}{chip.nfcpy_remark}",
            f"  libnfc  LIBNFC_DEVICE={chip.libnfc_device}",
        )
        is_unread.wait()
        raise BrokenPipeError


def _over_system_vpcd(card: Card, title: str, port: int | None) -> None:
    from emulator.frontends.vpcd import VPCD_PORT, VpcdFrontend

    front = VpcdFrontend(card, port or VPCD_PORT, on_exchange=_print_exchange)
    link = front.insert()
    _announce(title, card, f"in the vpcd reader on port {port or VPCD_PORT}")
    front.attend(link)


def _over_private_pcscd(card: Card, title: str, options: EmulateOptions) -> None:
    from bench.rig.pcscd import PrivatePcscd
    from emulator.frontends.vpcd import VpcdFrontend

    with ExitStack() as stack:
        rig = stack.enter_context(PrivatePcscd(options.reader_name, port=options.port or None))
        front = VpcdFrontend(card, rig.port, on_exchange=_print_exchange)
        link = front.insert()
        _announce(
            title,
            card,
            f"in the reader '{rig.reader_names[0]}' of a private pcscd; programs reach it with:",
            f"  export PCSCLITE_CSOCK_NAME={rig.socket_path}",
        )
        front.attend(link)
