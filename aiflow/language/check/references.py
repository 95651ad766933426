"""References: names, inputs and steps that exist where they are used."""

from __future__ import annotations

import re

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._reach import reach
from aiflow.language.check._reference_words import EVERYWHERE, STEP_FIELDS, name_hint, unreachable
from aiflow.language.check._sites import ONCE, Site
from aiflow.language.check._words import listed, nearest, path_text
from aiflow.language.references import Reference
from aiflow.language.tree import Node


def check(look: Inspection) -> None:
    """All faults of references."""
    for site in look.sites:
        early: set[str] = set()
        for reference in site.references:
            if reference.root in early:
                continue
            if _is_too_early(site, reference):
                early.add(reference.root)
            if _before_the_run(look, site, reference):
                continue
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


def _before_the_run(look: Inspection, site: Site, reference: Reference) -> bool:
    """Report what does not exist yet when a trigger fires, a run is admitted, or an event may cancel it."""
    role, root = site.role, reference.root
    if role == "triggers" and root in ("inputs", "steps", "run", "step"):
        are = "are no" if root in ("inputs", "steps") else "is no"
        message = f"a trigger is asked before there is a run, so there {are} `{root}` yet"
        field = next((str(key) for key in reversed(reference.path) if isinstance(key, str) and key != "output"), "id")
        hint = f"use the incoming event: event.data.{field}"
    elif role in ("cancel_on", "concurrency") and root in ("steps", "step"):
        asked = "an event may cancel a run at any time" if role == "cancel_on" else "this is asked before the first step"
        message = f"{asked}, so no step has an output for sure"
        hint = "compare with an input: inputs.id" if role == "cancel_on" else "use an input: key: inputs.user_id"
    else:
        return False
    _say(look, site, reference, message, "too-early", hint)
    return True


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
        _say(look, site, reference, *unreachable(look, found.code, found.around, target, site))
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
        hint = f"declare it at the top: inputs: {{{_declaration(site, name)}}}"
    _say(look, site, reference, f"there is no input `{name}`", "unknown-input", hint)


def _declaration(site: Site, name: str) -> str:
    """How an input is probably declared, by its use."""
    alone = site.text.strip() == f"inputs.{name}"
    if site.role == "each":
        return f"{name}(array): string"
    return f"{name}: boolean" if alone and site.role in ("if", "until") else f"{name}: string"


def _name(look: Inspection, site: Site, reference: Reference) -> None:
    name, node = reference.root, site.node
    if name == "previous" and isinstance(site.scope.get(name), Node):
        _previous(look, site, reference)
    if name in site.scope or name in EVERYWHERE and not (name == "steps") or (name == "step" and node is not None):
        return
    if node is not None and _is_too_early(site, reference):
        _item_too_early(look, site, reference, node)
        return
    if name == "steps":
        _say(look, site, reference, "`defaults` are laid under many steps and cannot use the output of one", "unknown-name")
        return
    _say(look, site, reference, f"there is no name `{name}` here", "unknown-name", name_hint(look, site, reference))


def _is_too_early(site: Site, reference: Reference) -> bool:
    """Whether it names what the `each` of the step makes, before it begins."""
    node, name = site.node, reference.root
    if node is None or site.role not in ONCE or not node.has_each or name in site.scope:
        return False
    return name in (node.item_name, "index", "previous")


def _previous(look: Inspection, site: Site, reference: Reference) -> None:
    loop = site.scope["previous"]
    assert loop is not None
    if loop.has_each and loop.data.get("concurrency") != 1:
        _say(look, site, reference, "`previous` needs items one after the other, and this `each` does several at a time",
             "needs-partner", "add: concurrency: 1")  # fmt: skip


def _item_too_early(look: Inspection, site: Site, reference: Reference, node: Node) -> None:
    name = reference.root
    if site.role == "each":
        _say(look, site, reference, f"`each` makes the `{name}`, so there is none in it yet", "unknown-name")
        return
    each = str(node.data["each"]) if isinstance(node.data["each"], str) else "[...]"
    simple = re.fullmatch(
        rf"\s*{re.escape(name)}\.(\w+)\s*(==|!=|>=|<=|>|<)\s*('[^']*'|\"[^\"]*\"|-?[\d.]+|true|false|inputs\.\w+)\s*", site.text
    )
    if simple:
        word = {"==": "eq", "!=": "ne", ">": "gt", "<": "lt", ">=": "ge", "<=": "le"}[simple[2]]
        hint = f'filter the list: each: {each} | selectattr("{simple[1]}", "{word}", {simple[3]})'
    elif re.fullmatch(rf"\s*{re.escape(name)}\.\w+\s*", site.text):
        hint = f'filter the list: each: {each} | selectattr("{site.text.strip().split(".")[1]}")'
    else:
        hint = "filter the list in `each`, or put the step into a `do` with this `each`, and the `if` on the step inside"
    _say(look, site, reference, f"`if` is asked once, before the `each` starts, so there is no `{name}` yet", "item-in-if", hint)
