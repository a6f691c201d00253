"""What a trace format is, and the error all of them raise."""

from collections.abc import Callable
from dataclasses import dataclass

from apdu.event import Layer, Trace


class TraceError(ValueError):
    """A trace file cannot be read or written. One sentence: what is wrong, where, what to do."""


@dataclass(frozen=True, slots=True)
class Format:
    """One file format of traces, read and written.

    title:    for people.
    suffixes: of file names, with their dot, the usual one first.
    load:     bytes of a file to a recording. Raises TraceError and nothing else.
    dump:     a recording to bytes of a file. Raises TraceError if it cannot be said in the format.
    sniff:    whether bytes look like the format.
    keeps:    what of a recording survives: `load(dump(trace)) == keeps(trace)`.
    holds:    the layers a file of the format has.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    load: Callable[[bytes], Trace]
    dump: Callable[[Trace], bytes]
    sniff: Callable[[bytes], bool]
    keeps: Callable[[Trace], Trace]
    holds: frozenset[Layer]


def shortened(text: str, most: int = 40) -> str:
    """A piece of a file as an error quotes it: one line, not long, nothing a terminal obeys."""
    shown = printable(text)
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def printable(text: str) -> str:
    """A text out of a file on one line, without what a terminal obeys or cannot encode."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "." for c in text)


def utf8(text: str) -> str:
    """A text as a format of UTF-8 keeps it: half a surrogate pair becomes a question mark."""
    return text.encode(errors="replace").decode()
