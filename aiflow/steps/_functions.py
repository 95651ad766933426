"""Finding a user's function by `module:function`, once per process."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiflow.errors import StepError


@dataclass(frozen=True, slots=True)
class Function:
    """A function and what calling it needs.

    Attributes:
        call: the function.  is_async: defined with `async def`.
        wants_context: has a parameter `ctx`.
        accepted: names of its parameters without `ctx`, or None when it takes any (`**kwargs`).
        required: names without a default.
        code: digest of the source file it was imported from.
    """

    call: Callable[..., Any]
    is_async: bool
    wants_context: bool
    accepted: frozenset[str] | None
    required: frozenset[str]
    code: str = ""


_lock = threading.Lock()
_found: dict[tuple[Path, str], Function] = {}
_copies: dict[Path, Path] = {}
"""Copies of a project, which have their data for themselves and share its functions."""
_owners: dict[str, Path] = {}
"""Top-level modules that were imported for a project, and which: two projects may both have a `helpers.py`."""
_digests: dict[str, str] = {}
"""Of source files as they were imported: the file may have changed since, what runs has not."""


@contextlib.contextmanager
def copied(copy: Path, project: Path) -> Iterator[None]:
    """Meanwhile the functions of `copy` are those of the project: imported once, whatever is copied."""
    _copies[copy] = project
    try:
        yield
    finally:
        del _copies[copy]


def known(project: Path, name: str) -> Function | None:
    """The function if it was resolved before."""
    return _found.get((_copies.get(project, project), name))


def resolve(project: Path, name: str) -> Function:
    """Import the module and describe the function. Blocks. Raises: StepError `python_error`."""
    project = _copies.get(project, project)
    with _lock:
        if (function := _found.get((project, name))) is None:
            call = _look_up(project, name)
            function = _found[project, name] = replace(_describe(call, name), code=_code_of(call, name))
    return function


def _look_up(project: Path, name: str) -> Callable[..., Any]:
    module_name, _, attributes = name.partition(":")
    module = _import(project, module_name)
    found: Any = module
    for part in attributes.split("."):
        if not hasattr(found, part):
            names = [one for one in dir(found) if not one.startswith("_")]
            near = difflib.get_close_matches(part, names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"looked in {getattr(module, '__file__', module_name)}"
            raise StepError("python_error", f"module `{module_name}` has no function `{attributes}`", hint=hint)
        found = getattr(found, part)
    if not callable(found):
        raise StepError("python_error", f"`{name}` is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def _import(project: Path, module_name: str) -> Any:
    folder = str(project)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    _forget_other_projects(project, module_name.partition(".")[0])
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            hint = f"looked for `{module_name.replace('.', '/')}.py` in {project} and for an installed package"
            raise StepError("python_error", f"there is no module `{module_name}`", hint=hint) from error
        raise _import_error(module_name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_error(module_name, error) from error


def _import_error(module_name: str, error: BaseException) -> StepError:
    from aiflow.steps._tracebacks import user_traceback

    message = f"module `{module_name}` cannot be imported: {type(error).__name__}: {error}"
    return StepError("python_error", message, data={"exception": type(error).__name__}, traceback=user_traceback(error))


def _forget_other_projects(project: Path, top: str) -> None:
    """If `top` was imported from another project and this one has its own, import it anew."""
    own = (project / f"{top}.py").is_file() or (project / top).is_dir()
    owner = _owners.get(top)
    if own and owner not in (None, project):
        for name in [name for name in sys.modules if name == top or name.startswith(top + ".")]:
            del sys.modules[name]
        _digests.clear()
    if own:
        _owners[top] = project


def _code_of(call: Callable[..., Any], name: str) -> str:
    """Digest of the module's file and of the one that defines the function; for those written in C, Python's version."""
    paths = {getattr(sys.modules[name.partition(":")[0]], "__file__", None)}
    try:
        paths.add(inspect.getsourcefile(inspect.unwrap(call)))
    except (TypeError, ValueError):
        paths.add(None)
    parts = [_digests.setdefault(path, _file_digest(path)) for path in sorted(filter(None, paths))]
    return "+".join(parts) or sys.version


def _file_digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return path


def _describe(call: Callable[..., Any], name: str) -> Function:
    is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(vars(type(call)).get("__call__"))
    try:
        parameters = inspect.signature(call).parameters.values()
    except (ValueError, TypeError):  # some functions written in C tell nothing
        return Function(call, is_async, False, None, frozenset())
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    hidden = [one for one in parameters if one.kind is one.POSITIONAL_ONLY and one.default is one.empty]
    if hidden:
        raise StepError("python_error", f"`{name}` has parameters without names; `with` hands over by name")
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters)
    names = frozenset(one.name for one in named)
    return Function(
        call=call,
        is_async=is_async,
        wants_context="ctx" in names,
        accepted=None if anything else names - {"ctx"},
        required=frozenset(one.name for one in named if one.default is one.empty) - {"ctx"},
    )
