"""The report as JUnit XML, the form that CI servers read (the common Jenkins schema)."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from bench.conformance.case import Verdict
from bench.conformance.report import Report, Run, dialect_changes
from bench.conformance.runner import Result
from bench.versions import own_version

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def report_junit(report: Report) -> bytes:
    """testsuites > one testsuite a place > one testcase a case."""
    root = ET.Element(
        "testsuites", _counts(report.runs) | {"name": f"tapbench conformance {report.suite}"}
    )
    for number, run in enumerate(report.runs):
        root.append(_suite(report, run, number))
    ET.indent(root)
    text = ET.tostring(root, "unicode", xml_declaration=False)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _counts(runs: Sequence[Run]) -> dict[str, str]:
    """A run that ended early counts one error: what was not played has no verdict."""
    return {
        "tests": str(sum(len(run.results) + bool(run.incomplete) for run in runs)),
        "failures": str(sum(run.count(Verdict.FAILED) for run in runs)),
        "errors": str(sum(bool(run.incomplete) for run in runs)),
        "time": _seconds(sum(run.took_ns for run in runs)),
    }


def _suite(report: Report, run: Run, number: int) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        {
            "name": f"{report.suite} via {run.place}",
            **_counts([run]),
            "skipped": str(run.count(Verdict.SKIPPED)),
            "timestamp": report.started.replace(tzinfo=None).isoformat(timespec="seconds"),
            "id": str(number),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report, run).items():
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for at, result in run.results.items():
        suite.append(_case(run, at, result, report.suite))
    if run.incomplete:
        last = ET.SubElement(
            suite, "testcase", {"classname": f"conformance.{report.suite}", "name": "(rest)"}
        )
        error = ET.SubElement(last, "error", {"type": "incomplete"})
        error.set("message", _clean(f"{len(run.results)} of {run.planned} cases: {run.incomplete}"))
    return suite


def _properties(report: Report, run: Run) -> dict[str, str]:
    shown = {"tapbench": own_version(), "via": run.place, "seed": str(report.seed)}
    shown |= {"level": report.level, "only": report.only}
    if run.profile is not None:
        shown |= {"profile": run.profile.name}
        shown |= {f"dialect.{name}": value for name, value in dialect_changes(run.profile).items()}
    return shown | dict(report.environment)


def _case(run: Run, number: str, result: Result, suite: str) -> ET.Element:
    case = result.case
    found = ET.Element(
        "testcase",
        {
            "classname": f"conformance.{suite}.{case.group}",
            "name": _clean(f"{number} {case.title}"),
            "time": _seconds(result.took_ns),
        },
    )
    if result.verdict is Verdict.SKIPPED:
        ET.SubElement(found, "skipped", {"message": _clean(str(result.why or ""))})
    elif result.violation is not None:
        broke = result.violation
        said = f"expected {broke.expected}, came {broke.came} (clause {broke.clause})"
        failure = ET.SubElement(found, "failure", {"type": "Broken", "message": _clean(said)})
        failure.text = _clean(run.scripts.get(number, ""))
    return found


def _clean(text: str) -> str:
    return NOT_XML.sub("?", text)


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.6f}"
