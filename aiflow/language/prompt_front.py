"""The front matter of prompt and email files: description, inputs, and schema and options for the model or the envelope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from aiflow.language.load import Document, read_document
from aiflow.language.picoschema import PicoschemaError, read_picoschema
from aiflow.language.problems import Problem

SCHEMA_FILES = (".json", ".yaml", ".yml")
"""Extensions by which a text under `schema` is the path of a file."""

_NO_INPUTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
_FOREIGN = {
    "input": "inputs", "parameters": "inputs", "variables": "inputs", "vars": "inputs", "args": "inputs", "output": "schema",
    "outputs": "schema", "response_format": "schema", "output_schema": "schema", "config": "params", "options": "params",
    "max_output_tokens": "max_tokens", "title": "description", "name": "description",
}  # fmt: skip
_LATER = frozenset({"tools", "max_turns", "cache", "attach", "history"})


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of file may say.

    Attributes:
        noun: for messages, and the beginning of their codes.  foreign: words of other tools and ours.
        options: keys with their check and what it wants.  templates: whether options are texts with templates.
        schema: whether it may describe an answer.  later: keys that this version does not know yet.
    """

    noun: str
    options: Mapping[str, tuple[Callable[[Any], bool], str]]
    templates: bool
    schema: bool
    foreign: Mapping[str, str]
    later: frozenset[str] = frozenset()


@dataclass(slots=True)
class Front:
    """What the front matter says. `body`: where the text below it starts (characters)."""

    body: int = 0
    description: str = ""
    inputs: dict[str, Any] = field(default_factory=lambda: dict(_NO_INPUTS))
    schema: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    document: Document | None = None
    problems: list[Problem] = field(default_factory=list)


def read_front(text: str, shown: str, partials: dict[str, str], form: Form | None = None) -> Front:
    """Read it; `text` has `\\n` as its only line break. A schema file is looked up in `partials`."""
    front = Front()
    first = text.split("\n", 1)[0].rstrip()
    if first != "---":
        return front
    end = _closing(text)
    if end is None:
        hint = "write a line `---` below it"
        front.problems.append(
            Problem(shown, 1, 1, "the front matter that begins here is never closed", "front-matter", hint, length=3)
        )
        front.body = len(text)
        return front
    start, stop, front.body = text.index("\n"), *end
    document, front.problems = read_document(text[start:stop], shown, empty=True)  # the first line stays, emptied
    if document is None:
        return front
    front.document = document
    if isinstance(document.data, dict):
        _Reader(front, document, partials, form or PROMPT).read()
    elif document.data is not None:
        front.problems.append(
            document.problem((), "the front matter must be keys and values", "front-matter", _example(form or PROMPT))
        )
    return front


def _closing(text: str) -> tuple[int, int] | None:
    """Start of the line that closes the front matter, and the character behind the line."""
    at = text.find("\n") + 1
    while 0 < at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if text[at:end].rstrip() == "---":
            return at, min(end + 1, len(text))
        at = end + 1
    return None


