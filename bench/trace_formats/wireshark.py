"""A profile for Wireshark that reads the purse: a post-dissector, columns and colours."""

import os
from pathlib import Path
from typing import Final

from bench.trace_formats.format import TraceError

PROFILE: Final = "tapbench"
"""Name of the profile, and the value of tshark's and Wireshark's option -C."""


def install(config_dir: Path | None = None, force: bool = False) -> list[Path]:
    """Write the profile below Wireshark's personal folder, or the folder given.

    Returns the files written. Raises TraceError if a file of that name is there that we did not
    write, unless forced.
    """
    folder = (config_dir or personal_folder()) / "profiles" / PROFILE
    raise TraceError(f"{folder} cannot be written: there is nothing to write; force={force}")


def personal_folder() -> Path:
    """Where Wireshark keeps a user's own settings, looked for as Wireshark does."""
    if named := os.environ.get("WIRESHARK_CONFIG_DIR"):
        return Path(named)
    home = Path.home()
    if (home / ".wireshark").is_dir():
        return home / ".wireshark"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "wireshark"
