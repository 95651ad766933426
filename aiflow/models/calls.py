"""What is asked of a model and what comes back; the same for every provider and for the offline models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]
"""`{"role": "system" | "user" | "assistant", "content": text or list of parts}`, as in OpenAI's protocol."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What model calls used. `cost` in dollars; 0.0 for offline models."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost + other.cost,
            self.calls + other.calls,
        )

    def as_data(self) -> dict[str, Any]:
        """As JSON values, for errors and records."""
        return {
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": self.cost,
            "calls": self.calls,
        }


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model.

    Attributes:
        models: names or aliases; the next is asked when one is unavailable, not when it answers badly.
        schema: JSON Schema of the answer; the model is held to it where its provider can, else it is told.
        params: handed to litellm as they are.
        timeout_ms: for each model asked; None: the model's own or DEFAULT_TIMEOUT_MS of the gateway.
        priced: refuse a model of unknown price (the run has a budget).
    """

    messages: Sequence[Message]
    models: tuple[str, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    schema: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout_ms: int | None = None
    priced: bool = False


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A whole answer.

    Attributes:
        text: what the model wrote.
        model: the litellm name of the one that answered.
        finish_reason: `stop` or `tool_calls`; every other end is an error.
        parsed: the value, where the model gives one beside the text (offline with a schema), else None.
        notes: `price_unknown` (cost is 0 because nobody knows better), `usage_estimated`.
    """

    text: str
    usage: Usage
    model: str
    finish_reason: str = "stop"
    offline: bool = False
    parsed: Any = None
    notes: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to turn into vectors; `dimensions` where the model can choose. The rest as in `ChatRequest`."""

    texts: Sequence[str]
    models: tuple[str, ...]
    dimensions: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout_ms: int | None = None
    priced: bool = False


@dataclass(frozen=True, slots=True)
class EmbedAnswer:
    """One vector per text, in the order of the texts."""

    vectors: list[list[float]]
    usage: Usage
    model: str
    offline: bool = False
    notes: Mapping[str, bool] = field(default_factory=dict)


def text_of(message: Message) -> str:
    """The words of a message; pictures and files among its parts are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n\n".join(part["text"] for part in content or () if part.get("type") == "text")


def estimated_tokens(text: str) -> int:
    """About as many tokens as a model would count: a quarter of the characters, at least 1 for any text."""
    return (len(text) + 3) // 4
