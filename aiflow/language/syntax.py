"""Text to a checked syntax tree. Jinja parses; every node knows its offset; what is not in the language is refused.

`offset_of(node)` is the character (from 0) of the token a node begins with; for `a.b` the dot, for `a | f` the
filter's name, for `a is t` the `is`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from aiflow.errors import AiflowError, ExpressionError
from aiflow.language.limits import small
from aiflow.language.syntax_advice import advice, regions

DEPTH_LIMIT = 60
"""Expressions in expressions; Jinja and Python read them by recursion."""

LOOPS_LIMIT = 12
"""`for` in `for`; Python nests 20 blocks."""

COMPARISONS_LIMIT = 8
"""Signs in `a < b < c`."""

_EXPRESSIONS: tuple[type[nodes.Node], ...] = (
    nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not,
    nodes.Compare, nodes.Operand, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg,
    nodes.Pos, nodes.Concat,
)  # fmt: skip
_STATEMENTS: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Include,
)  # fmt: skip
_ALLOWED = frozenset(_EXPRESSIONS + _STATEMENTS)
_BLOCKS = {
    nodes.Assign: "set", nodes.AssignBlock: "set", nodes.Macro: "macro", nodes.CallBlock: "call", nodes.With: "with",
    nodes.FilterBlock: "filter", nodes.Block: "block", nodes.Extends: "extends", nodes.Import: "import",
    nodes.FromImport: "from", nodes.ScopedEvalContextModifier: "autoescape", nodes.Scope: "autoescape",
}  # fmt: skip


_SURROGATE = re.compile("[\ud800-\udfff]")
_UNITS = frozenset({"ms", "s", "m", "min", "h", "d", "w"})
_WRITTEN = re.compile(r"""[\w.]+|"[^"]*"|'[^']*'|\S""")


class ExpressionSyntaxError(AiflowError):
    """A text is not an expression or template of the language.

    Attributes:
        offset: character in the text from 0 that is wrong; None: the text as a whole.
        code: `expression`, `braces-in-condition`, `unknown-filter`, `unknown-test`, `unknown-function`, `filter-arguments`.
        length: characters to underline.
    """

    code = "expression"

    def __init__(
        self, message: str, offset: int | None = 0, hint: str = "", code: str = "expression", length: int = 1
    ) -> None:
        super().__init__(message, hint)
        self.offset = offset
        self.code = code  # type: ignore[misc]  # each error its own
        self.length = length


class SyntaxEnvironment(Environment):
    """Parses with offsets where Jinja has line numbers."""

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        source = re.sub("\r\n?", "\n", source)
        raw = _with_offsets(self.lexer.tokeniter(source, name, filename, state), source)
        return TokenStream(self.lexer.wrap(raw, name, filename), name, filename)


_ENVIRONMENT = SyntaxEnvironment(keep_trailing_newline=True, autoescape=False, optimized=False)


def parse_template(text: str, *, includes: bool = False) -> nodes.Template:
    """The checked tree of a text with `{{ }}` and `{% %}`.

    Args: includes: whether `{% include "name" %}` is allowed.
    Raises: ExpressionSyntaxError
    """
    try:
        tree = Parser(_ENVIRONMENT, text).parse()
    except (TemplateSyntaxError, ValueError, RecursionError, OverflowError) as error:
        raise _explain(text, error, bare=False) from None
    _check(tree, includes)
    return tree


