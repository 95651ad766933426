"""The published JSON Schema of the language, for editors: composed from the kinds and the modifiers.

Draft-07, which every editor understands. A step is checked by `allOf: [{if: {required: [llm]}, then: ...}, ...]`, so
that a wrong option is named and not `no alternative fits`, and a fault is reported once, at its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiflow.language import snippets
from aiflow.language.check._fit import has_type
from aiflow.language.explain import kind_text
from aiflow.language.published import published, said
from aiflow.language.vocabulary import (
    ID_PATTERN,
    KIND_ORDER,
    LATER_OPTIONS,
    MODIFIERS,
    ONE_OF,
    RETRIED_KINDS,
    TOP,
    Word,
)
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

TITLE = "aiflow workflow"
_ALSO_BESIDE = {"else": ("switch",), "concurrency": ("parallel",)}
"""Kinds beside which a modifier may stand without its partner."""
_PARTNER_ELSEWHERE = ("on_timeout",)
"""Modifiers whose partner may stand in `defaults`."""
_BESIDE_ALL = "^x-"


def compose() -> dict[str, Any]:
    """The whole schema."""
    found = kinds()
    names = [name for name in KIND_ORDER if name in found] + [name for name in found if name not in KIND_ORDER]
    known = {name: found[name] for name in names}
    definitions: dict[str, Any] = {"step": _step(known)}
    definitions |= {f"kind-{kind.name}": _kind(kind, names) for kind in known.values()}
    options, of_kinds = defaults()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://aiflow.dev/schemas/workflow.schema.json",
        "title": TITLE,
        "description": "A durable AI pipeline: a list of steps, run from top to bottom.",
        "type": "object",
        "defaultSnippets": list(snippets.WORKFLOW),
        "properties": {name: options if name == "defaults" else _top(name, word) for name, word in TOP.items()},
        "patternProperties": {_BESIDE_ALL: {}},
        "additionalProperties": False,
        # Where a word is misspelt, that may be what is missing: one fault is enough.
        "if": _all_known(TOP),
        "then": {"required": ["steps"], "errorMessage": "this workflow has no `steps`"},
        "definitions": {**definitions, **of_kinds},
    }


def defaults() -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of `defaults`, and the definitions that it names."""
    found = kinds()
    names = [name for name in RETRIED_KINDS if name in found]
    properties: dict[str, Any] = {name: {"$ref": f"#/definitions/defaults-{name}"} for name in names}
    for modifier in ("retry", "timeout"):
        properties[modifier] = _word(modifier, MODIFIERS[modifier])
    made = {**_meaning(TOP["defaults"]), "type": "object", "properties": properties, "additionalProperties": False}
    return made, {f"defaults-{name}": _defaults_of(found[name]) for name in names}


def _defaults_of(kind: StepKind) -> dict[str, Any]:
    options = _options(kind, required=False)
    if kind.cacheable:
        options["properties"]["cache"] = _word("cache", MODIFIERS["cache"])
    return options


def render() -> str:
    """The schema as the text of its file."""
    return text_of(compose())


