"""The parts of the checks by themselves: fitting values, reading Python, nearest words, models."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiflow.language.check._fit import misfits, wants_of
from aiflow.language.check._python_source import describe, read_module
from aiflow.language.check._schemas import INTEGER, LIST, STRING, of_value, union
from aiflow.language.check._words import flow, nearest, path_text
from aiflow.language.workflow import Workflows, check_workflow, load_workflow
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


def test_what_annotations_say() -> None:
    module = describe(
        ast.parse(
            "class Row(TypedDict):\n    name: str\n    tags: NotRequired[list[str]]\n"
            "@dataclass\nclass Sum:\n    rows: 'list[Row]'\n    total: float | None\n"
            "def f(a: Row, b: Sum, c: Literal['x', 'y'], d: Optional[int], e: int | str, g) -> Sum: ...\n"
            "def h() -> tuple[int, str]: ...\ndef i(x: 'not python :') -> dict[str, bool]: ...\n"
        )
    )
    f = module.functions["f"]
    assert f is not None and set(f.types) == {"a", "c", "d"}, "an object of a class cannot be handed over, a union may be either"
    assert f.types["c"] == {"enum": ["x", "y"]} and f.types["d"] == {"type": "integer"}
    row = {"type": "object", "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}, "additionalProperties": False}
    assert f.returns == {"type": "object", "properties": {"rows": {"type": "array", "items": row}, "total": {"type": "number"}}, "additionalProperties": False}
    h, i = module.functions["h"], module.functions["i"]
    assert h is not None and h.returns == {"type": "array", "items": {}}
    assert i is not None and not i.types and i.returns == {"type": "object", "additionalProperties": {"type": "boolean"}}


@pytest.mark.parametrize(
    ("types", "made"),
    [
        ([STRING, STRING], STRING),
        ([STRING, None], None),
        ([STRING, INTEGER], None),
        ([{"enum": ["a"]}, {"enum": ["b", "a"]}], {"enum": ["a", "b"]}),
        ([of_value({"a": 1}), of_value({"b": "x"})], {"type": "object", "properties": {"a": {"type": "integer", "const": 1}, "b": {"type": "string", "const": "x"}}, "additionalProperties": False}),
        ([of_value({"a": 1}), {"type": "object"}], {"type": "object", "properties": {"a": {"type": "integer", "const": 1}}}),
        ([{"type": "array", "items": STRING}, LIST], {"type": "array", "items": {}}),
    ],
)  # fmt: skip
def test_one_of_several_types(types: list[Any], made: Any) -> None:
    assert union(types) == made


def test_what_is_known_of_models_needs_no_litellm() -> None:
    code = "from aiflow.models.tables import refuses_schemas as r; import sys; print(r('oci/xai.grok-4'), r('no/such'), 'litellm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


def test_files_that_are_checked_together_are_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "shared.yaml").write_text("steps: [{set: {a: '{{ inputs.x }}'}}]\n")
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text("steps: [{call: shared.yaml}]\n")
    together = Workflows(Settings(root=tmp_path))
    first = check_workflow(folder / "one.yaml", together.settings, together)
    look = together.read(folder / "shared.yaml").look
    assert check_workflow(folder / "two.yaml", together.settings, together) == first
    assert [(problem.file, problem.code) for problem in first] == [("workflows/shared.yaml", "unknown-input")]
    assert look is not None and look is together.read(folder / "shared.yaml").look and len(look.problems) == 1
