"""Values with some fields changed."""

from dataclasses import dataclass, field, replace

import pytest

from apdu.files import RailTrip
from apdu.value import changed, value
from reader.policy import Policy


@value
class Alone:
    """One field."""

    only: int


@dataclass(frozen=True)
class Derived:
    """A field that follows from another."""

    side: int
    area: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", self.side**2)


TRIP = RailTrip.parse(b"\x27\x01" + bytes((RailTrip.size() - 3,)) + bytes(RailTrip.size() - 3))


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (TRIP, {"state": 1, "exit_amount": 300}),
        (TRIP, {}),
        (Policy(), {"overtime_fare": 0}),
        (Alone(1), {"only": 2}),
        (Derived(3), {"side": 4}),
    ],
    ids=["record", "nothing changed", "policy", "one field", "derived field"],
)
def test_changed_is_replace(one, changes):
    assert changed(one, **changes) == replace(one, **changes)


@pytest.mark.parametrize("name", ["area", "height"])
def test_what_is_no_argument_is_not_changed(name):
    with pytest.raises(TypeError, match=f"Derived takes no field {name}"):
        changed(Derived(3), **{name: 1})
