"""The conformance laboratory: a numbered suite that judges any card and any gate.

A case is a function over a `Lab`, which is a card in a field, its keys if they are known, and a
list of what was said. `runner.run_cases` plays cases at a `Stand`; reports are made of the results.

Cases of one's own need no more than the names here (docs/conformance.md):

    from bench.conformance import Lab, Need, Words, case

    @case("MINE", "The balance is not negative", "余额不为负", "4.12")
    def balance_is_not_negative(lab: Lab) -> None:
        lab.must(lab.select())
        came = lab.balance()
        lab.require(came >= 0, Words("0 fen or more", "不少于 0 分"), came)
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.conformance.case import Broken, Level, Need, NotApplicable
    from bench.conformance.lab import Lab
    from bench.conformance.own import case
    from bench.conformance.words import Words

__all__ = ["Broken", "Lab", "Level", "Need", "NotApplicable", "Words", "case"]

_FROM = {
    "Broken": "case",
    "Lab": "lab",
    "Level": "case",
    "Need": "case",
    "NotApplicable": "case",
    "Words": "words",
}


class _Package(ModuleType):
    """Names come when they are asked for: the process of a broken card or gate changes modules
    before anything has imported them, and comes in through this package.
    """

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
        if name not in _FROM:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{self.__name__}.{_FROM[name]}"), name)

    @property
    def case(self) -> Any:  # noqa: ANN401 - the decorator
        """The decorator; the submodule of that name is imported as `bench.conformance.case`."""
        return import_module(f"{self.__name__}.own").case

    @case.setter
    def case(self, module: ModuleType) -> None:
        pass  # the import system binds the submodule here


sys.modules[__name__].__class__ = _Package
