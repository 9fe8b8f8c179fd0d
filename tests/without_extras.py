"""`python -P without_extras.py PACKAGE,... ARGUMENT...`: `evalkit ARGUMENT...` where those packages are not installed."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Without(MetaPathFinder):
    """A finder that does not find some packages."""

    def __init__(self, finder: Any, packages: set[str]) -> None:
        self._finder, self._packages = finder, packages

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found: ModuleSpec | None = None
        if name.partition(".")[0] not in self._packages:
            found = self._finder.find_spec(name, path, target)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


if __name__ == "__main__":
    packages = set(sys.argv[1].split(","))
    sys.meta_path[:] = [_Without(finder, packages) for finder in sys.meta_path]
    from evalkit.cli import main

    main(sys.argv[2:])
