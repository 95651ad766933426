"""The kinds `llm` and `embed`: what they ask, what they make of the answer, what it cost."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aiflow.errors import StepError
from aiflow.language.model import PromptSource
from aiflow.language.prompts import Prompt, parse_prompt
from aiflow.models.gateway import Gateway
from aiflow.models.json_answer import NotJson, first_fault, parse_answer
from aiflow.models.structured import schema_on_wire, strict_form
from aiflow.settings import ModelSpec, Settings
from aiflow.steps._kind import Context, Done, Services
from aiflow.steps.embed import run as embed
from aiflow.steps.llm import run as llm
from aiflow.values import file_from
from tests.support import openai_server as serve
from tests.support.openai_server import OpenAIServer

pytestmark = pytest.mark.timeout(60)
real = pytest.mark.asyncio(loop_scope="module")  # litellm keeps its connections in one loop

FACT = {"type": "object", "properties": {"claim": {"type": "string"}, "quote": {"type": "string"}}, "required": ["claim", "quote"]}
FACTS = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": FACT}},
    "required": ["facts"],
    "additionalProperties": False,
}
GOOD = json.dumps({"facts": [{"claim": "a", "quote": "b"}]})
BAD = json.dumps({"facts": [{"claim": "SECRET"}]})


def _left(dollars: float | None) -> Callable[[], Awaitable[float | None]]:
    async def left() -> float | None:
        return dollars

    return left


def prompt_file(front: str = "") -> Prompt:
    text = f"---\n{front}inputs:\n  part: string\n---\nsystem:\nBe short.\n\nuser:\nRead {{{{ part }}}}\n"
    return parse_prompt(PromptSource(path="workflows/prompts/x.md", text=text, sha256="0" * 64))


FRONT = "schema:\n  facts(array):\n    claim: string\n    quote: string\n"


@dataclass
class Bench:
    """Runs the kinds with one gateway. `lines`: what was logged."""

    server: OpenAIServer
    gateway: Gateway
    lines: list[str] = field(default_factory=list)

    def context(self, project: Path = Path("/"), **changes: Any) -> Context:
        async def no_http() -> Any:
            raise AssertionError("no http is wanted")

        ctx = Context(
            run_id="r", path="ask", key="r:ask", attempt=1, now_ms=0, resumed=False, project=project, run_dir=project,
            data={"part": "the text"}, prompt=None, timeout_ms=10_000,
            services=Services(gateway=lambda: self.gateway, http=no_http),
            secret=lambda name: "", log=lambda text, level="info": self.lines.append(text), budget_left=_left(None),
        )  # fmt: skip
        for name, value in changes.items():
            setattr(ctx, name, value)
        return ctx

    async def llm(self, config: Mapping[str, Any], **changes: Any) -> Done:
        outcome = await llm(self.context(**changes), {"model": "fast", **config})
        assert isinstance(outcome, Done)
        return outcome

    async def failed(self, config: Mapping[str, Any], **changes: Any) -> StepError:
        with pytest.raises(StepError) as caught:
            await self.llm(config, **changes)
        return caught.value

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [seen.body for seen in self.server.requests]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def kept() -> AsyncIterator[Bench]:
    async with OpenAIServer() as server:
        there = {"api_base": server.url, "api_key": "sk-1234567890"}
        models = {
            "fast": ModelSpec("openai/gpt-4o-mini", there),
            "quick": ModelSpec("openai/gpt-4o-mini", {**there, "api_key": "sk-another"}, {"input": 3.0}),
            "unpriced": ModelSpec("openai/llama3.2", there),
            "vectors": ModelSpec("openai/text-embedding-3-small", there),
            "gone": ModelSpec("openai/text-embedding-3-large", {"api_base": "http://127.0.0.1:9/v1", "api_key": "k"}),
        }
        gateway = Gateway(Settings(root=Path("/"), models=models))
        yield Bench(server, gateway)
        await gateway.close()


@pytest_asyncio.fixture(loop_scope="module")
async def bench(kept: Bench) -> Bench:
    kept.server.reset()
    kept.lines.clear()
    return kept


@real
async def test_text_comes_back_with_usage_and_facts_about_the_call(bench: Bench) -> None:
    bench.server.script(serve.answer("Here.", tokens=(10, 20)))
    done = await bench.llm({"text": "Where?", "temperature": 0})
    assert done.output == "Here."
    assert done.usage is not None and (done.usage.tokens_in, done.usage.tokens_out, done.usage.calls) == (10, 20, 1)
    assert done.meta is not None
    digest = done.meta["prompt_digest"]
    assert dict(done.meta) == {
        "model": "openai/gpt-4o-mini", "offline": False, "prompt_digest": digest, "finish_reason": "stop", "repaired": 0,
    }  # fmt: skip
    assert len(digest) == 64
    assert bench.bodies[0]["messages"] == [{"role": "user", "content": "Where?"}]


@real
async def test_the_digest_is_of_the_final_request(bench: Bench) -> None:
    async def digest(config: dict[str, Any], **changes: Any) -> str:
        done = await bench.llm(config, **changes)
        assert done.meta is not None
        return str(done.meta["prompt_digest"])

    first = await digest({"text": "Where?"})
    assert first == await digest({"text": "Where?"}, path="elsewhere[3]", attempt=2)
    assert first != await digest({"text": "Where is it?"})
    assert first != await digest({"text": "Where?", "temperature": 1})
    assert first == await digest({"text": "Where?", "model": "quick"}), "the model counts, not the alias"
    assert first != await digest({"text": "Where?", "model": "unpriced"})


@real
async def test_options_of_the_step_go_before_those_of_the_prompt(bench: Bench) -> None:
    prompt = prompt_file("model: unpriced\ntemperature: 0.7\nmax_tokens: 99\n")
    done = await bench.llm({"prompt": "prompts/x.md", "model": "fast", "temperature": 0.1}, prompt=prompt)
    body = bench.bodies[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("gpt-4o-mini", 0.1, 99)
    assert body["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Read the text"}]
    assert done.meta is not None and done.meta["prompt"] == "workflows/prompts/x.md"


@real
async def test_system_and_history_stand_before_the_question(bench: Bench) -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    await bench.llm({"system": "You are a clerk.", "history": history}, prompt=prompt_file())
    assert [(one["role"], one["content"]) for one in bench.bodies[0]["messages"]] == [
        ("system", "You are a clerk.\n\nBe short."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Read the text"),
    ]  # fmt: skip


@real
@pytest.mark.parametrize("history", [[{"role": "system", "content": "x"}], ["x"], [{"role": "user"}]])
async def test_history_from_data_cannot_speak_as_the_system(bench: Bench, history: Any) -> None:
    error = await bench.failed({"text": "x", "history": history})
    assert "`history`[0]" in error.message and not bench.bodies


@real
async def test_a_schema_gives_an_object(bench: Bench) -> None:
    bench.server.script(serve.answer(GOOD))
    done = await bench.llm({"text": "x", "schema": FACTS})
    assert done.output == {"facts": [{"claim": "a", "quote": "b"}]}
    assert bench.bodies[0]["response_format"]["type"] == "json_schema"


@real
async def test_a_bad_answer_is_asked_for_again_and_both_are_paid(bench: Bench) -> None:
    bench.server.script(serve.answer(BAD, tokens=(100, 10)), serve.answer(f"Sure!\n```json\n{GOOD}\n```", tokens=(200, 20)))
    done = await bench.llm({"text": "x", "schema": FACTS})
    assert done.output == json.loads(GOOD)
    assert done.usage is not None and (done.usage.tokens_in, done.usage.tokens_out, done.usage.calls) == (300, 30, 2)
    assert done.usage.cost == pytest.approx(300 * 0.15e-6 + 30 * 0.6e-6)
    assert done.meta is not None and done.meta["repaired"] == 1
    again = bench.bodies[1]["messages"]
    assert again[1] == {"role": "assistant", "content": BAD}
    assert "'quote' is a required property" in again[2]["content"]
    assert "SECRET" not in "".join(bench.lines)


@real
async def test_an_answer_that_stays_bad_says_what_is_wrong(bench: Bench) -> None:
    bench.server.script(serve.answer(BAD), serve.answer(BAD))
    error = await bench.failed({}, prompt=prompt_file(FRONT))
    assert error.type == "invalid_output" and not error.transient
    assert error.message == "the model left out `quote` in facts[0] (schema: workflows/prompts/x.md), asked twice"
    assert error.data["path"] == "facts[0]" and error.data["answer"] == BAD
    assert error.data["usage"]["calls"] == 2 and error.data["usage"]["cost"] > 0


@real
@pytest.mark.parametrize(("repair", "times", "calls"), [(0, "once", 1), (2, "3 times", 3)])
async def test_how_often_is_asked_again(bench: Bench, repair: int, times: str, calls: int) -> None:
    bench.server.script(*[serve.answer("no json here")] * 3)
    error = await bench.failed({"text": "x", "schema": FACTS, "repair": repair})
    assert error.message == f"the model gave an answer that is no JSON, asked {times}"
    assert len(bench.bodies) == calls


@real
async def test_a_fault_during_the_repair_keeps_what_was_paid(bench: Bench) -> None:
    bench.server.script(serve.answer(BAD, tokens=(100, 10)), serve.rate_limited("3"))
    error = await bench.failed({"text": "x", "schema": FACTS})
    assert (error.type, error.retry_after_ms, error.data["usage"]["tokens_in"]) == ("rate_limit", 3000, 100)
    bench.server.reset()
    bench.server.script(serve.answer(BAD, tokens=(100, 10)), serve.answer("{", finish_reason="length", tokens=(50, 5)))
    error = await bench.failed({"text": "x", "schema": FACTS})
    assert error.data["usage"]["tokens_in"] == 150 and error.data["usage"]["calls"] == 2


@real
async def test_nothing_is_asked_when_the_budget_is_spent(bench: Bench) -> None:
    error = await bench.failed({"text": "x"}, budget_left=_left(0.0))
    assert error.type == "budget" and not error.transient and not bench.bodies


@real
async def test_the_budget_counts_the_calls_of_this_step(bench: Bench) -> None:
    bench.server.script(serve.answer(BAD, tokens=(1_000, 1_000)))
    error = await bench.failed({"text": "x", "schema": FACTS}, budget_left=_left(0.0005))
    assert error.type == "budget" and len(bench.bodies) == 1 and error.data["usage"]["cost"] > 0.0005


@real
async def test_with_a_budget_the_price_must_be_known(bench: Bench) -> None:
    error = await bench.failed({"text": "x", "model": "unpriced"}, budget_left=_left(5.0))
    assert error.type == "budget" and not bench.bodies
    done = await bench.llm({"text": "x", "model": "unpriced"})
    assert done.meta is not None and done.meta["price_unknown"] is True


@real
async def test_the_time_of_the_step_is_the_time_of_the_call(bench: Bench) -> None:
    bench.server.script(serve.silent(20))
    assert (await bench.failed({"text": "x"}, timeout_ms=200)).type == "timeout"


@real
async def test_files_are_attached_as_text_and_pictures(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Ünï")
    (tmp_path / "b.png").write_bytes(b"\x89PNG123")
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1")
    files = [file_from(tmp_path / name, name) for name in ("a.md", "b.png", "c.pdf")]
    await bench.llm({"text": "What is it?", "attach": files[0]}, project=tmp_path)
    await bench.llm({"text": "What is it?", "attach": files}, project=tmp_path)
    text = 'What is it?\n\n<document name="a.md">\n# Ünï\n</document>'
    assert bench.bodies[0]["messages"][0]["content"] == text
    parts = bench.bodies[1]["messages"][0]["content"]
    assert parts[0] == {"type": "text", "text": text}
    assert parts[1]["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(b"\x89PNG123").decode()
    assert parts[2]["file"]["filename"] == "c.pdf"


@real
async def test_a_file_that_has_changed_is_not_sent(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("one")
    file = file_from(path, "a.md")
    path.write_text("two")
    assert (await bench.failed({"text": "x", "attach": file}, project=tmp_path)).type == "file_changed"
    path.unlink()
    assert (await bench.failed({"text": "x", "attach": file}, project=tmp_path)).type == "file_changed"
    odd = tmp_path / "a.xlsx"
    odd.write_bytes(b"PK")
    error = await bench.failed({"text": "x", "attach": file_from(odd, "a.xlsx")}, project=tmp_path)
    assert "cannot be attached" in error.message and "`read`" in error.hint
    assert "`attach`[0]" in (await bench.failed({"text": "x", "attach": "a.md"})).message
    assert not bench.bodies


@real
@pytest.mark.parametrize("config", [{"text": " "}, {}, {"text": "x", "model": 3}, {"text": "x", "model": None}])
async def test_nothing_to_ask_or_nobody(bench: Bench, config: dict[str, Any]) -> None:
    assert (await bench.failed(config)).type == "llm_error"
    assert not bench.bodies


@real
async def test_offline_answers_fit_and_are_marked(bench: Bench) -> None:
    done = await bench.llm({"text": "From the file a:\n\nThe bridge opened in 1999.", "schema": FACTS, "model": "offline/text"})
    assert done.output == {"facts": [{"claim": "The bridge opened in 1999.", "quote": "The bridge opened in 1999."}]}
    assert done.meta is not None and done.meta["offline"] is True and done.usage is not None and done.usage.cost == 0.0


@real
async def test_one_text_one_vector_and_a_list_a_list(bench: Bench) -> None:
    one = await embed(bench.context(), {"input": "abc", "model": "vectors"})
    many = await embed(bench.context(), {"input": ["abc", "d"], "model": "vectors", "dimensions": 3})
    none = await embed(bench.context(), {"input": [], "model": "vectors"})
    assert isinstance(one, Done) and isinstance(many, Done) and isinstance(none, Done)
    assert len(one.output) == 8 and [len(vector) for vector in many.output] == [3, 3] and none.output == []
    assert many.meta is not None and many.meta["model"] == "openai/text-embedding-3-small" and len(bench.bodies) == 2


@real
async def test_many_texts_go_in_batches_to_one_model(bench: Bench) -> None:
    texts = [f"text {number}" for number in range(600)]
    done = await embed(bench.context(), {"input": texts, "model": ["gone", "vectors"]})
    assert isinstance(done, Done) and len(done.output) == 600
    assert [len(body["input"]) for body in bench.bodies] == [256, 256, 88]
    assert done.usage is not None and done.usage.calls == 3
    assert [text for body in bench.bodies for text in body["input"]] == texts


@real
async def test_a_failed_batch_says_what_the_others_cost(bench: Bench) -> None:
    bench.server.script(serve.Reply(body=serve._embeddings({"input": ["x"] * 256, "model": "m"})), serve.failure(500))
    with pytest.raises(StepError) as caught:
        await embed(bench.context(), {"input": ["x" * 40] * 300, "model": "vectors"})
    assert caught.value.transient and caught.value.data["usage"]["calls"] == 1


@real
@pytest.mark.parametrize("given", [None, 3, ["a", 3]])
async def test_only_texts_are_embedded(bench: Bench, given: Any) -> None:
    with pytest.raises(StepError, match="no text"):
        await embed(bench.context(), {"input": given, "model": "vectors"})


@real
async def test_a_spent_budget_stops_embedding(bench: Bench) -> None:
    with pytest.raises(StepError) as caught:
        await embed(bench.context(budget_left=_left(0.0)), {"input": "x", "model": "vectors"})
    assert caught.value.type == "budget" and not bench.bodies


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (' \n[1, 2]\n', [1, 2]),
        ('"x"', "x"),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Here it is:\n```\n{"a": 1}\n```\nEnjoy!', {"a": 1}),
        ('The answer is {"a": {"b": [1]}} as you asked [sic].', {"a": {"b": [1]}}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": "```"}', {"a": "```"}),
    ],
)
def test_json_is_found(text: str, value: Any) -> None:
    assert parse_answer(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I cannot do that.", "is no JSON"),
        ("", "is no JSON"),
        ('{"a": 1', "is no valid JSON"),
        ("{'a': 1}", "is no valid JSON"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 1, "a": 2}', "names a key twice"),
        ("[" * 100 + "]" * 100, "nested"),
        ("[" * 100_000, "nested"),
        ("1" * 5_000, "digits"),
        ("[99999999999999999999]", "64 bits"),
        (f'["{"x" * (1 << 20)}"]', "longer than 1 MB"),
    ],
)
def test_what_is_no_json_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotJson, match=why):
        parse_answer(text)


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (FACTS, {}, "left out `facts`"),
        (FACTS, {"facts": "SECRET"}, "gave text for `facts` where array is wanted"),
        (FACTS, [], "gave a list for the answer where object is wanted"),
        (FACTS, {"facts": [], "SECRET": 1}, "added a key that the schema does not have"),
        ({"enum": ["low", "high"]}, "SECRET", "gave something else for the answer than one of `low`, `high`"),
        ({"type": "string", "format": "date"}, "SECRET", "gave something for the answer that is no date"),
        ({"type": "string", "maxLength": 2}, "SECRET", "gave something for the answer that breaks `maxLength`"),
        ({}, "\ud83d", "wrote a broken character"),
    ],
)
def test_faults_are_said_without_quoting_the_answer(schema: dict[str, Any], value: Any, said: str) -> None:
    fault = first_fault(value, schema)
    assert fault is not None and fault.said == said


def test_strict_form_makes_optional_fields_nullable_ones_that_are_required() -> None:
    schema = {**FACT, "properties": {**FACT["properties"], "note": {"type": ["string", "null"]}}, "additionalProperties": False}  # type: ignore[dict-item]
    made = strict_form(schema)
    assert made is not None and made["required"] == ["claim", "quote", "note"]
    assert strict_form(FACT) is None  # open to further keys
    assert strict_form({**schema, "minProperties": 1}) is None


def test_only_objects_go_over_the_wire() -> None:
    assert schema_on_wire({"type": "array", "items": {"type": "string"}}) is None
    wire = schema_on_wire(FACT)
    assert wire is not None and "strict" not in wire["json_schema"]
