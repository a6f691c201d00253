"""What a process of the fuzzer is to do. Imports nothing that can be broken."""

from dataclasses import dataclass

from bench.conformance.mutants.declared import Mutant


@dataclass(frozen=True, slots=True)
class Task:
    """What a process does.

    count: APDUs. seed: of the whole run. worker: which of `workers`, from 0.
    via: a road or a reader. profile: of our card; empty for all there are in process, and for the
    student's elsewhere. keys, write: of a card on a reader, as for the suite.
    every: APDUs between two looks at the balances. branches: of every n-th card, 0 for none.
    mutant: a declared lie to break the card with, to judge the fuzzer.
    """

    count: int
    seed: int = 1
    worker: int = 0
    workers: int = 1
    via: str = "inproc"
    profile: str = ""
    keys: str = ""
    write: bool = False
    every: int = 100
    branches: int = 0
    mutant: Mutant | None = None

    @property
    def share(self) -> int:
        """This process's share of the count."""
        return self.count // self.workers + (self.worker < self.count % self.workers)
