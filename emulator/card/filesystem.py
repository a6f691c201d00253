"""SELECT, the reads, and GET CHALLENGE: commands that change nothing durable."""

from apdu.commands import AID_PPSE, GET_CHALLENGE, READ_BINARY, READ_RECORD, SELECT, SELECT_FILE
from apdu.files import EF1A, FileSpec, Structure
from apdu.records import SelectId, SelectName
from apdu.spec import BinaryRef, Call, Refuse, State
from apdu.sw import SW, length_is
from emulator.card.handlers import handles
from emulator.card.state import Application, Blocked, CardState, Chip, Content

WHOLE = 256
"""Le 00: everything there is."""


def file_of(card: CardState, sfi: int) -> FileSpec:
    """The selected application's file. Raises Refuse(6A82)."""
    spec = card.selected.files.get(sfi)
    if spec is None:
        raise Refuse(SW.FILE_NOT_FOUND)
    return spec


def _transparent(content: Content) -> bytes:
    assert isinstance(content, bytes)
    return content


@handles(SELECT)
def select(card: CardState, call: Call[SelectName], chip: Chip) -> tuple[CardState, bytes]:
    """Enter an application by its name or the first 5 bytes or more of it (2.2)."""
    name = call.data.name
    for app in chip.applications:
        if app.name.startswith(name):
            return _enter(card, app)
    raise Refuse(SW.FILE_NOT_FOUND)


def _enter(card: CardState, app: Application) -> tuple[CardState, bytes]:
    after = CardState(card.image, app, None, State.IDLE, None, (), None)
    fci = fci_of(card, app)
    if app.has_purse and card.image.blocked is not Blocked.NO:
        # 4.19: FCI and 6A81; real dumps show both (Q5). The application is entered all the same,
        # so that APPLICATION UNBLOCK can reach it.
        raise Refuse(SW.BLOCKED, fci, after)
    return after, fci


def fci_of(card: CardState, app: Application) -> bytes:
    """The answer to SELECT: tag 9F0C always shows what EF15 holds now (2.4)."""
    if app.fci_file is None:
        return app.fci_head
    return app.fci_head + _transparent(card.image.files[app.fci_file])


@handles(SELECT_FILE)
def select_file(card: CardState, call: Call[SelectId], chip: Chip) -> tuple[CardState, bytes]:
    """Enter the MF, which answers like the PPSE, or make a file current (4.4)."""
    if call.data.fid == b"\x3f\x00":
        mf = next(app for app in chip.applications if app.name == AID_PPSE)
        return _enter(card, mf)
    sfi = int.from_bytes(call.data.fid, "big")
    file_of(card, sfi)
    return CardState(card.image, card.selected, sfi, State.IDLE, None, (), None), b""


@handles(READ_BINARY)
def read_binary(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Read a transparent file from an offset (4.5)."""
    sfi, offset = BinaryRef.split(call.p1, call.p2)
    if sfi is None:
        sfi = card.current_ef
        if sfi is None:
            raise Refuse(SW.NO_CURRENT_EF)
    if file_of(card, sfi).structure is not Structure.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    data = _transparent(card.image.files[sfi])
    left = len(data) - offset
    if left <= 0:
        raise Refuse(SW.OFFSET_OUTSIDE)
    ne = call.ne
    if ne is None or ne == WHOLE:
        return card, data[offset:]
    if ne > left:
        raise Refuse(length_is(left))  # 4.1: Le beyond the file answers 6Cxx
    return card, data[offset : offset + ne]


@handles(READ_RECORD)
def read_record(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Read one record; 1 is the newest of a cyclic file, and NN of EF1A is record 27NN (4.7)."""
    number = call.p1
    spec = file_of(card, call.p2 >> 3)
    if spec.structure is Structure.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    if not 1 <= number <= spec.count:
        raise Refuse(SW.RECORD_NOT_FOUND)
    records = card.image.files[spec.sfi]
    # Slots never written answer zeros, up to the file's record count (Q28).
    record = records[number - 1] if number <= len(records) else bytes(spec.size)
    assert isinstance(record, bytes)
    if call.ne not in (None, WHOLE, len(record)):
        raise Refuse(length_is(len(record)))
    return card, record


@handles(GET_CHALLENGE)
def get_challenge(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """A random number for the next command alone (4.9). Without Le it has 4 bytes, as most ask."""
    n = {None: 4, WHOLE: 8}.get(call.ne, call.ne)
    if n not in (4, 8):
        raise Refuse(SW.WRONG_LENGTH)
    number = chip.env.random(n)
    after = CardState(card.image, card.selected, card.current_ef, State.IDLE, None, (), number)
    return after, number


def locked(record: bytes, spec: FileSpec) -> bool:
    """Whether an EF1A record's lock byte forbids writing it in a transaction (3.8, 4.15)."""
    return spec.sfi == EF1A.sfi and record[5] != 0
