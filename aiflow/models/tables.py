"""What litellm's table says of models, read as data: importing litellm takes seconds."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

_TABLE = "model_prices_and_context_window_backup.json"
"""The table that comes with the package; litellm itself fetches a newer one when it may."""


class _Entry(msgspec.Struct):
    supports_response_schema: bool | None = None


def refuses_schemas(model: str) -> bool:
    """Whether the table says that the model cannot be held to a JSON Schema. False when it says nothing."""
    entry = _table().get(model)
    return entry is not None and entry.supports_response_schema is False


@lru_cache(1)
def _table() -> dict[str, _Entry]:
    found = find_spec("litellm")
    if found is None or found.origin is None:
        return {}
    try:
        return msgspec.json.decode((Path(found.origin).parent / _TABLE).read_bytes(), type=dict[str, _Entry])
    except (OSError, msgspec.DecodeError):
        return {}
