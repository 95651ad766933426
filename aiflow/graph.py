"""A workflow as a picture: an outline for terminals, and a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiflow.durations import format_duration
from aiflow.language.model import Retry, Step, Workflow

WIDEST = 60  # characters of an expression or option that are shown
TELLING = (
    "prompt", "to", "text", "function", "run", "url", "glob", "pattern", "from", "that", "for", "until", "reason", "message",
    "input",
)  # fmt: skip
"""Options that tell most about a step, the first that it has is shown."""
ENDS = ("stop", "fail")  # kinds after which nothing follows


def text_lines(workflow: Workflow) -> list[str]:
    """The outline: one line a step, nested lists below their step."""
    inputs = ", ".join(_input(name, schema, workflow) for name, schema in workflow.inputs.get("properties", {}).items())
    lines = [f"{workflow.name}({inputs})"]
    groups = [("", workflow.steps), ("on error", workflow.on_error), ("finally", workflow.finally_)]
    if workflow.outputs is not None:
        lines_after = f"→ {', '.join(workflow.outputs)}"
    else:
        lines_after = "→ the output of its last step"
    width = max((_width(steps, 0) for _, steps in groups), default=0)
    lines += _outline(workflow.steps, "", width)
    lines.append(lines_after)
    for title, steps in groups[1:]:
        if steps:
            lines += [title, *_outline(steps, "", width)]
    return lines


def _input(name: str, schema: Any, workflow: Workflow) -> str:
    required = name in workflow.inputs.get("required", [])
    return name if required else f"{name}?"


def _width(steps: list[Step], depth: int) -> int:
    """Columns that the longest name takes, with its indentation."""
    widest = 0
    for step in steps:
        widest = max(widest, depth * 2 + len(_name(step)))
        for label, inner in _inner(step):
            widest = max(widest, _width(inner, depth + (2 if label else 1)))
    return min(widest, 40)


def _outline(steps: list[Step], lead: str, width: int) -> Iterator[str]:
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        name = _name(step).ljust(max(0, width - len(lead)))
        yield f"{lead}{'└' if last else '├'} {name}  {_said(step)}".rstrip()
        below = lead + ("  " if last else "│ ")
        groups = list(_inner(step))
        for place, (label, inner) in enumerate(groups):
            if not label:
                yield from _outline(inner, below, width)
                continue
            closing = place == len(groups) - 1
            yield f"{below}{'└' if closing else '├'} {label}"
            yield from _outline(inner, below + ("  " if closing else "│ "), width)


def _inner(step: Step) -> Iterator[tuple[str, list[Step]]]:
    """Lists inside a step, each with the word that leads to it ("" for its own)."""
    if step.steps:
        yield "", step.steps
    for name, steps in step.branches.items():
        yield _case(step, name), steps
    for label, handlers in (("on timeout", step.on_timeout), ("on error", step.on_error), ("else", step.else_)):
        if isinstance(handlers, list):
            yield label, handlers


def _case(step: Step, name: str) -> str:
    """What leads into a branch: its name, the value of a case, or its condition."""
    conditions = step.config.get("if")
    if step.kind != "switch" or conditions is None:
        return f"case {name}" if step.kind == "switch" else name
    condition = conditions[int(name) - 1]
    return "otherwise" if condition is True else f"if {_short(str(condition))}"


def _name(step: Step) -> str:
    return step.id or step.label


def _said(step: Step) -> str:
    """What a step does and how, on one line."""
    what = " ".join(filter(None, ("" if step.kind == "do" else step.kind, _gist(step))))
    return "  ".join(filter(None, (what, *_modifiers(step))))


def _gist(step: Step) -> str:
    """The option that tells most about a step."""
    config = step.config
    if step.kind == "set":
        return ", ".join(config)[:WIDEST]
    for name in TELLING:
        if config.get(name):
            method = f"{config['method']} " if name == "url" and config.get("method") else ""
            return _short(f"{method}{config[name]}")
    only = list(config.values())
    return _short(str(only[0])) if len(only) == 1 and isinstance(only[0], str) else ""


def _modifiers(step: Step) -> Iterator[str]:
    if step.each is not None:
        many = f"{len(step.each)} values" if isinstance(step.each, list) else _short(step.each)
        yield f"for each {step.as_} of {many}, {step.concurrency} at a time"
        if step.allow_failures:
            yield f"{step.allow_failures} may fail"
    if step.if_ is not None:
        yield f"if {_short(str(step.if_))}"
    if step.timeout_ms is not None:
        yield f"timeout {format_duration(step.timeout_ms)}"
    if step.retry is not None and step.retry != _kinds_own(step):
        yield f"retry {step.retry.times}"
    for word, handler in (("on timeout", step.on_timeout), ("on error", step.on_error)):
        if isinstance(handler, str):
            yield f"{word}: {handler}"


def _kinds_own(step: Step) -> Retry:
    """The retries that a step has without saying so."""
    return Retry(3 if step.kind in ("llm", "embed") else 0)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= WIDEST else flat[: WIDEST - 1] + "…"


def mermaid(workflow: Workflow) -> str:
    """The flowchart, as GitHub and others draw it."""
    return "\n".join(_Flowchart(workflow).lines)


End = tuple[str, str]
"""A node from which the next step is reached, and the word on the arrow."""


class _Flowchart:
    def __init__(self, workflow: Workflow) -> None:
        self.lines = ["flowchart TD"]
        self._depth, self._count = 1, 0
        start = self._node(f"{workflow.name}", "([", "])")
        ends = self._list(workflow.steps, [(start, "")])
        end = self._node("end", "([", "])")
        self._link(ends, end)
        for title, steps in (("on error", workflow.on_error), ("finally", workflow.finally_)):
            if steps:
                self._link([(end, "")], self._frame(title, steps), dotted=True)

    def _list(self, steps: list[Step], ends: list[End]) -> list[End]:
        for step in steps:
            ends = self._step(step, ends)
        return ends

    def _step(self, step: Step, ends: list[End]) -> list[End]:
        around: list[End] = []
        if step.if_ is not None:
            question = self._node(_short(str(step.if_)), "{", "}")
            self._link(ends, question)
            ends = [(question, "yes")]
            around = self._list(step.else_, [(question, "no")]) if step.else_ else [(question, "no")]
        node = self._own(step)
        self._link(ends, node)
        after: list[End] = [] if step.kind in ENDS and step.each is None else [(node, "")]
        for word, handlers in (("on timeout", step.on_timeout), ("on error", step.on_error)):
            if isinstance(handlers, list):
                frame = self._frame(f"{_name(step)}: {word}", handlers)
                self._link([(node, word)], frame, dotted=True)
                after.append((frame, ""))
        return after + around

    def _own(self, step: Step) -> str:
        loop = f" · for each {step.as_}" if step.each is not None else ""
        if step.steps or step.branches:
            return self._frame(_name(step) + loop, [*step.steps, *(inner for steps in step.branches.values() for inner in steps)])
        what = " ".join(filter(None, (step.kind, _gist(step))))
        return self._node(f"{_name(step)}{loop}\n{what}", *(("[[", "]]") if loop else ("[", "]")))

    def _frame(self, title: str, steps: list[Step]) -> str:
        self._count += 1
        name = f"s{self._count}"
        self._line(f'subgraph {name}["{_escaped(title)}"]')
        self._depth += 1
        self._list(steps, [])
        self._depth -= 1
        self._line("end")
        return name

    def _node(self, text: str, left: str, right: str) -> str:
        self._count += 1
        self._line(f'n{self._count}{left}"{_escaped(text)}"{right}')
        return f"n{self._count}"

    def _link(self, ends: list[End], node: str, dotted: bool = False) -> None:
        for source, word in ends:
            arrow = "-.->" if dotted else "-->"
            self._line(f'{source} {arrow}{f"|{_escaped(word)}|" if word else ""} {node}')

    def _line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)


def _escaped(text: str) -> str:
    """Text inside a Mermaid label: its signs as entities, line breaks as `<br/>`."""
    for sign, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;"), ("|", "#124;")):
        text = text.replace(sign, entity)
    return text.replace("\n", "<br/>")
