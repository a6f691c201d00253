"""Everything here is a campaign (see `tests.campaigning`)."""

from collections.abc import Iterator

import pytest

from tests.campaigning import unmeasured


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with unmeasured():
        return (yield)
