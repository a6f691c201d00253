"""The picture of `tapbench clearing report`: the three sums of each day, and who gets what."""

from collections.abc import Iterator

from issuer.balance import DayBalance

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 900, 210, 150, 60, 22, 8

_STYLE = """
  text { font: 13px sans-serif; fill: #1a1a1a; }
  .title { font-size: 17px; font-weight: bold; }
  .sum { fill: #35547d; }
  .share { fill: #3c8c50; }
  .held { fill: #b3452c; }
""".strip("\n")


def days_svg(balances: list[DayBalance]) -> str:
    """The picture: one block of bars a day, on one scale."""
    blocks = [_bars(one) for one in balances]
    most = max((fen for block in blocks for *_, fen in block), default=0)
    scale = (WIDTH - LEFT - RIGHT) / max(most, 1)
    parts, y = [], TOP
    for one, block in zip(balances, blocks, strict=True):
        verdict = "balanced" if one.is_balanced else "NOT balanced"
        parts.append(f'<text class="title" x="20" y="{y}">{one.day}: {verdict}</text>')
        y += 16
        for kind, label, fen in block:
            parts += _bar(y, kind, label, fen, scale)
            y += BAR + GAP
        y += 40
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'viewBox="0 0 {WIDTH} {y}">'
    )
    paper = f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    return "\n".join([head, f"<style>\n{_STYLE}\n</style>", paper, *parts, "</svg>", ""])


def _bars(one: DayBalance) -> list[tuple[str, str, int]]:
    sums = [
        ("sum", "off cards", one.off_cards),
        ("sum", "in records", one.in_records),
        ("sum", "settled", one.settled),
    ]
    if one.held:
        sums.append(("held", "held", one.held))
    shares = [("share", f"operator {s.operator}, line {s.line}", s.fen) for s in one.shares]
    return sums + shares


def _bar(y: int, kind: str, label: str, fen: int, scale: float) -> Iterator[str]:
    width = max(fen, 0) * scale
    yield f'<text x="20" y="{y + 16}">{label}</text>'
    yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}"/>'
    yield f'<text x="{LEFT + width + 6:.1f}" y="{y + 16}">{fen / 100:,.2f} yuan</text>'
