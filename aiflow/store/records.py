"""A step's recorded outcome, as it stands in the results of a run."""

from __future__ import annotations

from typing import Any

import msgspec

from aiflow.values import Value, _escape, _unescape


class Record(msgspec.Struct, omit_defaults=True, rename={
    "status": "s", "output": "o", "error": "e", "attempts": "a", "started": "t0", "finished": "t1", "usage": "u",
    "meta": "m", "count": "n", "failed": "b", "blob": "r", "item": "i", "handled": "h",
}):
    """What is known of one step of one run.

    Attributes:
        status: ok, failed, skipped, timed_out, outcome_unknown.
        output: the result; null when it is in the blob store (`blob`) or made of items (`count`).
        error: {type, message, step, data, attempts, index, transient, traceback}.
        started, finished: ms UTC, Redis's time.
        usage: [tokens in, tokens out, dollars, model calls], or None.
        meta: model, prompt, offline ... (see Done.meta).
        count: for an `each`: number of items; each item has a record of its own, `path[0]` ...; `failed` of them failed.
        item: for an item that failed: the item, for `steps.x.errors`.
        handled: the failure was passed over with `continue`; the step is done.
    """

    status: str = "ok"
    output: Any = None
    error: dict[str, Any] | None = None
    attempts: int = 1
    started: int = 0
    finished: int = 0
    usage: tuple[int, int, float, int] | None = None
    meta: dict[str, Any] | None = None
    count: int | None = None
    failed: int = 0
    blob: dict[str, Any] | None = None
    item: Any = None
    handled: bool = False

    @property
    def done(self) -> bool:
        """Whether the step is not to be done again when the run is retried."""
        return self.status in ("ok", "skipped") or self.handled


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The stored form. Raises TypeError when the output is not made of JSON values."""
    raw = _encoder.encode(record)
    if b'"$' in raw:
        raw = _encoder.encode(_mapped(record, _escape))
    return raw


def decode_record(raw: bytes) -> Record:
    """The record that `encode_record` wrote."""
    record = _decoder.decode(raw)
    return _mapped(record, _unescape) if b'"$' in raw else record


def _mapped(record: Record, change: Any) -> Record:
    def changed(value: Value) -> Value:
        return None if value is None else change(value)

    return msgspec.structs.replace(
        record, output=changed(record.output), error=changed(record.error), item=changed(record.item)
    )
