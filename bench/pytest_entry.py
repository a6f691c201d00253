"""What pytest loads in every run where tapbench is installed: nothing, until it is asked for.

A conftest of `bench.conformance` would come too late: with --pyargs pytest reads it when it
collects, behind the options. So this looks at the command line first, and the plugin with its
options is imported only if it names the suite.
"""

import pytest

SUITE = "bench.conformance"
PLUGIN = "bench.conformance.plugin"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Add the suite's options before the command line is read for good."""
    if SUITE in args:
        early_config.pluginmanager.import_plugin(PLUGIN)
