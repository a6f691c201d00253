"""The PN532 itself: commands of its host, one after the other, and what interrupts them.

The chip acknowledges a command, runs it, and answers. Three things end a command before its
answer: the host's ACK, which aborts it; the next command, which takes its place; and being reset.
An unknown or malformed command is acknowledged like any other and answered with the error frame.

This class has no thread and no clock. Its owner hands it the bytes of the host with `receive` and
writes what that yields, piece by piece, before it asks for the next piece: a command that goes on
air is acknowledged before it begins. While `is_busy`, the owner calls `resume` after `pause_ns`,
or when `on_news` has been called; whatever the host says in the meantime goes to `receive` first.
"""

from collections.abc import Callable, Generator, Iterator

from emulator.radio.medium import Field
from emulator.radio.pn532.antenna import Antenna
from emulator.radio.pn532.commands import COMMANDS
from emulator.radio.pn532.link import ACK, Command, HostLink, Signal
from emulator.radio.pn532.state import State, Work

__all__ = ["Pn532"]


class Pn532:
    """One chip, powered up and asleep as the hardware is: the host wakes it first.

    air: what its own field reaches.
    """

    def __init__(self, air: Field) -> None:
        self._work: Work | None = None
        self._pause_ns: int | None = None
        self._code = 0
        self._state = State(air, Antenna())
        self._state.link.sleep(wakes_by_line=True)

    @property
    def antenna(self) -> Antenna:
        """The chip as a guest in other readers' fields."""
        return self._state.antenna

    @property
    def link(self) -> HostLink:
        """The chip's end of the serial line."""
        return self._state.link

    @property
    def is_busy(self) -> bool:
        """Whether a command runs that is not answered yet."""
        return self._work is not None

    @property
    def pause_ns(self) -> int | None:
        """When to call `resume`: after so long, or for None when there is news."""
        return self._pause_ns

    def on_news(self, tell: Callable[[], None]) -> None:
        """Have the owner told, from any thread, that `resume` would get further."""
        self._state.antenna.on_news = tell

    def reset(self) -> None:
        """Take the power away and give it back."""
        self._abort()
        self._state.field_off()
        self._state.antenna.stop()
        self._state = State(self._state.air, self._state.antenna)
        self._state.link.sleep(wakes_by_line=True)

    def receive(self, chunk: bytes, rate: int, now_ns: int) -> Iterator[bytes]:
        """Take bytes of the host. Yields what to write, each piece before the next is asked for."""
        state = self._state
        if state.link.is_asleep and state.wakes_by_field and state.sees_foreign_field:
            state.link.wake()
        for frame in state.link.receive(chunk, rate, now_ns):
            if isinstance(frame, Command):
                yield from self._start(frame)
            elif frame is Signal.ACK:
                self._abort()
            elif not self.is_busy:
                yield state.link.again()

    def resume(self) -> bytes:
        """Go on with the running command. Returns its answer, or nothing if it goes on."""
        work = self._work
        if work is None:
            return b""
        try:
            self._pause_ns = next(work).ns
        except StopIteration as end:
            self._work = None
            return self._state.link.answer(self._code, end.value)
        except Exception:
            self._work = None  # a bug of ours or of a card; the next command runs
            raise
        return b""

    def _start(self, command: Command) -> Iterator[bytes]:
        self._abort()
        spec = COMMANDS.get(command.code)
        link = self._state.link
        if spec is None or not spec.takes(command.parameters):
            yield ACK + link.error()
            return
        if not spec.is_on_air:
            answer = spec.does(self._state, command.parameters)
            assert isinstance(answer, bytes)
            yield ACK + link.answer(command.code, answer)
            return
        yield ACK
        answer = spec.does(self._state, command.parameters)
        if isinstance(answer, Generator):
            self._work, self._code = answer, command.code
            yield self.resume()
        else:
            yield link.answer(command.code, answer)

    def _abort(self) -> None:
        if self._work is not None:
            self._work.close()
            self._work = None
