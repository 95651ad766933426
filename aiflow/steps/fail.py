"""fail: end with an error of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiflow.errors import StepError
from aiflow.steps._kind import Context, Outcome, StepKind
from aiflow.steps._tables import cell_text
from aiflow.values import Value

_TYPE = "^[a-z][a-z0-9_]{0,63}$"


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Raises: StepError of the type that `type` says."""
    kind = config.get("type") or "failed"
    data = config.get("data")
    if not isinstance(kind, str) or not re.match(_TYPE, kind):
        raise StepError("failed", f"{cell_text(config['message'])} (`{kind}` is no error type)")
    raise StepError(kind, cell_text(config["message"]) or kind, data=data if isinstance(data, dict) else {})


KIND = StepKind(
    name="fail",
    summary="Fail with a message.",
    run=run,
    short="message",
    schema={
        "properties": {
            "message": {"description": "What went wrong.", "type": "string", "examples": ["no invoices for {{ inputs.month }}"]},
            "type": {
                "description": "`error.type` in handlers: one word in snake_case.",
                "type": "string",
                "pattern": _TYPE,
                "default": "failed",
                "examples": ["out_of_stock"],
            },
            "data": {"description": "`error.data` in handlers.", "type": "object", "examples": [{"count": 3}]},
        },
        "required": ["message"],
    },
    pure=True,
    errors=("failed",),
    example="- if: false\n  fail: {message: nothing to do, type: empty}\n",
)
