"""wait_for: pause until an event comes."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.steps._kind import Context, Listen, Outcome, StepKind
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Output: the event, {id, name, data, time}. Raises: StepError `timeout`, by the engine."""
    names = config["event"]
    return Listen(tuple(names) if isinstance(names, list) else (names,))


KIND = StepKind(
    name="wait_for",
    summary="Pause until an event comes that `match` accepts; no worker is held meanwhile.",
    run=run,
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
    example="""- id: opened
  wait_for: email.opened
  match: event.data.message_id == inputs.message_id
  timeout: 2d
  on_timeout: continue
""",
)