class _Reader:
    def __init__(self, front: Front, document: Document, partials: dict[str, str], form: Form) -> None:
        self.front, self.document, self.partials, self.form = front, document, partials, form

    def problem(self, path: tuple[Any, ...], message: str, code: str, hint: str = "", *, key: bool = False) -> None:
        length = len(str(path[-1])) if key and path else 1
        self.front.problems.append(self.document.problem(path, message, code, hint, key=key, length=length))

    def read(self) -> None:
        for key, value in self.document.data.items():
            if key == "inputs":
                self.front.inputs = self.picoschema(value, key, top_inputs=True)
            elif key == "schema" and self.form.schema:
                self.schema(value)
            elif key == "description":
                self.description(value)
            elif key in self.form.options:
                self.option(key, value)
            elif not key.startswith("x-"):
                self.unknown(key)

    def picoschema(self, value: Any, key: str, *, top_inputs: bool = False) -> dict[str, Any]:
        schema, faults = read_picoschema(value, top_inputs=top_inputs)
        for fault in faults:
            self.problem((key, *fault.path), fault.message, fault.code, fault.hint, key=fault.key)
        if faults and top_inputs:
            schema["additionalProperties"] = True  # an input that was misread is not reported again as undeclared
        return schema

    def schema(self, value: Any) -> None:
        if isinstance(value, str) and value.endswith(SCHEMA_FILES):
            self.schema_file(value)
        elif value is not None:
            self.front.schema = self.picoschema(value, "schema")

    def schema_file(self, name: str) -> None:
        text = self.partials.get(name)
        if text is None:
            self.problem(("schema",), f"{name} does not exist", "missing-file", "the path is relative to this prompt")
            return
        shown = f"{self.document.shown.rpartition('/')[0]}/{name}".lstrip("/")
        document, problems = read_document(text, shown)
        self.front.problems.extend(problems)
        if document is None or problems:
            return
        schema, faults = read_picoschema(document.data)
        self.front.schema = schema
        for fault in faults:
            self.front.problems.append(_in_file(document, fault))

    def description(self, value: Any) -> None:
        if isinstance(value, str):
            self.front.description = value
        elif value is not None:
            self.problem(("description",), "`description` must be a text", "wrong-type", "put it in quotes")

    def option(self, key: str, value: Any) -> None:
        if value is None:
            return
        fits, wants = self.form.options[key]
        if not self.form.templates and isinstance(value, str) and ("{{" in value or "{%" in value):
            hint = "give it in the step, where expressions are allowed"
            self.problem((key,), f"`{key}` in a prompt file is fixed, it cannot hold an expression", "wrong-type", hint)
        elif fits(value):
            self.front.options[key] = value
        else:
            self.problem((key,), f"`{key}` must be {wants}", "wrong-type")

    def unknown(self, key: str) -> None:
        if key in self.form.later:
            self.problem((key,), f"`{key}` is not available in prompt files", "not-yet", "give it in the step", key=True)
            return
        known = ["description", "inputs", *(["schema"] if self.form.schema else []), *self.form.options]
        near = self.form.foreign.get(key) or next(iter(get_close_matches(key, known, 1, 0.6)), None)
        hint = f"did you mean `{near}`?" if near else "keys here: " + ", ".join(known)
        self.problem((key,), f"unknown key `{key}` in the front matter", "unknown-key", hint, key=True)


def _example(form: Form) -> str:
    return "write for example: subject: Welcome" if form.templates else "write for example: model: fast"


def _in_file(document: Document, fault: PicoschemaError) -> Problem:
    return document.problem(fault.path, fault.message, fault.code, fault.hint, key=fault.key)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _names(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return bool(texts) and all(isinstance(text, str) and text.strip() for text in texts)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_MODEL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_names, "the name of a model, or a list of names"),
    "temperature": (lambda value: _number(value) and 0 <= value <= 2, "a number from 0 to 2"),
    "max_tokens": (lambda value: _whole(value, 1), "a whole number from 1"),
    "repair": (lambda value: _whole(value, 0) and value <= 2, "0, 1 or 2"),
    "system": (lambda value: isinstance(value, str), "a text"),
    "params": (lambda value: isinstance(value, dict), "a map"),
}

_ADDRESSES = (_names, "an address, or a list of addresses")
_ENVELOPE: dict[str, tuple[Callable[[Any], bool], str]] = {
    "subject": (_text, "a text that is not empty"),
    "from": (_text, "an address such as Ana <ana@acme.example>"),
    "to": _ADDRESSES,
    "cc": _ADDRESSES,
    "bcc": _ADDRESSES,
    "reply_to": (_text, "an address"),
}
PROMPT = Form("prompt", _MODEL, templates=False, schema=True, foreign=_FOREIGN, later=_LATER)
EMAIL = Form(
    "email",
    _ENVELOPE,
    templates=True,
    schema=False,
    foreign={"title": "subject", "sender": "from", "recipient": "to", "recipients": "to", "replyTo": "reply_to",
             "reply-to": "reply_to", "vars": "inputs", "variables": "inputs", "input": "inputs", "name": "description"},
)  # fmt: skip
