"""From the syntax tree of an expression to the tree that Jinja compiles.

Everything with rules of its own (V3, V6, V7, V8) becomes a call of an internal filter, so that the code that Jinja
makes holds no attribute access, no method call and no conversion of Python's:

    a.b[i]          ->  a | _path("a", "b", i)         inside `default(...)` and tests for it: _soft
    {{ x }} in text ->  x | _text("x")
    for x in y      ->  for x in y | _each
    f(x)            ->  "f" | _call(x)
    a ~ b, {k: v}, a < b, a[1:2]  ->  _concat, _map, _compare, _cut
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import nodes

from aiflow.language.filters import SOFT_FILTERS, SOFT_TESTS
from aiflow.language.lookup import nearest, path_text
from aiflow.language.syntax import ExpressionSyntaxError, chain, is_null, offset_of, parse_template

INCLUDE_DEPTH = 8
"""Partials in partials."""


def rewrite_value(tree: nodes.Expr) -> nodes.Template:
    """A template that hands the expression's value to `_result`."""
    return nodes.Template([nodes.ExprStmt(_filter("_result", _hard(tree)))], lineno=1)


def rewrite_template(tree: nodes.Template) -> nodes.Template:
    """A template that gives text."""
    return nodes.Template(_statements(tree.body), lineno=1)


def include_partials(tree: nodes.Template, partials: Mapping[str, str], depth: int = 0) -> nodes.Template:
    """The tree with the trees of the partials in the place of `{% include %}`.

    Raises: ExpressionSyntaxError: no such partial, a computed name, or includes that go in circles.
    """
    tree.body = _included(tree.body, partials, depth)
    blocks: list[Any] = list(tree.find_all((nodes.If, nodes.For)))
    for block in blocks:
        block.body = _included(block.body, partials, depth)
        block.else_ = _included(block.else_, partials, depth)
    return tree


def _included(body: Sequence[nodes.Node], partials: Mapping[str, str], depth: int) -> list[nodes.Node]:
    made: list[nodes.Node] = []
    for node in body:
        if not isinstance(node, nodes.Include):
            made.append(node)
            continue
        inner = include_partials(parse_template(_partial(node, partials, depth), includes=True), partials, depth + 1)
        for each in inner.find_all(nodes.Node):
            each.lineno = node.lineno
        made.extend(inner.body)
    return made


def _partial(node: nodes.Include, partials: Mapping[str, str], depth: int) -> str:
    name = node.template.value if isinstance(node.template, nodes.Const) else None
    if not isinstance(name, str):
        raise ExpressionSyntaxError("the path in `{% include %}` must be a fixed text", offset_of(node))
    if name in partials and depth < INCLUDE_DEPTH:
        return partials[name]
    if name not in partials and node.ignore_missing:
        return ""
    if name in partials:
        raise ExpressionSyntaxError(f"`{name}` includes itself, or is included too deep", offset_of(node), code="include")
    near = nearest(name, list(partials))
    hint = f"did you mean `{near}`?" if near else ""
    raise ExpressionSyntaxError(f"there is no file `{name}` to include", offset_of(node), hint, "include")


def _statements(body: Sequence[nodes.Node]) -> list[nodes.Node]:
    return [_statement(node) for node in body]


def _statement(node: nodes.Node) -> nodes.Node:
    match node:
        case nodes.Output():
            return nodes.Output([_output(child) for child in node.nodes], lineno=node.lineno)
        case nodes.If():
            return nodes.If(
                _hard(node.test), _statements(node.body), _statements(node.elif_), _statements(node.else_), lineno=node.lineno
            )
        case nodes.For():
            test = None if node.test is None else _hard(node.test)
            items = _filter("_each", _hard(node.iter))
            return nodes.For(
                node.target, items, _statements(node.body), _statements(node.else_), test, False, lineno=node.lineno
            )
    raise AssertionError(f"{type(node).__name__} passed the check of syntax.py")


