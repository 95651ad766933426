"""Finding files by pattern: `**`, `*`, `?`, `[ab]` and braces, `docs/**/*.{pdf,docx}`."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv"})
"""Folders besides hidden ones that wildcards do not enter: other people's files, by the thousand."""

MOST_ALTERNATIVES = 1_000
"""Patterns that braces may spread out to."""


@dataclass(frozen=True)
class Pattern:
    """A pattern cut in two.

    Attributes:
        base: the leading folders without wildcards, `""` if there are none.
        rest: matches the path below `base`, with `/`.
        depth: folders to go down at most, or None with `**`.
        fixed: whether it has no wildcard at all; then `base` is the whole path.
        named: parts of the pattern written out; these folders are entered although wildcards pass them over.
    """

    base: str
    rest: re.Pattern[str]
    depth: int | None
    fixed: bool
    named: frozenset[str]


def compile_pattern(text: str) -> Pattern:
    """Read a pattern. Raises: ValueError: braces that do not close, `[b-a]`, too many alternatives."""
    head, tail = _split(unicodedata.normalize("NFC", text))
    spread = expand_braces(tail) if tail else []
    parts = {part for one in spread for part in one.split("/")}
    try:
        rest = re.compile("|".join(_regex(one) for one in spread))
    except re.error as error:
        raise ValueError(f"`{text}` has brackets that make no sense") from error
    return Pattern(
        base=head,
        rest=rest,
        depth=None if "**" in parts else max((one.count("/") for one in spread), default=0),
        fixed=not tail,
        named=frozenset(part for part in parts if not _is_wild(part)),
    )


def find(base: Path, pattern: Pattern) -> list[Path]:
    """All files below `base` that match, sorted by path. Links to folders are not followed."""
    found = [path for below, path in _walk(base, pattern) if pattern.rest.fullmatch(unicodedata.normalize("NFC", below))]
    return sorted(found, key=str)


def expand_braces(text: str) -> list[str]:
    """`a.{b,c}` gives `a.b` and `a.c`; braces may be nested. Raises: ValueError."""
    start = text.find("{")
    if start < 0:
        return [text]
    end = _closing(text, start)
    ends = expand_braces(text[end + 1 :])
    middles = [one for choice in _choices(text[start + 1 : end]) for one in expand_braces(choice)]
    if len(ends) * len(middles) > MOST_ALTERNATIVES:
        raise ValueError(f"the braces spread out to more than {MOST_ALTERNATIVES} patterns")
    return [text[:start] + middle + rest for middle in middles for rest in ends]


def _split(text: str) -> tuple[str, str]:
    """The leading parts without wildcards, and the rest; rest is empty when there is no wildcard."""
    parts = text.split("/")
    for place, part in enumerate(parts):
        if _is_wild(part) or "{" in part:
            return "/".join(parts[:place]) or ("/" if place and text.startswith("/") else ""), "/".join(parts[place:])
    return text, ""


def _is_wild(part: str) -> bool:
    return any(sign in part for sign in "*?[")


def _closing(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"`{text}` has a brace that is not closed")


def _choices(text: str) -> list[str]:
    choices, depth = [""], 0
    for sign in text:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            choices.append("")
        else:
            choices[-1] += sign
    return choices


def _regex(pattern: str) -> str:
    """The regular expression of one pattern without braces. Wildcards do not match names that start with a dot."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    parts = [part for place, part in enumerate(parts) if part != "**" or parts[place - 1 : place] != ["**"]]
    made = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            made += r"(?:(?!\.)[^/]+/)*" + (r"(?!\.)[^/]+" if last else "")
        else:
            made += _part_regex(part) + ("" if last else "/")
    return made


def _part_regex(part: str) -> str:
    made = r"(?!\.)" if part[0] in "*?[" else ""
    place = 0
    while place < len(part):
        sign = part[place]
        close = part.find("]", place + (3 if part[place + 1 : place + 2] == "!" else 2)) if sign == "[" else -1
        if sign == "*":
            made += "[^/]*"
        elif sign == "?":
            made += "[^/]"
        elif close > 0:
            made += _class_regex(part[place + 1 : close])
            place = close
        else:
            made += re.escape(sign)
        place += 1
    return made


def _class_regex(inner: str) -> str:
    """`[ab]`, or `[!ab]` for any sign but these."""
    negated = inner.startswith("!")
    signs = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner.removeprefix("!"))
    return f"(?!/)[{'^' if negated else ''}{signs}]"


def _walk(base: Path, pattern: Pattern) -> Iterator[tuple[str, Path]]:
    """Every file below `base` with its path from there."""
    waiting = [("", base, 0)]
    while waiting:
        below, folder, depth = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            if depth == 0:
                raise
            continue  # a folder that may not be read is passed over, as a shell's glob does
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if (pattern.depth is None or depth < pattern.depth) and _may_enter(entry.name, pattern):
                    waiting.append((f"{below}{entry.name}/", Path(entry.path), depth + 1))
            elif entry.is_file():
                yield below + entry.name, Path(entry.path)


def _may_enter(name: str, pattern: Pattern) -> bool:
    hidden = name.startswith(".")
    if hidden:
        return any(part.startswith(".") for part in pattern.named) and name in pattern.named
    return name not in PASSED_OVER or name in pattern.named
