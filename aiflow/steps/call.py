"""call: run another workflow as a step. No worker is held meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.steps._kind import Call, Context, Outcome, StepKind
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Ask for a run of the workflow with `with` as its inputs. Output: its outputs; with `detach` {run_id}, at once."""
    return Call(config["workflow"], ctx.data, bool(config.get("detach")))


KIND = StepKind(
    name="call",
    summary="Run another workflow; its outputs are the output.",
    run=run,
    short="workflow",
    schema={
        "properties": {
            "workflow": {
                "description": "The file of the workflow, relative to this one. Its inputs are given in `with`.",
                "type": "string",
                "examples": ["write_draft.yaml"],
            },
            "detach": {
                "examples": [True],
                "description": "true: start it and go on at once; the output is {run_id}.",
                "type": "boolean",
                "default": False,
            },
        },
        "required": ["workflow"],
    },
    fixed=frozenset({"workflow", "detach"}),
    elsewhere=True,
    errors=("call_failed", "timeout"),
    example='- id: draft\n  call: write_draft.yaml\n  with: {topic: "{{ inputs.topic }}"}\n',
)
