"""Serials, updates and a gate's blacklist for tests."""

from hypothesis import strategies as st

from reader.blacklist import LAST_VERSION, Blacklist, BlacklistIncrement

A, B, C, D = (bytes.fromhex(f"031052280099000001{n}{n}") for n in range(1, 5))

SEVEN = Blacklist(7, frozenset({A, B}))
TO_EIGHT = BlacklistIncrement(7, frozenset({C}), frozenset({B}))
EIGHT = Blacklist(8, frozenset({A, C}))

serials = st.integers(0, 10**20 - 1).map(lambda number: bytes.fromhex(f"{number:020d}"))
some = st.frozensets(serials, max_size=12)
lists = st.builds(Blacklist, st.integers(1, LAST_VERSION), some)


@st.composite
def increments(draw) -> BlacklistIncrement:
    added = draw(some)
    return BlacklistIncrement(draw(st.integers(0, LAST_VERSION - 1)), added, draw(some) - added)


def leading(old: frozenset[bytes], new: frozenset[bytes], base: int) -> BlacklistIncrement:
    """The increment between the cards of two versions."""
    return BlacklistIncrement(base, new - old, old - new)
