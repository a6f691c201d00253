"""`tapbench doctor`: what is there, what is missing, how to mend it."""

import json
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.doctor import Finding, examine, exit_code

__all__ = ["doctor", "render"]

_STYLES = {"ok": "green", "missing": "red", "warning": "yellow"}


def doctor(as_json: bool = False) -> int:
    """Print the findings. Returns 0 if cards and gates can run here, else 1."""
    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
        return exit_code(findings)
    console = Console()
    console.print(render(findings))
    for finding in findings:
        paste = finding.fix.partition("\n")[2]
        if paste:
            # Never folded: these lines go into a file or a shell as they are.
            console.print(Text(f"\n{finding.name}:", style="bold"))
            console.print(Text(paste), soft_wrap=True)
    return exit_code(findings)


def render(findings: Iterable[Finding]) -> Table:
    """A line for each finding. Of a fix with text to paste it has the first line only."""
    table = Table(box=None, pad_edge=False)
    for header in ("", "what", "found", "how to fix"):
        table.add_column(header, overflow="fold")  # a path is never cut short
    for finding in findings:
        fix, _, paste = finding.fix.partition("\n")
        # Text, not str: rich would take the brackets of tapbench[pcsc] for markup.
        table.add_row(
            Text(finding.status, style=_STYLES[finding.status]),
            Text(finding.name),
            Text(finding.found),
            Text(f"{fix} (text below)" if paste else fix),
        )
    return table
