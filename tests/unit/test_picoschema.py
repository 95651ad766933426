"""Picoschema to JSON Schema: dotprompt's rules, aiflow's additions, JSON Schema kept, faults with their place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aiflow.language.picoschema import TYPES, PicoschemaError, read_picoschema, to_json_schema


def fields(properties: dict[str, Any], required: list[str], others: Any = False) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": others}
    return {**schema, "required": required} if required else schema


DOTPROMPT = [
    ("number", {"type": "number"}),
    ("number, how many", {"type": "number", "description": "how many"}),
    ("number,how many, in all", {"type": "number", "description": "how many, in all"}),
    ("number,    how many", {"type": "number", "description": "how many"}),
    ({"a": "boolean", "b": "string"}, fields({"a": {"type": "boolean"}, "b": {"type": "string"}}, ["a", "b"])),
    (
        {"must": "string, needed", "may?": "boolean, not needed"},
        fields(
            {
                "must": {"type": "string", "description": "needed"},
                "may": {"type": ["boolean", "null"], "description": "not needed"},
            },
            ["must"],
        ),
    ),
    (
        {"tags(array, list of tags)": "string, one tag", "vector(array)": "number"},
        fields(
            {
                "tags": {"type": "array", "description": "list of tags", "items": {"type": "string", "description": "one tag"}},
                "vector": {"type": "array", "items": {"type": "number"}},
            },
            ["tags", "vector"],
        ),
    ),
    (
        {"box?(object, a box)": {"in?": "string"}, "rows(array, of objects)": {"x?": "boolean"}},
        fields(
            {
                "box": {**fields({"in": {"type": ["string", "null"]}}, []), "type": ["object", "null"], "description": "a box"},
                "rows": {"type": "array", "description": "of objects", "items": fields({"x": {"type": ["boolean", "null"]}}, [])},
            },
            ["rows"],
        ),
    ),
    ({"type": "string"}, {"type": "string"}),
    ({"properties": {"x": {"type": "string"}}}, {"type": "object", "properties": {"x": {"type": "string"}}}),
    ({"hue?(enum, a hue)": ["RED", "BLUE"]}, fields({"hue": {"enum": ["RED", "BLUE", None], "description": "a hue"}}, [])),
    ({"a": "any", "b?": "any, whatever"}, fields({"a": {}, "b": {"description": "whatever"}}, ["a"])),
    (
        {"a": "string, one", "(*)": "any, more"},
        fields({"a": {"type": "string", "description": "one"}}, ["a"], {"description": "more"}),
    ),
    ({"(*)": "number, lucky"}, fields({}, [], {"type": "number", "description": "lucky"})),
]


@pytest.mark.parametrize(("pico", "schema"), DOTPROMPT)
def test_as_dotprompt_reads_it(pico: Any, schema: dict[str, Any]) -> None:
    assert to_json_schema(pico) == schema


def test_types_of_aiflow() -> None:
    schema = to_json_schema({"f": "file", "on": "date", "at?": "datetime, when", "raw(array)": "object", "list": "array"})
    assert schema["properties"] == {
        "f": {"type": "object", "x-aiflow-type": "file"},
        "on": {"type": "string", "format": "date", "x-aiflow-type": "date"},
        "at": {"type": ["string", "null"], "format": "date-time", "x-aiflow-type": "datetime", "description": "when"},
        "raw": {"type": "array", "items": {"type": "object"}},
        "list": {"type": "array"},
    }


def test_every_key_of_inputs_is_a_name() -> None:
    schema = to_json_schema({"type": "string", "properties": "integer", "enum?": "string"}, top_inputs=True)
    assert schema == fields(
        {"type": {"type": "string"}, "properties": {"type": "integer"}, "enum": {"type": ["string", "null"]}},
        ["type", "properties"],
    )
    assert to_json_schema(None, top_inputs=True) == fields({}, [])


def test_json_schema_in_inputs_is_kept_and_a_default_makes_it_optional() -> None:
    schema = to_json_schema(
        {
            "n": {"type": "integer", "minimum": 0, "default": 80},
            "models": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
            "since": {"type": "date", "default": "2026-01-01"},
            "either": {"anyOf": [{"type": "string"}, {"type": "file"}]},
            "mode?": {"enum": ["a", "b"]},
        },
        top_inputs=True,
    )
    assert schema["required"] == ["either"]
    assert schema["properties"]["n"] == {"type": "integer", "minimum": 0, "default": 80}
    assert schema["properties"]["models"]["default"] == ["a"]
    assert schema["properties"]["since"] == {"type": "string", "format": "date", "x-aiflow-type": "date", "default": "2026-01-01"}
    assert schema["properties"]["either"]["anyOf"][1]["x-aiflow-type"] == "file"
    assert schema["properties"]["mode"] == {"enum": ["a", "b", None]}


def test_optional_references_may_be_null() -> None:
    schema = to_json_schema(
        {"a?": {"$ref": "#/$defs/x"}, "b?": {"type": "string", "enum": ["x"]}, "c?": {"anyOf": [{"type": "string"}]}}
    )
    assert schema["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}
    assert schema["properties"]["b"] == {"type": ["string", "null"], "enum": ["x", None]}
    assert schema["properties"]["c"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


FAULTS = [
    ({"a": "strng"}, ("a",), False, "there is no type `strng`", "did you mean `string`?"),
    ({"a": "str"}, ("a",), False, "there is no type `str`", "did you mean `string`?"),
    ({"a": "int, how many"}, ("a",), False, "there is no type `int`", "did you mean `integer`?"),
    ({"a": "string[]"}, ("a",), False, "there is no type `string[]`", "a(array): string"),
    ({"a": "string?"}, ("a",), False, "there is no type `string?`", "a?: string"),
    ({"a": "zzzzzz"}, ("a",), False, "there is no type `zzzzzz`", "types: string, integer"),
    ({"a": None}, ("a",), False, "the type is missing", "string"),
    ({"a": 3}, ("a",), False, "a type is a text or a map, this is the number 3", "string"),
    ({"a": ["x"]}, ("a",), False, "a type cannot be a list", "(enum)"),
    ({"a(list)": "string"}, ("a(list)",), True, "`list` cannot stand in brackets", "array, object or enum"),
    ({"a(string)": "string"}, ("a(string)",), True, "`string` cannot stand in brackets", "write: a: string"),
    ({"a(array": "string"}, ("a(array",), True, "is not closed", "write: a(array)"),
    ({"a(enum)": "x"}, ("a(enum)",), False, "an enum is a list", "a(enum): [small, large]"),
    ({"a(enum)": ["x", "x"]}, ("a(enum)", 1), False, "`x` is there twice", "keep one"),
    ({"a": "string", "a?": "string"}, ("a?",), True, "`a` is there twice", "keep one"),
    ({"a(object)": "string"}, ("a(object)",), False, "needs a map of its fields", "a: string"),
    (
        {"a": {"type": "string", "minLenght": 3}},
        ("a", "minLenght"),
        True,
        "not a word of JSON Schema",
        "did you mean `minLength`?",
    ),
    ({"a": {"type": "string", "size": "x"}}, ("a", "size"), True, "not a word of JSON Schema", "type: string, what it is"),
    ({"a": {"type": "string", "pattern": "("}}, ("a", "pattern"), False, "not a regular expression", ""),
    ({"a": {"type": "integer", "minimum": "3"}}, ("a", "minimum"), False, "`minimum` must be a number", "without quotes"),
    ({"a": {"type": "string", "maxLength": -1}}, ("a", "maxLength"), False, "whole number", ""),
    ({"a": {"$ref": "https://x.example/s.json"}}, ("a", "$ref"), False, "only refer to this schema", "#/$defs/name"),
    (
        {"a": {"type": "array", "items": {"type": "text"}}},
        ("a", "items", "type"),
        False,
        "there is no type `text`",
        "types: string",
    ),
    ({"": "string"}, ("",), True, "the name is missing", "name: type"),
]


@pytest.mark.parametrize(("pico", "path", "key", "message", "hint"), FAULTS)
def test_faults_say_where_and_what_to_write(pico: Any, path: tuple[Any, ...], key: bool, message: str, hint: str) -> None:
    _, faults = read_picoschema(pico)
    assert [(fault.path, fault.key) for fault in faults] == [(path, key)]
    assert message in faults[0].message and hint in faults[0].hint
    with pytest.raises(PicoschemaError):
        to_json_schema(pico)


def test_names_of_inputs_must_work_in_expressions() -> None:
    _, faults = read_picoschema({"lead-score": "string", "not": "string", "ok_1": "string", "a b": "string"}, top_inputs=True)
    assert [fault.hint for fault in faults] == ["write: lead_score", "write: not_", "write: a_b"]
    assert not read_picoschema({"lead-score": "string"})[1]
    assert "a map of names" in read_picoschema(["x"], top_inputs=True)[1][0].message


def test_all_faults_at_once() -> None:
    _, faults = read_picoschema({"a": "strng", "b": {"c": "nmber", "d(enum)": 1}})
    assert [fault.path for fault in faults] == [("a",), ("b", "c"), ("b", "d(enum)")]


names = st.from_regex(r"[a-z][a-z_]{0,6}\Z", fullmatch=True)
scalars = st.builds(lambda kind, text: kind + text, st.sampled_from(sorted(TYPES)), st.sampled_from(["", ", x", ",a, b"]))
picos = st.recursive(
    scalars,
    lambda inner: st.dictionaries(
        st.builds(lambda n, o, g: n + o + g, names, st.sampled_from(["", "?"]), st.sampled_from(["", "(array)", "(array, d)"])),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)


@given(st.dictionaries(names, picos, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_what_is_made_is_valid_json_schema(pico: Any) -> None:
    schema, faults = read_picoschema(pico, top_inputs=True)
    if not {fault.code for fault in faults} - {"bad-name"}:
        Draft202012Validator.check_schema(schema)
        assert set(schema["properties"]) == set(pico)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["string", "type", "enum", "properties"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["type", "enum", "(*)", "a?(array)", "items"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_like, st.booleans())
@settings(max_examples=300, deadline=None)
def test_anything_gives_a_schema_or_faults(value: Any, top: bool) -> None:
    schema, faults = read_picoschema(value, top_inputs=top)
    assert isinstance(schema, dict)
    assert all(fault.message for fault in faults)
