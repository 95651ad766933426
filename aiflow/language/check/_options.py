"""What stands behind the key of a kind, and lists of steps: their shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiflow.language.check._fit import has_type, misfits
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._shape_words import hint_for_kind, say_misfit, unknown_option
from aiflow.language.check._words import better_name, flow, nearest, said
from aiflow.language.config import kind_defaults
from aiflow.language.foreign import FOREIGN_OPTIONS
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import ID_PATTERN, LATER_OPTIONS, MODIFIERS, ONE_OF, Word
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

_CASE = "- if: inputs.urgent\n          do:\n            - ..."
_NAME = re.compile(ID_PATTERN)
_CASE_WORDS = {
    "when": "if", "condition": "if", "conditions": "if", "case": "if", "then": "do", "steps": "do", "sequence": "do",
}  # fmt: skip


def step_list(look: Inspection, steps: Any, path: Path, word: str) -> None:
    """A list of steps: that it is one, and that what is in it are steps."""
    if not isinstance(steps, list):
        no_list(look, steps, path, word)
        return
    if not steps and word != "steps":
        look.at_value(path, f"`{word}` has no steps", "wrong-type", "write a step, or remove it")
    for index, step in enumerate(steps):
        if isinstance(step, dict) and step:
            continue
        what = "an empty map" if step == {} else "nothing" if step is None else said(step)
        hint = "" if step else "write for example: - llm: prompts/summarize.md, or remove the dash"
        if isinstance(step, str):
            near = nearest(step.split(":")[0], [*kinds(), *MODIFIERS])
            hint = f"write: - {near}: ..." if near else "write for example: - llm: prompts/summarize.md"
        elif isinstance(step, list):
            hint = "one list is enough; for a block write: - do: [...]"
        look.at_value((*path, index), f"a step is a map such as `llm: ...`, this is {what}", "wrong-type", hint)


def no_list(look: Inspection, steps: Any, path: Path, word: str) -> None:
    if isinstance(steps, dict) and steps:
        key, value = next(iter(steps.items()))
        if any(one in kinds() or one in MODIFIERS for one in steps):
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
        path,
        f"`{word}` must be {choices}a list of steps, this is {said(steps)}",
        "list-expected",
        f"write: {word}:\n        - ...",
    )


def check_kind(look: Inspection, node: Node, kind: StepKind) -> None:
    """What a step writes behind the key of its kind."""
    path, value = (*node.path, kind.name), node.data[kind.name]
    if kind.lists == "list":
        step_list(look, value, path, kind.name)
        return
    if kind.lists == "branches":
        _branches(look, value, path)
        return
    if kind.lists == "cases":
        _switch(look, node, path)
        if isinstance(value, list):
            _conditions(look, value, path)
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


def _branches(look: Inspection, value: Any, path: Path) -> None:
    """`parallel`: name -> steps."""
    if value == {}:
        look.at_value(path, "`parallel` has no branches", "wrong-type", "write: parallel: {left: [...], right: [...]}")
        return
    if not isinstance(value, dict):
        hint = "write: parallel:\n        left:\n          - ...\n        right:\n          - ..."
        message = f"`parallel` must be a map of branches, each a list of steps, this is {said(value)}"
        look.at_value(path, message, "wrong-type", hint)
        return
    for name, steps in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            better = better_name(str(name))
            rule = "a name begins with a small letter; then small letters, digits and _ (64 at most)"
            hint = f"write: {better}" if better else rule
            look.at_key((*path, name), f"`{name}` cannot be the name of a branch", "bad-id", hint)
        step_list(look, steps, (*path, name), str(name))


def _switch(look: Inspection, node: Node, path: Path) -> None:
    """`switch` and the keys beside it."""
    data = node.data
    written = data["switch"]
    if isinstance(written, list) and "cases" in data:
        message = "`cases` belongs to a `switch` by a value, and this `switch` is a list of conditions"
        hint = "keep one of them: the list, or `switch: inputs.kind` with `cases`"
        look.at_key((*node.path, "cases"), message, "two-kinds", hint)
    elif not isinstance(written, (list, dict)) and "cases" not in data and "cases" not in node.meant and written is not None:
        hint = f"add: cases: {{invoice: [...], letter: [...]}}, or write conditions: switch:\n        {_CASE}"
        look.at_key(path, "this `switch` has no `cases`", "missing-key", hint)
    if "if" in data and "else" in data:
        message = "`else` could belong to the `if` or to the `switch` of this step"
        lines = ["put the `switch` with its `else` into a `do`:", f"        - if: {flow(data['if'])}", "          do:",
                 "            - switch: ...", "              else: ..."]  # fmt: skip
        hint = "\n".join(lines)
        look.at_key((*node.path, "else"), message, "ambiguous-else", hint)


def _conditions(look: Inspection, value: list[Any], path: Path) -> None:
    """`switch` as a list of {if, do}."""
    if not value:
        look.at_value(path, "`switch` has no cases", "wrong-type", f"write: switch:\n        {_CASE}")
    for index, case in enumerate(value):
        where = (*path, index)
        if not isinstance(case, dict) or not case:
            hint = "write: - {if: inputs.urgent, do: [...]}"
            look.at_value(where, f"a case of `switch` is a map {{if, do}}, this is {said(case)}", "wrong-type", hint, length=1)
            continue
        meant = _case_keys(look, case, where)
        if "do" not in case:
            if "do" not in meant and len(meant) == len(case):
                message = "this case of `switch` has no `do`, the steps to run"
                look.at_value(where, message, "missing-key", "add: do: [...]", length=1)
            continue
        if "if" not in meant and index < len(value) - 1:
            look.at_key(where, "only the last case of a `switch` may have no `if`", "unreachable",
                        "give it an `if`, or move it to the end", length=2)  # fmt: skip
        elif case.get("if") is True and index < len(value) - 1:
            look.at_value((*where, "if"), "this case is always taken, so those below it never run", "unreachable",
                          "give it a condition, or move it to the end")  # fmt: skip
        elif "if" in case and not isinstance(case["if"], (str, bool)):
            message = f"`if` must be an expression, or true or false, this is {said(case['if'])}"
            look.at_value((*where, "if"), message, "wrong-type")
        step_list(look, case["do"], (*where, "do"), "do")


def _case_keys(look: Inspection, case: Mapping[Any, Any], where: Path) -> set[str]:
    """Report keys that a case does not have; gives those that it has or that were meant."""
    meant = {str(key) for key in case if key in ("if", "do")}
    for key in case:
        if key in ("if", "do"):
            continue
        ours = _CASE_WORDS.get(str(key)) or nearest(str(key), ("if", "do"))
        shown = flow(case[key])
        hint = f"aiflow says: {ours}: {shown}" if ours else f"put the step into `do`: - do: [{{{key}: {shown}}}]"
        if key in ("else", "default", "otherwise"):
            ours, hint = "do", f"the last case has no `if`, write: - do: {shown}"
        look.at_key((*where, key), f"unknown key `{key}` in a case of `switch`", "unknown-key", hint)
        meant |= {ours} if ours else set()
    return meant


def _short(look: Inspection, kind: StepKind, value: Any, path: Path) -> None:
    if kind.short is None:
        options = ", ".join(kind.schema.get("required", ())) or ", ".join(list(kind.schema.get("properties", {}))[:3])
        message = f"`{kind.name}` must be a map of options ({options} ...), this is {said(value)}"
        look.at_value(path, message, "wrong-type", hint_for_kind(kind))
        return
    schema = kind.short_schema or kind.schema.get("properties", {}).get(kind.short, {})
    word = Word(schema, "")
    if value is None:
        look.at_value(path, f"`{kind.name}` has no value", "wrong-type", hint_for_kind(kind))
        return
    for misfit in misfits(value, schema, templates=True):
        say_misfit(look, (*path, *misfit.path), misfit, kind.name, word, value_below(value, misfit.path), whole=not misfit.path)
        return
    _missing(look, kind, {kind.short: value, **kind_defaults(kind, *look.layers)}, path)


def _options(look: Inspection, node: Node, kind: StepKind, value: Mapping[str, Any], path: Path) -> None:
    later = LATER_OPTIONS.get(kind.name, frozenset())
    for key in value:
        if key in later and key not in kind.schema.get("properties", {}):
            not_yet(look, (*path, key), key)
    given = {key: one for key, one in value.items() if key not in later}
    _fit_options(look, node, kind, given, path)
    _missing(look, kind, {**kind_defaults(kind, *look.layers), **given}, path)


def _fit_options(look: Inspection, node: Node | None, kind: StepKind, given: Mapping[str, Any], path: Path) -> None:
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
            say_misfit(look, (*where, *misfit.path), misfit, key, Word(schema, ""), value_below(one, misfit.path),
                       whole=not misfit.path, of=kind.name)  # fmt: skip
            break


def _missing(look: Inspection, kind: StepKind, config: Mapping[str, Any], path: Path) -> None:
    """Required options, and those of which one must be there. Those that a misspelt option stands for are not missing."""
    known = kind.schema.get("properties", {})
    foreign = FOREIGN_OPTIONS.get(kind.name, {})
    config = {key if key in known else foreign.get(key) or nearest(key, known) or key: one for key, one in config.items()}
    schema = kind.schema
    for key in schema.get("required", ()):
        if config.get(key) is None:
            look.at_key(path, f"`{kind.name}` needs `{key}`", "missing-key", f"add: {key}: ...")
            return
    _one_of(look, kind, config, path)


def _one_of(look: Inspection, kind: StepKind, config: Mapping[str, Any], path: Path) -> None:
    if kind.name not in ONE_OF:
        return
    words, needed = ONE_OF[kind.name]
    present = [word for word in words if word in config]
    if len(present) > 1:
        what = " or ".join(f"`{word}`" for word in words)
        message = f"`{kind.name}` takes {what}, this has `{present[0]}` and `{present[1]}`"
        look.at_key((*path, present[1]), message, "wrong-type", "keep one of them")
    elif not present and (needed or not config.keys() & {"at", "history", "url"}):
        what = " or ".join(f"`{word}`" for word in words)
        look.at_key(path, f"`{kind.name}` needs {what}", "missing-key", f"add: {words[0]}: ...")


def kind_default(look: Inspection, kind: StepKind, value: Any, path: Path) -> None:
    """`defaults.KIND`"""
    if not isinstance(value, dict):
        hint = f"write: {kind.name}: {{model: {flow(value)}}}" if isinstance(value, str) and kind.name in ("llm", "embed") else ""
        look.at_value(path, f"`defaults.{kind.name}` must be a map of options, this is {said(value)}", "wrong-type", hint)
        return
    given = {}
    for key, one in value.items():
        if key in LATER_OPTIONS.get(kind.name, ()):
            not_yet(look, (*path, key), key)
        elif key == "cache":
            for misfit in misfits(one, MODIFIERS["cache"].schema, templates=False):
                say_misfit(look, (*path, key), misfit, key, MODIFIERS["cache"], one, whole=True)
                break
        else:
            given[key] = one
    _fit_options(look, None, kind, given, path)


def not_yet(look: Inspection, path: Path, key: str) -> None:
    """Refuse a key of the language that is not built yet."""
    look.at_key(path, f"`{key}` is not available in this version yet", "not-yet")
    look.wrong.add(path)


def value_below(value: Any, path: Path) -> Any:
    """The value at a path below another, None where there is none."""
    for part in path:
        if not isinstance(value, (dict, list)) or (isinstance(value, dict) and part not in value):
            return None
        value = value[part]  # type: ignore[index]
    return value
