"""set: a map of values, computed together."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Output: the map."""
    return Done(dict(config))


KIND = StepKind(
    name="set",
    summary="Compute values and give them names.",
    run=run,
    schema={
        "type": "object",
        "description": "Names and values. They do not see each other: they are evaluated together.",
        "properties": {},
        "additionalProperties": True,
        "minProperties": 1,
        "examples": [{"full_name": "{{ inputs.first }} {{ inputs.last }}"}],
    },
    whole=True,
    pure=True,
    output_schema={"type": "object"},
    example='- id: facts\n  set: {answer: 42, twice: "{{ 42 * 2 }}"}\n',
)
