"""The gateway with the real litellm against a server on this machine, in all its moods."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aiflow.errors import StepError
from aiflow.models import faults
from aiflow.models.gateway import ChatRequest, EmbedRequest, Gateway
from aiflow.models.litellm_client import load
from aiflow.settings import ModelSpec, Settings
from tests.support import openai_server as serve
from tests.support.openai_server import OpenAIServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

KEY = "sk-proj-abcdefghijklmnop123456"
MODEL = "openai/gpt-4o-mini"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def started() -> AsyncIterator[tuple[OpenAIServer, Gateway]]:
    async with OpenAIServer() as server:
        there = {"api_base": server.url, "api_key": KEY}
        models = {
            "fast": ModelSpec(MODEL, there),
            "strict": ModelSpec("openai/gpt-4o-2024-08-06", there),
            "unpriced": ModelSpec("openai/llama3.2", there),
            "priced": ModelSpec("openai/llama3.2", there, {"input": 1.0, "output": 10.0}),
            "quick": ModelSpec(MODEL, {**there, "timeout": "300ms"}),
            "nowhere": ModelSpec(MODEL, {"api_base": "http://127.0.0.1:9/v1", "api_key": KEY}),
            "keyless": ModelSpec("anthropic/claude-sonnet-4-5"),
            "invented": ModelSpec("foo/bar"),
            "o3": ModelSpec("openai/o3-mini", there),
            "vectors": ModelSpec("openai/text-embedding-3-small", there),
            "off": ModelSpec("offline/text"),
        }
        gateway = Gateway(Settings(root=Path("/"), models=models, env={}))
        yield server, gateway
        await gateway.close()


@pytest_asyncio.fixture(loop_scope="module")
async def server(started: tuple[OpenAIServer, Gateway]) -> OpenAIServer:
    started[0].reset()
    return started[0]


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(started: tuple[OpenAIServer, Gateway]) -> Gateway:
    return started[1]


def question(*models: str, text: str = "Where is the harbour?", **more: Any) -> ChatRequest:
    return ChatRequest(messages=[{"role": "user", "content": text}], models=models or ("fast",), **more)


async def failed(gateway: Gateway, request: ChatRequest) -> StepError:
    with pytest.raises(StepError) as caught:
        await gateway.chat(request)
    return caught.value


async def test_a_good_answer(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.answer("In Aldmouth.", tokens=(1000, 2000)))
    answer = await gateway.chat(question(temperature=0, max_tokens=50, params={"seed": 7}))
    assert (answer.text, answer.model, answer.finish_reason, answer.offline) == ("In Aldmouth.", MODEL, "stop", False)
    assert (answer.usage.tokens_in, answer.usage.tokens_out, answer.usage.calls) == (1000, 2000, 1)
    assert answer.usage.cost == pytest.approx(1000 * 0.15e-6 + 2000 * 0.6e-6)
    assert not answer.notes
    sent = server.requests[0]
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert (sent.body["model"], sent.body["temperature"], sent.body["max_tokens"], sent.body["seed"]) == ("gpt-4o-mini", 0, 50, 7)
    assert not sent.body.get("stream")


async def test_a_schema_goes_to_the_provider_in_strict_form(server: OpenAIServer, gateway: Gateway) -> None:
    await gateway.chat(question("strict", schema=SCHEMA))
    form = server.requests[0].body["response_format"]
    assert form["type"] == "json_schema"
    assert (form["json_schema"]["strict"], form["json_schema"]["schema"]) == (True, SCHEMA)


async def test_a_schema_goes_into_the_prompt_where_the_provider_takes_none(server: OpenAIServer, gateway: Gateway) -> None:
    await gateway.chat(question("unpriced", schema=SCHEMA))
    body = server.requests[0].body
    assert "response_format" not in body
    assert '"city"' in body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("reply", "type", "transient", "status"),
    [
        (serve.failure(500), "llm_error", True, 500),
        (serve.failure(503), "llm_error", True, 503),
        (serve.failure(529), "llm_error", True, 529),
        (serve.failure(409), "llm_error", True, 409),
        (serve.failure(425), "llm_error", True, 425),
        (serve.failure(408), "timeout", True, 408),
        (serve.failure(400, "Bad temperature"), "llm_error", False, 400),
        (serve.failure(401, f"Incorrect API key provided: {KEY}"), "llm_error", False, 401),
        (serve.failure(403), "llm_error", False, 403),
        (serve.failure(404, "The model `x` does not exist", "model_not_found"), "llm_error", False, 404),
        (serve.failure(413), "llm_error", False, 413),
        (serve.failure(422), "llm_error", False, 422),
        (serve.rate_limited(), "rate_limit", True, 429),
        (serve.rate_limited(code="insufficient_quota"), "rate_limit", False, 429),
        (serve.cut(), "connection", True, None),
        (serve.cut("middle"), "connection", True, None),
        (serve.html(), "llm_error", True, None),
        (serve.broken_json(), "llm_error", True, None),
        (serve.no_choices(), "llm_error", True, None),
        (serve.answer(None), "llm_error", True, None),
        (serve.answer("  "), "llm_error", True, None),
        (serve.answer(None, refusal="I cannot help with that"), "llm_error", False, None),
        (serve.answer("", finish_reason="content_filter"), "llm_error", False, None),
        (serve.answer("half", finish_reason="length"), "llm_error", False, None),
    ],
    ids=lambda value: "" if isinstance(value, serve.Reply) else str(value),
)
async def test_every_fault_is_one_request_and_has_its_type(
    server: OpenAIServer, gateway: Gateway, reply: serve.Reply, type: str, transient: bool, status: int | None
) -> None:
    server.script(reply)
    error = await failed(gateway, question())
    assert (error.type, error.transient, error.data.get("status")) == (type, transient, status)
    assert len(server.requests) == 1
    assert KEY not in str(error) and "harbour" not in str(error).lower() and "I cannot" not in str(error)


async def test_a_cut_off_answer_says_what_to_do_and_what_it_cost(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.answer('{"a": ', finish_reason="length", tokens=(100, 200)))
    error = await failed(gateway, question())
    assert error.data["finish_reason"] == "length"
    assert "max_tokens" in error.hint
    assert error.data["usage"]["tokens_out"] == 200 and error.data["usage"]["cost"] > 0


@pytest.mark.parametrize(
    ("header", "wait"),
    [("2", 2_000), ("0", 0), ("1.5", 1_500), ("-5", None), ("1e9", None), ("999999999", 3_600_000), ("soon", None), (None, None)],
)
async def test_retry_after_is_passed_on(server: OpenAIServer, gateway: Gateway, header: str | None, wait: int | None) -> None:
    server.script(serve.rate_limited(header))
    error = await failed(gateway, question())
    assert (error.type, error.transient, error.retry_after_ms) == ("rate_limit", True, wait)


async def test_retry_after_on_an_overloaded_server(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.failure(503, Retry_After="7"))
    assert (await failed(gateway, question())).retry_after_ms == 7_000


async def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    assert faults.retry_after_ms({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, now) == 30_000
    assert faults.retry_after_ms({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, now) is None
    assert faults.retry_after_ms({"retry-after-ms": "120", "retry-after": "5"}, now) == 120


async def test_a_provider_that_repeats_the_prompt_is_not_quoted(server: OpenAIServer, gateway: Gateway) -> None:
    secret = "My patient Jane Doe has a rare condition"
    server.script(serve.failure(400, f"Cannot read this: {secret}"), serve.failure(400, f"Unknown voice, key={KEY}"))
    assert "Jane" not in str(await failed(gateway, question(text=secret)))
    error = await failed(gateway, question(text=secret))
    assert "Unknown voice" in str(error) and KEY not in str(error)


async def test_a_silent_server_costs_one_request_and_the_time_given(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.silent(30))
    began = time.monotonic()
    error = await failed(gateway, question(timeout_ms=400))
    assert (error.type, error.transient, len(server.requests)) == ("timeout", True, 1)
    assert time.monotonic() - began < 5


async def test_a_server_that_trickles_for_ever_is_cut_off(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.trickle(0.05))
    assert (await failed(gateway, question("quick"))).type == "timeout"


async def test_nobody_listens(server: OpenAIServer, gateway: Gateway) -> None:
    error = await failed(gateway, question("nowhere"))
    assert (error.type, error.transient) == ("connection", True)


async def test_a_model_that_does_not_exist(server: OpenAIServer, gateway: Gateway) -> None:
    error = await failed(gateway, question("invented"))
    assert error.message == "there is no model foo/bar: no provider `foo` is known"
    assert "provider/name" in error.hint and not error.transient


async def test_an_option_that_the_model_does_not_take(server: OpenAIServer, gateway: Gateway) -> None:
    error = await failed(gateway, question("o3", temperature=0.1))
    assert "temperature=0.1" in error.message and "drop_params" in error.hint
    assert server.requests == []


async def test_a_missing_key_is_found_before_anything_is_sent(server: OpenAIServer, gateway: Gateway) -> None:
    error = await failed(gateway, question("keyless"))
    assert "ANTHROPIC_API_KEY" in error.message and not error.transient
    assert gateway.missing_credentials(["keyless", "fast", "off"]) == {"keyless": "ANTHROPIC_API_KEY"}


async def test_no_model_named(gateway: Gateway) -> None:
    error = await failed(gateway, ChatRequest(messages=[], models=()))
    assert error.message == "no model is named"


@pytest.mark.parametrize("name", ["api_base", "api_key", "model", "num_retries", "stream", "mock_response"])
async def test_params_cannot_redirect_or_repeat_a_request(server: OpenAIServer, gateway: Gateway, name: str) -> None:
    error = await failed(gateway, question(params={name: "x"}))
    assert f"`{name}`" in error.message and server.requests == []


async def test_the_next_model_answers_when_one_is_unavailable(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.failure(500), serve.rate_limited("2"), serve.answer("here"))
    answer = await gateway.chat(question("keyless", "nowhere", "fast", "fast", "priced"))
    assert (answer.text, answer.model, len(server.requests)) == ("here", "openai/llama3.2", 3)


@pytest.mark.parametrize("reply", [serve.failure(400), serve.answer("x", finish_reason="length"), serve.no_choices()])
async def test_the_next_model_is_not_asked_when_one_answers_badly(server: OpenAIServer, gateway: Gateway, reply: serve.Reply) -> None:
    server.script(reply)
    await failed(gateway, question("fast", "priced"))
    assert len(server.requests) == 1


async def test_none_of_the_models_answers(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.rate_limited("9"), serve.rate_limited("4"))
    error = await failed(gateway, question("fast", "priced"))
    assert (error.type, error.transient, error.retry_after_ms) == ("rate_limit", True, 4_000)
    assert [one["status"] for one in error.data["errors"]] == [429, 429]


async def test_own_prices_and_unknown_prices(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.answer("yes", tokens=(100, 100)), serve.answer("yes", tokens=(100, 100)))
    priced, unpriced = await gateway.chat(question("priced", priced=True)), await gateway.chat(question("unpriced"))
    assert priced.usage.cost == pytest.approx(0.0011) and not priced.notes
    assert (unpriced.usage.cost, dict(unpriced.notes)) == (0.0, {"price_unknown": True})


async def test_a_run_with_a_budget_does_not_call_a_model_of_unknown_price(server: OpenAIServer, gateway: Gateway) -> None:
    error = await failed(gateway, question("unpriced", priced=True))
    assert error.type == "budget" and "prices" in error.hint and server.requests == []


@pytest.mark.parametrize("tokens", [None, (-5, 3), (0, 0), (10**9, 1)])
async def test_usage_that_cannot_be_is_estimated(server: OpenAIServer, gateway: Gateway, tokens: tuple[int, int] | None) -> None:
    server.script(serve.answer("word " * 40, tokens=tokens))
    answer = await gateway.chat(question())
    assert answer.notes == {"usage_estimated": True}
    assert 0 < answer.usage.tokens_in < 100 and 50 <= answer.usage.tokens_out < 100 and answer.usage.cost > 0


async def test_half_a_character_is_replaced(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.Reply(body=serve.answer("a ?").body.replace("?", "\\ud83d")))
    assert (await gateway.chat(question())).text.encode() == b"a ?"


async def test_vectors(server: OpenAIServer, gateway: Gateway) -> None:
    answer = await gateway.embed(EmbedRequest(texts=["a", "bbb" * 40], models=("vectors",), dimensions=4))
    assert len(answer.vectors) == 2 and len(answer.vectors[0]) == 4
    assert server.requests[0].body["dimensions"] == 4
    assert answer.usage.cost > 0 and answer.model == "openai/text-embedding-3-small"


async def test_faults_of_an_embedding_request(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.rate_limited("2"), serve.cut())
    for type in ("rate_limit", "connection"):
        with pytest.raises(StepError) as caught:
            await gateway.embed(EmbedRequest(texts=["a"], models=("vectors",)))
        assert caught.value.type == type


async def test_many_at_once_share_connections(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(*[serve.answer("ok", delay_s=0.3) for _ in range(50)])
    answers = await asyncio.gather(*(gateway.chat(question()) for _ in range(50)))
    assert {answer.text for answer in answers} == {"ok"} and server.most >= 45


async def test_a_cancelled_call_is_cancelled(server: OpenAIServer, gateway: Gateway) -> None:
    server.script(serve.silent(30))
    call = asyncio.create_task(gateway.chat(question()))
    while not server.requests:
        await asyncio.sleep(0.01)  # until the server has it
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_our_own_overhead_is_small(server: OpenAIServer, gateway: Gateway) -> None:
    """CPU of the gateway over bare litellm; the limit is 1 ms, with room for a shared machine."""
    litellm = load()

    async def cpu(call: Any) -> float:
        began = time.process_time()
        for _ in range(30):
            await call()
        return (time.process_time() - began) / 30

    def bare() -> Any:
        return litellm.acompletion(
            model=MODEL, messages=[{"role": "user", "content": "hi"}], api_base=server.url, api_key=KEY, max_retries=0
        )

    await bare()
    ours = min([await cpu(lambda: gateway.chat(question())) for _ in range(3)])
    theirs = min([await cpu(bare) for _ in range(3)])
    print(f"gateway {ours * 1000:.2f} ms, litellm alone {theirs * 1000:.2f} ms")
    assert ours - theirs < 0.02


SCRIPT = """
import asyncio, sys
from pathlib import Path
from aiflow.models.gateway import ChatRequest, EmbedRequest, Gateway
from aiflow.settings import ModelSpec, Settings
async def main():
    spec = {SPEC}
    gateway = Gateway(Settings(root=Path("/"), models={"m": spec}, env={}))
    answer = await gateway.chat(ChatRequest(messages=[{"role": "user", "content": "Say it.\\n\\nIt rains."}], models=("m",)))
    print(answer.model, "litellm" in sys.modules)
    await gateway.close()
asyncio.run(main())
"""


async def run_alone(spec: str) -> tuple[str, str]:
    """stdout and stderr of a process that makes one call and ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "dev",
        "-c",
        SCRIPT.replace("{SPEC}", spec),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "ignore::DeprecationWarning"},
    )
    out, err = await process.communicate()
    return out.decode(), err.decode()


async def test_offline_needs_no_litellm(server: OpenAIServer) -> None:
    out, _ = await run_alone('ModelSpec("offline/text")')  # on stderr asyncio's debug mode may call a busy machine slow
    assert out == "offline/text False\n"


async def test_a_process_ends_without_complaints(server: OpenAIServer) -> None:
    out, err = await run_alone(f'ModelSpec("{MODEL}", {{"api_base": "{server.url}", "api_key": "k"}})')
    assert out == f"{MODEL} True\n"
    assert "Unclosed" not in err and "destroyed" not in err and "Traceback" not in err, err
