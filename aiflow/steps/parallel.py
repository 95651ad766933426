"""parallel: several lists of steps at the same time."""

from __future__ import annotations

from aiflow.steps._kind import StepKind

KIND = StepKind(
    name="parallel",
    summary="Run several lists of steps at the same time; the output has what each branch gave, by its name.",
    run=None,
    schema={"type": "object", "minProperties": 1, "description": "Name of a branch -> its steps."},
    lists="branches",
    pure=True,
    example="""- id: sides
  parallel:
    left: [{set: {n: 1}}]
    right: [{set: {n: 2}}]
- assert: steps.sides.output.left.n == 1
""",
)
