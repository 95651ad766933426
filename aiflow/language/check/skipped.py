"""Skipped steps: fields of an output that may be null, and nulls that would go into a text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from aiflow.language import facts
from aiflow.language.check import _schemas as schemas
from aiflow.language.check._inspection import Inspection, Severity
from aiflow.language.check._reach import Reach, reach
from aiflow.language.check._schemas import NoField
from aiflow.language.check._sites import Site, parse_site
from aiflow.language.check._words import path_text
from aiflow.language.check.switches import covers_all
from aiflow.language.references import Reference
from aiflow.language.syntax import ExpressionSyntaxError
from aiflow.language.tree import Node

Known: TypeAlias = frozenset[facts.Known]

_COUNTS = ("count", "size", "total", "number", "length", "score", "price", "amount", "cost", "age", "index", "sum", "mean")


def check(look: Inspection) -> None:
    """All uses of what may not be there."""
    guards = _Guards(look)
    for site in look.sites:
        for reference in site.references:
            if reference.guarded or (site.path, reference.offset) in look.said:
                continue
            if reference.root == "steps" and len(reference.path) > 1 and reference.path[1] == "output":
                _step(look, site, reference, guards)
                _winner(look, site, reference, guards)
            elif reference.root == "inputs" and reference.in_text and len(reference.path) == 1:
                _optional_input(look, site, reference, guards)
            elif reference.root == "previous" and reference.path:
                _previous(look, site, reference, guards)


def _step(look: Inspection, site: Site, reference: Reference, guards: _Guards) -> None:
    field = len(reference.path) > 2
    if not field and not reference.in_text:
        return
    target = look.tree.by_id.get(str(reference.path[0]))
    if target is None:
        return
    found = reach(target, site.node, site.role)
    if found.code:
        return
    reason, status = _reason(look, target, found)
    severity: Severity = "error" if field else "hint"
    if reason is None and found.perhaps and field:
        reason, severity = f"`{target.id}` may not have been reached when this runs", "hint"
    known = guards.at(site)
    if reason is None or facts.covered(("steps", reference.path), known) or _same_condition(target, site):
        return
    if status and ("steps", (target.id, "not", status)) in known:
        return
    if not field and reason.startswith(f"`{target.id}` may not have"):
        return
    written = path_text("steps", reference.path)
    fixed = f"{written} | default({_instead(look, site, reference)})"
    end = "and then has no output" if field else "and null cannot go into a text"
    code = "skipped-step" if field else "null-in-text"
    look.at_offset(site.path, reference.offset, f"{reason}, {end}", code, f"write: {fixed}", severity, len(written))


def _reason(look: Inspection, target: Node, found: Reach) -> tuple[str | None, str]:
    """Why the step may have no output, as the beginning of a sentence; its status then, if that is the only reason."""
    own, around = _own_reasons(look, target), _reason_around(look, target, found)
    if own and around is None:
        return own[0][0], own[0][1] if len(own) == 1 else ""
    return (own[0][0] if own else around), ""


def _own_reasons(look: Inspection, target: Node) -> list[tuple[str, str]]:
    """What the step itself says: a sentence, and its status when it has no output."""
    name, data, reasons = f"`{target.id}`", target.data, []
    if _conditional(target) and "else" not in data:
        reasons.append((f"{name} may be skipped (its `if` on line {look.line_of((*target.path, 'if'))})", "skipped"))
    if target.repeats:
        return reasons
    if target.kind is not None and target.kind.lists == "cases" and not covers_all(look, target):
        line = look.line_of((*target.path, "switch"))
        reasons.append((f"{name} may have no case (its `switch` on line {line} has no `else`)", ""))
    for word, what, status in (("on_error", "may fail", "failed"), ("on_timeout", "may time out", "timed_out")):
        if data.get(word) == "continue":
            reasons.append((f"{name} {what} (its `{word}: continue` on line {look.line_of((*target.path, word))})", status))
    return reasons


def _reason_around(look: Inspection, target: Node, found: Reach) -> str | None:
    """What the steps around it say."""
    name = f"`{target.id}`"
    for inner, outer in zip(found.between, found.between[1:], strict=False):
        line = look.line_of(outer.path)
        if inner.role in ("on_error", "on_timeout"):
            return f"{name} runs only in the `{inner.role}` of the step on line {line}"
        if inner.role == "branch" and outer.kind is not None and outer.kind.lists == "cases":
            return f"{name} runs only in the case `{inner.branch}` of the `switch` on line {line}"
        if inner.role == "branch" and outer.kind is not None and outer.data.get("join") == "first" and len(outer.branches) > 1:
            return f"{name} may have been cancelled (its branch of the `parallel` on line {line})"
        if inner.role == "else":
            return f"{name} runs only in the `else` of the step on line {line}"
        if _conditional(outer):
            return f"{name} may be skipped (the `if` around it, on line {look.line_of((*outer.path, 'if'))})"
        if outer.data.get("on_error") == "continue" or isinstance(outer.data.get("on_error"), list):
            line = look.line_of((*outer.path, "on_error"))
            return f"{name} may not have run (the `on_error` around it, on line {line})"
    return None


def _winner(look: Inspection, site: Site, reference: Reference, guards: _Guards) -> None:
    """A branch of a `parallel` of which only the first has an output."""
    target = look.tree.by_id.get(str(reference.path[0]))
    if target is None or target.data.get("join") != "first" or len(target.branches) < 2 or len(reference.path) < 3:
        return
    name = reference.path[2]
    if name not in target.branches or "output" in target.data or target.repeats:
        return
    if reach(target, site.node, site.role).code or facts.covered(("steps", reference.path), guards.at(site)):
        return
    line = look.line_of((*target.path, "join"))
    written = path_text("steps", reference.path)
    won = f"only the branch that won is in the output of `{target.id}`"
    message = f"{won} (its `join: first` on line {line}), so `{name}` may be missing"
    fixed = f"{written} | default({_instead(look, site, reference)})"
    hint = f"write: {fixed}; whichever won: (steps.{target.id}.output | items | first)[1]"
    look.at_offset(site.path, reference.offset, message, "skipped-step", hint, length=len(written))


def _previous(look: Inspection, site: Site, reference: Reference, guards: _Guards) -> None:
    """A field of `previous`, which is null the first time."""
    owner = site.scope.get("previous")
    if owner is None or facts.covered(("previous", reference.path), guards.at(site)):
        return
    around = [site.node, *site.node.ancestors()] if site.node is not None else []
    conditions = [one.data.get("if") for one in around[: around.index(owner)] if one is not owner] if owner in around else []
    if any(one.root == "index" for one in site.references) or any("index" in str(one) for one in conditions):
        return
    written = path_text("previous", reference.path)
    first = "for the first item" if owner.has_each else "in the first pass"
    message = f"`previous` is null {first}, and then has no `{reference.path[0]}`"
    hint = f"write: {written} | default({_instead(look, site, reference)})"
    look.at_offset(site.path, reference.offset, message, "skipped-step", hint, length=len(written))


def _conditional(node: Node) -> bool:
    return node.data.get("if") not in (None, True)


def _same_condition(target: Node, site: Site) -> bool:
    """Whether the step runs under the very condition that the user stands under."""
    wanted = target.data.get("if")
    if not isinstance(wanted, str) or site.node is None:
        return False
    around = [site.node] if site.role != "if" else []
    return any(one.data.get("if") == wanted for one in [*around, *site.node.ancestors()])


class _Guards:
    """What is known to be there at each place, from conditions around and steps that end the run before."""

    def __init__(self, look: Inspection) -> None:
        self._at_end: Known = frozenset().union(*(_ensures(one) for one in look.tree.steps))
        self._before: dict[Node, Known] = {}
        self._around: dict[Node, Known] = {}

    def at(self, site: Site) -> Known:
        node = site.node
        if node is None:
            return self._at_end
        known = self._inherited(node)
        if site.role == "if":
            return known
        known |= _when(node.data.get("if"), True)
        cases = node.data.get("switch")
        if isinstance(cases, list) and site.path[len(node.path) : -2] == ("switch",):
            known |= _none_of(cases[: int(site.path[-2])])
        return known

    def _inherited(self, node: Node) -> Known:
        if node not in self._around:
            known = self._earlier(node)
            parent = node.parent
            if parent is not None:
                known |= self._inherited(parent) | _when(parent.data.get("if"), node.role != "else" or parent.else_in_body)
                known |= _of_case(parent, node)
            self._around[node] = known
        return self._around[node]

    def _earlier(self, node: Node) -> Known:
        """What steps before it in its list make sure: `stop` and `fail` with an `if`, `assert`."""
        if node not in self._before:
            known: Known = frozenset()
            for one in node.siblings:
                self._before[one] = known
                known |= _ensures(one)
        return self._before[node]


def _of_case(switch: Node, node: Node) -> Known:
    """What is known inside a case of a `switch`, or in its `else`."""
    if switch.kind is None or switch.kind.lists != "cases" or node.role not in ("branch", "else"):
        return frozenset()
    written = switch.data["switch"]
    if isinstance(written, list):
        if node.role == "else":
            return _none_of(written)
        number = int(node.branch) - 1
        case = written[number]
        return _none_of(written[:number]) | _when(case.get("if") if isinstance(case, dict) else None, True)
    plain = isinstance(written, str) and node.role == "branch" and node.branch.replace("_", "").replace(".", "").isalnum()
    return _when(f"({written}) == '{node.branch}'", True) if plain and node.branch not in ("null", "none") else frozenset()


def _none_of(cases: list[Any]) -> Known:
    """What is known where no condition of these cases was true."""
    return frozenset().union(*(_when(case.get("if"), False) for case in cases if isinstance(case, dict)))


def _ensures(node: Node) -> Known:
    if node.kind is None or node.repeats or "on_error" in node.data:
        return frozenset()
    if node.kind.name in ("stop", "fail"):
        return _when(node.data.get("if"), False)
    if node.kind.name == "assert" and "if" not in node.data:
        given = node.data["assert"]
        that = given.get("that") if isinstance(given, dict) else given
        known: Known = frozenset()
        for one in that if isinstance(that, list) else [that]:
            known |= _when(one, True)
        return known
    return frozenset()


@lru_cache(4096)
def _when_text(text: str, outcome: bool) -> Known:
    tree = parse_site(text, True)
    return frozenset() if isinstance(tree, ExpressionSyntaxError) else facts.when(tree, outcome)


def _when(condition: object, outcome: bool) -> Known:
    return _when_text(condition, outcome) if isinstance(condition, str) else frozenset()


def _optional_input(look: Inspection, site: Site, reference: Reference, guards: _Guards) -> None:
    schema = look.definitions.inputs
    name = reference.path[0]
    declared = schema.get("properties", {}).get(name)
    if declared is None or name in schema.get("required", ()) or (isinstance(declared, dict) and "default" in declared):
        return
    if facts.covered(("inputs", reference.path), guards.at(site)):
        return
    written = path_text("inputs", reference.path)
    message = f"the input `{name}` is optional, and null cannot go into a text"
    hint = f"write: {written} | default({_instead(look, site, reference)})"
    look.at_offset(site.path, reference.offset, message, "null-in-text", hint, "hint", len(written))


def _instead(look: Inspection, site: Site, reference: Reference) -> str:
    """A default of the right type."""
    found = look.types.walk(reference.root, reference.path, site)
    what = None if isinstance(found, NoField) else schemas.kind(found)
    known = {"string": "''", "integer": "0", "number": "0", "boolean": "false", "array": "[]", "object": "{}"}
    if what in known:
        return known[what]
    last = str(reference.path[-1]).lower()
    return "0" if any(last == word or last.endswith("_" + word) or last.startswith(word + "_") for word in _COUNTS) else "''"
