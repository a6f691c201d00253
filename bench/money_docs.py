"""The pages on money: `docs/fares.md` and `docs/policy.md`, from tariffs, knobs and networks."""

from collections.abc import Iterator
from itertools import groupby

from apdu.docs import GENERATED, table
from apdu.files import CARD_KINDS
from apdu.show import money
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from fixtures.policy import load_policy
from issuer.policy import IssuerPolicy
from reader.fare import Network
from reader.fares.bus import BusLine, BusNetwork, missed_charge
from reader.fares.month import MonthTotal, month_percent, with_ride
from reader.fares.tariff import BUS, RAIL, Tariff, share
from reader.knobs import Knob
from reader.policy import Policy, knobs

_MONTH = 202509


def policy_page() -> str:
    """`docs/policy.md`."""
    parts = [
        GENERATED,
        "# Policy",
        "What an operator may decide about gates, readers on buses and money: the fields of"
        " `reader.policy.Policy`. A policy file is TOML with one line for each knob that differs"
        " from its default; `fixtures/policy/beijing.toml` names them all. An unknown knob or a"
        " wrong value is an error.",
        '```toml\noperating_day_begins_min = 300\naccumulate_at = "operating_day"\n```',
        "Grades: SEED stated by the seed document, V-A seen in an official text, V-B in the news or"
        " a notice, V-C on a page of little weight, C in several captures, ASSUMED not found"
        " anywhere, D decided here.",
        *_groups(knobs()),
        "# The issuer's policy",
        "What the issuing back office may decide: the fields of `issuer.policy.IssuerPolicy`, in"
        " files of their own; `fixtures/policy/issuer/beijing.toml` names them all. What gates must"
        " know too is above: `max_balance`, `load_min`, `load_step`, `blacklist_delay_s` and"
        " `blacklist_jitter_s`.",
        *_groups(IssuerPolicy.knobs()),
    ]
    return "\n\n".join(parts) + "\n"


def _groups(declared: tuple[Knob, ...]) -> Iterator[str]:
    head = ("knob", "default", "unit", "may be", "what it decides", "grade", "source")
    for group, members in groupby(declared, key=lambda knob: knob.group):
        yield f"## {group}"
        yield table(head, (_row(knob) for knob in members))


def _row(knob: Knob) -> tuple[str, ...]:
    return (
        f"`{knob.name}`",
        f"`{_toml(knob.default)}`",
        knob.unit,
        knob.values.expected,
        knob.why,
        knob.grade,
        knob.source,
    )


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def fares_page() -> str:
    """`docs/fares.md`."""
    policy, network, buses = load_policy(), load_network(), load_buses()
    parts = [
        GENERATED,
        "# Fares",
        "What a ride costs, from the tables of `reader/fares` and the files of `fixtures/network`,"
        " with the policy `beijing`. Amounts are yuan; to the programs they are whole fen, and"
        " distances whole metres. Grades are those of `policy.md`.",
        "## Rail",
        "One fare for every kind of card: rail has no student discount (domain facts 3.2, V-B). The"
        " upper bound belongs to its step.",
        _tariff_table(RAIL),
        *_airport_lines(network),
        *_month(policy),
        *_stay(policy),
        "## Bus",
        "Boarding marks, alighting charges. On a line by distance, full fare and what cards pay of"
        f" it ({BUS.source}, {BUS.grade}):",
        _bus_table(policy),
        *_bus_lines(buses, policy),
        *_missed(buses.line(300)),
    ]
    return "\n\n".join(parts) + "\n"


def _km(metres: int) -> str:
    return f"{metres // 1_000}.{metres % 1_000:03d}".rstrip("0").rstrip(".")


def _tariff_table(tariff: Tariff) -> str:
    rows = [(f"up to {_km(upper_m)}", money(fare)) for upper_m, fare in tariff.steps]
    if tariff.further_m:
        each = f"each {_km(tariff.further_m)} begun beyond {_km(tariff.steps[-1][0])}"
        rows.append((each, f"{money(tariff.further_fare)} more"))
    return table(("distance, km", f"{tariff.grade}, {tariff.source}"), rows)


