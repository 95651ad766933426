"""`cache`: what is reused, by whom and for how long. Requests are counted at the servers, effects outside the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiflow.app import App
from aiflow.inspector import RunInfo
from aiflow.language.inputs import convert_inputs
from aiflow.settings import ModelSpec, Settings
from tests.support.http_server import Server, http_server
from tests.support.openai_server import OpenAIServer, answer, failure
from tests.support.project import Project, ended, until

Run = Callable[..., Awaitable[RunInfo]]


@pytest.fixture
async def models() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
async def web() -> AsyncIterator[Server]:
    async with http_server() as server:
        yield server


@pytest.fixture
def project(store_settings: Settings, models: OpenAIServer) -> Iterator[Project]:
    there = {"api_base": models.url, "api_key": "sk-1234567890"}
    specs = {
        "fast": ModelSpec("openai/gpt-4o-mini", there, {"input": 1.0, "output": 1.0}),
        "vectors": ModelSpec("openai/text-embedding-3-small", there, {"input": 1.0}),
    }
    project = Project(replace(store_settings, models=specs, blob_limit=2_000))
    yield project
    project.close()


@pytest.fixture
async def run(project: Project, working: App) -> Run:
    async def run(text: str, /, file: str = "flow", fresh: bool = False, **inputs: Any) -> RunInfo:
        workflow = project.load(text, file)
        given = convert_inputs(workflow.inputs, inputs, from_text=False, project=project.root)
        rid = await working.client.start(workflow, given, meta={"fresh": True} if fresh else None)
        return await ended(working, rid)

    return run


def cached(project: Project, info: RunInfo, path: str) -> dict[str, Any] | None:
    """Where the result of a step came from, None when it was made by itself."""
    found: dict[str, Any] | None = (project.records(info.run_id)[path].meta or {}).get("cached")
    return found


# -- models ----------------------------------------------------------------------------------------------------

ASK = """
inputs: {word: {type: string, default: harbour}}
steps:
  - id: ask
    llm: {text: "Tell of the {{ inputs.word }}", model: fast, temperature: 0}
    cache: 1h
