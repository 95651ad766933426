"""Secrets stay out of the store, the artifacts, the spool and the logs, whatever a step does with them."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from aiflow.app import App
from aiflow.client import Client
from aiflow.engine.host import Host
from aiflow.errors import ConfigError
from aiflow.settings import Settings
from tests.engine.conftest import Run
from tests.support.project import Project, ended, with_settings

KEY = 'sk "7/ö\\&canary'
PIN = "2048"
PASSWORD = 'in "put/ä\\canary'
LEAKS = """
import base64, json
from urllib.parse import quote_plus


def back(key, n=0):
    return {key: [key, json.dumps(key), quote_plus(key), base64.b64encode(f"u:{key}".encode()).decode(), n]}


def raises(ctx, key):
    print("printed", key)
    ctx.log(f"logged {key}")
    raise ValueError(f"no {key} and {json.dumps({'k': key})}")


def large(key):
    return (key + " ") * 20000


def silent(key):
    return len(key)
"""


@pytest.fixture
def project(store_settings: Settings) -> Iterator[Project]:
    env = {"KEY": KEY, "PIN": PIN, "AIFLOW_SECRET_KEY": "a key for tests, long enough"}
    project = Project(with_settings(store_settings, env={**store_settings.env, **env}))
    (project.root / "leaks.py").write_text(LEAKS)
    yield project
    project.close()


def forms(secret: str) -> list[bytes]:
    """As it is, and as JSON, URLs and base64 carry it."""
    raw = secret.encode()
    return [
        raw, json.dumps(secret)[1:-1].encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode(), quote_plus(secret).encode(),
        base64.b64encode(raw)[:-4], base64.b64encode(b"u:" + raw)[4:-4],
    ]  # fmt: skip


def everything(project: Project) -> Iterator[tuple[str, bytes]]:
    """All that is kept of a project's runs: the store, the artifacts and the state folder."""
    for key in project.redis.scan_iter(f"{project.keys.ns}*"):
        yield key.decode(), project.redis.dump(key) or b""
        kind = project.redis.type(key)
        read = {
            b"hash": project.redis.hgetall, b"set": project.redis.smembers, b"string": project.redis.get,
            b"list": lambda name: project.redis.lrange(name, 0, -1), b"zset": lambda name: project.redis.zrange(name, 0, -1),
            b"stream": project.redis.xrange,
        }[kind]  # fmt: skip
        if not key.decode().startswith(project.keys.named("plan")):
            yield key.decode(), _flat(read(key))
    for folder in (project.settings.state_dir, Path(project.settings.artifacts)):
        for path in folder.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b"\n".join(_flat(key) + b"\t" + _flat(item) for key, item in value.items())
    return b"\n".join(_flat(item) for item in value) if isinstance(value, (list, tuple, set)) else str(value).encode()


def assert_no_trace(project: Project, *secrets: str) -> None:
    for where, raw in everything(project):
        for secret in secrets:
            for form in forms(secret):
                assert form not in raw, f"{form!r} in {where}"


WORKFLOW = """
inputs: {password: secret, name: string}
steps:
  - id: back
    python: leaks:back
    with: {key: "{{ secrets.KEY }}", n: 2048}
  - id: pin
    python: leaks:back
    with: {key: "{{ secrets.PIN }}", n: 2048}
  - id: given
    python: leaks:back
    with: {key: "{{ inputs.password }}"}
  - id: fails
    python: leaks:raises
    with: {key: "{{ secrets.KEY }}"}
    retry: {times: 1, delay: 1ms}
    on_error: continue
  - id: fails_too
    python: leaks:raises
    with: {key: "{{ inputs.password }}"}
    on_error:
      - set: {message: "{{ error.message }}"}
  - id: large
    python: leaks:large
    with: {key: "{{ secrets.KEY }}"}
  - id: shell
    shell: 'echo "$KEY $PASSWORD $(printf %s "$KEY" | base64 -w0)"; echo "$KEY" >&2'
    with: {KEY: "{{ secrets.KEY }}", PASSWORD: "{{ inputs.password }}"}
  - id: all
    each: [1, 2, 3]
    python: leaks:back
    with: {key: "{{ secrets.KEY }}", n: "{{ item }}"}
  - id: count
    python: leaks:silent
    with: {key: "{{ inputs.password }}"}
outputs: {shell: "{{ steps.shell.output.stdout }}", back: "{{ steps.back.output }}", pin: "{{ steps.pin.output }}",
          count: "{{ steps.count.output }}", error: "{{ steps.fails.error.message }}", name: "{{ inputs.name }}"}
"""


