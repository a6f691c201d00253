"""`tapbench trace wireshark`: our profile where Wireshark finds it."""

from pathlib import Path

from bench.trace_formats.wireshark import PROFILE, install


def wireshark(to: Path | None, force: bool) -> None:
    """Install the profile and say how to use it. Raises TraceError."""
    for path in install(to, force):
        print(path)
    print(f"Use it: wireshark -C {PROFILE} FILE.pcapng, or tshark -C {PROFILE} -r FILE.pcapng")
