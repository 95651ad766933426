"""Expressions: syntax, filters and functions that exist, conditions that depend on something."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from aiflow.language.bare import unbrace
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.syntax import ExpressionSyntaxError, start_of

_CONDITIONS = ("if", "retry.if", "until", "match")


def check(look: Inspection) -> None:
    """All faults of expressions."""
    for site in look.sites:
        if site.bare and (wrong := _unbraced(site)) is not None:
            _syntax(look, site, wrong)
        elif isinstance(site.parsed, ExpressionSyntaxError):
            _syntax(look, site, site.parsed)
        else:
            for fault in site.faults:
                look.at_offset(site.path, fault.offset, fault.message, fault.code, fault.hint, length=fault.length)
            if site.bare and not site.faults and _is_condition(site):
                _constant(look, site)


def _is_condition(site: Site) -> bool:
    if site.word in ("if", "match") or site.role in _CONDITIONS:
        return True
    kind = site.node.kind if site.node is not None else None
    return site.role == "config" and site.bare and kind is not None and kind.name == "assert"


def _unbraced(site: Site) -> ExpressionSyntaxError | None:
    """What is wrong with the braces of a bare expression, in the words of its key."""
    try:
        unbrace(site.text, site.word)
    except ExpressionSyntaxError as error:
        return error
    return None


def _syntax(look: Inspection, site: Site, error: ExpressionSyntaxError) -> None:
    if error.offset is None:
        look.at_value(site.path, error.message, error.code, error.hint)
    else:
        look.at_offset(site.path, error.offset, error.message, error.code, error.hint, length=error.length)


def _constant(look: Inspection, site: Site) -> None:
    """A condition, or a part of one, that is the same whatever happens."""
    tree: Any = site.tree
    severity: Any = "hint" if site.role == "config" else "error"
    if not site.references and not any(True for _ in tree.find_all(nodes.Call)) and not isinstance(tree, nodes.Call):
        from aiflow.language.references import constant_condition

        outcome = constant_condition(site.text)
        if outcome is not None:
            word = "true" if outcome else "false"
            written = site.text.strip()
            hint = "" if written in ("true", "false") else f"if that is meant, write: {site.word}: {word}"
            if site.role == "until" and not outcome:
                message = "this condition is always false, so the passes end only at `max`, with an error"
                look.at_value(site.path, message, "constant-condition", "look at what the pass gave: until: result.done")
            elif hint:
                message = f"this condition is always {word}, whatever the run does"
                look.at_value(site.path, message, "constant-condition", hint, severity)
        return
    for node in [tree, *tree.find_all((nodes.Or, nodes.And))]:
        if isinstance(node, (nodes.Or, nodes.And)):
            for side in (node.left, node.right):
                _constant_side(look, site, node, side)


def _constant_side(look: Inspection, site: Site, node: nodes.Or | nodes.And, side: nodes.Expr) -> None:
    if not isinstance(side, nodes.Const) or isinstance(side.value, bool) or side.value is None:
        return
    word = "or" if isinstance(node, nodes.Or) else "and"
    true = bool(side.value)
    shown = f"'{side.value}'" if isinstance(side.value, str) else str(side.value)
    look.at_offset(
        site.path,
        start_of(side),
        f"`{word} {shown}` compares nothing: {shown} alone is always {'true' if true else 'false'}",
        "constant-condition",
        _repeat_comparison(node, side, shown, word),
        length=len(shown),
    )


def _repeat_comparison(node: nodes.Or | nodes.And, side: nodes.Const, shown: str, word: str) -> str:
    other = node.left if side is node.right else node.right
    while isinstance(other, (nodes.Or, nodes.And)):
        other = other.right
    if isinstance(other, nodes.Compare) and len(other.ops) == 1 and isinstance(other.expr, (nodes.Getattr, nodes.Name)):
        from aiflow.language.check._words import reference_text

        subject = reference_text(other.expr)
        first = other.ops[0].expr
        if other.ops[0].op == "eq" and word == "or" and isinstance(first, nodes.Const):
            return f"write: {subject} in [{first.value!r}, {shown}]"
        sign = {"eq": "==", "ne": "!=", "gt": ">", "lt": "<", "gteq": ">=", "lteq": "<="}.get(other.ops[0].op, "==")
        return f"write: ... {word} {subject} {sign} {shown}"
    return "compare it with something"
