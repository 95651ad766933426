"""What no test of a workflow ran: steps, and ways that a run may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aiflow.language.model import Step, Workflow, static_path, walk_paths
from aiflow.store.records import Record


@dataclass
class Coverage:
    """Of one workflow. Fed with the records of every run (`see`)."""

    workflow: Workflow
    _ran: set[str] = field(default_factory=set)
    _skipped: set[str] = field(default_factory=set)
    _did: set[str] = field(default_factory=set)  # ran themselves, and not their `else` instead
    _taken: set[str] = field(default_factory=set)  # were looked at: ran or were skipped

    def see(self, records: Mapping[str, Record]) -> None:
        """Take a run into account."""
        instead = {path.rpartition(".else.")[0] for path in records if ".else." in path}
        for path, record in records.items():
            static = static_path(path)
            self._taken.add(static)
            (self._skipped if record.status == "skipped" else self._ran).add(static)
            if record.status != "skipped" and path not in instead:
                self._did.add(static)

    @property
    def steps(self) -> list[str]:
        return [path for path, _ in walk_paths(self.workflow)]

    @property
    def not_run(self) -> list[str]:
        """Paths of the steps that no test ran."""
        return [path for path in self.steps if path not in self._ran]

    @property
    def percent(self) -> float:
        return 100 * (1 - len(self.not_run) / max(1, len(self.steps)))

    @property
    def not_taken(self) -> list[str]:
        """Ways that no test took, in words. Those of steps that were never reached are left out: they are in `not_run`."""
        return list(self._ways())

    def _ways(self) -> Iterator[str]:
        for path, step in walk_paths(self.workflow):
            if path not in self._taken:
                continue
            if step.if_ is not None:
                yield from self._condition(path, step)
            for name, steps in step.branches.items():
                if step.kind == "switch" and not self._entered(steps):
                    yield f"{path}: case {name}"
            if step.else_in_body and step.else_ and not self._entered(step.else_):
                yield f"{path}: else"
            for word, handlers in (("on_error", step.on_error), ("on_timeout", step.on_timeout)):
                if isinstance(handlers, list) and not self._entered(handlers):
                    yield f"{path}: {word}"
        if self.workflow.on_error and not self._entered(self.workflow.on_error):
            yield "on_error of the workflow"

    def _condition(self, path: str, step: Step) -> Iterator[str]:
        if path not in self._did:
            yield f"{path}: if true"
        if step.else_ is not None:
            if not self._entered(step.else_):
                yield f"{path}: else"
        elif path not in self._skipped:
            yield f"{path}: if false"

    def _entered(self, steps: list[Step]) -> bool:
        return any(path in self._taken for path in _paths_of(self.workflow, steps))


def _paths_of(workflow: Workflow, steps: Iterable[Step]) -> list[str]:
    wanted = {id(step) for step in steps}
    return [path for path, step in walk_paths(workflow) if id(step) in wanted]
