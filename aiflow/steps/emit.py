"""emit: send an event."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.errors import StepError
from aiflow.steps._kind import Context, Outcome, Send, StepKind
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Output: the event, {id, name, data, time}."""
    id = config.get("id", ctx.key)
    if not isinstance(id, str) or not id:
        raise StepError("emit_error", "`id` must be a text that is not empty")
    return Send(config["event"], dict(ctx.data), id)


KIND = StepKind(
    name="emit",
    summary="Send an event; what it carries stands in `with`.",
    run=run,
    short="event",
    schema={
        "properties": {
            "event": {"description": "The name of the event.", "type": "string", "examples": ["lead.hot"]},
            "id": {
                "description": "The same id is sent once. Default: the key of the step.",
                "type": "string",
                "examples": ["order-{{ inputs.order_id }}"],
            },
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
    example="- emit: lead.hot\n  with: {score: 90}\n",
)
