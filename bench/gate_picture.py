"""The picture of a gate's display in the documentation: real taps, in the simulated air's time."""

from dataclasses import replace
from datetime import datetime, timedelta

import fixtures
from bench.cli.panel_screen import panel_svg
from bench.cli.panel_state import PanelState, Title
from bench.device.build import device
from bench.device.couplers import local_site
from bench.device.settings import make_settings
from bench.scenario import ENTERED_AT
from fixtures.timing import load_timing
from reader.barrier import Barrier

_CARDS = (("ordinary", 5000), ("student-expired", None), ("student", 5000))


def gate_picture() -> str:
    """Three cards at an entry gate, as `--display` shows them."""
    settings = make_settings({"direction": "entry", "station": "Yongtaizhuang"})
    cards = [fixtures.card(name, balance=balance) for name, balance in _CARDS]
    times = iter([ENTERED_AT + timedelta(seconds=4 * n) for n in range(len(cards))])
    now = [ENTERED_AT]

    def clock() -> datetime:
        return now[0]

    with device(settings, clock) as made, local_site("air", cards, load_timing("measured")) as site:
        gate = made.terminal
        title = Title(made.name, *made.place, gate.stage)
        state = PanelState(title, gate.policy, clock(), blacklist="0")
        barrier = Barrier.of(gate.policy, lambda: clock().timestamp())
        for _ in cards:
            now[0] = next(times)
            recorder, card = site.recorder(), site.coupler.wait_card(1.0)
            start_ns = site.now_ns()
            outcome = recorder.pass_(gate, card)
            took_ms = (site.now_ns() - start_ns) / 1e6
            barrier.walked()
            position = barrier.decided(outcome)
            state = replace(state, now=clock(), barrier=position)
            state = state.tapped(outcome, recorder.exchanges, took_ms)
    return panel_svg(state)
