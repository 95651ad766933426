"""switch: one of several lists of steps, by a value or by conditions."""

from __future__ import annotations

from aiflow.steps._kind import StepKind

KIND = StepKind(
    name="switch",
    summary="Run one of several lists of steps: the case that a value equals, or the first whose condition is true.",
    run=None,
    short="value",
    schema={
        "properties": {
            "value": {
                "description": "An expression without braces; the keys of `cases` are compared with it as text.",
                "type": ["string", "boolean", "number"],
                "examples": ["inputs.kind"],
            }
        },
    },
    bare=frozenset({"value", "if"}),
    lists="cases",
    pure=True,
    example="""- id: price
  switch: 2 + 2
  cases:
    4: [{set: {dollars: 10}}]
    5: [{set: {dollars: 20}}]
  else: [{fail: no such case}]
- assert: steps.price.output.dollars == 10
""",
)
