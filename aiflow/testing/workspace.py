"""The folder that a test runs in: a copy of the project that is thrown away, so that no test sees what another wrote."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiflow.errors import ConfigError

MOST_BYTES = 200_000_000
MOST_FILES = 20_000
"""A larger project is not copied for every test: `files:` says what its runs need."""

_PACKAGES = frozenset({"__pycache__", "node_modules"})


@dataclass
class Original:
    """The project folder, listed once for all its tests.

    Args: left_out: folders that are no part of it: the store, the artifacts.
    """

    root: Path
    left_out: frozenset[Path]
    _listed: dict[tuple[str, ...] | None, list[str]] = field(default_factory=dict)

    def copy(self, target: Path, globs: tuple[str, ...] | None) -> None:
        """Copy the files into `target`. Raises: ConfigError: they are too many or too large."""
        if globs not in self._listed:
            self._listed[globs] = self._checked(list(self._named(globs) if globs is not None else self._all()))
        made: set[str] = set()
        for name in self._listed[globs]:
            folder = os.path.dirname(name)
            if folder not in made:
                (target / folder).mkdir(parents=True, exist_ok=True)
                made.add(folder)
            shutil.copyfile(self.root / name, target / name)
            shutil.copymode(self.root / name, target / name)

    def _named(self, globs: tuple[str, ...]) -> Iterator[str]:
        found = {path for glob in globs for path in self.root.glob(glob) if path.is_file()}
        yield from sorted(path.relative_to(self.root).as_posix() for path in found)

    def _all(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if self._belongs(here / name))
            for name in sorted(files):
                if not name.startswith(".") and (here / name).is_file():
                    yield (here / name).relative_to(self.root).as_posix()

    def _belongs(self, folder: Path) -> bool:
        if folder.name.startswith(".") or folder.name in _PACKAGES or folder in self.left_out:
            return False
        return not (folder / "pyvenv.cfg").exists()

    def _checked(self, names: list[str]) -> list[str]:
        total = sum((self.root / name).stat().st_size for name in names[:MOST_FILES])
        if total > MOST_BYTES or len(names) > MOST_FILES:
            raise ConfigError(
                f"the project is too large to be copied for a test: {len(names):,} files, {total / 1e6:,.0f} MB",
                "name the files that its runs need: `files: [workflows/samples/**]`",
            )
        return names
