"""email: send a letter."""

from __future__ import annotations

from typing import Any

from aiflow.steps._kind import StepKind

_ADDRESSES: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}

KIND = StepKind(
    name="email",
    summary="Send an email, from a template file or from texts.",
    run=None,
    short="template",
    schema={
        "properties": {
            "template": {
                "description": "An email file, relative to this file: front matter with `subject`, Markdown below.",
                "type": "string",
                "examples": ["emails/welcome.md"],
            },
            "text": {
                "description": "The text itself, instead of a template.",
                "type": "string",
                "examples": ["Hello {{ inputs.name }}"],
            },
            "html": {"description": "The HTML itself, instead of a template.", "type": "string", "examples": ["<p>Hello</p>"]},
            "to": {"description": "One address or several.", **_ADDRESSES, "examples": ["{{ inputs.email }}"]},
            "subject": {"description": "The subject line.", "type": "string", "examples": ["Your digest"]},
            "from": {"description": "The sender.", "type": "string", "examples": ["Ana at Acme <ana@acme.example>"]},
            "cc": {"description": "Further recipients.", **_ADDRESSES, "examples": ["team@acme.example"]},
            "bcc": {
                "description": "Further recipients whom the others do not see.",
                **_ADDRESSES,
                "examples": [["archive@acme.example"]],
            },
            "reply_to": {"description": "Where answers go.", "type": "string", "examples": ["ana@acme.example"]},
            "attach": {"description": "Files to send along.", "examples": ["{{ steps.report.output }}"]},
            "headers": {"description": "Further headers.", "type": "object", "examples": [{"X-Campaign": "spring"}]},
        },
    },
    fixed=frozenset({"template"}),
    repeatable=False,
    transient_only=True,
    errors=("email_error",),
    output_schema={
        "type": "object",
        "properties": {"message_id": {"type": "string"}, "to": {"type": "array", "items": {"type": "string"}}},
    },
    example="""- email:
    to: "{{ inputs.email }}"
    subject: Your digest
    text: "{{ inputs.digest }}"
""",
)
