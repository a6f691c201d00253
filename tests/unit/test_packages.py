"""What is installed: an editable install has every folder, and so hides one that is left out."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("apdu", "bench", "emulator", "fixtures", "issuer", "reader")


def test_every_folder_with_python_in_it_is_installed():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in CODE
        for path in (ROOT / top).rglob("*.py")
    }
    assert set(told) == found
