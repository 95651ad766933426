"""Types: fields that are there, lists where lists are wanted, comparisons and sums that can work."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from aiflow.language.check import _schemas as schemas
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._reference_words import STEP_FIELDS
from aiflow.language.check._schemas import NoField, Type, kind, say
from aiflow.language.check._sites import Site
from aiflow.language.check._typing import loop_names
from aiflow.language.check._words import listed, nearest, path_text, reference_text
from aiflow.language.references import Reference
from aiflow.language.syntax import offset_of, start_of

_NUMBERS = ("integer", "number")
OTHER_STATUS = {
    "success": "ok", "succeeded": "ok", "completed": "ok", "complete": "ok", "done": "ok", "error": "failed", "failure": "failed",
    "timeout": "timed_out", "canceled": "cancelled",
}  # fmt: skip
"""What other tools call the status of a step."""
_FEW = 3
"""So many fields: the first is proposed when none is like the one that was written."""
_HOLDERS = ("data", "body")
"""Fields in which the fields of others are: of an event, of an answer."""
_ORDER = {"gt": ">", "gteq": ">=", "lt": "<", "lteq": "<="}


def check(look: Inspection) -> None:
    """All faults of types, as far as types are known."""
    for site in look.sites:
        if site.tree is None or look.is_wrong(site.path):
            continue
        before = len(look.problems)
        for reference in site.references:
            _fields(look, site, reference)
        if len(look.problems) == before:
            _operators(look, site)
            if site.role == "each":
                _list(look, site)


def _fields(look: Inspection, site: Site, reference: Reference) -> None:
    if reference.root in loop_names(site) or not reference.path:
        return
    if reference.root == "inputs" and reference.path[0] not in look.definitions.input_names:
        return
    if reference.root == "steps" and (len(reference.path) < 3 or reference.path[1] not in STEP_FIELDS):
        return
    found = look.types.walk(reference.root, reference.path, site)
    if isinstance(found, NoField):
        _no_field(look, site, reference, found)


def _no_field(look: Inspection, site: Site, reference: Reference, found: NoField) -> None:
    path, key = reference.path, reference.path[found.at]
    owner = path_text(reference.root, path[: found.at])
    here = _called(reference, found.at)
    length = len(path_text(reference.root, path))
    if found.fields is not None:
        near = nearest(str(key), found.fields)
        holder = next((one for one in _HOLDERS if one in found.fields), None) if near is None else None
        if reference.root == "event" and found.at == 0:
            near, holder = None, "data"
        more = (holder, *path[found.at :]) if holder else (near or found.fields[0], *path[found.at + 1 :])
        fixed = path_text(reference.root, (*path[: found.at], *more))
        sure = near is not None or holder is not None or len(found.fields) <= _FEW
        message = f"{here} has the fields {listed(found.fields)}; not `{key}`"
        hint = f"did you mean {fixed}?" if sure else ""
        if reference.root == "step" and found.at == 0 and key in look.tree.by_id:
            hint = f"did you mean {path_text('steps', path)}?"
    elif kind(found.found) == "array":
        message = f"{here} is a list, it has no field `{key}`"
        counts = key in ("length", "size", "count", "len")
        items = f"for all items write: {owner} | map(attribute='{key}'); for one: {owner}[0].{key}"
        hint = f"write: {owner} | length" if counts else items
    elif isinstance(key, int):
        message, hint = f"{here} is {say(found.found)}, it has no items", ""
    else:
        message = f"{here} is {say(found.found)}, it has no field `{key}`"
        hint = _text_hint(look, reference, found, owner)
    look.at_offset(site.path, reference.offset, message, "unknown-field", hint, length=length)


def _called(reference: Reference, at: int) -> str:
    if reference.root == "steps" and at == 2 and reference.path[1] == "output":
        return f"the output of `{reference.path[0]}`"
    if reference.root == "inputs" and at == 1:
        return f"the input `{reference.path[0]}`"
    return f"`{path_text(reference.root, reference.path[:at])}`"


def _text_hint(look: Inspection, reference: Reference, found: NoField, owner: str) -> str:
    if reference.root == "steps" and found.at == 2:
        node = look.tree.by_id.get(str(reference.path[0]))
        if node is not None and node.kind is not None and node.kind.name == "llm" and kind(found.found) == "string":
            return f"give the `llm` a schema: schema: {{{reference.path[2]}: string}}"
    return f"write: {owner}" if kind(found.found) != "string" else f"write: {owner}, or ({owner} | from_json) if it holds JSON"


def _list(look: Inspection, site: Site) -> None:
    tree: Any = site.tree
    found = look.types.of(tree, site)
    what = kind(found)
    if what is None or what == "array":
        return
    simple = isinstance(tree, (nodes.Getattr, nodes.Name))
    written = reference_text(tree) if simple else "this"
    match what:
        case "object":
            hint = f"for its keys and values write: each: {site.text.strip()} | items"
        case "integer":
            hint = f"to count write: each: range({site.text.strip()})"
        case "string" if written.startswith("inputs."):
            hint = f"for one item drop `each`; for many declare: {written.split('.')[1]}(array): string"
        case "string":
            hint = f"for its lines write: each: {site.text.strip()} | split('\\n')"
        case "null":
            hint = "name a step or an input that gives a list"
        case _:
            hint = (
                f"for one item drop `each`; for many declare: {written.split('.')[1]}(array): {what}"
                if written.startswith("inputs.")
                else "for one item drop `each`"
            )
    look.at_value(site.path, f"`each` needs a list, and {written} is {say(found)}", "not-a-list", hint)


def _operators(look: Inspection, site: Site) -> None:
    tree: Any = site.tree
    for node in [tree, *tree.find_all((nodes.Compare, nodes.BinExpr))]:
        match node:
            case nodes.Compare() if len(node.ops) == 1:
                _compare(look, site, node)
            case nodes.Add() | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.FloorDiv():
                _arithmetic(look, site, node)


def _compare(look: Inspection, site: Site, node: nodes.Compare) -> None:
    sign, left, right = node.ops[0].op, node.expr, node.ops[0].expr
    types = look.types
    if sign in ("in", "notin"):
        _in_list(look, site, node, left, right)
        return
    if isinstance(left, nodes.Const):
        left, right = right, left
    one, other = types.of(left, site), types.of(right, site)
    if sign in ("eq", "ne") and isinstance(right, nodes.Const):
        values = schemas.enum_of(one)
        if values is not None and right.value is not None and right.value not in values:
            _never(look, site, left, right, values, sign)
            return
    first, second = kind(one), kind(other)
    if first is None or second is None or "null" in (first, second) or first == second or {first, second} <= set(_NUMBERS):
        return
    if sign in ("eq", "ne"):
        result = "never equal" if sign == "eq" else "always different"
        message = f"{_expression(left)} is {say(one)} and {_shown(right)} is {say(other)}, so they are {result}"
        look.at_offset(site.path, start_of(left), message, "never-equal", _same_type(left, right, first))
    elif sign in _ORDER:
        message = f"{_expression(left)} is {say(one)} and {_shown(right)} is {say(other)}; `{_ORDER[sign]}` cannot compare them"
        look.at_offset(site.path, start_of(left), message, "never-equal", _same_type(left, right, first))


def _in_list(look: Inspection, site: Site, node: nodes.Compare, left: nodes.Expr, right: nodes.Expr) -> None:
    values = schemas.enum_of(look.types.of(left, site))
    if values is None or not isinstance(right, (nodes.List, nodes.Tuple)):
        return
    for item in right.items:
        if isinstance(item, nodes.Const) and item.value not in values and item.value is not None:
            _never(look, site, left, item, values, "eq")


def _never(look: Inspection, site: Site, left: nodes.Expr, right: nodes.Const, values: list[Any], sign: str) -> None:
    shown = _shown(right)
    near = OTHER_STATUS.get(str(right.value)) if "outcome_unknown" in values else None
    near = near or nearest(right.value, [one for one in values if isinstance(one, str)]) if isinstance(right.value, str) else None
    always = "never" if sign == "eq" else "always something else than"
    message = f"{_expression(left)} is one of {listed(map(str, values))}; {always} {shown}"
    look.at_offset(
        site.path, offset_of(right), message, "never-equal", f"did you mean '{near}'?" if near else "", length=len(shown)
    )


def _same_type(left: nodes.Expr, right: nodes.Expr, first: str) -> str:
    if isinstance(right, nodes.Const) and isinstance(right.value, str) and first in _NUMBERS:
        try:
            return f"write the number without quotes: {float(right.value):g}"
        except ValueError:
            return ""
    if (
        isinstance(right, nodes.Const)
        and first == "string"
        and isinstance(right.value, (int, float))
        and not isinstance(right.value, bool)
    ):
        return f"write: {_expression(left)} | float, or compare with the text '{right.value}'"
    if isinstance(right, nodes.Const) and first == "boolean" and isinstance(right.value, str):
        return f"write: {_expression(left)}, or: not {_expression(left)}"
    if first == "array" and isinstance(right, nodes.Const) and not isinstance(right.value, str):
        return f"for its length write: {_expression(left)} | length"
    return ""


def _arithmetic(look: Inspection, site: Site, node: nodes.BinExpr) -> None:
    types: list[Type] = [look.types.of(one, site) for one in (node.left, node.right)]
    kinds = [kind(one) for one in types]
    if None in kinds or "null" in kinds or all(one in _NUMBERS for one in kinds):
        return
    sign = node.operator
    if sign == "+" and kinds[0] == kinds[1] and kinds[0] in ("string", "array"):
        return
    wrong = next(place for place, one in enumerate(kinds) if one not in _NUMBERS)
    side = (node.left, node.right)[wrong]
    subject = _expression(side)
    message = f"`{sign}` cannot calculate with {subject if subject != 'this' else 'this'}, which is {say(types[wrong])}"
    look.at_offset(site.path, start_of(side), message, "arithmetic", _calculable(sign, side, kinds, wrong))


def _calculable(sign: str, side: nodes.Expr, kinds: list[str | None], wrong: int) -> str:
    """What to write instead of a text, list or map that cannot be calculated with."""
    subject = _expression(side)
    if kinds[wrong] == "string":
        if sign == "+" and isinstance(side, nodes.Const):
            return "to join texts write ~ for +"
        return f"to join texts write ~ for +; for a number: {subject} | float" if sign == "+" else f"write: ({subject} | float)"
    if kinds[wrong] == "array" and sign == "+":
        return f"to add an item write: {subject} + [...]; for its length: ({subject} | length)"
    return f"for its length write: ({subject} | length)" if kinds[wrong] in ("array", "object") else ""
def _expression(node: nodes.Expr) -> str:
    return reference_text(node) if isinstance(node, (nodes.Name, nodes.Getattr, nodes.Getitem)) else _shown(node)


def _shown(node: nodes.Expr) -> str:
    if isinstance(node, nodes.Const):
        return f'"{node.value}"' if isinstance(node.value, str) else str(node.value).lower()
    return reference_text(node) if isinstance(node, (nodes.Name, nodes.Getattr, nodes.Getitem)) else "this"
