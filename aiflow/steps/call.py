"""call: run another workflow as a step."""

from __future__ import annotations

from aiflow.steps._kind import StepKind

KIND = StepKind(
    name="call",
    summary="Run another workflow; its outputs are the output.",
    run=None,
    short="workflow",
    schema={
        "properties": {
            "workflow": {
                "description": "The file of the workflow, relative to this one. Its inputs are given in `with`.",
                "type": "string",
                "examples": ["write_draft.yaml"],
            },
            "detach": {
                "description": "true: start it and go on at once; the output is {run_id}.",
                "type": "boolean",
                "default": False,
            },
        },
        "required": ["workflow"],
    },
    fixed=frozenset({"workflow", "detach"}),
    errors=("call_failed",),
    example='- id: draft\n  call: write_draft.yaml\n  with: {topic: "{{ inputs.topic }}"}\n',
)
