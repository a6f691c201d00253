"""The suites' own tests play thousands of cases: campaigns (see `tests.campaigning`)."""

from collections.abc import Iterator

import pytest

from tests.campaigning import unmeasured

CAMPAIGNS = ("test_card_suite_", "test_gate_suite", "test_other_card", "test_fuzz")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    if not item.path.name.startswith(CAMPAIGNS):
        return (yield)
    with unmeasured():
        return (yield)
