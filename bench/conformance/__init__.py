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

from bench.conformance.case import Broken, Level, Need, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.own import case
from bench.conformance.words import Words

__all__ = ["Broken", "Lab", "Level", "Need", "NotApplicable", "Words", "case"]