def text_of(schema: Mapping[str, Any]) -> str:
    """A schema as the text of a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _step_list(name: str) -> dict[str, Any]:
    """A list of steps behind a key."""
    return _steps_called(f"`{name}`")


def _steps_called(what: str) -> dict[str, Any]:
    item = {"$ref": "#/definitions/step"}
    return {"type": "array", "minItems": 1, "items": item, "errorMessage": f"{what} must be a list of steps"}


def _step(known: Mapping[str, StepKind]) -> dict[str, Any]:
    properties = {name: _word(name, word) for name, word in MODIFIERS.items()}
    for kind in known.values():
        # What a kind takes is said by its own definition; it is offered only while the step has none.
        properties[kind.name] = {**_about(kind), "doNotSuggest": True}
    return {
        "type": "object",
        "description": "One kind (what it does) and any modifiers (how it is done).",
        "properties": properties,
        "patternProperties": {_BESIDE_ALL: {}},
        "additionalProperties": False,
        "allOf": [
            *({"if": _has(name), "then": {"$ref": f"#/definitions/kind-{name}"}} for name in known),
            {"if": {"type": "object", **_any_of(known)}, "else": _without_kind(known)},
            *_partners(),
        ],
    }


def _has(name: str) -> dict[str, Any]:
    # Without the type it would be true of a step that is still empty, and every kind completed as if it were there.
    return {"type": "object", "required": [name]}


def _any_of(names: Iterable[str]) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


def _all_known(words: Iterable[str]) -> dict[str, Any]:
    return {"propertyNames": {"anyOf": [{"enum": list(words)}, {"pattern": _BESIDE_ALL}]}}


def _without_kind(known: Mapping[str, StepKind]) -> dict[str, Any]:
    """A step without a kind: each is offered, whole steps too. If all of its words are known, a kind is all that is missing."""
    nothing = {"errorMessage": f"this step says nothing to do; give it one of: {', '.join(known)}"}
    missing = {"if": _all_known(MODIFIERS), "then": {"anyOf": [{"required": [name], **nothing} for name in known]}}
    return {
        "defaultSnippets": list(snippets.STEPS),
        "properties": {kind.name: _offer(kind) for kind in known.values()},
        "allOf": [missing],
    }


def _offer(kind: StepKind) -> dict[str, Any]:
    """A kind as it is offered: what it means and what to begin with."""
    offer: dict[str, Any] = _about(kind)
    if kind.lists == "list":
        offer["type"] = "array"
    elif kind.short is None:
        required = list(kind.schema.get("required", ()))
        offer |= {"type": "object", "properties": {name: {"type": "string"} for name in required}, "required": required}
    else:
        offer["type"] = "string"
        offer |= _examples(kind)
    return offer


def _partners() -> list[dict[str, Any]]:
    """Modifiers that mean nothing alone."""
    rules = []
    for name, word in MODIFIERS.items():
        if word.partner and name not in _PARTNER_ELSEWHERE:
            fault = f"{word.names}, and this step has no `{word.partner}`"
            partners = (word.partner, *_ALSO_BESIDE.get(name, ()))
            rules.append({"if": _any_of(partners), "else": {"properties": {name: False}, "errorMessage": fault}})
    return rules


def _about(kind: StepKind) -> dict[str, Any]:
    return {"description": kind.summary, "markdownDescription": kind_text(kind)}


def _examples(kind: StepKind) -> dict[str, Any]:
    short = kind.schema.get("properties", {}).get(kind.short, {}) if kind.short else {}
    return {"examples": short["examples"]} if short.get("examples") else {}


def _kind(kind: StepKind, names: list[str]) -> dict[str, Any]:
    """What stands behind the key of one kind. Kinds that come later in the order are refused beside it: reported once."""
    later = names[names.index(kind.name) + 1 :]
    return {
        "properties": {kind.name: _value(kind), **dict.fromkeys(later, False)},
        "errorMessage": f"a step has one kind, and this one has `{kind.name}` too; make two steps",
    }


def _value(kind: StepKind) -> dict[str, Any]:
    about = {**_about(kind), **_examples(kind)}
    match kind.lists:
        case "list":
            return {**_about(kind), **_step_list(kind.name)}
        case "branches":
            names = {"pattern": f"^{ID_PATTERN}$", "errorMessage": "a branch has a name such as `left`"}
            return {**_about(kind), **_branches(kind.name), "propertyNames": names}
        case "cases":
            value = published(kind.schema["properties"]["value"], kind.name, "an expression, or a list of {if, do}")
            return {**about, "if": {"type": "array"}, "then": _conditions(), "else": _only(value)}
    if kind.whole:
        return {**published(kind.schema), **about, "errorMessage": f"`{kind.name}` must be a map of names and values"}
    long = _options(kind, required=True)
    if kind.short is None:
        return {**about, **long}
    given = kind.short_schema or kind.schema["properties"].get(kind.short, {"type": "string"})
    wants = said(given)
    short = _only(_option(given, kind.name, f"{wants}, or a map" if wants else "", fixed=kind.short in kind.fixed))
    if kind.name == "llm":
        about["examples"] = ["prompts/summarize.md", "Summarise: {{ inputs.text }}"]
    # The if tells a map from the short form, so that faults inside the map are named.
    return {**about, "if": {"type": "object"}, "then": long, "else": short}


def _only(schema: dict[str, Any]) -> dict[str, Any]:
    """Without what is said about the kind already."""
    return {key: one for key, one in schema.items() if key not in ("description", "markdownDescription", "examples")}


def _branches(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": _steps_called(f"what stands in `{name}`"),
        "errorMessage": f"`{name}` must be a map of names and lists of steps",
    }


def _conditions() -> dict[str, Any]:
    """`switch` as a list."""
    condition = {"type": ["string", "boolean"], "description": "An expression without braces. The last case may have none."}
    case = {
        "type": "object",
        "properties": {"if": condition, "do": _step_list("do")},
        "required": ["do"],
        "additionalProperties": False,
    }
    return {"type": "array", "minItems": 1, "items": case}


def _options(kind: StepKind, *, required: bool) -> dict[str, Any]:
    later = LATER_OPTIONS.get(kind.name, frozenset())
    properties = {
        name: _option(schema, name, fixed=name in kind.fixed)
        for name, schema in kind.schema.get("properties", {}).items()
        if name not in later
    }
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required and kind.schema.get("required") and kind.name not in RETRIED_KINDS:
        made |= {"title": kind.name, "required": list(kind.schema["required"])}
    return {**made, **_one_of(kind, required)}


def _one_of(kind: StepKind, required: bool) -> dict[str, Any]:
    """Options that exclude each other."""
    words, needed = ONE_OF.get(kind.name, ((), False))
    said = " or ".join(f"`{word}`" for word in words)
    made: dict[str, Any] = {}
    if words and needed and required:
        made["anyOf"] = [{"required": [word], "errorMessage": f"`{kind.name}` needs {said}"} for word in words]
    if words:
        rules = []
        for place, word in enumerate(words[:-1]):
            others = dict.fromkeys(words[place + 1 :], False)
            fault = f"`{kind.name}` takes {said}, not both"
            rules.append({"if": {"required": [word]}, "then": {"properties": others, "errorMessage": fault}})
        made["allOf"] = rules
    return made


def _option(schema: Mapping[str, Any], name: str, wants: str = "", *, fixed: bool) -> dict[str, Any]:
    """The schema of an option, with a template allowed where it wants no text."""
    any_text = has_type("", schema.get("type")) and not {"anyOf", "enum", "pattern", "format"} & schema.keys()
    says_nothing = not {"type", "anyOf", "enum", "oneOf", "const"} & schema.keys()
    return published(schema, name, wants, templates=not (fixed or any_text or says_nothing))


def _word(name: str, word: Word) -> dict[str, Any]:
    made: dict[str, Any]
    if name == "else":
        made = _step_list(name)
    elif name in ("on_error", "on_timeout"):
        choice = {**word.schema["anyOf"][0], "title": "a word", "errorMessage": f"`{name}` must be {word.wants}"}
        made = {"anyOf": [choice, {"title": "steps", **_step_list(name)}]}
    elif name == "cases":
        made = _branches(name)
    elif name in ("id", "as"):
        made = {"type": "string", "pattern": f"^{ID_PATTERN}$", "errorMessage": f"`{name}` must be {word.wants}: a-z, 0-9, _"}
    else:
        made = published(word.schema, name, word.wants)
    return {**_meaning(word), **made}


def _meaning(word: Word) -> dict[str, Any]:
    made: dict[str, Any] = {"description": word.text}
    if "`" in word.text:
        made["markdownDescription"] = word.text
    if word.examples:
        made["examples"] = list(word.examples)
    return made


def _top(name: str, word: Word) -> dict[str, Any]:
    if name in ("steps", "on_error", "finally"):
        first = {"defaultSnippets": [snippets.FIRST_STEP]} if name == "steps" else {}
        return {**_meaning(word), **_step_list(name), **first}
    made = {**published(word.schema, name, word.wants), **_meaning(word)}
    if name == "name":
        made["pattern"] = f"^{ID_PATTERN}$"
        made["errorMessage"] = f"`name` must be {word.wants}: a-z, 0-9, _"
    return made
