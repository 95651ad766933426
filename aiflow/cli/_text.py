"""Texts for terminals: nothing from data can steer the terminal, numbers read well, columns line up."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import IO, Any

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\Z)"  # OSC, DCS ... up to their end
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)

Value = Any


def clean(text: str) -> str:
    """`text` without ANSI sequences, control characters (but line breaks and tabs) and direction marks."""
    return _STEERING.sub("", _ANSI.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, most: int = 200) -> str:
    """`text`, cleaned, on one line, cut with an ellipsis when it is longer than `most` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def width_of(text: str) -> int:
    """Columns that `text` takes: 2 for wide characters, 0 for those that combine."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int) -> str:
    """`text` filled up with blanks to `width` columns."""
    return text + " " * max(0, width - width_of(text))


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = (), gap: str = "  ") -> list[str]:
    """Rows as lines with aligned columns. `right`: numbers of the columns that are aligned right."""
    if not rows:
        return []
    widths = [max(width_of(row[n]) for row in rows) for n in range(len(rows[0]))]
    rights = set(right)
    lines = []
    for row in rows:
        cells = [
            " " * (widths[n] - width_of(cell)) + cell if n in rights else pad(cell, widths[n])
            for n, cell in enumerate(row)
        ]
        lines.append(gap.join(cells).rstrip())
    return lines


def span(ms: int | None) -> str:
    """How long something took: `340 ms`, `4.2 s`, `3m05s`, `2h10m`, `3d4h`."""
    if ms is None or ms < 0:
        return ""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    seconds = ms // 1000
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86_400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86_400}d{seconds % 86_400 // 3600}h"


def money(dollars: float) -> str:
    """`$0.00`, `$0.41`, `$12.30`; small sums with as many digits as they need to be seen."""
    if dollars and dollars < 0.01:
        return f"${dollars:.6f}".rstrip("0") if dollars >= 0.000001 else "<$0.000001"
    return f"${dollars:,.2f}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 call`, `31 calls`, `12,345 tokens`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: float) -> str:
    """Bytes for people: `820 B`, `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def moment(ms: int | None) -> str:
    """A moment in local time: `14:03:12` today, else with the date."""
    if ms is None:
        return ""
    import time

    then, now = time.localtime(ms / 1000), time.localtime()
    pattern = "%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M:%S"
    return time.strftime(pattern, then)


def brief(value: Value, most: int = 80) -> str:
    """A value on one line, for tables."""
    if isinstance(value, str):
        return one_line(value, most)
    if is_file(value):
        return one_line(value["path"], most)
    if isinstance(value, list) and value and not isinstance(value[0], str | int | float):
        return count(len(value), "file" if is_file(value[0]) else "value")
    return one_line(as_json(value, indent=None), most)


def is_file(value: Value) -> bool:
    """Whether a plain value is a file that a step made or found."""
    return isinstance(value, dict) and value.keys() == {"path", "name", "ext", "size", "mime", "sha256"}


def as_json(value: Value, indent: int | None = 2) -> str:
    """JSON with letters as they are; signs that could steer a terminal are escaped, so the value is the same."""
    import json

    return _STEERING.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=indent, default=str))


def _escaped(found: re.Match[str]) -> str:
    import json

    return json.dumps(found[0])[1:-1]


def values(pairs: dict[str, Value]) -> list[str]:
    """`key: value` lines, aligned: texts as they are, short lists on a line, nested values as JSON below."""
    width = max((width_of(clean(str(key))) for key in pairs), default=0) + 1
    lines: list[str] = []
    for key, value in pairs.items():
        head = pad(clean(str(key)) + ":", width)
        body = _value_lines(value)
        if len(body) == 1:
            lines.append(f"{head}  {body[0]}".rstrip())
        else:
            lines += [head.rstrip(), *("  " + line if line else "" for line in body)]
    return lines


def _value_lines(value: Value) -> list[str]:
    if value is None or value == [] or value == {}:
        return ["none" if value is None or value == [] else "{}"]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str):
        return clean(value).rstrip("\n").split("\n")
    if is_file(value):
        return [clean(value["path"])]
    if isinstance(value, list) and all(isinstance(item, str | int | float) or item is None for item in value):
        return _flat_list(value)
    if isinstance(value, list | dict):
        return clean(as_json(value)).split("\n")
    return [clean(str(value))]


def _flat_list(items: list[Value]) -> list[str]:
    texts = [one_line(item, 2000) if isinstance(item, str) else as_json(item) for item in items]
    joined = ", ".join(texts)
    if len(joined) <= 80 and not any("," in text for text in texts):
        return [joined]
    return [f"- {text}" for text in texts] if len(texts) > 1 else texts


def colourful(stream: IO[Any]) -> bool:
    """Whether to use colours on a stream: a terminal that can, and nobody said NO_COLOR."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty()


def tint(text: str, colour: str, on: bool) -> str:
    """`text` in a colour of `_TINTS` when `on`."""
    return f"\x1b[{_TINTS[colour]}m{text}\x1b[0m" if on and text else text


_TINTS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}

MARKS = {
    "ok": ("✓", "green"), "failed": ("✗", "red"), "running": ("▸", "cyan"), "waiting": ("⏸", "yellow"),
    "retrying": ("↻", "yellow"), "skipped": ("–", "dim"), "timed_out": ("⧖", "yellow"), "pending": ("·", "dim"),
    "cancelled": ("✗", "yellow"), "stopped": ("■", "yellow"), "outcome_unknown": ("?", "red"), "queued": ("·", "dim"),
}  # fmt: skip
"""Status of a step or run -> its mark and colour."""


def mark(status: str, colour: bool) -> str:
    """The mark of a status."""
    sign, name = MARKS.get(status, ("?", "yellow"))
    return tint(sign, name, colour)
