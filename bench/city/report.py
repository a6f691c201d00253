"""What is told of a city's day: one document, and what is shown of it."""

from functools import partial
from typing import Any

from bench.city.plan import stations
from bench.city.result import HOURS, PARTS, TAP_PARTS
from bench.city.run import City
from bench.throughput.charts import COLOURS, chart
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.page import Grid, Picture
from bench.throughput.targets import bound_of

TARGET_PER_CORE = bound_of("T12", "trips a second, per core").limit
TARGET_CARD_B = bound_of("T12", "a card at rest").limit

_BUSIEST = 15
_SHOWN = 8
"""Processes drawn."""
_US = 1e6
_PART_WORDS = {
    "plan": "planning",
    "wake": "cards made live",
    "tap": "taps",
    "rest": "cards packed",
    "upload": "batches built",
    "clearing": "batches taken, TACs, rules",
    "books": "adding up",
}
_TAP_WORDS = {"card": "card", "psam": "PSAM", "gate": "gate, journal and the rest"}


def measures_of(city: City) -> dict[str, Measure]:
    """What can be compared. Nothing if this run played nothing."""
    if not city.played:
        return {}
    made = {
        "trips": Measure("1/s", (city.per_second,), "more", count=city.played),
        "trips per core": Measure("1/s", (city.per_core,), "more", count=city.played),
        "worker memory": Measure("MiB", (city.peak_mib,), "less"),
        "card at rest": Measure("B", (city.card_b,), "less", count=city.tally.cards),
    }
    for part in PARTS:
        made[f"trip {part}"] = Measure("us", (city.parts[part] * _US / city.played,))
    for part in TAP_PARTS:
        made[f"tap {part}"] = Measure("us", (city.tap_us[part],))
    return made


def document_of(city: City, options: dict[str, Any]) -> Document:
    """The document. options: of the command line, beside those of the plan."""
    plan = city.plan
    detail = {
        "digest": city.digest if city.is_whole else "",
        "shards": {"all": plan.shards, "there": len(city.digests), "repeated": city.repeated},
        "played": city.played,
        "start_s": round(city.start_s, 3),
        "wall_s": round(city.wall_s, 3),
        "tally": city.tally.as_json(),
        "workers": {
            str(pid): {
                "shards": one.shards,
                "trips": one.trips,
                "cpu_s": round(one.cpu_s, 3),
                "per_second": round(one.per_second, 1),
                "peak_mib": round(one.peak_mib, 1),
            }
            for pid, one in city.workers.items()
        },
    }
    told = {"trips": plan.trips, "day": plan.day.isoformat(), "shard": plan.shard_trips} | options
    return Document("city", told, measures_of(city), detail, plan.seed, None, city.incomplete)


def title_of(city: City) -> str:
    """What the page is called."""
    return f"{city.plan.trips:,} trips on {city.plan.day.isoformat()}, seed {city.plan.seed}"


def parts_of(city: City) -> list[Picture | Grid | str]:
    """What is shown, in order."""
    parts: list[Picture | Grid | str] = [_summary(city), *city.tally.problems]
    if city.is_whole:
        parts.append(f"Digest {city.digest}.")
    if city.tally.taps:
        parts += [_hours(city), _places(city), _fares(city), _money(city)]
    if city.played:
        parts += [_time(city), _tap(city), _workers(city)]
        for at, name, unit, caption in _BY_SHARD:
            parts.append(_shards(city, at, name, unit, caption))
        parts.append(_speed(city))
    return parts


_BY_SHARD = (
    (2, "Speed", "trips a processor second", "Trips a second of a processor's work."),
    (
        3,
        "Memory",
        "most memory so far, MiB",
        "The most memory each process ever had when it had played a shard.",
    ),
)


def _speed(city: City) -> str:
    again = "" if city.repeated is None else f" {city.repeated} shards played again."
    return (
        f"{city.played:,} trips in {city.wall_s:.1f} s and {city.start_s:.1f} s to start: "
        f"{city.per_second:,.0f} a second, {city.per_core:,.0f} a second of one processor's work "
        f"(target {TARGET_PER_CORE:,g}). A card at rest is {city.card_b:.0f} B (target "
        f"{TARGET_CARD_B:g}), a worker {city.peak_mib:.0f} MiB at most.{again}"
    )


