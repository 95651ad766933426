"""Loads the Lua scripts of `lua/`: one file per transition; before each stands what it needs of the time, `_lib.lua` and
`_runs.lua`.

Functions are made anew in each call of a script, so a script has none that it does not name: all of them cost twice what a
checkpoint does. For the same reason `LIGHT` scripts come in two forms: without `_runs.lua` they answer `called`, before they
write, where they would need it; `whole` names the other form.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LIGHT = frozenset({"checkpoint"})

_DEFINES = re.compile(r"^(?:local function|local|function) (\w+)", re.M)
_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"--.*")


def whole(name: str) -> str:
    """The form of a script that can do all that it may have to."""
    return f"{name}+" if name in LIGHT else name


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text as sent to Redis, and the digest by which it is called."""

    name: str
    text: str
    sha: str


@cache
def scripts(virtual: bool = False) -> dict[str, Script]:
    """All scripts by name. `virtual`: those whose time is the key `<ns>:clock` and not Redis's (workflow tests)."""
    folder = files("aiflow.store") / "lua"
    time = "_virtual_time.lua" if virtual else "_time.lua"
    clock, library, of_runs = ((folder / name).read_text("utf-8") for name in (time, "_lib.lua", "_runs.lua"))
    found = {}
    for entry in folder.iterdir():
        name = entry.name.removesuffix(".lua")
        if entry.name.endswith(".lua") and not name.startswith("_"):
            shebang, _, body = entry.read_text("utf-8").partition("\n")
            found[whole(name)] = _script(whole(name), f"{shebang}\n{needed(clock + library + of_runs, body)}\n{body}")
            if name in LIGHT:
                found[name] = _script(name, f"{shebang}\n{needed(clock + library, body)}\n{body}")
    return found


def needed(library: str, body: str) -> str:
    """The definitions of a library that a script names, and those that these name, in their order."""
    pieces = _pieces(library)
    names: set[str] = set()
    asked = _words(body)
    while found := asked & {name for name, _ in pieces} - names:
        names |= found
        asked = {word for name, text in pieces if name in found for word in _words(text)}
    return "".join(text for name, text in pieces if name in names)


def _pieces(library: str) -> list[tuple[str, str]]:
    """(name, text) of what is defined at the beginning of a line."""
    starts = list(_DEFINES.finditer(library))
    ends = [match.start() for match in starts[1:]] + [len(library)]
    return [(match[1], library[match.start() : end]) for match, end in zip(starts, ends, strict=True)]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(_COMMENT.sub("", text)))


def _script(name: str, text: str) -> Script:
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
