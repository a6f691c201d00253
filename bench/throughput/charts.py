"""Charts of benchmarks, as SVG that needs nothing else. matplotlib draws; one style for all."""

import io
import logging
from collections.abc import Callable
from typing import Any

WIDTH_IN, HEIGHT_IN = 9.0, 3.6
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
COLOURS = ("#35547d", "#b3772c", "#3c8c50", "#8c3c5a", "#6a6a9a", "#4a9aa5", "#999933", "#777777")


def chart(
    draw: Callable[[Any], None],
    title: str,
    x_label: str,
    y_label: str,
    size: tuple[float, float] = (WIDTH_IN, HEIGHT_IN),
) -> str:
    """One chart. draw: puts the data on a matplotlib Axes. Labels name their units.

    Returns an <svg> element, the same bytes for the same data.
    """
    # Without a home it tells on standard error where it keeps its fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.set_prop_cycle(color=list(COLOURS))
        axes.grid(visible=True, color="#e4e4e0")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        made = io.StringIO()
        FigureCanvasSVG(figure).print_svg(made, metadata=_NO_METADATA)  # type: ignore[no-untyped-call]
    text = made.getvalue()
    return text[text.index("<svg") :]
