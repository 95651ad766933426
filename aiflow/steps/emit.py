"""emit: send an event."""

from __future__ import annotations

from aiflow.steps._kind import StepKind

KIND = StepKind(
    name="emit",
    summary="Send an event; what it carries stands in `with`.",
    run=None,
    short="event",
    schema={
        "properties": {
            "event": {"description": "The name of the event.", "type": "string", "examples": ["lead.hot"]},
            "id": {"description": "The same id is sent once. Default: the key of the step.", "type": "string"},
        },
        "required": ["event"],
    },
    fixed=frozenset({"event"}),
    output_schema={
        "type": "object",
        "properties": {
            "id": {"type": "string"}, "name": {"type": "string"}, "data": {"type": "object"}, "time": {"type": "string"},
        },
    },
)
