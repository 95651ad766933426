"""What a new run has to pass before it begins: `concurrency` and `throttle` of its workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.engine.limits import limit_of
from aiflow.language.expressions import compile_bare
from aiflow.language.model import Concurrency, Workflow
from aiflow.store.runs import Gate
from aiflow.values import Value, digest

KEY_DIGITS = 20  # of the digest of a key: it may be long, and nobody's business


def gate_of(
    workflow: Workflow, inputs: Mapping[str, Value], event: Value, limits: Mapping[str, Mapping[str, Any]]
) -> Gate:
    """The gate of a run with these inputs. `limits`: those of aiflow.yaml.

    Raises: ExpressionError: the key cannot be evaluated.
    """
    throttle = _throttle(workflow, limits)
    limit = workflow.concurrency
    if limit is None:
        return Gate(throttle=throttle)
    name, of_key = workflow.name, ""
    if limit.key is not None:
        key = compile_bare(limit.key).evaluate({"inputs": dict(inputs), "event": event})
        name, of_key = f"{workflow.name}:{digest(key)[:KEY_DIGITS]}", " of the same key"
    return Gate(name, limit.limit, limit.overflow, _why(limit, workflow.name, of_key), throttle)


def _throttle(workflow: Workflow, limits: Mapping[str, Mapping[str, Any]]) -> str:
    limit = limit_of(workflow.throttle, limits, f"start of {workflow.name}") if workflow.throttle is not None else None
    return "" if limit is None or limit.rate is None else f"{limit.rate[0]} {limit.rate[1]} {limit.name}"


def _why(limit: Concurrency, name: str, of_key: str) -> str:
    runs = "another run" if limit.limit == 1 else f"{limit.limit} other runs"
    verb = "is" if limit.limit == 1 else "are"
    return f"{runs} of {name}{of_key} {verb} at work, and `concurrency` allows {limit.limit}"
