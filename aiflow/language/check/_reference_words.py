"""What the reference checks say: steps that cannot be used at a place, names that are not there."""

from __future__ import annotations

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.check._words import did_you_mean, listed, nearest, path_text
from aiflow.language.filters import FUNCTIONS
from aiflow.language.references import Reference
from aiflow.language.tree import Node

STEP_FIELDS = ("output", "status", "error", "errors", "attempts", "usage")
"""What `steps.ID` has."""

EVERYWHERE = ("inputs", "steps", "event", "run", "env", "secrets")
"""Names that every expression may use (`secrets` where the safety checks allow it)."""


def unreachable(look: Inspection, code: str, around: Node | None, target: Node, site: Site) -> tuple[str, str, str]:
    """Message, code and hint for a step that exists but not for this place."""
    name = target.id
    line = look.line_of((*target.path, "id"))
    here = f"`{site.node.id}`" if site.node is not None and site.node.id else "this step"
    match code:
        case "itself":
            hint = (
                f"in `{site.role}` the {'output of the pass' if site.role == 'until' else 'result of the step'} is `result`"
                if site.role in ("output", "until")
                else ("in `each` with `concurrency: 1` the output before is `previous`" if target.has_each else "")
            )
            return f"step `{name}` cannot use its own output", "later-step", hint
        case "around":
            return f"step `{name}` is still running here, so it has no output yet", "later-step", "use the steps inside it"
        case "inside-each":
            assert around is not None
            word = "each" if around.has_each else "until"
            each = f"`{around.id}`" if around.id else f"the `{word}` on line {look.line_of((*around.path, word))}"
            whole = f"steps.{around.id}.output" if around.id else f"steps.ID.output (give the step with `{word}` an `id`)"
            if not around.has_each:
                hint = f"use the output of the last pass: {whole}"
                return f"step `{name}` runs once per pass of {each}, so outside there is no single output", "inside-each", hint
            hint = f"use the list of all items: {whole}"
            return f"step `{name}` runs once per item of {each}, so outside there is no single output", "inside-each", hint
        case "other-branch" if around is not None and _branch(site.node, around) and _branch(target, around):
            mine, other = _branch(site.node, around), _branch(target, around)
            if around.kind is not None and around.kind.lists == "cases":
                message = f"step `{name}` is in the case `{other}`, and only one case runs"
                return message, "other-branch", f"put {here} after the `switch` step, or into the same case"
            message = f"step `{name}` is in the branch `{other}`, which runs at the same time as `{mine}`"
            return message, "other-branch", f"put {here} after the `parallel` step, or in the same branch"
        case "other-branch":
            other = "else" if _in_else(site.node, around) else "do"
            one = "do" if other == "else" else "else"
            message = f"step `{name}` is in the `{one}`, and `{other}` runs instead of it"
            return message, "other-branch", f"put {here} after that step, or into the same branch"
        case "outputs":
            word = str(target.path[0])
            return f"step `{name}` is in `{word}`, which `outputs` cannot use", "later-step", "use a step of `steps`"
        case "handler":
            return f"step `{name}` runs only afterwards (line {line}), so it has no output yet", "later-step", ""
    subject = f"above {here}" if here != "this step" else "above this step"
    message = f"step `{name}` runs after this one (line {line}), so it has no output yet"
    return message, "later-step", f"move `{name}` {subject}"


def _branch(node: Node | None, around: Node) -> str:
    """The branch of `around` that a step stands in; `else` for that of a `switch`."""
    while node is not None and node.parent is not around:
        node = node.parent
    if node is None:
        return ""
    return node.branch if node.role == "branch" else "else" if node.role == "else" and around.else_in_body else ""


def _in_else(node: Node | None, around: Node | None) -> bool:
    while node is not None and node.parent is not around:
        node = node.parent
    return node is not None and node.role == "else"


def name_hint(look: Inspection, site: Site, reference: Reference) -> str:
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
    if (
        name == "item"
        and site.scope
        and (names := [one for one, node in site.scope.items() if node is not None and one not in special])
    ):
        return f"the item is called `{names[-1]}` here"
    if site.role == "until" and name == "item":
        return "the output of the pass is `result`"
    if name in special and name not in look.definitions.input_names and name not in look.tree.by_id:
        return special[name]
    if name in look.tree.by_id and (site.node is None or site.node.id != name):
        rest = path if reference.path[:1] and reference.path[0] in STEP_FIELDS else f".output{path}"
        return f"did you mean `steps.{name}{rest}`?"
    if name in look.definitions.input_names:
        return f"did you mean `inputs.{name}{path}`?"
    if name in FUNCTIONS:
        return f"`{name}` is a function, write: {name}()"
    loops = [one.item_name for one in look.tree.nodes if one.has_each]
    if name in loops:
        return f"`{name}` is known only inside its `each`"
    if "event" in site.scope and name in ("data", "name", "id", "time"):
        return f"did you mean `event.{name}{path}`?"
    known = list(dict.fromkeys((*EVERYWHERE, "step", *site.scope)))
    near = nearest(name, known)
    if near:
        return f"did you mean `{near}`?"
    steps = [one for one in look.tree.by_id if site.node is None or site.node.id != one]
    near = nearest(name, [*look.definitions.input_names, *steps])
    if near:
        is_input = near in look.definitions.input_names
        return f"did you mean `inputs.{near}`?" if is_input else f"did you mean `steps.{near}.output`?"
    return did_you_mean(name, known, f"a text needs quotes: '{name}'; known here: {listed(known)}")
