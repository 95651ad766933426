"""The kinds `set`, `assert`, `fail`, `stop`, `do`, `wait`; and what all kinds must offer."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aiflow.durations import parse_moment
from aiflow.steps._kind import Done, Stop, Wait
from aiflow.steps._registry import kinds
from tests.support.steps import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_set(bench: Bench) -> None:
    assert await bench.output("set", {"a": [1], "b": None}) == {"a": [1], "b": None}


async def test_assert(bench: Bench) -> None:
    assert await bench.output("assert", {"that": True}) is True
    assert await bench.output("assert", {"that": [1, "x", [0]]}) is True
    error = await bench.error("assert", {"that": False}, written={"that": "inputs.n > 3"})
    assert (error.type, error.message) == ("assertion", "not true: inputs.n > 3")
    error = await bench.error("assert", {"that": [True, 0]}, written={"that": ["a", "b == 1"]})
    assert error.message == "not true: b == 1"
    assert (await bench.error("assert", {"that": [True, None]})).message == "condition 2 of 2 is not true"
    assert (await bench.error("assert", {"that": "", "message": "too few"})).message == "too few"
    assert (await bench.error("assert", {"that": []}, written={"that": "rows"})).message == "not true: rows"


async def test_fail(bench: Bench) -> None:
    error = await bench.error("fail", {"message": "no", "type": "out_of_stock", "data": {"n": 1}})
    assert (error.type, error.message, error.data, error.transient) == ("out_of_stock", "no", {"n": 1}, False)
    assert (await bench.error("fail", {"message": "no"})).type == "failed"
    assert (await bench.error("fail", {"message": "no", "type": "Not A Word"})).type == "failed"


async def test_stop(bench: Bench) -> None:
    assert await bench.outcome("stop", {"reason": "done", "outputs": {"n": 1}}) == Stop("done", {"n": 1})
    assert await bench.outcome("stop", {"reason": 5}) == Stop("5", None)


NOW = parse_moment("2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    ("config", "until"),
    [
        ({"for": "1h30m"}, "2026-11-23T13:30:00Z"),
        ({"for": 1000}, "2026-11-23T12:00:01Z"),
        ({"until": "2026-11-24T09:00:00+01:00"}, "2026-11-24T08:00:00Z"),
        ({"at": "09:00"}, "2026-11-24T09:00:00Z"),
        ({"at": "13:30", "timezone": "Europe/Paris"}, "2026-11-23T12:30:00Z"),
        ({"for": "1d", "at": "09:00", "timezone": "Europe/Paris"}, "2026-11-25T08:00:00Z"),
        ({"until": "2026-11-20T00:00:00Z", "at": "06:00"}, None),
        ({"until": "2026-11-20T00:00:00Z"}, None),
        ({"for": "0s"}, None),
    ],
)
async def test_wait(bench: Bench, config: dict[str, Any], until: str | None) -> None:
    bench.now_ms = NOW
    expected = Done(None) if until is None else Wait(parse_moment(until))
    assert await bench.outcome("wait", config) == expected
    assert await bench.outcome("wait", config, resumed=True) == Done(None)


@pytest.mark.parametrize(
    "config",
    [{"for": "3"}, {"for": -1}, {"for": None}, {"until": "tomorrow"}, {"until": 5}, {"at": "25:00"}, {"at": "09:00", "timezone": "X"},
     {"for": "1d", "until": "2026-11-24T09:00:00Z"}, {"for": True}, {"at": 540}],
)  # fmt: skip
async def test_wait_refused_at_run_time(bench: Bench, config: dict[str, Any]) -> None:
    error = await bench.error("wait", config)
    assert error.type == "expression"
    assert error.message.startswith("`wait`: ")


MINE = ["assert", "do", "fail", "files", "http", "python", "read", "set", "shell", "stop", "wait", "write"]


@pytest.mark.parametrize("name", MINE)
def test_every_kind_is_described(name: str) -> None:
    kind = kinds()[name]
    jsonschema.Draft202012Validator.check_schema(dict(kind.schema))
    jsonschema.Draft7Validator.check_schema(dict(kind.schema))
    assert kind.summary.endswith(".")
    assert kind.short is None or kind.short in kind.schema["properties"]
    assert {*kind.fixed, *kind.bare} <= kind.schema["properties"].keys()
    for option in kind.schema["properties"].values():
        assert option["description"]
        for example in option.get("examples", []):
            if "{{" not in str(example):
                jsonschema.validate(example, option)
    (step,) = yaml.safe_load(kind.example)
    assert name in step
    config = step[name] if isinstance(step[name], dict) else {kind.short: step[name]}
    if "{{" not in kind.example:
        jsonschema.validate(config, {**kind.schema, "additionalProperties": kind.whole})
