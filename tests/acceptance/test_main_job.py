"""The main job as a user meets it: the command line, the sample documents, no key, no Redis; killed and resumed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import REPOSITORY, end_server

AIFLOW = [sys.executable, "-m", "aiflow"]
PATIENCE_S = 90


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A copy of the example project, without anybody's keys."""
    shutil.copytree(REPOSITORY / "workflows", tmp_path / "workflows")
    shutil.copy(REPOSITORY / "aiflow.yaml", tmp_path)
    yield tmp_path
    end_server(tmp_path)


def environment(**more: str) -> dict[str, str]:
    names = ("API_KEY", "REDIS_URL", "AIFLOW_")
    return {name: value for name, value in os.environ.items() if not any(word in name for word in names)} | more


def aiflow(project: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. `more`: environment variables."""
    return subprocess.run(
        [*AIFLOW, *arguments], cwd=project, env=environment(**more), capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip


def result(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_the_samples_become_a_digest_and_an_index(project: Path) -> None:
    done = aiflow(project, "run", "workflows/doc_ingest.yaml", "--json")
    run = result(done)
    assert (done.returncode, run["status"]) == (0, "ok"), done.stderr
    assert run["outputs"]["documents"] == 10
    assert run["outputs"]["unreadable"] == ["damaged-scan.pdf"]
    assert run["usage"]["cost"] == 0
    digest = (project / "out" / "digest.md").read_text()
    for name in ("annual-report-2025.pdf", "grant-application.docx", "Über uns – Gründung 2014.txt"):
        assert name in digest
    lines = [json.loads(line) for line in (project / "out" / "documents.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    with contextlib.closing(sqlite3.connect(project / "data" / "library.db")) as database:
        ((rows,),) = database.execute("select count(*) from chunks")
    assert rows == run["outputs"]["parts"] == sum(line["parts"] for line in lines)


def test_a_second_run_changes_no_row_and_can_go_on_at_the_same_time(project: Path) -> None:
    command = [*AIFLOW, "run", "workflows/doc_ingest.yaml", "--json"]
    both = [
        subprocess.Popen(command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    runs = []
    for process in both:
        out, complaint = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, complaint
        runs.append(json.loads(out))
    assert runs[0]["run_id"] != runs[1]["run_id"]
    assert runs[0]["outputs"] == runs[1]["outputs"]
    with contextlib.closing(sqlite3.connect(project / "data" / "library.db")) as database:
        ((rows,),) = database.execute("select count(*) from chunks")
    assert rows == runs[0]["outputs"]["parts"]


@pytest.mark.parametrize("crash", ["lane_after_items:60", "after_checkpoint:40", "after_effect:300"])
def test_killed_with_its_store_it_goes_on_and_repeats_nothing(project: Path, crash: str) -> None:
    documents = project / "documents"
    documents.mkdir()
    for number in range(40):
        text = "\n\n".join(f"In {1900 + number}, club {number} bought {line} bicycles. It sold {line} again." for line in range(40))
        (documents / f"document {number}.txt").write_text(text)
    killed = aiflow(project, "run", "workflows/doc_ingest.yaml", "-i", "folder=documents", AIFLOW_CRASH=f"{crash}=kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    end_server(project)

    (unfinished,) = result(aiflow(project, "runs", "--json"))
    assert unfinished["status"] in ("running", "waiting")
    before = steps_done(project, unfinished["run_id"])
    assert before, "it was killed in the middle"
    done = aiflow(project, "resume", unfinished["run_id"], "--json")
    run = result(done)
    assert (done.returncode, run["status"], run["outputs"]["documents"]) == (0, "ok", 40), done.stderr
    after = steps_done(project, unfinished["run_id"])
    assert before.items() <= after.items(), "what was recorded before the kill was not done again"
    calls = sum(path.split(".")[-1].startswith(("facts[", "summary", "vectors")) for path in after) + 1
    shown = result(aiflow(project, "show", unfinished["run_id"], "--json"))
    assert calls == sum(1 for step in shown["steps"] if step["usage"])


def steps_done(project: Path, rid: str) -> dict[str, Any]:
    """Path -> when it began, of everything that has a record."""
    shown = result(aiflow(project, "show", rid, "--json"))
    return {step["path"]: step["started_at"] for step in shown["steps"] if step["status"] == "ok" and step["finished_at"]}


def test_ctrl_c_leaves_the_run_safe_and_says_how_to_go_on(project: Path) -> None:
    (project / "workflows" / "nap.yaml").write_text("steps:\n  - wait: 1s\n  - wait: 1s\n  - set: {rested: true}\n")
    process = subprocess.Popen(
        [*AIFLOW, "run", "workflows/nap.yaml"], cwd=project, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "waiting until" in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    command = next(line for line in said.splitlines() if "aiflow resume" in line).strip().split()
    run = result(aiflow(project, *command[command.index("resume") :], "--json"))
    assert (run["status"], run["outputs"]) == ("ok", {"rested": True})


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["workflows/doc_ingest.yaml", "-i", "foldr=x"], 2, "did you mean `folder`?"),
        (["workflows/doc_ingset.yaml"], 2, "did you mean workflows/doc_ingest.yaml?"),
        (["workflows/bad.yaml"], 1, "workflows/bad.yaml:2:5: unknown key `when` [foreign-word]"),
        (["workflows/doc_ingest.yaml", "--no-offline"], 2, "OPENAI_API_KEY"),
    ],
)
def test_a_refusal_names_the_place_and_leaves_no_trace(project: Path, arguments: list[str], code: int, said: str) -> None:
    (project / "workflows" / "bad.yaml").write_text("steps:\n  - when: inputs.urgent\n    stop: now\n")
    done = aiflow(project, "run", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not (project / ".aiflow").exists()
    assert not (project / "out").exists()


def test_a_folder_of_unreadable_files_fails_and_names_the_first(project: Path) -> None:
    folder = project / "junk"
    folder.mkdir()
    (folder / "a.txt").write_bytes(os.urandom(3000))
    shutil.copy(project / "workflows" / "samples" / "damaged-scan.pdf", folder)
    done = aiflow(project, "run", "workflows/doc_ingest.yaml", "-i", "folder=junk")
    assert done.returncode == 1
    assert "docs[0].text failed: unreadable" in done.stderr
    assert "junk/a.txt" in done.stderr