outputs: {said: "{{ steps.ask.output }}"}
"""


async def test_an_equal_question_is_asked_once(run: Run, project: Project, models: OpenAIServer) -> None:
    models.script(answer("Old stones.", tokens=(100, 50)))
    first, second = await run(ASK), await run(ASK)
    assert first.status == second.status == 'ok', first.error
    assert len(models.requests) == 1
    assert first.outputs == second.outputs == {"said": "Old stones."}
    assert first.usage == {"tokens_in": 100, "tokens_out": 50, "cost": 0.00015, "calls": 1}
    assert second.usage == {"tokens_in": 0, "tokens_out": 0, "cost": 0.0, "calls": 0}
    made, reused = project.records(first.run_id)["ask"], project.records(second.run_id)["ask"]
    assert cached(project, first, "ask") is None
    origin = cached(project, second, "ask")
    assert origin is not None
    assert (origin["run"], origin["step"], set(origin)) == (first.run_id, "ask", {"run", "step", "at"})
    assert reused.usage == (0, 0, 0.0, 0)
    assert made.meta is not None and reused.meta == {**made.meta, "cached": origin}


async def test_the_text_of_the_workflow_does_not_count(run: Run, project: Project, models: OpenAIServer) -> None:
    await run(ASK)
    moved = """
    description: The same question elsewhere.
    steps:
      - set: {word: harbour}
        id: said
      - id: all
        each: [1]
        do:
          - id: other_name
            name: Asks
            timeout: 30s
            retry: 1
            llm: {model: [fast], temperature: 0, text: "Tell of the {{ steps.said.output.word }}"}
            cache: true
            output: {wrapped: "{{ result }}"}
    """
    info = await run(moved, file="elsewhere")
    assert len(models.requests) == 1
    assert info.outputs[0]["wrapped"] and cached(project, info, "all[0].other_name")


@pytest.mark.parametrize(
    "change",
    [
        {"llm": 'text: "Tell of the pier"'}, {"llm": "temperature: 1"}, {"llm": "max_tokens: 9"}, {"llm": "system: Be short."},
        {"llm": "schema: {name: string}"}, {"llm": "params: {top_p: 0.5}"}, {"llm": "model: other"}, {"llm": "model: [fast, other]"},
    ],
    ids=lambda change: str(change["llm"]),
)  # fmt: skip
async def test_every_part_of_the_question_counts(
    change: dict[str, str], project: Project, models: OpenAIServer
) -> None:
    other = ModelSpec("openai/gpt-4o", project.settings.models["fast"].options)
    settings = replace(project.settings, models={**project.settings.models, "other": other})
    options = {"text": '"Tell of the harbour"', "model": "fast", "temperature": "0"}
    key, _, value = change["llm"].partition(": ")
    async with Working(settings) as app:
        for given in (options, {**options, key: value}, {**options, key: value}):
            text = "steps:\n  - id: ask\n    cache: 1h\n    llm:\n" + "".join(f"      {k}: {v}\n" for k, v in given.items())
            rid = await app.client.start(project.load(text), {})
            assert (await ended(app, rid)).status == "ok"
    assert len(models.requests) == 2, change


async def test_the_model_behind_an_alias_counts_and_its_key_and_price_do_not(project: Project, models: OpenAIServer) -> None:
    options = project.settings.models["fast"].options
    specs = {
        "a": (ModelSpec("openai/gpt-4o-mini", options), 1),
        "b": (ModelSpec("openai/gpt-4o-mini", {**options, "api_key": "sk-0987654321", "timeout": 5}, {"input": 2, "output": 2}), 1),
        "c": (ModelSpec("openai/gpt-4o", options), 2),
        "d": (ModelSpec("openai/gpt-4o", {**options, "max_tokens": 5}), 3),
        "e": (ModelSpec("openai/gpt-4o", {**options, "params": {"top_p": 0.1}}), 4),
        "f": (ModelSpec("openai/gpt-4o", {**options, "api_base": models.url + "/"}), 5),
    }
    async with Working(replace(project.settings, models={name: spec for name, (spec, _) in specs.items()})) as app:
        for name, (_, requests) in specs.items():
            workflow = project.load(ASK.replace("fast", name))
            info = await ended(app, await app.client.start(workflow, {"word": "harbour"}))
            assert (info.status, len(models.requests)) == ("ok", requests), name


async def test_attachments_count_by_their_content(run: Run, project: Project, models: OpenAIServer) -> None:
    text = """
    steps:
      - id: found
        files: "docs/*.png"
      - id: ask
        llm: {text: What is this, model: fast, attach: "{{ steps.found.output }}"}
        cache: 1h
    """
    (project.root / "docs").mkdir()
    (project.root / "docs" / "a.png").write_bytes(b"\x89PNG one")
    await run(text)
    (project.root / "docs" / "a.png").rename(project.root / "docs" / "b.png")
    await run(text)
    assert len(models.requests) == 1, "a picture's name is not sent"
    (project.root / "docs" / "b.png").write_bytes(b"\x89PNG two")
    await run(text)
    assert len(models.requests) == 2


async def test_vectors_are_kept_for_a_text_and_for_a_list(run: Run, project: Project, models: OpenAIServer) -> None:
    text = """
    inputs: {texts: any}
    steps:
      - id: v
        embed: {input: "{{ inputs.texts }}", model: vectors}
        cache: 1h
    """
    first = await run(text, texts=["a", "bb"])
    assert (await run(text, texts=["a", "bb"])).outputs == first.outputs
    assert len(models.requests) == 1
    one = await run(text, texts="a")
    assert (await run(text, texts="a")).outputs == one.outputs == first.outputs[0]
    assert len(models.requests) == 2


async def test_a_failure_is_not_kept(run: Run, models: OpenAIServer) -> None:
    models.script(failure(400, "no"))
    assert (await run(ASK)).status == "failed"
    assert (await run(ASK)).status == "ok"
    assert len(models.requests) == 2


async def test_what_is_spent_does_not_keep_a_run_from_what_is_free(run: Run, models: OpenAIServer) -> None:
    await run(ASK)
    info = await run("budget: 0\n" + ASK)
    assert (info.status, len(models.requests)) == ("ok", 1)


async def test_offline_answers_are_kept_apart_from_those_of_the_model(run: Run, project: Project, models: OpenAIServer, working: App) -> None:
    rid = await working.client.start(project.load(ASK), {"word": "harbour"}, meta={"offline": True, "profile": "offline"})
    assert (await ended(working, rid)).status == "ok"
    info = await run(ASK)
    assert len(models.requests) == 1 and cached(project, info, "ask") is None


# -- how long --------------------------------------------------------------------------------------------------

CALL = """
inputs: {n: {type: integer, default: 1}}
steps:
  - id: call
    python: work:echo
    with: {value: "{{ inputs.n }}"}
    cache: CACHE