def _summary(city: City) -> str:
    tally = city.tally
    return (
        f"{tally.trips:,} trips of {tally.cards:,} cards in {len(city.digests):,} of "
        f"{city.plan.shards:,} shards; {tally.records:,} records cleared, {tally.tacs:,} of them "
        f"with the right TAC, {sum(tally.findings.values())} exceptions."
    )


def _hours(city: City) -> Picture:
    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        hours = range(HOURS)
        for shift, counted, name in (
            (-0.2, city.tally.entries, "in"),
            (0.2, city.tally.exits, "out"),
        ):
            axes.bar([h + shift for h in hours], [counted[h] for h in hours], 0.4, label=name)
        axes.set_xticks(list(hours))

    svg = partial(chart, draw, "Taps by hour", "hour of the day", "taps")
    return Picture(svg, "Taps that opened a gate, in and out, by the hour they began in.")


def _places(city: City) -> Picture:
    ins, outs = city.tally.way_in, city.tally.way_out
    busiest = sorted(ins.keys() | outs.keys(), key=lambda at: (-(ins[at] + outs[at]), at))
    shown = busiest[:_BUSIEST][::-1]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        rows = range(len(shown))
        axes.barh([r + 0.2 for r in rows], [ins[at] for at in shown], 0.4, label="in")
        axes.barh([r - 0.2 for r in rows], [outs[at] for at in shown], 0.4, label="out")
        names = [stations()[at] for at in shown]
        axes.set_yticks(list(rows), [f"{one.name_en} ({one.key})" for one in names])

    svg = partial(chart, draw, "Busiest stations", "taps", "", (9.0, 5.0))
    return Picture(svg, f"The {len(shown)} stations with most taps, of {len(busiest)}.")


def _fares(city: City) -> Picture:
    counted = sorted(city.tally.by_fare.items())

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        axes.bar([f"{fen / 100:.2f}" for fen, _ in counted], [trips for _, trips in counted], 0.6)

    return Picture(
        partial(chart, draw, "Trips by fare", "fare, yuan", "trips"), "What the way out took."
    )


def _money(city: City) -> Grid:
    money = city.tally.money
    rows = [
        ("on cards in the morning", money.opening),
        ("taken by gates", money.fares),
        ("by the tariff", money.tariff),
        ("by clearing's records", money.cleared),
        ("on cards at night", money.closing),
    ]
    return Grid("Money", ("", "yuan"), [(name, f"{fen / 100:,.2f}") for name, fen in rows])


def _time(city: City) -> Grid:
    whole = sum(city.parts.values())
    rows = [
        (_PART_WORDS[part], f"{took * _US / city.played:.1f}", f"{took / whole:.0%}")
        for part, took in city.parts.items()
    ]
    return Grid("Where the time of a trip goes", ("", "us of a processor", "share"), rows)


def _tap(city: City) -> Grid:
    tap = sum(city.tap_us.values())
    rows = [
        (_TAP_WORDS[part], f"{took:.1f}", f"{took / tap:.0%}") for part, took in city.tap_us.items()
    ]
    return Grid("Where the time of a tap goes", ("", "us, median", "share"), rows)


def _workers(city: City) -> Grid:
    rows = [
        (
            str(pid),
            f"{one.shards:,}",
            f"{one.trips:,}",
            f"{one.cpu_s:.1f}",
            f"{one.per_second:,.0f}",
            f"{one.peak_mib:.0f}",
        )
        for pid, one in sorted(city.workers.items())
    ]
    heads = ("process", "shards", "trips", "processor s", "trips a processor second", "peak MiB")
    return Grid("Workers", heads, rows)


def _shards(city: City, at: int, title: str, unit: str, caption: str) -> Picture:
    """A figure of each shard, by worker. at: where in `City.points` it is."""

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        for rank, pid in enumerate(sorted(city.workers)[:_SHOWN]):
            mine = sorted(point for point in city.points if point[1] == pid)
            figures = [point[at] for point in mine]
            colour = COLOURS[rank % len(COLOURS)]
            axes.plot([p[0] for p in mine], figures, ".-", color=colour, label=f"process {pid}")
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        axes.xaxis.get_major_locator().set_params(integer=True)

    return Picture(partial(chart, draw, title, "shard", unit), caption)
