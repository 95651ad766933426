"""A workflow as a Mermaid flowchart, as GitHub and others draw it."""

from __future__ import annotations

import re

from aiflow.graph import words
from aiflow.language.model import Step, Workflow

WIDEST = 60  # characters of an expression or option that are shown

End = tuple[str, str]
"""A node from which the next step is reached, and the word on the arrow."""

_WORDS = re.compile("style|classDef|direction")

_SHAPES = {"wait": ("{{", "}}"), "wait_for": ("{{", "}}"), "approve": ("[/", "\\]"), "call": ("[[", "]]"), "stop": ("([", "])"),
           "fail": ("([", "])")}  # fmt: skip

_COLOURS = {"model": "#8250df", "outside": "#0969da", "code": "#1a7f37", "data": "#57606a", "wait": "#bf8700", "end": "#cf222e"}
"""Strokes of the families, visible on white and on black."""


def mermaid(workflow: Workflow) -> str:
    """The flowchart. Lists that run side by side, loops and handlers are frames; a handler is reached by a dotted arrow."""
    return "\n".join(_Flowchart(workflow).lines)


class _Flowchart:
    def __init__(self, workflow: Workflow) -> None:
        self.lines = ["flowchart TD"]
        self._depth, self._count = 1, 0
        self._families: dict[str, list[str]] = {}
        title = "\n".join([workflow.name, ", ".join(words.inputs(workflow))]).strip()
        start = self._node(title, "([", "])")
        for trigger in words.triggers(workflow):
            self._link([(self._node(trigger, ">", "]"), "")], start, dotted=True)
        ends = self._list(workflow.steps, [(start, "")])
        end = self._node(f"→ {words.outputs(workflow)}", "([", "])")
        self._link(ends, end)
        for cancel in words.cancels(workflow):
            self._link([(self._node(cancel, ">", "]"), "cancels")], end, dotted=True)
        self._last(workflow, end)
        for family, stroke in _COLOURS.items():
            if family in self._families:
                self._line(f"classDef of_{family} stroke:{stroke},stroke-width:2px")
                self._line(f"class {','.join(self._families[family])} of_{family}")

    def _last(self, workflow: Workflow, end: str) -> None:
        """`on_error` and `finally` of the file."""
        handler = ""
        if workflow.on_error:
            handler = self._frame("on error, if the run fails", workflow.on_error)
            self._link([(end, "failed")], handler, dotted=True)
        if workflow.finally_:
            frame = self._frame("finally", workflow.finally_)
            self._link([(end, ""), *([(handler, "")] if handler else [])], frame, dotted=True)

    def _list(self, steps: list[Step], ends: list[End]) -> list[End]:
        for step in steps:
            ends = self._step(step, ends)
        return ends

    def _step(self, step: Step, ends: list[End]) -> list[End]:
        around: list[End] = []
        if step.if_ is not None:
            question = self._node(_short(words.condition(step)), "{", "}")
            self._link(ends, question)
            ends = [(question, "yes")]
            around = self._list(step.else_, [(question, "no")]) if step.else_ else [(question, "no")]
        return [*self._done(step, ends), *around]

    def _done(self, step: Step, ends: list[End]) -> list[End]:
        """The step without its `if`."""
        groups = words.groups(step)
        handlers = [group for group in groups if group.role in ("on_timeout", "on_error")]
        if step.kind == "switch" and not words.loops(step) and not handlers:
            return self._cases(step, ends)
        node = self._own(step)
        self._link(ends, node)
        after: list[End] = [] if step.kind in words.ENDS and step.each is None else [(node, "")]
        for group in handlers:
            frame = self._frame(f"{_named(step)}: {group.label}", group.steps)
            self._link([(node, group.label)], frame, dotted=True)
            if words.goes_on(group.steps):
                after.append((frame, ""))
        return after

    def _cases(self, step: Step, ends: list[End]) -> list[End]:
        """A `switch`: an arrow into each case."""
        question = self._node("\n".join(filter(None, (step.id or "", _short(words.gist(step)) or "switch"))), "{", "}")
        self._link(ends, question)
        after: list[End] = [(question, "no case")] if words.falls_through(step) else []
        for group in words.groups(step):
            if group.role == "branch" or (group.role == "else" and step.if_ is None):
                after += self._list(group.steps, [(question, _short(group.label))])
        return after

    def _own(self, step: Step) -> str:
        """A box, or a frame for what holds steps."""
        facts = [*words.loops(step), *words.manners(step)]
        if not step.steps and not step.branches:
            what = " ".join(filter(None, (step.kind, _short(words.gist(step)))))
            lines = filter(None, (words.name_of(step), what, _short(" · ".join(facts))))
            shape = ("[[", "]]") if step.each is not None else _SHAPES.get(step.kind, ("[", "]"))
            node = self._node("\n".join(lines), *shape)
            self._families.setdefault(words.family(step.kind), []).append(node)
            return node
        title = " · ".join(filter(None, (_named(step), *([words.gist(step)] if step.kind != "do" else []), *facts)))
        if step.kind == "switch":
            else_ = step.else_ if step.if_ is None else None
            choice = Step(kind="switch", label="", sub="", config=step.config, branches=step.branches, else_=else_)
            return self._frame(title, [choice])
        return self._frame(title, step.steps) if step.steps else self._branches(title, step)

    def _branches(self, title: str, step: Step) -> str:
        """A `parallel`: a frame in the frame for each branch, side by side because no arrow joins them."""
        name = self._open(title)
        for branch, steps in step.branches.items():
            self._frame(branch, steps)
        self._close()
        return name

    def _frame(self, title: str, steps: list[Step]) -> str:
        name = self._open(title)
        self._list(steps, [])
        self._close()
        return name

    def _open(self, title: str) -> str:
        self._count += 1
        name = f"s{self._count}"
        self._line(f'subgraph {name}["{_escaped(_short(title, 2 * WIDEST)) or "·"}"]')
        self._depth += 1
        return name

    def _close(self) -> None:
        self._depth -= 1
        self._line("end")

    def _node(self, text: str, left: str, right: str) -> str:
        self._count += 1
        self._line(f'n{self._count}{left}"{_escaped(text.strip()) or "·"}"{right}')
        return f"n{self._count}"

    def _link(self, ends: list[End], node: str, dotted: bool = False) -> None:
        for source, word in ends:
            arrow = "-.->" if dotted else "-->"
            self._line(f'{source} {arrow}{f"|{chr(34)}{_escaped(word)}{chr(34)}|" if word else ""} {node}')

    def _line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)


def _named(step: Step) -> str:
    return words.name_of(step) or step.label


def _short(text: str, most: int = WIDEST) -> str:
    return words.cut(" ".join(text.split()), most)


def _escaped(text: str) -> str:
    """Text inside a Mermaid label: its signs as entities, line breaks as `<br/>`.

    `style`, `classDef` and `direction` mean something to its parser also within quotes; their first letter is an entity.
    """
    text = _WORDS.sub(lambda found: f"\0{ord(found[0][0])};{found[0][1:]}", text)
    for sign in "#&\"<>`|\\%{}":
        text = text.replace(sign, f"\0{ord(sign)};")
    return text.replace("\0", "#").replace("\n", "<br/>")