def _airport_lines(network: Network) -> Iterator[str]:
    for line in network.lines:
        tariff = line.tariff
        if tariff == RAIL:
            continue
        yield f"### {line.name_en} ({line.name_zh})"
        yield "A paid area of its own, outside the distance fare and the month's accumulation."
        if tariff.is_flat:
            yield f"Flat: {money(tariff.lowest)} ({tariff.grade}, {tariff.source})."
        else:
            yield _tariff_table(tariff)


def _month(policy: Policy) -> Iterator[str]:
    yield "## The month's accumulation"
    yield (
        "What one card has paid in a calendar month decides about its next ride. Cleared at the end"
        " of the month; rides on airport lines neither count nor are discounted."
    )
    rows = [("0.00", "100")]
    rows += [(money(reached), str(percent)) for reached, percent in policy.month_steps]
    yield table(("paid in the month, from", "% of the fare to pay"), rows)
    yield "A month of rides at 5.00:"
    yield table(("rides", "each", "paid after the last"), _rides(RAIL.fare(20_000), 134, policy))


def _rides(full: int, count: int, policy: Policy) -> Iterator[tuple[str, ...]]:
    """Runs of rides that cost the same."""
    total, first, fare = MonthTotal(), 1, full
    for number in range(1, count + 1):
        now = share(full, month_percent(total.paid, policy))
        if now != fare:
            yield _run(first, number - 1), money(fare), money(total.paid)
            first, fare = number, now
        total = with_ride(total, _MONTH, fare)
    yield _run(first, count), money(fare), money(total.paid)


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _stay(policy: Policy) -> Iterator[str]:
    yield "## Beside the fare"
    yield table(
        ("what", "yuan"),
        [
            (f"more than {policy.overtime_after_s // 3_600} h inside", money(policy.overtime_fare)),
            (
                "in and out at one station; staff may give it back within"
                f" {policy.same_station_within_s // 60} min",
                money(RAIL.lowest),
            ),
            ("a trip without exit, closed by staff", money(policy.missing_exit_fare)),
            ("to enter, a card must hold", money(policy.min_entry_rail)),
            ("a purse holds at most", money(policy.max_balance)),
        ],
    )


def _bus_table(policy: Policy) -> str:
    steps = [10_000, 10_001, 15_000, 15_001, 20_000, 30_000, 40_000]
    kinds = [
        (f"{kind} ({code:02X})", policy.bus_percent(code)) for code, kind in CARD_KINDS.items()
    ]
    head = ("km", "full", *(f"{kind}, {percent} %" for kind, percent in kinds))
    rows = (
        (_km(metres), money(full), *(money(share(full, percent)) for _, percent in kinds))
        for metres, full in ((metres, BUS.fare(metres)) for metres in steps)
    )
    return table(head, rows)


def _bus_lines(buses: BusNetwork, policy: Policy) -> Iterator[str]:
    yield f"The lines of `{buses.name}`:"
    yield table(
        ("number", "line", "kind", "concessions", "km", "tariff"),
        (
            (
                f"`{line.number:04X}`",
                f"{line.name_zh} {line.name_en}",
                line.kind.value,
                "yes" if line.kind.value in policy.bus_lines_with_concessions else "no",
                _km(line.stops[-1].at_m),
                f"flat {money(line.tariff.lowest)}" if line.is_flat else "by distance",
            )
            for line in buses.lines
        ),
    )


def _missed(line: BusLine) -> Iterator[str]:
    yield "## No alighting tap"
    yield (
        "The next tap collects the full fare from the stop of boarding to the farther end of the"
        " line, without concession (domain facts 3.1, V-A). To board, a card must hold its own fare"
        f" to the farthest stop still ahead. On {line.name_en}, of {_km(line.stops[-1].at_m)} km:"
    )
    yield table(
        ("boarded at km", "collected"),
        ((_km(stop.at_m), money(missed_charge(line, stop))) for stop in line.stops),
    )
