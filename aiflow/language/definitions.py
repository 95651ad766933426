"""What a workflow names besides itself: its inputs, prompt files, schema files. Each is read once.

A fault in one of them is kept here (`problems`, `input_faults`) and does not stop the look at the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiflow.errors import SpecError
from aiflow.language.model import PromptSource, Workflow
from aiflow.language.picoschema import PicoschemaError, read_picoschema, to_json_schema
from aiflow.language.problems import Problem

if TYPE_CHECKING:
    from aiflow.language.prompts import Prompt

SCHEMA_SUFFIXES = (".json", ".yaml", ".yml")
"""Extensions by which a text in `schema` is a file."""


class Definitions:
    """Reads what one workflow names.

    Args:
        root: the project folder.  file: absolute path of the workflow; paths are relative to its folder.
        inputs: `inputs` as written.
        load: reads a called workflow, see `workflow_at`; None: it is not looked at.
    """

    def __init__(self, root: Path, file: Path, inputs: Any, load: Callable[[Path], Workflow] | None = None) -> None:
        self.root = root
        self.folder = file.parent
        self._inputs = inputs
        self._prompts: dict[str, Prompt | None] = {}
        self._sources: dict[str, PromptSource] = {}
        self._schemas: dict[str, dict[str, Any]] = {}
        self._contents: dict[str, str] = {}
        self._load = load
        self._workflows: dict[str, Workflow | None] = {}
        self.workflow_faults: dict[str, SpecError] = {}
        self.problems: list[Problem] = []
        self.input_faults: list[PicoschemaError] = []

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """JSON Schema of the inputs; without properties when there are none or the declaration is wrong."""
        if not isinstance(self._inputs, dict):
            return {"type": "object", "properties": {}, "additionalProperties": False}
        schema, faults = read_picoschema(self._inputs, top_inputs=True)
        self.input_faults.extend(faults)
        return schema

    @property
    def input_names(self) -> list[str]:
        """Names of the declared inputs in their order."""
        return list(self.inputs.get("properties", {}))

    @property
    def inputs_open(self) -> bool:
        """Whether names that are not declared cannot be told from faults."""
        return bool(self.inputs.get("additionalProperties", False))

    def shown(self, path: Path) -> str:
        """A path for people: relative to the project folder when it is inside."""
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return str(path)

    def locate(self, written: str) -> Path:
        """The file that a path in the workflow names."""
        return self.folder / written

    def prompt_at(self, written: Any) -> Prompt | None:
        """The prompt of that path, or None when it is missing or has faults (kept in `problems`)."""
        if not isinstance(written, str):
            return None
        if written not in self._prompts:
            self._prompts[written] = self._read_prompt(written)
        return self._prompts[written]

    def prompt_key(self, written: str) -> str:
        """The key of a prompt in `Workflow.prompts`."""
        return self.shown(self.locate(written))

    def prompt_sources(self) -> dict[str, PromptSource]:
        """All prompts that were read, by key."""
        return dict(self._sources)

    def file_contents(self) -> dict[str, str]:
        """All schema files that were read, by their shown path."""
        return dict(self._contents)

    def schema_of(self, given: Any) -> dict[str, Any]:
        """The JSON Schema that a `schema` option stands for: Picoschema, JSON Schema, or the path of a file.

        Raises: PicoschemaError: the schema is wrong.  OSError, SpecError: the file cannot be read.
        """
        if not (isinstance(given, str) and given.endswith(SCHEMA_SUFFIXES)):
            return to_json_schema(given)
        if given not in self._schemas:
            self._schemas[given] = to_json_schema(self._read_schema(given))
        return self._schemas[given]

    def workflow_at(self, written: str) -> Workflow | None:
        """The workflow of that path with all that it calls, or None when it cannot be loaded: then `workflow_faults` says why."""
        if written not in self._workflows:
            self._workflows[written] = None
            try:
                if self._load is not None:
                    self._workflows[written] = self._load(self.locate(written))
            except SpecError as error:
                self.workflow_faults[written] = error
        return self._workflows[written]

    def called(self) -> dict[str, Workflow]:
        """The called workflows that were loaded, by path as written."""
        return {written: workflow for written, workflow in self._workflows.items() if workflow is not None}

    def _read_schema(self, written: str) -> Any:
        from aiflow.language.load import load_document

        path = self.locate(written)
        text = path.read_text(encoding="utf-8-sig")
        self._contents[self.shown(path)] = text
        if path.suffix == ".json":
            import json

            try:
                return json.loads(text)
            except ValueError as error:
                line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
                problem = Problem(
                    self.shown(path), line, column, f"this is no JSON: {getattr(error, 'msg', error)}", "unreadable-file"
                )
                raise SpecError([problem]) from error
        return load_document(text, self.shown(path)).data

    def _read_prompt(self, written: str) -> Prompt | None:
        from aiflow.language.prompts import load_prompt_source, parse_prompt

        try:
            source = load_prompt_source(self.locate(written), self.prompt_key(written))
            self._sources[source.path] = source
            prompt = parse_prompt(source)
            self.problems.extend(prompt.hints)
            return prompt
        except SpecError as error:
            self.problems.extend(error.problems)
        except OSError:
            pass
        return None
