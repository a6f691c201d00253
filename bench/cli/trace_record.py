"""`tapbench trace record`: the main job on a road, kept as a recording."""

import sys
from pathlib import Path

from bench.cli.air_options import AirOptions
from bench.cli.trace_files import keep, keep_rest, road_files
from bench.recording import Recorder
from bench.rig.errors import RigError
from bench.roads import Road, choose
from bench.scenario import fresh_card, play
from emulator.frontends.errors import FrontendError
from reader.session import ProtocolError, StatusError
from reader.transport.base import CardLost, ReaderFault


def record(via: str, file: Path, seed: int, named: str | None, force: bool, air: AirOptions) -> int:
    """Play the scenario on each road and write what happened. Returns 0 if it all went well.

    Several roads get a file each, named after the road. Raises Problem, TraceError and, if one
    road is asked for by name, what is wrong with it.
    """
    roads = air.roads(choose(via), seed)
    files = road_files(choose(via), file, named, force)
    code = 0
    for road, target in files.items():
        recorder = Recorder(f"tap over {road}, seed {seed}")
        try:
            _play(roads[road], seed, recorder)
        except (RigError, FrontendError, ReaderFault) as error:
            if via != "all":
                raise
            print(f"{road}: left out, {error}", file=sys.stderr)
            code = 1
            continue
        except (ProtocolError, StatusError, CardLost) as error:  # kept: it shows what went wrong
            print(f"{road}: FAILED, {error}", file=sys.stderr)
            code = 1
        except KeyboardInterrupt:
            print(keep_rest(recorder.trace(), target, named, force), file=sys.stderr)
            raise
        print(keep(recorder.trace(), target, named, force))
    return code


def _play(road: Road, seed: int, recorder: Recorder) -> None:
    with road(fresh_card(seed), recorder) as link:
        play(link, seed, recorder=recorder)
