"""A terminal from its settings: gate, validator or desk, with its PSAM, lists and journal."""

import secrets
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.device.settings import Settings, SettingsError
from bench.scenario import BUS_TERMINAL, ENTRY_TERMINAL, EXIT_TERMINAL, LAB_WHITE_LIST, sam_keys
from fixtures.network import load_network, read_network
from fixtures.network.buses import load_buses, read_buses
from reader.blacklist import Blacklist
from reader.blacklist_file import BlacklistFile
from reader.fare import Network
from reader.fares.bus import BusNetwork, Heading, Stop
from reader.gate import Direction, Gate, GateConfig
from reader.journal import Journal, TapJournal, read_records
from reader.modes import Mode
from reader.months import MonthBook
from reader.psam import Psam
from reader.psam_link import SecureModule
from reader.psam_store import PsamFile
from reader.staff import Desk
from reader.terminal import Terminal
from reader.validator import BusConfig, Door, Validator
from reader.white_list import WhiteList, read_white_list

Clock = Callable[[], datetime]
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Device:
    """A terminal that works.

    name: its own. place: where it is, in Chinese and in English. lists: its copy of the blacklist;
    what that reloads is in force at the next tap.
    """

    terminal: Terminal
    name: str
    place: tuple[str, str]
    lists: BlacklistFile | None
    journal: TapJournal | None

    @property
    def blacklist(self) -> Blacklist:
        """The list in force."""
        return Blacklist() if self.lists is None else self.lists.blacklist


@contextmanager
def device(settings: Settings, clock: Clock) -> Iterator[Device]:
    """A gate or a validator. Raises SettingsError, and what its parts raise."""
    with ExitStack() as stack:
        yield _Parts(settings, clock, stack).device()


@contextmanager
def desk(settings: Settings, clock: Clock) -> Iterator[Desk]:
    """The staff desk of a station, from the settings of a gate there. Raises as `device` does."""
    if not settings.is_rail:
        raise SettingsError("a desk is at a station; direction must be entry or exit")
    with ExitStack() as stack:
        parts = _Parts(settings, clock, stack)
        psam = parts.psam()
        yield Desk(parts.gate_config(), psam, clock, parts.journal(psam))


class _Parts:
    """What a terminal is made of. stack: closes what must be closed."""

    def __init__(self, settings: Settings, clock: Clock, stack: ExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self._lists = None if settings.blacklist is None else _held(Path(settings.blacklist))
        self._blacklist: Container[bytes] = frozenset() if self._lists is None else self._lists

    def device(self) -> Device:
        self._demand_place()
        psam = self.psam()
        journal = self.journal(psam)
        make = self._gate if self._settings.is_rail else self._validator
        terminal, place = make(psam, journal)
        if self._settings.modes is not None:
            terminal.modes = frozenset(Mode(word) for word in self._settings.modes)
        return Device(terminal, self._name(psam), place, self._lists, journal)

    def _demand_place(self) -> None:
        """See that station or line are there before a PSAM or a journal is made."""
        if self._settings.is_rail:
            self.gate_config()
        else:
            self._bus_config()

    def gate_config(self) -> GateConfig:
        network, settings = self._network(), self._settings
        return GateConfig(
            network,
            network.station(settings.station or ""),
            Direction(settings.direction),
            self._white_list(),
            self._blacklist,
            settings.policy,
            emergencies=settings.emergencies,
        )

    def psam(self) -> SecureModule:
        settings = self._settings
        if settings.psam_reader is not None:
            from reader.psam_pcsc import psam_in_slot

            return self._stack.enter_context(psam_in_slot(settings.psam_reader))
        terminal = None if settings.terminal is None else bytes.fromhex(settings.terminal)
        path = self._psam_path()
        if path is None:
            # A PSAM's numbers never repeat. This one has no memory between runs: it starts
            # anywhere.
            start = 1 + secrets.randbelow(1 << 31)
            return Psam(terminal or _USUAL[settings.direction], sam_keys(), start)
        if terminal is None and not path.exists():
            terminal = _USUAL[settings.direction]
        file = self._stack.enter_context(PsamFile(path, terminal, 1))
        return Psam(file.terminal, sam_keys(), store=file)

    def journal(self, psam: SecureModule) -> Journal | None:
        path = self._settings.journal
        if path is None:
            return None
        name = self._name(psam).encode("ascii")
        return self._stack.enter_context(Journal(path, name, psam.terminal))

    def _name(self, psam: SecureModule) -> str:
        return self._settings.name or psam.terminal.hex()[-8:]

    def _psam_path(self) -> Path | None:
        """Where the PSAM is kept: a gate that keeps a journal keeps its PSAM's numbers too."""
        if self._settings.psam is not None:
            return Path(self._settings.psam)
        journal = self._settings.journal
        return None if journal is None else Path(f"{journal}.psam")

    def _gate(self, psam: SecureModule, journal: Journal | None) -> tuple[Terminal, Place]:
        config = self.gate_config()
        months = MonthBook(config.network, config.policy)
        if journal is not None:
            months.note_all(read_records(journal.path))
        gate = Gate(config, psam, self._clock, journal, months)
        return gate, (config.station.name_zh, config.station.name_en)

    def _validator(self, psam: SecureModule, journal: Journal | None) -> tuple[Terminal, Place]:
        config, stop = self._bus_config()
        validator = Validator(config, psam, self._clock, journal)
        validator.at_stop(stop, Heading(self._settings.heading))
        line = config.line
        zh, en = f"{line.name_zh} {stop.name_zh}", f"{line.name_en}, {stop.name_en}"
        return validator, (zh, en)

    def _bus_config(self) -> tuple[BusConfig, Stop]:
        settings, buses = self._settings, self._buses()
        line = buses.line(settings.line or 0)
        stop = line.stops[0] if settings.stop is None else line.stop(settings.stop)
        try:
            config = BusConfig(
                buses,
                line,
                Door(settings.direction),
                self._white_list(),
                settings.vehicle.encode("ascii"),
                self._blacklist,
                settings.policy,
            )
        except ValueError as wrong:
            raise SettingsError(str(wrong)) from None
        return config, stop

    def _network(self) -> Network:
        path = self._settings.network
        return load_network() if path is None else read_network(Path(path))

    def _buses(self) -> BusNetwork:
        path = self._settings.network
        return load_buses() if path is None else read_buses(Path(path))

    def _white_list(self) -> WhiteList:
        path = self._settings.white_list
        return LAB_WHITE_LIST if path is None else read_white_list(Path(path))


def _held(path: Path) -> BlacklistFile:
    """The gate's copy of the blacklist. Without one, listed cards would pass unnoticed."""
    if not path.exists():
        raise SettingsError(
            f"there is no blacklist at {path}; make it with tapbench lists apply, or leave the key"
            " 'blacklist' out"
        )
    return BlacklistFile(path)


_USUAL = {
    "entry": ENTRY_TERMINAL,
    "exit": EXIT_TERMINAL,
    "board": BUS_TERMINAL,
    "alight": BUS_TERMINAL,
    "single": BUS_TERMINAL,
}
"""Terminal numbers of new PSAMs."""
