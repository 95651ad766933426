"""What pictures say about a workflow: of each step its name, what it does and how; of the file what starts and ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiflow.durations import format_duration
from aiflow.language.model import Retry, Step, Workflow
from aiflow.language.syntax import ExpressionSyntaxError, parse_whole
from aiflow.steps._registry import kinds

Family = Literal["model", "outside", "code", "data", "wait", "flow", "end"]

FAMILIES: Mapping[str, Family] = {
    "llm": "model", "embed": "model", "http": "outside", "email": "outside", "emit": "outside", "call": "outside",
    "python": "code", "shell": "code", "files": "data", "read": "data", "write": "data", "set": "data", "wait": "wait",
    "wait_for": "wait", "approve": "wait", "do": "flow", "parallel": "flow", "switch": "flow", "assert": "flow", "fail": "end",
    "stop": "end",
}  # fmt: skip
"""What kinds have in common, for colours. Kinds of other packages count as code."""

ENDS = ("stop", "fail")
"""Kinds after which nothing follows."""

Role = Literal["own", "branch", "else", "on_timeout", "on_error"]


@dataclass(frozen=True)
class Group:
    """A list of steps inside a step, with the words that lead to it (empty for the list of a `do`)."""

    role: Role
    label: str
    steps: list[Step]


def family(kind: str) -> Family:
    """The family of a kind."""
    return FAMILIES.get(kind, "code")


def name_of(step: Step) -> str:
    """What a step is called: its id, else its `name`, else nothing."""
    return step.id or step.name or ""


def gist(step: Step) -> str:
    """What the step does, besides its kind: the option that tells most."""
    config = step.config
    match step.kind:
        case "do":
            return ""
        case "set":
            return ", ".join(config)
        case "parallel":
            return "the first branch that succeeds wins" if step.join == "first" else "all branches at the same time"
        case "http":
            method = config.get("method") or ("POST" if {"json", "form", "body"} & config.keys() else "GET")
            return f"{method} {plain(config.get('url'))}"
        case "write":
            table = f", table {config['table']}" if config.get("table") else ""
            return f"{plain(config.get('to'))}{table}"
        case "email":
            what = plain(config.get("template") or config.get("subject") or config.get("text") or config.get("html"))
            return f"{what} to {plain(config['to'])}" if config.get("to") else what
        case "wait":
            return _wait(config)
        case "wait_for":
            return plain(config.get("event"), " or ")
        case "approve":
            asked = f" (asks {plain(config['to'])})" if config.get("to") else ""
            return f"{plain(config.get('message'))}{asked}"
        case "call":
            return f"{plain(config.get('workflow'))}{', not waited for' if config.get('detach') else ''}"
        case "assert":
            return plain(config.get("that"), " and ")
        case "switch":
            return plain(config.get("value"))
    return _telling(step)


def _telling(step: Step) -> str:
    kind = kinds().get(step.kind)
    order = ("prompt", "text", kind.short if kind else None, "from", "to", "url")
    for option in order:
        if option and step.config.get(option) not in (None, ""):
            return plain(step.config[option])
    only = list(step.config.values())
    return plain(only[0]) if len(only) == 1 else ""


def _wait(config: Mapping[str, Any]) -> str:
    if config.get("until"):
        return f"until {plain(config['until'])}"
    zone = f" ({plain(config['timezone'])})" if config.get("timezone") else ""
    return plain(config.get("for")) + (f", then until {plain(config['at'])}{zone}" if config.get("at") else "")


def loops(step: Step) -> list[str]:
    """How often the step is done: of `each` and `until`."""
    if step.each is not None:
        return list(_each(step))
    return list(_until(step)) if step.until is not None else []


def _each(step: Step) -> Iterator[str]:
    source = f"{len(step.each)} values" if isinstance(step.each, list) else plain(step.each)
    yield f"for each {step.as_} of {source}"
    yield "one after the other" if step.concurrency == 1 else f"{step.concurrency} at a time"
    if step.allow_failures:
        yield f"{step.allow_failures} may fail"


def _until(step: Step) -> Iterator[str]:
    yield f"again until {plain(step.until)}"
    if step.every_ms:
        yield f"every {format_duration(step.every_ms)}"
    if step.max_ms is not None:
        yield f"for {format_duration(step.max_ms)} at most"
    elif step.max:
        yield f"{step.max} times at most"


def condition(step: Step) -> str:
    """`if` as it is written, or nothing."""
    return "" if step.if_ is None else plain(step.if_)


def manners(step: Step) -> list[str]:
    """How the step is done: everything that is not said by `loops`, `condition` and the groups."""
    return list(_manners(step))


def _manners(step: Step) -> Iterator[str]:
    if step.match is not None:
        yield f"match {plain(step.match)}"
    if step.throttle:
        yield f"throttle {plain(step.throttle)}"
    if step.cache_ms is not None:
        yield f"cache {format_duration(step.cache_ms)}" if step.cache_ms else "cache"
    if step.timeout_ms is not None:
        yield f"timeout {format_duration(step.timeout_ms)}"
    own = 3 if step.kind in ("llm", "embed") else 0
    if step.retry is not None and step.retry != Retry(own):
        asked = f" if {plain(step.retry.condition)}" if step.retry.condition else ""
        yield f"retry {step.retry.times}{asked}"
    if step.repeatable is False:
        yield "never repeated"
    for word, handler in (("on timeout", step.on_timeout), ("on error", step.on_error)):
        if isinstance(handler, str):
            yield f"{word}: {handler}"


def groups(step: Step) -> list[Group]:
    """The lists of steps inside a step."""
    found = [Group("own", "", step.steps)] if step.steps else []
    found += [Group("branch", _branch(step, name), steps) for name, steps in step.branches.items()]
    handlers: tuple[tuple[Role, str, Any], ...] = (
        ("on_timeout", "on timeout", step.on_timeout), ("on_error", "on error", step.on_error),
        ("else", "otherwise" if step.if_ is None else "else", step.else_),
    )  # fmt: skip
    return found + [Group(role, label, steps) for role, label, steps in handlers if isinstance(steps, list)]


def _branch(step: Step, name: str) -> str:
    """What leads into a branch: its name, the value of a case, or its condition."""
    conditions = step.config.get("if")
    if step.kind != "switch":
        return name
    if not isinstance(conditions, list):
        return f"case {name}"
    asked = conditions[int(name) - 1]
    return "otherwise" if asked is True else f"if {plain(asked)}"


def falls_through(step: Step) -> bool:
    """Whether a `switch` may take no branch at all."""
    conditions = step.config.get("if")
    has_last = isinstance(conditions, list) and True in conditions
    return step.kind == "switch" and not has_last and not (step.else_ and step.if_ is None)


def goes_on(steps: list[Step]) -> bool:
    """Whether anything can follow a list of steps."""
    return all(step.kind not in ENDS or step.if_ is not None or step.each is not None for step in steps)


def inputs(workflow: Workflow) -> list[str]:
    """Names of the inputs; `?` behind those that may be left out."""
    required = workflow.inputs.get("required", [])
    return [name if name in required else f"{name}?" for name in workflow.inputs.get("properties", {})]


def outputs(workflow: Workflow) -> str:
    """What the run gives back."""
    return "the output of the last step" if workflow.outputs is None else ", ".join(workflow.outputs) or "nothing"


def triggers(workflow: Workflow) -> list[str]:
    """What starts a run besides the command line."""
    return [_trigger(one) for one in workflow.triggers]


def _trigger(one: Mapping[str, Any]) -> str:
    if "cron" in one:
        said = f"cron {one['cron']} ({one.get('timezone', 'UTC')})"
    elif "webhook" in one:
        said = f"webhook {one.get('method', 'POST')} {one['webhook']}"
    else:
        said = f"event {plain(one.get('event'), ' or ')}"
    return f"{said} if {plain(one['if'])}" if "if" in one else said


def cancels(workflow: Workflow) -> list[str]:
    """What cancels a run."""
    return [f"event {one['event']}" + (f" if {plain(one['match'])}" if "match" in one else "") for one in workflow.cancel_on]


def bounds(workflow: Workflow) -> list[str]:
    """Within which bounds a run stays."""
    found = []
    if workflow.timeout_ms is not None:
        found.append(f"timeout {format_duration(workflow.timeout_ms)}")
    if workflow.budget is not None:
        found.append(f"budget ${workflow.budget:.2f}")
    if limit := workflow.concurrency:
        key = f" for each {plain(limit.key)}" if limit.key else ""
        found.append(f"{limit.limit} run{'s' if limit.limit != 1 else ''} at a time{key}, {_OVERFLOW[limit.overflow]}")
    if workflow.throttle:
        found.append(f"throttle {workflow.throttle}")
    return found


_OVERFLOW = {"queue": "others wait", "skip": "others are skipped", "replace": "a new one replaces the old", "fail": "others fail"}


def about(workflow: Workflow) -> list[list[str]]:
    """What starts, cancels and bounds a run: lists of facts, each list for lines of its own."""
    found = []
    for label, facts in (("starts by", triggers(workflow)), ("cancelled by", cancels(workflow)), ("", bounds(workflow))):
        if facts:
            found.append([f"{label} {facts[0]}".strip(), *facts[1:]])
    return found


_BRACES = re.compile(r"\{\{[-+]?\s*(.*?)\s*[-+]?\}\}", re.DOTALL)


def plain(value: Any, between: str = ", ") -> str:
    """A value on one line; an expression in braces that is all of it without them."""
    if isinstance(value, list):
        return between.join(plain(one) for one in value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    text = str(value)
    try:
        if "{{" in text and parse_whole(text.strip()) is not None:
            text = _BRACES.fullmatch(text.strip())[1]  # type: ignore[index]  # parse_whole has seen the braces
    except ExpressionSyntaxError:
        pass
    return " ".join(text.split())


def cut(text: str, most: int) -> str:
    """The text, with an ellipsis for what is beyond `most` characters."""
    return text if len(text) <= most else text[: max(0, most - 1)].rstrip() + "…"
