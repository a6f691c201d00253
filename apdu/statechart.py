"""The transaction machine as a picture in SVG, drawn from `apdu.states`.

Layout. IDLE is a bar in the middle. States that INITIALIZE enters stand left and right of it, one
arrow there and one back; a state entered from another stands under that one. Nothing but the
places is decided here.
"""

from apdu.commands import TABLE
from apdu.spec import State
from apdu.states import Edge, bystanders, edges, transitions
from apdu.value import value

WIDTH, BAR, BOX = 1180, 150, 190
ROW, BOX_HEIGHT, TOP = 140, 64, 96
LINE_HEIGHT = 16
LETTERS = 150

_STYLE = """
  text { font: 13px sans-serif; fill: #1a1a1a; }
  .title { font-size: 17px; font-weight: bold; }
  .state { font-size: 15px; font-weight: bold; text-anchor: middle; }
  .say { font-size: 11px; text-anchor: middle; fill: #555; }
  .on { text-anchor: middle; }
  rect { fill: #eef3fa; stroke: #35547d; stroke-width: 1.5; }
  .idle { fill: #dcebdc; stroke: #3c6e3c; }
  path { fill: none; stroke: #35547d; stroke-width: 1.4; marker-end: url(#tip); }
  .back { stroke: #3c6e3c; marker-end: url(#tip-back); }
""".strip("\n")


@value
class Box:
    """Where a state stands: left upper corner, width and height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def middle(self) -> int:
        """Of its width."""
        return self.x + self.width // 2


def states_svg() -> str:
    """The picture of the card's table."""
    rows = transitions(TABLE)
    arrows = edges(rows)
    boxes = _places(arrows)
    foot = max(box.y + box.height for box in boxes.values()) + 80
    legend = _legend(bystanders(rows), arrows)
    height = foot + len(legend) * LINE_HEIGHT + 20
    parts = [_head(height)]
    parts += [_state(state, box) for state, box in boxes.items()]
    for arrow in arrows:
        parts += _arrow(arrow, boxes)
    parts += [_text(30, foot + i * LINE_HEIGHT, line) for i, line in enumerate(legend)]
    return "\n".join([*parts, "</svg>", ""])


def _places(arrows: tuple[Edge, ...]) -> dict[State, Box]:
    """A box for every state; IDLE is as high as the rest together."""
    first = [a.target for a in arrows if a.source is None]
    placed = {*first, State.IDLE}
    under = {
        a.target: a.source
        for a in arrows
        if a.target not in placed and a.source not in (None, a.target)
    }
    groups = [[state, *(t for t, s in under.items() if s is state)] for state in first]
    total = sum(map(len, groups))
    columns: list[list[State]] = [[], []]
    for group in sorted(groups, key=len):
        columns[0 if len(columns[0]) + len(group) <= (total + 1) // 2 else 1] += group
    boxes = {}
    for side, column in enumerate(columns):
        x = 30 if side == 0 else WIDTH - 30 - BOX
        for row, state in enumerate(column):
            boxes[state] = Box(x, TOP + row * ROW, BOX, BOX_HEIGHT)
    deepest = max(map(len, columns))
    idle = Box((WIDTH - BAR) // 2, TOP, BAR, (deepest - 1) * ROW + BOX_HEIGHT)
    return {State.IDLE: idle, **boxes}


def _head(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}">\n<style>\n{_STYLE}\n</style>\n'
        f"<defs>{_tip('tip', '#35547d')}{_tip('tip-back', '#3c6e3c')}</defs>\n"
        f'<rect x="0" y="0" width="{WIDTH}" height="{height}" style="fill: white; stroke: none"/>\n'
        '<text x="30" y="36" class="title">Transaction machine of the card</text>\n'
        '<text x="30" y="58">Blue: legal in every state, begins anew whatever was under way.'
        " Green: legal only where the arrow begins, 6901 elsewhere.</text>"
    )


def _tip(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8"'
        ' markerHeight="8" orient="auto">'
        f'<path d="M 0 0 L 10 5 L 0 10 z" style="fill: {colour}; stroke: none; marker-end: none"/>'
        "</marker>"
    )


def _state(state: State, box: Box) -> str:
    kind = ' class="idle"' if state is State.IDLE else ""
    y = box.y + box.height // 2
    return "\n".join(
        [
            f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"'
            f' rx="9"{kind}/>',
            _text(box.middle, y, state.name, "state"),
            _text(box.middle, y + 18, state.value, "say"),
        ]
    )


def _arrow(arrow: Edge, boxes: dict[State, Box]) -> list[str]:
    target = boxes[arrow.target]
    if arrow.source is None:
        idle = boxes[State.IDLE]
        y = target.y + 16
        return _across(idle, target, y, y - 6, arrow.names, "", is_above=True)
    source = boxes[arrow.source]
    if arrow.target is State.IDLE:
        y = source.y + source.height - 16
        return _across(source, target, y, y + 16, arrow.names, "back", is_above=False)
    if source is target:
        return _loop(source, arrow.names)
    return _down(source, target, arrow.names)


def _across(
    source: Box, target: Box, y: int, text_y: int, names: tuple[str, ...], kind: str, is_above: bool
) -> list[str]:
    """A level arrow between the bar and a state beside it, labelled on its outer side."""
    goes_right = source.x < target.x
    x1 = source.x + source.width if goes_right else source.x
    x2 = target.x if goes_right else target.x + target.width
    first = text_y - (len(names) - 1) * LINE_HEIGHT if is_above else text_y
    middle = (x1 + x2) // 2
    return [
        _path(f"M {x1} {y} L {x2} {y}", kind),
        *(_text(middle, first + i * LINE_HEIGHT, name, "on") for i, name in enumerate(names)),
    ]


def _down(source: Box, target: Box, names: tuple[str, ...]) -> list[str]:
    x, y1, y2 = source.middle, source.y + source.height, target.y
    middle = (y1 + y2) // 2 + 4
    return [
        _path(f"M {x} {y1} L {x} {y2}", "back"),
        *(_text(x - 8, middle + i * LINE_HEIGHT, n, "", "end") for i, n in enumerate(names)),
    ]


def _loop(box: Box, names: tuple[str, ...]) -> list[str]:
    x, y = box.middle, box.y + box.height
    return [
        _path(f"M {x - 40} {y} C {x - 50} {y + 46}, {x + 50} {y + 46}, {x + 40} {y}", "back"),
        *(_text(x, y + 52 + i * LINE_HEIGHT, name, "on") for i, name in enumerate(names)),
    ]


def _legend(others: tuple[str, ...], arrows: tuple[Edge, ...]) -> list[str]:
    lines = [
        "Every refusal leads to IDLE and drops cached records. So does every command that is not"
        " drawn: it runs, and the transaction is over.",
        "Not drawn:",
    ]
    line = "   "
    for name in others:
        if len(line) + len(name) > LETTERS:
            lines.append(line)
            line = "   "
        line += f" {name},"
    return [*lines, line.rstrip(",") + "."]


def _path(d: str, kind: str) -> str:
    return f'<path d="{d}"' + (f' class="{kind}"' if kind else "") + "/>"


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "") -> str:
    told = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x}" y="{y}"{told}>{text}</text>'
