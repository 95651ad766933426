"""Expressions: syntax, filters and functions that exist, conditions that depend on something."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import nodes

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.syntax import ExpressionSyntaxError, has_braces, start_of

_CONDITIONS = ("if", "retry.if")


def check(look: Inspection) -> None:
    """All faults of expressions."""
    for site in look.sites:
        if site.bare and has_braces(site.text) and not _one_pair(site.text):
            _braces(look, site)
        elif isinstance(site.parsed, ExpressionSyntaxError):
            _syntax(look, site, site.parsed)
        else:
            for fault in site.faults:
                look.at_offset(site.path, fault.offset, fault.message, fault.code, fault.hint, length=fault.length)
            if site.bare and not site.faults and _is_condition(site):
                _constant(look, site)
        if site.bare and not site.text.strip():
            look.wrong.add(site.path)


def _is_condition(site: Site) -> bool:
    return site.role in _CONDITIONS or (site.role == "config" and site.node is not None and site.bare)


def _one_pair(text: str) -> bool:
    stripped = text.strip()
    return stripped.startswith("{{") and stripped.endswith("}}") and stripped.count("{{") == 1 and "{%" not in stripped


def _braces(look: Inspection, site: Site) -> None:
    inner = re.sub(r"\{\{-?\s*(.*?)\s*-?\}\}", r"\1", site.text)
    what = "as text it would always be true" if _is_condition(site) else "as text it would be no list"
    hint = f"write: {site.word}: {inner}" if not has_braces(inner) else "write it without braces"
    look.at_value(site.path, f"`{site.word}` is one expression; {what}", "braces-in-condition", hint)


def _syntax(look: Inspection, site: Site, error: ExpressionSyntaxError) -> None:
    if site.bare and not site.text.strip():
        look.at_value(site.path, f"`{site.word}` is empty", "expression", f"write an expression, or remove `{site.word}`")
    elif error.offset is None:
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
            if hint:
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
