"""The kind `shell`: data as environment, limits, and nothing left running."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from aiflow.steps import _process
from aiflow.steps._registry import kinds
from aiflow.values import File
from tests.support.steps import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def shell(bench: Bench, script: str, data: dict[str, Any] | None = None, **options: Any) -> Any:
    return await bench.output("shell", {"run": script, **options}, data)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


async def gone(pid: int) -> bool:
    for _ in range(200):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_output(bench: Bench) -> None:
    assert await shell(bench, "echo one; echo; echo two >&2") == {
        "stdout": "one\n",
        "stderr": "two\n",
        "exit_code": 0,
        "files": [],
    }
    assert (await shell(bench, "printf 'a\\xffb'"))["stdout"] == "a�b"
    assert (await shell(bench, "cat"))["stdout"] == ""
    assert (await shell(bench, "pwd"))["stdout"] == str(bench.context().run_dir)
    (bench.project / "sub").mkdir()
    assert (await shell(bench, "pwd", cwd="sub"))["stdout"] == str(bench.project / "sub")


NASTY = [
    "; touch X",
    "$(touch X)",
    "`touch X`",
    "a\ntouch X\n",
    "-rf /",
    "'\"\\",
    "*",
    "&& touch X",
    "${HOME}",
    "ü\t \u2028",
    "$'\\x41'",
]


@pytest.mark.parametrize("text", NASTY)
async def test_data_arrives_byte_for_byte_and_runs_nothing(bench: Bench, text: str) -> None:
    script = """printf %s "$data" > a; for x in "$data"; do printf %s "$x" > b; done; test "$data" = "$data"; cp -- a "c"; echo "$data" | cat > d"""
    await shell(bench, script, {"data": text})
    folder = bench.context().run_dir
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes() == text.encode()
    assert not list(bench.project.rglob("X"))


async def test_values_as_environment(bench: Bench) -> None:
    (bench.project / "a b.txt").write_text("content")
    file = File("a b.txt", "a b.txt", "txt", 7, "text/plain", "")
    data = {"n": 3, "f": 1.5, "yes": True, "no": None, "map": {"k": [1, file]}, "file": file}
    out = (await shell(bench, 'printf "%s|" "$n" "$f" "$yes" "$no" "$map"; cat "$file"', data))["stdout"]
    n, f, yes, no, as_json, content = out.split("|")
    assert (n, f, yes, no, content) == ("3", "1.5", "true", "", "content")
    assert json.loads(as_json)["k"][1]["path"] == str(bench.project / "a b.txt")


async def test_environment_is_clean(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("BASH_ENV", "/nonexistent")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lines = (await shell(bench, "env"))["stdout"].splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert seen["AIFLOW_IDEMPOTENCY_KEY"] == "01RUN:step"
    assert seen["AIFLOW_RUN_ID"] == "01RUN"
    assert seen["LC_ALL"] == "C.UTF-8"
    assert not {"OPENAI_API_KEY", "BASH_ENV", "VIRTUAL_ENV"} & seen.keys()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 3", 3, "exit code 3"),
        ("echo why >&2; false; echo on", 1, "why"),
        ("echo $missing", 1, "missing"),
        ("false | true", 1, "exit code 1"),
        ("nosuchprogram", 127, "nosuchprogram"),
        ("kill -9 $$", 137, "SIGKILL"),
    ],
)
async def test_failures(bench: Bench, script: str, code: int, words: str) -> None:
    error = await bench.error("shell", {"run": script})
    assert error.type == "shell_exit"
    assert error.data["exit_code"] == code
    assert words in error.message


async def test_expected_codes(bench: Bench) -> None:
    assert (await shell(bench, "exit 1", expect=[0, 1]))["exit_code"] == 1
    assert (await bench.error("shell", {"run": "true", "expect": [1]})).type == "shell_exit"


async def test_files_are_kept(bench: Bench) -> None:
    script = "touch b.mp3 a.mp3 c.txt; mkdir d; echo x > 'd/ü x.txt'"
    files = (await shell(bench, script, files=["*.mp3", "d/**", "a.mp3", "none/*"]))["files"]
    assert [file.name for file in files] == ["a.mp3", "b.mp3", "ü x.txt"]
    assert files[2].path == ".aiflow/runs/01RUN/d/ü x.txt"
    assert (bench.project / files[2].path).read_text() == "x\n"
    for glob in ("../*", "/etc/*", "{a"):
        assert (await bench.error("shell", {"run": "true", "files": [glob]})).type == "shell_exit"


async def test_other_interpreters_and_long_scripts(bench: Bench) -> None:
    assert (await shell(bench, "import os\nprint(os.environ['x'] * 2)", {"x": "ab"}, interpreter="python3"))["stdout"] == "abab"
    long = "#" * 200_000 + "\necho end"
    assert (await shell(bench, long))["stdout"] == "end"


@pytest.mark.parametrize(
    ("config", "data"),
    [
        ({"run": "true", "interpreter": "nosuch"}, {}),
        ({"run": "true", "cwd": "nosuch"}, {}),
        ({"run": "true", "cwd": "../.."}, {}),
        ({"run": "true", "interpreter": "'"}, {}),
        ({"run": "true"}, {"a b": 1}),
        ({"run": "true"}, {"a": "x\0y"}),
        ({"run": "true"}, {"a": "\ud800"}),
        ({"run": "true"}, {"a": "x" * 200_000}),
        ({"run": "true"}, {f"a{n}": "x" * 130_000 for n in range(40)}),
    ],
    ids=range(9),
)
async def test_what_cannot_be_started(bench: Bench, config: dict[str, Any], data: dict[str, Any]) -> None:
    error = await bench.error("shell", config, data)
    assert error.type == "shell_start"
    assert len(error.message) > 20


async def test_huge_output_is_cut(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "MOST_OUTPUT", 100_000)
    output = await shell(bench, "head -c 50000000 /dev/zero | tr '\\0' x; echo end >&2")
    assert len(output["stdout"]) == 100_000
    assert output["stderr"] == "end\n"
    assert bench.lines[0][0] == "warning"


async def test_what_is_left_behind_is_killed_and_not_waited_for(bench: Bench) -> None:
    started = time.perf_counter()
    output = await shell(bench, "sleep 60 & echo $!")
    assert await gone(int(output["stdout"]))
    assert time.perf_counter() - started < 10


async def test_cancelling_kills_the_whole_group(bench: Bench) -> None:
    pids = bench.context().run_dir / "pids"
    script = "trap '' TERM; sleep 60 & echo $! >> pids; (trap '' TERM; sleep 60 & echo $! >> pids; wait); wait"
    task = asyncio.create_task(shell(bench, f"echo $$ > pids; {script}"))
    while not pids.exists() or len(pids.read_text().split()) < 3:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in map(int, pids.read_text().split()):
        assert await gone(pid)


async def test_a_script_may_tidy_up_when_cancelled(bench: Bench) -> None:
    folder = bench.context().run_dir
    task = asyncio.create_task(shell(bench, "trap 'touch tidied; exit' TERM; touch ready; while true; do sleep 0.05; done"))
    while not (folder / "ready").exists():
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (folder / "tidied").exists()


async def test_many_at_once(bench: Bench) -> None:
    outputs = await asyncio.gather(*(shell(bench, 'echo "$n"', {"n": n}) for n in range(30)))
    assert [int(output["stdout"]) for output in outputs] == list(range(30))
    assert not [signal.Signals(number) for number in signal.sigpending()]


def test_never_repeated_by_itself() -> None:
    assert kinds()["shell"].repeatable is False
    assert kinds()["shell"].fixed == {"run", "interpreter"}
