"""The work that is measured: one function a row, each gives figures by name."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiflow.language.model import Workflow
from benchmarks.harness import HERE, Bench, bench

Figures = dict[str, float]
NOOP = "python: bench_steps:noop"


@dataclass(frozen=True)
class Case:
    """A row of the table. `aims`: figure -> (the number to reach, whether less is better)."""

    name: str
    what: str
    aims: dict[str, tuple[float, bool]]
    run: Callable[[str], Awaitable[Figures]]


async def steps(durability: str) -> Figures:
    """500 runs of 10 checkpointed steps."""
    async with bench(durability) as system:
        workflow = system.workflow("steps", "steps:\n" + f"  - {NOOP}\n" * 10)
        await system.timed(workflow, 20)
        return {"steps/s": 5000 / min([await system.timed(workflow, 500) for _ in range(2)])}


async def items(durability: str) -> Figures:
    """20 runs that fan out to 200 items."""
    async with bench(durability) as system:
        workflow = _fan(system, "items", 200)
        await system.timed(workflow, 2)
        return {"items/s": 4000 / min([await system.timed(workflow, 20) for _ in range(2)])}


async def wide(durability: str) -> Figures:
    """One run that fans out to 10,000 items, one to 100,000."""
    async with bench(durability) as system:
        small, large = _fan(system, "wide", 10_000), _fan(system, "wider", 100_000)
        await system.timed(_fan(system, "warm", 200), 2)
        return {
            "items/s of 10,000": 10_000 / await system.timed(small, 1),
            "items/s of 100,000": 100_000 / await system.timed(large, 1),
        }


async def long(durability: str) -> Figures:
    """One run of 1,000 sequential steps, one of 5,000."""
    async with bench(durability) as system:
        figures: Figures = {}
        for count in (1000, 5000):
            workflow = system.workflow(f"long{count}", "steps:\n" + f"  - {NOOP}\n" * count)
            await system.timed(workflow, 1)
            figures[f"us/step of {count:,}"] = await system.timed(workflow, 1) / count * 1e6
        return figures


async def latency(durability: str) -> Figures:
    """Idle system: from the call that starts a run to the beginning of its first step."""
    async with bench(durability) as system:
        workflow = system.workflow("latency", "steps:\n  - python: bench_steps:stamp\n")
        late = []
        for number in range(220):
            await asyncio.sleep(0.02)
            began = time.time()
            (rid,) = await system.start(workflow, 1)
            await system.finished()
            info = await system.app.inspector.run(rid)
            assert info is not None
            if number >= 20:
                late.append((info.outputs - began) * 1000)
        late.sort()
        return {"p50 ms": statistics.median(late), "p99 ms": late[int(len(late) * 0.99)]}


async def http(durability: str) -> Figures:
    """One fan-out of 1,000 HTTP calls that answer after 1 s."""
    async with _server() as url, bench(durability) as system:
        text = (
            "inputs: {n: integer}\nsteps:\n  - each: range(inputs.n)\n    concurrency: 1000\n"
            f"    http: {url}/\noutputs: {{}}\n"
        )
        workflow = system.workflow("calls", text)
        await system.timed(workflow, 1, n=4)
        return {"seconds": await system.timed(workflow, 1, n=1000), "MB in all workers": system.memory_mb()}


async def llm(durability: str) -> Figures:
    """One fan-out of 1,000 model calls through litellm that answer after 1 s."""
    async with _server() as base:
        url = f"{base}/v1"
        environment = {"OPENAI_API_KEY": "sk-benchmark", "OPENAI_BASE_URL": url, "OPENAI_API_BASE": url}
        async with bench(durability, **environment) as system:
            text = (
                "inputs: {n: integer}\nsteps:\n  - each: range(inputs.n)\n    concurrency: 1000\n"
                "    llm: {text: 'Say a word about {{ item }}.', model: openai/gpt-4o-mini}\noutputs: {}\n"
            )
            workflow = system.workflow("models", text)
            await system.timed(workflow, 1, n=400)  # every worker has imported litellm then
            await system.timed(workflow, 1, n=400)
            before = system.cpu_s()
            took = await system.timed(workflow, 1, n=1000)
            return {
                "seconds": took, "ms CPU a call": (system.cpu_s() - before), "MB in all workers": system.memory_mb(),
            }  # fmt: skip


async def parked(durability: str) -> Figures:
    """10,000 runs started and parked in a wait."""
    async with bench(durability) as system:
        workflow = system.workflow("parked", "steps:\n  - wait: 1h\n")
        reader, keys = system.app.reader, system.app.keys
        used = (await reader.info("memory"))["used_memory"]
        began = time.perf_counter()
        await system.start(workflow, 10_000)
        while await reader.zcard(keys.named("timers")) < 10_000:
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        return {"seconds": took, "bytes a run": ((await reader.info("memory"))["used_memory"] - used) / 10_000}


async def takeover(durability: str) -> Figures:
    """A worker is killed with -9 in a step: until another one runs that step."""
    return {
        "s on the same host": await _takeover(durability, {}),
        "s on another host (lease 10 s)": await _takeover(durability, {"AIFLOW_BENCH_HOST": "elsewhere"}),
    }


async def _takeover(durability: str, first: dict[str, str]) -> float:
    async with bench(durability, workers=0) as system:
        marker = system.root / "began"
        text = f"steps:\n  - python: bench_steps:hold\n    with: {{marker: '{marker}'}}\n"
        workflow = system.workflow("held", text)
        victim = await system.start_worker(**first)
        await system.start(workflow, 1)
        while not marker.exists():
            await asyncio.sleep(0.01)
        await system.start_worker()
        await asyncio.sleep(0.5)
        killed = time.time()
        victim.send_signal(signal.SIGKILL)
        while len(lines := marker.read_text().splitlines()) < 2:
            await asyncio.sleep(0.01)
        return float(lines[1]) - killed


async def command_line(durability: str) -> Figures:
    """Commands from cold: help, validation of 1,000 steps, a hello workflow with the embedded store."""
    async with bench(durability, workers=0) as system:
        steps = "".join(f"  - id: s{n}\n    set: {{n: '{{{{ {n} + 1 }}}}'}}\n" for n in range(1000))
        (system.root / "workflows" / "many.yaml").write_text("steps:\n" + steps)
    root = Path(f"/tmp/aiflow-bench-cold.{os.getpid()}")
    (root / "workflows").mkdir(parents=True)
    (root / "workflows" / "many.yaml").write_text("steps:\n" + steps)
    (root / "workflows" / "hello.yaml").write_text("steps:\n  - set: {greeting: hello}\n  - shell: echo hello\n")
    try:
        return {
            "ms aiflow --help": _median(["--help"], root) * 1000,
            "s validate 1,000 steps": _median(["validate", "workflows/many.yaml"], root),
            "s hello from cold": _median(["run", "workflows/hello.yaml"], root, cold=True),
        }
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=False)


async def validate(durability: str) -> Figures:
    """`aiflow validate` from cold: one file of 50, 1,000 and 5,000 steps, and 200 files of 50. CPU time, and ratios of it."""
    root = Path(f"/tmp/aiflow-bench-validate.{os.getpid()}")
    (root / "workflows").mkdir(parents=True)
    for number in range(200):
        (root / "workflows" / f"w{number}.yaml").write_text(_various(50, number * 50))
    for count in (50, 100, 1000):
        (root / f"various{count}.yaml").write_text(_various(count, 0))
    short = "".join(f"  - {{id: s{n}, set: {{n: '{{{{ {n} + 1 }}}}'}}}}\n" for n in range(5000))
    (root / "short5000.yaml").write_text("steps:\n" + short)
    try:
        fifty, hundred = _cpu(["validate", "various50.yaml"], root), _cpu(["validate", "various100.yaml"], root)
        thousand, many = _cpu(["validate", "various1000.yaml"], root), _cpu(["validate"], root)
        return {
            "ms 50 steps": fifty * 1000,
            "ms 100 steps": hundred * 1000,
            "us/step of 1,000": (thousand - fifty) / 950 * 1e6,
            "s 5,000 short steps": _cpu(["validate", "short5000.yaml"], root),
            "s 200 files of 50 steps": many,
            "a step in many files / in one": (many - fifty) / 9950 / ((thousand - fifty) / 950),
        }
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=False)


_STEPS = (
    "- id: s{n}\n    set: {{v: '{{{{ inputs.n + {m} }}}}', t: text {m}}}",
    "- id: s{n}\n    llm: {{text: '{{{{ steps.s{p}.output.v }}}}, {m}', model: a/b, schema: {{a: string, b: integer}}}}",
    "- id: s{n}\n    http: 'https://a.example/{m}/{{{{ steps.s{p}.output.b }}}}'\n    output: {{v: '{{{{ result.body.v }}}}'}}",
    "- id: s{n}\n    each: [1, 2, {m}]\n    as: thing\n    set: {{v: '{{{{ thing + {m} }}}}'}}",
    "- if: steps.s{p}.output | length > {m}\n    emit: x.y\n    with: {{n: '{{{{ steps.s{p}.output[0].v }}}}'}}",
    "- id: s{n}\n    switch: inputs.kind\n    cases:\n      a: [{{set: {{v: {m}}}}}]\n      b: [{{set: {{v: 2}}}}]",
    "- id: s{n}\n    parallel:\n      left: [{{set: {{v: '{{{{ steps.s{p}.output.v + {m} }}}}'}}}}]\n      right: [{{wait: 1s}}]",
    "- id: s{n}\n    shell: grep \"$word\" notes{m}.txt\n    with: {{word: '{{{{ steps.s{p}.output.left.v }}}}'}}",
    "- id: s{n}\n    email: {{to: a@b.example, subject: Hi, text: '{{{{ steps.s{p}.output.stdout }}}} {m}'}}",
    "- assert: steps.s{p}.output.message_id != 'x{m}'",
)


def _various(count: int, first: int) -> str:
    """Steps of all sorts, each of which uses the one before; no two texts are alike from one `first` to the next."""
    steps = "\n".join("  " + _STEPS[n % 10].format(n=n, p=n - 1, m=first + n) for n in range(count))
    return f"inputs: {{n: integer, kind(enum): [a, b]}}\nsteps:\n{steps}\n"


def _cpu(arguments: list[str], root: Path) -> float:
    """Seconds of CPU of a command, the least of five: other processes of the machine slow it down, nothing speeds it up."""
    command = [str(Path(sys.executable).parent / "aiflow"), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    took = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took[1:])


def _median(arguments: list[str], root: Path, cold: bool = False) -> float:
    took = []
    command = [str(Path(sys.executable).parent / "aiflow"), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(6):
        if cold:
            subprocess.run(["rm", "-rf", str(root / ".aiflow")], check=True)
        began = time.perf_counter()
        subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def _fan(system: Bench, name: str, count: int) -> Workflow:
    text = f"steps:\n  - each: range({count})\n    concurrency: 200\n    {NOOP}\noutputs: {{}}\n"
    return system.workflow(name, text)


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """A stub server in a process of its own that answers after one second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.slow_server", "--port", str(port), "--latency", "1.0"], cwd=HERE.parent,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(500):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


