"""Whether a value fits a JSON Schema, and if not, sentences for people.

jsonschema does the work; it is imported when a value or schema needs it, since that costs a tenth of a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiflow.durations import parse_duration, parse_moment
from aiflow.values import Value, plain, type_name

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError

_LONGEST = 60  # characters of a value that a sentence shows
_WORDS = {
    "string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "a map", "null": "null",
}  # fmt: skip
_FORMATS = {
    "date": "a date such as 2026-03-01",
    "date-time": "a time with zone such as 2026-03-01T09:00:00Z",
    "duration": "a duration such as 30s, 1h30m or P3D",
    "uri": "a URL such as https://example.com/",
    "email": "an email address",
}
_PLAIN_KEYS = frozenset({"type", "description", "default", "title", "examples", "writeOnly"})


@dataclass(frozen=True, slots=True)
class Misfit:
    """`where` (`lead.tags[0]`) with `path`, keys and indexes below the value; what is wrong; what to do about it."""

    path: tuple[Any, ...]
    where: str
    message: str
    hint: str = ""


def misfits(value: Value, schema: Mapping[str, Any], name: str, *, more_fields: bool = False) -> list[Misfit]:
    """Everything in which the value does not fit, none if it does.

    Args:
        name: of the value in the sentences.
        more_fields: fields that the schema does not know are fine.
    """
    if fits_plainly(value, schema):
        return []
    found: list[Misfit] = []
    for error in _errors(plain(value), schema):
        if not (more_fields and error.validator == "additionalProperties"):
            found.append(_misfit(error, name))
    return found


def fits_plainly(value: Value, schema: Mapping[str, Any]) -> bool:
    """Whether the value certainly fits; for the schemas that most inputs have."""
    if schema.keys() - _PLAIN_KEYS:
        return False
    kind = schema.get("type")
    if kind is None:
        return True
    names = [kind] if isinstance(kind, str) else kind
    match value:
        case None:
            return "null" in names
        case bool():
            return "boolean" in names
        case int():
            return "integer" in names or "number" in names
        case float():
            return "number" in names
        case str():
            return "string" in names
    return False


def _errors(value: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    from jsonschema.exceptions import ValidationError
    from referencing.exceptions import Unresolvable

    validator = _validator(json.dumps(schema, sort_keys=True, default=str))
    try:
        yield from sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    except Unresolvable as error:
        yield ValidationError(f"the schema refers to `{error.ref}`, which does not exist", schema=dict(schema))
    except RecursionError:
        yield ValidationError("the value is nested too deep", schema=dict(schema))


@lru_cache(256)
def _validator(schema: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An empty registry: nothing is ever fetched.
    return Draft202012Validator(json.loads(schema), format_checker=_formats(), registry=Registry())


@lru_cache(1)
def _formats() -> FormatChecker:
    from jsonschema import FormatChecker

    checker = FormatChecker()
    for name, check in {"date-time": parse_moment, "duration": parse_duration}.items():
        checker.checks(name, raises=ValueError)(_only_texts(check))
    checker.checks("uri")(
        lambda value: not isinstance(value, str) or bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:(//[^\s/]+)?\S+", value))
    )
    checker.checks("email")(lambda value: not isinstance(value, str) or bool(re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", value)))
    return checker


def _only_texts(check: Any) -> Any:
    return lambda value: not isinstance(value, str) or check(value) is not None


def _misfit(error: ValidationError, name: str) -> Misfit:
    path = tuple(error.absolute_path)
    secret = isinstance(error.schema, Mapping) and error.schema.get("x-aiflow-type") == "secret"
    message, hint = _sentence(error, "a secret text" if secret else shown(error.instance))
    if error.validator == "required":
        missing = _missing(error)
        return Misfit((*path, missing), where((*path, missing), name), "is missing", hint)
    return Misfit(path, where(path, name), message, hint)


def where(path: tuple[Any, ...], name: str) -> str:
    """`lead.tags[0]`"""
    return name + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def shown(value: Any) -> str:
    """A value in a sentence: `the text "ten"`, `a list`."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            text = value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "..."
            return f"the text {json.dumps(text, ensure_ascii=False)}" if value else "an empty text"
        case int() | float():
            return str(value)
    return f"a {type_name(value)}"


