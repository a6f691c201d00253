"""Reports of cases that end in every way, for tests of what is made of them."""

from datetime import datetime

from bench.clock import SHANGHAI
from bench.conformance.case import Case, Level, Need, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.report import Report, Run
from bench.conformance.runner import run_case
from bench.conformance.script import steps_of, text_of
from bench.conformance.stand import own_stand
from bench.conformance.words import Words

NASTY = "</script><b>&\"'\x07"
"""What must not get into a page or into XML as it is."""


def passes(lab: Lab) -> None:
    lab.must(lab.select())
    lab.reset()
    lab.must(lab.select())


def breaks_status(lab: Lab) -> None:
    lab.must(lab.select(), 0x6A82, clause="2.5")


def breaks_bytes(lab: Lab) -> None:
    data = lab.must(lab.select()).data
    lab.must_be(data[4:12], bytes(8), Words("DF name", "DF 名称"), at=4)


def breaks_nowhere(lab: Lab) -> None:
    lab.require(False, Words(f"nothing {NASTY}", f"无 {NASTY}"), NASTY)


def has_not(lab: Lab) -> None:
    raise NotApplicable(f"this card has none {NASTY}", "此卡没有")


def cases() -> dict[str, Case]:
    wanted = (
        ("CARD-ONE-001", passes, ("4.9", "6.4"), Level.BASIC, ()),
        ("CARD-ONE-002", breaks_status, ("4.10",), Level.FULL, ()),
        ("CARD-ONE-003", breaks_bytes, ("4.1",), Level.FULL, (Need.KEYS,)),
        ("CARD-TWO-001", breaks_nowhere, ("2.4", "4.10"), Level.FULL, ()),
        ("CARD-TWO-002", has_not, ("2.4", "annex 8"), Level.FULL, ()),
        ("CARD-TWO-003", passes, ("2.4",), Level.BASIC, (Need.FRAMES,)),
    )
    return {
        number: Case(
            f"judged.{number.lower()}",
            number.split("-")[1],
            Words(f"Title {number} {NASTY}", f"标题 {number}"),
            clauses,
            body,
            needs=frozenset(needs),
            level=level,
        )
        for number, body, clauses, level, needs in wanted
    }


def run(place: str = "inproc", incomplete: str = "", **others: object) -> Run:
    with own_stand() as stand:
        results = {number: run_case(case, stand) for number, case in cases().items()}
        made = Run(place, stand.declared, len(results), results, incomplete, took_ns=5, **others)
    scripts = {n: text_of(n, r, steps_of(r), made.is_ours) for n, r in made.failed.items()}
    made.scripts.update(scripts)  # type: ignore[attr-defined]
    return made


def report(*runs: Run) -> Report:
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=SHANGHAI)
    return Report(started, 7, "full", "", runs or (run(),), {"python": "3", "note": NASTY})
