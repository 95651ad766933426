"""Files: inputs that are declared well, prompts and schemas that exist, and what is handed to a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.errors import SpecError
from aiflow.language.check._fit import has_template
from aiflow.language.check._handed import Wants, handed_over
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._paths import say_missing
from aiflow.language.check._words import nearest
from aiflow.language.config import long_form
from aiflow.language.definitions import SCHEMA_SUFFIXES
from aiflow.language.inputs import default_faults
from aiflow.language.picoschema import PicoschemaError, read_picoschema
from aiflow.language.tree import Node, Path


def check(look: Inspection) -> None:
    """All faults of what the workflow names; those inside of these files are with `look.definitions`."""
    _inputs(look)
    _schema(look, ("defaults", "llm", "schema"), _dig(look.data, "defaults", "llm", "schema"))
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name == "llm":
            _llm(look, node)
        elif node.kind is not None and node.kind.name == "approve":
            _form(look, node)


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


def _form(look: Inspection, node: Node) -> None:
    """The answers that a person is asked for."""
    value = node.data["approve"]
    path: Path = (*node.path, "approve", "form")
    if isinstance(value, dict) and isinstance(value.get("form"), dict) and not look.is_wrong(path):
        for fault in read_picoschema(value["form"])[1]:
            _pico_fault(look, path, fault)


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
        _no_suffix(look, path, value)
        return
    where = (*path, "prompt") if long else path
    if has_template(written):
        look.at_value(where, "the path of a prompt cannot contain a template: it is checked before the run", "fixed-option",
                      "write the path as it is; choose between prompts with `if` and `else`")  # fmt: skip
        return
    target = look.definitions.locate(written)
    if not target.is_file():
        say_missing(look, where, written, target, "prompts")
        return
    prompt = look.definitions.prompt_at(written)
    if prompt is not None:
        handed_over(look, node, Wants(written, "prompt-input", prompt.inputs, "declare it in the front matter"))


def _no_suffix(look: Inspection, path: Path, text: Any) -> None:
    """A prompt that is the path of a prompt but for its suffix: the model would be asked the path."""
    if isinstance(text, str) and "/" in text and text.split() == [text] and not has_template(text):
        if look.definitions.locate(f"{text}.md").is_file():
            look.at_value(path, f"this is the text `{text}`, not the file {text}.md", "missing-file", f"write: llm: {text}.md")


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
        say_missing(look, path, given, target, "schemas")
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
