"""Events of a test: the one place where they meet the engine."""

from __future__ import annotations

from aiflow.errors import RunError
from aiflow.testing.files import Event


async def deliver(rid: str, event: Event) -> None:
    """Hand an event to the run. Raises: RunError: the engine of this version takes no events."""
    raise RunError(
        f"the event `{event.name}` cannot be delivered: runs do not listen to events in this version",
        "mock the step that waits for it: {takes: 6h, output: {id: e1, name: ..., data: {...}}}",
    )
