"""Python: the module and function exist and the arguments fit, read from the source; nothing is imported or run."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path as FilePath
from typing import Any

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import listed, nearest
from aiflow.language.config import long_form
from aiflow.language.tree import Node, Path


@dataclass(frozen=True)
class Signature:
    """The parameters of a function. `shown` is for people: `score(lead, weight=1)`."""

    shown: str
    names: tuple[str, ...]
    required: tuple[str, ...]
    anything: bool


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


def check(look: Inspection) -> None:
    """All faults of `python` steps."""
    modules: dict[str, Module | FilePath | SyntaxError | None] = {}
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name == "python":
            _step(look, node, modules)


def _step(look: Inspection, node: Node, modules: dict[str, Any]) -> None:
    assert node.kind is not None
    value = node.data["python"]
    given = long_form(node.kind, value, look.file.parent).get("function")
    path: Path = (*node.path, "python", "function") if isinstance(value, dict) else (*node.path, "python")
    if not isinstance(given, str) or look.is_wrong(path) or "{{" in given:
        return
    name, colon, function = given.partition(":")
    if not colon or not function:
        return
    if name not in modules:
        modules[name] = read_module(look.settings.root, name)
    module = modules[name]
    if module is None:
        _no_module(look, path, name)
    elif isinstance(module, SyntaxError):
        place = f"line {module.lineno}: " if module.lineno else ""
        look.at_value(path, f"module {name} is no valid Python: {place}{module.msg}", "missing-module")
    elif isinstance(module, Module) and "." not in function:
        _function(look, node, path, name, function, module)


def _no_module(look: Inspection, path: Path, name: str) -> None:
    head, _, last = name.rpartition(".")
    folder = look.settings.root.joinpath(*head.split(".")) if head else look.settings.root
    names = sorted(one.stem for one in folder.glob("*.py")) if folder.is_dir() else []
    names += sorted(one.name for one in folder.iterdir() if (one / "__init__.py").is_file()) if folder.is_dir() else []
    near = nearest(last, names)
    function = "" if near is None else f"{head + '.' if head else ''}{near}"
    where = f"{name.replace('.', '/')}.py"
    hint = f"did you mean {function}?" if near else f"looked for {where} in the project folder, and for an installed package"
    look.at_value(path, f"there is no module {name}", "missing-module", hint)


def _function(look: Inspection, node: Node, path: Path, name: str, function: str, module: Module) -> None:
    if function not in module.functions:
        if function in module.others or module.open:
            return
        near = nearest(function, module.functions)
        hint = f"did you mean {name}:{near}?" if near else f"it has: {listed(module.functions)}"
        look.at_value(path, f"module {name} has no function `{function}`", "missing-function", hint)
        return
    signature = module.functions[function]
    if signature is not None:
        _arguments(look, node, path, signature)


def _arguments(look: Inspection, node: Node, path: Path, signature: Signature) -> None:
    given = node.data.get("with") or {}
    if not isinstance(given, dict) or "with" in node.meant:
        return
    missing = [name for name in signature.required if name not in given]
    for key in given:
        if key in signature.names or signature.anything:
            continue
        near = nearest(str(key), [one for one in signature.names if one not in given])
        hint = f"did you mean `{near}`?" if near else f"it takes: {listed(signature.names)}"
        look.at_key((*node.path, "with", key), f"{signature.shown} takes no argument `{key}`", "python-arguments", hint)
        missing = [name for name in missing if name != near]
    if missing:
        template = ", ".join(f'{name}: "{{{{ ... }}}}"' for name in missing)
        names = " and ".join(f"`{name}`" for name in missing)
        hint = f"add to `with`: {template}" if given else f"add: with: {{{template}}}"
        look.at_key((*node.path, "python"), f"{signature.shown} needs {names}", "python-arguments", hint)


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
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                plain = all(isinstance(one, ast.Name) and one.id in ("staticmethod", "cache") for one in node.decorator_list)
                functions[node.name] = _signature(node) if plain and node.name not in functions else None
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


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature:
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
