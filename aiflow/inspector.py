"""What one may see: runs, their steps, their journal and progress. Reads only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiflow.errors import RunError
from aiflow.language.model import Step, Workflow, static_path, walk_paths
from aiflow.plan import BRANCHES
from aiflow.reasons import reason
from aiflow.settings import Settings
from aiflow.store.blobs import BlobStore
from aiflow.store.keys import Keys, member
from aiflow.store.places import line, split_token
from aiflow.store.records import Record, decode_record
from aiflow.store.scripts import scripts
from aiflow.values import Value, decode, plain

SPLIT = f".{BRANCHES}"
PAGE = 500
LINE = 1_000  # of those that wait at a limit, so many are looked at
OPEN = ("queued", "running", "waiting")
_RUN_FIELDS = ("st", "wf", "v", "in", "out", "err", "t0", "t1", "t2", "cost", "tin", "tout", "calls", "meta", "g")


@dataclass(frozen=True)
class RunInfo:
    """One run. Times in ms UTC, None when not reached. `error`: {type, message, step, data, attempts, at ...} or None.

    `usage`: {tokens_in, tokens_out, cost, calls}.  `meta`: what the starter said, e.g. {"offline": True}.
    """

    run_id: str
    workflow: str
    version: str
    status: str
    inputs: dict[str, Value]
    outputs: Value
    error: dict[str, Any] | None
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    usage: dict[str, Any]
    meta: dict[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended."""
        return self.status in OPEN


@dataclass(frozen=True)
class StepInfo:
    """One step of one run, or one item of an `each` (path `docs[3]`). `count`, `failed`: for an `each`."""

    path: str
    kind: str
    status: str
    attempts: int
    started_ms: int
    finished_ms: int
    output: Value
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    meta: dict[str, Any]
    count: int | None = None
    failed: int = 0


@dataclass
class Progress:
    """One line of the live view: a step of the workflow's own list, or a fan-out inside one (`depth` 1 and more).

    status: pending, running, waiting, ok, failed, skipped, timed_out.  total, done, failed, running: of items, for an `each`.
    note: the run that it called, or "cached" for a result that was reused.
    """

    path: str
    label: str
    kind: str
    depth: int
    status: str
    total: int | None = None
    done: int = 0
    failed: int = 0
    running: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None
    note: str = ""


@dataclass
class RunProgress:
    """A run at a glance."""

    run: RunInfo
    steps: list[Progress] = field(default_factory=list)


