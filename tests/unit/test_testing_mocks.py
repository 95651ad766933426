"""What a mock says, and which one a step takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiflow.errors import StepError
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings
from aiflow.testing.mocks import MockFault, Mocks, outcome_of, read_mock

FLOW = """\
steps:
  - id: first
    shell: echo a
  - id: docs
    each: [1, 2]
    do:
      - id: text
        shell: echo b
      - id: facts
        each: [1, 2, 3]
        shell: echo c
  - shell: echo d
"""


async def said(mocks: Mocks, path: str, id: str | None = None, attempt: int = 1, repeated: bool = False, **scope: Any) -> Any:
    """Output of an attempt, `!type` of a failure, None without a mock."""
    chosen = mocks.choose(path, id, "shell", attempt, repeated)
    if chosen is None:
        return None
    try:
        return (await outcome_of(chosen, scope, _no_sleep)).output
    except StepError as error:
        return f"!{error.type}"


async def _no_sleep(seconds: float) -> None:
    raise AssertionError("nothing takes time here")


@pytest.fixture
def mocks(tmp_path: Path) -> Any:
    (tmp_path / "flow.yaml").write_text(FLOW)
    workflow = load_workflow(tmp_path / "flow.yaml", Settings(root=tmp_path))
    return lambda **given: Mocks({name.replace("__", "."): read_mock(raw) for name, raw in given.items()}, workflow)


async def test_a_value_is_the_output_and_its_texts_are_templates(mocks: Any) -> None:
    made = mocks(first={"n": 1, "who": "{{ inputs.who }}!", "all": ["{{ inputs.n }}"]})
    assert await said(made, "first", "first", inputs={"who": "ann", "n": 7}) == {"n": 1, "who": "ann!", "all": [7]}


async def test_an_id_goes_before_a_kind_and_an_index_before_both(mocks: Any) -> None:
    made = mocks(shell="kind", text="id")
    assert await said(made, "shell@3") == "kind"
    assert await said(made, "docs[1].text", "text") == "id"
    made._given["docs[1].text"] = read_mock("this one")
    assert await said(made, "docs[1].text", "text") == "this one"
    assert await said(made, "docs[0].text", "text") == "id"


async def test_a_path_names_a_step_without_an_id(mocks: Any) -> None:
    made = mocks()
    made._given["shell@3"] = read_mock("d")
    assert await said(made, "shell@3") == "d"
    assert await said(made, "first", "first") is None


async def test_a_list_is_of_attempts_and_the_last_stays(mocks: Any) -> None:
    made = mocks(first=[{"error": "timeout"}, {"error": "rate_limit"}, "done"])
    assert [await said(made, "first", "first", attempt) for attempt in (1, 2, 3, 4)] == ["!timeout", "!rate_limit", "done", "done"]


async def test_a_list_is_of_items_where_the_step_repeats_and_nested_of_their_attempts(mocks: Any) -> None:
    made = mocks(facts=["a", [{"error": "timeout"}, "b"]])
    assert await said(made, "docs[0].facts[0]", "facts", repeated=True) == "a"
    assert await said(made, "docs[0].facts[1]", "facts", repeated=True) == "!timeout"
    assert await said(made, "docs[1].facts[1]", "facts", attempt=2, repeated=True) == "b"
    assert await said(made, "docs[1].facts[7]", "facts", attempt=2, repeated=True) == "b"


async def test_the_items_of_one_fan_out_have_their_own_list(mocks: Any) -> None:
    made = mocks(facts="any")
    made._given["docs[1].facts"] = read_mock(["x", "y"])
    assert await said(made, "docs[1].facts[1]", "facts", repeated=True) == "y"
    assert await said(made, "docs[0].facts[1]", "facts", repeated=True) == "any"


@pytest.mark.parametrize("raw", [{"output": {"error": "x"}}, {"error": {"type": "a"}, "more": 1}, {"status": 200}, {}, None])
async def test_only_a_map_of_outcome_words_is_an_outcome(mocks: Any, raw: Any) -> None:
    wanted = raw["output"] if raw and "output" in raw else raw
    assert await said(mocks(first=raw), "first", "first") == wanted


@pytest.mark.parametrize(
    ("raw", "path", "part"),
    [
        ([], (), "empty list"),
        ({"error": 3}, ("error",), "a type"),
        ({"error": {"type": "a", "mesage": "b"}}, ("error", "mesage"), "mesage"),
        ({"takes": "soon"}, ("takes",), "not a duration"),
        ({"takes": "5m", "ouput": 1}, ("ouput",), "unknown key"),
        ({"output": 1, "error": "a"}, ("error",), "exclude"),
        (["fine", {"takes": 5}], (1, "takes"), "no unit"),
        ({"output": 1, "usage": {"tokens": 3}}, ("usage",), "numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(raw: Any, path: tuple[Any, ...], part: str) -> None:
    with pytest.raises(MockFault) as caught:
        read_mock(raw)
    assert caught.value.path == path
    assert part in caught.value.message


async def test_a_failure_says_whether_it_passes(mocks: Any) -> None:
    for raw, transient in (("timeout", True), ("rejected", False), ({"type": "rejected", "transient": True}, True)):
        with pytest.raises(StepError) as caught:
            await outcome_of(read_mock({"error": raw}), {}, _no_sleep)  # type: ignore[arg-type]
        assert caught.value.transient is transient
