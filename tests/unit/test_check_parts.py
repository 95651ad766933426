"""The parts of the checks by themselves: fitting values, reading Python, nearest words, models."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from aiflow.language.check._fit import misfits, wants_of
from aiflow.language.check._python_source import describe, read_module
from aiflow.language.check._words import flow, nearest, path_text
from aiflow.language.workflow import check_workflow, load_workflow
from aiflow.settings import ModelSpec, Settings


@pytest.mark.parametrize(
    ("value", "schema", "found"),
    [
        (3, {"type": "integer"}, []),
        (True, {"type": "integer"}, [((), "type")]),
        ("{{ x }}", {"type": "integer"}, []),
        ("x", {"enum": ["x", "y"]}, []),
        (1, {"enum": [True]}, [((), "enum")]),
        ({"a": 1, "b": 2}, {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
         [(("a",), "type"), (("b",), "unknown")]),
        ({}, {"type": "object", "required": ["a"]}, [((), "missing")]),
        ([1, "x"], {"type": "array", "items": {"type": "integer"}}, [((1,), "type")]),
        ([], {"type": "array", "minItems": 1}, [((), "length")]),
        (3, {"type": "number", "maximum": 2}, [((), "range")]),
        (None, {"type": ["string", "null"]}, []),
        ({"times": "x"}, {"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"times": {"type": "integer"}}}]},
         [(("times",), "type")]),
        ("abc", {"type": "string", "pattern": "^x"}, [((), "pattern")]),
        (2.0, {"type": "integer"}, []),
    ],
)  # fmt: skip
def test_misfits(value: Any, schema: dict[str, Any], found: list[Any]) -> None:
    assert [(misfit.path, misfit.what) for misfit in misfits(value, schema, templates=True)] == found


def test_a_template_fits_only_where_it_may_stand() -> None:
    assert [misfit.what for misfit in misfits("{{ x }}", {"type": "integer"}, templates=False)] == ["type"]


def test_schemas_in_words() -> None:
    assert wants_of({"anyOf": [{"type": "string"}, {"type": "array"}]}) == "a text, or a list"
    assert wants_of({"enum": ["a", 1, True]}) == "one of `a`, 1, true"


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("sumary", ["summary", "other"], "summary"),
        ("step", ["steps", "name"], "steps"),
        ("Max-Tokens", ["max_tokens"], "max_tokens"),
        ("xyz", ["abc"], None),
        ("title", [], None),
    ],
)
def test_nearest(word: str, known: list[str], found: str | None) -> None:
    assert nearest(word, known) == found


def test_values_on_one_line() -> None:
    assert flow({"a": [1, None, True], "b": "x: y"}) == '{a: [1, null, true], b: "x: y"}'
    assert flow("no") == '"no"' and flow("1.5") == '"1.5"' and flow('say "a": b') == "'say \"a\": b'"
    assert path_text("steps", ("a", "output", 0, None, "b c")) == "steps.a.output[0][...]['b c']"


def test_python_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "pack" / "tools.py").write_text("raise SystemExit('imported')\ndef f(a, /, b, *, c=1, ctx, **d): ...\n")
    module = read_module(tmp_path, "pack.tools")
    assert not isinstance(module, (SyntaxError, Path)) and module is not None
    signature = module.functions["f"]
    assert signature is not None and signature.anything
    assert (signature.names, signature.required) == (("b", "c"), ("a", "b"))
    assert signature.shown == "f(a, b, *, c=1, **d)"
    assert read_module(tmp_path, "pack.missing") is None
    assert isinstance(read_module(tmp_path, "math"), Path)


def test_names_that_may_come_from_elsewhere() -> None:
    module = describe(
        ast.parse("from x import y\ntry:\n    import z\nexcept ImportError:\n    def w(): ...\nclass C: ...\nv = u = 1\n")
    )
    assert module.others == {"y", "z", "C", "v", "u"} and set(module.functions) == {"w"} and not module.open
    assert describe(ast.parse("from x import *\n")).open
    assert describe(ast.parse("@wraps\ndef f(a): ...\n")).functions == {"f": None}


def demo(root: Path, text: str, **options: Any) -> tuple[list[str], Settings, Path]:
    (root / "workflows").mkdir(exist_ok=True)
    file = root / "workflows" / "demo.yaml"
    file.write_text(text)
    settings = Settings(root=root, **options)
    return [str(problem) for problem in check_workflow(file, settings)], settings, file


def test_no_model_anywhere(tmp_path: Path) -> None:
    said, _, _ = demo(tmp_path, "steps:\n  - llm: Say hello.\n  - embed: hello\n", models={"fast": ModelSpec("a/b")})
    assert said == [
        "workflows/demo.yaml:2:5: no model is named for this `llm` [no-model]\n"
        "    write: model: fast, or for all: defaults: {llm: {model: ...}}",
        "workflows/demo.yaml:3:5: no model is named for this `embed` [no-model]\n"
        "    write: model: fast, or for all: defaults: {embed: {model: ...}}",
    ]


def test_modifiers_in_defaults_of_the_project_are_not_options(tmp_path: Path) -> None:
    said, settings, file = demo(tmp_path, "steps: [{llm: Say hello.}]", defaults={"llm": {"model": "a/b", "cache": "30d"}})
    assert said == []
    assert load_workflow(file, settings).steps[0].config == {"model": "a/b", "text": "Say hello."}


def test_hints_do_not_stop_a_workflow(tmp_path: Path) -> None:
    said, settings, file = demo(tmp_path, "inputs: {'who?': string}\nsteps: [{stop: 'for {{ inputs.who }}'}]")
    assert len(said) == 1 and ": hint: " in said[0]
    assert load_workflow(file, settings).steps[0].kind == "stop"


def test_files_outside_of_the_project_are_shown_in_full(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    file = tmp_path / "other.yaml"
    file.write_text("steps: []\n")
    (problem,) = check_workflow(file, Settings(root=tmp_path / "project"))
    assert problem.file == str(file)
