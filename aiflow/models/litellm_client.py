"""Calls models through litellm: one call is one HTTP request, with a deadline, without retries, router or cache.

Importing litellm takes seconds of CPU, so it happens at the first call, in a thread; `load` may be called early.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiflow.durations import parse_duration
from aiflow.errors import StepError
from aiflow.models import faults
from aiflow.models.calls import (
    ChatAnswer,
    ChatRequest,
    EmbedAnswer,
    EmbedRequest,
    Message,
    Usage,
    estimated_tokens,
    text_of,
)
from aiflow.models.prices import cost_of, counted, table_prices, unknown_price
from aiflow.models.resolve import credentials_missing, environment_options
from aiflow.models.structured import schema_in_prompt, schema_on_wire
from aiflow.settings import ModelSpec

DEFAULT_TIMEOUT_MS = 120_000
CONNECT_TIMEOUT_S = 10.0

# litellm keeps one HTTP client per timeout value, so it is given few different ones; the exact deadline is ours.
_CLIENT_TIMEOUTS_S = (60, 300, 1_800, 7_200, 43_200)

# Where a request goes and who pays is the operator's (aiflow.yaml), and retries are the engine's.
_NOT_IN_PARAMS = frozenset(
    "model messages input api_base base_url api_key api_version organization custom_llm_provider extra_headers headers"
    " timeout request_timeout num_retries max_retries fallbacks context_window_fallbacks stream caching cache"
    " mock_response mock_timeout callbacks success_callback failure_callback logger_fn proxy_server_request client"
    " vertex_credentials vertex_project aws_access_key_id aws_secret_access_key aws_session_token".split()
)
_OWN_OPTIONS = frozenset({"timeout", "params"})


def load() -> Any:
    """The module litellm, imported at the first call: no network, no telemetry, no chatter. Safe in threads."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("httpx", "openai"):  # at INFO and DEBUG they write addresses and bodies
        logging.getLogger(name).setLevel(logging.WARNING)
    import litellm

    litellm.DEFAULT_MAX_RETRIES = 0  # embeddings take `max_retries=0` for "not given"
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


class LitellmClient:
    """All paid calls of one process. Clients belong to the event loop of the first call.

    Args: env: the environment with `.env` laid under it; keys are taken from here.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._litellm: Any = None
        self._loading: asyncio.Task[Any] | None = None
        self._facts: dict[str, tuple[bool, dict[str, float] | None]] = {}

    async def loaded(self) -> Any:
        """litellm; the first callers wait together for its import."""
        if self._litellm is None:
            if self._loading is None:
                self._loading = asyncio.create_task(asyncio.to_thread(load))
            self._litellm = await asyncio.shield(self._loading)
        return self._litellm

    async def chat(self, spec: ModelSpec, request: ChatRequest) -> ChatAnswer:
        """One request, one whole answer.

        Raises: StepError: `llm_error`, `rate_limit`, `timeout`, `connection`, `budget`.
        """
        options = self._options(spec, request.params)
        litellm, (structured, table) = await self._ready(spec, request.priced)
        messages: Sequence[Message] = request.messages
        if request.schema is not None:
            wire = schema_on_wire(request.schema) if structured else None
            if wire is not None:
                options["response_format"] = wire
            else:
                messages = schema_in_prompt(messages, request.schema)
        _put(options, temperature=request.temperature, max_tokens=request.max_tokens)
        response = await self._bounded(
            spec,
            request.timeout_ms,
            lambda timeout: litellm.acompletion(
                model=spec.model, messages=list(messages), timeout=timeout, num_retries=0, max_retries=0, **options
            ),
            messages,
            options,
        )
        written = _written(response)
        usage, notes = _usage(litellm, spec, response, _length(messages), estimated_tokens(written), table)
        return _whole(spec.model, response, written, usage, notes)

    async def embed(self, spec: ModelSpec, request: EmbedRequest) -> EmbedAnswer:
        """One request, as many vectors as texts. Raises: StepError, as `chat`."""
        options = self._options(spec, request.params)
        litellm, (_, table) = await self._ready(spec, request.priced)
        _put(options, dimensions=request.dimensions)
        sent = [{"role": "user", "content": text} for text in request.texts]
        response = await self._bounded(
            spec,
            request.timeout_ms,
            lambda timeout: litellm.aembedding(
                model=spec.model, input=list(request.texts), timeout=timeout, num_retries=0, max_retries=0, **options
            ),
            sent,
            options,
        )
        vectors = _vectors(response, len(request.texts), spec.model)
        usage, notes = _usage(litellm, spec, response, _length(sent), 0, table)
        return EmbedAnswer(vectors, usage, spec.model, notes=notes)

    async def close(self) -> None:
        """Closes litellm's connections, so that nothing complains about them at exit."""
        if self._loading is not None and not self._loading.done():
            await asyncio.wait([self._loading])
        if self._litellm is None:
            return
        await self._litellm.close_litellm_async_clients()
        self._litellm.in_memory_llm_clients_cache.flush_cache()  # or it hands out the closed ones to whoever comes next
        workers = [task for task in asyncio.all_tasks() if "LoggingWorker" in getattr(task.get_coro(), "__qualname__", "")]
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _options(self, spec: ModelSpec, params: Mapping[str, Any]) -> dict[str, Any]:
        """Options of the call: the environment's, over them the model's own, over them the request's."""
        if missing := credentials_missing(spec, self._env):
            raise faults.credentials_error(spec.model, missing)
        if taken := sorted(_NOT_IN_PARAMS & params.keys()):
            raise StepError(
                "llm_error",
                f"`params` may not set `{taken[0]}`",
                hint="where requests go and how they are retried is set in aiflow.yaml (models) and by the step",
            )
        own = {name: value for name, value in spec.options.items() if name not in _OWN_OPTIONS}
        return {**environment_options(spec, self._env), **own, **spec.options.get("params", {}), **params}

    async def _ready(self, spec: ModelSpec, priced: bool) -> tuple[Any, tuple[bool, dict[str, float] | None]]:
        """litellm, and what its tables know of the model: does it hold to schemas, what does it cost."""
        litellm = await self.loaded()
        facts = self._facts.get(spec.model)
        if facts is None:
            facts = self._facts[spec.model] = await asyncio.to_thread(_facts_of, litellm, spec.model)
        if priced and spec.prices is None and facts[1] is None:
            raise unknown_price(spec)
        return litellm, facts

    async def _bounded(
        self,
        spec: ModelSpec,
        timeout_ms: int | None,
        call: Callable[[Any], Awaitable[Any]],
        messages: Sequence[Message],
        options: Mapping[str, Any],
    ) -> Any:
        """The answer of `call`, within the deadline; every error as `StepError`."""
        limit_ms = timeout_ms if timeout_ms is not None else _own_timeout_ms(spec)
        try:
            async with asyncio.timeout(limit_ms / 1000):
                return await call(_client_timeout(limit_ms / 1000))
        except TimeoutError:
            raise faults.timeout_error(spec.model, limit_ms) from None
        except StepError:
            raise
        except Exception as error:
            secrets = [str(options[name]) for name in ("api_key",) if options.get(name)]
            raise faults.as_step_error(error, spec.model, messages, secrets) from None


