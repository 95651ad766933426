"""Loads the Lua scripts of `lua/`: one file per transition, the time and `_lib.lua` are put before each, `_runs.lua`
where it is asked for.

Functions are made anew in each call of a script, and those of `_runs.lua` cost as much as a command. So `LIGHT` scripts come
in two forms: without it they answer `called`, before they write, where they would need it; `whole` names the other form.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ASKS_FOR_RUNS = ("runs()", "make_run(", "settle_fan(", "item_left(", "cancel_branches(")
LIGHT = frozenset({"checkpoint"})


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
    library = f"{clock}\n{library}"
    found = {}
    for entry in folder.iterdir():
        name = entry.name.removesuffix(".lua")
        if entry.name.endswith(".lua") and not name.startswith("_"):
            shebang, _, body = entry.read_text("utf-8").partition("\n")
            if any(word in body for word in ASKS_FOR_RUNS):
                found[whole(name)] = _script(whole(name), f"{shebang}\n{library}\n{of_runs}\n{body}")
            if whole(name) not in found or name in LIGHT:
                found[name] = _script(name, f"{shebang}\n{library}\n{body}")
    return found


def _script(name: str, text: str) -> Script:
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
