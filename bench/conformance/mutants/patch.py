"""Changing a module's source text while it is imported.

The finder asks the finders that are there anyway, so it works from a checkout and from an installed
wheel alike. Nothing is written: neither the source nor its bytecode.
"""

import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, find_spec
from pathlib import Path
from types import ModuleType

from bench.conformance.mutants.declared import Mutant


class PatchError(Exception):
    """The declared change cannot be made; the message says in one sentence which one and why."""


def patched(source: str, mutant: Mutant) -> str:
    """The source with the change made. Raises PatchError."""
    find, count = mutant.find, source.count(mutant.find) if mutant.find else 0
    if count == 0:
        raise PatchError(f"{mutant.id}: its 'find' is not in {mutant.module}; adapt it")
    if find == mutant.replace:
        raise PatchError(f"{mutant.id} changes nothing: 'replace' is the same as 'find'")
    which = mutant.occurrence
    if which == 0 and count > 1:
        raise PatchError(
            f"{mutant.id}: its 'find' is {count} times in {mutant.module};"
            " make it longer or say which 'occurrence'"
        )
    if which > count:
        raise PatchError(
            f"{mutant.id}: occurrence {which} of its 'find' is not in {mutant.module},"
            f" which has {count}"
        )
    at = -1
    for _ in range(which or 1):
        at = source.index(find, at + 1)
    return source[:at] + mutant.replace + source[at + len(find) :]


def source_of(module: str) -> str:
    """A module's source, without importing it. Raises PatchError."""
    try:
        spec = find_spec(module)
    except ImportError:
        spec = None
    text = _source(spec) if spec is not None else None
    if text is None:
        raise PatchError(f"there is no module {module} with its source")
    return text


def _source(spec: ModuleSpec) -> str | None:
    loader = spec.loader
    if isinstance(loader, InspectLoader):
        return loader.get_source(spec.name)
    # pytest's loader, which rewrites what belongs to a plugin, has no such thing; the file has.
    path = Path(spec.origin or "")
    return decode_source(path.read_bytes()) if path.suffix == ".py" else None


def compiled(mutant: Mutant, source: str) -> str:
    """The changed source, which compiles. Raises PatchError."""
    text = patched(source, mutant)
    try:
        compile(text, mutant.module, "exec")
    except SyntaxError as error:
        raise PatchError(
            f"{mutant.id}: the changed {mutant.module} is no Python in line {error.lineno}:"
            f" {error.msg}"
        ) from None
    return text


class _Patched(Loader):
    """Runs a changed source instead of the module's own."""

    def __init__(self, text: str) -> None:
        self._text = text

    def exec_module(self, module: ModuleType) -> None:
        """See Loader."""
        assert module.__spec__ is not None
        code = compile(self._text, module.__spec__.origin or module.__name__, "exec")
        exec(code, module.__dict__)  # noqa: S102 - the declared lie is what is to be run


class Patcher(MetaPathFinder):
    """Finds one module, with its source changed. made: whether it was imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self.made = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See MetaPathFinder. Raises PatchError when the module comes and cannot be changed."""
        if fullname != self._mutant.module:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        else:
            return None
        text = _source(spec)
        if text is None:
            raise PatchError(f"{self._mutant.id}: {fullname} has no source to change")
        spec.loader = _Patched(compiled(self._mutant, text))
        self.made = True
        return spec


def install(mutant: Mutant) -> Patcher:
    """Change the module in this process from now on. Raises PatchError if it is imported already.

    The module is not imported here.
    """
    if mutant.module in sys.modules:
        raise PatchError(f"{mutant.id}: {mutant.module} is imported already and cannot be changed")
    patcher = Patcher(mutant)
    sys.meta_path.insert(0, patcher)
    return patcher
