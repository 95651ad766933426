"""Prompt files: front matter, messages and strict rendering (DSL 3.10).

A file is read once with everything it includes (`load_prompt_source`), checked (`parse_prompt`), and rendered from its
declared inputs alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiflow.errors import ExpressionError, SpecError
from aiflow.language.load import decode_source
from aiflow.language.model import PromptSource
from aiflow.language.problems import Problem
from aiflow.language.prompt_body import Message, bad_include, cut_messages, included
from aiflow.language.prompt_check import check_messages, check_partials
from aiflow.language.prompt_front import EMAIL, PROMPT, SCHEMA_FILES, Form, Front, read_front
from aiflow.language.yaml_text import MAX_BYTES, Fault, Places, normal
from aiflow.values import Value

if TYPE_CHECKING:
    from aiflow.language.environment import PromptTemplate

INCLUDE_DEPTH = 5  # files included by files; deeper is a circle


@dataclass(frozen=True, eq=False)
class Prompt:
    """A checked prompt file.

    Attributes:
        path, sha256: of its source.
        inputs: JSON Schema of its inputs.  required, optional: their names.
        schema: JSON Schema of the answer, or None: text.
        options: model, temperature, max_tokens, repair, system, params; as far as the file says them.
        messages: (role, template) in their order.
        hints: problems that are no faults: inputs that are not used, optional ones that may be null in text.
    """

    path: str
    sha256: str
    description: str
    inputs: dict[str, Any]
    schema: dict[str, Any] | None
    options: dict[str, Any]
    messages: list[tuple[str, str]]
    hints: tuple[Problem, ...] = ()
    partials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def required(self) -> frozenset[str]:
        """Names of the inputs that must be given."""
        return frozenset(self.inputs.get("required", ()))

    @property
    def optional(self) -> frozenset[str]:
        """Names of the inputs that need not be given: null, or their default, then."""
        return frozenset(self.inputs.get("properties", ())) - self.required

    def render(self, data: Mapping[str, Value], project: Path | None = None) -> list[dict[str, str]]:
        """The messages `{"role", "content"}`; one that is empty is left out.

        Args: data: by name of input.  project: where `file.text` starts from.
        Raises: ExpressionError: an input is missing, unknown or of another type; an undefined name; null in text.
        """
        scope = self.scope(data)
        rendered = []
        for (role, _), template in zip(self.messages, self._templates, strict=True):
            content = _render(template, scope, project).strip()
            if content:
                rendered.append({"role": role, "content": content})
        if not rendered:
            raise ExpressionError(f"{self.path}: the prompt is empty with these inputs")
        return rendered

    def scope(self, data: Mapping[str, Value]) -> dict[str, Value]:
        """The inputs with defaults and nulls filled in. Raises: ExpressionError: they do not fit."""
        from aiflow.language.schema_faults import misfits

        properties = self.inputs.get("properties", {})
        others = self.inputs.get("additionalProperties", False)
        for name in data:
            if name not in properties and others is False:
                raise ExpressionError(f"{self.path} has no input `{name}`", f"inputs there: {', '.join(properties)}")
        scope = {name: value for name, value in data.items() if name not in properties}
        for name, schema in properties.items():
            if name not in data and name in self.required:
                raise ExpressionError(f"{self.path} needs the input `{name}`", f"give it: with: {{{name}: ...}}")
            value = data[name] if name in data else schema.get("default")
            if name in data or "default" in schema:
                for misfit in misfits(value, schema, name, more_fields=True):
                    if value is None and name in self.optional:
                        continue
                    raise ExpressionError(f"{self.path}: input `{misfit.where}` {misfit.message}", misfit.hint)
            scope[name] = value
        return scope

    @cached_property
    def _templates(self) -> list[PromptTemplate]:
        from aiflow.language.environment import template_environment

        environment = template_environment(self.partials)
        return [environment.from_string(text) for _, text in self.messages]  # type: ignore[misc]


def _render(template: PromptTemplate, scope: Mapping[str, Value], project: Path | None) -> str:
    from aiflow.language.environment import render
    from aiflow.language.limits import TEMPLATE_LIMITS, data_size

    return render(template, scope, TEMPLATE_LIMITS, lambda: data_size(scope.values()), project)


def load_prompt_source(path: Path, shown: str) -> PromptSource:
    """A prompt file with everything it includes, as it is now.

    Args: shown: its path for people, which also names it in the plan.
    Raises: OSError: it cannot be read.  SpecError: not UTF-8, too large, or an included file is missing or outside.
    """
    return prompt_source(_read(path, shown), path, shown)


def prompt_source(text: str, path: Path, shown: str) -> PromptSource:
    """A text as the prompt file at `path`, whatever is in that file, with everything it includes.

    Raises: SpecError: an included file is missing or outside.
    """
    partials: dict[str, str] = {}
    problems: list[Problem] = []
    _include(text, shown, path.parent, partials, problems, 0)
    _schema_file(text, shown, path.parent, partials)
    if problems:
        raise SpecError(sorted(problems))
    return PromptSource(path=shown, text=text, sha256=_digest(text, partials), partials=partials)


def parse_prompt(source: PromptSource) -> Prompt:
    """The prompt of a source; parsed once per content. Raises: SpecError with all its faults (hints among them)."""
    return _parse(source.path, source.sha256, normal(source.text), tuple(sorted(source.partials.items())), PROMPT.noun)


def parse_email(source: PromptSource) -> Prompt:
    """The text of an email: its options are the envelope, templates as written, its one message (`body`) is the text.

    Raises: SpecError with all its faults (hints among them).
    """
    return _parse(source.path, source.sha256, normal(source.text), tuple(sorted(source.partials.items())), EMAIL.noun)


@lru_cache(512)
def _parse(path: str, sha256: str, text: str, partials: tuple[tuple[str, str], ...], noun: str) -> Prompt:
    known = dict(partials)
    form = EMAIL if noun == EMAIL.noun else PROMPT
    front = read_front(text, path, known, form)
    problems = list(front.problems)
    places = Places(text)
    messages, faults = _body(text, front.body) if form is EMAIL else cut_messages(text, front.body)
    problems.extend(places.problem(fault, path) for fault in faults)
    partial_problems = check_partials(path, known)
    problems.extend(partial_problems)
    if not messages and not problems:
        hint = f"write below the front matter {'what the model is to do' if form is PROMPT else 'what the letter says'}"
        problems.append(places.problem(Fault(front.body, front.body, f"this {noun} has no text", "empty-file", hint), path))
    if not partial_problems:
        problems.extend(check_messages(path, places, front, [*_envelope(text, front, form), *messages], known, noun))
    if any(problem.severity == "error" for problem in problems):
        raise SpecError(sorted(problems))
    return Prompt(
        path=path,
        sha256=sha256,
        description=front.description,
        inputs=front.inputs,
        schema=front.schema,
        options=front.options,
        messages=[(message.role, message.template) for message in messages],
        hints=tuple(sorted(problems)),
        partials=known,
    )


def _body(text: str, start: int) -> tuple[list[Message], list[Fault]]:
    """Everything below the front matter as one message; nothing in an email opens another."""
    piece = text[start:].strip()
    return [Message("body", piece, start + text[start:].find(piece))] if piece else [], []


def _envelope(text: str, front: Front, form: Form) -> list[Message]:
    """The options that are templates, at their places in the file."""
    document, found = front.document, []
    for key, value in front.options.items() if form.templates and document is not None else ():
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            where = (key, index) if isinstance(value, list) else (key,)
            line, column = document.column_in(where, 0)  # type: ignore[union-attr]
            start = sum(len(row) + 1 for row in text.split("\n")[: line - 1]) + column - 1
            found.append(Message(key, one, start))
    return found


def _read(path: Path, shown: str) -> str:
    if path.exists() and not path.is_file():
        raise OSError(f"{shown} is not a file")
    with path.open("rb") as stream:
        return normal(decode_source(stream.read(MAX_BYTES + 1), shown))


def _digest(text: str, partials: Mapping[str, str]) -> str:
    sha = hashlib.sha256(text.encode())
    for name, content in sorted(partials.items()):
        sha.update(f"\0{name}\0{content}".encode())
    return sha.hexdigest()


def _include(text: str, shown: str, folder: Path, partials: dict[str, str], problems: list[Problem], depth: int) -> None:
    """Read the files that a text includes; all names are relative to the folder of the prompt."""
    places = Places(text)
    for name, at in included(text):
        if name in partials:
            continue
        fault = bad_include(name) or _outside(folder, name)
        hint = ""
        if not fault:
            try:
                partials[name] = _read(folder / name, name)
            except (OSError, ValueError):
                fault, hint = f"{name} does not exist", _near(folder, name)
        if fault:
            problems.append(places.problem(Fault(at, at + len(name), fault, "missing-file", hint), shown))
        elif depth < INCLUDE_DEPTH:
            inner = f"{shown.rpartition('/')[0]}/{name}".lstrip("/")
            _include(partials[name], inner, folder, partials, problems, depth + 1)


def _outside(folder: Path, name: str) -> str:
    """Why a name leads out of the folder: through a link."""
    try:
        if (folder / name).resolve().is_relative_to(folder.resolve()):
            return ""
    except (OSError, ValueError):
        pass
    return f"`{name}` cannot be included: it leads out of the folder of the prompt"


def _near(folder: Path, name: str) -> str:
    parent = (folder / name).parent
    try:
        names = [entry.name for entry in list(parent.iterdir())[:1000]]
    except OSError:
        return ""
    near = get_close_matches(Path(name).name, names, 1, 0.6)
    return f"did you mean {(Path(name).parent / near[0]).as_posix()}?" if near else ""


def _schema_file(text: str, shown: str, folder: Path, partials: dict[str, str]) -> None:
    """The file under `schema`, if there is one; `read_front` reports it when it is missing."""
    document = read_front(text, shown, {}).document
    name = document.data.get("schema") if document is not None and isinstance(document.data, dict) else None
    if isinstance(name, str) and name.endswith(SCHEMA_FILES) and not Path(name).is_absolute():
        try:
            partials[name] = _read(folder / name, name)
        except (OSError, ValueError):
            pass


__all__ = ["Message", "Prompt", "load_prompt_source", "parse_email", "parse_prompt"]
