"""Shape: known keys, exactly one kind, partners, types of what is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._fit import has_template, has_type, misfits
from aiflow.language.check._shape_words import (
    hint_for_kind,
    kind_names,
    say_misfit,
    unknown_option,
    unknown_step_key,
    unknown_top_key,
)
from aiflow.language.check._words import block, flow, nearest, said
from aiflow.language.config import kind_defaults, modifier_default
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import (
    FOREIGN_STEP,
    LATER_KINDS,
    LATER_MODIFIERS,
    LATER_OPTIONS,
    LATER_TOP,
    MODIFIERS,
    RETRIED_KINDS,
    TOP,
    Word,
)
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

_LISTS = ("else", "on_error", "on_timeout")


def check(look: Inspection) -> None:
    """All faults of shape."""
    data = look.doc.data
    if not isinstance(data, dict):
        _not_a_map(look)
        return
    _top_keys(look, data)
    _defaults(look, data.get("defaults"))
    for name in ("steps", "on_error", "finally"):
        if name in data:
            _steps(look, data[name], (name,), name)
    for node in look.tree.nodes:
        _step(look, node)


def _not_a_map(look: Inspection) -> None:
    what = "a list" if isinstance(look.doc.data, list) else said(look.doc.data)
    look.at_value((), f"a workflow is a map of keys such as `steps`, this is {what}", "wrong-type", "write: steps:\n        - ...")


def _top_keys(look: Inspection, data: Mapping[str, Any]) -> None:
    meant = set()
    for key, value in data.items():
        path = (key,)
        if key in TOP:
            if key not in ("steps", "on_error", "finally", "defaults"):
                _value(look, path, key, TOP[key], value)
        elif key in LATER_TOP:
            _not_yet(look, path, key)
        elif not str(key).startswith("x-"):
            meant.add(unknown_top_key(look, key, value, data))
    if "steps" not in data and "steps" not in meant:
        look.at_key((), "this workflow has no `steps`", "missing-key", "add: steps:\n        - ...", length=1)
    elif "steps" in data and data["steps"] == []:
        look.at_value(("steps",), "this workflow has no steps", "missing-key", "write: steps:\n        - ...")


def _steps(look: Inspection, steps: Any, path: Path, word: str) -> None:
    """A list of steps: that it is one, and that what is in it are steps."""
    if not isinstance(steps, list):
        _no_list(look, steps, path, word)
        return
    if not steps and word != "steps":
        look.at_value(path, f"`{word}` has no steps", "wrong-type", "write a step, or remove it")
    for index, step in enumerate(steps):
        if isinstance(step, dict) and step:
            continue
        what = "an empty map" if step == {} else "nothing" if step is None else said(step)
        hint = ""
        if isinstance(step, str):
            near = nearest(step.split(":")[0], [*kinds(), *MODIFIERS])
            hint = f"write: - {near}: ..." if near else "write for example: - llm: prompts/summarize.md"
        elif isinstance(step, list):
            hint = "one list is enough; for a block write: - do: [...]"
        look.at_value((*path, index), f"a step is a map such as `llm: ...`, this is {what}", "wrong-type", hint)


def _no_list(look: Inspection, steps: Any, path: Path, word: str) -> None:
    if isinstance(steps, dict) and steps:
        key, value = next(iter(steps.items()))
        if any(one in kinds() or one in MODIFIERS or one in LATER_KINDS for one in steps):
            look.at_value(
                path,
                f"`{word}` must be a list of steps, this is one step",
                "list-expected",
                f"put a dash before it: - {key}: {flow(value)}",
                length=len(str(key)),
            )
            return
        hint = f"give each step a dash; a name goes into `id`: - id: {key}"
        look.at_value(path, f"`{word}` must be a list of steps, this is a map", "list-expected", hint, length=len(str(key)))
        return
    choices = "`continue`, `stop`, or " if word in ("on_error", "on_timeout") and len(path) > 1 else ""
    look.at_value(
        path, f"`{word}` must be {choices}a list of steps, this is {said(steps)}", "list-expected", f"write: {word}:\n        - ..."
    )


def _step(look: Inspection, node: Node) -> None:
    known = kinds()
    present = [key for key in node.data if key in known]
    meant: set[str] = set()
    for key, value in node.data.items():
        path = (*node.path, key)
        if key in known:
            continue
        if key in MODIFIERS:
            _modifier(look, node, path, key, value)
        elif key in LATER_KINDS or (key in LATER_MODIFIERS and not (key == "cases" and "switch" in node.data)):
            _not_yet(look, path, key)
            meant.add(key)
        elif not (isinstance(key, str) and key.startswith("x-")):
            meant.add(unknown_step_key(look, node, key, value) or "")
    later = meant & LATER_KINDS
    if not present and not later and not meant & known.keys() and "" not in meant - set(MODIFIERS):
        _no_kind(look, node)
    elif len(present) > 1:
        _two_kinds(look, node, present)
    if present:
        _kind(look, node, known[present[0]])
    _partners(look, node)


def _no_kind(look: Inspection, node: Node) -> None:
    look.at_key(
        node.path, f"{node.called()} says nothing to do", "no-kind", f"give it one of: {', '.join(kind_names())}", length=2
    )
    look.wrong.add(node.path)


def _two_kinds(look: Inspection, node: Node, present: list[str]) -> None:
    first, second = present[0], present[1]
    lines = []
    for which in present:
        keys = [which]
        if which == first:
            keys = [key for key in node.data if key not in present[1:]]
        for place, key in enumerate(keys):
            lines.append(block(key, node.data[key], "        - " if place == 0 else "          "))
    hint = "\n".join([f"make {'two' if len(present) == 2 else len(present)} steps:", *lines])
    look.at_key((*node.path, second), f"{node.called()} has two kinds, `{first}` and `{second}`", "two-kinds", hint)
    look.wrong.add((*node.path, second))


def _modifier(look: Inspection, node: Node, path: Path, key: str, value: Any) -> None:
    word = MODIFIERS[key]
    if key in _LISTS and not (key != "else" and value in ("continue", "stop")):
        if isinstance(value, str) and (near := nearest(value, ("continue", "stop"))) and key != "else":
            look.at_value(path, f"`{key}` must be {word.wants}, not `{value}`", "wrong-type", f"did you mean `{near}`?")
        else:
            _steps(look, value, path, key)
    elif key == "throttle" and isinstance(value, str):
        return
    elif key == "id":
        return
    else:
        _value(look, path, key, word, value)


def _value(look: Inspection, path: Path, key: str, word: Word, value: Any) -> None:
    """A value against the schema of its word. The first misfit is enough."""
    if isinstance(value, str) and has_template(value) and not has_type(value, "string"):
        return
    templates = key == "with"
    if value is None and not has_type(None, word.schema.get("type")):
        hint = f"write: {key}: {word.write}" if word.write else "give it a value, or remove it"
        look.at_value(path, f"`{key}` has no value", "wrong-type", hint)
        return
    for misfit in misfits(value, word.schema, templates=templates):
        say_misfit(look, (*path, *misfit.path), misfit, key, word, _at(value, misfit.path), whole=not misfit.path)
        return


def _at(value: Any, path: Path) -> Any:
    for part in path:
        if not isinstance(value, (dict, list)) or (isinstance(value, dict) and part not in value):
            return None
        value = value[part]  # type: ignore[index]
    return value


def _kind(look: Inspection, node: Node, kind: StepKind) -> None:
    path, value = (*node.path, kind.name), node.data[kind.name]
    if kind.lists and not isinstance(value, dict):
        _steps(look, value, path, kind.name)
        return
    if kind.lists and not any(word in value for word in kind.lists):
        _no_list(look, value, path, kind.name)
        return
    if kind.whole:
        if not isinstance(value, dict):
            look.at_value(path, f"`{kind.name}` must be a map of values, this is {said(value)}", "wrong-type",
                          f"write: {kind.name}: {{name: {flow(value)}}}")  # fmt: skip
        return
    if isinstance(value, dict) and (kind.short_schema or {}).get("type") != "object":
        _options(look, node, kind, value, path)
    else:
        _short(look, kind, value, path)


def _short(look: Inspection, kind: StepKind, value: Any, path: Path) -> None:
    if kind.short is None:
        options = ", ".join(kind.schema.get("required", ())) or ", ".join(list(kind.schema.get("properties", {}))[:3])
        look.at_value(path, f"`{kind.name}` must be a map of options ({options} ...), this is {said(value)}", "wrong-type")
        return
    schema = kind.short_schema or kind.schema.get("properties", {}).get(kind.short, {})
    word = Word(schema, "")
    if value is None:
        look.at_value(path, f"`{kind.name}` has no value", "wrong-type", hint_for_kind(kind))
        return
    for misfit in misfits(value, schema, templates=True):
        say_misfit(look, (*path, *misfit.path), misfit, kind.name, word, _at(value, misfit.path), whole=not misfit.path)
        return
    layers = (look.settings.defaults, _dict(look.data.get("defaults")))
    _missing(look, kind, {kind.short: value, **kind_defaults(kind, *layers)}, path)


def _options(look: Inspection, node: Node, kind: StepKind, value: Mapping[str, Any], path: Path) -> None:
    later = LATER_OPTIONS.get(kind.name, frozenset())
    for key in value:
        if key in later and key not in kind.schema.get("properties", {}):
            _not_yet(look, (*path, key), key)
    given = {key: one for key, one in value.items() if key not in later and key not in kind.lists}
    _fit_options(look, node, kind, given, path)
    layers = (look.settings.defaults, _dict(look.data.get("defaults")))
    _missing(look, kind, {**kind_defaults(kind, *layers), **given}, path)


def _fit_options(
    look: Inspection, node: Node | None, kind: StepKind, given: Mapping[str, Any], path: Path
) -> None:
    properties = kind.schema.get("properties", {})
    for key, one in given.items():
        where = (*path, key)
        if key not in properties:
            if kind.schema.get("additionalProperties", False) is False:
                unknown_option(look, node, kind, key, one, where)
            continue
        if one is None and not has_type(None, properties[key].get("type")):
            continue
        schema = properties[key]
        if key == "schema" and key in kind.fixed:
            continue
        for misfit in misfits(one, schema, templates=key not in kind.fixed):
            say_misfit(look, (*where, *misfit.path), misfit, key, Word(schema, ""), _at(one, misfit.path),
                       whole=not misfit.path, of=kind.name)  # fmt: skip
            break


def _missing(look: Inspection, kind: StepKind, config: Mapping[str, Any], path: Path) -> None:
    """Required options, and those of which one must be there."""
    schema = kind.schema
    for key in schema.get("required", ()):
        if config.get(key) is None:
            near = [one for one in config if one not in schema.get("properties", {})]
            if near and nearest(key, near):
                continue
            look.at_key(path, f"`{kind.name}` needs `{key}`", "missing-key", f"add: {key}: ...")
            return
    for word in ("oneOf", "anyOf"):
        groups = [tuple(one.get("required", ())) for one in schema.get(word, ())]
        if not groups or not all(groups):
            continue
        present = [group for group in groups if all(config.get(key) is not None for key in group)]
        names = [" and ".join(f"`{key}`" for key in group) for group in groups]
        if not present:
            look.at_key(path, f"`{kind.name}` needs {' or '.join(names)}", "missing-key", f"add: {groups[0][0]}: ...")
        elif word == "oneOf" and len(present) > 1:
            second = present[1][0]
            look.at_key(
                (*path, second),
                f"`{kind.name}` takes one of {', '.join(names)}; this has `{present[0][0]}` and `{second}`",
                "wrong-type",
                "keep one of them",
            )


def _partners(look: Inspection, node: Node) -> None:
    for key in node.data:
        word = MODIFIERS.get(key)
        if word is None or not word.partner or word.partner in node.data:
            continue
        if key == "on_timeout" and _default_timeout(look, node):
            continue
        if word.partner == "each" and ("until" in node.data or _foreign_for(node, "each")):
            continue
        if word.partner == "if" and _foreign_for(node, "if"):
            continue
        has = "has none" if key == "else" else f"has no `{word.partner}`"
        hint = {"each": f"add: each: inputs.{_plural(node)}", "if": "add: if: ...", "timeout": "add: timeout: 30s"}[word.partner]
        look.at_key((*node.path, key), f"{word.names}, and this step {has}", "needs-partner", hint)


def _foreign_for(node: Node, word: str) -> bool:
    return any(FOREIGN_STEP.get(str(key)) == word for key in node.data)


def _plural(node: Node) -> str:
    name = node.item_name
    return name if name.endswith("s") else name + "s"


def _default_timeout(look: Inspection, node: Node) -> bool:
    layers = (look.settings.defaults, _dict(look.data.get("defaults")))
    return node.kind is not None and modifier_default(node.kind, "timeout", *layers) is not None


def _defaults(look: Inspection, given: Any) -> None:
    if given is None and "defaults" not in look.data:
        return
    if not isinstance(given, dict):
        _value(look, ("defaults",), "defaults", TOP["defaults"], given)
        return
    known = kinds()
    for key, value in given.items():
        path = ("defaults", key)
        if key in ("retry", "timeout"):
            _value(look, path, key, MODIFIERS[key], value)
        elif key in known and key in RETRIED_KINDS:
            _kind_default(look, known[key], value, path)
        elif key in LATER_KINDS:
            _not_yet(look, path, key)
        else:
            fine = [one for one in RETRIED_KINDS if one in known and known[one].schema.get("properties")] + ["retry", "timeout"]
            near = nearest(str(key), fine)
            hint = f"did you mean `{near}`?" if near else f"it takes: {', '.join(fine)}"
            look.at_key(path, f"unknown key `{key}` in `defaults`", "unknown-key", hint)


def _kind_default(look: Inspection, kind: StepKind, value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        look.at_value(path, f"`defaults.{kind.name}` must be a map of options, this is {said(value)}", "wrong-type")
        return
    given = {}
    for key, one in value.items():
        if key in LATER_MODIFIERS or key in LATER_OPTIONS.get(kind.name, ()):
            _not_yet(look, (*path, key), key)
        else:
            given[key] = one
    _fit_options(look, None, kind, given, path)


def _not_yet(look: Inspection, path: Path, key: str) -> None:
    look.at_key(path, f"`{key}` is not available in this version yet", "not-yet")
    look.wrong.add(path)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
