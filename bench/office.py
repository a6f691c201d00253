"""A back office for programs and tests: a folder or a database, the test keys, the seed's tables.

The folder holds the database, unless a URL names one, and the key of id documents, mode 0600. What
an office decides otherwise than by default is in a file of the folder, `issuer-policy.toml`.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import fixtures
from apdu.crypto import Key
from bench.clock import now as wall_clock
from bench.problem import Problem
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, SystemEnv
from emulator.card.personalise import stock_image
from emulator.card.state import Chip
from emulator.card.store import MemoryStore, Store
from fixtures.devices import load_catalogue
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from fixtures.policy import load_policy
from fixtures.policy.issuer import load_issuer_policy
from issuer.database import open_database, transact
from issuer.devices import Catalogue
from issuer.documents import Documents, KeyFileError, load_key
from issuer.errors import DatabaseError
from issuer.migrating import demand_office
from issuer.moments import Now
from issuer.office import Office
from issuer.payer import Mishaps, SoftPayer, no_mishap
from issuer.policy import IssuerPolicy
from reader.fare import Network, Station, UnknownStation
from reader.fares.bus import BusNetwork, Stop, UnknownLine
from reader.knobbed import PolicyError
from reader.policy import Policy
from reader.trips import BUS
from reader.whole import read_whole

DATABASE, DOCUMENT_KEY, POLICY = "office.db", "documents.key", "issuer-policy.toml"
"""Names in the folder. The policy is there only if somebody has put it there."""

TRANSPORT = Key(sha256(b"tapbench made-up transport key").digest()[:16])
"""The key of the stock's cards: public, as all keys here, and protects nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What differs from the defaults: policies, tables, and what goes wrong with the payer."""

    policy: IssuerPolicy | None = None
    gate_policy: Policy | None = None
    catalogue: Catalogue | None = None
    mishaps: Mishaps = no_mishap


def open_office(
    folder: str | os.PathLike[str],
    now: Now = wall_clock,
    url: str | None = None,
    choice: Choice | None = None,
    *,
    may_make: bool = True,
) -> Office:
    """The office of a folder, made if there is none yet. Close it with `close_office`.

    now: the time, aware. url: where the database is if not in the folder, such as
    postgresql://user@host/name. choice: its policy goes before one in the folder.
    may_make: otherwise a folder without an office is a problem. Raises Problem.
    """
    home, chosen = Path(folder), choice or Choice()
    needed = (DOCUMENT_KEY,) if url else (DATABASE, DOCUMENT_KEY)
    if not (may_make or all((home / name).exists() for name in needed)):
        raise Problem(f"there is no office at {home}; tapbench issuer init makes one")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        policy = chosen.policy or _policy_in(home)
        documents = Documents(load_key(home / DOCUMENT_KEY))
        engine = open_database(url or str(home / DATABASE), may_make=may_make)
    except OSError as error:
        raise Problem(f"no office can be kept at {home}: {error.strerror}") from error
    except (DatabaseError, KeyFileError) as error:
        raise Problem(str(error)) from error
    try:
        demand_office(engine)
        transact(engine, documents.demand_same_key)
    except DatabaseError as error:
        engine.dispose()
        raise Problem(str(error)) from error
    return Office(
        engine=engine,
        documents=documents,
        payer=SoftPayer(engine, now, chosen.mishaps),
        catalogue=chosen.catalogue or load_catalogue(),
        roots=fixtures.load_roots(),
        transport=TRANSPORT,
        now=now,
        policy=policy,
        gate_policy=chosen.gate_policy or load_policy(),
    )


def _policy_in(home: Path) -> IssuerPolicy:
    """What this office decides, the defaults where its folder says nothing. Raises Problem."""
    path = home / POLICY
    if not path.exists():
        return load_issuer_policy()
    try:
        return IssuerPolicy.from_toml(str(path), read_whole(path).decode("utf-8"))
    except PolicyError as error:
        raise Problem(str(error)) from error
    except UnicodeDecodeError as error:
        raise Problem(f"policy {path}: expected TOML in UTF-8; save it so") from error


def close_office(office: Office) -> None:
    """Let go of the database."""
    office.engine.dispose()


def blank_card(env: Env | None = None, store: Store | None = None) -> Card:
    """A card of the maker's stock, as a student's phone brings it. In memory if no store is given.

    store: one that holds `stock_image(TRANSPORT)` or what became of it.
    """
    chip = Chip(Dialect(), env or SystemEnv(), {})
    radio = fixtures.load_profile("student").contactless
    return Card(chip, store or MemoryStore(stock_image(TRANSPORT)), radio)


@dataclass(frozen=True, slots=True)
class StationNames:
    """Names of stations and stops for `issuer.status.page`. language: zh or en."""

    network: Network
    buses: BusNetwork
    language: str = "zh"

    def __call__(self, industry: int, line: bytes, station: bytes) -> str | None:
        """See `issuer.status.Names`."""
        try:
            found = self._stop(line, station) if industry == BUS else self._station(line, station)
        except (UnknownStation, UnknownLine, StopIteration):
            return None
        return found.name_zh if self.language == "zh" else found.name_en

    def _station(self, line: bytes, station: bytes) -> Station:
        return self.network.at(line[0], station[0])

    def _stop(self, line: bytes, stop: bytes) -> Stop:
        stops = self.buses.line(int.from_bytes(line, "big")).stops
        return next(one for one in stops if one.index == int.from_bytes(stop, "big"))


def station_names(language: str = "zh") -> StationNames:
    """The names of the sample network and of its buses."""
    return StationNames(load_network(), load_buses(), language)