def _output(node: nodes.Node) -> Any:
    if isinstance(node, nodes.TemplateData):
        return node
    return _filter("_text", _hard(node), nodes.Const(label_of(node)))


def _hard(node: nodes.Node) -> Any:
    return _expression(node, False)


def _expression(node: nodes.Node, soft: bool) -> Any:
    match node:
        case nodes.Const():
            return node
        case nodes.Name() | nodes.Getattr() | nodes.Getitem():
            return nodes.Const(None) if is_null(node) else _access(node, soft)
        case nodes.List() | nodes.Tuple():
            return nodes.List([_hard(item) for item in node.items])
        case nodes.Dict():
            keys = nodes.List([_hard(pair.key) for pair in node.items])
            return _filter("_map", keys, nodes.List([_hard(pair.value) for pair in node.items]))
        case nodes.Call():
            assert isinstance(node.node, nodes.Name)
            return _filter("_call", nodes.Const(node.node.name), *map(_hard, node.args))
        case nodes.Filter():
            inner = _expression(node.node, node.name in SOFT_FILTERS) if node.node else nodes.Const(None)
            return nodes.Filter(inner, node.name, *_arguments(node), None, None, lineno=node.lineno)
        case nodes.Test():
            inner = _expression(node.node, node.name in SOFT_TESTS)
            return nodes.Test(inner, node.name, *_arguments(node), None, None, lineno=node.lineno)
        case nodes.Compare():
            return _comparison(node)
        case nodes.Concat():
            return _filter("_concat", nodes.List([_hard(item) for item in node.nodes]))
        case nodes.CondExpr():
            otherwise = nodes.Const(None) if node.expr2 is None else _expression(node.expr2, soft)
            return nodes.CondExpr(_hard(node.test), _expression(node.expr1, soft), otherwise, lineno=node.lineno)
        case nodes.BinExpr():
            return type(node)(_hard(node.left), _hard(node.right), lineno=node.lineno)
        case nodes.UnaryExpr():
            return type(node)(_hard(node.node), lineno=node.lineno)
    raise AssertionError(f"{type(node).__name__} passed the check of syntax.py")


def _access(node: nodes.Node, soft: bool) -> Any:
    root, keys = chain(node)
    made = [_hard(key) for key in keys]
    if isinstance(root, nodes.Getitem):
        part = root.arg
        assert isinstance(part, nodes.Slice)
        bounds = [nodes.Const(None) if bound is None else _hard(bound) for bound in (part.start, part.stop, part.step)]
        base = _filter("_cut", _expression(root.node, soft), *bounds)
    else:
        base = root if isinstance(root, nodes.Name) else _expression(root, soft)
    if not made and not isinstance(root, nodes.Name):
        return base
    return _filter("_soft" if soft else "_path", base, nodes.Const(label_of(root)), *made)


def _comparison(node: nodes.Compare) -> Any:
    made: Any = None
    left = node.expr
    for operand in node.ops:
        one = _filter("_compare", _hard(left), nodes.Const(operand.op), _hard(operand.expr))
        made = one if made is None else nodes.And(made, one)
        left = operand.expr
    return made


def _arguments(node: nodes.Filter | nodes.Test) -> tuple[list[Any], list[nodes.Keyword]]:
    named = [nodes.Keyword(pair.key, _hard(pair.value)) for pair in node.kwargs]
    return [_hard(argument) for argument in node.args], named


def _filter(name: str, value: nodes.Node, *args: nodes.Node) -> Any:
    return nodes.Filter(value, name, list(args), [], None, None)


def label_of(node: nodes.Node) -> str:
    """What the author wrote, as far as it is a path: `steps.a.output[i]`; else `(...)`."""
    root, keys = chain(node)
    if not isinstance(root, nodes.Name):
        return "(...)"
    words = [key.value if isinstance(key, nodes.Const) else _Computed(label_of(key)) for key in keys]
    return path_text(root.name, words)


class _Computed:
    def __init__(self, label: str) -> None:
        self._label = label

    def __repr__(self) -> str:
        return self._label
