"""What a crowd's tally says, as measures, tables and charts."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain, cycle
from math import ceil
from statistics import median
from typing import Any

from bench.throughput.charts import chart
from bench.throughput.crowd.gate import GateResult
from bench.throughput.crowd.runs import GateResults
from bench.throughput.crowd.tally import Series, Tally
from bench.throughput.histogram import PERCENTILES, Measure, Spread
from bench.throughput.page import Grid, Picture

MARKS_MS = (200, 300, 500)
"""What operators ask of a tap (domain facts 4.3)."""

LOGGED_MS = 376
"""A bus validator's log of one tap (protocol reference 7); its figures sum to 374.5."""

SIMULATED = "simulated time over processor time"
PER_MINUTE = "persons a minute"
CAPACITY, BUSY = "persons a minute if somebody waits", "gate busy"
FIELD, APDUS, WAITED = "time in field", "transaction", "wait in queue"

_POINTS = 600
_LEAST_SHARE = 0.005
_SPANS = ("#8c3c5a", "#3c8c50", "#6a6a9a")
Span = tuple[float, float, str]
"""Something that lasts: from and to, minutes, and what it is."""


def share_over(took_ns: Sequence[int], mark_ms: int) -> float:
    """The share of taps that took longer than a mark."""
    return sum(one > mark_ms * 1_000_000 for one in took_ns) / len(took_ns) if took_ns else 0.0


def measures(results: Sequence[GateResult]) -> dict[str, Measure]:
    """Everything that can be compared, by name. results: one of each run, at least one."""
    passed = sum(one.tally.passed for one in results)
    rates = tuple(one.per_minute for one in results)
    found = {PER_MINUTE: Measure("1/min", rates, "more", count=passed)}
    if not results[0].is_saturated and passed:
        capacities = tuple(one.capacity for one in results)
        found[CAPACITY] = Measure("1/min", capacities, "more", count=passed)
        found[BUSY] = Measure("share", tuple(one.busy for one in results))
    found |= tally_measures([(one.tally, one.took_ns) for one in results])
    found[SIMULATED] = Measure("ratio", tuple(one.ratio for one in results), "more")
    return found


def tally_measures(runs: Sequence[tuple[Tally, int]]) -> dict[str, Measure]:
    """Times and queues; what nobody did is left out. runs: tallies, and what each run took, ns."""
    found: dict[str, Measure] = {}
    fields = [tally.field_ns for tally, _ in runs if tally.field_ns]
    for name, times in ((FIELD, fields), (APDUS, [t.apdus_ns for t, _ in runs if t.apdus_ns])):
        if times:
            spread = Spread()
            for one in times:
                spread.add_run(one)
            found[name] = spread.measure("ms")
    for mark in MARKS_MS:
        if fields:
            shares = tuple(share_over(one, mark) for one in fields)
            found[f"taps over {mark} ms"] = Measure("share", shares, count=sum(map(len, fields)))
    waits = [tally.waited_ns for tally, _ in runs if tally.waited_ns]
    if waits:
        found[WAITED] = in_seconds(*waits)
    means = tuple(tally.waiting.mean(took_ns) for tally, took_ns in runs)
    most = tuple(float(tally.waiting.longest) for tally, _ in runs)
    found["people at the gate, mean"] = Measure("persons", means)
    found["people at the gate, most"] = Measure("persons", most)
    return found


def in_seconds(*runs_ns: Sequence[int]) -> Measure:
    """Waits, which may be longer than a histogram holds, by nearest rank. Each run has some."""
    ordered = sorted(chain.from_iterable(runs_ns))
    spread = {"min": ordered[0] / 1e9}
    for name, percent in PERCENTILES.items():
        rank = ceil(len(ordered) * Fraction(str(percent)) / 100)
        spread[name] = ordered[rank - 1] / 1e9
    spread["max"] = ordered[-1] / 1e9
    medians = tuple(median(one) / 1e9 for one in runs_ns)
    return Measure("s", medians, "less", spread, len(ordered))


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
    from matplotlib.ticker import MaxNLocator

    drawn = [(name, queue_points(series, took_ns)) for name, series in lines]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        for name, points in drawn:
            at, lengths = zip(*points, strict=True) if points else ((), ())
            axes.step(at, lengths, where="post", label=name or None, linewidth=1.2)
        for (from_min, to_min, what), colour in zip(spans, cycle(_SPANS), strict=False):
            axes.axvspan(from_min, to_min, color=colour, alpha=0.15, linewidth=0, label=what)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))  # nobody stands there by half

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


def gate_parts(result: GateResults, note: str) -> list[Picture | Grid | str]:
    """A gate's page, in order. note: what was asked for, in words."""
    tally = result.tally
    found = measures(result.each)
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
    first, several = result.each[0], "; the first run" if len(result.each) > 1 else ""
    shown.append(
        Picture(
            queue_chart([("", first.tally.waiting)], first.took_ns, "People at the gate"),
            f"Waiting, tapping and walking through{several}.",
        )
    )
    return shown


HEADS = ("what", "unit", "typical", "p50", "p90", "p99", "max", "count", "runs")


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
        " - ".join(f"{one:,.{digits}f}" for one in measure.range) if len(measure.runs) > 1 else "",
    )
