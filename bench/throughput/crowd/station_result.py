"""What a station's gates did, as measures, tables and charts."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.throughput.charts import chart
from bench.throughput.crowd.hall import Hall, Place
from bench.throughput.crowd.result import (
    HEADS,
    PER_MINUTE,
    SIMULATED,
    Span,
    cells,
    detail,
    field_chart,
    queue_chart,
    tally_measures,
)
from bench.throughput.crowd.runs import StationResults
from bench.throughput.crowd.station import StationResult
from bench.throughput.histogram import Measure
from bench.throughput.page import Grid, Picture

GATE_HEADS = (
    "gate", "line", "kind", "passed", "sent away", "a minute", "busy", "queue mean", "queue most",
    "wait p50 s", "down min",
)  # fmt: skip

_LINES_IN_A_CHART = 2
"""Queues that can be told apart in one chart; more are shown as a map."""
_SLOTS = 120


def measures(results: Sequence[StationResult]) -> dict[str, Measure]:
    """Everything that can be compared, by name. results: one of each run, at least one."""
    passed = sum(one.tally.passed for one in results)
    rates = tuple(one.per_minute for one in results)
    found = {PER_MINUTE: Measure("1/min", rates, "more", count=passed)}
    found |= tally_measures([(one.tally, one.took_ns) for one in results])
    found[SIMULATED] = Measure("ratio", tuple(one.ratio for one in results), "more")
    return found


def gate_rows(result: StationResult) -> list[tuple[str, ...]]:
    """A row for each gate."""
    return [_row(hall, place, result.took_ns) for hall in result.halls for place in hall.places]


def _row(hall: Hall, place: Place, took_ns: int) -> tuple[str, ...]:
    told = _gate(hall, place, took_ns)
    wait = told["wait_p50_s"]
    return (
        str(told["gate"]),
        told["line"],
        told["kind"],
        str(told["passed"]),
        str(told["sent_away"]),
        f"{told['per_minute']:.1f}",
        f"{told['busy']:.0%}",
        f"{told['queue_mean']:.1f}",
        str(told["queue_most"]),
        "" if wait is None else f"{wait:.1f}",
        f"{told['down_min']:.1f}" if told["down_min"] else "",
    )


def _gate(hall: Hall, place: Place, took_ns: int) -> dict[str, Any]:
    tally, aisle = place.tally, place.aisle
    up_ns = max(1, took_ns - aisle.down_ns)
    return {
        "gate": place.number,
        "line": hall.line,
        "kind": place.kind,
        "passed": tally.passed,
        "released": tally.released,
        "sent_away": tally.refused,
        "rejected": dict(sorted(tally.rejected.items())),
        "per_minute": tally.passed * 60e9 / up_ns if took_ns else 0.0,
        "busy": aisle.busy_ns / took_ns if took_ns else 0.0,
        "queue_mean": aisle.length.mean(took_ns),
        "queue_most": aisle.length.longest,
        "wait_p50_s": median(tally.waited_ns) / 1e9 if tally.waited_ns else None,
        "down_min": aisle.down_ns / 60e9,
    }


def station_detail(results: StationResults) -> dict[str, Any]:
    """What is counted, for JSON: of all runs together, and of each its halls and gates."""
    found = detail(results.tally, results.still, results.took_ns)
    found["cpu_s"] = results.cpu_s
    for what, told in (("halls", _halls), ("gates", _gates)):
        found[what] = [
            {"seed": one.run.gear.seed} | each for one in results.each for each in told(one)
        ]
    return found


def _halls(result: StationResult) -> list[dict[str, Any]]:
    return [
        {
            "line": hall.line,
            "arrived": hall.tally.arrived,
            "passed": hall.tally.passed,
            "rejected": dict(sorted(hall.tally.rejected.items())),
            "still": hall.still,
            "people_most": hall.tally.waiting.longest,
        }
        for hall in result.halls
    ]


def _gates(result: StationResult) -> list[dict[str, Any]]:
    return [_gate(hall, place, result.took_ns) for hall in result.halls for place in hall.places]


def of_run(results: StationResults) -> str:
    """Which run a table or chart of one run shows, for the end of its title."""
    return f", run of seed {results.run.gear.seed}" if len(results.each) > 1 else ""


def station_parts(results: StationResults) -> list[Picture | Grid | str]:
    """A station's page, in order. Queues and gates are those of the first run."""
    run, tally, result = results.run, results.tally, results.each[0]
    rows = [(name, *cells(measure)) for name, measure in measures(results.each).items()]
    which = of_run(results)
    shown: list[Picture | Grid | str] = [
        f"{run.crowd.title}. The crowd is {run.crowd.grade}: how many come when is nowhere"
        f" published; times {run.scale:g}. {'Modelled' if run.is_model else 'Live'} taps.",
        Grid("What came of it", HEADS, rows),
        Picture(
            queue_chart(
                [(hall.line, hall.tally.waiting) for hall in result.halls],
                result.took_ns,
                f"People at each line's gates{which}",
                _spans(result),
            ),
            "Waiting, tapping and walking through." + _events(result),
        ),
    ]
    shown += [_hall_picture(hall, result.took_ns, which) for hall in result.halls]
    shown.append(Grid(f"Gates{which}", GATE_HEADS, gate_rows(result)))
    if tally.rejected:
        refused = [(reason, str(number)) for reason, number in tally.rejected.most_common()]
        shown.append(Grid("Sent away", ("reason", "persons"), refused))
    if tally.field_ns:
        shown.append(
            Picture(
                field_chart(tally, "How long a card is in the field"),
                "Every tap that came to a verdict; the marks are operators' targets.",
            )
        )
    return shown


