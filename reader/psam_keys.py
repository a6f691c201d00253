"""The keys a PSAM holds, by type, version and algorithm (protocol reference 5.1, 5.7)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from apdu.crypto import Key
from apdu.sam_commands import KeyType

_DES = 0x00
"""DELIVERY KEY names no algorithm, so what it delivers is 3DES."""


@dataclass(frozen=True)
class SamKeys:
    """Root keys of a PSAM.

    purchase: PMK by key version; one key, or several of different algorithms.
    tac:      TMK by key version, for a terminal that checks TACs itself; most hold none.
    lock:     BMK, which makes the MAC of APPLICATION BLOCK; any version byte means it (Q23).

    Raises ValueError if two purchase keys answer to one version and algorithm, or if a TAC or
    lock key is not 3DES.
    """

    purchase: Mapping[int, Key | tuple[Key, ...]] = field(default_factory=dict)
    tac: Mapping[int, Key] = field(default_factory=dict)
    lock: Key | None = None
    _purchase: dict[tuple[int, int], Key] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[tuple[int, int], Key] = {}
        for version, keys in self.purchase.items():
            for key in (keys,) if isinstance(keys, Key) else keys:
                for algorithm in key.ALGORITHMS:
                    if found.setdefault((version, algorithm), key) is not key:
                        raise ValueError(
                            f"two purchase keys of version {version:02X} and algorithm"
                            f" {algorithm:02X}; one is expected"
                        )
        object.__setattr__(self, "_purchase", found)
        _demand_des(self.tac.values())
        _demand_des([] if self.lock is None else [self.lock])

    def purchase_root(self, version: int, algorithm: int) -> Key | None:
        """The purchase root that a card's INITIALIZE means, if it is here."""
        return self._purchase.get((version, algorithm))

    def delivered(self, kind: KeyType, version: int) -> Key | None:
        """The root that DELIVERY KEY means, if it is here."""
        if kind is KeyType.LOCK:
            return self.lock
        if kind is KeyType.TAC:
            return self.tac.get(version)
        return self._purchase.get((version, _DES))


def _demand_des(keys: Iterable[Key]) -> None:
    for key in keys:
        if _DES not in key.ALGORITHMS:
            raise ValueError(f"TAC and lock keys are 3DES, got algorithms {key.ALGORITHMS}")
