"""Picoschema, the short way to write a JSON Schema: `name?: string, what it is` (DSL 3.11).

As in Google's dotprompt, with more types: `object`, `array` (of anything), `file`, `date`, `datetime`, `duration`,
`url`, `email`, `secret`. Those of aiflow carry `x-aiflow-type` in the JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from aiflow.errors import AiflowError
from aiflow.language.json_schema import KEYWORDS, fault_in_keyword, looks_like_json_schema, nullable

Path = tuple[Any, ...]

TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "any": {},
    "object": {"type": "object"},
    "array": {"type": "array"},
    "file": {"type": "object", "x-aiflow-type": "file"},
    "date": {"type": "string", "format": "date", "x-aiflow-type": "date"},
    "datetime": {"type": "string", "format": "date-time", "x-aiflow-type": "datetime"},
    "duration": {"type": "string", "format": "duration", "x-aiflow-type": "duration"},
    "url": {"type": "string", "format": "uri", "x-aiflow-type": "url"},
    "email": {"type": "string", "format": "email", "x-aiflow-type": "email"},
    "secret": {"type": "string", "writeOnly": True, "x-aiflow-type": "secret"},
}
_OTHER_NAMES = {
    "str": "string", "text": "string", "varchar": "string", "int": "integer", "long": "integer", "float": "number",
    "double": "number", "decimal": "number", "num": "number", "bool": "boolean", "list": "array", "dict": "object",
    "map": "object", "json": "any", "none": "null", "uri": "url", "timestamp": "datetime", "date-time": "datetime",
    "time": "datetime", "path": "file", "password": "secret",
}  # fmt: skip
_GROUPS = ("array", "object", "enum")
_INPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset({"true", "false", "null", "none", "True", "False", "None", "and", "or", "not", "if", "else", "in", "is"})


class PicoschemaError(AiflowError):
    """A type that cannot be read.

    Attributes:
        path: keys and indexes from the top of the Picoschema to the fault.  key: the fault is in the key itself.
        code: `unknown-type`, `bad-name`, `schema`, `duplicate-key`.
    """

    code = "schema"

    def __init__(self, path: Path, message: str, hint: str = "", *, key: bool = False, code: str = "schema") -> None:
        super().__init__(message, hint)
        self.path = path
        self.key = key
        self.code = code  # type: ignore[misc]  # each fault its own


def to_json_schema(pico: Any, *, top_inputs: bool = False) -> dict[str, Any]:
    """The JSON Schema of a Picoschema, or of a JSON Schema, which is checked and kept.

    Args: top_inputs: it is an `inputs` section: every key is the name of an input, also `type`.
    Raises: PicoschemaError: the first fault.
    """
    schema, faults = read_picoschema(pico, top_inputs=top_inputs)
    if faults:
        raise faults[0]
    return schema


def read_picoschema(pico: Any, *, top_inputs: bool = False) -> tuple[dict[str, Any], list[PicoschemaError]]:
    """Like `to_json_schema`, with all faults instead of an exception; what has a fault is of any type."""
    reader = _Reader(top_inputs)
    if top_inputs:
        schema = reader.inputs(pico)
    else:
        schema = reader.value(pico, ())
    return schema, reader.faults


class _Reader:
    def __init__(self, top_inputs: bool) -> None:
        self.top_inputs = top_inputs
        self.faults: list[PicoschemaError] = []

    def fault(self, path: Path, message: str, hint: str = "", *, key: bool = False, code: str = "schema") -> dict[str, Any]:
        self.faults.append(PicoschemaError(path, message, hint, key=key, code=code))
        return {}

    def inputs(self, pico: Any) -> dict[str, Any]:
        if pico is None:
            pico = {}
        if not isinstance(pico, Mapping):
            hint = "write for example: topic: string"
            self.fault((), f"inputs are a map of names to types, this is {_what(pico)}", hint)
            pico = {}
        return self.object(pico, ())

    def value(self, pico: Any, path: Path) -> dict[str, Any]:
        """A type: a text, a map of fields, or JSON Schema."""
        if isinstance(pico, str):
            return self.scalar(pico, path)
        if isinstance(pico, Mapping):
            if looks_like_json_schema(pico, TYPES):
                return self.json_schema(pico, path)
            return self.object(pico, path)
        if isinstance(pico, list):
            hint = "for one of several values write: name(enum): [a, b]; for a list: name(array): string"
            return self.fault(path, "a type cannot be a list", hint)
        if pico is None:
            return self.fault(path, "the type is missing", "write for example: string", code="unknown-type")
        return self.fault(
            path, f"a type is a text or a map, this is {_what(pico)}", "write for example: string", code="unknown-type"
        )

    def scalar(self, text: str, path: Path) -> dict[str, Any]:
        name, description = _split(text)
        if name not in TYPES:
            return self.unknown_type(name, path)
        return {**TYPES[name], **({"description": description} if description else {})}

    def unknown_type(self, name: str, path: Path) -> dict[str, Any]:
        if name.endswith("[]") and name[:-2] in TYPES:
            key = _plain_name(path)
            return self.fault(
                path, f"there is no type `{name}`", f"for a list write: {key}(array): {name[:-2]}", code="unknown-type"
            )
        if name.rstrip("?") in TYPES and name.endswith("?"):
            key = _plain_name(path)
            hint = f"the question mark belongs to the name: {key}?: {name.rstrip('?')}"
            return self.fault(path, f"there is no type `{name}`", hint, code="unknown-type")
        if name.lower() in ("enum", "choice", "select", "options"):
            key = _plain_name(path[:-1] if path[-1:] == ("type",) else path)
            hint = f"for one of several values write: {key}(enum): [a, b]"
            return self.fault(path, f"there is no type `{name}`", hint, code="unknown-type")
        bare, equals, default = (part.strip() for part in name.partition("="))
        if equals and bare in TYPES:
            hint = f"write: {_plain_name(path)}: {{type: {bare}, default: {default}}}"
            return self.fault(path, f"there is no type `{name}`", hint, code="unknown-type")
        near = _OTHER_NAMES.get(name.lower()) or next(iter(get_close_matches(name.lower(), TYPES, 1, 0.6)), None)
        hint = f"did you mean `{near}`?" if near else "types: " + ", ".join(TYPES)
        return self.fault(path, f"there is no type `{name}`", hint, code="unknown-type")

    def object(self, pico: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        """A map of fields."""
        properties: dict[str, Any] = {}
        required: list[str] = []
        others: Any = False
        for key, inner in pico.items():
            here = (*path, key)
            if key == "(*)":
                others = self.value(inner, here)
                continue
            name, optional, group, description = self.key(str(key), here)
            if name in properties:
                self.fault(here, f"`{name}` is there twice", "keep one of them", key=True, code="duplicate-key")
            properties[name] = self.field(inner, here, group, description, optional)
            given = isinstance(inner, Mapping) and "default" in inner and "default" in properties[name]
            if not optional and not (self.top_inputs and not path and given):
                required.append(name)
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        schema["additionalProperties"] = others
        return schema

    def key(self, key: str, path: Path) -> tuple[str, bool, str, str]:
        """Name, optional, `array`/`object`/`enum` or nothing, and description of a key such as `tags?(array, some)`."""
        name, bracket, rest = key.partition("(")
        group = description = ""
        if bracket:
            if not rest.rstrip().endswith(")"):
                self.fault(path, f"the bracket in `{key}` is not closed", f"write: {key.rstrip()})", key=True)
                rest += ")"
            group, description = _split(rest.rstrip()[:-1])
            if group not in _GROUPS:
                hint = f"write: {name.strip()}: {group}" if group in TYPES else "in the brackets stands array, object or enum"
                self.fault(path, f"`{group}` cannot stand in brackets after a name", hint, key=True)
                group = ""
        name = name.strip()
        optional = name.endswith("?")
        name = name[:-1].strip() if optional else name
        self.name(name, path)
        return name, optional, group, description

    def name(self, name: str, path: Path) -> None:
        if not name:
            self.fault(path, "the name is missing", "write: name: type", key=True, code="bad-name")
        elif self.top_inputs and len(path) == 1 and (not _INPUT_NAME.match(name) or name in _RESERVED):
            better = re.sub(r"\W+", "_", name).strip("_") or "name"
            better = better if _INPUT_NAME.match(better) and better not in _RESERVED else f"{better}_"
            why = "in an expression the dash is a minus" if "-" in name else "it could not be used in an expression"
            self.fault(path, f"`{name}` cannot be the name of an input: {why}", f"write: {better}", key=True, code="bad-name")

    def field(self, inner: Any, path: Path, group: str, description: str, optional: bool) -> dict[str, Any]:
        if group == "enum":
            schema = self.enum(inner, path)
        elif group == "array":
            schema = {"type": "array", "items": self.value(inner, path)}
        else:
            schema = self.value(inner, path)
            if group == "object" and schema and "object" not in _types(schema):
                name = _plain_name(path)
                self.fault(path, f"`{name}(object)` needs a map of its fields", f"or write: {name}: {inner}")
        if description:
            schema["description"] = description
        return nullable(schema) if optional else schema

    def enum(self, values: Any, path: Path) -> dict[str, Any]:
        if not isinstance(values, list) or not values:
            name = _plain_name(path)
            return self.fault(path, "an enum is a list of values", f"write for example: {name}(enum): [small, large]")
        for index, value in enumerate(values):
            if isinstance(value, list | Mapping):
                self.fault((*path, index), f"a value of an enum is a text or a number, this is {_what(value)}")
            elif any(value == other and type(value) is type(other) for other in values[:index]):
                self.fault((*path, index), f"`{value}` is there twice", "keep one of them")
        return {"enum": list(values)}

    def json_schema(self, given: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """JSON Schema, with aiflow's types allowed for `type`."""
        schema: dict[str, Any] = {}
        if "type" not in given and isinstance(given.get("properties"), Mapping):
            schema["type"] = "object"
        for keyword, value in given.items():
            here = (*path, keyword)
            if keyword == "type" and isinstance(value, str) and value in TYPES:
                schema = {**schema, **TYPES[value]}
            elif keyword in KEYWORDS or keyword.startswith(("x-", "$")):
                schema[keyword] = self.keyword(keyword, value, here)
            else:
                self.unknown_keyword(keyword, given, here)
        return schema

    def keyword(self, keyword: str, value: Any, path: Path) -> Any:
        if keyword in ("properties", "$defs", "patternProperties", "dependentSchemas") and isinstance(value, Mapping):
            return {name: self.inner(one, (*path, name)) for name, one in value.items()}
        if keyword in ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"):
            return value if isinstance(value, bool) else self.inner(value, path)
        if keyword in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            return [self.inner(one, (*path, index)) for index, one in enumerate(value)]
        if found := fault_in_keyword(keyword, value, TYPES):
            self.fault(path, *found)
        return value

    def inner(self, value: Any, path: Path) -> Any:
        """A schema inside of a JSON Schema; texts are types there too."""
        if isinstance(value, bool):
            return value
        return self.json_schema(value, path) if isinstance(value, Mapping) else self.value(value, path)

    def unknown_keyword(self, keyword: str, given: Mapping[str, Any], path: Path) -> None:
        near = next(iter(get_close_matches(keyword, KEYWORDS, 1, 0.7)), None)
        if near:
            self.fault(path, f"`{keyword}` is not a word of JSON Schema", f"did you mean `{near}`?", key=True)
            return
        hint = f"a map with `type: {given['type']}` is a JSON Schema" if "type" in given else "write fields under `properties`"
        if "type" in given and isinstance(given["type"], str):
            hint += f"; for a field named `type` write: type: {given['type']}, what it is"
        self.fault(path, f"`{keyword}` is not a word of JSON Schema", hint, key=True)


def _split(text: str) -> tuple[str, str]:
    """`number, the sum` as type and description."""
    name, _, description = text.partition(",")
    return name.strip(), description.strip()


def _plain_name(path: Sequence[Any]) -> str:
    """The name in the nearest key."""
    keys = [part for part in path if isinstance(part, str)]
    return re.split(r"[?(]", keys[-1])[0].strip() if keys else "name"


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _what(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value}"'
        case list():
            return "a list"
    return "a map"
