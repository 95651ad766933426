"""What a workflow names besides itself: its inputs, prompt and email files, schema files. Each is read once.

A fault in one of them is kept here (`problems`, `input_faults`) and does not stop the look at the rest.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiflow.errors import SpecError
from aiflow.language.model import PromptSource
from aiflow.language.picoschema import PicoschemaError, read_picoschema, to_json_schema
from aiflow.language.problems import Problem

if TYPE_CHECKING:
    from aiflow.language.prompts import Prompt

SCHEMA_SUFFIXES = (".json", ".yaml", ".yml")
"""Extensions by which a text in `schema` is a file."""

EVENTS = "schemas/events"
"""Where a project says what its events carry."""


class Definitions:
    """Reads what one workflow names.

    Args:
        root: the project folder.  file: absolute path of the workflow; paths are relative to its folder.
        inputs: `inputs` as written.
    """

    def __init__(self, root: Path, file: Path, inputs: Any) -> None:
        self.root = root
        self.folder = file.parent
        self._inputs = inputs
        self._prompts: dict[tuple[str, str], Prompt | None] = {}
        self._events: dict[str, dict[str, Any] | None] = {}
        self._sources: dict[str, PromptSource] = {}
        self._schemas: dict[str, dict[str, Any]] = {}
        self._contents: dict[str, str] = {}
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
        return self._text_at(written, "prompt")

    def email_at(self, written: Any) -> Prompt | None:
        """The email file of that path, or None when it is missing or has faults (kept in `problems`)."""
        return self._text_at(written, "email")

    def _text_at(self, written: Any, form: str) -> Prompt | None:
        if not isinstance(written, str):
            return None
        if (form, written) not in self._prompts:
            self._prompts[form, written] = self._read_prompt(written, form)
        return self._prompts[form, written]

    def prompt_key(self, written: str) -> str:
        """The key of a prompt or email file in `Workflow.prompts`."""
        return self.shown(self.locate(written))

    def prompt_sources(self) -> dict[str, PromptSource]:
        """All prompts and email files that were read, by key."""
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

    def _read_schema(self, written: str) -> Any:
        from aiflow.language.load import load_document

        path = self.locate(written)
        text = path.read_text(encoding="utf-8-sig")
        self._contents[self.shown(path)] = text
        if path.suffix == ".json":
            return self._json(path, text)
        return load_document(text, self.shown(path)).data

    def _read_prompt(self, written: str, form: str) -> Prompt | None:
        from aiflow.language.prompts import load_prompt_source, parse_email, parse_prompt

        try:
            source = load_prompt_source(self.locate(written), self.prompt_key(written))
            self._sources[source.path] = source
            prompt = parse_email(source) if form == "email" else parse_prompt(source)
            self.problems.extend(prompt.hints)
            return prompt
        except SpecError as error:
            self.problems.extend(error.problems)
        except (OSError, ValueError):
            pass
        return None

    def event_data(self, name: str) -> dict[str, Any] | None:
        """What an event carries by `schemas/events/NAME.json` of the project, or None when nothing says so."""
        if name not in self._events:
            self._events[name] = self._read_event(name)
        return self._events[name]

    def _read_event(self, name: str) -> dict[str, Any] | None:
        path = self.root / EVENTS / f"{name}.json"
        if name not in self.event_names:
            return None
        try:
            found = self._json(path, path.read_text(encoding="utf-8-sig"))
            return found if isinstance(found, dict) else None
        except SpecError as error:
            self.problems.extend(error.problems)
        except (OSError, ValueError):
            pass
        return None

    @cached_property
    def event_names(self) -> list[str]:
        """The events that the project describes."""
        return sorted(path.stem for path in (self.root / EVENTS).glob("*.json"))

    def _json(self, path: Path, text: str) -> Any:
        """What a JSON file holds. Raises: SpecError: it is none."""
        import json

        try:
            return json.loads(text)
        except ValueError as error:
            line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            message = f"this is no JSON: {getattr(error, 'msg', error)}"
            raise SpecError([Problem(self.shown(path), line, column, message, "unreadable-file")]) from error
