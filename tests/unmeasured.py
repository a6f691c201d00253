"""Processes whose coverage nobody measures: measuring needs files, which a full disk has not."""

import os


def unmeasured() -> dict[str, str]:
    """The environment for one."""
    return {name: said for name, said in os.environ.items() if not name.startswith("COVERAGE")}
