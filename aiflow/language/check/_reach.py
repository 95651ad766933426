"""Whether the output of one step can be used at another: the order of the lists they stand in."""

from __future__ import annotations

from dataclasses import dataclass

from aiflow.language.tree import Node

_AFTER = {"steps": 0, "on_error": 1, "finally": 2}
"""Lists at the top, in the order they run."""

_HANDLED = {"do": 0, "branch": 0, "on_timeout": 1, "on_error": 2}
"""Lists of one step, in the order they run; `else` runs instead of all of them."""


@dataclass(frozen=True)
class Reach:
    """How a step sees another.

    Attributes:
        code: empty when it can be used, else `itself`, `around`, `later`, `inside-each`, `other-branch`, `outputs`, `handler`.
        around: for `inside-each` the step with `each` or `until`; for `other-branch` the step with both branches.
        between: the steps from the target out to the list that both share, the target first.
        perhaps: it may not have been reached, because a handler looks at what it handles.
    """

    code: str = ""
    around: Node | None = None
    between: tuple[Node, ...] = ()
    perhaps: bool = False


def reach(target: Node, user: Node | None, role: str) -> Reach:
    """How `user` (None: the outputs of the workflow) sees `target`. `role`: of the expression, see `Site`."""
    out_of = _outwards(target)
    if user is None:
        found = Reach(between=tuple(out_of)) if out_of[-1].path[0] == "steps" else Reach("outputs")
        return _not_from_inside(found)
    if target is user:
        return Reach("itself")
    users = _outwards(user)
    if target in users:
        return Reach("around")
    for depth, mine in enumerate(users):
        for height, other in enumerate(out_of):
            between = tuple(out_of[: height + 1])
            if other is mine:
                if height == 0:
                    return Reach("around")
                # The target is inside a step that the user is, or is inside of.
                return _within(mine, out_of[height - 1], users[depth - 1] if depth else None, between[:-1], role)
            if other.siblings is mine.siblings:
                return _not_from_inside(Reach("" if other.index < mine.index else "later", between=between))
    return _top(out_of, users)


def _outwards(node: Node) -> list[Node]:
    return [node, *node.ancestors()]


def _within(step: Node, inner: Node, mine: Node | None, between: tuple[Node, ...], role: str) -> Reach:
    """Both are below one step, in different lists; or (`mine` None) the user is that step itself."""
    if mine is None:
        # Its own `output` looks at the steps (of the item) that have just ended.
        return _not_from_inside(Reach(between=between)) if role in ("output", "retry.if", "until") else Reach("later")
    if inner.role == "else" or mine.role == "else" or inner.role == mine.role == "branch":
        return Reach("other-branch", around=step)
    if _HANDLED.get(inner.role, 0) < _HANDLED.get(mine.role, 0):
        return _not_from_inside(Reach(between=between, perhaps=True))
    return Reach("handler")


def _top(out_of: list[Node], users: list[Node]) -> Reach:
    mine, other = str(users[-1].path[0]), str(out_of[-1].path[0])
    if _AFTER[other] < _AFTER[mine]:
        return _not_from_inside(Reach(between=tuple(out_of), perhaps=True))
    return Reach("handler")


def _not_from_inside(found: Reach) -> Reach:
    """The target may be used unless an `each` lies between."""
    if found.code == "outputs":
        return found
    for inner, outer in zip(found.between, found.between[1:], strict=False):
        if outer.repeats and (inner.role != "else" or outer.else_in_body):
            return Reach("inside-each", around=outer)
    return found
