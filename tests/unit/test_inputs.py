"""Inputs of a run: conversion from texts, defaults, files, and what is said about what does not fit."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiflow.errors import InputError
from aiflow.language.inputs import convert_inputs, default_faults
from aiflow.language.picoschema import to_json_schema
from aiflow.language.schema_faults import misfits
from aiflow.values import File

HERE = Path("/nonexistent-project")


def convert(
    pico: Any, given: dict[str, Any], from_text: bool = True, project: Path = HERE, outside: bool = True
) -> dict[str, Any]:
    return convert_inputs(to_json_schema(pico, top_inputs=True), given, from_text=from_text, project=project, outside=outside)


def fault(pico: Any, given: dict[str, Any], from_text: bool = True, project: Path = HERE) -> InputError:
    with pytest.raises(InputError) as caught:
        convert(pico, given, from_text, project)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "42", 42), ("integer", " -7 ", -7), ("number", "42", 42), ("number", "2.5", 2.5), ("number", "1e3", 1000.0),
        ("boolean", "false", False), ("boolean", "True", True), ("string", "42", "42"), ("string", "", ""), ("string", "null", "null"),
        ("array", "[1,2]", [1, 2]), ("object", '{"a": "1"}', {"a": "1"}), ("any", "[1]", "[1]"), ("date", "2026-03-01", "2026-03-01"),
        ("datetime", "2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z"), ("duration", "1h30m", "1h30m"), ("duration", "P3D", "P3D"),
        ("url", "https://a.example/x", "https://a.example/x"), ("email", "a@b.example", "a@b.example"), ("secret", "pw", "pw"),
        ({"type": "array", "items": {"type": "string"}}, '["a"]', ["a"]), ({"enum": ["a", 1, True]}, "1", 1),
        ({"enum": ["a", "1", 1]}, "1", "1"), ({"type": ["integer", "boolean"]}, "true", True), ({"type": ["string", "integer"]}, "3", "3"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "3", 3), ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x", "x"),
    ],
)  # fmt: skip
def test_texts_become_the_declared_type(kind: Any, text: str, value: Any) -> None:
    got = convert({"x": kind}, {"x": text})["x"]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("integer", "ten", 'input `x` must be an integer, this is the text "ten"'),
        ("integer", "4.5", 'input `x` must be an integer, this is the text "4.5"'),
        ("integer", "9" * 30, "input `x` must be an integer"),
        ("integer", "٣", "input `x` must be an integer"),
        ("number", "nan", 'input `x` must be a number, this is the text "nan"'),
        ("number", "1e999", "input `x` must be a number"),
        ("boolean", "yes", 'input `x` must be true or false, this is the text "yes"'),
        ("array", "a,b", 'input `x` must be a list, this is the text "a,b", write a JSON list: ["a", "b"]'),
        ("array", "[NaN]", "input `x` must be a list"),
        ("object", "[" * 50_000, "input `x` must be a map"),
        ("date", "2026-02-30", 'input `x` must be a date such as 2026-03-01, this is the text "2026-02-30"'),
        ("datetime", "2026-03-01T09:00:00", "input `x` must be a time with zone such as 2026-03-01T09:00:00Z"),
        ("duration", "3 days", 'input `x` must be a duration such as 30s, 1h30m or P3D, this is the text "3 days"'),
        ("url", "not a url", "input `x` must be a URL"),
        ("email", "nobody", "input `x` must be an email address"),
        ({"enum": ["small", "large"]}, "smal", 'input `x` must be one of small, large, this is the text "smal"'),
        ({"type": "integer", "minimum": 0, "maximum": 100}, "101", "input `x` must be at most 100, this is 101"),
        ({"type": "string", "minLength": 3}, "ab", "input `x` must have at least 3 characters, this has 2"),
        ({"type": "string", "pattern": "^a"}, "b", 'input `x` must match ^a, this is the text "b"'),
        ({"type": "array", "items": {"type": "string"}}, "[1]", "input `x[0]` must be a text, this is 1"),
        ({"a": "string", "b(array)": {"c": "integer"}}, '{"a": "x", "b": [{"c": "1"}]}', 'input `x.b[0].c` must be an integer, this is the text "1"'),
        ({"a": "string"}, "{}", "input `x.a` is missing"),
        ({"name": "string"}, '{"name": "x", "nmae": 1}', "input `x` has no field `nmae`"),
        ({"type": "array", "maxItems": 1}, "[1, 2]", "input `x` must have at most 1 items, this has 2"),
        ({"type": "array", "uniqueItems": True}, "[1, 1]", "input `x` must not hold the same item twice"),
        ({"type": "integer", "multipleOf": 5}, "3", "input `x` must be a multiple of 5, this is 3"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", 'input `x` must be an integer or null, this is the text "x"'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_words(kind: Any, given: str, message: str) -> None:
    error = fault({"x": kind}, {"x": given})
    assert error.faults["x"].startswith(message) and error.exit_code == 2


def test_a_secret_is_not_repeated() -> None:
    schema = {"type": "secret", "minLength": 20, "pattern": "^k"}
    assert "hunter2" not in str(fault({"x": schema}, {"x": "hunter2"}))


def test_nothing_is_converted_inside_of_a_workflow() -> None:
    error = fault({"n": "integer", "b": "boolean"}, {"n": "42", "b": "false"}, from_text=False)
    assert error.faults == {
        "n": 'input `n` must be an integer, this is the text "42"',
        "b": 'input `b` must be true or false, this is the text "false"',
    }
    assert convert({"n": "integer", "f": "number"}, {"n": 3, "f": 2}, from_text=False) == {"n": 3, "f": 2}


def test_defaults_and_optional_inputs() -> None:
    pico = {
        "a": {"type": "integer", "default": 80},
        "b?": "string",
        "c?": {"type": "integer"},
        "d": {"type": "string", "default": ""},
    }
    assert convert(pico, {}) == {"a": 80, "b": None, "c": None, "d": ""}
    assert convert(pico, {"a": "1", "b": "x", "c": "null"}) == {"a": 1, "b": "x", "c": None, "d": ""}
    assert "input `a`" in fault({"a": {"type": "integer", "default": "80"}}, {}).faults["a"]


def test_faults_of_defaults() -> None:
    schema = to_json_schema(
        {
            "a": {"type": "integer", "default": "80"},
            "b": {"type": "file", "default": "nowhere.txt"},
            "c": {"type": "string", "default": "x"},
        },
        top_inputs=True,
    )
    assert default_faults(schema) == {"a": 'the default must be an integer, this is the text "80"'}


def test_all_faults_in_one_error() -> None:
    error = fault({"topic": "string", "count": "integer", "other?": "string"}, {"count": "ten", "topc": "x", "zzz": "1"})
    assert error.faults == {
        "topic": "input `topic` is missing (a text)",
        "count": 'input `count` must be an integer, this is the text "ten"',
        "topc": "there is no input `topc`",
        "zzz": "there is no input `zzz`",
    }
    assert error.message.count("\n") == 3
    assert error.hint == "did you mean `topic`?\ninputs here: topic, count, other\ngive: -i topic=..."
    assert fault({}, {"a": "1"}).hint == "this workflow takes no inputs"


def test_further_inputs_where_they_are_declared() -> None:
    assert convert({"a": "string", "(*)": "integer"}, {"a": "x", "b": "2"}) == {"a": "x", "b": 2}
    assert "`b`" in fault({"(*)": "integer"}, {"b": "x"}).faults["b"]


def test_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "talk.MP3").write_bytes(b"sound")
    sha = hashlib.sha256(b"sound").hexdigest()
    file = File("data/talk.MP3", "talk.MP3", "mp3", 5, "audio/mpeg", sha)
    for from_text in (True, False):
        assert convert({"f": "file"}, {"f": "data/talk.MP3"}, from_text, tmp_path) == {"f": file}
    assert convert({"f": "file"}, {"f": str(tmp_path / "data" / "talk.MP3")}, project=tmp_path) == {"f": file}
    assert convert({"f": "file"}, {"f": file}, False, tmp_path) == {"f": file}
    assert convert({"fs(array)": "file"}, {"fs": '["data/talk.MP3"]'}, project=tmp_path) == {"fs": [file]}
    assert convert({"m": {"inner": "file"}}, {"m": {"inner": "data/talk.MP3"}}, False, tmp_path) == {"m": {"inner": file}}
    assert convert({"f?": "file"}, {}, project=tmp_path) == {"f": None}
    outside = convert({"f": "file"}, {"f": "talk.MP3"}, project=tmp_path / "data")["f"]
    assert outside.path == "talk.MP3"
    assert convert({"f": "file"}, {"f": "../data/talk.MP3"}, project=tmp_path / "data")["f"].path == "talk.MP3"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert convert({"f": "file"}, {"f": "../data/talk.MP3"}, project=elsewhere)["f"].path == str(tmp_path / "data" / "talk.MP3")
    with pytest.raises(InputError, match="outside of it"):
        convert({"f": "file"}, {"f": "../data/talk.MP3"}, project=elsewhere, outside=False)


def test_files_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for path, words in {
        "tlk.mp3": "tlk.mp3 does not exist (did you mean talk.mp3?)", ".": ". is a folder", "pipe": "pipe is no regular file",
        "a\0b": "cannot be read", "": "must be the path of a file, this is an empty text", "x" * 5000: "cannot be read",
    }.items():  # fmt: skip
        assert words in fault({"f": "file"}, {"f": path}, project=tmp_path).faults["f"]
    assert (
        "input `fs[1]` must be a file" in fault({"fs(array)": "file"}, {"fs": ["talk.mp3", "no"]}, False, tmp_path).faults["fs"]
    )
    assert "this is 3" in fault({"f": "file"}, {"f": 3}, False, tmp_path).faults["f"]


def test_misfits_may_leave_further_fields_alone() -> None:
    schema = to_json_schema({"a": {"b": "string"}})
    assert [m.message for m in misfits({"a": {"b": "x", "c": 1}}, schema, "v")] == ["has no field `c`"]
    assert misfits({"a": {"b": "x", "c": 1}}, schema, "v", more_fields=True) == []
    assert [m.where for m in misfits({"a": {}}, schema, "v", more_fields=True)] == ["v.a.b"]


def test_references_stay_inside() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "https://x.example/schema.json"}}}
    assert "does not exist" in misfits({"a": 1}, schema, "v")[0].message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TYPE_OF = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@given(json_values.filter(lambda value: type(value) in TYPE_OF))
@settings(max_examples=150, deadline=None)
def test_json_texts_come_back(value: Any) -> None:
    assert convert({"x": TYPE_OF[type(value)]}, {"x": json.dumps(value)}) == {"x": value}


@given(
    st.text(),
    st.sampled_from(
        ["integer", "number", "boolean", "array", "object", "date", "datetime", "duration", "url", "email", "file", "null"]
    ),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_converted_or_refused(text: str, kind: str) -> None:
    try:
        convert({"x": kind}, {"x": text})
    except InputError as error:
        assert error.faults["x"]
