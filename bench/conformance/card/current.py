"""Which file is the current one: what sets it and what clears it (annex 3, annex 9)."""

from collections.abc import Callable, Iterator

from apdu.commands import SELECT
from apdu.file_commands import AID_PURSE, READ_BINARY, SELECT_FILE, UPDATE_BINARY
from apdu.files import EF15
from apdu.fmcos import ALWAYS, Kind
from apdu.personal import MF
from apdu.records import Content, SelectId, SelectName
from apdu.sw import SW
from bench.conformance.blank import open_directory, send_all
from bench.conformance.case import Case, Need
from bench.conformance.derive import made
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID, opened
from bench.conformance.words import Words
from bench.conformance.workshop import make_file

_ID = bytes((0, EF15.sfi))
_CURRENT = (0x00, 0x00)
"""P1 and P2 of READ BINARY for the current file from its start."""


def _chosen(lab: Lab) -> bytes:
    """Make EF15 the current file. Returns what it holds."""
    opened(lab)
    lab.done_ok(SELECT_FILE, SelectId(_ID))
    return lab.done_ok(READ_BINARY, pair=_CURRENT)


def _cleared(leave: Callable[[Lab], object]) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        _chosen(lab)
        leave(lab)
        lab.must(lab.ask(READ_BINARY, pair=_CURRENT), SW.NO_CURRENT_EF)

    return body


_LEAVING: dict[str, tuple[Callable[[Lab], object], frozenset[Need], tuple[str, str]]] = {
    "name": (
        lambda lab: lab.done_ok(SELECT, SelectName(AID_PURSE)),
        frozenset(),
        ("SELECT of its own application", "重新选择本应用"),
    ),
    "master": (
        lambda lab: lab.done_ok(SELECT_FILE, SelectId(MF)),
        frozenset(),
        ("SELECT of the master file", "选择主文件"),
    ),
    "field": (lambda lab: lab.reset(), frozenset({Need.CUT}), ("a field loss", "断场")),
}


@family
def cleared() -> Iterator[Case]:
    """A directory is entered without a current file."""
    for name, (leave, needs, (en, zh)) in _LEAVING.items():
        yield made(
            "CURR",
            f"current.cleared.{name}",
            (f"There is no current file after {en}", f"{zh}后没有当前文件"),
            ("annex 9", "4.5"),
            _cleared(leave),
            needs,
            grade="D",
        )


@case(
    "CURR",
    "A SELECT that fails keeps the current file",
    "选择失败时当前文件不变",
    "annex 9",
    grade="D",
)
def kept_by_a_failure(lab: Lab) -> None:
    """Neither a name nor an id that is not there changes anything."""
    held = _chosen(lab)
    lab.must(lab.ask(SELECT, SelectName(bytes.fromhex("D2760000850101"))), SW.FILE_NOT_FOUND)
    lab.must(lab.ask(SELECT_FILE, SelectId(b"\x7f\x7f")), SW.FILE_NOT_FOUND)
    found = lab.done_ok(READ_BINARY, pair=_CURRENT)
    lab.must_be(found, held, Words("EF15", "EF15"))


@case(
    "CURR",
    "CREATE FILE does not select what it makes",
    "新建文件不成为当前文件",
    "annex 3",
    "annex 9",
    needs=PAID | {Need.BLANK},
)
def made_is_not_selected(lab: Lab) -> None:
    """Neither the first file nor one made while another is current."""
    open_directory(lab)
    for fid in (5, 6):
        header = (Kind.TRANSPARENT, 0, 4, ALWAYS, ALWAYS, 0xFF, 0xFF)
        send_all(lab, make_file(fid, *header))
        if fid == 5:
            lab.must(lab.ask(READ_BINARY, pair=_CURRENT), SW.NO_CURRENT_EF)
            lab.done_ok(UPDATE_BINARY, Content(b"\1\2\3\4"), (0x85, 0))
            lab.done_ok(SELECT_FILE, SelectId(b"\0\5"))
    found = lab.done_ok(READ_BINARY, pair=_CURRENT)
    lab.must_be(found, b"\1\2\3\4", Words("the file selected before", "此前选择的文件"))
