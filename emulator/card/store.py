"""Where a card's image is kept. The only place where state becomes durable."""

from typing import Protocol

from emulator.card.state import Image


class StoreError(Exception):
    """The image could not be kept; the old one still is. The card answers 6581."""


class Store(Protocol):
    """Keeps one card's image. A commit is all or nothing."""

    def load(self) -> Image:
        """The image last committed."""
        ...

    def commit(self, image: Image) -> None:
        """Keep a new image. Raises StoreError, and then the old one stays."""
        ...


class MemoryStore:
    """An image in memory: nothing survives the process."""

    __slots__ = ("_image",)

    def __init__(self, image: Image) -> None:
        self._image = image

    def load(self) -> Image:
        """See Store."""
        return self._image

    def commit(self, image: Image) -> None:
        """See Store."""
        self._image = image
