"""What expressions refer to, with exact offsets, and what is wrong with them before anything runs."""

import pytest

from aiflow.language.expressions import ExpressionSyntaxError, compile_bare, compile_value
from aiflow.language.references import Reference, constant_condition, faults, references


def one(text: str, bare: bool = True) -> Reference:
    found = references(text, bare)
    assert len(found) == 1, found
    return found[0]


def test_a_reference_has_root_path_and_offsets() -> None:
    found = references("{{ inputs.folder }}/{{ steps.docs.output[0]['a b'][index].x }}")
    assert [(r.root, r.path, r.offset) for r in found] == [
        ("inputs", ("folder",), 3),
        ("steps", ("docs", "output", 0, "a b", None, "x"), 23),
        ("index", (), 51),
    ]
    assert found[0].offsets == (10,)
    assert found[1].offsets[:3] == (29, 34, 41)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{% for x in a.b %}{{ x.c }}{{ loop.index }}{{ y }}{% else %}{{ x }}{% endfor %}", ["a", "y", "x"]),
        ("{% for k, v in m | items if v > n %}{{ k }}{% endfor %}", ["m", "n"]),
        ("{{ {'a': b, c: [d, (e, f)]} }}", ["b", "c", "d", "e", "f"]),
        ("{{ a[1:b] ~ zip(c, range(d)) ~ (e if f else g) }}", ["a", "b", "c", "d", "e", "f", "g"]),
        ("{{ a | map(attribute=b) | join(c) }}", ["a", "b", "c"]),
        ("{{ (a | first).b.c }}", ["a"]),
        ("{{ true and null and none }}", []),
        ("no braces: steps.x", []),
        ("{{ 'steps.x' }} {# {{ y }} #}{% raw %}{{ z }}{% endraw %}", []),
    ],
)
def test_all_names_are_found(text: str, names: list[str]) -> None:
    assert [reference.root for reference in references(text)] == names


def test_steps_and_names_of_a_compiled_value() -> None:
    compiled = compile_value({"a": ["{{ steps.x.output + steps['y'].output }}"], "b": "{{ inputs.n }}", "c": 1})
    assert compiled.steps == {"x", "y"} and compiled.names == {"steps", "inputs"} and not compiled.constant


GUARDED = [
    "{X} | default('')",
    "{X}.a.b | d(0)",
    "{X} is none",
    "{X} is not defined",
    "{X}.y if {X}",
    "{X}.y if {X} is not none else 0",
    "0 if {X} is none else {X}.y",
    "{X} and {X}.y > 3",
    "not {X} or {X}.y > 3",
    "{X} is none or {X}.y > 3",
    "{X} != null and {X}.y > 3",
    "steps.c.status == 'ok' and {X}.y > 3",
    "({X}.a if b else {X}.c) | default(1)",
]


@pytest.mark.parametrize("text", GUARDED)
def test_guards(text: str) -> None:
    text = text.replace("{X}", "steps.c.output")
    deepest = max((r for r in references(text, True) if r.root == "steps"), key=lambda r: len(r.path))
    assert deepest.guarded


@pytest.mark.parametrize(
    "text",
    ["{X}.y", "{X}.y or 3", "{X} or {X}.y", "{X}.y if a else 0", "a | default({X}.y)", "not {X} and {X}.y", "{X}.y | upper",
     "{X} is none and {X}.y > 1", "a.b == 1 and {X}.y", "{X}.y if {X} or a else 0"],
)  # fmt: skip
def test_what_is_no_guard(text: str) -> None:
    text = text.replace("{X}", "steps.c.output")
    assert not [reference for reference in references(text, True) if len(reference.path) > 1][-1].guarded


def test_guards_in_templates() -> None:
    text = "{% if a.b %}{{ a.b.c }}{% elif x %}{{ x.y }}{% else %}{{ a.b.d }}{% endif %}{{ a.b.e }}"
    assert [(r.path[-1], r.guarded) for r in references(text) if r.path and r.path[-1] != "b"] == [
        ("c", True), ("y", True), ("d", False), ("e", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "in_text"),
    [
        ("Hi {{ inputs.n }}", True),
        ("{{ inputs.n }}", False),
        ("Hi {{ inputs.n | upper }}", True),
        ("{{ 'a' ~ inputs.n }}", True),
        ("Hi {{ inputs.n or 'you' }}", False),
        ("Hi {{ 'you' if inputs.n else 'me' }}", False),
        ("{% if inputs.n %}a{% endif %}", False),
        ("Hi {{ inputs.n | length }}", False),
    ],
)
def test_what_goes_into_text(text: str, in_text: bool) -> None:
    assert one(text, bare=False).in_text is in_text


