"""wait_for: pause until an event comes."""

from __future__ import annotations

from aiflow.steps._kind import StepKind

KIND = StepKind(
    name="wait_for",
    summary="Pause until an event comes that `match` accepts; no worker is held meanwhile.",
    run=None,
    short="event",
    schema={
        "properties": {
            "event": {
                "description": "The name of the event, or several of which one is enough.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "examples": ["email.opened", ["order.paid", "order.cancelled"]],
            }
        },
        "required": ["event"],
    },
    fixed=frozenset({"event"}),
    errors=("timeout",),
    output_schema={
        "type": "object",
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "data": {}, "time": {"type": "string"}},
    },
)
