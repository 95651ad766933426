"""approve: ask a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.steps._kind import StepKind


def _output(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": {
            "approved": {"const": True},
            "by": {"type": ["string", "null"]},
            "at": {"type": "string"},
            "comment": {"type": ["string", "null"]},
            "form": {},
        },
    }


KIND = StepKind(
    name="approve",
    summary="Ask a person; a no fails the step with `rejected`.",
    run=None,
    short="message",
    schema={
        "properties": {
            "message": {"description": "The question.", "type": "string", "examples": ["Publish this?"]},
            "to": {
                "examples": ["editor@paper.example"],
                "description": "Whom to ask, by email.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            },
            "show": {"description": "What is to be judged.", "examples": ["{{ steps.draft.output }}"]},
            "form": {
                "description": "Further answers to ask for, as Picoschema.",
                "type": "object",
                "examples": [{"headline?": "string"}],
            },
        },
        "required": ["message"],
    },
    fixed=frozenset({"form"}),
    errors=("rejected", "timeout"),
    output_schema=_output,
    example="""- id: verdict
  approve: {message: "Publish this?", to: editor@paper.example, show: "{{ inputs.text }}"}
  timeout: 1d
  on_error:
    - if: error.type == 'rejected'
      set: {approved: false, comment: "{{ error.data.comment | default('') }}"}
""",
)
