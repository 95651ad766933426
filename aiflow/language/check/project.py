"""`defaults` of aiflow.yaml, as strictly as those of a workflow: an option that no kind has would silently do nothing."""

from __future__ import annotations

from typing import Any, cast

from aiflow._project_file import ProjectFile
from aiflow.language.check._inspection import Inspection
from aiflow.language.check.shape import check_defaults
from aiflow.language.definitions import Definitions
from aiflow.language.load import Document
from aiflow.language.problems import Problem
from aiflow.language.tree import Path, plant
from aiflow.settings import Settings

PROJECT_FILE = "aiflow.yaml"


def project_problems(settings: Settings) -> list[Problem]:
    """What is wrong with the `defaults` of the project file and of its profiles. A file that cannot be read has none."""
    path = settings.root / PROJECT_FILE
    if not path.is_file():
        return []
    file = ProjectFile(path, PROJECT_FILE)
    file.load()
    if file.faults:
        return []
    look = Inspection(cast(Document, _Places(file)), plant({}), settings, path, Definitions(settings.root, path, None))
    if file.data.get("defaults") is not None:
        check_defaults(look, file.data["defaults"], ("defaults",))
    profiles = file.data.get("profiles")
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        if isinstance(profile, dict) and profile.get("defaults") is not None:
            check_defaults(look, profile["defaults"], ("profiles", name, "defaults"))
    return look.problems


class _Places:
    """The project file as the checks see a document."""

    def __init__(self, file: ProjectFile) -> None:
        self.data: Any = file.data
        self.shown = file.shown
        self._file = file

    def key_at(self, path: Path) -> tuple[int, int]:
        return self._file.place(path, at_key=True)

    def value_at(self, path: Path) -> tuple[int, int]:
        return self._file.place(path)


__all__ = ["PROJECT_FILE", "project_problems"]
