"""`tapbench trace replay`: the recorded reader against a card, or the recorded card to a reader."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

import fixtures
from apdu.event import Trace
from bench.problem import Problem
from bench.roads import ROADS
from bench.scenario import fresh_card
from bench.trace_formats import load
from bench.tracing.compare import Comparison
from bench.tracing.replay import recorded_card, replay_reader
from bench.tracing.words import counted, exchange_name
from emulator.card.card import Card
from emulator.card.env import SeededEnv, SystemEnv
from emulator.card.filestore import FileStore, card_in
from emulator.card.personalise import personalise
from reader.transport.base import Transport


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the command line says. role: reader or card. read_as: the format of the file."""

    role: str
    via: str
    profile: str | None = None
    card: str | None = None
    seed: int = 1
    as_json: bool = False
    reader_name: str = "tapbench"
    port: int | None = None
    system: bool = False
    device: str = "usb"
    read_as: str | None = None


def replay(path: Path, options: ReplayOptions) -> int:
    """Play. Returns 0 if our card answered as the recorded one. Raises Problem, TraceError."""
    if options.role not in ("reader", "card"):
        raise Problem(f"there is no role '{options.role}'; choose reader or card")
    trace = load(path, options.read_as)
    if options.role == "card":
        return _as_card(trace, path, options)
    return _as_reader(trace, path, options)


def _as_reader(trace: Trace, path: Path, options: ReplayOptions) -> int:
    road = ROADS.get(options.via)
    if road is None:
        raise Problem(f"there is no road '{options.via}'; choose one of: {', '.join(ROADS)}")
    with _card(options) as card:

        def field() -> AbstractContextManager[Transport]:
            return road(card)

        found = replay_reader(trace, field)
    if options.as_json:
        print(json.dumps(_as_json(path, options, found), ensure_ascii=False, indent=2))
    else:
        _print(path, found)
    return 1 if found.differences else 0


@contextmanager
def _card(options: ReplayOptions) -> Iterator[Card]:
    """The card that is asked: in a file, of a profile, or the fresh one of `tapbench tap`."""
    if options.card is not None and options.profile is not None:
        raise Problem("--card and --profile exclude each other; a card file has its own")
    if options.card is not None:
        with FileStore(options.card) as store:
            yield card_in(store, SystemEnv())
    elif options.profile is not None:
        made = fixtures.load_profile(options.profile)
        yield personalise(made, fixtures.load_roots(), SeededEnv(f"card {options.seed}"))
    else:
        yield fresh_card(options.seed)


def _print(path: Path, found: Comparison) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"A: {path}; B: our card, {counted(found.steps[0], 'exchange')}", "dim"))
    for difference in found.differences:
        console.print(Text(difference.text, "bold red" if difference.kind == "status" else ""))
    for note in found.notes:
        console.print(Text(note, "yellow"))
    count = counted(len(found.differences), "difference")
    console.print(Text(f"{count}; random numbers, MACs and times are not compared", "bold"))


def _as_json(path: Path, options: ReplayOptions, found: Comparison) -> dict[str, object]:
    return {
        "file": str(path),
        "via": options.via,
        "exchanges": found.steps[0],
        "equal": not found.differences,
        "notes": found.notes,
        "differences": [asdict(d) | {"text": d.text} for d in found.differences],
    }


def _as_card(trace: Trace, path: Path, options: ReplayOptions) -> int:
    """Hold the recorded card until Ctrl-C. Returns 0 if it knew every command."""
    from bench.cli.emulate import ROADS as FIELDS
    from bench.cli.emulate import EmulateOptions, Held, hold

    if options.via not in FIELDS:
        raise Problem(
            f"there is no road '{options.via}' for a card; choose one of: {', '.join(FIELDS)}"
        )
    card = recorded_card(trace)
    title = f"the card of {path}: {counted(len(card), 'exchange')}"
    where = EmulateOptions(
        via=options.via,
        card=None,
        profile=None,
        balance=None,
        issued=None,
        reader_name=options.reader_name,
        port=options.port,
        system=options.system,
        device=options.device,
        phone=None,
    )
    with suppress(KeyboardInterrupt):
        hold(Held((title,), card), where)
    print(f"card removed; {counted(len(card.unmatched), 'command')} not in the recording")
    for command in card.unmatched:
        print(f"  {exchange_name(command)}")
    return 1 if card.unmatched else 0
