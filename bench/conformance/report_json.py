"""The report for programs. Its keys are documented in `docs/conformance.md`."""

import json
from collections.abc import Mapping
from typing import Any

from bench.conformance.case import Case, Need, Verdict
from bench.conformance.report import Report, Run, dialect_changes
from bench.conformance.runner import Result
from bench.conformance.shown import Shown, shown
from bench.conformance.words import Words
from bench.versions import own_version

SCHEMA = 1
"""Rises when a key goes away or changes its meaning; new keys may come without."""


def report_json(report: Report) -> str:
    """The whole report as one JSON object."""
    return json.dumps(as_object(report), ensure_ascii=False, indent=1) + "\n"


def as_object(report: Report) -> dict[str, Any]:
    """The same, not yet text."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "tapbench", "version": own_version()},
        "suite": report.suite,
        "started": report.started.isoformat(timespec="seconds"),
        "seed": report.seed,
        "level": report.level,
        "only": report.only,
        "environment": dict(report.environment),
        "ending": report.ending.name.lower(),
        "runs": [_run(run) for run in report.runs],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "via": run.place,
        "own_card": run.is_ours,
        "profile": _profile(run),
        "incomplete": run.incomplete or None,
        "planned": run.planned,
        "counts": {verdict.value: run.count(verdict) for verdict in Verdict},
        "groups": {
            group: {verdict.value: counts[verdict] for verdict in Verdict}
            for group, counts in run.by_group().items()
        },
        "ms": run.took_ns / 1e6,
        "cases": [
            case_object(number, result.case) | _result(run, number, result)
            for number, result in run.results.items()
        ],
    }


def _profile(run: Run) -> dict[str, Any] | None:
    if run.profile is None:
        return None
    return {
        "name": run.profile.name,
        "title": run.profile.title,
        "issuer": run.profile.issuer.hex().upper(),
        "dialect": dialect_changes(run.profile),
    }


def case_object(number: str, case: Case) -> dict[str, Any]:
    """What a case is, before it is played."""
    return {
        "id": number,
        "key": case.key,
        "group": case.group,
        "level": case.level.value,
        "title": _words(case.title),
        "clauses": list(case.clauses),
        "grade": case.grade,
        "needs": needs_of(case),
        "setup": {name: str(value) for name, value in case.setup.items()},
    }


def needed(case: Case) -> list[Need]:
    """What a case needs, in the order of `Need`. A setup needs a card made for it."""
    wanted = case.needs | ({Need.FRESH} if case.setup else frozenset())
    return [need for need in Need if need in wanted]


def needs_of(case: Case) -> list[str]:
    """The same by name."""
    return [need.name.lower() for need in needed(case)]


def _result(run: Run, number: str, result: Result) -> dict[str, Any]:
    return {
        "outcome": result.verdict.value,
        "reason": None if result.why is None else _words(result.why),
        "violation": _violation(result),
        "script": run.scripts.get(number),
        "ms": result.took_ns / 1e6,
        "exchanges": [_exchange(one) for one in shown(result.said, result.violation, run.is_ours)],
    }


def _violation(result: Result) -> dict[str, Any] | None:
    found = result.violation
    if found is None:
        return None
    return {
        "expected": _words(found.expected),
        "came": found.came,
        "clause": found.clause,
        "exchange": found.at,
        "bytes": None if found.where is None else list(found.where),
    }


def _exchange(one: Shown) -> dict[str, Any]:
    return {
        "name": one.name,
        "command": one.command,
        "request": [line._asdict() for line in one.request],
        "response": one.answer,
        "status": one.status,
        "answer": [line._asdict() for line in one.reply],
        "note": one.note,
        "us": one.took_us,
    }


def _words(words: Words) -> Mapping[str, str]:
    return {"en": words.en, "zh": words.zh}
