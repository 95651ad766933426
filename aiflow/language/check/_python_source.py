"""Python modules read from their source: functions, their parameters, the types that annotations tell. Nothing is imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path as FilePath

from aiflow.language.check._annotations import Annotations
from aiflow.language.check._schemas import Type


@dataclass(frozen=True)
class Signature:
    """The parameters of a function. `shown` is for people: `score(lead, weight=1)`; `types`: of those that are annotated."""

    shown: str
    names: tuple[str, ...]
    required: tuple[str, ...]
    anything: bool
    types: Mapping[str, Type] = field(default_factory=dict)
    returns: Type = None


@dataclass(frozen=True)
class Module:
    """What a source file defines at its top.

    Attributes:
        functions: by name, with their signature, None where it cannot be told.
        others: names of values, classes and imports.  open: names may come from elsewhere (`import *`, `__getattr__`).
    """

    functions: dict[str, Signature | None]
    others: frozenset[str]
    open: bool


def read_module(root: FilePath, name: str) -> Module | FilePath | SyntaxError | None:
    """What a module defines; its place when it is not Python source; None when there is no such module."""
    place: list[str] | None = [str(root), *sys.path]
    spec = None
    dotted = ""
    for part in name.split("."):
        dotted = f"{dotted}.{part}" if dotted else part
        if dotted in sys.builtin_module_names:
            return root
        try:
            spec = PathFinder.find_spec(dotted, place)
        except (ImportError, ValueError, OSError):
            spec = None
        if spec is None:
            return None
        place = list(spec.submodule_search_locations or [])
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return root
    try:
        return describe(ast.parse(FilePath(spec.origin).read_bytes()))
    except SyntaxError as error:
        return error
    except (OSError, ValueError):
        return FilePath(spec.origin)


def describe(tree: ast.Module) -> Module:
    """The names that a module defines at its top, also inside `if` and `try`."""
    functions: dict[str, Signature | None] = {}
    others: set[str] = set()
    is_open = False
    annotations = Annotations(tree)
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                plain = all(isinstance(one, ast.Name) and one.id in ("staticmethod", "cache") for one in node.decorator_list)
                functions[node.name] = _signature(node, annotations) if plain and node.name not in functions else None
                is_open = is_open or node.name == "__getattr__"
            case ast.ClassDef():
                others.add(node.name)
            case ast.Import() | ast.ImportFrom():
                is_open = is_open or any(alias.name == "*" for alias in node.names)
                others |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                others |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                for part in ("body", "orelse", "finalbody"):
                    waiting[:0] = getattr(node, part, [])
                for handler in getattr(node, "handlers", []):
                    waiting.extend(handler.body)
    return Module(functions, frozenset(others), is_open)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, annotations: Annotations) -> Signature:
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    optional = plain[len(plain) - len(args.defaults) :] if args.defaults else []
    wanted = [one.arg for one in plain if one not in optional]
    wanted += [one.arg for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True) if default is None]
    names = [one.arg for one in (*args.args, *args.kwonlyargs)]
    return Signature(
        shown=f"{node.name}({_shown(args)})",
        names=tuple(name for name in names if name != "ctx"),
        required=tuple(name for name in wanted if name != "ctx"),
        anything=args.kwarg is not None,
        types={one.arg: found for one in (*args.args, *args.kwonlyargs) if (found := annotations.argument(one.annotation))},
        returns=annotations.result(node.returns),
    )


def _shown(args: ast.arguments) -> str:
    """The parameters without annotations and without `ctx`."""
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults))
    pairs = list(zip(plain, [*defaults, *args.defaults], strict=True))
    parts = [_parameter(arg, default) for arg, default in pairs if arg.arg != "ctx"]
    if args.vararg is not None:
        parts.append(f"*{args.vararg.arg}")
    elif args.kwonlyargs:
        parts.append("*")
    parts += [_parameter(arg, one) for arg, one in zip(args.kwonlyargs, args.kw_defaults, strict=True) if arg.arg != "ctx"]
    if args.kwarg is not None:
        parts.append(f"**{args.kwarg.arg}")
    return ", ".join(part for place, part in enumerate(parts) if part != "*" or place + 1 < len(parts))


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    return arg.arg if default is None else f"{arg.arg}={ast.unparse(default)}"