def parse_bare(text: str) -> nodes.Expr:
    """The checked tree of an expression without braces. Raises: ExpressionSyntaxError"""
    try:
        parser = Parser(_ENVIRONMENT, text, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected {parser.stream.current.value!r}", parser.stream.current.lineno)
        tree.set_environment(_ENVIRONMENT)
    except (TemplateSyntaxError, ValueError, RecursionError, OverflowError) as error:
        raise _explain(text, error, bare=True) from None
    _check(tree, includes=False)
    return tree


def parse_whole(text: str) -> nodes.Expr | None:
    """The expression of a text that is one `{{ expression }}` and nothing else, or None."""
    return whole(parse_template(text), text) if text.startswith("{{") and text.endswith("}}") else None


def whole(tree: nodes.Template, text: str) -> nodes.Expr | None:
    """The only expression of a template with nothing around it, or None."""
    body = tree.body
    if not (text.startswith("{{") and text.endswith("}}")) or len(body) != 1 or not isinstance(body[0], nodes.Output):
        return None
    only = body[0].nodes[0] if len(body[0].nodes) == 1 else None
    return None if isinstance(only, nodes.TemplateData) else only


def has_braces(text: str) -> bool:
    """Whether a text is a template at all."""
    return "{{" in text or "{%" in text


def offset_of(node: nodes.Node) -> int:
    """Character of the text, from 0."""
    return (node.lineno or 1) - 1


def start_of(node: nodes.Node) -> int:
    """Where the leftmost part of an expression begins."""
    while isinstance(node, (nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter, nodes.Test)) and node.node:
        node = node.node
    if isinstance(node, nodes.BinExpr):
        return min(offset_of(node), start_of(node.left))
    if isinstance(node, nodes.Compare):
        return start_of(node.expr)
    return offset_of(node)


def chain(node: nodes.Node) -> tuple[nodes.Node, list[nodes.Node]]:
    """`a.b[0][i]` as its root `a` and its keys: Const nodes, or other expressions."""
    keys: list[nodes.Node] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        if isinstance(node, nodes.Getattr):
            keys.append(nodes.Const(node.attr, lineno=node.lineno))
        elif isinstance(node.arg, nodes.Slice):
            break
        else:
            keys.append(node.arg)
        node = node.node
    return node, keys[::-1]


def is_null(node: nodes.Node) -> bool:
    """Whether a node is `null` or `none`."""
    return (isinstance(node, nodes.Const) and node.value is None) or (isinstance(node, nodes.Name) and node.name == "null")


def _with_offsets(tokens: Iterator[tuple[int, str, str]], source: str) -> Iterator[tuple[int, str, str]]:
    at = 0
    try:
        for _, kind, value in tokens:
            found = source.find(value, at)
            at = found if found >= 0 else at
            yield at + 1, kind, value
            at += len(value)
    except TemplateSyntaxError as error:
        place = re.search(r" at (\d+)$", error.message or "")
        error.lineno = int(place[1]) + 1 if place else at + 1
        raise


def _check(tree: nodes.Node, includes: bool) -> None:
    waiting = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        _check_node(node, includes)
        loops += isinstance(node, nodes.For)
        if depth > DEPTH_LIMIT or loops > LOOPS_LIMIT:
            raise ExpressionSyntaxError("the expression is nested too deep", offset_of(node))
        waiting.extend((child, depth + 1, loops) for child in node.iter_child_nodes())


def _check_node(node: nodes.Node, includes: bool) -> None:
    if type(node) not in _ALLOWED or (isinstance(node, nodes.Include) and not includes):
        raise _refused(node)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        hint = "" if node.attr.startswith("__") else f'a key of a map: ["{node.attr}"]'
        raise ExpressionSyntaxError(f"`.{node.attr}`: names that begin with `_` are closed", offset_of(node) + 1, hint)
    if isinstance(node, (nodes.Call, nodes.Filter, nodes.Test)) and (node.dyn_args or node.dyn_kwargs):
        raise ExpressionSyntaxError("`*` and `**` do not work in arguments", offset_of(node))
    if isinstance(node, nodes.Call):
        _check_call(node)
    if isinstance(node, nodes.Compare) and len(node.ops) > COMPARISONS_LIMIT:
        raise ExpressionSyntaxError("too many comparisons in one chain", offset_of(node))
    if isinstance(node, nodes.For) and node.recursive:
        raise ExpressionSyntaxError("a loop cannot be `recursive`", offset_of(node))
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and _SURROGATE.search(node.value):
        raise ExpressionSyntaxError("half a character (a surrogate) cannot stand in a text", offset_of(node))
    if isinstance(node, nodes.Const) and isinstance(node.value, (int, float)):
        try:
            small(node.value)
        except ExpressionError as error:
            raise ExpressionSyntaxError(error.message, offset_of(node)) from None


def _check_call(node: nodes.Call) -> None:
    if isinstance(node.node, nodes.Getattr):
        name = node.node.attr
        raise ExpressionSyntaxError(
            f"`.{name}()`: methods cannot be called", offset_of(node.node) + 1, _instead(name), length=len(name)
        )
    if not isinstance(node.node, nodes.Name):
        raise ExpressionSyntaxError("only functions can be called", offset_of(node))
    if node.kwargs:
        raise ExpressionSyntaxError(f"`{node.node.name}()` takes values by place only", offset_of(node.kwargs[0]))


def _instead(method: str) -> str:
    known = {
        "strip": "trim", "len": "length", "values": "items", "keys": "list", "dumps": "json", "size": "length",
        "loads": "from_json", "includes": "in", "contains": "in", "startswith": "matches", "endswith": "matches",
        "toLowerCase": "lower", "toUpperCase": "upper", "toString": "string", "strftime": "date", "append": "+",
    }  # fmt: skip
    if method == "get":
        return "use a dot and a filter: a.key | default(...)"
    word = known.get(method, method)
    examples = {"in": "'x' in a", "matches": "a is matches('^x')", "+": "a + [x]"}
    from aiflow.language.filters import FILTERS

    if word in examples:
        return f"write: {examples[word]}"
    return f"use the filter: ... | {word}" if word in FILTERS else "use a filter"


def _refused(node: nodes.Node) -> ExpressionSyntaxError:
    offset = offset_of(node)
    if isinstance(node, nodes.Pow):
        return ExpressionSyntaxError("`**` is not an operator", offset, "write: a * a")
    if isinstance(node, nodes.Include):
        return ExpressionSyntaxError("`{% include %}` is only for prompt files", offset)
    word = next((name for kind, name in _BLOCKS.items() if isinstance(node, kind)), type(node).__name__.lower())
    hint = "values do not change; name what a `set` step computes" if word == "set" else "there are only `if` and `for`"
    return ExpressionSyntaxError(f"`{{% {word} %}}` is not part of the language", offset, hint)


def _explain(text: str, error: Exception, bare: bool) -> ExpressionSyntaxError:
    if isinstance(error, RecursionError):
        return ExpressionSyntaxError("the expression is nested too deep", None)
    offset = min(len(text), max(0, getattr(error, "lineno", 1) - 1))
    found = advice(text, bare)
    if found is not None:
        message, offset, length, fixed = found
        return ExpressionSyntaxError(message, offset, f"write: {fixed.strip()}" if _parses(fixed, bare) else "", length=length)
    message, hint = _plain_words(str(getattr(error, "message", error)), text, bare, offset)
    if message.startswith("`{{` is never") and not bare:
        offset = next((start for start, end in regions(text) if end == len(text)), offset)
    return ExpressionSyntaxError(message, offset, hint)


def _plain_words(message: str, text: str, bare: bool, offset: int) -> tuple[str, str]:
    if match := re.search(r"needs to be closed is '(\w+)'", message):
        return f"`{{% {match[1]} %}}` is never closed", f"write: {{% end{match[1]} %}}"
    if "end of template" in message or ("end of print statement" in message and not text.rstrip().endswith("}}")):
        return ("the expression ends too early", "") if bare else ("`{{` is never closed", "write: {{ ... }}")
    if match := re.match(r"unexpected char (['\"])(.+)\1 at", message):
        if match[2] in "'\"":
            return f"the quote `{match[2]}` is never closed", ""
        return f"`{match[2]}` means nothing in an expression", ""
    if message.startswith("Expected an expression, got"):
        return "there is no expression between the braces", "write: {{ inputs.name }}"
    if match := re.match(r"expected token '(.*)', got '(.*)'", message):
        written = _WRITTEN.match(text, offset)
        word = written[0] if written and match[2] in ("string", "integer", "float", "name") else match[2]
        word = {"end of print statement": "}}", "end of statement block": "%}"}.get(word, word)
        if match[1] == "," and word == "for":
            return "`for` was not expected here: lists are made with filters", "write: items | map(attribute='name')"
        if word in _UNITS and text[:offset].rstrip()[-1:].isdigit():
            return f"`{word}` was not expected here", f"a duration is a text: '1{word}'"
        if match[1] == "end of print statement":
            return f"`{word}` was not expected here", "between two values there must be an operator"
        return f"`{word}` was not expected here", f"expected: {match[1]}"
    if match := re.match(r"unexpected '(.)', expected '(.)'", message):
        return f"`{match[2]}` is missing", f"a bracket is opened and not closed before `{match[1]}`"
    if match := re.match(r"[Uu]nexpected '?(.*?)'?$", message):
        if match[1] == "end of print statement":
            return "the expression ends too early", ""
        if match[1] == "}":
            return "`}` was not expected here", "an expression ends with two: }}"
        return f"`{match[1]}` was not expected here", "a list stands in brackets: [a, b]" if match[1] == "," else ""
    if match := re.match(r"Encountered unknown tag '(.*?)'", message):
        return f"there is no `{{% {match[1]} %}}`", "there are `{% if %}`, `{% elif %}`, `{% else %}` and `{% for %}`"
    return message[:1].lower() + message[1:].rstrip("."), ""


def _parses(text: str, bare: bool) -> bool:
    try:
        if not bare:
            Parser(_ENVIRONMENT, text).parse()
            return True
        parser = Parser(_ENVIRONMENT, text, state="variable")
        parser.parse_expression()
        return bool(parser.stream.eos)
    except (TemplateSyntaxError, ValueError, RecursionError, OverflowError):
        return False
