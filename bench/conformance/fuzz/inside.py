"""The same rules looked at from inside our own card: an image that changed shows at once."""

from typing import Protocol

from apdu.spec import CommandSpec, State
from apdu.sw import SW
from bench.conformance.desk import FINALS, Spec
from bench.conformance.fuzz.breach import Breach, Rule
from bench.conformance.reading import is_reading
from emulator.card.state import Image


class Open(Protocol):
    """A card that can be looked into."""

    @property
    def image(self) -> Image:
        """What is committed."""
        ...

    @property
    def state(self) -> State:
        """Where the transaction machine stands."""
        ...


_COUNTING = (
    SW.AUTHENTICATION_FAILED,
    SW.METHOD_BLOCKED,
    SW.MAC_WRONG,
    SW.MAC_INVALID,
    SW.PERMANENTLY_BLOCKED,
)
"""Words of refusals that may cost a try."""


class Inside:
    """Watches one card's image and state."""

    __slots__ = ("_card", "_image")

    def __init__(self, card: Open) -> None:
        self._card = card
        self._image = card.image

    def saw(self, spec: Spec | SW, command: bytes, sw: int, state: State) -> None:
        """After an exchange. state: where the table says the machine is. Raises Breach."""
        card = self._card
        if card.state is not state:
            raise Breach(Rule.STATE, f"state '{state.value}'", f"'{card.state.value}'")
        image = card.image
        if image is self._image:
            return
        before, self._image = self._image, image
        if sw != SW.OK:
            self._refused(before, spec, sw)
        elif is_reading(command):
            raise Breach(Rule.REFUSAL, "a reading command that changes nothing", "a new image")
        elif (
            isinstance(spec, CommandSpec)
            and spec.data not in FINALS
            and purses_differ(before, image)
        ):
            raise Breach(Rule.MONEY, "a purse that only transactions change", f"one in {spec.name}")

    def _refused(self, before: Image, spec: Spec | SW, sw: int) -> None:
        word = SW.AUTHENTICATION_FAILED if sw & 0xFFF0 == 0x63C0 else sw
        if word not in _COUNTING or isinstance(spec, SW):
            raise Breach(Rule.REFUSAL, "nothing changed", f"a new image with {sw:04X}")
        if purses_differ(before, self._image) or _files_differ(before, self._image):
            raise Breach(Rule.REFUSAL, "a try counted", f"purses or files changed with {sw:04X}")


def purses_differ(before: Image, after: Image) -> bool:
    """Whether any purse or proof is another than before."""
    return [(d.purses, d.proofs) for d in before.directories] != [
        (d.purses, d.proofs) for d in after.directories
    ]


def _files_differ(before: Image, after: Image) -> bool:
    return [d.files for d in before.directories] != [d.files for d in after.directories]
