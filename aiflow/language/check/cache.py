"""`cache`: only where leaving a step out for an equal one of before changes nothing but the time."""

from __future__ import annotations

from aiflow.language.check._fit import has_template
from aiflow.language.check._inspection import Inspection
from aiflow.language.config import kind_defaults, long_form
from aiflow.language.tree import Node
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds


def check(look: Inspection) -> None:
    """`cache` beside a step that asks for nothing, or that must not be left out."""
    for node in look.tree.nodes:
        if node.kind is not None and node.data.get("cache") not in (None, False) and not look.is_wrong((*node.path, "cache")):
            _step(look, node, node.kind)
    defaults = look.data.get("defaults")
    for name, options in defaults.items() if isinstance(defaults, dict) else ():
        kind = kinds().get(name)
        if kind is not None and not kind.cacheable and isinstance(options, dict) and options.get("cache") not in (None, False):
            look.at_key(("defaults", name, "cache"), _senseless(kind), "no-cache", _hint())


def _step(look: Inspection, node: Node, kind: StepKind) -> None:
    path = (*node.path, "cache")
    said = node.data.get("repeatable")
    if said is False or (said is None and _is_repeatable(look, node, kind) is False):
        message = f"this `{kind.name}` is not repeatable: with `cache` an equal one of before would take its place"
        hint = "remove `cache`; or, if doing it once for all equal ones is enough, add: repeatable: true"
        look.at_key(path, message, "not-repeatable", hint if kind.cacheable else "remove it")
    elif not kind.cacheable:
        look.at_key(path, _senseless(kind), "no-cache", _hint())


def _is_repeatable(look: Inspection, node: Node, kind: StepKind) -> bool | None:
    """Whether a step is repeatable by its kind, None when its options tell it only in the run."""
    if isinstance(kind.repeatable, bool):
        return kind.repeatable
    written = long_form(kind, node.data[kind.name], look.file.parent)
    config = {**kind_defaults(kind, *look.layers), **written}
    if any(has_template(config[name]) for name in ("method", "headers") if isinstance(config.get(name), str)):
        return None
    return kind.repeatable(config)


def _senseless(kind: StepKind) -> str:
    return f"`cache` has no meaning for `{kind.name}`: there is no answer that could be kept"


def _hint() -> str:
    able = [name for name, kind in kinds().items() if kind.cacheable]
    return f"remove it; it is for {', '.join(able[:-1])} and {able[-1]}"
