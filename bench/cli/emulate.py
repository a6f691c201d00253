"""`tapbench emulate`: a card in the field until Ctrl-C."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from threading import Event
from time import perf_counter_ns, sleep

import fixtures
from apdu.bcd import is_decimal
from apdu.event import Observer
from apdu.files import EF15, PublicInfo
from apdu.show import money
from apdu.trace import explain_exchange
from bench.cli.air_options import NO_TIMING, find_timing
from bench.cli.keyboard import is_at_keyboard, listening
from bench.cli.options import parse_day, parse_yuan
from bench.problem import Problem
from emulator.card.card import Card
from emulator.card.env import SystemEnv
from emulator.card.filestore import FileStore, card_in
from emulator.card.personalise import personalise, purse_index
from emulator.frontends.slow import SlowPicc
from emulator.handset import Handset
from emulator.phone import Sight
from emulator.picc import ContactlessOf, Picc
from emulator.radio.station import Service
from fixtures.phones import load_phone

NEW_BALANCE = "50.00"
AWAY_S = 1.5
"""How long a card that left is out of its slot: pcscd looks every 0.4 s."""
HEARD_S = 0.5
"""How long a wait may last. A signal that another thread has got does not end it."""


@dataclass(frozen=True, slots=True)
class EmulateOptions:
    """What the command line says. card: a card file; what a new card is made of excludes it.

    device: nfcpy's path of the reader that listens. phone: the name of a phone around the card.
    trace: where a recording goes. timing: how long the card computes, by name. script: turns the
    card's knobs.
    """

    via: str
    card: str | None
    profile: str | None
    balance: str | None
    issued: str | None
    reader_name: str
    port: int | None
    system: bool
    device: str
    phone: str | None
    trace: Path | None = None
    timing: str = NO_TIMING
    script: Path | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What is in the field. picc: the card, or the phone it is in.

    watch: makes the observer of the frames, by the clock that stamps them; None for none.
    service: how long the card computes; None for at once. has_random_uid: as phones may.
    """

    titles: tuple[str, ...]
    picc: Picc
    contactless_of: ContactlessOf | None = None
    watch: Callable[[Callable[[], int]], Observer] | None = None
    service: Service | None = None
    has_random_uid: bool = False

    def observer(self, now_ns: Callable[[], int] = perf_counter_ns) -> Observer | None:
        """Who is told of the frames, if anybody is."""
        return None if self.watch is None else self.watch(now_ns)


def emulate(options: EmulateOptions) -> None:
    """Hold a card in the field.

    Raises Problem, ProfileError, CardFileError, FrontendError, RigError.
    """
    if options.via not in ROADS:
        raise Problem(
            f"there is no road '{options.via}' for a card; choose one of: {', '.join(ROADS)}"
        )
    if options.port is not None and options.via not in ("udp", "pcsc"):
        raise Problem(f"--port is for --via udp and pcsc; leave it out with --via {options.via}")
    if options.system and options.via != "pcsc":
        raise Problem(f"--system is for --via pcsc; leave it out with --via {options.via}")
    if options.script is not None and options.phone is not None:
        raise Problem("--script is for a card alone; leave --phone out")
    timing = find_timing(options.timing)
    with ExitStack() as stack:
        if options.card is None:
            title, card = _new_card(options)
        else:
            title, card = _card_in_file(options, stack)
        try:
            held = replace(_held(card, title, options), service=timing.card if timing else None)
            if options.phone is None and (options.script is not None or is_at_keyboard()):
                held = stack.enter_context(_played(held, options))
            hold(held, options)
        except KeyboardInterrupt:
            kept = "" if options.card is None else f", kept in {options.card}"
            print(f"card removed, balance {_money(card)}{kept}")


@contextmanager
def _played(held: Held, options: EmulateOptions) -> Iterator[Held]:
    """The card with its knobs, turned by a script, and by keys if somebody is at a terminal."""
    from bench.conformance.gate.played import PlayedCard, PlayedTimes
    from bench.conformance.gate.script import KnobScript, read_script

    has_ats = options.via != "pcsc"
    script = KnobScript() if options.script is None else read_script(options.script)
    played = PlayedCard(held.picc, perf_counter_ns)
    played.plays_cuts = True
    script.begin(played, has_ats=has_ats)
    made = replace(
        held,
        picc=played,
        contactless_of=played.shown,
        service=PlayedTimes(played, held.service),
    )
    if not is_at_keyboard():
        yield made
        return
    from bench.cli.emulate_keys import keys_for, pressed, table

    keys = keys_for(has_ats=has_ats)

    def on_key(letter: str) -> None:
        said = pressed(letter, script, played, keys)
        if said:
            print(said, flush=True)

    with listening(on_key):
        yield replace(made, titles=(*held.titles, *table(keys)))


def hold(held: Held, options: EmulateOptions) -> None:
    """Hold something in a reader's field until KeyboardInterrupt, with what the options record."""
    if options.trace is None:
        ROADS[options.via](held, options)
        return
    from bench.cli.trace_files import recorded_to

    with recorded_to(options.trace, held.titles[0]) as recorder:
        picc = recorder.picc(held.picc)
        ROADS[options.via](replace(held, picc=picc, watch=recorder.observer), options)


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


