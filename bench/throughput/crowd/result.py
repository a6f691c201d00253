"""What a crowd's tally says, as measures, tables and charts."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any

from bench.throughput.charts import chart
from bench.throughput.crowd.gate import GateResult
from bench.throughput.crowd.tally import Series, Tally
from bench.throughput.histogram import PERCENTILES, Measure, Spread
from bench.throughput.page import Grid, Picture

MARKS_MS = (200, 300, 500)
"""What operators ask of a tap (domain facts 4.3)."""

LOGGED_MS = 376
"""A bus validator's log of one tap (protocol reference 7); its figures sum to 374.5."""

SIMULATED = "simulated time over processor time"
PER_MINUTE = "persons a minute"
FIELD, APDUS, WAITED = "time in field", "transaction", "wait in queue"

_POINTS = 600
_LEAST_SHARE = 0.005
_SPANS = ("#8c3c5a", "#3c8c50", "#6a6a9a")
Span = tuple[float, float, str]
"""Something that lasts: from and to, minutes, and what it is."""


def share_over(took_ns: Sequence[int], mark_ms: int) -> float:
    """The share of taps that took longer than a mark."""
    return sum(one > mark_ms * 1_000_000 for one in took_ns) / len(took_ns) if took_ns else 0.0


def measures(result: GateResult) -> dict[str, Measure]:
    """Everything that can be compared, by name."""
    found = {PER_MINUTE: Measure("1/min", (result.per_minute,), "more", count=result.tally.passed)}
    found |= tally_measures(result.tally, result.took_ns)
    found[SIMULATED] = Measure("ratio", (result.ratio,), "more")
    return found


def tally_measures(tally: Tally, took_ns: int) -> dict[str, Measure]:
    """Times and queues of a tally; what nobody did is left out."""
    found: dict[str, Measure] = {}
    for name, times in ((FIELD, tally.field_ns), (APDUS, tally.apdus_ns)):
        if times:
            spread = Spread()
            spread.add_run(times)
            found[name] = spread.measure("ms")
    for mark in MARKS_MS:
        if tally.field_ns:
            share = share_over(tally.field_ns, mark)
            found[f"taps over {mark} ms"] = Measure("share", (share,), count=len(tally.field_ns))
    if tally.waited_ns:
        found[WAITED] = in_seconds(tally.waited_ns)
    found["people at the gate, mean"] = Measure("persons", (tally.waiting.mean(took_ns),))
    found["people at the gate, most"] = Measure("persons", (float(tally.waiting.longest),))
    return found


def in_seconds(times_ns: Sequence[int]) -> Measure:
    """Waits, which may be longer than a histogram holds. There is at least one."""
    ordered = sorted(times_ns)
    spread = {"min": ordered[0] / 1e9}
    for name, percent in PERCENTILES.items():
        spread[name] = ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] / 1e9
    spread["max"] = ordered[-1] / 1e9
    return Measure("s", (spread["p50"],), "less", spread, len(ordered))


def detail(tally: Tally, still: int, took_ns: int) -> dict[str, Any]:
    """What is counted, for JSON. parts: mean milliseconds of a tap, and their share."""
    return {
        "simulated_s": took_ns / 1e9,
        "arrived": tally.arrived,
        "passed": tally.passed,
        "released": tally.released,
        "rejected": dict(sorted(tally.rejected.items())),
        "still": still,
        "taps": tally.taps,
        "tapped_again": tally.again,
        "parts": [{"what": name, "ms": took, "share": share} for name, took, share in parts(tally)],
    }


def parts(tally: Tally) -> list[tuple[str, float, float]]:
    """What the time in the field went to: name, mean ms a tap, share; the greatest first.

    What takes next to nothing is one entry, the last.
    """
    whole = max(1, sum(tally.parts.values()))
    taps = max(1, len(tally.field_ns))
    ordered = sorted(tally.parts.items(), key=lambda part: (-part[1], part[0]))
    told = [(name, ns) for name, ns in ordered if ns >= _LEAST_SHARE * whole]
    rest = sum(ns for _, ns in ordered) - sum(ns for _, ns in told)
    if rest:
        told.append(("all others", rest))
    return [(name, ns / taps / 1e6, ns / whole) for name, ns in told]


