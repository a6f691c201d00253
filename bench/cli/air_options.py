"""Options of the simulated air: how long things take, and what goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.problem import Problem
from bench.roads import ROADS, Road, air_road
from emulator.radio.faults import Faults, Noise, Script, load_faults
from fixtures.timing import Timing, TimingError, load_timing, timing_names

NO_TIMING = "none"
AIR = "air"


@dataclass(frozen=True, slots=True)
class AirOptions:
    """What the command line says. noise: the share of frames that suffer; faults: a file."""

    timing: str = NO_TIMING
    noise: float = 0.0
    faults: Path | None = None

    def roads(self, names: list[str], seed: int) -> Mapping[str, Road]:
        """The roads there are, the air as these options want it. Raises Problem.

        names: the roads that are asked for; the options need the air to be the only one.
        """
        timing = find_timing(self.timing)
        if timing is None and not self.noise and self.faults is None:
            return ROADS
        if names != [AIR]:
            raise Problem("--timing, --noise and --faults are the simulated air's; give --via air")
        return {AIR: air_road(timing, self._wrong(seed))}

    def _wrong(self, seed: int) -> Faults | None:
        if self.noise and self.faults is not None:
            raise Problem("--noise and --faults exclude each other; give one of them")
        if self.noise:
            return Noise(f"noise {seed}", self.noise)
        if self.faults is None:
            return None
        try:
            return Script(load_faults(self.faults.read_text("utf-8")))
        except OSError as error:
            raise Problem(f"{self.faults} cannot be read: {error.strerror}") from error
        except ValueError as error:  # not UTF-8 either
            raise Problem(f"{self.faults} is no list of faults: {error}") from error


def find_timing(name: str) -> Timing | None:
    """A timing by name; None for `none`. Raises Problem."""
    if name == NO_TIMING:
        return None
    try:
        return load_timing(name)
    except TimingError:
        known = ", ".join([NO_TIMING, *timing_names()])
        raise Problem(f"there is no timing '{name}'; choose one of: {known}") from None
