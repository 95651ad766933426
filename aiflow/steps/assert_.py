"""assert: fail unless something is true."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.errors import StepError
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Judge the evaluated conditions as `if` does. Output: true."""
    that = config["that"]
    written = ctx.written.get("that")
    conditions = that if isinstance(written, list) or (written is None and isinstance(that, list)) else [that]
    for place, value in enumerate(conditions):
        if not value:
            raise _failed(config, place, len(conditions), written)
    return Done(True)


def _failed(config: Mapping[str, Value], place: int, count: int, written: Value) -> StepError:
    """The author's message, else the expression that is not true."""
    expression = written[place] if isinstance(written, list) and place < len(written) else written
    if isinstance(expression, str):
        default = f"not true: {expression}"
    else:
        default = "the condition is not true" if count == 1 else f"condition {place + 1} of {count} is not true"
    message = config.get("message")
    data = {"condition": place, "expression": expression if isinstance(expression, str) else None}
    return StepError("assertion", str(message) if message is not None else default, data=data)


KIND = StepKind(
    name="assert",
    summary="Fail unless something is true.",
    run=run,
    short="that",
    schema={
        "properties": {
            "that": {
                "description": "An expression without braces, or a list of them; all must be true.",
                "anyOf": [
                    {"type": ["string", "boolean"]},
                    {"type": "array", "items": {"type": ["string", "boolean"]}, "minItems": 1},
                ],
                "examples": ["steps.found.output | length > 0"],
            },
            "message": {
                "description": "What to say instead of the expression.",
                "type": "string",
                "examples": ["no documents in {{ inputs.folder }}"],
            },
        },
        "required": ["that"],
    },
    bare=frozenset({"that"}),
    pure=True,
    output_schema={"const": True},
    errors=("assertion",),
    example="- assert: {that: 1 + 1 == 2, message: arithmetic is broken}\n",
)