@pytest.mark.parametrize(
    ("text", "message", "offset", "hint", "code"),
    [
        ("{{ inputs.items | lenght }}", "there is no filter `lenght`", 18, "did you mean `length`?", "unknown-filter"),
        ("{{ a is evn }}", "there is no test `evn`", 8, "did you mean `even`?", "unknown-test"),
        ("{{ a is not  evn }}", "there is no test `evn`", 13, "did you mean `even`?", "unknown-test"),
        ("{{ ragne(3) }}", "there is no function `ragne`", 3, "did you mean `range`?", "unknown-function"),
        ("{{ len(a) }}", "there is no function `len`", 3, "use the filter: ... | length", "unknown-function"),
        ("{{ a | map('uper') }}", "there is no filter `uper`", 12, "did you mean `upper`?", "unknown-filter"),
        ("{{ a | selectattr('x', 'eqq', 1) }}", "there is no test `eqq`", 24, "did you mean `eq`?", "unknown-test"),
        ("{{ a | chunk(1, 2, 3) }}", "the filter `chunk` takes `size`, `overlap`, and here are 3", 7, "", "filter-arguments"),
        ("{{ a | chunk }}", "the filter `chunk` needs `size`", 7, "", "filter-arguments"),
        ("{{ a | chunk(9, overlp=1) }}", "the filter `chunk` does not know `overlp`; did you mean `overlap`?", 7, "", "filter-arguments"),
        ("{{ a | safe }}", "there is no filter `safe`", 7, "nothing is escaped here", "unknown-filter"),
        ("{{ now(1) }}", "the function `now` takes no arguments, and here are 1", 3, "", "filter-arguments"),
    ],
)  # fmt: skip
def test_faults(text: str, message: str, offset: int, hint: str, code: str) -> None:
    (fault,) = faults(text)
    assert (fault.message, fault.offset, fault.hint, fault.code) == (message, offset, hint, code)
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_value(text)
    assert (caught.value.message, caught.value.offset, caught.value.code) == (message, offset, code)


def test_all_faults_at_once() -> None:
    assert [fault.offset for fault in faults("{{ a | x1 }} {{ b | x2 | x3 }}")] == [7, 20, 25]


@pytest.mark.parametrize(
    ("text", "truth"),
    [("true", True), ("1 > 2", False), ("'inputs.a'", True), ("[] | length", False), ("inputs.a", None), ("now() > 'x'", None)],
)
def test_constant_conditions(text: str, truth: bool | None) -> None:
    assert constant_condition(text) is truth


@pytest.mark.parametrize(
    ("text", "message", "offset", "hint"),
    [
        ("inputs.a && inputs.b", "`&&` is not an operator", 9, "write: inputs.a and inputs.b"),
        ("inputs.a || b", "`||` is not an operator", 9, "write: inputs.a or b"),
        ("a and !b", "`!` is not an operator", 6, "write: a and not b"),
        ("a === 'x && y'", "`===` is not an operator", 2, "write: a == 'x && y'"),
        ("a = 3", "`=` is not an operator", 2, "write: a == 3"),
        ("a ? b : c", "`?` is not an operator", 2, "write: b if a else c"),
        ("a AND b", "`AND` is not an operator", 2, "write: a and b"),
        ("a.lower() == 'x'", "`.lower()`: methods cannot be called", 2, "use the filter: ... | lower"),
        ("a.__class__", "`.__class__`: names that begin with `_` are closed", 2, ""),
        ("a ** 2", "`**` is not an operator", 0, "write: a * a"),
        ("a +", "the expression ends too early", 2, ""),
        ("'abc", "the quote `'` is never closed", 0, ""),
        ("a b", "`b` was not expected here", 2, ""),
    ],
)
def test_syntax_errors_of_bare_expressions(text: str, message: str, offset: int, hint: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_bare(text)
    assert (caught.value.message, caught.value.offset, caught.value.hint) == (message, offset, hint)
    assert caught.value.code == "expression"


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("a {{ b", "`{{` is never closed", 2),
        ("{% if a %}b", "`{% if %}` is never closed", 10),
        ("{% set a = 1 %}", "`{% set %}` is not part of the language", 3),
        ("{% include 'x' %}", "`{% include %}` is only for prompt files", 3),
        ("x\n  {{ a && b }}", "`&&` is not an operator", 9),
        ("{{- a -}} {{ b | nope }}", "there is no filter `nope`", 17),
        ("{% raw %}{{{% endraw %}{{ b | nope }}", "there is no filter `nope`", 30),
    ],
)
def test_syntax_errors_of_templates(text: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_value(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{ inputs.a }} and {{ inputs.b }}", "write: if: inputs.a and inputs.b"),
        ("{{ inputs.n }} > 3", "write: if: inputs.n > 3"),
        ("{{ a or b }} and c", "write: if: (a or b) and c"),
        ("{% if a %}yes{% endif %}", "write it without braces"),
    ],
)
def test_braces_in_a_condition(text: str, hint: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_bare(text)
    assert caught.value.code == "braces-in-condition"
    assert caught.value.message == "`if` is one expression; as text it would always be true"
    assert (caught.value.hint, caught.value.offset) == (hint, None)
