"""The view without a terminal: one line when something begins or ends, with the time before it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aiflow.cli._errors import say
from aiflow.cli._follow import Happenings, limit_lines
from aiflow.cli._text import count, one_line, span

if TYPE_CHECKING:
    from aiflow.inspector import Progress, RunProgress

FAN_S = 2.0  # least seconds between two lines about one fan-out
STILL_S = 30.0  # a line that we are still here, when nothing happens


class PlainView:
    """Lines on stderr."""

    def __init__(self) -> None:
        self._status: dict[str, str] = {}
        self._fans: dict[str, tuple[float, int, int]] = {}
        self._reasons: set[str] = set()
        self._told: set[str] = set()  # steps whose failure was said already
        self._spoke = time.monotonic()

    def show(self, progress: RunProgress, happenings: Happenings) -> None:
        for entry in happenings.lines:
            self._entry(entry)
        for line in progress.steps:
            self._step(line)
            if line.total and line.status == "running":
                self._fan(line)
        if progress.run.is_open:
            self._still(progress, happenings)

    def note(self, text: str) -> None:
        self._line(text)

    def close(self) -> None:
        pass

    def _step(self, line: Progress) -> None:
        before = self._status.get(line.path, "pending")
        if line.status == before:
            return
        self._status[line.path] = line.status
        if line.status == "running":
            self._line(f"{line.path} ({line.kind})" + (f": {_many(line)}" if line.total else ""))
        elif line.status not in ("pending", "waiting") and line.path not in self._told:
            self._line(f"{line.path}: {line.status}{self._facts(line)}")

    def _facts(self, line: Progress) -> str:
        facts = [line.note] if line.note else []
        if line.total is not None:
            facts.append(_many(line))
        if line.failed:
            facts.append(f"{line.failed:,} failed")
        took = (line.finished_ms or 0) - (line.started_ms or 0)
        if line.status != "skipped" and took > 0:
            facts.append(span(took))
        return ", " + ", ".join(facts) if facts else ""

    def _fan(self, line: Progress) -> None:
        at, done, failed = self._fans.get(line.path, (time.monotonic(), 0, 0))
        self._fans.setdefault(line.path, (at, done, failed))
        if (line.done, line.failed) == (done, failed) or time.monotonic() - at < FAN_S:
            return
        self._fans[line.path] = (time.monotonic(), line.done, line.failed)
        failures = f", {line.failed:,} failed" if line.failed else ""
        self._line(f"{line.path}: {line.done:,} of {line.total:,} done{failures}")

    def _entry(self, entry: dict[str, Any]) -> None:
        match entry["event"]:
            case "attempt_failed":
                error = entry["error"]
                self._line(
                    f"{entry['path']}: attempt {entry['attempt']} failed: {error['type']}: {one_line(error['message'])};"
                    f" the next in {span(entry['retry_in_ms'])}"
                )
            case "step_failed":
                error = entry["error"]
                if error.get("step") in ("", None, entry["path"]):
                    self._told.add(entry["path"])
                    self._line(f"{entry['path']}: failed: {error['type']}: {one_line(error['message'])}")
            case "log":
                self._line(f"{entry['path']}: {entry['text']}")
            case "blob_waits":
                self._line(f"{entry['path']}: {one_line(entry['text'])}; trying again")
            case "worker_lost":
                self._line(f"a worker was lost in {entry['path'] or 'the run'}; another goes on")

    def _still(self, progress: RunProgress, happenings: Happenings) -> None:
        waits = happenings.due_ms is not None or happenings.waits_for is not None
        if waits and not happenings.awaited(int(time.time() * 1000)):
            from aiflow.cli._follow import waiting_for

            key = happenings.waits_for or f"due {happenings.due_ms}"
            if key not in self._reasons:
                self._reasons.add(key)
                for reason in waiting_for(happenings, int(time.time() * 1000)):
                    self._line(reason)
        for limit in {limit for _, limit in happenings.places}:
            if f"limit {limit}" not in self._reasons:
                self._reasons.add(f"limit {limit}")
                for reason in limit_lines([one for one in happenings.places if one[1] == limit]):
                    self._line(reason)
        if time.monotonic() - self._spoke > STILL_S:
            usage = progress.run.usage
            self._line(f"still {progress.run.status}, {count(usage['calls'], 'model call')} so far")

    def _line(self, text: str) -> None:
        self._spoke = time.monotonic()
        say(f"{time.strftime('%H:%M:%S')}  {one_line(text, 500)}")


def _many(line: Progress) -> str:
    """`5 items`, `2 branches`"""
    total = line.total or 0
    if line.kind == "parallel":
        return f"{total:,} branch{'' if total == 1 else 'es'}"
    return count(total, "item")
