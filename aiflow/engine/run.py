"""What all frames of one run share in this process: inputs, environment, budget, secrets."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from aiflow.clock import rfc3339
from aiflow.errors import ConfigError, StepError
from aiflow.masking import Masker
from aiflow.plan import CompiledPlan
from aiflow.sealing import open_inputs
from aiflow.store.runs import Claim
from aiflow.values import Value, decode

if TYPE_CHECKING:
    from aiflow.engine.host import Host


class RunContext:
    """What all frames of one run share in this process while one of them is claimed.

    Args: masker: learns the secrets of the run.  Raises: ConfigError: its secret inputs cannot be opened.
    """

    def __init__(self, host: Host, plan: CompiledPlan, claim: Claim, masker: Masker) -> None:
        self.host = host
        self.plan = plan
        self.claim = claim
        self.rid = claim.rid
        self.generation = claim.generation
        self.created_ms = claim.created_ms
        self.timed_ms = claim.timed_ms
        self.unwritten = 0.0  # dollars that model calls of this process cost since the last checkpoint of their frame
        self.inputs: dict[str, Value] = decode(claim.inputs)
        self.env: dict[str, str] = decode(claim.environment) if claim.environment else {}
        self.meta: dict[str, Any] = decode(claim.meta) if claim.meta else {}
        profile, offline = self.meta.get("profile"), bool(self.meta.get("offline"))
        self.services = replace(host.services, gateway=lambda: host.services.gateway(profile, offline))
        self.settled: dict[str, Value] = self.meta.get("settled", {})
        self.run_dir = host.settings.state_dir / "runs" / claim.rid
        self.masker = masker
        for name, value in open_inputs(self.meta.pop("sealed", {}), host.settings).items():
            self.inputs[name] = value
            masker.add(value)
        for name in _secret_names(plan.workflow.source):  # a step may print one that another step was given
            try:
                masker.add(host.secret(name) or "")
            except ConfigError:
                pass  # the step that needs it says so
        self.view: dict[str, Any] = {
            "id": claim.rid,
            "url": self.meta.get("url", ""),
            "dir": str(self.run_dir),
            "started_at": rfc3339(claim.begun_ms),
            "status": "running",
            "event": self.meta.get("event"),
            "workflow": plan.workflow.name,
            "version": plan.version,
        }

    @cached_property
    def budgets(self) -> list[tuple[str, float]]:
        """Dollars that this run, and each of those that wait for it, may cost: (run id, limit), where there is a limit."""
        own = [limit for limit in (self.plan.workflow.budget, self.meta.get("max_cost")) if limit is not None]
        return [*((rid, limit) for rid, limit in self.meta.get("budgets", ())), *([(self.rid, min(own))] if own else [])]

    async def budget_left(self) -> float | None:
        """Dollars left under the tightest of these budgets, or None without one. Asks the store: others spend, too."""
        if not self.budgets:
            return None
        limits = [limit for _, limit in self.budgets]
        if self.meta.get("offline"):
            return min(limits)  # costs nothing
        spent = await self.host.store.spent([rid for rid, _ in self.budgets])
        return min(limit - cost for limit, cost in zip(limits, spent, strict=True)) - self.unwritten

    def secret(self, name: str) -> str:
        """A secret's value; masked from now on wherever it would be written."""
        value = self.host.secret(name)
        if value is None:
            raise StepError("secret", f"the secret {name} is not set", hint=f"set the environment variable {name}")
        self.masker.add(value)
        return value


@lru_cache(64)
def _secret_names(source: str) -> tuple[str, ...]:
    return tuple(sorted(set(re.findall(r"\bsecrets\.([A-Za-z_][A-Za-z0-9_]*)", source))))


class Secrets(dict[str, str]):
    """`secrets` in expressions: looked up when used."""

    def __init__(self, run: RunContext) -> None:
        super().__init__()
        self._run = run

    def __missing__(self, name: str) -> str:
        return self._run.secret(name)

    def __contains__(self, name: object) -> bool:
        return True
