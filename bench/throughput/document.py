"""What a benchmark found, in one form: for JSON, pages, comparisons and the continuous check.

Every figure that can be compared is a `Measure` under a name; whatever else a benchmark tells
stands beside it under `detail`.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.problem import Problem
from bench.throughput.histogram import Measure
from bench.versions import installed, own_version

FORMAT = 1
"""Of the document; a later one that reads differently has a higher number."""

_TOLD_VERSIONS = ("cryptography", "construct", "nfcpy", "pyscard", "simpy", "pyarrow", "ray")


@dataclass(frozen=True, slots=True)
class Document:
    """One benchmark's findings.

    kind:       the command's name, "tap" for `tapbench bench tap`.
    options:    what was asked for, by option name without dashes.
    measures:   by name, such as "udp tap" or "card INITIALIZE".
    detail:     anything else that JSON can hold.
    incomplete: why the work ended early, empty if it did not.
    taken_on:   the machine of a document that was read; empty for this one, now.
    """

    kind: str
    options: Mapping[str, Any]
    measures: Mapping[str, Measure]
    detail: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    processor: int | None = None
    incomplete: str = ""
    taken_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def machine(self) -> Mapping[str, Any]:
        """What the figures were taken on."""
        return self.taken_on or machine(self.processor)

    def as_json(self) -> dict[str, Any]:
        """Everything, with the machine it was measured on and the time."""
        return {
            "tapbench": own_version(),
            "format": FORMAT,
            "kind": self.kind,
            "at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "machine": dict(self.machine),
            "seed": self.seed,
            "options": dict(self.options),
            "incomplete": self.incomplete,
            "measures": {name: one.as_json() for name, one in self.measures.items()},
            "detail": dict(self.detail),
        }

    def text(self) -> str:
        """`as_json` as a file's text."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"


def read_document(path: str | Path) -> Document:
    """A document that `text` made. Raises Problem."""
    try:
        said = json.loads(Path(path).read_text("utf-8"))
        if said["format"] != FORMAT:
            raise Problem(
                f"{path} has format {said['format']}, this tapbench reads {FORMAT}; measure again"
            )
        measures = {name: Measure.from_json(one) for name, one in said["measures"].items()}
        return Document(
            str(said["kind"]),
            dict(said["options"]),
            measures,
            dict(said["detail"]),
            said["seed"],
            incomplete=str(said["incomplete"]),
            taken_on=dict(said["machine"]),
        )
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from error
    except (
        LookupError,
        TypeError,
        ArithmeticError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise Problem(
            f"{path} is no result of a benchmark; give a file made with tapbench bench ... --json"
        ) from error


def machine(processor: int | None = None) -> dict[str, Any]:
    """What figures are taken on. processor: the one everything ran on, None for all."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": platform.machine(),
        "processor": _processor_name(),
        "system": platform.platform(),
        "processors": os.cpu_count() if processor is None else f"pinned to {processor}",
        "load": [round(one, 2) for one in os.getloadavg()],
        **{name: said for name in _TOLD_VERSIONS if (said := installed(name))},
        "tapbench": own_version(),
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
