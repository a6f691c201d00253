"""What a test needs of the machine: skip with a sentence, but fail where CI=true promises it."""

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest


def missing(sentence: str) -> NoReturn:
    """Leave the test because something is not there; `sentence` says how to get it."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def require(is_there: bool, sentence: str) -> None:
    if not is_there:
        missing(sentence)


def require_tool(program: str, package: str) -> str:
    """The path of a program of a Debian package."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    if found is None:
        missing(f"{program} is not installed; apt install {package}.")
    return found


def require_module(name: str, requirement: str) -> None:
    require(
        importlib.util.find_spec(name) is not None,
        f"module {name} is not installed; pip install '{requirement}'.",
    )
