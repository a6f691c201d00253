"""The generated page `docs/throughput.md`: what a gate passes, simulated while it is written."""

from statistics import median
from typing import TYPE_CHECKING

from apdu.docs import GENERATED, table
from bench.scenario import ENTRY_STATION
from fixtures.crowds import crowd_names, load_crowd
from fixtures.timing import load_timing

if TYPE_CHECKING:
    from bench.throughput.crowd.gate import GateRun

PERSONS, SEED, RUNS = 100, 1, 5
"""Passengers of each run of the table's gates."""

COMMAND = f"tapbench bench gate --grid --persons {PERSONS} --seed {SEED} --runs {RUNS}"

_KNOBS = (
    ("--gap", "0.8 s", "from one person to the next at the reader, mean of a gamma distribution",
     "ASSUMED: with Suica's 0.2 s it makes the 60 persons a minute that are told of Tokyo"),
    ("--gap-spread", "0.3", "its standard deviation, as a share of the mean", "ASSUMED"),
    ("--open", "0.3 s", "motion of the barrier; a normally open one moves after a refusal alone",
     "ASSUMED; relays 100 to 200 ms are told (V-C)"),
    ("--walk", "0.7 s", "through an open barrier: one metre", "ASSUMED"),
    ("--back-out", "2.5 s", "from a refusal until the reader is free", "ASSUMED"),
    ("--retap", "1.0 s", "until a card is held up again", "ASSUMED"),
    ("--phone-wake", "100 ms", "from the field to a phone's answer to REQA", "ASSUMED"),
    ("--phone-secure", "10 ms", "more for each command, card in a secure element or a SIM",
     "ASSUMED: with the waking it makes the 600 to 800 ms measured at TfL's gates (V-B)"),
    ("--phone-app", "25 ms", "more for each command, card in an app", "ASSUMED"),
    ("--timing", "measured", "card and PSAM: one bus validator's log", "1, one source"),
    ("--barrier", "normally_closed", "both are in use", "V-B"),
)  # fmt: skip


def throughput_page() -> str:
    """`docs/throughput.md`. Simulates every gate of its table with live taps."""
    parts = [
        GENERATED,
        "# How many people a gate passes",
        "`tapbench bench gate` puts live taps inside a queue: passengers walk up, hold a card or a"
        " phone against the reader, and walk through. Each tap is the gate's own transaction on a"
        " live card over the simulated air; what it takes in virtual time is what the queue waits."
        " The walking is a model, and its times are assumptions that are options. So nothing here"
        " was measured at a gate: who quotes a figure says that it is simulated, with which"
        " options. The table is the same on every machine.",
        f"```sh\n{COMMAND}\n```",
        _grid("measured"),
        "Persons a minute where somebody always waits: those who pass, over the time in which"
        f" somebody has the reader; the median of {RUNS} seeds, with the least and the greatest."
        " With `--rate` as many pass as come, and what could pass is told beside it, with the share"
        " of time in which the gate is busy.",
        "Time in field: from the card's coming to"
        " the verdict, the median, with the reader's search (20 ms and the field's guard time of"
        " 5.1 ms, at any point of which a card comes) and activation. A phone with the card in an"
        " app offers 106 kbit/s alone: its ATS says so.",
        "With the simulator's own budget (`--timing budget`), in which DEBIT takes 70 ms and the"
        " PSAM is as slow as in the log:",
        _grid("budget"),
        "From one person to the next: gap + tap + barrier (domain facts 4.3). Through a normally"
        " open barrier the barrier's part is nothing as long as nobody is refused, which is why"
        " such gates pass more people at an equal tap. The bit rate matters little: most of a tap"
        " is the PSAM's (193 ms in the log) and the card's computing.",
        "## Against the log",
        "The log of the bus validator (protocol reference 7) has PPSE 26, purse 19, EF15 10,"
        " EF17 13, EF1E 12, GET BALANCE 7, 8050 11 to 12, 8070 121, 80DC 16, 8054 67 and 8072 72"
        " ms: 302.5 up to 8054 and 374.5 in all, where the reference says 304 and about 376."
        f" `tapbench bench gate --direction single` is a flat bus's tap with these times:"
        f" {_bus_ms():.1f} ms from the first command to the last answer. It reads one record more"
        " than the log, EF1A, in 18.8 ms.",
        "## Assumptions",
        "Grades are those of the references: 1 and V-B seen in a source, V-C told somewhere,"
        " ASSUMED ours.",
        table(("option", "default", "what it is", "grade"), _KNOBS),
        "## Stations",
        "`tapbench bench station --gates 8 --profile morning-peak` sends a crowd through the gates"
        " of every line of a station. Who comes takes the shortest queue of those that serve them;"
        " when a gate fails (`--fail 3@12+6`: gate 3 at minute 12 for 6) its queue goes over to"
        " the others, and comes back to it later. In an emergency (`--emergency 20+3`) all"
        " barriers are open: who is inside walks out without a tap, no card is written to, and"
        " nobody comes in. Who leaves came in 20 minutes before, by a tap in process. Crowds are"
        " files of `fixtures/crowds/`, or one's own:",
        table(
            ("crowd", "what it is", "station", "minutes", "grade"),
            (
                (f"`{name}`", one.title, one.station, str(one.minutes), one.grade)
                for name in crowd_names()
                for one in (load_crowd(name),)
            ),
        ),
        "## The model",
        "`--model` taps 60 live passengers of each kind (card, carrier, early removal) and draws"
        " from what they took; `--check-model` runs both and fails if the persons a minute differ"
        " by more than 2 %; where fewer come than could pass, what would pass if somebody waited is"
        " compared too. It is some twenty times faster, for stations of many gates. With much noise"
        " two live runs differ by more than that among themselves: `--runs 5` compares the means.",
        "## Chance",
        "The same seed gives the same result. `--runs 5` simulates a gate or a station with five"
        " seeds, that of `--seed` and those that follow, and tells of each figure the least and the"
        " greatest run; a station's queues and gates are shown of the first run. `tapbench bench"
        " compare` says of two such results what is more than chance.",
        "## What is not in it",
        "A gate with two readers in a row, luggage, people who stand beside the queue, a second"
        " card in the purse. A barrier's passage time is one number for everybody.",
    ]
    return "\n\n".join(parts) + "\n"


def _grid(timing: str) -> str:
    from bench.throughput.crowd.grid import HEADS, grid, rows

    seeds = range(SEED, SEED + RUNS)
    return table(HEADS, rows(list(grid(_gate(timing, "entry"), PERSONS, seeds))))


def _gate(timing: str, direction: str) -> "GateRun":
    from bench.throughput.crowd.arrivals import Saturated
    from bench.throughput.crowd.gate import GateRun
    from bench.throughput.crowd.taps import Gear
    from bench.throughput.crowd.terminals import Post

    gear = Gear(load_timing(timing), seed=SEED)
    return GateRun(Post(direction, ENTRY_STATION), gear, Saturated(PERSONS))


def _bus_ms() -> float:
    from bench.throughput.crowd.gate import simulate

    return median(simulate(_gate("measured", "single")).tally.apdus_ns) / 1e6
