"""ISO/IEC 14443-3 type A, the card's side: from an empty field to a selected card.

Theory of operation. A reader fills the field with one question, REQA, that every idle card
answers at once. It then narrows the cards down to one by their UIDs (anticollision) and selects
it. A card that has been dealt with is put to sleep (HALT), where only WUPA wakes it. A sleeper
that was woken remembers that it was asleep: its states carry a star in the standard, and when
something goes wrong it falls back to HALT and not to IDLE.

Every change of state is in `TRANSITIONS`. A frame is first turned into an `Event`, with nothing
but the UID and the current cascade level; the event is then looked up in the row of the current
state. A missing key is an illegal event: no answer, and the state that `FALLBACK` names. A card
never complains on air.

Frames come and go without CRC. They are whole bytes: REQA and WUPA, 7 bits on air, are the bytes
26 and 52. In bit-oriented anticollision, the byte that NVB splits carries each bit at its own
place: known bits low in the command, the others high in the answer, the rest zero.

What happens after SELECT and RATS is `isodep`. What this machine does not have is timing
(the frame delay time is the air's) and collisions (two cards answering are two machines).
"""

from enum import Enum, auto
from functools import reduce
from operator import xor
from typing import Final

from apdu.frame import CASCADE_TAG, HLTA, REQA, SELECT_CODES, SELECT_NVB, WUPA
from emulator.picc import Contactless

UID_SIZES: Final = (4, 7, 10)

_UID_NOT_COMPLETE = 0x04  # SAK bit 3


class State(Enum):
    """The states of ISO/IEC 14443-3, 6.3. A starred state was reached by waking from HALT."""

    POWER_OFF = auto()
    IDLE = auto()
    READY = auto()
    ACTIVE = auto()
    HALT = auto()
    READY_STAR = auto()
    ACTIVE_STAR = auto()


class Event(Enum):
    """What can happen to the card, after the frame has been compared with its UID."""

    FIELD_ON = auto()
    FIELD_OFF = auto()
    REQA = auto()
    WUPA = auto()
    ANTICOLLISION = auto()  # the bits the reader knows are ours
    CASCADE = auto()  # SELECT of our UID, and another cascade level follows
    SELECT = auto()  # SELECT of our UID, last level
    HLTA = auto()
    DESELECT = auto()  # S(DESELECT) came while ISO-DEP had the card
    OTHER = auto()  # any other frame: a foreign UID, an unknown command, garbage


_GONE = {Event.FIELD_OFF: State.POWER_OFF}

# ISO/IEC 14443-3, 6.3, figure "PICC Type A state diagram".
TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.POWER_OFF: _GONE | {Event.FIELD_ON: State.IDLE},
    State.IDLE: _GONE | {Event.REQA: State.READY, Event.WUPA: State.READY},
    State.READY: _GONE
    | {
        Event.ANTICOLLISION: State.READY,
        Event.CASCADE: State.READY,
        Event.SELECT: State.ACTIVE,
    },
    State.ACTIVE: _GONE | {Event.HLTA: State.HALT, Event.DESELECT: State.HALT},
    State.HALT: _GONE | {Event.WUPA: State.READY_STAR},
    State.READY_STAR: _GONE
    | {
        Event.ANTICOLLISION: State.READY_STAR,
        Event.CASCADE: State.READY_STAR,
        Event.SELECT: State.ACTIVE_STAR,
    },
    State.ACTIVE_STAR: _GONE | {Event.HLTA: State.HALT, Event.DESELECT: State.HALT},
}

# Where an illegal event leaves the card, always in silence.
FALLBACK: Final[dict[State, State]] = {
    State.POWER_OFF: State.POWER_OFF,
    State.IDLE: State.IDLE,
    State.READY: State.IDLE,
    State.ACTIVE: State.IDLE,
    State.HALT: State.HALT,
    State.READY_STAR: State.HALT,
    State.ACTIVE_STAR: State.HALT,
}

_SHORT_FRAMES = {REQA: Event.REQA, WUPA: Event.WUPA}


