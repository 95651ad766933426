"""The text of a prompt against its front matter: syntax, undeclared names, unknown fields, unused inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from aiflow.language.problems import Problem
from aiflow.language.prompt_body import Message, roles_in_partial
from aiflow.language.prompt_front import SCHEMA_FILES, Front
from aiflow.language.yaml_text import Fault, Places

if TYPE_CHECKING:
    from aiflow.language.references import Reference

_OF_WORKFLOWS = frozenset(
    {"inputs", "steps", "event", "item", "index", "previous", "result", "error", "run", "step", "env", "secrets"}
)


def check_partials(path: str, partials: Mapping[str, str]) -> list[Problem]:
    """Faults in the included files by themselves."""
    from aiflow.language.references import faults
    from aiflow.language.syntax import ExpressionSyntaxError

    problems: list[Problem] = []
    for name, text in partials.items():
        if name.endswith(SCHEMA_FILES):
            continue
        shown = f"{path.rpartition('/')[0]}/{name}".lstrip("/")
        places = Places(text)
        found = roles_in_partial(text)
        try:
            found.extend(Fault(f.offset, f.offset + f.length, f.message, f.code, f.hint) for f in faults(text, partials=partials))
        except ExpressionSyntaxError as error:
            found.append(_syntax(error, 0))
        problems.extend(places.problem(fault, shown) for fault in found)
    return problems


def check_messages(
    path: str, places: Places, front: Front, messages: list[Message], partials: Mapping[str, str], noun: str = "prompt"
) -> list[Problem]:
    """Faults and hints of the messages. `noun`: `prompt` or `email`."""
    from aiflow.language.references import faults, references
    from aiflow.language.syntax import ExpressionSyntaxError

    check = _Check(path, places, front, noun)
    readable = True
    for message in messages:
        try:
            for wrong in faults(message.template, partials=partials):
                start = message.start + wrong.offset
                check.add(Fault(start, start + wrong.length, wrong.message, wrong.code, wrong.hint))
            for reference in references(message.template, partials=partials):
                check.reference(reference, message)
        except ExpressionSyntaxError as error:
            readable = False
            check.add(_syntax(error, message.start))
    if readable:
        check.unused()
    return check.problems


def _syntax(error: Any, start: int) -> Fault:
    at = start + (error.offset or 0)
    return Fault(at, at + error.length, error.message, error.code, error.hint)


class _Check:
    def __init__(self, path: str, places: Places, front: Front, noun: str) -> None:
        self.path, self.places, self.front, self.noun = path, places, front, noun
        self.properties: Mapping[str, Any] = front.inputs.get("properties", {})
        self.open = bool(front.inputs.get("additionalProperties", False))
        self.used: set[str] = set()
        self.said: set[tuple[Any, ...]] = set()
        self.problems: list[Problem] = []

    def add(self, fault: Fault, *, hint_only: bool = False) -> None:
        problem = self.places.problem(fault, self.path)
        self.problems.append(replace(problem, severity="hint") if hint_only else problem)

    def reference(self, reference: Reference, message: Message) -> None:
        self.used.add(reference.root)
        at = message.start + reference.offset
        direct = message.template.startswith(reference.root, reference.offset)
        if reference.root not in self.properties:
            if not self.open and self.once("undeclared", reference.root):
                self.undeclared(reference, at, direct)
            return
        for fault in self.fields(reference, message, direct):
            self.add(fault)
        optional = reference.root not in self.front.inputs.get("required", ())
        nullable = optional and self.properties[reference.root].get("default") is None
        if nullable and reference.in_text and not reference.guarded and not reference.path and self.once("null", reference.root):
            name = reference.root
            words = f"`{name}` is optional, and null in a text is an error"
            self.add(
                Fault(at, at + len(name), words, "optional-in-text", f'write: {{{{ {name} | default("") }}}}'), hint_only=True
            )

    def a(self) -> str:
        return "an email" if self.noun == "email" else "a prompt"

    def once(self, *what: Any) -> bool:
        if what in self.said:
            return False
        self.said.add(what)
        return True

    def undeclared(self, reference: Reference, at: int, direct: bool) -> None:
        name = reference.root
        near = next(iter(get_close_matches(name, self.properties, 1, 0.75)), None)
        hint = f"add to inputs: {name}: string"
        if near:
            hint = f"did you mean `{near}`? else {hint}"
        elif name == "inputs" and reference.path:
            hint = f"{self.a()} sees its inputs by their names: {{{{ {reference.path[0]} }}}}"
        elif name in _OF_WORKFLOWS:
            hint = f"{self.a()} sees only its inputs: declare one, and hand it over in the step with `with`"
        message = f"the {self.noun} uses `{name}`, which its front matter does not declare"
        if not direct:
            message = f"the included file uses `{name}`, which the front matter of this {self.noun} does not declare"
        self.add(Fault(at, at + (len(name) if direct else 1), message, f"{self.noun}-undeclared", hint))

    def fields(self, reference: Reference, message: Message, direct: bool) -> Iterator[Fault]:
        """Fields that the declared type does not have."""
        schema: Any = self.properties[reference.root]
        path = reference.root
        for number, key in enumerate(reference.path):
            if not isinstance(schema, Mapping):
                return
            kind = schema.get("type")
            if "object" in ([kind] if isinstance(kind, str) else kind or ()) and isinstance(key, str) and "properties" in schema:
                fields, others = schema["properties"], schema.get("additionalProperties", True)
                if key not in fields and others is False:
                    near = next(iter(get_close_matches(key, fields, 1, 0.6)), None)
                    offset = reference.offsets[number] if direct and number < len(reference.offsets) else reference.offset
                    at = message.start + offset
                    names = ", ".join(fields)
                    hint = f"did you mean {path}.{near}?" if near else ""
                    yield Fault(at, at + len(key), f"`{path}` has the fields {names}; not `{key}`", "unknown-field", hint)
                    return
                schema = fields.get(key, others)
                path = f"{path}.{key}"
            elif kind == "array" and (key is None or isinstance(key, int)):
                schema = schema.get("items")
                path = f"{path}[{'...' if key is None else key}]"
            else:
                return

    def unused(self) -> None:
        """Hints for inputs that the text never uses."""
        document = self.front.document
        declared = document.data.get("inputs") if document is not None and isinstance(document.data, dict) else None
        if document is None or not isinstance(declared, dict):
            return
        for written in declared:
            name = written.split("(")[0].strip().removesuffix("?")
            if name in self.properties and name not in self.used:
                message = f"the input `{name}` is not used in the {self.noun}"
                found = document.problem(
                    ("inputs", written), message, f"{self.noun}-unused", "remove it, or use it", key=True, length=len(name)
                )
                self.problems.append(replace(found, severity="hint"))
