"""stop: end the run early, without an error."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.steps._kind import Context, Outcome, StepKind, Stop
from aiflow.steps._tables import cell_text
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """The run ends with status `stopped` and `outputs` instead of the file's."""
    return Stop(reason=cell_text(config["reason"]), outputs=config.get("outputs"))


KIND = StepKind(
    name="stop",
    summary="End the run here, with status `stopped`.",
    run=run,
    short="reason",
    schema={
        "properties": {
            "reason": {"description": "Why, for people.", "type": "string", "examples": ["no new leads"]},
            "outputs": {
                "description": "What the run gives back instead of the file's `outputs`.",
                "type": "object",
                "examples": [{"leads": 0}],
            },
        },
        "required": ["reason"],
    },
    pure=True,
    example="- if: false\n  stop: nothing new\n",
)