def cascade(uid: bytes) -> tuple[bytes, ...]:
    """The five bytes of each cascade level: four of the UID, or 88 and three, then BCC.

    Raises ValueError if the UID is not 4, 7 or 10 bytes.

    >>> [level.hex() for level in cascade(bytes.fromhex("04112233445566"))]
    ['88041122bf', '3344556644']
    """
    if len(uid) not in UID_SIZES:
        raise ValueError(f"a UID has 4, 7 or 10 bytes, this one has {len(uid)}")
    levels = []
    while len(uid) > 4:
        levels.append(bytes([CASCADE_TAG]) + uid[:3])
        uid = uid[3:]
    levels.append(uid)
    return tuple(level + bytes([reduce(xor, level)]) for level in levels)


class Activation:
    """One card between power-up and RATS.

    `receive` answers a frame or stays silent. `state` is for reading; whoever runs ISO-DEP above
    reports S(DESELECT) with `deselect`.
    """

    def __init__(self, contactless: Contactless) -> None:
        self.state = State.POWER_OFF
        self._atqa = contactless.atqa
        self._sak = bytes([contactless.sak & ~_UID_NOT_COMPLETE & 0xFF])
        self._levels = cascade(contactless.uid)
        self._level = 0

    @property
    def is_selected(self) -> bool:
        """Whether the card is the one the reader talks to: ACTIVE or ACTIVE*."""
        return self.state in (State.ACTIVE, State.ACTIVE_STAR)

    def field_on(self) -> None:
        """The field comes up: POWER_OFF becomes IDLE. Nothing happens in a field that is on."""
        if self.state is State.POWER_OFF:
            self._step(Event.FIELD_ON)

    def field_off(self) -> None:
        """The field is gone, and with it everything."""
        self._step(Event.FIELD_OFF)

    def deselect(self) -> None:
        """ISO-DEP has answered S(DESELECT): the card goes to HALT."""
        self._step(Event.DESELECT)

    def receive(self, frame: bytes) -> bytes | None:
        """Take one frame without CRC. Returns the answer without CRC, or None for silence."""
        event = self._classify(frame)
        if not self._step(event):
            return None
        match event:
            case Event.REQA | Event.WUPA:
                self._level = 0
                return self._atqa
            case Event.ANTICOLLISION:
                return self._remaining_bits(frame[1])
            case Event.CASCADE:
                self._level += 1
                return bytes([_UID_NOT_COMPLETE])
            case Event.SELECT:
                return self._sak
            case _:
                return None  # HLTA: silence is the acknowledgement

    def _step(self, event: Event) -> bool:
        """Move to the next state. Returns whether the event was legal."""
        after = TRANSITIONS[self.state].get(event)
        self.state = FALLBACK[self.state] if after is None else after
        return after is not None

    def _classify(self, frame: bytes) -> Event:
        if len(frame) < 2:
            return _SHORT_FRAMES.get(frame, Event.OTHER)
        if frame == HLTA:
            return Event.HLTA
        if frame[0] != SELECT_CODES[self._level]:
            return Event.OTHER
        if frame[1] != SELECT_NVB:
            return Event.ANTICOLLISION if self._knows_us(frame) else Event.OTHER
        if frame[2:] != self._levels[self._level]:  # the BCC is compared with the UID
            return Event.OTHER
        return Event.SELECT if self._level == len(self._levels) - 1 else Event.CASCADE

    def _knows_us(self, frame: bytes) -> bool:
        """Whether the bits of an anticollision frame are the beginning of our level."""
        whole, bits = frame[1] >> 4, frame[1] & 0x0F
        # NVB counts SEL and itself. 20 knows nothing, 67 all but the last bit.
        if not 2 <= whole <= 6 or bits > 7 or len(frame) != whole + (bits > 0):
            return False
        level = self._levels[self._level]
        if frame[2:whole] != level[: whole - 2]:
            return False
        return bits == 0 or frame[whole] == level[whole - 2] & ((1 << bits) - 1)

    def _remaining_bits(self, nvb: int) -> bytes:
        known, bits = (nvb >> 4) - 2, nvb & 0x0F
        rest = self._levels[self._level][known:]
        return bytes([rest[0] >> bits << bits]) + rest[1:]
