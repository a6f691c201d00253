"""Versions of what takes part, for reports and results."""

from importlib.metadata import PackageNotFoundError, version


def installed(package: str) -> str:
    """The version of a package, empty if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def own_version() -> str:
    """Of tapbench."""
    return installed("tapbench") or "from a checkout"
