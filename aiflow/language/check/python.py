"""Python: the module and function exist and the arguments fit, read from the source; nothing is imported or run."""

from __future__ import annotations

from aiflow.language.check._handed import check_value
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._python_source import Module, Signature
from aiflow.language.check._words import listed, nearest
from aiflow.language.config import long_form
from aiflow.language.tree import Node, Path


def check(look: Inspection) -> None:
    """All faults of `python` steps."""
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name == "python":
            _step(look, node)


def _step(look: Inspection, node: Node) -> None:
    assert node.kind is not None
    value = node.data["python"]
    given = long_form(node.kind, value, look.file.parent).get("function")
    path: Path = (*node.path, "python", "function") if isinstance(value, dict) else (*node.path, "python")
    if not isinstance(given, str) or look.is_wrong(path) or "{{" in given:
        return
    name, colon, function = given.partition(":")
    if not colon or not function:
        return
    module = look.module_at(name)
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
    for key, value in given.items():
        if key in signature.types:
            check_value(look, (*node.path, "with", key), key, value, signature.types[key], signature.shown, "python-arguments")
    if missing:
        template = ", ".join(f'{name}: "{{{{ ... }}}}"' for name in missing)
        names = " and ".join(f"`{name}`" for name in missing)
        hint = f"add to `with`: {template}" if given else f"add: with: {{{template}}}"
        look.at_key((*node.path, "python"), f"{signature.shown} needs {names}", "python-arguments", hint)