"""


async def test_a_result_expires(run: Run, project: Project) -> None:
    text = CALL.replace("CACHE", "200ms")
    await run(text)
    assert cached(project, await run(text), "call")
    await asyncio.sleep(0.25)
    assert cached(project, await run(text), "call") is None
    assert len(project.effects()) == 2


async def test_the_age_is_judged_by_who_asks(run: Run, project: Project) -> None:
    await run(CALL.replace("CACHE", "true"))
    await asyncio.sleep(0.1)
    assert cached(project, await run(CALL.replace("CACHE", "50ms")), "call") is None
    await asyncio.sleep(0.1)
    assert cached(project, await run(CALL.replace("CACHE", "1d")), "call"), "a short-lived result ends no longer one"
    assert len(project.effects()) == 2


async def test_true_keeps_for_thirty_days(run: Run, project: Project) -> None:
    await run(CALL.replace("CACHE", "true"))
    (key,) = project.redis.scan_iter(f"{project.keys.ns}:cache:*")
    assert 29.9 < project.redis.pttl(key) / 86_400_000 <= 30


@pytest.mark.parametrize("off", ["false", "0s"])
async def test_without_cache_nothing_is_kept(run: Run, project: Project, off: str) -> None:
    text = CALL.replace("CACHE", off)
    await run(text)
    await run(text)
    assert len(project.effects()) == 2
    assert list(project.redis.scan_iter(f"{project.keys.ns}:cache:*")) == []


async def test_fresh_takes_nothing_and_makes_new(run: Run, project: Project) -> None:
    text = CALL.replace("CACHE", "1h")
    await run(text)
    fresh = await run(text, fresh=True)
    assert cached(project, fresh, "call") is None and len(project.effects()) == 2
    origin = cached(project, await run(text), "call")
    assert origin is not None and origin["run"] == fresh.run_id


async def test_defaults_speak_for_all_steps_of_a_kind(run: Run, project: Project) -> None:
    text = """
    defaults: {python: {cache: 1h}, http: {cache: 1h}, shell: {cache: 1h}}
    steps:
      - id: a
        python: work:echo
        with: {value: 1}
      - id: b
        cache: false
        python: work:echo
        with: {value: 1}
      - id: c
        shell: echo once >> "$place"
        with: {place: PLACE}
    """.replace("PLACE", str(project.root / "shell.log"))
    for _ in range(2):
        assert (await run(text)).status == "ok"
    assert project.counts() == {"a": 1, "b": 2}
    assert (project.root / "shell.log").read_text() == "once\n" * 2, "a script that is not repeatable is never left out"


# -- the other kinds -------------------------------------------------------------------------------------------


async def test_requests_are_equal_by_what_is_sent(run: Run, project: Project, web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(options: str) -> int:
        before = len(web.requests)
        info = await run(f"steps:\n  - id: call\n    cache: 1h\n    http: {{{options}}}\n")
        assert info.status == "ok", info.error
        return len(web.requests) - before

    url = f"url: '{web.url}/echo'"
    assert [await asked(url), await asked(url)] == [1, 0]
    for part in ("query: {a: 1}", "headers: {X-A: b}", "method: PUT", "auth: {user: ana, password: x}", "expect: [200]"):
        assert [await asked(f"{url}, {part}"), await asked(f"{url}, {part}")] == [1, 0], part
    post = "method: POST, json: {a: 1}, headers: {Idempotency-Key: '{{ step.key }}'}"
    assert [await asked(f"{url}, {post}"), await asked(f"{url}, {post}")] == [1, 0]
    assert await asked(f"{url}, {post.replace('a: 1', 'a: 2')}") == 1


async def test_a_file_that_was_sent_counts_as_it_is_now(run: Run, project: Project, web: Server) -> None:
    (project.root / "a.txt").write_text("one")
    text = f"""
    inputs: {{late: {{type: string, default: ""}}}}
    steps:
      - id: found
        files: a.txt
      - if: inputs.late
        python: work:rewrite
        with: {{text: "{{{{ inputs.late }}}}"}}
      - id: call
        cache: 1h
        http: {{url: {web.url}/echo, method: PUT, form: {{upload: "{{{{ steps.found.output[0] }}}}"}}}}
    """
    with (project.root / "work.py").open("a") as module:
        module.write("\ndef rewrite(text):\n    (HERE / 'a.txt').write_text(text)\n")
    assert (await run(text)).status == (await run(text)).status == "ok"
    assert len(web.requests) == 1
    assert (await run(text, late="two")).status == "ok"  # what is sent is no longer what was found
    assert len(web.requests) == 2
    (project.root / "a.txt").write_text("one")
    assert (await run(text)).outputs["body"]["files"]["upload"]["size"] == 3
    assert len(web.requests) == 2


async def test_a_saved_answer_is_reused_while_its_file_is_there_unchanged(run: Run, project: Project, web: Server) -> None:
    text = f"steps:\n  - id: call\n    cache: 1h\n    http: {{url: '{web.url}/bytes/50', save: out/a.txt}}\n"
    first = await run(text)
    assert (await run(text)).outputs == first.outputs
    assert len(web.requests) == 1
    (project.root / "out" / "a.txt").write_text("something else")
    assert cached(project, await run(text), "call") is None
    (project.root / "out" / "a.txt").unlink()
    assert cached(project, await run(text), "call") is None
    assert (project.root / "out" / "a.txt").read_text() == "x" * 50
    assert len(web.requests) == 3


async def test_a_secret_counts_and_stands_nowhere(project: Project, web: Server) -> None:
    text = f"""
    steps:
      - id: quiet
        cache: 1h
        http: {{url: '{web.url}/text', headers: {{Authorization: "Bearer {{{{ secrets.TOKEN }}}}"}}}}
      - id: loud
        cache: 1h
        http: {{url: '{web.url}/echo', headers: {{Authorization: "Bearer {{{{ secrets.TOKEN }}}}"}}}}
    outputs: {{heard: "{{{{ steps.loud.output.body.headers.authorization }}}}"}}
    """
    for secret, requests in (("s3cret-one", 2), ("s3cret-one", 2), ("s3cret-two", 4)):
        async with Working(replace(project.settings, env={"TOKEN": secret})) as app:
            info = await ended(app, await app.client.start(project.load(text), {}))
        assert info.outputs == {"heard": "Bearer ***"}
        assert len(web.requests) == requests
    kept = list(project.redis.scan_iter(f"{project.keys.ns}:cache:*"))
    assert len(kept) == 4
    assert all(b"s3cret" not in key + b"".join(project.redis.hvals(key)) for key in kept)


async def test_a_function_counts_with_its_arguments_and_its_code(project: Project) -> None:
    text = """
    inputs: {n: {type: integer, default: 1}}
    steps:
      - id: call
        python: own:twice
        with: {n: "{{ inputs.n }}", ctx_free: true}
        cache: 1h
    """
    code = "from work import _line\ndef twice(n, ctx, ctx_free):\n    _line(ctx, 'begin')\n    return n * 2\n"
    (project.root / "own.py").write_text(code)
    runs = project.load(text)

    async def outcome(n: int) -> Any:
        worker = project.worker()
        async with App(project.settings) as app:
            info = await ended(app, await app.client.start(runs, {"n": n}))
        worker.stop()
        return info.outputs, len(project.effects())

    assert await outcome(1) == (2, 1)
    assert await outcome(1) == (2, 1)
    assert await outcome(2) == (4, 2)
    (project.root / "own.py").write_text(code.replace("* 2", "* 3"))
    assert await outcome(1) == (3, 3)


async def test_a_script_counts_with_its_data_and_the_files_in_it(run: Run, project: Project) -> None:
    (project.root / "in.txt").write_text("one")
    text = """
    inputs: {name: {type: string, default: a}}
    steps:
      - id: found
        files: in.txt
      - id: script
        shell: {run: 'echo x >> "$log"; cp "$file" "$name.out"; echo "$name"', files: ["*.out"]}
        with: {file: "{{ steps.found.output[0] }}", name: "{{ inputs.name }}", log: LOG}
        repeatable: true
        cache: 1h
    """.replace("LOG", str(project.root / "shell.log"))

    async def times(**inputs: Any) -> int:
        info = await run(text, **inputs)
        assert info.status == "ok" and len(info.outputs["files"]) == 1
        return (project.root / "shell.log").read_text().count("x")

    assert [await times(name="a"), await times(name="a"), await times(name="b")] == [1, 1, 2]
    (project.root / "in.txt").write_text("two")
    assert await times(name="a") == 3
    for kept in project.settings.state_dir.glob("runs/*/a.out"):
        if kept.read_text() == "two":
            kept.unlink()  # the run's folder was cleaned up
    assert await times(name="a") == 4


async def test_a_document_counts_by_its_content(run: Run, project: Project) -> None:
    text = "inputs: {doc: string}\nsteps:\n  - id: doc\n    read: '{{ inputs.doc }}'\n    cache: 1h\n"
    for name, content, reused in (("a.csv", "x\n1\n", False), ("b.csv", "x\n1\n", True), ("a.txt", "x\n1\n", False), ("b.csv", "x\n2\n", False)):
        (project.root / name).write_text(content)
        info = await run(text, doc=name)
        assert info.outputs == (content if name == "a.txt" else [{"x": content[2]}])
        assert bool(cached(project, info, "doc")) is reused, name


async def test_a_large_result_is_kept_as_a_blob_and_not_reused_without_it(run: Run, project: Project) -> None:
    text = "steps:\n  - id: call\n    python: work:big\n    with: {size: 5000}\n    cache: 1h\n  - set: '{{ steps.call.output | length }}'\n"
    text = text.replace("  - set: '{{ steps.call.output | length }}'\n", "outputs: {n: '{{ steps.call.output | length }}'}\n")
    await run(text)
    (key,) = project.redis.scan_iter(f"{project.keys.ns}:cache:*")
    assert len(project.redis.hget(key, "v")) < 1_000
    info = await run(text)
    assert info.outputs == {"n": 5000} and cached(project, info, "call") and len(project.effects()) == 1
    for blob in Path(project.settings.artifacts).rglob("*"):
        if blob.is_file():
            blob.unlink()
    info = await run(text)
    assert info.outputs == {"n": 5000} and cached(project, info, "call") is None and len(project.effects()) == 2


# -- at the same time ------------------------------------------------------------------------------------------


async def test_equal_calls_at_the_same_time_are_one_call(run: Run, project: Project, models: OpenAIServer) -> None:
    models.latency_s = 0.2
    text = """
    steps:
      - id: all
        each: "{{ range(20) | list }}"
        concurrency: 20
        llm: {text: "{{ ['one', 'two'][item % 2] }}", model: fast}
        cache: 1h
    """
    text = text.replace('"{{ range(20) | list }}"', "range(20)")
    info = await run(text)
    assert info.status == "ok", info.error
    assert len(models.requests) == 2 and info.usage["calls"] == 2
    origins = [cached(project, info, f"all[{n}]") for n in range(20)]
    assert origins.count(None) == 2
    assert {one["step"] for one in origins if one} <= {f"all[{n}]" for n in range(20) if origins[n] is None}


async def test_those_who_wait_for_a_call_share_its_failure_and_try_again_together(run: Run, project: Project, models: OpenAIServer) -> None:
    slow = replace(failure(503), delay_s=0.1)
    models.script(slow, replace(answer("at last"), delay_s=0.1))
    info = await run(
        """
        steps:
          - id: all
            each: range(6)
            llm: {text: the same, model: fast}
            cache: 1h
            retry: {times: 1, delay: 50ms, jitter: false}
        """
    )
    assert (info.status, info.outputs) == ("ok", ["at last"] * 6)
    assert len(models.requests) == 2
    assert project.records(info.run_id)["all[5]"].attempts == 2


async def test_a_cancelled_run_does_not_take_others_with_it(project: Project, working: App) -> None:
    text = "steps:\n  - id: call\n    python: work:gate\n    with: {name: go}\n    cache: 1h\n"
    first = await working.client.start(project.load(text), {})
    await until(lambda: project.effects(), "the first call")
    second = await working.client.start(project.load(text), {})
    await asyncio.sleep(0.1)
    assert len(project.effects()) == 1
    await working.client.cancel(first)
    await until(lambda: len(project.effects()) == 2, "the second asks by itself")
    project.touch("go")
    info = await ended(working, second)
    assert info.status == "ok" and cached(project, info, "call") is None


async def test_the_timeout_of_who_waits_holds(run: Run, project: Project, working: App) -> None:
    text = "steps:\n  - id: call\n    python: work:gate\n    with: {name: go}\n    cache: 1h\n"
    first = await working.client.start(project.load(text), {})
    await until(lambda: project.effects(), "the first call")
    info = await run(text.rstrip() + "\n    timeout: 100ms\n", file="impatient")
    assert (info.status, info.error and info.error["type"]) == ("failed", "timeout")
    project.touch("go")
    assert (await ended(working, first)).status == "ok"


async def test_a_step_that_asks_for_neither_costs_no_trip(run: Run, working: App, monkeypatch: pytest.MonkeyPatch) -> None:
    called: Counter[str] = Counter()
    call = working.commit.call

    def counting(name: str, *args: Any, **options: Any) -> Any:
        called[name] += 1
        return call(name, *args, **options)

    monkeypatch.setattr(working.commit, "call", counting)
    text = CALL.replace("    cache: CACHE\n", "")
    await run(text)
    plain = Counter({name: called[name] for name in called if name not in ("fire_timers", "reap", "rewake")})
    assert not plain.keys() & {"cache_get", "cache_put", "take_place", "leave_place", "throttle"}
    assert plain["checkpoint"] <= 1
    called.clear()
    await run(CALL.replace("CACHE", "1h"))
    await run(CALL.replace("CACHE", "1h"))
    assert (called["cache_get"], called["cache_put"]) == (2, 1)


# -- turns, deaths, trouble ------------------------------------------------------------------------------------


async def test_a_hit_waits_for_no_turn(run: Run, project: Project) -> None:
    text = CALL.replace("CACHE", "1h\n    throttle: 1/d\n    timeout: 5s")
    assert (await run(text)).status == "ok"
    assert cached(project, await asyncio.wait_for(run(text), 5), "call")


async def test_waiting_for_a_turn_is_no_time_of_the_step_that_asks_the_cache(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: call
            each: [1, 2, 3, 4]
            throttle: 2/s
            timeout: 300ms
            cache: 1h
            python: work:echo
            with: {value: "{{ item }}"}
        """
    )
    assert info.status == "ok", info.error
    begun = sorted(project.records(info.run_id)[f"call[{n}]"].finished for n in range(4))
    assert begun[3] - begun[0] > 900


