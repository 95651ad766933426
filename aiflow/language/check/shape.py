"""Shape: known keys, exactly one kind, partners, types of what is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.check._fit import has_type, misfits
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._options import check_kind, kind_default, step_list, value_below
from aiflow.language.check._shape_words import (
    kind_names,
    option_meant,
    say_misfit,
    unknown_step_key,
    unknown_top_key,
)
from aiflow.language.check._words import block, flow, nearest, said
from aiflow.language.config import modifier_default
from aiflow.language.model import case_text
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import (
    MODIFIERS,
    RETRIED_KINDS,
    TOP,
    Word,
)
from aiflow.steps._registry import kinds

_PARTNERS = {
    "if": "add: if: ...",
    "timeout": "add: timeout: 30s",
    "until": "add: until: result.done",
    "switch": "add: switch: inputs.kind",
    "parallel": "add: parallel: {left: [...], right: [...]}",
    "wait_for": "add: wait_for: order.paid",
}
_OTHER_PARTNERS = (("else", "switch"), ("concurrency", "parallel"))
_LISTS = ("else", "on_error", "on_timeout")
_ITEMS = ("triggers", "cancel_on")


def check(look: Inspection) -> None:
    """All faults of shape."""
    data = look.doc.data
    if not isinstance(data, dict):
        _not_a_map(look)
        return
    _top_keys(look, data)
    if "defaults" in data:
        check_defaults(look, data["defaults"], ("defaults",))
    for name in ("steps", "on_error", "finally"):
        if name in data:
            step_list(look, data[name], (name,), name)
    for node in look.tree.nodes:
        _step(look, node)


def _not_a_map(look: Inspection) -> None:
    what = "a list" if isinstance(look.doc.data, list) else said(look.doc.data)
    look.at_value(
        (), f"a workflow is a map of keys such as `steps`, this is {what}", "wrong-type", "write: steps:\n        - ..."
    )


def _top_keys(look: Inspection, data: Mapping[str, Any]) -> None:
    meant = set()
    for key, value in data.items():
        path = (key,)
        if key in TOP:
            if key not in ("steps", "on_error", "finally", "defaults"):
                _value(look, path, key, TOP[key], value)
        elif not str(key).startswith("x-"):
            meant.add(unknown_top_key(look, key, value, data))
    if "steps" not in data and "steps" not in meant:
        look.at_key((), "this workflow has no `steps`", "missing-key", "add: steps:\n        - ...", length=1)
    elif "steps" in data and data["steps"] == []:
        look.at_value(("steps",), "this workflow has no steps", "missing-key", "write: steps:\n        - ...")


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
        elif not (isinstance(key, str) and key.startswith("x-")):
            word = unknown_step_key(look, node, key, value) or ""
            meant.add(word)
            if word == "id" and isinstance(value, str):
                look.tree.by_id.setdefault(value, node)
    node.meant |= meant
    if not present and not meant & known.keys() and "" not in meant - set(MODIFIERS):
        _no_kind(look, node)
    elif len(present) > 1:
        _two_kinds(look, node, present)
    if present:
        check_kind(look, node, known[present[0]])
    _partners(look, node)
    if "each" in node.data and "until" in node.data:
        _both_loops(look, node)


def _both_loops(look: Inspection, node: Node) -> None:
    second = [key for key in node.data if key in ("each", "until")][1]
    each, until = (flow(node.data[key]) for key in ("each", "until"))
    lines = [f"        - each: {each}", "          do:", f"            - until: {until}", "              do: [...]"]
    message = "`each` and `until` on one step: nobody can tell which is inside the other"
    look.at_key((*node.path, second), message, "two-loops", "\n".join(["nest them:", *lines]))
    look.wrong.add((*node.path, second))


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
        if isinstance(value, str) and key != "else":
            near = nearest(value, ("continue", "stop"))
            hint = f"did you mean `{near}`?" if near else f"write: {key}: continue"
            look.at_value(path, f"`{key}` must be {word.wants}, not `{value}`", "wrong-type", hint)
        else:
            step_list(look, value, path, key)
    elif key == "id" or (key == "throttle" and isinstance(value, str)):
        return
    elif key == "cases" and isinstance(value, dict):
        for name, steps in value.items():
            step_list(look, steps, (*path, name), case_text(name))
    else:
        _value(look, path, key, word, value)


def _value(look: Inspection, path: Path, key: str, word: Word, value: Any) -> None:
    """A value against the schema of its word: all unknown keys, and the first misfit of each of the others."""
    templates = key == "with"
    if value is None and not has_type(None, word.schema.get("type")):
        hint = f"write: {key}: {word.write}" if word.write else "give it a value, or remove it"
        look.at_value(path, f"`{key}` has no value", "wrong-type", hint)
        return
    found = list(misfits(value, word.schema, templates=templates))
    meant = {option_meant(key, misfit) for misfit in found if misfit.what == "unknown"}
    told: set[Path] = set()
    for misfit in found:
        if key not in _ITEMS and (misfit.path in told or (misfit.what == "missing" and misfit.name in meant)):
            continue
        told.add(misfit.path)
        say_misfit(look, (*path, *misfit.path), misfit, key, word, value_below(value, misfit.path), whole=not misfit.path)


def _partners(look: Inspection, node: Node) -> None:
    for key in node.data:
        word = MODIFIERS.get(key)
        if word is None or not word.partner or word.partner in node.data:
            continue
        if key == "on_timeout" and _default_timeout(look, node):
            continue
        if word.partner in node.meant or (key, node.kind.name if node.kind else "") in _OTHER_PARTNERS:
            continue
        has = "has none" if key == "else" else f"has no `{word.partner}`"
        waits = key == "on_timeout" and node.kind is not None and node.kind.name in ("wait_for", "approve")
        hint = "add: timeout: 3d" if waits else _PARTNERS.get(word.partner) or f"add: each: inputs.{_plural(node)}"
        look.at_key((*node.path, key), f"{word.names}, and this step {has}", "needs-partner", hint)


def _plural(node: Node) -> str:
    given = node.data.get("as")
    name = given if isinstance(given, str) else "item"
    return name if name.endswith("s") else name + "s"


def _default_timeout(look: Inspection, node: Node) -> bool:
    return node.kind is not None and modifier_default(node.kind, "timeout", *look.layers) is not None


def check_defaults(look: Inspection, given: Any, where: Path) -> None:
    """Options for every step of a kind, at `where` in the document."""
    if not isinstance(given, dict):
        _value(look, where, "defaults", TOP["defaults"], given)
        return
    known = kinds()
    for key, value in given.items():
        path = (*where, key)
        if key in ("retry", "timeout"):
            _value(look, path, key, MODIFIERS[key], value)
        elif key in known and key in RETRIED_KINDS:
            kind_default(look, known[key], value, path)
        else:
            fine = [one for one in RETRIED_KINDS if one in known and known[one].schema.get("properties")] + ["retry", "timeout"]
            near = nearest(str(key), fine)
            asks = str(key) in known["llm"].schema["properties"]
            otherwise = f"write: llm: {{{key}: {flow(value)}}}" if asks else f"it takes: {', '.join(fine)}"
            hint = f"did you mean `{near}`?" if near else otherwise
            look.at_key(path, f"unknown key `{key}` in `defaults`", "unknown-key", hint)