def wanted(schema: Mapping[str, Any]) -> str:
    """What a schema asks for, in words: `an integer`, `one of a, b`."""
    if schema.get("x-aiflow-type") == "file":
        return "the path of a file"
    if "enum" in schema:
        return "one of " + ", ".join(_literal(value) for value in schema["enum"] if value is not None)
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    kind = schema.get("type")
    names = [kind] if isinstance(kind, str) else list(kind or ())
    return " or ".join(_WORDS[name] for name in names if name in _WORDS) or "another value"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _sentence(error: ValidationError, is_: str) -> tuple[str, str]:
    limit: Any = error.validator_value
    value: Any = error.instance
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    match error.validator:
        case "type":
            return f"must be {wanted(schema)}, this is {is_}", ""
        case "enum" | "const":
            values = limit if error.validator == "enum" else [limit]
            near = _near(error.instance, [value for value in values if isinstance(value, str)])
            return f"must be {wanted({'enum': values})}, this is {is_}", near
        case "format":
            return f"must be {_FORMATS.get(str(limit), f'a text of the form {limit}')}, this is {is_}", ""
        case "minimum" | "exclusiveMinimum":
            return f"must be {'at least' if error.validator == 'minimum' else 'more than'} {limit}, this is {is_}", ""
        case "maximum" | "exclusiveMaximum":
            return f"must be {'at most' if error.validator == 'maximum' else 'less than'} {limit}, this is {is_}", ""
        case "multipleOf":
            return f"must be a multiple of {limit}, this is {is_}", ""
        case "minLength" | "maxLength":
            bound = "at least" if error.validator == "minLength" else "at most"
            return f"must have {bound} {limit} characters, this has {len(value)}", ""
        case "minItems" | "maxItems":
            bound = "at least" if error.validator == "minItems" else "at most"
            return f"must have {bound} {limit} items, this has {len(value)}", ""
        case "uniqueItems":
            return "must not hold the same item twice", ""
        case "pattern":
            return f"must match {limit}, this is {is_}", ""
        case "additionalProperties":
            return _unknown_field(error, schema)
        case "anyOf" | "oneOf":
            return _alternatives(error, is_)
        case "required":
            return "is missing", ""
    return error.message[:200], ""


def _unknown_field(error: ValidationError, schema: Mapping[str, Any]) -> tuple[str, str]:
    known = list(schema.get("properties", {}))
    value: Any = error.instance
    unknown = [key for key in value if key not in known]
    names = ", ".join(f"`{key}`" for key in unknown[:3])
    hint = _near(unknown[0], known) if unknown else ""
    return f"has no field {names}", hint or ("fields: " + ", ".join(known) if known else "")


def _alternatives(error: ValidationError, is_: str) -> tuple[str, str]:
    limit: Any = error.validator_value
    options = [one for one in limit if isinstance(one, Mapping)]
    words = list(dict.fromkeys(wanted(one) for one in options))
    deeper = min(error.context or (), key=lambda inner: -len(inner.absolute_path), default=None)
    hint = ""
    if deeper is not None and len(deeper.absolute_path) > len(error.absolute_path):
        path = tuple(deeper.absolute_path)[len(error.absolute_path) :]
        hint = f"closest: {where(path, '').lstrip('.')} {_sentence(deeper, shown(deeper.instance))[0]}"
    return f"must be {' or '.join(words)}, this is {is_}", hint


def _missing(error: ValidationError) -> str:
    names: Any = error.validator_value
    value: Any = error.instance
    return next((name for name in names if repr(name) in error.message and name not in value), "")


def _near(word: Any, words: list[str]) -> str:
    near = get_close_matches(word, words, 1, 0.6) if isinstance(word, str) else []
    return f"did you mean `{near[0]}`?" if near else ""
