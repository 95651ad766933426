"""Dead code: steps that can never run."""

from __future__ import annotations

from aiflow.language.check._inspection import Inspection
from aiflow.language.tree import Node


def check(look: Inspection) -> None:
    """The first step after one that always ends the run, in each list."""
    for steps in look.tree.lists():
        for before, node in zip(steps, steps[1:], strict=False):
            end = _end(before)
            if end is None or end.kind is None:
                continue
            look.at_key(
                node.path,
                "this step can never run: the step before it always ends the run",
                "unreachable",
                f"move it up, or give the `{end.kind.name}` an `if`",
                length=1,
            )
            break


def _end(node: Node) -> Node | None:
    """The `fail` or `stop` by which a step always ends the run, or None."""
    if node.kind is None or node.repeats or node.data.get("if") not in (None, True):
        return None
    if node.kind.name == "stop":
        return node
    if "on_error" in node.data and node.data["on_error"] != "stop":
        return None
    if node.kind.name == "fail":
        return node
    if node.kind.lists == "branches":
        ends = [next((end for one in steps if (end := _end(one))), None) for steps in node.branches.values()]
        needed = all(ends) if node.data.get("join") == "first" else any(ends)
        return next((end for end in ends if end), None) if needed else None
    if node.kind.lists == "cases":
        return _of_cases(node)
    if node.kind.lists:
        return next((end for one in node.lists.get("do", ()) if (end := _end(one))), None)
    return None


def _of_cases(node: Node) -> Node | None:
    """The end of a `switch` of which every branch ends, when one of them always runs."""
    written = node.data["switch"]
    lists = list(node.branches.values())
    last = written[-1] if isinstance(written, list) and written else None
    if "else" in node.lists and node.else_in_body:
        lists.append(node.lists["else"])
    elif not (isinstance(last, dict) and last.get("if", True) is True):
        return None
    ends = [next((end for one in steps if (end := _end(one))), None) for steps in lists]
    return ends[-1] if ends and all(ends) else None
