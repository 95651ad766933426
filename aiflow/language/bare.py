"""Bare expressions (V4): conditions and lists are written without braces."""

from __future__ import annotations

import re

from jinja2 import nodes

from aiflow.language.syntax import ExpressionSyntaxError, has_braces, parse_bare, parse_whole

_PAIR = re.compile(r"\$?\{\{[-+]?\s*(.*?)\s*[-+]?\}\}", re.DOTALL)
_STRING = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_SIMPLE = re.compile(r"[\w.]+(?:\[[\w'\"]+\])*")
_LISTS = frozenset({"each"})


def unbrace(text: str, key: str) -> nodes.Expr | None:
    """The tree of a text with one pair of braces around the whole; None for a text without braces.

    Raises: ExpressionSyntaxError: nothing there, or braces in a part of it (`braces-in-condition`).
    """
    if not text.strip():
        raise ExpressionSyntaxError(f"`{key}` is empty", None, f"write an expression, for example: {key}: {_example(key)}")
    if not has_braces(_STRING.sub("''", text)):
        return None
    try:
        tree = parse_whole(text)
    except ExpressionSyntaxError:
        if text.count("{{") == 1 and "{%" not in text and text.startswith("{{"):
            raise
        tree = None
    if tree is None:
        raise _braces(text, key)
    return tree


def _braces(text: str, key: str) -> ExpressionSyntaxError:
    otherwise = "as text it would be no list" if key in _LISTS else "as text it would always be true"
    if key not in _LISTS and not key.startswith(("if", "until", "match", "assert", "that", "retry", "while")):
        otherwise = "it stands without braces"
    fixed = text.strip()
    if (whole := _PAIR.fullmatch(fixed)) and "}}" not in whole[1]:
        fixed = whole[1]
    elif "{%" not in text:
        fixed = _PAIR.sub(_without_braces, fixed)
    try:
        parse_bare(fixed)
        hint = f"write: {key}: {fixed}"
    except ExpressionSyntaxError:
        hint = "write it without braces"
    return ExpressionSyntaxError(f"`{key}` is one expression; {otherwise}", None, hint, "braces-in-condition", len(text))


def _without_braces(match: re.Match[str]) -> str:
    return match[1] if _SIMPLE.fullmatch(match[1]) else f"({match[1]})"


def _example(key: str) -> str:
    return "inputs.items" if key in _LISTS else "inputs.count > 3"