def _spans(result: StationResult) -> list[Span]:
    """Failures and the emergency."""
    run = result.run
    spans: list[Span] = [
        (outage.at_min, outage.until_min, f"gate {outage.gate} out of service")
        for outage in run.outages
    ]
    if run.emergency is not None:
        spans.append((run.emergency.at_min, sum(run.emergency), "emergency"))
    end_min = result.took_ns / 60e9
    return [(at, min(end, end_min), what) for at, end, what in spans if at < end_min]


def _events(result: StationResult) -> str:
    told = [
        f" Gate {outage.gate} fails at minute {outage.at_min:g} for {outage.lasts_min:g}."
        for outage in result.run.outages
    ]
    if result.run.emergency is not None:
        at, lasts = result.run.emergency
        told.append(f" Emergency at minute {at:g} for {lasts:g}: all barriers open.")
    return "".join(told)


def _hall_picture(hall: Hall, took_ns: int, which: str) -> Picture:
    title = f"Queues of {hall.line}{which}"
    if len(hall.places) <= _LINES_IN_A_CHART:  # queues of gates are alike, and overlie
        lines = [(f"gate {p.number}, {p.kind}", p.aisle.length) for p in hall.places]
        return Picture(queue_chart(lines, took_ns, title), "People at each gate.")
    return Picture(_queue_map(hall, took_ns, title), "People at each gate, by colour.")


def _queue_map(hall: Hall, took_ns: int, title: str) -> str:
    """Many queues over time: a row for each gate."""
    step_ns = max(1, took_ns // _SLOTS)
    rows = [place.aisle.length.thinned(step_ns, took_ns) for place in hall.places]
    lengths = [[length for _, length in row] for row in rows]
    names = [f"{place.number} {place.kind}" for place in hall.places]

    from matplotlib.ticker import MaxNLocator

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        extent = (0, took_ns / 60e9, len(rows) - 0.5, -0.5)
        image = axes.imshow(lengths, aspect="auto", cmap="YlOrRd", extent=extent, vmin=0)
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False)
        axes.figure.colorbar(image, ax=axes, label="people", ticks=MaxNLocator(integer=True))

    size = (9.0, 1.2 + 0.26 * len(rows))
    return chart(draw, title, "time, minutes", "gate", size)
