"""References: names, inputs and steps that exist where they are used."""

from __future__ import annotations

import re

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._reach import reach
from aiflow.language.check._sites import ONCE, Site
from aiflow.language.check._words import did_you_mean, listed, nearest, path_text
from aiflow.language.filters import FUNCTIONS
from aiflow.language.references import Reference
from aiflow.language.tree import Node

STEP_FIELDS = ("output", "status", "error", "errors", "attempts", "usage")
"""What `steps.ID` has."""

EVERYWHERE = ("inputs", "steps", "event", "run", "env", "secrets")
"""Names that every expression may use (`secrets` where the safety checks allow it)."""


def check(look: Inspection) -> None:
    """All faults of references."""
    for site in look.sites:
        for reference in site.references:
            match reference.root:
                case "steps" if site.role != "defaults":
                    _step(look, site, reference)
                case "inputs":
                    _input(look, site, reference)
                case _:
                    _name(look, site, reference)


def _say(look: Inspection, site: Site, reference: Reference, message: str, code: str, hint: str = "") -> None:
    length = len(path_text(reference.root, reference.path))
    look.at_offset(site.path, reference.offset, message, code, hint, length=length)


def _step(look: Inspection, site: Site, reference: Reference) -> None:
    path = reference.path
    if not path or not isinstance(path[0], str):
        message = "`steps` alone is no value" if not path else "which step is meant must stand in the file"
        _say(look, site, reference, message, "unknown-step", "write: steps.ID.output")
        return
    target = look.tree.by_id.get(path[0])
    if target is None:
        _unknown_step(look, site, reference, path[0])
        return
    found = reach(target, site.node, site.role)
    if found.code:
        _say(look, site, reference, *_unreachable(look, found.code, found.around, target, site))
    elif len(path) < 2 or path[1] not in STEP_FIELDS:
        _no_output(look, site, reference, path[0])


def _unknown_step(look: Inspection, site: Site, reference: Reference, name: str) -> None:
    ids = list(look.tree.by_id)
    near = nearest(name, ids)
    if near:
        hint = f"did you mean `steps.{near}`?"
    elif name in look.definitions.input_names:
        hint = f"did you mean `inputs.{name}`?"
    else:
        hint = f"the steps with an id are: {listed(ids)}" if ids else "no step of this file has an `id` yet"
    _say(look, site, reference, f"there is no step `{name}`", "unknown-step", hint)


def _no_output(look: Inspection, site: Site, reference: Reference, name: str) -> None:
    path = reference.path
    if len(path) < 2:
        message = f"`steps.{name}` is the step itself; its value is `steps.{name}.output`"
        _say(look, site, reference, message, "missing-output", f"write: steps.{name}.output")
        return
    key = path[1]
    near = nearest(key, STEP_FIELDS) if isinstance(key, str) else None
    fixed = path_text("steps", (name, near, *path[2:]) if near else (name, "output", *path[1:]))
    message = f"a step has {', '.join(STEP_FIELDS)}; not `{key}`" if key is not None else "a step has no items"
    _say(look, site, reference, message, "missing-output", f"write: {fixed}")


def _unreachable(look: Inspection, code: str, around: Node | None, target: Node, site: Site) -> tuple[str, str, str]:
    """Message, code and hint for a step that exists but not for this place."""
    name = target.id
    line = look.line_of((*target.path, "id"))
    here = f"`{site.node.id}`" if site.node is not None and site.node.id else "this step"
    match code:
        case "itself":
            hint = "in `output` the result of the step is `result`" if site.role == "output" else (
                "in `each` with `concurrency: 1` the output before is `previous`" if target.has_each else ""
            )
            return f"step `{name}` cannot use its own output", "later-step", hint
        case "around":
            return f"step `{name}` is still running here, so it has no output yet", "later-step", "use the steps inside it"
        case "inside-each":
            assert around is not None
            each = f"`{around.id}`" if around.id else f"the `each` on line {look.line_of((*around.path, 'each'))}"
            whole = f"steps.{around.id}.output" if around.id else "steps.ID.output (give the step with `each` an `id`)"
            hint = f"use the list of all items: {whole}"
            return f"step `{name}` runs once per item of {each}, so outside there is no single output", "inside-each", hint
        case "other-branch":
            one, other = ("do", "else") if target.path[: len(site.node.path)] and _in_else(site.node, around) else ("else", "do")
            return (
                f"step `{name}` is in the `{one}`, and `{other}` runs instead of it",
                "other-branch",
                f"use it in the same branch as {here}, or after both",
            ) if site.node is not None else (f"step `{name}` is not known here", "other-branch", "")
        case "outputs":
            word = str(target.path[0])
            return f"step `{name}` is in `{word}`, which `outputs` cannot use", "later-step", "use a step of `steps`"
        case "handler":
            return f"step `{name}` runs only afterwards (line {line}), so it has no output yet", "later-step", ""
    subject = f"above {here}" if here != "this step" else "above this step"
    message = f"step `{name}` runs after this one (line {line}), so it has no output yet"
    return message, "later-step", f"move `{name}` {subject}"


