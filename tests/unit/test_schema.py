"""The published JSON Schema: current, right, and of one mind with the checks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aiflow.durations import DURATION_PATTERN, parse_duration
from aiflow.language.schema import compose, render
from aiflow.language.vocabulary import MODIFIERS, TOP
from aiflow.steps._registry import kinds

ROOT = Path(__file__).parent.parent.parent
CASES = Path(__file__).parent.parent / "cases"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(compose())


def test_the_written_schema_is_current() -> None:
    file = ROOT / "schemas" / "workflow.schema.json"
    assert file.read_text(encoding="utf-8") == render(), "write it again: aiflow schema --write"


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(compose())


def test_it_is_small() -> None:
    assert len(render().encode()) < 250_000


def test_durations_have_the_form_that_is_read() -> None:
    texts = "250ms 30s 1h30m 1.5h PT30S P3D P1W P1DT2H P PT P1DT 3 1m1h 10ms5s 3days 1d2h".split() + ["", " 5m ", "3 days"]
    read = {text for text in texts if _is_read(text)}
    assert {text for text in texts if re.search(DURATION_PATTERN, text)} == read
    assert {"250ms", "P3D", " 5m "} <= read


def _is_read(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def test_every_word_is_explained() -> None:
    schema = compose()
    step = schema["definitions"]["step"]["properties"]
    assert set(step) == {*MODIFIERS, *kinds()}
    assert set(schema["properties"]) == set(TOP)
    for properties in (step, schema["properties"]):
        assert [name for name, one in properties.items() if not one.get("description")] == []


@pytest.mark.parametrize("case", sorted((CASES / "good").glob("*.yaml")), ids=lambda case: case.stem)
def test_good_files_fit(case: Path, validator: jsonschema.Draft7Validator) -> None:
    data = yaml.safe_load(case.read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize(
    ("step", "fits"),
    [
        ({"llm": "prompts/a.md"}, True),
        ({"llm": {"prompt": "a.md", "temperature": "{{ inputs.t }}"}}, True),
        ({"llm": {"prompt": "a.md", "temperature": "hot"}}, False),
        ({"llm": {"promt": "a.md"}}, False),
        ({"http": "https://a.example", "llm": "a.md"}, False),
        ({"http": {"url": "https://a.example", "method": "FETCH"}}, False),
        ({"id": "a"}, False),
        ({"set": {"a": 1}, "as": "x"}, False),
        ({"set": {"a": 1}, "each": [1], "as": "x"}, True),
        ({"do": [{"stop": "x"}], "on_error": "continue"}, True),
        ({"do": {"stop": "x"}}, False),
        ({"do": []}, False),
        ({"stop": "x", "retry": {"times": 3, "delay": "1s"}}, True),
        ({"stop": "x", "retry": True}, False),
        ({"stop": "x", "when": "a"}, False),
    ],
)
def test_steps(step: dict[str, Any], fits: bool, validator: jsonschema.Draft7Validator) -> None:
    assert validator.is_valid({"steps": [step]}) is fits


def test_it_names_the_wrong_option(validator: jsonschema.Draft7Validator) -> None:
    errors = list(validator.iter_errors({"steps": [{"llm": {"text": "a", "temprature": 1}}]}))
    assert len(errors) == 1 and "temprature" in errors[0].message


def test_it_can_be_read_back() -> None:
    assert json.loads(render()) == compose()
