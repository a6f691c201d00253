"""Which cases the options --only and --level leave."""

from collections.abc import Mapping

from bench.conformance.case import Case
from bench.conformance.places import parsed_level
from bench.conformance.suite import chosen, unfit
from bench.problem import Problem


def wanted_cases(cases: Mapping[str, Case], only: str, level: str) -> dict[str, Case]:
    """The cases that --only and --level leave. Raises Problem if there are none, or if a pattern
    fits none: what was misspelt would be left out of a green run.
    """
    found = chosen(cases, only, parsed_level(level))
    lost = unfit(cases, only)
    if lost:
        raise Problem(
            f"no case fits '{', '.join(lost)}'; tapbench conformance list shows what there is"
        )
    if not found:
        raise Problem(
            f"no case of level {level} fits '{only}'; tapbench conformance list shows what there is"
        )
    return found