async def test_no_secret_is_kept(run: Run, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    info = await run(WORKFLOW, password=PASSWORD, name="Ana")
    assert info.status == "ok", info.error
    assert info.outputs["count"] == len(PASSWORD), "steps get the value itself"
    assert info.outputs["shell"].startswith("*** *** ***")
    assert info.outputs["back"]["***"][4] == 2048 and info.outputs["pin"]["***"][0] == "***", "numbers are no texts"
    assert info.outputs["error"].startswith("ValueError: no ***")
    assert info.inputs == {"password": "***", "name": "Ana"}
    assert_no_trace(project, KEY, PASSWORD)
    assert not any(secret in record.getMessage() for record in caplog.records for secret in (KEY, PASSWORD))


async def test_a_failed_run_tells_nothing(run: Run, project: Project) -> None:
    info = await run(
        """
        inputs: {password: secret}
        steps:
          - python: leaks:raises
            with: {key: "{{ inputs.password }}"}
        """,
        password=PASSWORD,
    )
    assert info.status == "failed" and "***" in info.error["message"]
    assert_no_trace(project, PASSWORD)


async def test_a_bug_in_aiflow_tells_nothing(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Host, *_: Any) -> None:
        raise AttributeError(f"no attribute {KEY}")

    monkeypatch.setattr(Host, "prompt", broken)
    info = await run('steps:\n  - python: leaks:silent\n    with: {key: "{{ secrets.KEY }}"}\n')
    assert info.status == "failed" and "no attribute ***" in info.error["message"]
    assert_no_trace(project, KEY)
    assert "a bug in aiflow" in caplog.text and KEY not in caplog.text


async def test_a_step_may_print_the_secret_of_another(run: Run, project: Project) -> None:
    (project.root / "leaks.py").write_text(LEAKS + f"\ndef knows():\n    return {KEY!r}\n")
    info = await run(
        """
        steps:
          - id: a
            python: leaks:knows
          - python: leaks:silent
            with: {key: "{{ secrets.KEY }}"}
        outputs: {a: "{{ steps.a.output }}"}
        """
    )
    assert info.outputs == {"a": "***"}
    assert_no_trace(project, KEY)


async def test_another_worker_opens_the_input_after_a_crash(project: Project, app: App) -> None:
    workflow = project.load(
        """
        inputs: {password: secret}
        steps:
          - python: work:echo
          - id: count
            python: leaks:silent
            with: {key: "{{ inputs.password }}"}
        outputs: {count: "{{ steps.count.output }}"}
        """
    )
    rid = await app.client.start(workflow, {"password": PASSWORD})
    worker = app.worker()
    await worker.start()
    info = await ended(app, rid)
    await worker.stop(2)
    assert info.outputs == {"count": len(PASSWORD)}
    assert_no_trace(project, PASSWORD)


async def test_another_key_fails_the_run_with_what_to_do(project: Project, app: App) -> None:
    workflow = project.load('inputs: {pw: secret}\nsteps:\n  - python: leaks:silent\n    with: {key: "{{ inputs.pw }}"}\n')
    other = with_settings(project.settings, env={**project.settings.env, "AIFLOW_SECRET_KEY": "another key, also long enough"})
    rid = await Client(app.store, app.events, other, app.blobs).start(workflow, {"pw": PASSWORD})
    worker = app.worker()
    await worker.start()
    info = await ended(app, rid)
    await worker.stop(2)
    assert info.status == "failed" and "sealed with another key" in info.error["message"]


async def test_the_embedded_store_has_a_key_of_its_own(project: Project, app: App) -> None:
    workflow = project.load('inputs: {pw: secret}\nsteps:\n  - python: leaks:silent\n    with: {key: "{{ inputs.pw }}"}\n')
    env = {name: value for name, value in project.settings.env.items() if name != "AIFLOW_SECRET_KEY"}
    embedded = with_settings(project.settings, env=env, redis_url=None)
    await Client(app.store, app.events, embedded, app.blobs).start(workflow, {"pw": PASSWORD})
    key = project.settings.state_dir / "key"
    first = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    await Client(app.store, app.events, embedded, app.blobs).start(workflow, {"pw": PASSWORD})
    assert key.read_bytes() == first
    assert [path.name for path in key.parent.glob("key*")] == ["key"]
    remote = with_settings(project.settings, env=env, redis_url="redis://store.example")
    with pytest.raises(ConfigError, match="needs AIFLOW_SECRET_KEY"):
        await Client(app.store, app.events, remote, app.blobs).start(workflow, {"pw": PASSWORD})
    weak = with_settings(project.settings, env={**env, "AIFLOW_SECRET_KEY": "word"})
    with pytest.raises(ConfigError, match="fewer than 16"):
        await Client(app.store, app.events, weak, app.blobs).start(workflow, {"pw": PASSWORD})
    assert_no_trace(project, PASSWORD)
