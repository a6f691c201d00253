"""`tapbench trace wireshark`: our profile where Wireshark finds it."""

import shlex
from pathlib import Path

from bench.trace_formats.wireshark import PROFILE, install


def wireshark(to: Path | None, force: bool) -> None:
    """Install the profile and say how to use it. Raises TraceError."""
    for path in install(to, force):
        print(path)
    first = "" if to is None else f"WIRESHARK_CONFIG_DIR={shlex.quote(str(to))} "
    print(f"Use it: {first}wireshark -C {PROFILE} FILE.pcapng")
    print(f"    or: {first}tshark -C {PROFILE} -r FILE.pcapng")