class Inspector:
    """Answers questions from the store. Everything is paged; nothing here is on a worker's way."""

    def __init__(self, reader: Any, keys: Keys, settings: Settings, blobs: BlobStore) -> None:
        self._reader = reader
        self._keys = keys
        self._settings = settings
        self._blobs = blobs
        self._plans: dict[str, Workflow] = {}

    async def runs(
        self,
        *,
        workflow: str | None = None,
        status: str | None = None,
        since_ms: int | None = None,
        limit: int = 50,
    ) -> list[RunInfo]:
        """Runs, newest first. `since_ms`: started at or after this moment."""
        found: list[RunInfo] = []
        first = 0
        low = "-inf" if since_ms is None else str(since_ms)
        while len(found) < limit:
            rids = await self._reader.zrange(
                self._keys.named("runs"), "+inf", low, desc=True, byscore=True, offset=first, num=PAGE
            )
            if not rids:
                break
            first += len(rids)
            async with self._reader.pipeline(transaction=False) as pipe:
                for rid in rids:
                    pipe.hmget(self._keys.run(rid.decode()), *_RUN_FIELDS)
                rows = await pipe.execute()
            for rid, row in zip(rids, rows, strict=True):
                info = await self._info(rid.decode(), row)
                if info and (workflow in (None, info.workflow)) and (status in (None, info.status)):
                    found.append(info)
        return found[:limit]

    async def find(self, text: str) -> RunInfo:
        """The run with this id, or the only one whose id begins or ends so; `last`: the newest. Raises RunError."""
        newest = await self.runs(limit=1) if text == "last" else []
        info = newest[0] if newest else await self.run(text.upper())
        if info is not None:
            return info
        rids = [rid.decode() for rid in await self._reader.zrange(self._keys.named("runs"), 0, 5000, desc=True)]
        matching = [rid for rid in rids if rid.startswith(text.upper()) or rid.endswith(text.upper())]
        if len(matching) == 1:
            info = await self.run(matching[0])
        if info is not None:
            return info
        if matching:
            raise RunError(f"{len(matching)} runs match {text}", "give more of the id: aiflow runs")
        raise RunError(f"there is no run {text}", "list them with: aiflow runs")

    async def run(self, rid: str) -> RunInfo | None:
        """One run, or None."""
        return await self._info(rid, await self._reader.hmget(self._keys.run(rid), *_RUN_FIELDS))

    async def status(self, rid: str) -> str | None:
        """Only its status: cheap enough to ask many times a second."""
        raw = await self._reader.hget(self._keys.run(rid), "st")
        return raw.decode() if raw else None

    async def workflow(self, version: str) -> Workflow:
        """The plan of a version, as loaded. Raises RunError when it is gone."""
        if version not in self._plans:
            raw = await self._reader.get(self._keys.plan(version))
            if raw is None:
                raise RunError(f"the plan {version} is not in the store any more")
            self._plans[version] = msgspec.json.decode(raw, type=Workflow)
        return self._plans[version]

    async def steps(self, rid: str, prefix: str = "", only: list[str] | None = None) -> AsyncIterator[StepInfo]:
        """Recorded steps in the order of the file, items in their order.

        Args: prefix: keeps those at or below a path.  only: these paths, without looking at the others.
        """
        info = await self.run(rid)
        if info is None:
            raise RunError(f"there is no run {rid}", "list them with: aiflow runs")
        kinds = {path: (place, step) for place, (path, step) in enumerate(walk_paths(await self.workflow(info.version)))}
        paths = list(only or [])
        if only is None:
            async for raw in self._reader.hscan_iter(self._keys.results(rid), count=PAGE, no_values=True):
                path = raw.decode()
                if not prefix or path == prefix or path.startswith((prefix + ".", prefix + "[")):
                    paths.append(path)
        places = _with_branches(kinds)
        paths.sort(key=lambda path: _order(path, places))
        for first in range(0, len(paths), PAGE):
            part = paths[first : first + PAGE]
            for path, raw in zip(part, await self._reader.hmget(self._keys.results(rid), part), strict=True):
                if raw is not None:
                    yield await self._step(path, decode_record(raw), kinds.get(static_path(path)))

    async def step_output(self, rid: str, path: str) -> Value:
        """A step's output in full, items of an `each` included. Raises RunError when it has not run."""
        raw = await self._reader.hget(self._keys.results(rid), path)
        if raw is None:
            raise RunError(f"step {path} of run {rid} has no result", f"see what has: aiflow show {rid}")
        return await self._output(rid, path, decode_record(raw))

    async def records(self, rid: str, paths: list[str] | None = None) -> AsyncIterator[tuple[str, Record]]:
        """Raw records, outputs in the blob store left there: those of `paths`, or all in no order."""
        if paths is None:
            async for raw, record in self._reader.hscan_iter(self._keys.results(rid), count=PAGE):
                yield raw.decode(), decode_record(record)
            return
        for first in range(0, len(paths), PAGE):
            part = paths[first : first + PAGE]
            for path, raw in zip(part, await self._reader.hmget(self._keys.results(rid), part), strict=True):
                if raw is not None:
                    yield path, decode_record(raw)

    async def recorded(self, rid: str) -> int:
        """How many records a run has."""
        return int(await self._reader.hlen(self._keys.results(rid)))

    async def open_runs(self, most: int = 50) -> list[str]:
        """Ids of unfinished runs, newest first."""
        rids = await self._reader.zrange(self._keys.named("open"), 0, most - 1, desc=True)
        return [rid.decode() for rid in rids]

    async def workers(self) -> int:
        """How many worker processes hold a lease now."""
        now_s, _ = await self._reader.time()
        return int(await self._reader.zcount(self._keys.named("workers"), now_s * 1000, "+inf"))

    async def due(self, rid: str) -> int | None:
        """When a run that waits goes on by itself (ms UTC), or None."""
        score = await self._reader.zscore(self._keys.named("timers"), member(rid, ""))
        return None if score is None else int(score)

    async def places(self, rid: str) -> list[tuple[str, str]]:
        """(step path, limit) of the steps of a run that wait for a place (`at_once`), as far as the front of the lines shows."""
        found = []
        for name in (name for name, said in self._settings.limits.items() if "at_once" in said):
            tokens = await line(self._reader, self._keys, name, LINE)
            found += [(path, name) for whose, path in map(split_token, tokens) if whose == rid]
        return found

    async def only_waits(self, rid: str) -> bool:
        """Whether nothing but waits is left of a run, those that it called included."""
        return bool(await self._reader.eval(scripts()["only_waits"].text, 1, self._keys.ns, rid))

    async def waits_for(self, info: RunInfo) -> str | None:
        """What an unfinished run waits for besides a moment: its gate, its turn, a run that it called; or None."""
        return await reason(self._reader, self._keys, info)

    async def journal(self, rid: str, after: int = 0) -> list[dict[str, Any]]:
        """Journal entries from number `after` on: {"at": ms, "event": …, …}."""
        return [json.loads(raw) for raw in await self._reader.lrange(self._keys.log(rid), after, -1)]

    async def progress(self, rid: str) -> RunProgress | None:
        """What the live view shows."""
        seen = await self.run(rid)
        if seen is None:
            return None
        workflow = await self.workflow(seen.version)
        top = [(step.sub, step) for step in workflow.steps]
        async with self._reader.pipeline(transaction=True) as pipe:  # one moment: else a run that ends just now seems to go on
            pipe.hmget(self._keys.run(rid), *_RUN_FIELDS)
            pipe.hmget(self._keys.run(rid), "c", "k")
            pipe.hmget(self._keys.results(rid), [path for path, _ in top])
            row, (cursor, called), raws = await pipe.execute()
        info = await self._info(rid, row) or seen
        position: dict[str, Any] = msgspec.json.decode(cursor) if cursor else {"l": "steps", "s": [[0]]}
        current = position["s"][0][0] if position["l"] == "steps" and position["s"] else len(top)
        found = await self._fans(rid)
        splits = {path[: -len(SPLIT)] for path in found if path.endswith(SPLIT)}
        fans = {path.removesuffix(SPLIT): counts for path, counts in found.items()}
        lines: list[Progress] = []
        for place, ((path, step), raw) in enumerate(zip(top, raws, strict=True)):
            line = Progress(path, step.id or step.label, step.kind, 0, "pending")
            if raw is not None:
                record = decode_record(raw)
                line.status, line.total, line.failed = record.status, record.count, record.failed
                line.done = record.count or 0
                line.started_ms, line.finished_ms = record.started, record.finished
                line.note = "cached" if (record.meta or {}).get("cached") else ""
            elif info.is_open and place >= current and not any(one.status == "running" for one in lines):
                line.status = "running"
                line.note = f"run {called.decode()}" if called else ""
            lines.append(line)
            lines += self._inside(path, line, fans, splits)
        return RunProgress(info, lines)

    def _inside(self, path: str, line: Progress, fans: dict[str, list[int]], splits: set[str]) -> list[Progress]:
        inner: list[Progress] = []
        for where, counts in fans.items():
            if where == path:
                line.total, line.done, line.failed, line.running = counts[0], counts[1], counts[2], counts[3]
            elif where.startswith(path + ".") and line.status == "running":
                name = where[len(path) + 1 :]
                kind, depth = "parallel" if where in splits else "each", where.count(".") - path.count(".")
                one = Progress(where, name, kind, depth, "running")
                one.total, one.done, one.failed, one.running = counts[0], counts[1], counts[2], counts[3]
                inner.append(one)
        return inner

    async def _fans(self, rid: str) -> dict[str, list[int]]:
        """[total, done, failed, running] of the fan-outs that are open now, summed over items, by path without indexes."""
        mark = f"{self._keys.run(rid)}:e:"
        names = [raw.decode() for raw in await self._reader.smembers(self._keys.run(rid) + ":keys")]
        names = [name for name in names if name.startswith(mark) and not name.endswith((":idle", ":again"))]
        sums: dict[str, list[int]] = {}
        async with self._reader.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(name, "n", "k", "b", "r")
            for name, row in zip(names, await pipe.execute() if names else [], strict=True):
                total = sums.setdefault(static_path(name[len(mark) :]), [0, 0, 0, 0])
                for place, value in enumerate(row):
                    total[place] += int(value or 0)
        return dict(sorted(sums.items()))

    async def _info(self, rid: str, row: list[bytes | None]) -> RunInfo | None:
        st, wf, v, given, out, err, t0, t1, t2, cost, tin, tout, calls, meta, _ = row
        if st is None or wf is None or v is None:
            return None
        outputs = decode(out) if out else None
        if out and out.startswith(b'{"$blob":'):  # a user's own key would be written `$$blob`
            outputs = decode(await self._blobs.get(msgspec.json.decode(out)["$blob"]["$blob"]))
        return RunInfo(
            run_id=rid,
            workflow=wf.decode(),
            version=v.decode(),
            status=st.decode(),
            inputs=decode(given or b"{}"),
            outputs=plain(outputs),
            error=msgspec.json.decode(err) if err else None,
            created_ms=int(t0 or 0),
            started_ms=int(t1) if t1 else None,
            finished_ms=int(t2) if t2 else None,
            usage={
                "tokens_in": int(tin or 0), "tokens_out": int(tout or 0),
                "cost": round(float(cost or 0), 6), "calls": int(calls or 0),
            },
            meta=msgspec.json.decode(meta) if meta else {},
        )  # fmt: skip

    async def _step(self, path: str, record: Record, place: tuple[int, Step] | None) -> StepInfo:
        usage = record.usage
        output = record.output
        if record.blob is not None:
            output = decode(await self._blobs.get(record.blob["$blob"]))
        return StepInfo(
            path=path,
            kind=place[1].kind if place else "branch",
            status=record.status,
            attempts=record.attempts,
            started_ms=record.started,
            finished_ms=record.finished,
            output=plain(output),
            error=record.error,
            usage=None if usage is None else {"tokens_in": usage[0], "tokens_out": usage[1], "cost": usage[2]},
            meta=record.meta or {},
            count=record.count,
            failed=record.failed,
        )

    async def _output(self, rid: str, path: str, record: Record) -> Value:
        if record.blob is not None:
            return plain(decode(await self._blobs.get(record.blob["$blob"])))
        if not record.count or record.output is not None:
            return plain(record.output)
        outputs: list[Value] = []
        for first in range(0, record.count, PAGE):
            names = [f"{path}[{n}]" for n in range(first, min(first + PAGE, record.count))]
            for name, raw in zip(names, await self._reader.hmget(self._keys.results(rid), names), strict=True):
                outputs.append(None if raw is None else await self._output(rid, name, decode_record(raw)))
        return outputs


def _with_branches(kinds: dict[str, tuple[int, Step]]) -> dict[str, int]:
    """The places of steps in the file, and of the branches around them."""
    places: dict[str, int] = {}
    for path, (place, _) in kinds.items():
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            places.setdefault(".".join(parts[:end]), place)
    return places


def _order(path: str, places: dict[str, int]) -> tuple[Any, ...]:
    """Items of one fan-out together and in order, steps in the order of the file."""
    parts: list[tuple[int, int]] = []
    whole = ""
    for part in path.split("."):
        name, _, index = part.partition("[")
        whole = f"{whole}.{name}" if whole else name
        parts.append((places.get(static_path(whole), 1 << 30), int(index.rstrip("]").partition("]")[0]) if index else -1))
    return tuple(parts)