def queue_points(series: Series, took_ns: int) -> list[tuple[float, int]]:
    """A queue's length for a chart: minutes and persons."""
    step_ns = max(1, took_ns // _POINTS)
    return [(at_s / 60, length) for at_s, length in series.thinned(step_ns, took_ns)]


def queue_chart(
    lines: Iterable[tuple[str, Series]], took_ns: int, title: str, spans: Sequence[Span] = ()
) -> str:
    """Queue lengths over time, as SVG. lines: names, empty for none, and queues."""
    drawn = [(name, queue_points(series, took_ns)) for name, series in lines]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        for name, points in drawn:
            at, lengths = zip(*points, strict=True) if points else ((), ())
            axes.step(at, lengths, where="post", label=name or None, linewidth=1.2)
        for (from_min, to_min, what), colour in zip(spans, cycle(_SPANS), strict=False):
            axes.axvspan(from_min, to_min, color=colour, alpha=0.15, linewidth=0, label=what)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)

    return chart(draw, title, "time, minutes", "people")


def field_chart(tally: Tally, title: str) -> str:
    """A histogram of the time in the field with the operators' marks, as SVG."""
    times = [one / 1e6 for one in tally.field_ns]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        axes.hist(times, bins=60)
        for mark in MARKS_MS:
            axes.axvline(mark, color="#777777", linestyle="--", linewidth=1)
            axes.annotate(
                f"{mark} ms", (mark, 1), xycoords=("data", "axes fraction"), fontsize=8,
                ha="right", va="top", rotation=90,
            )  # fmt: skip
        axes.set_xlim(left=0)

    return chart(draw, title, "time in the field, ms", "taps")


def parts_chart(tally: Tally, title: str) -> str:
    """Which command took what of a tap, as SVG."""
    found = parts(tally)[::-1]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        bars = axes.barh([name for name, _, _ in found], [ms for _, ms, _ in found])
        axes.bar_label(bars, [f"{share:.0%}" for _, _, share in found], padding=3, fontsize=8)
        axes.margins(x=0.1)

    return chart(draw, title, "mean of a tap, ms", "", (9.0, 0.9 + 0.27 * max(4, len(found))))


def gate_parts(result: GateResult, note: str) -> list[Picture | Grid | str]:
    """A gate's page, in order. note: what was asked for, in words."""
    tally = result.tally
    found = measures(result)
    rows = [(name, *cells(measure)) for name, measure in found.items()]
    shown: list[Picture | Grid | str] = [note, Grid("What came of it", HEADS, rows)]
    if tally.rejected:
        refused = [(reason, str(number)) for reason, number in tally.rejected.most_common()]
        shown.append(Grid("Sent away", ("reason", "persons"), refused))
    if tally.field_ns:
        shown += [
            Picture(
                field_chart(tally, "How long a card is in the field"),
                "Every tap that came to a verdict; the marks are operators' targets.",
            ),
            Picture(
                parts_chart(tally, "Which command takes the time"),
                "Per cent of the time in the field.",
            ),
        ]
    shown.append(
        Picture(
            queue_chart([("", tally.waiting)], result.took_ns, "People at the gate"),
            "Waiting, tapping and walking through.",
        )
    )
    return shown


HEADS = ("what", "unit", "typical", "p50", "p90", "p99", "max", "count")


def cells(measure: Measure) -> tuple[str, ...]:
    """A row of a table for a measure, after its name."""
    spread = measure.spread or {}
    told = (
        f"{spread[name]:,.1f}" if name in spread else "" for name in ("p50", "p90", "p99", "max")
    )
    digits = 3 if measure.unit == "share" else 1
    return (
        measure.unit,
        f"{measure.typical:,.{digits}f}",
        *told,
        str(measure.count) if measure.count else "",
    )
