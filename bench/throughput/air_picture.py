"""The picture of `tapbench bench air`: one tap as a bar for each bit rate, in SVG."""

from collections.abc import Iterator
from html import escape
from itertools import count

from apdu.event import Source
from bench.throughput.air import AirTap

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 1100, 110, 40, 90, 70, 34

_STYLE = """
  text { font: 13px sans-serif; fill: #1a1a1a; }
  .title { font-size: 17px; font-weight: bold; }
  .note { font-size: 11px; fill: #555; }
  .pcd { fill: #35547d; }
  .picc { fill: #3c8c50; }
  .wait { fill: #e4e4e0; }
  .tick { stroke: #999; stroke-width: 1; }
""".strip("\n")

_LEGEND = (
    ("pcd", "reader sends"),
    ("picc", "card sends"),
    ("wait", "nobody sends: delays, computing"),
)


def air_svg(taps: list[AirTap], title: str) -> str:
    """The picture. taps: one for each rate, drawn on one time scale."""
    longest = max(tap.whole for tap in taps)
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = TOP + ROW * len(taps) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="20" y="30">{escape(title)}</text>',
    ]
    for n, (kind, text) in enumerate(_LEGEND):
        x = LEFT + 190 * n
        parts.append(f'<rect class="{kind}" x="{x}" y="46" width="14" height="14"/>')
        parts.append(f'<text x="{x + 20}" y="58">{text}</text>')
    for n, tap in enumerate(taps):
        parts += _row(tap, TOP + ROW * n, scale)
    parts += _axis(longest, scale, TOP + ROW * len(taps))
    return "\n".join([*parts, "</svg>", ""])


def _row(tap: AirTap, y: int, scale: float) -> Iterator[str]:
    zero = tap.frames[0].t_ns
    yield f'<text x="20" y="{y + 22}">{tap.kbit} kbit/s</text>'
    yield (
        f'<rect class="wait" x="{LEFT}" y="{y}" width="{tap.whole * scale:.2f}" height="{BAR}"/>'
    )
    for frame in tap.frames:
        x = LEFT + (frame.t_ns - zero) * scale
        kind = "pcd" if frame.source is Source.PCD else "picc"
        width = max(frame.duration_ns * scale, 0.3)
        yield f'<rect class="{kind}" x="{x:.2f}" y="{y}" width="{width:.2f}" height="{BAR}"/>'
    said = f"{tap.whole / 1e6:.1f} ms, {tap.on_air / tap.whole:.0%} of it on air"
    yield f'<text class="note" x="{LEFT}" y="{y + BAR + 14}">{said}</text>'


def _axis(longest: int, scale: float, y: int) -> Iterator[str]:
    step = next(n * 10**p for p in count() for n in (1, 2, 5) if longest / 1e6 <= 14 * n * 10**p)
    for ms in range(0, int(longest / 1e6) + 1, step):
        x = LEFT + ms * 1e6 * scale
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 6}"/>'
        yield f'<text class="note" x="{x - 6:.1f}" y="{y + 22}">{ms} ms</text>'