async def test_what_was_kept_outlives_a_worker_that_died_before_its_checkpoint(project: Project) -> None:
    worker = project.worker("after_effect:1=kill")
    async with App(project.settings) as app:
        rid = await app.client.start(project.load(CALL.replace("CACHE", "1h")), {"n": 1})
        await worker.death()
        project.worker()
        assert (await ended(app, rid)).status == "ok"
    assert len(project.effects()) == 1


async def test_a_store_that_takes_nothing_more_fails_no_step(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiflow.errors import StoreError
    from aiflow.store.cache import CacheStore

    async def full(*args: Any) -> None:
        raise StoreError("OOM")

    monkeypatch.setattr(CacheStore, "put", full)
    text = CALL.replace("CACHE", "1h")
    assert (await run(text)).status == (await run(text)).status == "ok"
    assert len(project.effects()) == 2


async def test_a_damaged_entry_is_made_anew(run: Run, project: Project) -> None:
    text = CALL.replace("CACHE", "1h")
    await run(text)
    (key,) = project.redis.scan_iter(f"{project.keys.ns}:cache:*")
    project.redis.hset(key, "v", b"{not json")
    assert cached(project, await run(text), "call") is None
    assert cached(project, await run(text), "call")


class Working:
    """An app with a worker, for other settings than those of the fixture."""

    def __init__(self, settings: Settings) -> None:
        self._app = App(settings)

    async def __aenter__(self) -> App:
        await self._app.__aenter__()
        self._worker = self._app.worker()
        await self._worker.start()
        return self._app

    async def __aexit__(self, *error: object) -> None:
        await self._worker.stop(2)
        await self._app.__aexit__(*error)
