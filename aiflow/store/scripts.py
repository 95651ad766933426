"""Loads the Lua scripts of `lua/`: one file per transition; the time, `_lib.lua` and `_runs.lua` are put before each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


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
    library = "\n".join((folder / name).read_text("utf-8") for name in (time, "_lib.lua", "_runs.lua"))
    found = {}
    for entry in folder.iterdir():
        name = entry.name.removesuffix(".lua")
        if entry.name.endswith(".lua") and not name.startswith("_"):
            shebang, _, body = entry.read_text("utf-8").partition("\n")
            text = f"{shebang}\n{library}\n{body}"
            found[name] = Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return found
