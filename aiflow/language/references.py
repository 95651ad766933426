"""What an expression refers to, and what is wrong with it, without evaluating it. Every finding has its offset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from jinja2 import nodes

from aiflow.language import facts as facts_of
from aiflow.language.filters import FILTERS, FUNCTIONS, SOFT_FILTERS, SOFT_TESTS, TESTS, did_you_mean, signature_of
from aiflow.language.syntax import (
    ExpressionSyntaxError,
    chain,
    has_braces,
    is_null,
    offset_of,
    parse_bare,
    parse_template,
    parse_whole,
    whole,
)

Path: TypeAlias = tuple[str | int | None, ...]

_TEXT_FILTERS = frozenset(
    """capitalize center chunk e escape forceescape indent lower regex_replace replace sha256 slug split string
    striptags title tokens trim truncate upper urlencode wordcount wordwrap""".split()
)
"""Filters for which a null is an error."""

_IS = re.compile(r"is\s+(?:not\s+)?")


@dataclass(frozen=True)
class Reference:
    """A name with the dots and indexes after it: `steps.docs.output[0].name`.

    Attributes:
        root: `steps`.  path: `("docs", "output", 0, "name")`; None stands for an index that is computed.
        offset: of the root in the text.
        guarded: it may be missing or null: inside `default()` or a test for it, or where a condition has made sure.
        in_text: its value goes into text as it is, where null is an error.
        offsets: of each part of the path.
    """

    root: str
    path: Path
    offset: int
    guarded: bool = False
    in_text: bool = False
    offsets: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Fault:
    """Something wrong at `offset`; `length` characters to underline. Codes as in ExpressionSyntaxError."""

    message: str
    offset: int
    code: str
    hint: str = ""
    length: int = 1

    def error(self) -> ExpressionSyntaxError:
        """As an exception."""
        return ExpressionSyntaxError(self.message, self.offset, self.hint, self.code, self.length)


def references(text: str, bare: bool = False, partials: Mapping[str, str] | None = None) -> list[Reference]:
    """All references in a text (V1-V3) or bare expression (V4), by offset. Names that a `for` makes are left out.

    Args: partials: prompt files only: what `{% include %}` may name; its references get the offset of the include.
    Raises: ExpressionSyntaxError
    """
    return list(_references(text, bare) if partials is None else find_references(_tree(text, bare, partials)))


def faults(text: str, bare: bool = False, partials: Mapping[str, str] | None = None) -> list[Fault]:
    """Unknown filters, tests and functions, and arguments that do not fit, by offset. Raises: ExpressionSyntaxError"""
    return find_faults(_tree(text, bare, partials), text)


def constant_condition(text: str) -> bool | None:
    """Whether a bare expression without any name in it is true or false; None if it depends on something.

    Raises: ExpressionSyntaxError
    """
    tree = _tree(text, True, None)
    if find_references(tree) or any(True for _ in tree.find_all(nodes.Call)) or find_faults(tree, text):
        return None
    from aiflow.language.expressions import compile_bare

    try:
        return bool(compile_bare(text).evaluate({}))
    except Exception:
        return None


def find_references(tree: nodes.Node) -> list[Reference]:
    """References of a tree that `aiflow.language.syntax` gave."""
    found: list[Reference] = []
    _Walk(found).visit(tree, _Place(in_text=False))
    return sorted(found, key=lambda reference: reference.offset)


def find_faults(tree: nodes.Node, text: str = "") -> list[Fault]:
    """Faults of a tree that `aiflow.language.syntax` gave for the text. Without it tests have the offset of their `is`."""
    return sorted(_faults(tree, text), key=lambda fault: fault.offset)


@lru_cache(4096)
def _references(text: str, bare: bool) -> tuple[Reference, ...]:
    return tuple(find_references(_tree(text, bare, None)))


def _tree(text: str, bare: bool, partials: Mapping[str, str] | None) -> nodes.Node:
    if bare:
        return parse_whole(text) or parse_bare(text)
    if partials is not None:
        from aiflow.language.rewrite import include_partials

        return include_partials(parse_template(text, includes=True), partials)
    if not has_braces(text):
        return nodes.Template([], lineno=1)
    tree = parse_template(text)
    return whole(tree, text) or tree


@dataclass(frozen=True)
class _Place:
    """Where an expression stands. `known`: paths that are there and not null; `local`: names that a `for` made."""

    in_text: bool
    soft: bool = False
    known: frozenset[tuple[str, Path]] = frozenset()
    local: frozenset[str] = frozenset()

    def at(self, *, soft: bool = False, in_text: bool = False, known: Iterable[tuple[str, Path]] = ()) -> _Place:
        return _Place(in_text, soft, self.known | frozenset(known), self.local)


class _Walk:
    """Collects references, carrying what conditions have made sure."""

    def __init__(self, found: list[Reference]) -> None:
        self._found = found

    def visit(self, node: nodes.Node | None, place: _Place) -> None:
        match node:
            case None:
                return
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                self._chain(node, place)
            case nodes.Call():
                self._all(node.args, place.at())
            case nodes.Filter():
                self._filter(node, place)
            case nodes.Test():
                self.visit(node.node, place.at(soft=node.name in SOFT_TESTS))
                self._all(node.args, place.at())
            case nodes.And():
                self.visit(node.left, place.at())
                self.visit(node.right, place.at(in_text=place.in_text, known=facts_of.when(node.left, True)))
            case nodes.Or():
                self.visit(node.left, place.at())
                self.visit(node.right, place.at(in_text=place.in_text, known=facts_of.when(node.left, False)))
            case nodes.CondExpr():
                self.visit(node.test, place.at())
                self.visit(node.expr1, _same(place, facts_of.when(node.test, True)))
                self.visit(node.expr2, _same(place, facts_of.when(node.test, False)))
            case nodes.Concat():
                self._all(node.nodes, place.at(in_text=True))
            case nodes.Output():
                self._all(node.nodes, place.at(in_text=True))
            case nodes.If():
                self._if(node, place)
            case nodes.For():
                self._for(node, place)
            case _:
                self._all(node.iter_child_nodes(), place.at())

    def _all(self, found: Iterable[nodes.Node], place: _Place) -> None:
        for node in found:
            self.visit(node, place)

    def _chain(self, node: nodes.Node, place: _Place) -> None:
        root, keys = chain(node)
        self._all((key for key in keys if not isinstance(key, nodes.Const)), place.at())
        if isinstance(root, nodes.Getitem):
            self._all(root.arg.iter_child_nodes(), place.at())
            self.visit(root.node, place.at(soft=place.soft))
        elif not isinstance(root, nodes.Name):
            self.visit(root, place.at(soft=place.soft))
        elif root.name not in place.local and not is_null(root):
            path = facts_of.path_of(keys)
            offsets = tuple(offset_of(key) + _dot(key, node) for key in keys)
            guarded = place.soft or facts_of.covered((root.name, path), place.known)
            self._found.append(Reference(root.name, path, offset_of(root), guarded, place.in_text, offsets))

    def _filter(self, node: nodes.Filter, place: _Place) -> None:
        soft = node.name in SOFT_FILTERS
        keeps = place.in_text and node.name in _TEXT_FILTERS
        self.visit(node.node, place.at(soft=soft, in_text=keeps or node.name in _TEXT_FILTERS))
        self._all(node.args, place.at())
        self._all((pair.value for pair in node.kwargs), place.at())

    def _if(self, node: nodes.If, place: _Place) -> None:
        self.visit(node.test, place.at())
        self._all(node.body, _same(place, facts_of.when(node.test, True)))
        otherwise = _same(place, facts_of.when(node.test, False))
        for other in node.elif_:
            self.visit(other.test, otherwise.at())
            self._all(other.body, _same(otherwise, facts_of.when(other.test, True)))
            otherwise = _same(otherwise, facts_of.when(other.test, False))
        self._all(node.else_, otherwise)

    def _for(self, node: nodes.For, place: _Place) -> None:
        self.visit(node.iter, place.at())
        names = {name.name for name in node.target.find_all(nodes.Name)} | {"loop"}
        if isinstance(node.target, nodes.Name):
            names.add(node.target.name)
        inside = _Place(False, False, place.known | facts_of.when(node.iter, True), place.local | names)
        self.visit(node.test, inside)
        if node.test is not None:
            inside = _same(inside, facts_of.when(node.test, True))
        self._all(node.body, inside)
        self._all(node.else_, place)


def _same(place: _Place, known: Iterable[tuple[str, Path]]) -> _Place:
    return place.at(soft=place.soft, in_text=place.in_text, known=known)


def _dot(key: nodes.Node, node: nodes.Node) -> int:
    """A key made of `.name` has the place of its dot."""
    return 1 if any(inner.lineno == key.lineno for inner in _getattrs(node)) else 0


def _getattrs(node: nodes.Node) -> Iterator[nodes.Getattr]:
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        if isinstance(node, nodes.Getattr):
            yield node
        node = node.node


def _faults(tree: nodes.Node, text: str) -> Iterator[Fault]:
    for node in [tree, *tree.find_all((nodes.Filter, nodes.Test, nodes.Call))]:
        if isinstance(node, nodes.Filter):
            yield from _named("filter", node.name, node, offset_of(node))
            yield from _inner(node)
        elif isinstance(node, nodes.Test):
            words = _IS.match(text, offset_of(node))
            yield from _named("test", node.name, node, words.end() if words else offset_of(node))
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            yield from _named("function", node.node.name, node, offset_of(node.node))


def _named(kind: str, name: str, node: nodes.Filter | nodes.Test | nodes.Call, offset: int) -> Iterator[Fault]:
    table: Mapping[str, object] = {"filter": FILTERS, "test": TESTS, "function": FUNCTIONS}[kind]  # type: ignore[assignment]
    if name not in table:
        yield Fault(f"there is no {kind} `{name}`", offset, f"unknown-{kind}", _remedy(kind, name, table), len(name))
        return
    wrong = signature_of(kind, name).fault(len(node.args), _given(node))
    if wrong:
        yield Fault(f"the {kind} `{name}` {wrong}", offset, "filter-arguments", "", len(name))


def _given(node: nodes.Filter | nodes.Test | nodes.Call) -> list[str]:
    return [str(pair.key) for pair in node.kwargs]


def _inner(node: nodes.Filter) -> Iterator[Fault]:
    """Filters and tests named in the arguments of `map`, `select` and so on."""
    at = {"map": 0, "select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}.get(node.name)
    if at is None or len(node.args) <= at:
        return
    word = node.args[at]
    kind = "filter" if node.name == "map" else "test"
    table: Mapping[str, object] = FILTERS if kind == "filter" else TESTS
    if isinstance(word, nodes.Const) and isinstance(word.value, str):
        if word.value not in table:
            hint = _remedy(kind, word.value, table)
            yield Fault(f"there is no {kind} `{word.value}`", offset_of(word) + 1, f"unknown-{kind}", hint, len(word.value))
        elif wrong := signature_of(kind, word.value).fault(len(node.args) - at - 1, _given(node)):
            yield Fault(f"the {kind} `{word.value}` {wrong}", offset_of(word) + 1, "filter-arguments")


_OTHER_FUNCTIONS = {
    "len": "use the filter: ... | length", "str": "use the filter: ... | string", "dict": 'write: {"key": value}',
    "success": "drop it: a step runs only when all before it went well",
    "failure": "what is done after a failure stands in `on_error`, at the step or at the top of the workflow",
    "always": "what is done in any case stands in `finally`, at the top of the workflow",
    "cancelled": "what is done in any case stands in `finally`, at the top of the workflow; there run.status says how it ended",
    "contains": "write: 'x' in a", "startsWith": "write: a is matches('^x')", "endsWith": "write: a is matches('x$')",
    "toJSON": "use the filter: ... | json", "fromJSON": "use the filter: ... | from_json",
    "is_state": "a state is asked for by a step, such as `http`", "states": "a state is asked for by a step, such as `http`",
}  # fmt: skip


def _remedy(kind: str, name: str, table: Mapping[str, object]) -> str:
    left_out = {"safe": "nothing is escaped here", "attr": "write: a.name", "pprint": "use `json`", "xmlattr": "", "random": ""}
    if kind == "filter" and name in left_out:
        return left_out[name]
    if kind == "function" and name in FILTERS:
        return f"`{name}` is a filter, write: ... | {name}"
    if kind == "filter" and name in TESTS:
        return f"`{name}` is a test, write: ... is {name}"
    return _OTHER_FUNCTIONS[name] if kind == "function" and name in _OTHER_FUNCTIONS else did_you_mean(name, table)