def _in_else(node: Node | None, around: Node | None) -> bool:
    while node is not None and node.parent is not around:
        node = node.parent
    return node is not None and node.role == "else"


def _input(look: Inspection, site: Site, reference: Reference) -> None:
    names = look.definitions.input_names
    if not reference.path or not isinstance(reference.path[0], str) or look.definitions.inputs_open:
        return
    name = reference.path[0]
    if name in names:
        return
    near = nearest(name, names)
    if near:
        hint = f"did you mean `inputs.{near}`?"
    elif name in look.tree.by_id:
        hint = f"did you mean `steps.{name}.output`?"
    elif names:
        hint = f"the inputs are: {listed(names)}"
    else:
        hint = f"declare it at the top: inputs: {{{name}: string}}"
    _say(look, site, reference, f"there is no input `{name}`", "unknown-input", hint)


def _name(look: Inspection, site: Site, reference: Reference) -> None:
    name, node = reference.root, site.node
    if name == "previous" and isinstance(site.scope.get(name), Node):
        _previous(look, site, reference)
    if name in site.scope or name in EVERYWHERE and not (name == "steps") or (name == "step" and node is not None):
        return
    if node is not None and site.role in ONCE and node.has_each and name in (node.item_name, "index", "previous"):
        _item_too_early(look, site, reference, node)
        return
    if name == "steps":
        _say(look, site, reference, "`defaults` are laid under many steps and cannot use the output of one", "unknown-name")
        return
    _say(look, site, reference, f"there is no name `{name}` here", "unknown-name", _name_hint(look, site, reference))


def _previous(look: Inspection, site: Site, reference: Reference) -> None:
    loop = site.scope["previous"]
    assert loop is not None
    if loop.data.get("concurrency") != 1:
        _say(look, site, reference, "`previous` needs items one after the other, and this `each` does several at a time",
             "needs-partner", "add: concurrency: 1")  # fmt: skip


def _item_too_early(look: Inspection, site: Site, reference: Reference, node: Node) -> None:
    name = reference.root
    if site.role == "each":
        _say(look, site, reference, f"`each` makes the `{name}`, so there is none in it yet", "unknown-name")
        return
    each = str(node.data["each"])
    simple = re.fullmatch(
        rf"\s*{re.escape(name)}\.(\w+)\s*(==|!=|>=|<=|>|<)\s*('[^']*'|\"[^\"]*\"|-?[\d.]+|true|false|inputs\.\w+)\s*", site.text
    )
    if simple:
        word = {"==": "eq", "!=": "ne", ">": "gt", "<": "lt", ">=": "ge", "<=": "le"}[simple[2]]
        hint = f'filter the list: each: {each} | selectattr("{simple[1]}", "{word}", {simple[3]})'
    elif re.fullmatch(rf"\s*{re.escape(name)}\.\w+\s*", site.text):
        hint = f'filter the list: each: {each} | selectattr("{site.text.strip().split(".")[1]}")'
    else:
        hint = f"filter the list in `each`, or ask inside: each: {each}, do: [{{if: {site.text.strip()}, ...}}]"
    _say(look, site, reference, f"`if` is asked once, before the `each` starts, so there is no `{name}` yet", "item-in-if", hint)


def _name_hint(look: Inspection, site: Site, reference: Reference) -> str:
    name = reference.root
    path = path_text("", reference.path)
    special = {
        "item": "`item` is known inside a step with `each`",
        "index": "`index` is known inside a step with `each`",
        "previous": "`previous` is known inside a step with `each` and `concurrency: 1`",
        "result": "`result` is known in `output`; elsewhere write: steps.ID.output",
        "error": "`error` is known in the steps of `on_error` and in `retry.if`",
        "input": "did you mean `inputs`?",
        "True": "write: true",
        "False": "write: false",
        "None": "write: null",
        "undefined": "write: null",
        "nil": "write: null",
    }
    if name == "item" and site.scope and (names := [one for one, node in site.scope.items() if node is not None and one not in special]):
        return f"the item is called `{names[-1]}` here"
    if name in special and name not in look.definitions.input_names and name not in look.tree.by_id:
        return special[name]
    if name in look.tree.by_id:
        rest = path if reference.path[:1] and reference.path[0] in STEP_FIELDS else f".output{path}"
        return f"did you mean `steps.{name}{rest}`?"
    if name in look.definitions.input_names:
        return f"did you mean `inputs.{name}{path}`?"
    if name in FUNCTIONS:
        return f"`{name}` is a function, write: {name}()"
    loops = [one.item_name for one in look.tree.nodes if one.has_each]
    if name in loops:
        return f"`{name}` is known only inside its `each`"
    known = [*EVERYWHERE, "step", *site.scope]
    near = nearest(name, known)
    if near:
        return f"did you mean `{near}`?"
    near = nearest(name, [*look.definitions.input_names, *look.tree.by_id])
    if near:
        return f"did you mean `{'inputs' if near in look.definitions.input_names else 'steps'}.{near}{'' if near in look.definitions.input_names else '.output'}`?"
    return did_you_mean(name, known, f"a text needs quotes: '{name}'; known here: {listed(known)}")
