"""Events of a test: the one place where they meet the engine."""

from __future__ import annotations

from aiflow.client import Client
from aiflow.testing.files import Event


async def deliver(client: Client, event: Event) -> None:
    """Send it as `aiflow send` does: who waits for it goes on. Raises: StoreError."""
    await client.send(event.name, dict(event.data), id=event.id)
