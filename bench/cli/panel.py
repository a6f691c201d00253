"""A gate's live display in a terminal: what a passenger and a tester see.

The display draws itself anew when something has happened, and a few times a second while nothing
does, for the clock and for a barrier that times out. While a card is being tapped it draws
nothing: a picture takes milliseconds that are the card's.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from threading import Event, RLock, Thread
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from bench.cli.panel_screen import panel_svg, screen
from bench.cli.panel_state import PanelState, Phase, Title, masked
from bench.cli.stopping import put_off
from reader.barrier import Position
from reader.modes import Mode
from reader.outcome import Outcome
from reader.policy import Policy
from reader.transport.decorators import Exchange

__all__ = ["Panel", "PanelState", "Title", "panel_svg"]

TICK_S: Final = 0.25
"""How often the display looks whether there is something new."""
HOLD_S: Final = 3.0
"""How long an outcome can be read at least, unless the next card comes."""
LEFT_ROWS: Final = 24
"""Rows of the picture that stays in the terminal at the end."""


class Panel:
    """A display of one gate, live between `with` and its end; the last picture stays behind.

    now:        local time, for the clock and the table of taps.
    barrier:    asked for the barrier's position, also from another thread; None if there is none.
    unresolved: asked for the number of debits whose end the gate does not know.
    """

    def __init__(
        self,
        console: Console,
        title: Title,
        policy: Policy,
        now: Callable[[], datetime],
        barrier: Callable[[], Position] | None = None,
        unresolved: Callable[[], int] = lambda: 0,
    ) -> None:
        self.state = PanelState(title, policy, now())
        self.hold_s = HOLD_S
        self._console = console
        self._now = now
        self._barrier = barrier
        self._unresolved = unresolved
        self._lock = RLock()
        self._drawn: object = None
        self._waits_from_s: float | None = None
        self._ended = Event()
        self._ticker = Thread(target=self._tick_on, name="panel", daemon=True)
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False)

    def __enter__(self) -> Self:
        try:
            with put_off():  # Rich cannot undo half a start
                self._live.start()
            self.tick()
            self._ticker.start()
        except BaseException:
            self._live.stop()  # Ctrl-C while it begins: nobody else gives the screen back
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        with put_off():
            self._ended.set()
            self._ticker.join()
            self._live.stop()
            rows = min(LEFT_ROWS, self._console.height)
            self._console.print(screen(self.state, rows), height=rows)

    def waiting(self) -> None:
        """The gate waits for a card. The last outcome stays to be read for a while."""
        with self._lock:
            if self.state.phase is Phase.BUSY:
                self.state = replace(self.state, phase=Phase.WAITING)
            if self.state.phase is Phase.SHOWN and self._waits_from_s is None:
                self._waits_from_s = time.monotonic() + self.hold_s
            self.tick()

    def busy(self) -> None:
        """A card is there. This is drawn at once, and nothing more until `tapped` or `said`.

        Drawing takes 10 to 20 ms, so call it before the tap's time begins.
        """
        self._show(replace(self.state, phase=Phase.BUSY))

    def tapped(self, outcome: Outcome, exchanges: Iterable[Exchange], took_ms: float) -> None:
        """A tap is over. exchanges: with card and PSAM, in the order in which they ended."""
        with self._lock:
            self.state = replace(self.state, now=self._now())
            self._show(self.state.tapped(outcome, exchanges, took_ms))

    def said(self, text: str) -> None:
        """Tell the tester a sentence, such as why a tap came to nothing; empty takes it away."""
        with self._lock:
            phase = Phase.WAITING if self.state.phase is Phase.BUSY else self.state.phase
            self._show(replace(self.state, said=masked(text), phase=phase))

    def modes(self, modes: Iterable[Mode]) -> None:
        """These modes are in force from now on."""
        self._show(replace(self.state, modes=tuple(modes)))

    def blacklist(self, version: str) -> None:
        """This version of the blacklist is in force from now on."""
        self._show(replace(self.state, blacklist=version))

    def tick(self) -> None:
        """Draw what has changed by itself; nothing if nothing has, or while a card is tapped."""
        with self._lock:
            if self.state.phase is Phase.BUSY:
                return
            if self._waits_from_s is not None and time.monotonic() >= self._waits_from_s:
                self._waits_from_s = None
                self.state = replace(self.state, phase=Phase.WAITING)
            self._draw()

    def _show(self, state: PanelState) -> None:
        with self._lock:
            self.state = state
            self._waits_from_s = None if state.phase is not Phase.SHOWN else self._waits_from_s
            self._draw()

    def _draw(self) -> None:
        state = replace(
            self.state,
            now=self._now().replace(microsecond=0),
            barrier=None if self._barrier is None else self._barrier(),
            unresolved=self._unresolved(),
        )
        self.state = state
        size = self._console.size
        if self._live.is_started and (state, size) != self._drawn:
            self._drawn = (state, size)
            self._live.update(screen(state, size.height), refresh=True)

    def _tick_on(self) -> None:
        while not self._ended.wait(TICK_S):
            self.tick()