def _held(card: Card, title: str, options: EmulateOptions) -> Held:
    first = f"{title}: {_money(card)}{_last_day(card)}"
    if options.phone is None:
        return Held((first,), card)
    handset = Handset(load_phone(options.phone), card, SystemEnv())
    phone = handset.phone
    if options.via == "pcsc" and phone.sight is Sight.SILENCE:
        raise Problem(
            f"a PC/SC reader finds nothing of the phone '{options.phone}', as"
            f" {phone.broken[0].complaint}; use --via udp or nfc, or another phone"
        )
    titles = (first, f"{phone.title}. {phone.sentence}")
    return Held(titles, handset, handset.contactless_of, has_random_uid=phone.shows_random_uid)


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


def _announce(held: Held, *where: str) -> None:
    for line in (*held.titles, *where):
        print(line)
    print("Ctrl-C takes the card away.", flush=True)


def _print_exchange(command: bytes, response: bytes) -> None:
    asked, said = explain_exchange(command, response)
    request = f" {{{asked.brief()}}}" if asked.lines else ""
    answer = f" {{{said.brief()}}}" if said.lines else ""
    print(f"{asked.title}{request} -> {said.status}{answer}", flush=True)


def _over_udp(held: Held, options: EmulateOptions) -> None:
    from emulator.frontends.udp import UDP_PORT, UdpFrontend

    port = UDP_PORT if options.port is None else options.port
    front = UdpFrontend(
        held.picc,
        port=port,
        on_exchange=_print_exchange,
        contactless_of=held.contactless_of,
        observe=held.observer(),
        service=held.service,
    )
    try:
        host, bound = front.address
        _announce(held, f"on nfcpy's UDP air; the reader is: udp:{host}:{bound}")
        front.serve()
    finally:
        front.close()


def _over_pn532(held: Held, options: EmulateOptions) -> None:
    from bench.rig.pn532 import VirtualPn532
    from emulator.frontends.watched import Watched
    from emulator.radio.air import Air
    from emulator.radio.clock import Unpaced, WallClock
    from emulator.radio.station import Station

    is_unread = Event()

    def show(command: bytes, response: bytes) -> None:
        try:
            _print_exchange(command, response)
        except BrokenPipeError:  # in the chip's thread, which goes on to answer
            is_unread.set()

    clock = Unpaced() if held.service is None else WallClock()
    air = Air(clock=clock, observer=held.observer(clock.now_ns))
    card = Watched(held.picc, show)
    air.bring(Station(card, held.service, held.contactless_of))
    with VirtualPn532(air) as chip:
        _announce(
            held,
            f"in the field of a virtual PN532 on {chip.path}; programs reach it with:",
            f"  nfcpy   {chip.nfcpy_path}{chip.nfcpy_remark}",
            f"  libnfc  LIBNFC_DEVICE={chip.libnfc_device}",
        )
        while not is_unread.wait(HEARD_S):
            pass
        raise BrokenPipeError


def _over_nfc(held: Held, options: EmulateOptions) -> None:
    from emulator.frontends.nfc_target import NfcTarget

    front = NfcTarget(
        held.picc,
        options.device,
        on_exchange=_print_exchange,
        contactless_of=held.contactless_of,
        observe=held.observer(),
        service=held.service,
    )
    try:
        one = f"UID {front.shown.uid.hex().upper()}"
        shown = "another UID for each reader" if held.has_random_uid else one
        where = f"in listen mode on {options.device}, {shown}"
        _announce(held, where, *([front.changes] if front.changes else []))
        front.serve()
    finally:
        front.close()


def _over_pcsc(held: Held, options: EmulateOptions) -> None:
    if options.system:
        _over_system_vpcd(held, options)
    else:
        _over_private_pcscd(held, options)


def _slow(held: Held) -> Picc:
    return held.picc if held.service is None else SlowPicc(held.picc, held.service)


def _over_system_vpcd(held: Held, options: EmulateOptions) -> None:
    from emulator.frontends.vpcd import VPCD_PORT

    port = options.port or VPCD_PORT
    _in_slot(held, port, lambda: _announce(held, f"in the vpcd reader on port {port}"))


def _over_private_pcscd(held: Held, options: EmulateOptions) -> None:
    from bench.rig.pcscd import PrivatePcscd

    with PrivatePcscd(options.reader_name, port=options.port or None) as rig:
        where = (
            f"in the reader '{rig.reader_names[0]}' of a private pcscd; programs reach it with:",
            f"  export PCSCLITE_CSOCK_NAME={rig.socket_path}",
        )
        _in_slot(held, rig.port, lambda: _announce(held, *where))


def _in_slot(held: Held, port: int, announce: Callable[[], None]) -> None:
    """In a slot of vpcd; a card that was made to leave comes back after a while."""
    from emulator.frontends.vpcd import VpcdFrontend

    announced = False
    while True:
        front = VpcdFrontend(
            _slow(held), port, on_exchange=_print_exchange, observe=held.observer()
        )
        link = front.insert()
        if not announced:
            announce()
            announced = True
        front.attend(link)
        print("the card has left the reader, as a knob has it", flush=True)
        sleep(AWAY_S)


ROADS: Mapping[str, Callable[[Held, EmulateOptions], None]] = {
    "udp": _over_udp,
    "pn532": _over_pn532,
    "pcsc": _over_pcsc,
    "nfc": _over_nfc,
}
