"""What is not as expected, and what no test ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings
from aiflow.store.records import Record
from aiflow.testing.coverage import Coverage
from aiflow.testing.expect import MISSING, differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_is_as_expected_of_itself(value: Any) -> None:
    assert list(differences("output", value, value)) == []


@given(JSON, JSON)
def test_a_map_may_have_more_fields_than_are_named(value: Any, more: Any) -> None:
    assert list(differences("output", {"a": value}, {"a": value, "b": more})) == []


@pytest.mark.parametrize(
    ("expected", "got", "wanted"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("output.a.b", 1, 2)]),
        ({"a": 1}, {"b": 1}, [("output.a", 1, MISSING)]),
        ([1, {"x": 2}], [1, {"x": 3}], [("output[1].x", 2, 3)]),
        ([1], [1, 2], [("output", [1], [1, 2])]),
        (True, 1, [("output", True, 1)]),
        (0, False, [("output", 0, False)]),
        (1, 1.0, []),
        ("1", 1, [("output", "1", 1)]),
        ({"a": None}, {}, [("output.a", None, MISSING)]),
        ({}, [], [("output", {}, [])]),
    ],
)
def test_each_difference_is_named(expected: Any, got: Any, wanted: list[Any]) -> None:
    assert [(one.what, one.expected, one.got) for one in differences("output", expected, got)] == wanted


FLOW = """\
inputs: {n: integer}
steps:
  - id: one
    if: inputs.n > 1
    shell: echo
  - id: two
    if: inputs.n > 1
    shell: echo
    else:
      - id: other
        set: {x: 1}
  - id: docs
    each: range(inputs.n)
    do:
      - id: text
        shell: echo
        on_error:
          - id: mended
            set: {x: 1}
finally:
  - id: last
    set: {x: 1}
"""


@pytest.fixture
def coverage(tmp_path: Path) -> Coverage:
    (tmp_path / "flow.yaml").write_text(FLOW)
    return Coverage(load_workflow(tmp_path / "flow.yaml", Settings(root=tmp_path)))


def test_nothing_was_run_and_nothing_is_said_of_ways_that_were_never_reached(coverage: Coverage) -> None:
    assert coverage.not_run == ["one", "two", "two.else.other", "docs", "docs.text", "docs.text.on_error.mended", "finally.last"]
    assert (coverage.not_taken, coverage.percent) == ([], 0)


def test_what_runs_in_an_item_counts_for_the_step(coverage: Coverage) -> None:
    skipped = Record(status="skipped")
    coverage.see({"one": skipped, "two.else.other": Record(), "two": Record(), "docs": Record(), "docs[1]": Record()})
    coverage.see({"docs[7].text": Record(), "finally.last": Record()})
    assert coverage.not_run == ["one", "docs.text.on_error.mended"]
    assert coverage.not_taken == ["one: if true", "two: if true", "docs.text: on_error"]


def test_both_ways_were_taken(coverage: Coverage) -> None:
    coverage.see({"one": Record(), "two": Record(), "docs[0].text.on_error.mended": Record(), "docs[0].text": Record()})
    assert coverage.not_taken == ["one: if false", "two: else"]
    coverage.see({"one": Record(status="skipped"), "two": Record(), "two.else.other": Record()})
    assert coverage.not_taken == []
