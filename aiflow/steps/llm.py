"""llm: ask a language model; text comes back, or with a schema an object that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiflow.errors import StepError
from aiflow.models.calls import ChatAnswer, ChatRequest, Message, Usage
from aiflow.models.json_answer import Fault, NotJson, first_fault, parse_answer
from aiflow.steps._attach import attached
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.values import Value, digest

if TYPE_CHECKING:
    from aiflow.models.gateway import Gateway

REPAIR = 1
"""Times that an answer which does not fit its schema is asked for again."""

KEPT_ANSWER = 4_000
"""Characters of a bad answer that `error.data.answer` keeps."""

_HISTORY_ROLES = ("user", "assistant")


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Ask once, and once more for each `repair` while the answer does not fit the schema.

    Output: with `schema` the value, else the text.
    Raises: StepError: `llm_error`, `rate_limit`, `timeout`, `connection`, `invalid_output`, `budget`, `file_changed`.
        A failure after paid answers has what they cost in `data.usage`.
    """
    options = {**(ctx.prompt.options if ctx.prompt else {}), **{k: v for k, v in config.items() if v is not None}}
    schema = options.get("schema") or (ctx.prompt.schema if ctx.prompt else None)  # JSON Schema since the workflow was loaded
    request = ChatRequest(
        messages=await _messages(ctx, options),
        models=_models(options.get("model")),
        temperature=options.get("temperature"),
        max_tokens=options.get("max_tokens"),
        schema=schema,
        params=options.get("params") or {},
        timeout_ms=ctx.timeout_ms,
    )
    asked = digest(_identity(request, ctx.services.gateway()))

    async def identity() -> Value:
        return asked

    async def call() -> Done:
        answer, value, usage, repaired = await _ask(ctx, request, int(options.get("repair", REPAIR)))
        facts = {"model": answer.model, "offline": answer.offline, "finish_reason": answer.finish_reason, "repaired": repaired}
        return Done(value, usage, {**facts, **answer.notes})

    done = await ctx.cached(identity, call)
    meta: dict[str, Value] = {**(done.meta or {}), "prompt_digest": asked}
    if ctx.prompt is not None:
        meta["prompt"] = ctx.prompt.path
    return replace(done, meta=meta)


async def _ask(ctx: Context, request: ChatRequest, repair: int) -> tuple[ChatAnswer, Value, Usage, int]:
    """The answer, its value, what all calls used, and how many of them were repairs."""
    spent = Usage()
    question = request
    repaired = 0
    while True:
        left = await _budget_left(ctx, spent)
        try:
            answer = await ctx.services.gateway().chat(replace(question, priced=left is not None))
        except StepError as error:
            raise _with_usage(error, spent) from None
        spent += answer.usage
        if request.schema is None:
            return answer, answer.text, spent, repaired
        value, fault = _value(answer, request.schema)
        if fault is None:
            return answer, value, spent, repaired
        if repaired == repair:
            raise _invalid(ctx, answer, fault, repair + 1, spent)
        repaired += 1
        ctx.log(f"answer {repaired} of {answer.model} does not fit its schema, asked again", level="warning")
        question = replace(request, messages=[*request.messages, *_again(answer, fault)])


def _value(answer: ChatAnswer, schema: Mapping[str, Any]) -> tuple[Value, Fault | None]:
    if answer.parsed is not None:
        return answer.parsed, None
    try:
        value = parse_answer(answer.text)
    except NotJson as error:
        return None, Fault(f"gave an answer that {error}", f"the answer {error}")
    return value, first_fault(value, schema)


def _again(answer: ChatAnswer, fault: Fault) -> list[Message]:
    said = f"That answer is not valid: {fault.detail}. Answer again with the whole JSON value, corrected, and nothing else."
    return [{"role": "assistant", "content": answer.text}, {"role": "user", "content": said}]


def _invalid(ctx: Context, answer: ChatAnswer, fault: Fault, asked: int, spent: Usage) -> StepError:
    where = f" (schema: {ctx.prompt.path})" if ctx.prompt is not None else ""
    times = {1: "once", 2: "twice"}.get(asked, f"{asked} times")
    return StepError(
        "invalid_output",
        f"the model {fault.said}{where}, asked {times}",
        data={
            "path": fault.path,
            "asked": asked,
            "model": answer.model,
            "answer": answer.text[:KEPT_ANSWER],
            "usage": spent.as_data(),
        },
    )


async def _budget_left(ctx: Context, spent: Usage) -> float | None:
    """Dollars that may still be spent, or None without a budget. Raises: StepError `budget` when nothing is left."""
    left = await ctx.budget_left()
    if left is None:
        return None
    left -= spent.cost
    if left <= 0:
        data = {"usage": spent.as_data()} if spent.calls else {}
        raise StepError("budget", "the budget of the run is spent", data=data, hint="raise `budget`, or ask cheaper models")
    return left


