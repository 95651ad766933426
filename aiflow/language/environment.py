"""The sandboxed Jinja environments in which expressions and templates are compiled and run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Template, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aiflow.errors import ExpressionError, StepError
from aiflow.language import operations
from aiflow.language.filters import FILTERS, FUNCTIONS, TESTS, run_filter, run_test
from aiflow.language.limits import TEMPLATE_LIMITS, Budget, Limits, data_size
from aiflow.language.lookup import Missing, follow, nearest, plain_value
from aiflow.language.references import find_faults
from aiflow.language.rewrite import include_partials, rewrite_template
from aiflow.language.syntax import SyntaxEnvironment, parse_template
from aiflow.values import Value, type_name


class RunContext(Context):
    """One evaluation: the scope, what it may still use, and the value it found."""

    budget: Budget
    result: Value = None


class ValueEnvironment(SyntaxEnvironment, ImmutableSandboxedEnvironment):
    """Compiles trees of `rewrite.py`. Names come from the scope alone; filters, tests and functions are ours alone."""

    context_class = RunContext
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])
    intercepted_unops = frozenset(["+", "-"])

    def __init__(self) -> None:
        super().__init__(undefined=Missing, keep_trailing_newline=True, autoescape=False, optimized=False, cache_size=0)
        self.globals = {}
        self.filters = {**_INTERNAL, **{name: _filter_bridge(name, function) for name, function in FILTERS.items()}}
        self.tests = {name: _test_bridge(name, function) for name, function in TESTS.items()}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+ - * / // %`"""
        assert isinstance(context, RunContext)
        return operations.calculate(context.budget, operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """`-a`, `+a`"""
        return operations.negate(operator, arg)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Never reached by compiled code; a second wall."""
        return Missing.under(obj, "(...)", [attribute], 0)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Never reached by compiled code; a second wall."""
        return Missing.under(obj, "(...)", [argument], 0)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # as in Jinja
        """Never reached by compiled code; a second wall."""
        raise ExpressionError("only functions can be called")


class TemplateEnvironment(ValueEnvironment):
    """For prompt files: `from_string(text).render(data)`; includes from the given partials only.

    `from_string` and `parse` raise ExpressionSyntaxError, `render` ExpressionError. `parse` gives Jinja's tree,
    partials in place.
    """

    def __init__(self, partials: Mapping[str, str]) -> None:
        super().__init__()
        self.template_class = PromptTemplate
        self._partials = dict(partials)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = include_partials(parse_template(source, includes=True), self._partials)
        for fault in find_faults(tree, source):
            raise fault.error()
        tree.set_environment(self)
        return tree

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        tree = rewrite_template(source)
        tree.set_environment(self)
        return super()._generate(tree, name, filename, defer_init)


class PromptTemplate(Template):
    """A compiled text with the larger limits of prompt files."""

    def render(self, *args: Any, **kwargs: Any) -> str:
        """The text. Takes a map of data, or names. Raises: ExpressionError"""
        data: dict[str, Any] = dict(*args, **kwargs)
        return render(self, data, TEMPLATE_LIMITS, lambda: data_size(data.values()))


def template_environment(partials: Mapping[str, str]) -> TemplateEnvironment:
    """The environment for prompt and email files. `partials`: name as written in `{% include %}` -> text."""
    return TemplateEnvironment(partials)


def render(
    template: Template,
    scope: Mapping[str, Any],
    limits: Limits,
    measure: Callable[[], int] | None,
    project: Path | None = None,
) -> str:
    """Text of a compiled template, counted while it grows.

    Raises: ExpressionError; StepError for files that cannot be read.
    """
    budget = Budget(limits, measure, project)
    context = new_context(template, scope, budget)
    parts: list[str] = []
    room = limits.size
    try:
        with budget:
            for part in template.root_render_func(context):
                room -= len(part)
                if room < 0:
                    hint = "put less into it, or work through the data in parts: each"
                    raise ExpressionError(f"the text is longer than {limits.size >> 20} MB", hint)
                parts.append(part)
    except Exception as error:
        raise explained(error, scope) from None
    return "".join(parts)


def evaluate(
    template: Template,
    scope: Mapping[str, Any],
    limits: Limits,
    measure: Callable[[], int] | None,
    project: Path | None = None,
) -> Value:
    """Value of a compiled expression (`rewrite_value`). Raises as `render`."""
    budget = Budget(limits, measure, project)
    context = new_context(template, scope, budget)
    try:
        with budget:
            for _ in template.root_render_func(context):
                pass
    except Exception as error:
        raise explained(error, scope) from None
    return context.result


def new_context(template: Template, scope: Mapping[str, Any], budget: Budget) -> RunContext:
    """A context that reads names from the scope, without a copy."""
    context = RunContext(template.environment, scope, None, {})  # type: ignore[arg-type]  # only read
    context.budget = budget
    return context


def explained(error: Exception, scope: Mapping[str, Any]) -> Exception:
    """The error as one of ours; an unknown name gets the nearest one of the scope."""
    if isinstance(error, ExpressionError) and not error.hint and "name" in error.data:
        near = nearest(error.data["name"], [name for name in scope if name.isidentifier()])
        return ExpressionError(error.message, f"did you mean `{near}`?" if near else "", error.data)
    if isinstance(error, StepError):
        return error
    if isinstance(error, RecursionError):
        return ExpressionError("a value is nested too deep")
    if isinstance(error, (MemoryError, OverflowError)):
        return ExpressionError("a value is too large")
    return ExpressionError(f"the expression cannot be evaluated: {error!s:.200}")


@pass_context
def _path(context: RunContext, value: Any, label: str, *keys: Any) -> Value:
    found = follow(value, label, keys, context.budget.project)
    return plain_value(found, label)


@pass_context
def _soft(context: RunContext, value: Any, label: str, *keys: Any) -> Any:
    found = follow(value, label, keys, context.budget.project)
    return found if isinstance(found, Missing) else plain_value(found, label)


@pass_context
def _text(context: RunContext, value: Value, label: str) -> str:
    context.budget.tick()
    return operations.as_text(value, "" if label == "(...)" else label)


@pass_context
def _each(context: RunContext, value: Value) -> Iterator[Value]:
    if not isinstance(value, (list, dict, str)):
        raise ExpressionError(f"`for` needs a list, not {type_name(value)}", "write: ... | default([])" if value is None else "")
    return context.budget.each(value)


@pass_context
def _call(context: RunContext, name: str, *args: Value) -> Value:
    function = FUNCTIONS[name]
    if function is not None:
        return context.budget.made(function(context.budget, *args))
    given = context.resolve_or_missing(name)
    if not callable(given):
        raise ExpressionError(f"{name}() is not available here")
    return plain_value(given(), name)


@pass_context
def _concat(context: RunContext, values: list[Value]) -> str:
    return operations.concat(context.budget, values)


@pass_context
def _map(context: RunContext, keys: list[Value], values: list[Value]) -> dict[str, Value]:
    return operations.build_map(keys, values)


@pass_context
def _compare(context: RunContext, left: Value, sign: str, right: Value) -> bool:
    return operations.compare(sign, left, right)


@pass_context
def _cut(context: RunContext, value: Any, start: Value, stop: Value, step: Value) -> Any:
    return value if isinstance(value, Missing) else context.budget.made(operations.cut(value, start, stop, step))


@pass_context
def _result(context: RunContext, value: Value) -> str:
    context.result = value
    return ""


_INTERNAL: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (_path, _soft, _text, _each, _call, _concat, _map, _compare, _cut, _result)
}


def _filter_bridge(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def run(context: RunContext, value: Value, *args: Value, **named: Value) -> Value:
        return run_filter(context.budget, name, function, value, args, named)

    return run


def _test_bridge(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def run(context: RunContext, value: Value, *args: Value, **named: Value) -> bool:
        context.budget.tick()
        return run_test(name, function, value, args, named)

    return run