def _facts_of(litellm: Any, model: str) -> tuple[bool, dict[str, float] | None]:
    try:
        structured = bool(litellm.supports_response_schema(model=model))
    except Exception:  # a table's gap must not stop a call
        structured = False
    try:
        return structured, table_prices(litellm.get_model_info(model=model))
    except Exception:  # litellm raises a bare Exception for models it has no entry for
        return structured, None


def _own_timeout_ms(spec: ModelSpec) -> int:
    own = spec.options.get("timeout")
    if own is None:
        return DEFAULT_TIMEOUT_MS
    return parse_duration(own) if isinstance(own, str) else int(float(own) * 1000)


def _client_timeout(seconds: float) -> Any:
    import httpx

    rung = next((step for step in _CLIENT_TIMEOUTS_S if step >= seconds), _CLIENT_TIMEOUTS_S[-1])
    return httpx.Timeout(float(rung), connect=CONNECT_TIMEOUT_S)


def _put(options: dict[str, Any], **given: Any) -> None:
    options.update({name: value for name, value in given.items() if value is not None})


def _length(messages: Sequence[Message]) -> int:
    return sum(estimated_tokens(text_of(message)) for message in messages)


def _written(response: Any) -> str:
    text = (response.choices[0].message.content or "") if response.choices else ""
    return str(text).encode("utf-8", "replace").decode()  # half a surrogate pair cannot be stored


def _usage(
    litellm: Any,
    spec: ModelSpec,
    response: Any,
    tokens_in: int,
    tokens_out: int,
    table: Mapping[str, float] | None,
) -> tuple[Usage, dict[str, bool]]:
    """Tokens and dollars of one call, and how far they can be trusted."""
    reported = getattr(response, "usage", None)
    counts = (int(getattr(reported, "prompt_tokens", 0) or 0), int(getattr(reported, "completion_tokens", 0) or 0))
    used_in, used_out, guessed = counted(counts, (tokens_in, tokens_out))
    notes = {"usage_estimated": True} if guessed else {}
    prices = spec.prices if spec.prices is not None else table
    if prices is None:
        return Usage(used_in, used_out, 0.0, 1), {**notes, "price_unknown": True}
    cost = cost_of(prices, used_in, used_out)
    if spec.prices is None and not guessed:
        try:  # knows of cached tokens, tiers and pictures
            cost = float(litellm.completion_cost(completion_response=response, model=spec.model))
        except Exception:  # the plain sum stands
            pass
    return Usage(used_in, used_out, cost, 1), notes


def _whole(model: str, response: Any, text: str, usage: Usage, notes: dict[str, bool]) -> ChatAnswer:
    """The answer, if the model came to its end; a paid answer that is of no use says what it cost in `data.usage`."""
    data: dict[str, Any] = {"model": model, "usage": usage.as_data()}
    if not response.choices:
        raise StepError("llm_error", f"{model} gave an answer without choices", data=data, transient=True)
    choice = response.choices[0]
    reason = data["finish_reason"] = choice.finish_reason
    if reason == "length":
        raise StepError(
            "llm_error", f"the answer of {model} was cut off at its length limit", data=data, hint="raise max_tokens"
        )
    extra = choice.message.get("provider_specific_fields") or {}
    if reason == "content_filter" or choice.message.get("refusal") or extra.get("refusal"):
        data["finish_reason"] = "content_filter"
        raise StepError("llm_error", f"{model} declined to answer (content filter)", data=data)
    if reason not in ("stop", "tool_calls"):
        raise StepError("llm_error", f"the answer of {model} ended for an unknown reason", data=data)
    if not text.strip() and not choice.message.get("tool_calls"):
        raise StepError("llm_error", f"{model} gave an empty answer", data=data, transient=True)
    return ChatAnswer(text, usage, model, reason, notes=notes)


def _vectors(response: Any, wanted: int, model: str) -> list[list[float]]:
    rows = sorted(response.data or (), key=lambda row: int(row["index"]))
    vectors = [list(map(float, row["embedding"])) for row in rows]
    if len(vectors) != wanted:
        raise StepError(
            "llm_error", f"{model} gave {len(vectors)} vectors for {wanted} texts", data={"model": model}, transient=True
        )
    return vectors
