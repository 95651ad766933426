"""do: several steps as one, so that modifiers such as `if`, `each` and `on_error` hold for all of them."""

from __future__ import annotations

from aiflow.steps._kind import StepKind

KIND = StepKind(
    name="do",
    summary="Run a list of steps as one.",
    run=None,
    short="do",
    schema={
        "properties": {
            "do": {"description": "Steps, from top to bottom; the output is the last one's.", "type": "array", "minItems": 1}
        },
        "required": ["do"],
    },
    lists="list",
    pure=True,
    example="- do:\n    - set: {greeting: hello}\n    - set: {answer: 42}\n  on_error: continue\n",
)
