"""What is kept of a recording whose making ends early."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.cli.air_options import AirOptions
from bench.cli.trace_files import recorded_to
from bench.cli.trace_record import record
from bench.problem import Problem
from bench.recording import Recorder
from bench.roads import Road, in_process
from bench.trace_formats import load
from bench.trace_formats.layers import exchanges
from emulator.picc import Picc
from reader.transport.base import Transport


class StoppedAt(AirOptions):
    """Ctrl-C at the tenth command."""

    def roads(self, names: list[str], seed: int) -> Mapping[str, Road]:
        @contextmanager
        def road(card: Picc, watch: Recorder | None = None) -> Iterator[Transport]:
            with in_process(card) as link:
                yield Stopping(link)

        return {"inproc": road}


class Stopping:
    def __init__(self, link: Transport) -> None:
        self.link = link
        self.count = 0

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        if self.count == 10:
            raise KeyboardInterrupt
        return self.link.transmit(command)


def test_what_was_recorded_before_ctrl_c_is_kept_and_said(tmp_path, capsys):
    path = tmp_path / "tap.jsonl"
    with pytest.raises(KeyboardInterrupt):
        record("inproc", path, 1, None, False, StoppedAt())
    answered = [x.response is not None for x in exchanges(load(path))]
    assert answered == [True] * 9 + [False]
    assert f"{path}: 10 exchanges" in capsys.readouterr().err


def test_a_recording_of_nothing_leaves_no_file_and_that_is_said(tmp_path: Path, capsys):
    """As when the reader's port is taken: the next try finds the name free."""
    path = tmp_path / "tap.jsonl"
    with pytest.raises(Problem, match="taken"), recorded_to(path, "card"):
        raise Problem("the port is taken")
    assert capsys.readouterr().err == f"{path}: not written, nothing was recorded\n"
    assert list(tmp_path.iterdir()) == []
