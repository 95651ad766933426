"""The Lua scripts as they are sent: with all that they name and nothing else."""

from __future__ import annotations

import re

import pytest

from aiflow.store.scripts import needed, scripts, whole

LIBRARY = """-- About a.
local function a() return 1 end
local b = 2  -- c is not meant
local c
function d() return a() + c end
"""


def test_what_a_script_names_comes_with_all_that_it_names() -> None:
    assert needed(LIBRARY, "return d()") == LIBRARY.partition("\n")[2].replace("local b = 2  -- c is not meant\n", "")
    assert needed(LIBRARY, "return 1 -- a") == ""


@pytest.mark.parametrize("virtual", [False, True])
def test_no_script_calls_what_it_has_not(virtual: bool) -> None:
    known = {name for script in scripts(virtual).values() for name in _defined(script.text)}
    for script in scripts(virtual).values():
        code = re.sub(r"--.*", "", script.text)
        called = set(re.findall(r"(?<![.:\w])(\w+)\(", code)) & known
        missing = called - set(_defined(code)) - ({"runs"} if script.name == "checkpoint" else set())
        assert not missing, (script.name, missing)


def test_a_checkpoint_brings_little_along() -> None:
    assert len(_defined(scripts()["checkpoint"].text)) < len(_defined(scripts()[whole("checkpoint")].text)) / 2


def _defined(text: str) -> list[str]:
    return re.findall(r"\bfunction (\w+)", text)