def _with_usage(error: StepError, spent: Usage) -> StepError:
    """The error of a later call, with what the calls before it cost."""
    if spent.calls:
        paid = error.data.get("usage")
        error.data["usage"] = (spent + Usage(**paid) if paid else spent).as_data()
    return error


async def _messages(ctx: Context, options: Mapping[str, Value]) -> list[Message]:
    """System first, then history, then the question with what is attached to it."""
    if ctx.prompt is not None:
        rendered: list[Message] = list(ctx.prompt.render(ctx.data, ctx.project))
    else:
        rendered = [{"role": "user", "content": _text(options)}]
    system = [message for message in rendered if message["role"] == "system"]
    talk = [message for message in rendered if message["role"] != "system"]
    if options.get("system"):
        system.insert(0, {"role": "system", "content": str(options["system"])})
    if len(system) > 1:
        system = [{"role": "system", "content": "\n\n".join(str(message["content"]) for message in system)}]
    if options.get("attach"):
        talk = await attached(talk, options["attach"], ctx.project)
    return [*system, *_history(options.get("history") or []), *talk]


def _text(options: Mapping[str, Value]) -> str:
    text = options.get("text", options.get("prompt"))
    if not isinstance(text, str) or not text.strip():
        raise StepError("llm_error", "the prompt is empty")
    return text


def _history(given: Value) -> list[Message]:
    """Earlier messages. Only `user` and `assistant`: what comes from data must not speak as the system."""
    messages: list[Message] = []
    for place, message in enumerate(given if isinstance(given, list) else [given]):
        fits = isinstance(message, Mapping) and isinstance(message.get("content"), str)
        if not fits or message.get("role") not in _HISTORY_ROLES:
            raise StepError(
                "llm_error",
                f"`history`[{place}] is no message",
                hint="a message is {role: user or assistant, content: text}",
            )
        messages.append({"role": message["role"], "content": message["content"]})
    return messages


def _models(given: Value) -> tuple[str, ...]:
    names: Sequence[Value] = given if isinstance(given, list) else [given] if given else []
    if not all(isinstance(name, str) and name for name in names):
        raise StepError("llm_error", "`model` is no name and no list of names")
    return tuple(names)


def _identity(request: ChatRequest, gateway: Gateway) -> dict[str, Value]:
    """What makes two requests equal: the models and everything that they see, nothing of where it stands in a workflow."""
    return {
        "messages": [dict(message) for message in request.messages],
        "models": [gateway.essence(name) for name in request.models],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "schema": request.schema,
        "params": dict(request.params),
    }


KIND = StepKind(
    name="llm",
    summary="Ask a language model; with a schema the answer is an object, else text.",
    run=run,
    short="prompt",
    schema={
        "type": "object",
        "properties": {
            "prompt": {
                "type": "string",
                "description": "A prompt file, relative to this file.",
                "examples": ["prompts/summarize.md"],
            },
            "text": {"type": "string", "description": "The prompt itself.", "examples": ["Summarise: {{ inputs.text }}"]},
            "system": {
                "type": "string",
                "description": "Instructions that go before everything else.",
                "examples": ["You write for children."],
            },
            "model": {
                "description": "An alias of aiflow.yaml or a litellm name; of a list the first that is available.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "examples": ["fast", "openai/gpt-4o-mini"],
            },
            "temperature": {
                "type": "number",
                "minimum": 0,
                "maximum": 2,
                "description": "0: as repeatable as it gets.",
                "examples": [0],
            },
            "max_tokens": {
                "type": "integer",
                "minimum": 1,
                "description": "A longer answer is an error, never cut.",
                "examples": [800],
            },
            "schema": {
                "description": "Shape of the answer: Picoschema, JSON Schema, or the path of a file with one.",
                "type": ["object", "string"],
                "examples": [{"title": "string", "tags(array)": "string"}],
            },
            "attach": {
                "description": "Files that go with the question: text, pictures, PDF.",
                "examples": ["{{ inputs.picture }}"],
            },
            "history": {
                "examples": ["{{ inputs.messages }}"],
                "type": "array",
                "description": "Earlier messages of the conversation.",
                "items": {
                    "type": "object",
                    "properties": {"role": {"enum": list(_HISTORY_ROLES)}, "content": {"type": "string"}},
                    "required": ["role", "content"],
                },
            },
            "repair": {
                "examples": [2],
                "type": "integer",
                "minimum": 0,
                "maximum": 2,
                "default": REPAIR,
                "description": "How often to ask again, with what was wrong, when the answer does not fit the schema.",
            },
            "params": {
                "type": "object",
                "description": "Further parameters, handed to litellm as they are.",
                "examples": [{"top_p": 0.9}],
            },
        },
    },
    fixed=frozenset({"prompt", "schema"}),
    cacheable=True,
    transient_only=True,
    retries=3,
    errors=("llm_error", "rate_limit", "invalid_output", "budget", "timeout", "connection"),
    example='- id: mood\n  llm:\n    text: "How does the writer feel? {{ inputs.letter }}"\n    model: fast\n'
    "    schema: {mood(enum): [glad, cross, neutral], why: string}\n",
)
