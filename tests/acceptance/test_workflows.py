"""The example workflows, run for real: embedded store, a worker, and local servers in the place of those out in the world."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aiflow.app import App
from aiflow.inspector import RunInfo
from aiflow.language.inputs import convert_inputs
from aiflow.language.workflow import check_workflow, load_workflow
from aiflow.settings import ModelSpec, Settings
from tests.support.openai_server import OpenAIServer, Reply, answer
from tests.support.project import ended

WORKFLOWS = Path(__file__).parents[2] / "workflows"
NAMES = ("openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash")


class Models(OpenAIServer):
    """Judges, scores and writes; everything else as the server of the tests does."""

    def _good(self, path: str, body: dict[str, Any]) -> Reply:
        asked = "\n".join(str(message["content"]) for message in body.get("messages", ()))
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
        if "marks" in schema:
            names = re.findall(r'<answer model="([^"]+)">', asked)
            marks = [{"model": name, "mark": 9 if "sonnet" in name or "haiku" in name else 6, "why": "so"} for name in names]
            return answer(json.dumps({"winner": max(marks, key=lambda one: one["mark"])["model"], "marks": marks}))
        if "score" in schema:
            return answer(json.dumps({"score": 95 if "Fifty invoices" in asked else 12, "reason": "it says so"}))
        return super()._good(path, body)


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    async with Models() as server:
        yield server


@pytest.fixture
async def world() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """The services that the examples talk to: (address, the requests that came)."""
    seen: list[web.Request] = []

    async def companies(request: web.Request) -> web.Response:
        seen.append(request)
        if request.query["name"] == "Unknown":
            return web.json_response({"error": "no such company"}, status=404)
        return web.json_response({"name": request.query["name"], "people": 50})

    async def transcriptions(request: web.Request) -> web.Response:
        seen.append(request)
        form = await request.post()
        part = form["file"]
        assert isinstance(part, web.FileField) and form["response_format"] == "verbose_json"
        return web.json_response({"text": part.file.read().decode(), "duration": 600.0})

    app = web.Application()
    app.router.add_get("/v1/companies", companies)
    app.router.add_post("/v1/audio/transcriptions", transcriptions)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    await runner.cleanup()


@pytest.fixture
def settings(store_settings: Settings, models: Models, world: tuple[str, list[web.Request]]) -> Settings:
    """A project with the examples, in which the addresses of the world are those of the local servers."""
    root = store_settings.root
    shutil.copytree(WORKFLOWS, root / "workflows")
    for file in (root / "workflows").glob("*.yaml"):
        text = file.read_text("utf-8")
        file.write_text(text.replace("https://api.enrich.example", world[0]).replace("https://api.openai.com", world[0]), "utf-8")
    options = {"api_base": models.url, "api_key": "test"}
    specs = {name: ModelSpec("openai/gpt-4o-mini", options) for name in NAMES}
    return dataclasses.replace(store_settings, models=specs, env={**store_settings.env, "ENRICH_KEY": "enrich", "OPENAI_API_KEY": "spoken"})


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with App(settings) as app:
        worker = app.worker()
        await worker.start()
        yield app
        await worker.stop(2)


async def run(app: App, name: str, **inputs: Any) -> RunInfo:
    file = app.settings.root / "workflows" / f"{name}.yaml"
    assert [str(one) for one in check_workflow(file, app.settings) if one.severity == "error"] == []
    workflow = load_workflow(file, app.settings)
    given = convert_inputs(workflow.inputs, inputs, from_text=False, project=app.settings.root)
    return await ended(app, await app.client.start(workflow, given), 60)


async def test_lead_scoring(app: App, settings: Settings, world: tuple[str, list[web.Request]]) -> None:
    (settings.root / "data").mkdir()
    with sqlite3.connect(settings.root / "data" / "crm.db") as database:
        database.execute("create table leads (id integer primary key, name, email, company, message, score, reason)")
        rows = [(1, "Ana", "a@x.example", "Acme", "Fifty invoices a day"), (2, "Bo", "b@x.example", "Unknown", "Just looking"),
                (3, "Cy", "c@x.example", "Old", "Scored before")]  # fmt: skip
        database.executemany("insert into leads (id, name, email, company, message) values (?, ?, ?, ?, ?)", rows)
        database.execute("update leads set score = 1 where id = 3")
    info = await run(app, "lead_scoring")
    assert (info.status, info.outputs) == ("ok", {"scored": 2, "hot": 1, "failed": 0}), info.error
    with sqlite3.connect(settings.root / "data" / "crm.db") as database:
        assert list(database.execute("select id, score from leads order by id")) == [(1, 95), (2, 12), (3, 1)]
    assert {request.headers["Authorization"] for request in world[1]} == {"Bearer enrich"}
    (event,) = await app.events.newest(10)
    assert (event.name, event.data) == ("lead.hot", {"lead_id": 1, "score": 95, "why": "it says so"})
    again = await run(app, "lead_scoring")
    assert (again.status, again.outputs) == ("stopped", None)


async def test_transcribe(app: App, settings: Settings, monkeypatch: pytest.MonkeyPatch, world: tuple[str, list[web.Request]]) -> None:
    """With stand-ins for ffmpeg: the recording is text, a part of it a line."""
    tools = settings.root / "bin"
    tools.mkdir()
    (tools / "ffprobe").write_text('#!/bin/sh\nfor last; do :; done\necho $(($(wc -l < "$last") * 600)).0\n')
    (tools / "ffmpeg").write_text('#!/bin/sh\nsplit -l 1 -d -a 3 --additional-suffix=.mp3 "$4" part_\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{__import__('os').environ['PATH']}")
    (settings.root / "talk.mp3").write_text("We met at nine.\nWe decided to buy bicycles.\nAna writes the report.\n")
    info = await run(app, "transcribe", recording="talk.mp3")
    assert info.status == "ok", info.error
    assert info.outputs["minutes"] == 30
    text = (settings.root / info.outputs["transcript"]).read_text()
    assert text == "We met at nine.\n\n\nWe decided to buy bicycles.\n\n\nAna writes the report.\n"
    assert (settings.root / info.outputs["notes"]).read_text()
    assert {request.headers["Authorization"] for request in world[1]} == {"Bearer spoken"}


async def test_model_bakeoff(app: App, settings: Settings, models: Models) -> None:
    (settings.root / "data").mkdir(exist_ok=True)
    questions = [{"text": f"What is {n} and {n}?", "reference": str(2 * n)} for n in range(6)]
    (settings.root / "data" / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    info = await run(app, "model_bakeoff")
    assert info.status == "ok", info.error
    table = {row["model"]: (row["wins"], row["mean"]) for row in info.outputs["table"]}
    assert table == {"anthropic/claude-haiku-4-5": (6, 9.0), "openai/gpt-4o-mini": (0, 6.0), "gemini/gemini-2.5-flash": (0, 6.0)}
    assert info.outputs["table"][0]["model"] == "anthropic/claude-haiku-4-5"
    assert len(models.requests) == 6 * 4 and info.usage["cost"] > 0
    assert len((settings.root / "out" / "bakeoff.jsonl").read_text().splitlines()) == 6
    models.reset()
    again = await run(app, "model_bakeoff")
    assert again.status == "ok", again.error
    assert len(models.requests) == 6 * 3, "what the judge said of the same answers is known"


async def test_write_draft(app: App, models: Models) -> None:
    info = await run(app, "write_draft", topic="bicycles in cities")
    assert info.status == "ok", info.error
    assert info.outputs.keys() == {"title", "text"}
    asked = [str(request.body["messages"][-1]["content"]) for request in models.requests]
    assert sorted(one.split(" ")[5] for one in asked if one.startswith("List")) == ["against:", "for:"]
