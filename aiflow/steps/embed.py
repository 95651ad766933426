"""embed: texts to vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiflow.errors import StepError
from aiflow.models.calls import EmbedAnswer, EmbedRequest, Usage
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.values import Value, digest

BATCH = 256
"""Texts per request; providers refuse more than some hundreds or thousands."""


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Vectors in the order of the texts. Output: one vector for a text, a list of vectors for a list.

    Raises: StepError: `llm_error`, `rate_limit`, `timeout`, `connection`, `budget`. The batches before a failure are paid
        again by the next attempt; what they cost is in `data.usage`.
    """
    given = config.get("input")
    texts: list[Value] = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise StepError("llm_error", "`input` is no text and no list of texts")
    if not texts:
        return Done([], Usage())
    request = EmbedRequest(
        texts=texts,
        models=_models(config.get("model")),
        dimensions=config.get("dimensions"),
        params=config.get("params") or {},
        timeout_ms=ctx.timeout_ms,
    )
    gateway = ctx.services.gateway()
    models = [gateway.essence(name, embedding=True) for name in request.models]
    asked = digest([models, request.dimensions, dict(request.params), texts])

    async def identity() -> Value:
        return asked

    async def call() -> Done:
        answers, usage = await _batches(ctx, request)
        vectors = [vector for answer in answers for vector in answer.vectors]
        last = answers[-1]
        return Done(vectors, usage, {"model": last.model, "offline": last.offline, **last.notes})

    done = await ctx.cached(identity, call)
    output = done.output if isinstance(given, list) else done.output[0]
    return replace(done, output=output, meta={**(done.meta or {}), "prompt_digest": asked})


async def _batches(ctx: Context, request: EmbedRequest) -> tuple[list[EmbedAnswer], Usage]:
    """All answers of one model: once one of a list has answered, the others are not asked, for vectors do not mix."""
    spent = Usage()
    answers: list[EmbedAnswer] = []
    for start in range(0, len(request.texts), BATCH):
        left = await ctx.budget_left()
        if left is not None and left - spent.cost <= 0:
            data = {"usage": spent.as_data()} if spent.calls else {}
            raise StepError("budget", "the budget of the run is spent", data=data, hint="raise `budget`")
        part = replace(request, texts=request.texts[start : start + BATCH], priced=left is not None)
        try:
            answer, request = await _one(ctx, part, request)
        except StepError as error:
            if spent.calls:
                error.data["usage"] = spent.as_data()
            raise
        answers.append(answer)
        spent += answer.usage
    return answers, spent


async def _one(ctx: Context, part: EmbedRequest, request: EmbedRequest) -> tuple[EmbedAnswer, EmbedRequest]:
    gateway = ctx.services.gateway()
    answer = await gateway.embed(part)
    settled = tuple(name for name in request.models if gateway.resolve(name).model == answer.model)
    return answer, replace(request, models=settled[:1])


def _models(given: Value) -> tuple[str, ...]:
    names = given if isinstance(given, list) else [given] if given else []
    if not all(isinstance(name, str) and name for name in names):
        raise StepError("llm_error", "`model` is no name and no list of names")
    return tuple(names)


KIND = StepKind(
    name="embed",
    summary="Turn texts into vectors.",
    run=run,
    short="input",
    short_schema={"type": ["string", "array"], "items": {"type": "string"}},
    schema={
        "type": "object",
        "properties": {
            "input": {
                "description": "A text, or a list of texts.",
                "type": ["string", "array"],
                "items": {"type": "string"},
                "examples": ["{{ steps.parts.output }}"],
            },
            "model": {
                "description": "An alias of aiflow.yaml or a litellm name; of a list the first that is available.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "examples": ["embedder", "openai/text-embedding-3-small"],
            },
            "dimensions": {
                "type": "integer",
                "minimum": 1,
                "description": "Length of the vectors, where the model can choose.",
                "examples": [256],
            },
            "params": {
                "type": "object",
                "description": "Further parameters, handed to litellm as they are.",
                "examples": [{"user": "{{ run.id }}"}],
            },
        },
        "required": ["input"],
    },
    cacheable=True,
    transient_only=True,
    retries=3,
    errors=("llm_error", "rate_limit", "budget", "timeout", "connection"),
    example='- id: vectors\n  embed: {input: "{{ inputs.texts }}", model: embedder}\n',
)
