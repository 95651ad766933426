"""`aiflow send` and `aiflow events`: what happens outside, told to runs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._errors import say
from aiflow.cli._options import json_option, out, out_json, project_option, project_settings, store_is_empty
from aiflow.cli._text import as_json, clean, moment, one_line, pad, width_of

if TYPE_CHECKING:
    from aiflow.settings import Settings
    from aiflow.store.events import Event


class Data(click.ParamType[Any]):
    """A JSON object, or `@file` with one."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            if value.startswith("@"):
                with open(value[1:], encoding="utf-8") as file:
                    value = file.read()
            found = json.loads(value)
        except OSError as error:
            self.fail(f"{value[1:]} cannot be read: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(f'no JSON: {error}; write for example: -d \'{{"user_id": "u1"}}\'', param, ctx)
        if not isinstance(found, dict):
            self.fail(f"the data of an event is a map, this is {as_json(found)}", param, ctx)
        return found


@click.command(
    epilog="""\b
Examples:
  aiflow send order.paid -d '{"order_id": 7}'
  aiflow send order.paid -d @order.json --id order-7   # the same id counts once
"""
)
@click.argument("event")
@click.option("-d", "--data", type=Data(), default="{}", metavar="JSON", help="What the event carries: a JSON object, or @FILE.")
@click.option("--id", "event_id", metavar="ID", help="Names the event; one that was seen before changes nothing.")
@project_option
@json_option
def send(event: str, data: Any, event_id: str | None, project: str | None, as_json_: bool) -> int:
    """Send an EVENT to the runs that wait for it."""
    return asyncio.run(_send(project_settings(project), event, data, event_id, as_json_))


async def _send(settings: Settings, name: str, data: Any, event_id: str | None, as_json_: bool) -> int:
    from aiflow.app import App

    async with App(settings) as app:
        event, new = await app.client.send(name, data, id=event_id)
        working = await app.inspector.workers()
    if as_json_:
        out_json({**event.view(), "new": new})
        return 0
    say(f"event {event.id} {'is accepted' if new else 'was accepted before; nothing changes'}")
    if new and not working:
        say("no worker is running; what waits for it goes on with the next `aiflow run`, `resume` or `worker`")
    return 0


@click.command(
    epilog="""\b
Examples:
  aiflow events
  aiflow events --limit 5 --json
"""
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@project_option
@json_option
def events(limit: int, project: str | None, as_json_: bool) -> int:
    """List the events that came, newest first."""
    settings = project_settings(project)
    found = [] if store_is_empty(settings) else asyncio.run(_events(settings, limit))
    if as_json_:
        out_json([event.view() for event in found])
    elif not found:
        say("no events yet; send one with: aiflow send EVENT")
    else:
        out("\n".join(_lines(found)))
    return 0


async def _events(settings: Settings, limit: int) -> list[Event]:
    from aiflow.app import App

    async with App(settings) as app:
        return await app.events.newest(limit)


def _lines(found: list[Event]) -> list[str]:
    rows = [("TIME", "EVENT", "ID", "DATA")]
    rows += [(moment(one.at_ms), clean(one.name), clean(one.id), one_line(as_json(one.data), 80)) for one in found]
    widths = [max(width_of(row[n]) for row in rows) for n in range(4)]
    return ["  ".join(pad(cell, widths[n]) for n, cell in enumerate(row)).rstrip() for row in rows]
