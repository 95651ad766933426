"""What a step hands over in `with`, against what is wanted: by a prompt, an email, a called workflow, a Python function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiflow.language.check import _schemas as schemas
from aiflow.language.check._fit import has_template, has_type, misfits
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import listed, nearest, said
from aiflow.language.tree import Node, Path

_WORDS = {
    "string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "a map",
}  # fmt: skip
_TO_TEXT = {"array": "join", "object": "json"}
_COUNTED = "zero one two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True)
class Wants:
    """Who takes the values, and what they must be.

    Attributes:
        name: for messages, e.g. `prompts/summarize.md`.  code: the beginning of the codes, e.g. `prompt-input`.
        inputs: JSON Schema of an object.  declare: where an input can be declared, completes "remove it, or ...".
        always_whole: whether hints show all of `with`, also where there is some already.
    """

    name: str
    code: str
    inputs: Mapping[str, Any]
    declare: str
    always_whole: bool = False


def handed_over(look: Inspection, node: Node, wants: Wants) -> None:
    """All faults of `with`."""
    assert node.kind is not None
    given = node.data.get("with")
    if "with" in node.meant or (given is not None and not isinstance(given, dict)):
        return
    given = given or {}
    declared: Mapping[str, Any] = wants.inputs.get("properties", {})
    needed = [name for name in wants.inputs.get("required", ()) if name not in given and not _has_default(declared, name)]
    if not wants.inputs.get("additionalProperties"):
        needed = _unknown(look, node, wants, given, declared, needed)
    if needed:
        _needed(look, (*node.path, node.kind.name), wants, needed, declared, bool(given))
    for key, value in given.items():
        if key in declared:
            check_value(look, (*node.path, "with", key), key, value, declared[key], wants.name, f"{wants.code}-type")


def _unknown(
    look: Inspection, node: Node, wants: Wants, given: Mapping[str, Any], declared: Mapping[str, Any], needed: list[str]
) -> list[str]:
    """Report names that nobody takes; gives the needed ones that they do not stand for."""
    for key in [key for key in given if key not in declared]:
        near = nearest(str(key), needed) or nearest(str(key), [name for name in declared if name not in given])
        names = f"inputs there: {listed(declared)}" if declared else "it has no inputs yet"
        hint = f"did you mean `{near}`?" if near else f"remove it, or {wants.declare} ({names})"
        look.at_key((*node.path, "with", key), f"{wants.name} has no input `{key}`", f"{wants.code}-unknown", hint)
        needed = [name for name in needed if name != near]
    return needed


def _has_default(declared: Mapping[str, Any], name: str) -> bool:
    schema = declared.get(name)
    return isinstance(schema, Mapping) and "default" in schema


def _needed(look: Inspection, path: Path, wants: Wants, needed: list[str], declared: Mapping[str, Any], some: bool) -> None:
    names = [f"`{name}`{_type(declared.get(name))}" for name in needed]
    what = f"the input {names[0]}" if len(names) == 1 else f"the inputs {' and '.join(names)}"
    template = ", ".join(f'{name}: "{{{{ ... }}}}"' for name in needed)
    hint = f"add to `with`: {template}" if some and not wants.always_whole else f"add: with: {{{template}}}"
    look.at_key(path, f"{wants.name} needs {what}", f"{wants.code}-missing", hint)


def _type(schema: Any) -> str:
    name = schema.get("x-aiflow-type") or schema.get("type") if isinstance(schema, Mapping) else None
    return f" ({name})" if isinstance(name, str) else ""


def check_value(look: Inspection, path: Path, key: str, value: Any, schema: Any, taker: str, code: str) -> None:
    """A value against the type that the taker wants, as far as both are known."""
    schema = schemas.plain(schema)
    if schema is None or schema.get("x-aiflow-type") == "file" or value is None or look.is_wrong(path):
        return
    if isinstance(value, str) and has_template(value):
        _expression(look, path, key, schema, taker, code)
        return
    wrong = next(iter(misfits(value, schema, templates=True)), None)
    if wrong is None:
        return
    wants = _WORDS.get(str(schema.get("type")), wrong.wants)
    hint = _number_words(str(value), key) if isinstance(value, str) and schema.get("type") in ("integer", "number") else ""
    if schema.get("type") == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        hint = f'write: {key}: "{value}"'
    if schema.get("type") == "array" and not isinstance(value, (list, dict)):
        hint = f"write: {key}: [{value}]" if ":" not in str(value) else ""
    if has_type(value, schema.get("type")):
        wants = wrong.wants or wants
        near = nearest(value, [one for one in wrong.known if isinstance(one, str)]) if isinstance(value, str) else None
        hint = f"did you mean `{near}`?" if near else hint
    where = (*path, *wrong.path) if wrong.path and wrong.what not in ("missing", "unknown") else path
    if where != path or wrong.what in ("missing", "unknown"):
        _inside(look, path, key, wrong, value, taker, code)
        return
    look.at_value(path, f"{taker} wants {wants} for `{key}`, this is {said(value)}", code, hint)


def _inside(look: Inspection, path: Path, key: str, wrong: Any, value: Any, taker: str, code: str) -> None:
    """A fault inside a map or list that is handed over."""
    steps = wrong.path[:-1] if wrong.what == "unknown" else wrong.path
    name = key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in steps)
    if wrong.what == "unknown":
        near = nearest(wrong.name, [one for one in wrong.known if isinstance(one, str)])
        hint = f"did you mean `{near}`?" if near else f"it has: {listed(map(str, wrong.known))}"
        look.at_key((*path, *wrong.path), f"{taker} knows no `{wrong.name}` in `{name}`", code, hint)
        return
    if wrong.what == "missing":
        look.at_value(
            (*path, *wrong.path), f"{taker} wants `{wrong.name}` in `{name}`", code, f"add: {wrong.name}: ...", length=1
        )
        return
    inner: Any = value
    for part in wrong.path:
        inner = inner[part]
    look.at_value((*path, *wrong.path), f"{taker} wants {wrong.wants} for `{name}`, this is {said(inner)}", code)


def _expression(look: Inspection, path: Path, key: str, schema: Mapping[str, Any], taker: str, code: str) -> None:
    site = look.site_at.get(path)
    if site is None or site.tree is None:
        return
    wanted = schemas.kind(schema)
    if not site.is_whole:
        found: str | None = "string"
    else:
        made = look.types.of(site.tree, site)
        found = schemas.kind(made)
        if made is schemas.FILE and wanted == "string":
            hint = f"for its place write: {site.text.strip()[:-2].strip()}.path }}}}"
            look.at_value(path, f"{taker} wants a text for `{key}`, this is a file", code, hint)
            return
    if found in (None, "null", wanted) or wanted in (None, "null") or {found, wanted} == {"integer", "number"}:
        return
    message = f"{taker} wants {_WORDS.get(str(wanted), wanted)} for `{key}`, this is {schemas.say({'type': found})}"
    look.at_value(path, message, code, _convert(str(wanted), str(found), site.is_whole))


def _convert(wanted: str, found: str, whole: bool) -> str:
    if not whole:
        return "a text with braces in it is a text; to keep the type write one {{ }} and nothing else"
    if wanted == "string":
        return f"write it as text, for example with the filter {_TO_TEXT.get(found, 'string')}"
    if wanted in ("integer", "number") and found == "string":
        return f"if it holds a number, use the filter {'int' if wanted == 'integer' else 'float'}"
    if wanted in ("integer", "number") and found == "array":
        return "for its length use the filter length"
    return ""


def _number_words(value: str, key: str) -> str:
    if value.lower() in _COUNTED:
        return f"write: {key}: {_COUNTED.index(value.lower())}"
    try:
        return f"write: {key}: {float(value):g}"
    except ValueError:
        return ""
