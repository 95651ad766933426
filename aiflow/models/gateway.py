"""The one way to a model, whoever answers: litellm's providers or the offline models.

`offline/*` is answered before litellm is imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from aiflow import __version__
from aiflow.errors import StepError
from aiflow.models import faults, resolve
from aiflow.models.calls import ChatAnswer, ChatRequest, EmbedAnswer, EmbedRequest, Usage
from aiflow.models.litellm_client import LitellmClient
from aiflow.settings import ModelSpec, Settings

__all__ = ["ChatAnswer", "ChatRequest", "EmbedAnswer", "EmbedRequest", "Gateway", "Usage"]

Answer = TypeVar("Answer", ChatAnswer, EmbedAnswer)


class Gateway:
    """Calls models by alias or name. One per profile, process and event loop; `close` it at the end.

    Args: offline: a model that is not offline is answered by the built-in one of its kind.
    """

    def __init__(self, settings: Settings, offline: bool = False) -> None:
        self._settings = settings
        self._offline = offline
        self._client = LitellmClient(settings.env)

    def resolve(self, name: str) -> ModelSpec:
        """What a name stands for: an alias of `aiflow.yaml`, or itself."""
        return resolve.resolve(name, self._settings)

    def needs_litellm(self, name: str) -> bool:
        """Whether the first call of this model imports litellm."""
        return not self._offline and not resolve.is_offline(self.resolve(name).model)

    def essence(self, name: str, *, embedding: bool = False) -> dict[str, Any]:
        """What of the model behind a name decides on its answers; equal where equal requests may share one answer."""
        spec = self.resolve(name)
        if self._offline or resolve.is_offline(spec.model):
            return {"model": self._stand_in(spec, resolve.OFFLINE_MODELS[embedding]), "aiflow": __version__}
        return resolve.essence(spec, self._settings.env)

    def missing_credentials(self, names: Iterable[str]) -> dict[str, str]:
        """Those of the names that cannot be called for want of a key, each with the variable to set."""
        found = {name: resolve.credentials_missing(self.resolve(name), self._settings.env) for name in names}
        return {name: variable for name, variable in found.items() if variable is not None}

    async def preload(self) -> None:
        """Imports litellm now, in a thread."""
        await self._client.loaded()

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        """The answer of the first model of the request that is available.

        Raises: StepError: `llm_error`, `rate_limit`, `timeout`, `connection`, `budget`, `invalid_output` (offline only).
        """

        async def ask(spec: ModelSpec) -> ChatAnswer:
            if self._offline or resolve.is_offline(spec.model):
                from aiflow.models.offline import chat

                return chat(self._stand_in(spec, resolve.OFFLINE_MODELS[0]), request)
            return await self._client.chat(spec, request)

        return await self._first(request.models, ask)

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Vectors of the first model of the request that is available. Raises: StepError, as `chat`."""

        async def ask(spec: ModelSpec) -> EmbedAnswer:
            if self._offline or resolve.is_offline(spec.model):
                from aiflow.models.offline import embed

                await asyncio.sleep(0)  # a long document is many batches, each some 50 ms of the event loop
                return embed(self._stand_in(spec, resolve.OFFLINE_MODELS[1]), request)
            return await self._client.embed(spec, request)

        return await self._first(request.models, ask)

    async def close(self) -> None:
        """Closes connections; nothing can be asked afterwards."""
        await self._client.close()

    def _stand_in(self, spec: ModelSpec, other: str) -> str:
        return spec.model if resolve.is_offline(spec.model) else other

    async def _first(self, names: tuple[str, ...], ask: Callable[[ModelSpec], Awaitable[Answer]]) -> Answer:
        failures: list[StepError] = []
        for name in names:
            try:
                return await ask(self.resolve(name))
            except StepError as error:
                if len(names) == 1 or not faults.unavailable(error):
                    raise
                failures.append(error)
        if failures:
            raise faults.none_answered(failures)
        raise StepError(
            "llm_error",
            "no model is named",
            hint="name one in the prompt, the step, defaults.llm of the workflow or of aiflow.yaml",
        )
