"""The models that aiflow brings along: deterministic, no network, no key, free, and marked as such.

`offline/text` works on the text it is given and invents nothing; `offline/embedding` hashes words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiflow.errors import StepError
from aiflow.models.calls import (
    ChatAnswer,
    ChatRequest,
    EmbedAnswer,
    EmbedRequest,
    Message,
    estimated_tokens,
    text_of,
)
from aiflow.models.offline_embedding import DIMENSIONS
from aiflow.models.offline_embedding import embed as vector_of
from aiflow.models.offline_reading import read
from aiflow.models.offline_text import reply
from aiflow.models.prices import offline_usage

TEXT = "offline/text"
EMBEDDING = "offline/embedding"


def chat(model: str, request: ChatRequest) -> ChatAnswer:
    """Answers with text, or with JSON that fits the schema.

    Raises: StepError: `llm_error`: another model than `offline/text`; `invalid_output`: no value fits the schema.
    """
    if model != TEXT:
        raise _no_such(model, TEXT, "answers")
    return complete(request.messages, request.schema)


def complete(messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> ChatAnswer:
    """The answer of `offline/text` to these messages."""
    reading = read(messages)
    value: Any = None
    if schema is None:
        text = reply(reading)
    else:
        from aiflow.models.offline_json import fill

        value = fill(schema, reading)
        text = json.dumps(value, ensure_ascii=False)
    asked = sum(estimated_tokens(text_of(message)) for message in messages)
    return ChatAnswer(text, offline_usage(asked, estimated_tokens(text)), TEXT, "stop", offline=True, parsed=value)


def embed(model: str, request: EmbedRequest) -> EmbedAnswer:
    """One vector per text. Raises: StepError: `llm_error`: another model than `offline/embedding`."""
    if model != EMBEDDING:
        raise _no_such(model, EMBEDDING, "makes vectors")
    size = request.dimensions or DIMENSIONS
    vectors = [vector_of(text, size) for text in request.texts]
    asked = sum(estimated_tokens(text) for text in request.texts)
    return EmbedAnswer(vectors, offline_usage(asked, 0), EMBEDDING, offline=True)


def _no_such(model: str, right: str, does: str) -> StepError:
    return StepError(
        "llm_error", f"there is no offline model {model} that {does}", data={"model": model}, hint=f"use {right}"
    )
