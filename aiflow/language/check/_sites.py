"""Every expression of a file: where it stands, what it sees, its syntax tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from aiflow.language.bare import unbrace
from aiflow.language.config import names_prompt
from aiflow.language.references import Fault, Reference, find_faults, find_references
from aiflow.language.syntax import ExpressionSyntaxError, has_braces, parse_bare, parse_template, parse_whole
from aiflow.language.tree import Node, Path

if TYPE_CHECKING:
    from aiflow.language.check._inspection import Inspection

ONCE = ("if", "each")
"""Expressions of a step that are evaluated before its `each` begins."""

Scope = Mapping[str, "Node | None"]
"""Names that a place gives to expressions, and the step they come from: items, `index`, `previous`, `result`, `error`."""


class Parsed:
    """What a text with an expression is, apart from where it stands; the same texts share one."""

    def __init__(self, text: str, bare: bool) -> None:
        self.result = _parse(text, bare)

    @cached_property
    def references(self) -> list[Reference]:
        """What it refers to; nothing when it cannot be parsed."""
        return [] if isinstance(self.result, ExpressionSyntaxError) else find_references(self.result)

    @cached_property
    def faults(self) -> list[Fault]:
        """Filters, tests and functions that do not exist or are called wrongly."""
        return [] if isinstance(self.result, ExpressionSyntaxError) else find_faults(self.result)


@dataclass(eq=False)
class Site:
    """One text with an expression.

    Attributes:
        path: of the text in the document.  bare: whether it is an expression without braces.
        role: `if`, `each`, `until`, `match`, `with`, `config`, `output`, `retry.if`, `throttle`; at the top `outputs`,
            `defaults`, `triggers`, `cancel_on`, `concurrency`.
        word: the key that holds it, for messages.  node: its step, None at the top.
        scope: names besides those that are known everywhere.
    """

    path: Path
    text: str
    bare: bool
    role: str
    word: str
    node: Node | None
    scope: Scope = field(default_factory=dict)

    @cached_property
    def _shared(self) -> Parsed:
        return parsed(self.text, self.bare)

    @property
    def parsed(self) -> nodes.Node | ExpressionSyntaxError:
        """The syntax tree, or what is wrong with it."""
        return self._shared.result

    @property
    def tree(self) -> nodes.Node | None:
        return None if isinstance(self.parsed, ExpressionSyntaxError) else self.parsed

    @property
    def references(self) -> list[Reference]:
        """See `Parsed`."""
        return self._shared.references

    @property
    def faults(self) -> list[Fault]:
        """See `Parsed`."""
        return self._shared.faults

    @cached_property
    def is_whole(self) -> bool:
        """Whether it gives a value as it is: bare, or one pair of braces around all."""
        return self.bare or isinstance(self.tree, nodes.Expr)


def find_sites(look: Inspection) -> list[Site]:
    """All sites in the order of the text, without those whose shape was refused."""
    return [site for site in _all(look) if not look.is_wrong(site.path)]


def item_scope(node: Node) -> Scope:
    """Names that the bodies of the `each` steps around a step, and its place in a handler, give to it."""
    scope: dict[str, Node | None] = {}
    chain: list[tuple[Node, str]] = []
    inner = node
    for outer in node.ancestors():
        chain.append((outer, inner.role))
        inner = outer
    if inner.path[0] in ("on_error", "finally"):
        scope["error"] = None
    for outer, role in reversed(chain):
        if role != "else" or outer.else_in_body:
            scope.update(_body_names(outer))
        if role in ("on_error", "on_timeout"):
            scope["error"] = outer
    return scope


def _body_names(node: Node) -> dict[str, Node | None]:
    if node.has_each:
        return {node.item_name: node, "index": node, "previous": node}
    if "until" in node.data:
        return {"index": node, "previous": node}
    if "each" in node.meant or "as" in node.data:
        # Something is wrong with its `each`, and said; its names are not a second fault.
        given = node.data.get("as", "item")
        return {given if isinstance(given, str) else "item": None, "index": None, "previous": None}
    return {}


@lru_cache(4096)
def parsed(text: str, bare: bool) -> Parsed:
    """The text, read once."""
    return Parsed(text, bare)


def parse_site(text: str, bare: bool) -> nodes.Node | ExpressionSyntaxError:
    """The syntax tree of a text, or what is wrong with it; trees are shared, do not change them."""
    return parsed(text, bare).result


def _parse(text: str, bare: bool) -> nodes.Node | ExpressionSyntaxError:
    try:
        if bare:
            return unbrace(text, "if") or parse_bare(text)
        return _whole(text) or parse_template(text)
    except ExpressionSyntaxError as error:
        return error


def _whole(text: str) -> nodes.Expr | None:
    stripped = text.strip()
    if stripped.startswith("{{") and stripped.endswith("}}") and stripped == text:
        return parse_whole(text)
    return None


def _all(look: Inspection) -> Iterator[Site]:
    data = look.data
    yield from _defaults(data.get("defaults"))
    scopes: dict[tuple[int, str], Scope] = {}
    for node in look.tree.nodes:
        key = (id(node.parent), node.role)
        if key not in scopes:
            scopes[key] = item_scope(node)
        yield from _of_step(look, node, scopes[key])
    outputs = data.get("outputs")
    if isinstance(outputs, dict):
        for path, text in texts(outputs, ("outputs",)):
            yield Site(path, text, False, "outputs", str(path[-1]), None)
    yield from _of_top(data)


def _of_top(data: Mapping[str, Any]) -> Iterator[Site]:
    """`triggers`, `cancel_on` and the key of `concurrency`."""
    for word in ("triggers", "cancel_on"):
        given = data.get(word)
        for index, one in enumerate(given if isinstance(given, list) else []):
            for key, value in one.items() if isinstance(one, dict) else ():
                path = (word, index, key)
                if key in ("if", "match") and isinstance(value, str):
                    yield Site(path, value, True, word, key, None, {"event": None})
                elif key in ("inputs", "secret"):
                    for where, text in texts(value, path):
                        yield Site(where, text, False, word, str(where[-1]), None, {"event": None})
    limit = data.get("concurrency")
    if isinstance(limit, dict) and isinstance(limit.get("key"), str):
        yield Site(("concurrency", "key"), limit["key"], True, "concurrency", "key", None)


def _defaults(given: Any) -> Iterator[Site]:
    if isinstance(given, dict):
        for path, text in texts({key: one for key, one in given.items() if isinstance(one, dict)}, ("defaults",)):
            yield Site(path, text, False, "defaults", str(path[-1]), None)


def _of_step(look: Inspection, node: Node, around: Scope) -> Iterator[Site]:
    data = node.data
    body: Scope = {**around, **_body_names(node)}
    for key, value in data.items():
        path = (*node.path, key)
        match key:
            case "if" | "each":
                if isinstance(value, str):
                    yield Site(path, value, True, key, key, node, around)
            case "with":
                for where, text in texts(value, path):
                    yield Site(where, text, False, "with", str(where[-1]), node, body)
            case "output":
                for where, text in texts(value, path):
                    yield Site(where, text, False, "output", str(where[-1]), node, {**body, "result": node})
            case "until":
                if isinstance(value, str):
                    yield Site(path, value, True, key, key, node, {**body, "result": node})
            case "match":
                if isinstance(value, str):
                    yield Site(path, value, True, key, key, node, {**body, "event": node})
            case "throttle":
                if isinstance(value, str) and has_braces(value):
                    yield Site(path, value, False, "throttle", key, node, body)
            case "retry":
                if isinstance(value, dict) and isinstance(value.get("if"), str):
                    yield Site((*path, "if"), value["if"], True, "retry.if", "if", node, {**body, "error": node})
            case _ if node.kind is not None and key == node.kind.name:
                yield from _config(look, node, path, value, body)


def _config(look: Inspection, node: Node, path: Path, value: Any, scope: Scope) -> Iterator[Site]:
    kind = node.kind
    assert kind is not None
    if kind.lists == "cases" and isinstance(value, list):
        for index, case in enumerate(value):
            if isinstance(case, dict) and isinstance(case.get("if"), str):
                yield Site((*path, index, "if"), case["if"], True, "config", "if", node, scope)
        return
    if kind.lists and not isinstance(value, str):
        return
    if kind.whole or not isinstance(value, dict):
        option = None if kind.whole else kind.short
        if option in kind.fixed and not (kind.name == "llm" and not names_prompt(str(value), look.file.parent)):
            return
        yield from _option(node, path, value, scope, option in kind.bare)
        return
    for key, one in value.items():
        if key not in kind.fixed:
            yield from _option(node, (*path, key), one, scope, key in kind.bare)


def _option(node: Node, path: Path, value: Any, scope: Scope, bare: bool) -> Iterator[Site]:
    word = node.kind.name if node.kind is not None and len(path) == len(node.path) + 1 else str(path[-1])
    if bare:
        items = [(path, value)] if isinstance(value, str) else _numbered(value, path)
        for where, text in items:
            if isinstance(text, str):
                yield Site(where, text, True, "config", word, node, scope)
        return
    for where, text in texts(value, path):
        yield Site(where, text, False, "config", word if where == path else str(where[-1]), node, scope)


def _numbered(value: Any, path: Path) -> list[tuple[Path, Any]]:
    return [((*path, index), one) for index, one in enumerate(value)] if isinstance(value, list) else []


def texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts with braces in a value, with their paths."""
    if isinstance(value, str):
        if has_braces(value):
            yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from texts(one, (*path, index))
