"""What all checks share: the document, its tree, the problems found, and the places that are known to be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from aiflow.language.problems import Problem
from aiflow.language.tree import Node, Path, Tree
from aiflow.settings import Settings

if TYPE_CHECKING:
    from aiflow.language.check._python_source import Module
    from aiflow.language.check._sites import Site
    from aiflow.language.check._typing import Types
    from aiflow.language.definitions import Definitions
    from aiflow.language.load import Document
    from aiflow.language.workflow import Workflows

Severity = Literal["error", "hint"]


@dataclass
class Inspection:
    """One look at one workflow file.

    Attributes:
        doc: the document with its positions.  tree: its steps.  settings: of the project.
        file: absolute path of the workflow.
        definitions: prompts, schemas and inputs that the workflow names, read once.
        workflows: the other files of the project, for `call`; None when there are none to look at.
        problems: found so far, also those of prompts.
        wrong: paths of values that a check has refused; other checks leave them and what is below alone.
        said: places in texts (path, offset) of which a fault was said.
    """

    doc: Document
    tree: Tree
    settings: Settings
    file: FilePath
    definitions: Definitions
    workflows: Workflows | None = None
    problems: list[Problem] = field(default_factory=list)
    wrong: set[Path] = field(default_factory=set)
    said: set[tuple[Path, int]] = field(default_factory=set)

    @property
    def data(self) -> dict[str, Any]:
        """The top of the document; empty when it is no map."""
        return self.doc.data if isinstance(self.doc.data, dict) else {}

    @cached_property
    def calls(self) -> list[tuple[Node, Path, str, FilePath]]:
        """Steps that call a workflow, where its file is named, as written, and the file."""
        found = []
        for node in self.tree.nodes:
            if node.kind is not None and node.kind.name == "call":
                value, path = node.data["call"], (*node.path, "call")
                if isinstance(value, dict):
                    value, path = value.get("workflow"), (*path, "workflow")
                if isinstance(value, str) and value.strip() and "{{" not in value and "\0" not in value:
                    found.append((node, path, value, self.definitions.locate(value)))
        return found

    @property
    def called(self) -> list[FilePath]:
        """The files of `calls` that are there."""
        return [file for _, _, _, file in self.calls if file.is_file()]

    @cached_property
    def layers(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """`defaults` of aiflow.yaml and of the workflow."""
        own = self.data.get("defaults")
        return self.settings.defaults, own if isinstance(own, dict) else {}

    @cached_property
    def sites(self) -> list[Site]:
        """Every expression of the file with what may be used in it."""
        from aiflow.language.check._sites import find_sites

        return find_sites(self)

    @cached_property
    def site_at(self) -> dict[Path, Site]:
        """The expressions by their path."""
        return {site.path: site for site in self.sites}

    @cached_property
    def _modules(self) -> dict[str, Module | FilePath | SyntaxError | None]:
        """Python modules that were read, by name; one table for all workflows that are checked together."""
        return {} if self.workflows is None else self.workflows.modules

    def module_at(self, name: str) -> Module | FilePath | SyntaxError | None:
        """A Python module by its dotted name, see `read_module`."""
        from aiflow.language.check._python_source import read_module

        if name not in self._modules:
            self._modules[name] = read_module(self.settings.root, name)
        return self._modules[name]

    @cached_property
    def types(self) -> Types:
        """What is known of the types of inputs and outputs."""
        from aiflow.language.check._typing import Types

        return Types(self)

    def at_key(self, path: Path, message: str, code: str, hint: str = "", severity: Severity = "error", length: int = 0) -> None:
        """A problem at a key of the document (at the item, for a list)."""
        word = str(path[-1]) if path else ""
        self._add(self.doc.key_at(path), message, code, hint, severity, length or len(word) or 1)

    def at_value(
        self, path: Path, message: str, code: str, hint: str = "", severity: Severity = "error", length: int = 0
    ) -> None:
        """A problem at a value; other checks leave this value alone."""
        self._add(self.doc.value_at(path), message, code, hint, severity, length or self._width(path))
        if severity == "error":
            self.wrong.add(path)

    def at_offset(
        self, path: Path, offset: int, message: str, code: str, hint: str = "", severity: Severity = "error", length: int = 1
    ) -> None:
        """A problem inside a text of the document."""
        self._add(self.doc.column_in(path, offset), message, code, hint, severity, length)
        if severity == "error":
            self.said.add((path, offset))

    def line_of(self, path: Path, *, key: bool = True) -> int:
        """The line of a key or value, from 1."""
        return (self.doc.key_at(path) if key else self.doc.value_at(path))[0]

    def is_wrong(self, path: Path) -> bool:
        """Whether this value, or one around it, was refused."""
        return any(path[:end] in self.wrong for end in range(1, len(path) + 1)) if self.wrong else False

    def _width(self, path: Path) -> int:
        value: Any = self.doc.data
        for part in path:
            value = value[part]
        return min(len(str(value)), 60) if isinstance(value, (str, int, float)) and "\n" not in str(value) else 1

    def _add(self, place: tuple[int, int], message: str, code: str, hint: str, severity: Severity, length: int) -> None:
        self.problems.append(Problem(self.doc.shown, place[0], place[1], message, code, hint, severity, length))
