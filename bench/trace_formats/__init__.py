"""Files of recordings: pcap and pcapng, Proxmark3, pcsc-spy, JSON Lines and plain text.

`load` and `save` are all a caller needs; `FORMATS` lists the formats and `layers` turns a recording
of one layer into the other. What each format holds is said in docs/traces.md.
"""

from bench.trace_formats.files import FORMATS, load, save
from bench.trace_formats.format import Format, TraceError

__all__ = ["FORMATS", "Format", "TraceError", "load", "save"]
