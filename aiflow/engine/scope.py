"""What expressions see: results of earlier steps, read from the store when a step needs them and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from aiflow.language.model import join
from aiflow.plan import CompiledPlan
from aiflow.store.blobs import BlobStore
from aiflow.store.records import Record
from aiflow.store.runs import RunStore
from aiflow.values import Value, decode

PAGE = 500  # records per read: some 100 kB at a time


class Results:
    """Records of one run, by path, as far as they were needed. A lane shares one with all its items (`parent`)."""

    def __init__(self, store: RunStore, blobs: BlobStore, rid: str, parent: Results | None = None) -> None:
        self._store = store
        self._blobs = blobs
        self._rid = rid
        self._parent = parent
        self._known: dict[str, Record | None] = {}
        self._errors: dict[str, list[Value]] = {}
        self._loading: dict[str, asyncio.Future[None]] = {}

    def child(self) -> Results:
        """For one item: sees everything of the parent, keeps its own to itself."""
        return Results(self._store, self._blobs, self._rid, self)

    def put(self, path: str, record: Record, errors: list[Value] | None = None) -> None:
        """A record that was just made; for an `each` also its failures."""
        self._known[path] = record
        if errors:
            self._errors[path] = errors

    def get(self, path: str) -> Record | None:
        """The record at `path`; it must have been loaded."""
        if path in self._known:
            return self._known[path]
        return self._parent.get(path) if self._parent is not None else None

    def has(self, path: str) -> bool:
        """Whether `path` was looked up already."""
        return path in self._known or (self._parent is not None and self._parent.has(path))

    def errors(self, path: str) -> list[Value]:
        """For an `each`: {index, item, error} of the items that failed."""
        if path in self._errors:
            return self._errors[path]
        return self._parent.errors(path) if self._parent is not None else []

    async def load(self, path: str, own: str) -> None:
        """Make the record at `path` available. `own`: prefix of the frame that asks; other paths go to the parent."""
        if self.has(path):
            return
        if self._parent is not None and not (own and path.startswith(own)):
            await self._parent.load(path, "")
            return
        while (waiting := self._loading.get(path)) is not None:
            await waiting
            if self.has(path):  # it is not when the one that read was interrupted
                return
        self._loading[path] = future = asyncio.get_running_loop().create_future()
        try:
            (record,) = await self._store.records(self._rid, [path])
            if record is not None:
                await self._complete(path, record)
            self._known[path] = record
        finally:
            del self._loading[path]
            future.set_result(None)

    async def _complete(self, path: str, record: Record) -> None:
        if record.blob is not None:
            record.output = decode(await self._blobs.get(record.blob["$blob"]))
        if record.count and record.output is None:
            record.output, self._errors[path] = await self.items(path, record.count)

    async def output(self, path: str, record: Record) -> Value:
        """The output of a record that was read from the store."""
        await self._complete(path, record)
        return record.output

    async def items(self, path: str, count: int) -> tuple[list[Value], list[Value]]:
        """Outputs of all items, null for failed ones, and the failures; read page by page."""
        outputs: list[Value] = []
        errors: list[Value] = []
        for first in range(0, count, PAGE):
            numbers = range(first, min(first + PAGE, count))
            records = await self._store.records(self._rid, [f"{path}[{n}]" for n in numbers])
            for number, record in zip(numbers, records, strict=True):
                if record is None:
                    outputs.append(None)
                    continue
                if record.blob is not None:
                    record.output = decode(await self._blobs.get(record.blob["$blob"]))
                if record.count and record.output is None:
                    record.output, _ = await self.items(f"{path}[{number}]", record.count)
                outputs.append(record.output)
                if record.error is not None and record.status not in ("ok", "skipped"):
                    errors.append({"index": number, "item": record.item, "error": record.error})
        return outputs, errors


class StepsView(Mapping[str, Any]):
    """`steps` in expressions: id -> {output, status, error, errors, attempts, usage}."""

    __slots__ = ("_plan", "_prefixes", "_results")

    def __init__(self, plan: CompiledPlan, results: Results, prefixes: Mapping[int, str]) -> None:
        self._plan = plan
        self._results = results
        self._prefixes = prefixes

    def path(self, id: str) -> str | None:
        """The step's path as seen from this frame, or None when it is in a block that is not ours."""
        block, sub = self._plan.workflow.step_ids[id]
        prefix = self._prefixes.get(block)
        return None if prefix is None else join(prefix, sub)

    def __getitem__(self, id: str) -> Any:
        path = self.path(id)
        record = None if path is None else self._results.get(path)
        if record is None or path is None:
            return {"output": None, "status": "pending", "error": None, "errors": [], "attempts": 0, "usage": None}
        usage = record.usage
        return {
            "output": record.output,
            "status": record.status,
            "error": record.error,
            "errors": self._results.errors(path) if record.failed else [],
            "attempts": record.attempts,
            "usage": None if usage is None else {"tokens_in": usage[0], "tokens_out": usage[1], "cost": usage[2]},
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._plan.workflow.step_ids)

    def __len__(self) -> int:
        return len(self._plan.workflow.step_ids)
