"""A workflow as an outline for terminals: one line a step, a second one when there is more to say of it."""

from __future__ import annotations

from collections.abc import Iterator

from aiflow.cli._text import clean, one_line, pad, tint, width_of
from aiflow.graph import words
from aiflow.language.model import Step, Workflow

NAMES = 26  # columns of names, tree included, that are kept free at most; longer names push their own line

TINTS = {"model": "cyan", "outside": "blue", "code": "green", "data": "green", "wait": "yellow", "flow": "bold", "end": "red"}


def outline(workflow: Workflow, width: int, colour: bool = False) -> list[str]:
    """The lines, each at most `width` columns wide."""
    return list(_Outline(workflow, max(40, width), colour).lines())


class _Outline:
    def __init__(self, workflow: Workflow, width: int, colour: bool) -> None:
        self.workflow, self.width, self.colour = workflow, width, colour
        lists = [workflow.steps, workflow.on_error, workflow.finally_]
        self.names = min(NAMES, max((_names_width(steps, 0) for steps in lists), default=0), width // 3)

    def lines(self) -> Iterator[str]:
        workflow = self.workflow
        yield self.tint(self.cut(f"{workflow.name}({', '.join(words.inputs(workflow))})", self.width), "bold")
        if workflow.description:
            yield from self.wrapped([workflow.description], "  ")
        for facts in words.about(workflow):
            yield from self.wrapped(facts, "  ")
        yield from self.steps(workflow.steps, "")
        yield self.cut(f"→ {words.outputs(workflow)}", self.width)
        for title, steps in (("on error", workflow.on_error), ("finally", workflow.finally_)):
            if steps:
                yield title
                yield from self.steps(steps, "")

    def steps(self, steps: list[Step], lead: str) -> Iterator[str]:
        for number, step in enumerate(steps):
            last = number == len(steps) - 1
            inner = words.groups(step)
            below = lead + ("  " if last else "│ ")
            yield from self.step(step, lead + ("└ " if last else "├ "), below + ("│ " if inner else "  "))
            for place, group in enumerate(inner):
                if group.role == "own" and len(inner) == 1:
                    yield from self.steps(group.steps, below)
                    continue
                closing = place == len(inner) - 1
                label = group.label or ("then" if step.else_ else "do")
                yield below + ("└ " if closing else "├ ") + self.tint(self.cut(label, self.width - len(below) - 2), "yellow")
                yield from self.steps(group.steps, below + ("  " if closing else "│ "))

    def step(self, step: Step, lead: str, below: str) -> Iterator[str]:
        """Its line, and what does not fit on it in lines below."""
        room = max(self.names - len(lead), 1)
        name = one_line(words.name_of(step), max(room, 24)) or "·"
        facts = [*([f"if {words.condition(step)}"] if step.if_ is not None else []), *words.loops(step), *words.manners(step)]
        kind = "" if step.kind == "do" and (facts or step.name or step.id) else step.kind
        start = len(lead) + max(room, width_of(name)) + 2
        gist = clean(words.gist(step))
        line = lead + self.tint(pad(name, room), "bold" if step.id else "dim") + "  "
        line += self.tint(kind, TINTS[words.family(step.kind)])
        said = start + len(kind)
        if gist:
            gist = self.cut(gist, self.width - said - 1)
            line, said = f"{line} {gist}", said + 1 + width_of(gist)
        rest = " · ".join(facts)
        if rest and (kind or gist) and said + 2 + width_of(rest) > self.width:
            yield line.rstrip()
            at = max(len(below), min(len(lead) + room + 2, self.width // 2))
            yield from self.wrapped(facts, pad(below, at))
        elif rest and said + 2 + width_of(rest) > self.width:  # a `do` with much to say
            first, *others = self.folded(facts, self.width - start)
            yield line + self.tint(first, "dim")
            for other in others:
                yield pad(below, start) + self.tint(other, "dim")
        else:
            gap = "  " if kind or gist else ""
            yield (line + gap + self.tint(rest, "dim")).rstrip()

    def wrapped(self, facts: list[str], lead: str) -> Iterator[str]:
        for line in self.folded(facts, self.width - len(lead)):
            yield lead + self.tint(line, "dim")

    def folded(self, facts: list[str], width: int) -> list[str]:
        """Facts in lines, divided by dots; cut between the words of a fact only when it is longer than a line."""
        lines: list[str] = []
        for fact in map(clean, facts):
            if lines and width_of(lines[-1]) + 3 + width_of(fact) <= width:
                lines[-1] += f" · {fact}"
                continue
            for number, word in enumerate(fact.split()):
                if number and width_of(lines[-1]) + 1 + width_of(word) <= width:
                    lines[-1] += f" {word}"
                else:
                    lines.append(self.cut(word, width))
        return lines

    def cut(self, text: str, width: int) -> str:
        text = " ".join(clean(text).split())
        if width_of(text) <= width:
            return text
        while text and width_of(text) >= width:
            text = text[:-1]
        return text.rstrip() + "…"

    def tint(self, text: str, name: str) -> str:
        return tint(text, name, self.colour)


def _names_width(steps: list[Step], depth: int) -> int:
    """Columns that the longest name takes, with the tree before it."""
    widest = 0
    for step in steps:
        widest = max(widest, depth * 2 + 2 + width_of(words.name_of(step)))
        for group in words.groups(step):
            widest = max(widest, _names_width(group.steps, depth + (1 if group.role == "own" else 2)))
    return widest
