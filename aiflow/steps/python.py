"""python: call a function of the project."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiflow.errors import StepError
from aiflow.steps import _functions, _prints
from aiflow.steps._functions import Function
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._paths import contents
from aiflow.steps._results import NoJson, json_value
from aiflow.steps._threads import in_thread
from aiflow.values import Value, files_in


class RunInfo:
    """`ctx.run` in a function: `id` and `dir` (made when asked for)."""

    __slots__ = ("_dir", "id")

    def __init__(self, run_id: str, folder: Path) -> None:
        self.id = run_id
        self._dir = folder

    @property
    def dir(self) -> Path:
        self._dir.mkdir(parents=True, exist_ok=True)
        return self._dir


class StepContext:
    """What a function with a parameter `ctx` receives.

    Attributes:
        key: the same for every attempt of this step; give it to services that take an idempotency key.
        attempt: from 1.  path: the step's address.  run: `run.id`, `run.dir`.  project: the project folder.
        log: `ctx.log("text")`, `ctx.log("text", level="warning")`.
    """

    __slots__ = ("attempt", "key", "log", "path", "project", "run")

    def __init__(self, ctx: Context, log: Callable[..., None]) -> None:
        self.key = ctx.key
        self.attempt = ctx.attempt
        self.path = ctx.path
        self.run = RunInfo(ctx.run_id, ctx.run_dir)
        self.project = ctx.project
        self.log = log

    def progress(self, share: float, text: str = "") -> None:
        """Tell people how far it is: `share` from 0 to 1."""
        self.log(f"{share:.0%} {text}".rstrip())


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Call the function with `with` as keyword arguments: async ones here, others in a thread. Output: what it returns."""
    name = config["function"]
    function = _functions.known(ctx.project, name)
    if function is None:
        function = await in_thread(_functions.resolve, ctx.project, name)
    data = ctx.data
    if function.accepted is None or data.keys() != function.accepted:
        _check_arguments(function, data, name)
    known = function

    async def identity() -> Value:
        if next(files_in(ctx.data), None) is None:
            return _identity(ctx, name, known)
        return await in_thread(_identity, ctx, name, known)  # reads them

    async def call() -> Done:
        result = await (_call_async(ctx, known) if known.is_async else _call_in_thread(ctx, known))
        try:
            return Done(json_value(result))
        except NoJson as error:
            data = {"exception": "TypeError", "type": type(result).__name__}
            raise StepError("python_error", f"`{name}`: {error}", data=data) from error

    return await ctx.cached(identity, call)


def _identity(ctx: Context, name: str, function: Function) -> Value:
    """The function with the code of its file, its arguments, and what is in the files among them."""
    try:
        return {"function": name, "code": function.code, "arguments": dict(ctx.data), "files": contents(ctx, ctx.data)}
    except (OSError, StepError):  # no such file: the function will say so
        return None


async def _call_async(ctx: Context, function: Function) -> Any:
    printed = _prints.begin(ctx.log)
    try:
        if function.wants_context:
            return await function.call(**ctx.data, ctx=StepContext(ctx, ctx.log))
        return await function.call(**ctx.data)
    except (Exception, SystemExit) as error:
        raise _python_error(error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _python_error(error) from error  # something inside was cancelled, not this step
    finally:
        _prints.end(printed)


async def _call_in_thread(ctx: Context, function: Function) -> Any:
    loop = asyncio.get_running_loop()

    def log(text: str, level: str = "info") -> None:
        loop.call_soon_threadsafe(lambda: ctx.log(text, level=level))

    def work() -> Any:
        printed = _prints.begin(log)
        try:
            if function.wants_context:
                return function.call(**ctx.data, ctx=StepContext(ctx, log))
            return function.call(**ctx.data)
        finally:
            _prints.end(printed)

    try:
        result = await in_thread(work)
        return await result if asyncio.iscoroutine(result) else result
    except (Exception, SystemExit) as error:
        raise _python_error(error) from error


def _check_arguments(function: Function, data: Mapping[str, Value], name: str) -> None:
    if "ctx" in data and function.wants_context:
        raise StepError("python_error", f"`{name}`: `ctx` is given by aiflow, not by `with`")
    for given in data:
        if function.accepted is not None and given not in function.accepted:
            takes = ", ".join(f"`{one}`" for one in sorted(function.accepted)) or "none"
            raise StepError("python_error", f"`{name}` has no parameter `{given}`", hint=f"its parameters: {takes}")
    if missing := sorted(function.required - data.keys()):
        raise StepError("python_error", f"`{name}` needs `{missing[0]}`", hint=f"add it: `with: {{{missing[0]}: …}}`")


def _python_error(error: BaseException) -> StepError:
    """A function's exception as a step's error; a `StepError` that it raised itself stays what it is."""
    from aiflow.steps._tracebacks import user_traceback

    if isinstance(error, StepError):
        return error
    kind = type(error).__name__
    text = str(error)
    return StepError(
        "python_error",
        f"{kind}: {text}" if text else kind,
        data={"exception": kind},
        transient=isinstance(error, (TimeoutError, ConnectionError)),
        traceback=user_traceback(error),
    )


KIND = StepKind(
    name="python",
    summary="Call a Python function of the project.",
    run=run,
    short="function",
    fixed=frozenset({"function"}),
    schema={
        "properties": {
            "function": {
                "description": "`module:function`; the project folder is first on the path. `with` gives its arguments by name; "
                "a parameter `ctx` receives the step's context. It returns JSON values or files.",
                "type": "string",
                "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
                "examples": ["tools:clean_up"],
            }
        },
        "required": ["function"],
    },
    cacheable=True,
    errors=("python_error",),
    example='- id: short\n  python: textwrap:shorten\n  with: {text: "{{ inputs.text }}", width: 40}\n',
)
