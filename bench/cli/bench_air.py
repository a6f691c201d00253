"""`tapbench bench air`: what a tap takes on air at each bit rate."""

from typing import Any

from apdu.event import Event, Source
from apdu.frame import Frame
from bench.cli.air_options import find_timing
from bench.cli.bench_show import Output
from bench.files import demand_place, write_whole
from bench.throughput.air import AirTap, air_tap
from bench.throughput.air_picture import air_svg
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.page import Grid, Picture
from emulator.radio.timing import BIT, FC_HZ, GUARD_NS, RATES_KBIT, frame_bits

_ARITHMETIC = f"""\
A bit lasts {BIT} carrier periods of 1/{FC_HZ / 1e6:.2f} MHz at 106 kbit/s, {BIT / FC_HZ * 1e6:.2f} us, and half of that at each next rate.
A frame is one start bit (card above 106 kbit/s: 32 subcarrier cycles, 37.8 us) and 9 bits a byte; REQA has 7 bits.
Between frames nobody sends for 86.4 us at least, 82.3 us before a card that was asked faster than 106 kbit/s.
Activation and PPS run at 106 kbit/s. Before the first REQA the field is on for {GUARD_NS / 1e6:.1f} ms, counted in taps/min alone."""  # noqa: E501


def bench_air(timing: str, frames: bool, svg: str | None, output: Output) -> None:
    """Simulate and print. Raises Problem."""
    times = find_timing(timing)
    output.demand(charts=False)
    if svg is not None:
        demand_place(svg, output.force)
    taps = [air_tap(rate, times) for rate in range(len(RATES_KBIT))]
    who = "card and PSAM compute at once" if times is None else times.title
    title = f"One entry tap on air; {who}"
    picture = air_svg(taps, title)
    if svg is not None:
        write_whole(svg, picture.encode(), output.force)
    document = Document("air", {"timing": timing}, _measures(taps), _detail(timing, taps, frames))
    parts: list[Grid | Picture | str] = [_summary(taps, title), _ARITHMETIC]
    if frames:
        parts += [_frame_grid(tap) for tap in taps]
    parts.append(Picture(picture, "Time from the first REQA; the field is on before that."))
    output.give(title, document, parts)
    if svg is not None and not output.as_json:
        print(f"picture: {svg}")


def _measures(taps: list[AirTap]) -> dict[str, Measure]:
    """What can be compared: simulated, so one run says all."""
    made = {}
    for tap in taps:
        made[f"{tap.kbit} kbit/s tap"] = Measure("ms", (tap.whole / 1e6,))
        made[f"{tap.kbit} kbit/s activation"] = Measure("ms", (tap.activation / 1e6,))
        made[f"{tap.kbit} kbit/s taps"] = Measure("1/min", (tap.taps_per_minute,), "more")
    return made


def _detail(timing: str, taps: list[AirTap], frames: bool) -> dict[str, Any]:
    return {"timing": timing, "taps": [_as_json(tap, frames) for tap in taps]}


def _sums(tap: AirTap, source: Source) -> dict[str, Any]:
    """One side's frames: how many, bytes, bits with start bits, milliseconds."""
    some = [frame for frame in tap.frames if frame.source is source]
    return {
        "frames": len(some),
        "bytes": tap.bytes_of(source),
        "bits": sum(_bits(frame) for frame in some),
        "ms": sum(frame.duration_ns for frame in some) / 1e6,
    }


def _bits(event: Event) -> int:
    return frame_bits(Frame(event.data, event.tail, event.head))


_SHOWN = 48
"""Digits of a frame that a table has room for."""

_HEADS = (
    "kbit/s", "reader", "ms", "card", "ms", "PSAM ms", "waiting ms",
    "activation ms", "APDUs ms", "tap ms", "taps/min",
)  # fmt: skip


def _summary(taps: list[AirTap], title: str) -> Grid:
    rows = []
    for tap in taps:
        asked, said = _sums(tap, Source.PCD), _sums(tap, Source.PICC)
        cells = (
            str(tap.kbit),
            f"{asked['frames']} frames, {asked['bytes']} B",
            f"{asked['ms']:.2f}",
            f"{said['frames']} frames, {said['bytes']} B",
            f"{said['ms']:.2f}",
            f"{tap.psam / 1e6:.1f}",
            f"{(tap.whole - tap.on_air - tap.psam) / 1e6:.2f}",
            f"{tap.activation / 1e6:.2f}",
            f"{tap.blocks / 1e6:.2f}",
            f"{tap.whole / 1e6:.2f}",
            f"{tap.taps_per_minute:,.0f}",
        )
        rows.append(cells)
    return Grid(title, _HEADS, rows)


def _frame_grid(tap: AirTap) -> Grid:
    rows = []
    zero = end = tap.frames[0].t_ns
    for frame in tap.frames:
        data = frame.data.hex().upper()
        row = (
            frame.source.value,
            f"{(frame.t_ns - zero) / 1e3:,.1f}",
            str(len(frame.data)),
            str(_bits(frame)),
            f"{frame.duration_ns / 1e3:,.1f}",
            f"{(frame.t_ns - end) / 1e3:,.1f}",
            data if len(data) <= _SHOWN else f"{data[:_SHOWN]}…",
        )
        rows.append(row)
        end = frame.t_ns + frame.duration_ns
    heads = ("from", "start", "bytes", "bits", "lasts", "gap before", "frame")
    title = f"{tap.kbit} kbit/s, frame by frame; microseconds from the first REQA"
    return Grid(title, heads, rows)


def _as_json(tap: AirTap, frames: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kbit_per_s": tap.kbit,
        "reader": _sums(tap, Source.PCD),
        "card": _sums(tap, Source.PICC),
        "psam_ms": tap.psam / 1e6,
        "activation_ms": tap.activation / 1e6,
        "apdus_ms": tap.blocks / 1e6,
        "tap_ms": tap.whole / 1e6,
        "guard_ms": GUARD_NS / 1e6,
        "taps_per_minute": tap.taps_per_minute,
    }
    if frames:
        zero = tap.frames[0].t_ns
        shown["frames"] = [
            {
                "from": frame.source.value,
                "start_us": (frame.t_ns - zero) / 1e3,
                "us": frame.duration_ns / 1e3,
                "bits": _bits(frame),
                "hex": frame.data.hex().upper(),
            }
            for frame in tap.frames
        ]
    return shown
