"""Somebody at a gate of ours in another process, as an operator at anybody's gate."""

import json
import os
import re
import subprocess
import sys
from queue import Empty, Queue
from threading import Thread

from bench.conformance.gate.foreign import Operator
from tests.ending import end

WAIT_S = 30.0


class AtOurGate:
    """Starts `tapbench gate` where it is told to, and reads off it whether it opened.

    reader: the options that name the gate's reader, `{where}` for what the card's holder says.
    """

    def __init__(self, where: str, *reader: str) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self._where = re.compile(where)
        self._reader = reader
        self._process: subprocess.Popen[str] | None = None
        self._heard: Queue[str] = Queue()

    @property
    def operator(self) -> Operator:
        return Operator(self.ask, self.said.append, wait_s=WAIT_S, quiet_s=0.4, patience_s=0.0)

    def ask(self, question: str) -> bool:
        self.asked.append(question)
        if question == "Did the gate open?":
            return self._opened()
        told = re.fullmatch(r"Set the gate up: (entry|exit) at station (\w+)\. .*", question)
        if told is None:
            return False
        self._start(*told.groups())
        return True

    def leave(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            end(process)

    def _start(self, direction: str, station: str) -> None:
        self.leave()
        (where,) = {found[0] for said in self.said if (found := self._where.search(said))}
        options = [part.replace("{where}", where) for part in self._reader]
        environ = {name: value for name, value in (o.split("=", 1) for o in options if "=" in o)}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench", "gate", "--json"),
                *("--direction", direction, "--station", station),
                *(option for option in options if "=" not in option),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environ,
        )
        self._heard = Queue()
        Thread(target=self._listen, args=(self._process, self._heard), daemon=True).start()

    @staticmethod
    def _listen(process: subprocess.Popen[str], heard: "Queue[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            heard.put(line)

    def _opened(self) -> bool:
        """What the gate said of the last tap."""
        line = self._heard.get(timeout=WAIT_S)
        try:
            while True:
                line = self._heard.get_nowait()
        except Empty:
            return bool(json.loads(line)["verdict"] == "pass")
