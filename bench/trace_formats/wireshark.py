"""A profile for Wireshark and tshark that reads the purse, and the post-dissector it needs.

The profile says that ISO 14443 carries ISO 7816, and brings columns and colours. A profile cannot
bring a script along: that goes into `plugins` of the same folder, where Wireshark loads every
script from whatever the profile.
"""

import os
from pathlib import Path
from typing import Final

from bench.files import write_whole
from bench.problem import Problem
from bench.trace_formats.format import TraceError
from bench.trace_formats.lua import SIGN, script

PROFILE: Final = "tapbench"
"""Name of the profile: `-C tapbench`."""
SCRIPT: Final = "tapbench.lua"

_SIGN: Final = SIGN.replace("--", "#")

# Four values a line: table, selector (none), what it was, what it is to be. Wireshark up to 4.0
# knows the dissector by its short name, later ones by its description.
_DECODE_AS: Final = "".join(
    f"decode_as_entry: iso14443.subdissector,0,(none),{name}\n"
    for name in ("ISO 7816", "ISO/IEC 7816")
)

_COLUMNS: Final = {
    "No.": "%m",
    "Time": "%t",
    "From": "%us",
    "To": "%ud",
    "Protocol": "%p",
    "Bytes": "%Cus:iso14443.length_field:0:R",
    "SW": "%Cus:tapbench.sw:0:R",
    "Info": "%i",
}

# What is seen first goes first: name, filter, background and foreground.
_COLOURS: Final = (
    ("checksum wrong", "iso14443.crc.status == 0", "FFD0D0", "A00000"),
    ("refused", "tapbench.sw && tapbench.sw != 0x9000", "FFE0B0", "7A3000"),
    ("money moves", 'tapbench.command matches "^(DEBIT|CREDIT)"', "D0F0D0", "004000"),
    ("APDU", "tapbench", "E0ECFF", "002060"),
    ("repeated or more time", "iso14443.nak == 1 || iso14443.wtxm", "FFF8C0", "504000"),
    ("field", "iso14443.event in { 0xfc, 0xfd }", "E8E8E8", "606060"),
    ("activation", "iso14443 && !iso14443.pcb", "F4F0FF", "403070"),
)


def install(config_dir: Path | None = None, force: bool = False) -> list[Path]:
    """Write the profile and the script, and return their paths, the script's first.

    config_dir: the folder of a user's settings, Wireshark's personal one if left out. Another is
    used by a Wireshark or tshark that finds it in WIRESHARK_CONFIG_DIR.
    force: whether to overwrite files that are there and not of our making.

    Raises TraceError.
    """
    folder = config_dir or personal_folder()
    wanted = {folder / "plugins" / SCRIPT: script()}
    for name, text in _profile().items():
        wanted[folder / "profiles" / PROFILE / name] = f"{_SIGN}\n{text}"
    for path in wanted:
        if not force and _is_foreign(path):
            raise TraceError(f"{path} is there and not of our making; move it away, or force it")
    for path, text in wanted.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode(), force=True, mode=0o644)
        except OSError as error:
            raise TraceError(f"{path} cannot be written: {error.strerror or error}") from None
        except Problem as problem:
            raise TraceError(str(problem)) from None
    return list(wanted)


def personal_folder() -> Path:
    """Where Wireshark keeps a user's own settings, looked for as Wireshark does."""
    if named := os.environ.get("WIRESHARK_CONFIG_DIR"):
        return Path(named)
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "wireshark"
    old = Path.home() / ".wireshark"
    return old if old.is_dir() and not config.is_dir() else config


def _profile() -> dict[str, str]:
    """The profile's files by name."""
    columns = ",\n\t".join(f'"{title}", "{shown}"' for title, shown in _COLUMNS.items())
    return {
        "preferences": f"gui.column.format:\n\t{columns}\n",
        "decode_as_entries": _DECODE_AS,
        "colorfilters": "".join(
            f"@{name}@{wanted}@{_rgb(back)}{_rgb(front)}\n"
            for name, wanted, back, front in _COLOURS
        ),
    }


def _rgb(colour: str) -> str:
    """A colour as Wireshark writes it, 16 bits a part."""
    return f"[{','.join(str(part * 257) for part in bytes.fromhex(colour))}]"


def _is_foreign(path: Path) -> bool:
    """Whether something is there that we did not write."""
    try:
        return not path.read_text("utf-8").startswith((SIGN, _SIGN))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
