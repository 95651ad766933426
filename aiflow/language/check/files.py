"""Files: inputs that are declared well, prompts and schemas that exist, and what is handed to a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from aiflow.errors import SpecError
from aiflow.language.check import _schemas as schemas
from aiflow.language.check._fit import has_template, has_type, misfits
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import listed, nearest, said
from aiflow.language.config import long_form
from aiflow.language.definitions import SCHEMA_SUFFIXES
from aiflow.language.inputs import default_faults
from aiflow.language.picoschema import PicoschemaError, read_picoschema
from aiflow.language.prompts import Prompt
from aiflow.language.tree import Node, Path

_WORDS = {
    "string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "a map",
}  # fmt: skip


def check(look: Inspection) -> None:
    """All faults of what the workflow names, those inside prompt files included."""
    _inputs(look)
    _schema(look, ("defaults", "llm", "schema"), _dig(look.data, "defaults", "llm", "schema"))
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name == "llm":
            _llm(look, node)
    look.problems.extend(look.definitions.problems)


def _inputs(look: Inspection) -> None:
    if look.definitions.inputs is None or not isinstance(look.data.get("inputs"), dict):
        return
    for fault in look.definitions.input_faults:
        _pico_fault(look, ("inputs",), fault)
    for name, message in default_faults(look.definitions.inputs).items():
        written = look.data["inputs"].get(name)
        if isinstance(written, dict) and "default" in written:
            schema = look.definitions.inputs["properties"][name]
            look.at_value(("inputs", name, "default"), message, "wrong-default", _default_hint(schema, written["default"]))


def _default_hint(schema: Mapping[str, Any], given: Any) -> str:
    choices = schema.get("enum")
    if isinstance(choices, list):
        near = nearest(str(given), [str(one) for one in choices])
        return f"did you mean `{near}`?" if near else ""
    return "write a default that fits, or leave it out"


def _pico_fault(look: Inspection, path: Path, fault: PicoschemaError) -> None:
    where = (*path, *fault.path)
    (look.at_key if fault.key else look.at_value)(where, fault.message, fault.code, fault.hint)


def _llm(look: Inspection, node: Node) -> None:
    assert node.kind is not None
    path: Path = (*node.path, "llm")
    value = node.data["llm"]
    if look.is_wrong(path):
        return
    config = long_form(node.kind, value, look.file.parent)
    long = isinstance(value, dict)
    if long:
        _schema(look, (*path, "schema"), config.get("schema"))
    written = config.get("prompt")
    if not isinstance(written, str):
        return
    where = (*path, "prompt") if long else path
    if has_template(written):
        look.at_value(where, "the path of a prompt cannot contain a template: it is checked before the run", "fixed-option",
                      "write the path as it is; choose between prompts with `if` and `else`")  # fmt: skip
        return
    target = look.definitions.locate(written)
    if not target.is_file():
        _missing(look, where, written, target)
        return
    prompt = look.definitions.prompt_at(written)
    if prompt is not None:
        _handed_over(look, node, prompt, written, path)


def _missing(look: Inspection, where: Path, written: str, target: FilePath) -> None:
    shown = look.definitions.shown(target)
    if target.is_dir():
        look.at_value(where, f"{shown} is a folder, not a file", "missing-file", _nearest_file(written, target))
        return
    look.at_value(where, f"{shown} does not exist", "missing-file", _nearest_file(written, target))


def _nearest_file(written: str, target: FilePath) -> str:
    """The file that was probably meant: a similar name in that folder, or that name in a folder nearby."""
    folder = target if target.is_dir() else target.parent
    names = sorted(one.name for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []
    near = nearest(target.name, names)
    if near:
        head = written.rstrip("/").rpartition("/")[0] if not target.is_dir() else written.rstrip("/")
        return f"did you mean {head}/{near}?" if head else f"did you mean {near}?"
    base = target
    for _ in range(written.count("/") + 1):
        base = base.parent
    for place in ("prompts", ".", "workflows/prompts"):
        if (base / place / target.name).is_file() and base.is_dir():
            return f"did you mean {target.name if place == '.' else f'{place}/{target.name}'}?"
    return (
        f"paths of prompts start at the folder of this file; in {folder.name}/ there are: {listed(names[:8])}"
        if names
        else ("paths of prompts start at the folder of this file")
    )


def _handed_over(look: Inspection, node: Node, prompt: Prompt, written: str, path: Path) -> None:
    """`with` against the inputs of the prompt."""
    given = node.data.get("with")
    if "with" in node.meant or (given is not None and not isinstance(given, dict)):
        return
    given = given or {}
    declared: Mapping[str, Any] = prompt.inputs.get("properties", {})
    unknown = [key for key in given if key not in declared]
    needed = [name for name in prompt.inputs.get("required", ()) if name not in given and not _has_default(declared, name)]
    if not prompt.inputs.get("additionalProperties"):
        for key in unknown:
            hint = f"remove it, or declare it in the front matter (inputs there: {listed(declared)})"
            near = nearest(str(key), needed)
            hint = f"did you mean `{near}`?" if near else hint
            look.at_key((*node.path, "with", key), f"{written} has no input `{key}`", "prompt-input-unknown", hint)
            needed = [name for name in needed if name != near]
    if needed:
        _needed(look, written, needed, declared, path, bool(given))
    for key, value in given.items():
        if key in declared:
            _value(look, (*node.path, "with", key), key, value, declared[key], written)


def _has_default(declared: Mapping[str, Any], name: str) -> bool:
    schema = declared.get(name)
    return isinstance(schema, Mapping) and "default" in schema


def _needed(look: Inspection, written: str, needed: list[str], declared: Mapping[str, Any], path: Path, some: bool) -> None:
    names = [f"`{name}`{_type(declared.get(name))}" for name in needed]
    what = f"the input {names[0]}" if len(names) == 1 else f"the inputs {' and '.join(names)}"
    template = ", ".join(f'{name}: "{{{{ ... }}}}"' for name in needed)
    hint = f"add to `with`: {template}" if some else f"add: with: {{{template}}}"
    look.at_key(path, f"{written} needs {what}", "prompt-input-missing", hint)


def _type(schema: Any) -> str:
    name = schema.get("x-aiflow-type") or schema.get("type") if isinstance(schema, Mapping) else None
    return f" ({name})" if isinstance(name, str) else ""


def _value(look: Inspection, path: Path, key: str, value: Any, schema: Any, written: str) -> None:
    """A value against the type that the prompt wants, as far as both are known."""
    schema = schemas.plain(schema)
    if schema is None or schema.get("x-aiflow-type") == "file" or value is None:
        return
    if isinstance(value, str) and has_template(value):
        _expression(look, path, key, schema, written)
        return
    wrong = next(iter(misfits(value, schema, templates=True)), None)
    if wrong is None:
        return
    wants = _WORDS.get(str(schema.get("type")), wrong.wants)
    hint = _number_words(str(value), key) if isinstance(value, str) and schema.get("type") in ("integer", "number") else ""
    if schema.get("type") == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        hint = f'write: {key}: "{value}"'
    if has_type(value, schema.get("type")):
        wants = wrong.wants or wants
    look.at_value(path, f"{written} wants {wants} for `{key}`, this is {said(value)}", "prompt-input-type", hint)


def _expression(look: Inspection, path: Path, key: str, schema: Mapping[str, Any], written: str) -> None:
    site = look.site_at.get(path)
    if site is None or site.tree is None or not site.is_whole:
        return
    found, wanted = schemas.kind(look.types.of(site.tree, site)), schemas.kind(schema)
    if found in (None, "null", wanted) or wanted in (None, "null") or {found, wanted} <= {"integer", "number"}:
        return
    message = f"{written} wants {_WORDS.get(str(wanted), wanted)} for `{key}`, this is {schemas.say({'type': found})}"
    hint = {"string": f"write it as text, for example with the filter {'join' if found == 'array' else 'string'}"}.get(
        str(wanted), ""
    )
    if wanted in ("integer", "number") and found == "string":
        hint = f"if it holds a number, use the filter {'int' if wanted == 'integer' else 'float'}"
    look.at_value(path, message, "prompt-input-type", hint)


def _number_words(value: str, key: str) -> str:
    words = "zero one two three four five six seven eight nine ten eleven twelve".split()
    if value.lower() in words:
        return f"write: {key}: {words.index(value.lower())}"
    try:
        return f"write: {key}: {float(value):g}"
    except ValueError:
        return ""


def _schema(look: Inspection, path: Path, given: Any) -> None:
    """The `schema` of a step: a type that can be read, or a file that holds one."""
    if given is None or look.is_wrong(path):
        return
    if isinstance(given, str) and has_template(given):
        look.at_value(path, "a schema cannot contain a template: it is checked before the run", "fixed-option")
        return
    if isinstance(given, str) and (given.endswith(SCHEMA_SUFFIXES) or "/" in given):
        _schema_file(look, path, given)
        return
    _, faults = read_picoschema(given)
    for fault in faults:
        _pico_fault(look, path, fault)


def _schema_file(look: Inspection, path: Path, given: str) -> None:
    target = look.definitions.locate(given)
    if not target.is_file():
        _missing(look, path, given, target)
        return
    try:
        look.definitions.schema_of(given)
    except SpecError as error:
        look.problems.extend(error.problems)
        look.wrong.add(path)
    except PicoschemaError as error:
        look.at_value(path, f"{look.definitions.shown(target)}: {error.message}", "schema", error.hint)
    except OSError as error:
        look.at_value(path, f"{look.definitions.shown(target)} cannot be read: {error.strerror}", "missing-file")


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
