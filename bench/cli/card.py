"""`tapbench card`: cards that live in files are made, shown, changed, copied and compared."""

import json
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

import fixtures
from apdu.show import money
from bench.cli.card_fields import with_fields
from bench.cli.card_words import Node, card_node, differences
from bench.cli.options import parse_day, parse_yuan
from bench.problem import Problem
from emulator.card.cardfile import CardFile, card_json
from emulator.card.dialect import Dialect, switches
from emulator.card.filestore import FileStore, create_card, read_card
from emulator.card.personalise import new_image
from emulator.card.profile import Profile
from emulator.card.state import File
from emulator.card.store import StoreError

_SERIAL = 10
_UID_FROM_SERIAL = b"\x08"
"""First byte of a random UID; the phone flavour's goes on with the serial's last digits (1.1)."""


@dataclass(frozen=True, slots=True)
class NewCard:
    """What `card new` is told. Empty texts leave the profile's."""

    profile: str
    issued: str
    balance: str
    serial: str
    dialect: list[str]


def new(path: str, wanted: NewCard, force: bool) -> None:
    """Make a card file of a profile. Raises Problem, ProfileError, CardFileError."""
    profile = _prepared(wanted)
    image = new_image(profile, fixtures.load_roots())
    card = CardFile(profile.name, profile.title, profile.contactless, profile.dialect, image)
    create_card(path, card, may_overwrite=force)
    print(f"{path}: {profile.title}, {money(profile.balance)} yuan, valid to {profile.end_date}")


def _prepared(wanted: NewCard) -> Profile:
    profile = fixtures.load_profile(wanted.profile)
    if wanted.issued:
        profile = profile.issued_on(parse_day("" if wanted.issued == "today" else wanted.issued))
    if wanted.serial:
        profile = _numbered(profile, wanted.serial)
    if wanted.dialect:
        profile = replace(profile, dialect=_dialect(profile.dialect, wanted.dialect))
    if wanted.balance:
        profile = profile.with_balance(parse_yuan(wanted.balance, profile.ceiling))
    return profile


def _numbered(profile: Profile, text: str) -> Profile:
    """The profile's card with another serial, and the UID that follows from it."""
    digits = text.rjust(2 * _SERIAL, "0")
    if len(text) not in (19, 20) or not (text.isascii() and text.isdecimal()):
        raise Problem(f"'{text}' is not a serial; expected the 19 digits of a PAN, or 0 and them")
    serial, radio = bytes.fromhex(digits), profile.contactless
    if radio.uid == _UID_FROM_SERIAL + profile.serial[-3:]:
        radio = replace(radio, uid=_UID_FROM_SERIAL + serial[-3:])
    return replace(profile, serial=serial, contactless=radio)


def _dialect(dialect: Dialect, texts: list[str]) -> Dialect:
    known = {switch.name: getattr(dialect, switch.name) for switch in switches()}
    chosen: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise Problem(f"'{text}' is not SWITCH=VALUE; choose a switch of: {', '.join(known)}")
        is_flag = isinstance(known[name], bool)
        flags = {"true": True, "yes": True, "false": False, "no": False}
        chosen[name] = flags.get(value.lower(), value) if is_flag else value
    try:
        return replace(dialect, **chosen)
    except ValueError as error:
        raise Problem(str(error)) from None


def show(path: str) -> None:
    """Print a card as a tree. Raises CardFileError."""
    card = read_card(path)
    node = card_node(card)
    tree = Tree(Text(f"{card.title}, {card.commits} commits", style="bold"))
    _grow(tree, node.children)
    _console().print(tree)


def _grow(tree: Tree, nodes: tuple[Node, ...]) -> None:
    """Children of a tree; records in a row that are short for the same are one line."""
    for (short, _), group in groupby(nodes, lambda n: (n.short, n.short or n.label)):
        some = list(group)
        node, last = some[0], some[-1]
        children = () if short else node.children
        label = node.label if len(some) == 1 else f"{node.label} to {last.label.split()[-1]}"
        line = Text(label, style="cyan" if children else "")
        if node.value or short:
            line.append(f"  {short or node.value}", style="" if children else "bold")
        if node.note:
            line.append(f"  {node.note}", style="dim")
        _grow(tree.add(line), children)


def change(path: str, assignments: list[str]) -> None:
    """Change fields of a card, all or none. Raises Problem, CardFileError."""
    before = read_card(path)
    with_fields(before, assignments)  # what is wrong is told before anything is opened to write
    try:
        with FileStore(path) as store:
            before = store.card
            store.commit(with_fields(before, assignments))
            store.checkpoint()
            after = store.card
    except StoreError as error:
        raise Problem(f"card file {path} stays as it was: {error}") from error
    for line in differences(card_node(before), card_node(after)):
        print(line)


def copy(source: str, target: str, force: bool) -> None:
    """Copy a card with everything in its journal. Raises CardFileError."""
    card = read_card(source)
    create_card(target, card, may_overwrite=force)
    print(f"{target}: copy of {source}, {card.title}")


def diff(one: str, other: str) -> int:
    """Say what differs between two cards. Returns 1 if anything does. Raises CardFileError."""
    lines = list(differences(card_node(read_card(one)), card_node(read_card(other))))
    print("\n".join(lines) if lines else "The two cards are equal.")
    return 1 if lines else 0


def dump(path: str, as_hex: bool, as_json: bool) -> None:
    """Print what a card holds, for programs and people who read bytes. Raises CardFileError."""
    if as_hex and as_json:
        raise Problem("--hex and --json exclude each other; give one of them")
    card = read_card(path)
    if as_json:
        print(json.dumps(card_json(card), ensure_ascii=False, indent=2))
        return
    for directory in card.image.directories:
        head = directory.head
        print(f"{head.fid:04X} {head.name.hex().upper()}")
        for fid, file in sorted(directory.files.items()):
            _print_file(fid, file)


def _print_file(fid: int, file: File) -> None:
    if isinstance(file.content, bytes):
        print(f"  {fid:04X}     {file.content.hex().upper()}")
        return
    for number, record in enumerate(file.content, 1):
        print(f"  {fid:04X} {number:3} {record.hex().upper()}")


def dialects(as_json: bool) -> None:
    """Print every dialect switch with the reason it exists."""
    if as_json:
        print(json.dumps([asdict(switch) for switch in switches()], ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for header in ("switch", "values, the default first", "why it exists"):
        table.add_column(header, overflow="fold")
    for switch in switches():
        others = [choice for choice in switch.choices if choice != switch.default]
        values = ", ".join([switch.default or "(nothing)", *others])
        if not switch.choices:
            values += ", or a text"
        table.add_row(Text(switch.name), Text(values), Text(switch.reason))
    _console().print(table)


def _console() -> Console:
    """Lines in a file or pipe are as long as they are wide on a good screen."""
    console = Console()
    if not console.is_terminal:
        console.width = 160
    return console
