"""What one may do: start a run, cancel it, continue it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from aiflow.engine.gates import gate_of
from aiflow.errors import ExpressionError, InputError, RunError
from aiflow.ids import new_run_id
from aiflow.language.match import listens
from aiflow.language.model import Workflow, with_called
from aiflow.plan import encode_plan
from aiflow.sealing import seal_inputs
from aiflow.settings import Settings
from aiflow.store.blobs import BlobStore
from aiflow.store.events import Event, EventStore
from aiflow.store.runs import Gate, NewRun, RunStore
from aiflow.values import Value, encode

_ENV_NAME = re.compile(r"\benv\.([A-Za-z_][A-Za-z0-9_]*)")


class Client:
    """The verbs of DSL 3.18. Every one is a single atomic step in the store."""

    def __init__(self, store: RunStore, events: EventStore, settings: Settings, blobs: BlobStore) -> None:
        self._store = store
        self._events = events
        self._settings = settings
        self._blobs = blobs
        self._encoded: tuple[Workflow, str, bytes] | None = None

    async def start(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Value],
        *,
        run_id: str | None = None,
        max_cost: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a run and return its id. The same `run_id` again starts nothing.

        Args:
            inputs: converted already (language.inputs).
            max_cost: dollars; the run fails rather than spend more, besides the workflow's own `budget`.
            meta: facts for the record, e.g. {"offline": true}.
        A run that its `concurrency` turns away has ended when this returns: `skipped` or `failed`.
        Raises: StoreError: the store does not take the run, and nothing was left behind (or the error says that nobody knows).
                InputError: no `concurrency.key`.
                ConfigError: an input is secret, and there is no key to seal it with.
        """
        if self._encoded is None or self._encoded[0] is not workflow:
            self._encoded = (workflow, *encode_plan(workflow))
        _, version, plan = self._encoded
        facts = dict(meta or {})
        if max_cost is not None:
            facts["max_cost"] = max_cost
        stored, sealed = seal_inputs(workflow.inputs, inputs, self._settings)
        if sealed:
            facts["sealed"] = sealed
        names = set().union(*(_names(one.source) for one in with_called(workflow)))
        env = {name: self._settings.env[name] for name in names if name in self._settings.env}
        rid = run_id or new_run_id()
        for one in with_called(workflow):
            if waits := listens(one):
                await self._events.register(waits)
        new = NewRun(
            rid, workflow.name, version, encode(stored), encode(facts) if facts else b"",
            msgspec.json.encode(env) if env else b"", plan, self._gate(workflow, inputs, facts), self._settings.retention_ms,
            bool(workflow.finally_),
        )  # fmt: skip
        await self._store.start(new)
        return rid

    async def send(self, name: str, data: Value, *, id: str | None = None, time: str | None = None) -> tuple[Event, bool]:
        """Send an event; (the event, whether it is new). One with an `id` that was seen before changes nothing.

        Raises: StoreError: it was not accepted.
        """
        return await self._events.accept(id or new_run_id(), name, data, time)
    def _gate(self, workflow: Workflow, inputs: Mapping[str, Value], facts: Mapping[str, Any]) -> Gate:
        try:
            return gate_of(workflow, inputs, facts.get("event"), self._settings.limits)
        except ExpressionError as error:
            raise InputError(f"`concurrency.key` of {workflow.name} cannot be evaluated: {error.message}", error.hint) from None

    async def cancel(self, rid: str, reason: str = "cancelled by hand") -> None:
        """End a run, wherever it is. With a `finally` it ends when that is done; cancelled once more, at once.

        Raises: RunError: it is missing or has ended.
        """
        await self._store.cancel(rid, reason, self._settings.retention_ms)

    async def retry(self, rid: str) -> None:
        """Continue a failed or cancelled run at the step where it stopped. Raises RunError otherwise."""
        await self._store.retry(rid)

    async def use_profile(self, rid: str, profile: str) -> None:
        """Go on with the models of another profile, from the next claim on."""
        await self._store.note(rid, profile=profile, offline=profile == "offline")

    async def settle(self, rid: str, path: str, *, done: bool, output: Value = None) -> None:
        """Decide on a step whose outcome is unknown, and continue its run.

        Args: done: the step took effect, with `output` as its result; else it is done again.
        Raises: RunError: the run has not stopped at such a step.
        """
        (record,) = await self._store.records(rid, [path])
        if record is None or record.status != "outcome_unknown":
            status = "has no record" if record is None else f"is {record.status}"
            raise RunError(f"step {path} of run {rid} {status}; only an unknown outcome can be settled")
        if done:
            await self._store.settle(rid, path, output)
        await self._store.retry(rid)


def _names(source: str) -> set[str]:
    return set(_ENV_NAME.findall(source))