CASES = [
    Case("steps", "500 runs of 10 checkpointed no-op steps", {"steps/s": (6000, False)}, steps),
    Case("items", "20 runs fanning out to 200 no-op items", {"items/s": (9000, False)}, items),
    Case("wide", "one run fanning out to 10,000 and to 100,000 items",
         {"items/s of 10,000": (8000, False), "items/s of 100,000": (8000, False)}, wide),
    Case("long", "one run of 1,000 and of 5,000 sequential steps",
         {"us/step of 1,000": (350, True), "us/step of 5,000": (350, True)}, long),
    Case("latency", "idle system, start of a run until its first step begins",
         {"p50 ms": (3, True), "p99 ms": (20, True)}, latency),
    Case("http", "one fan-out of 1,000 http calls that answer after 1 s",
         {"seconds": (2.0, True), "MB in all workers": (250, True)}, http),
    Case("llm", "the same by llm, through litellm", {"seconds": (4.5, True)}, llm),
    Case("parked", "10,000 runs started and parked in a wait", {"seconds": (5, True), "bytes a run": (1024, True)}, parked),
    Case("takeover", "worker killed with -9, another standing by",
         {"s on the same host": (1, True), "s on another host (lease 10 s)": (11, True)}, takeover),
    Case("validate", "aiflow validate from cold",
         {"ms 50 steps": (250, True), "us/step of 1,000": (700, True), "s 5,000 short steps": (3.5, True),
          "s 200 files of 50 steps": (5, True)}, validate),
    Case("cli", "the command line from cold",
         {"ms aiflow --help": (150, True), "s validate 1,000 steps": (1, True), "s hello from cold": (2, True)}, command_line),
]  # fmt: skip
