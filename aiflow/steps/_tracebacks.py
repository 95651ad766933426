"""Tracebacks of users' code, without the frames of aiflow that called it."""

from __future__ import annotations

import traceback
from pathlib import Path

_OURS = str(Path(__file__).resolve().parent.parent) + "/"
_IMPORTING = ("<frozen importlib", "/importlib/")

MOST_CHARS = 16_000
"""Kept from the end, where the cause is."""


def user_traceback(error: BaseException) -> str:
    """As Python prints it, from the first frame that is the user's."""
    made = traceback.TracebackException.from_exception(error, limit=-60)
    seen: set[int] = set()
    link: traceback.TracebackException | None = made
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.stack = traceback.StackSummary.from_list([frame for frame in link.stack if not _is_ours(frame.filename)])
        link = link.__cause__ or link.__context__
    text = "".join(made.format()).rstrip()
    return text if len(text) <= MOST_CHARS else "…" + text[-MOST_CHARS:]


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS) or any(part in filename for part in _IMPORTING)
