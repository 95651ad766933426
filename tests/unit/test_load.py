"""YAML to data with places: golden messages, limits, hostile texts, places inside of scalars."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aiflow.errors import SpecError
from aiflow.language.load import decode_source, load_document, read_document, read_source
from aiflow.language.render_problems import render_problem, render_problems
from aiflow.language.yaml_scalars import Unclear, resolve

SHOWN = "workflows/demo.yaml"

# Number in DIAGNOSTICS.md: the file, and exactly what is said about it.
GOLDEN = {
    "1": (
        "steps:\n  - id: note\n    set:\n      text: {{ inputs.text }}\n",
        "workflows/demo.yaml:4:13: a value that starts with `{{` must be in quotes; YAML reads a bare `{` as the start of a map [unquoted-template]\n"
        '    write: text: "{{ inputs.text }}"',
    ),
    "2": (
        "steps:\n  - files: {{ inputs.folder }}/*.pdf\n",
        "workflows/demo.yaml:2:12: a value that starts with `{{` must be in quotes; YAML reads a bare `{` as the start of a map [unquoted-template]\n"
        '    write: files: "{{ inputs.folder }}/*.pdf"',
    ),
    "4": (
        "steps:\n  - id: a\n    llm: prompts/a.md\n    timeout: 30s\n    timeout: 60s\n",
        "workflows/demo.yaml:5:5: `timeout` is written twice in this step (first on line 4); the first one would be silently lost [duplicate-key]\n"
        "    keep one of them",
    ),
    "5": (
        "steps:\n  - if: !inputs.draft\n    email: emails/final.md\n",
        'workflows/demo.yaml:2:9: `!` starts a YAML tag, it does not mean "not" [bang]\n    write: if: not inputs.draft',
    ),
    "7": (
        "steps:\n  - fail: Not allowed: ask the owner\n",
        "workflows/demo.yaml:2:22: `: ` inside an unquoted value starts a new key [colon-in-text]\n"
        '    quote the value: fail: "Not allowed: ask the owner"',
    ),
    "8": (
        "inputs:\n  country: {type: string, default: NO}\nsteps: [{set: {a: 1}}]\n",
        "workflows/demo.yaml:2:36: YAML 1.1 reads NO as false, YAML 1.2 as text [ambiguous-scalar]\n"
        '    write "NO" for the text, or false for the boolean',
    ),
    "10": (
        "steps:\n  - set: {area_code: 0117}\n",
        "workflows/demo.yaml:2:22: YAML 1.1 reads 0117 as the number 79 (octal), YAML 1.2 as 117 [ambiguous-scalar]\n"
        '    write "0117" to keep the zero, or 117',
    ),
    "11": (
        "defaults:\n  llm: {temperature: 1e-3}\nsteps: [{llm: prompts/a.md}]\n",
        "workflows/demo.yaml:2:22: YAML 1.1 reads 1e-3 as text, YAML 1.2 as a number [ambiguous-scalar]\n    write 0.001",
    ),
    "13": (
        "name: digest\non: {event: user.signed_up}\nsteps: [{llm: prompts/a.md}]\n",
        "workflows/demo.yaml:2:1: YAML 1.1 reads the key `on` as true; aiflow calls this section `triggers` [ambiguous-key]\n"
        "    write: triggers:\n            - event: user.signed_up",
    ),
    "14": (
        "inputs: {name?: string}\nsteps: [{llm: prompts/a.md}]\n",
        "workflows/demo.yaml:1:14: `?` cannot stand unquoted inside { } [optional-in-braces]\n"
        '    write: inputs: {"name?": string}, or put the input on its own line: name?: string',
    ),
    "16": (
        "steps:\n  - fail: See ticket #42\n",
        'workflows/demo.yaml:2:22: everything after ` #` is a comment, so the message is only "See ticket" [lost-comment]\n'
        '    quote the value: fail: "See ticket #42"  (or put a space after # if a comment is meant)',
    ),
    "17": (
        'steps:\n  - set: {title: "Weekly digest}\n  - stop: done\n',
        'workflows/demo.yaml:2:18: this quote is never closed [unclosed]\n    add the closing "',
    ),
    "19": (
        "steps:\n  - llm: prompts/a.md\n    retry: *patient\n",
        "workflows/demo.yaml:3:12: the anchor `patient` is not defined above this line [unknown-anchor]\n"
        "    define it first, for example: x-patient: &patient {times: 5}",
    ),
}


@pytest.mark.parametrize("number", GOLDEN)
def test_golden_messages(number: str) -> None:
    text, expected = GOLDEN[number]
    with pytest.raises(SpecError) as caught:
        load_document(text, SHOWN)
    assert [str(problem) for problem in caught.value.problems] == [expected]


# Of the same families: place, code, and the hint (or a part of the message).
KIN = [
    ("a: {{ x }} and {{ y }}\nb: 1\n", 1, 4, "unquoted-template", 'write: a: "{{ x }} and {{ y }}"'),
    ('a: {{ x["b"] }}\nb: 1\n', 1, 4, "unquoted-template", "write: a: '{{ x[\"b\"] }}'"),
    ('c: {d: {{ x["b"] }}, e: 1}\n', 1, 8, "unquoted-template", "write: d: '{{ x[\"b\"] }}'"),
    ("a: {b: Hi {{ x }}, c: 1}\n", 1, 11, "unquoted-template", 'write: b: "Hi {{ x }}"'),
    ("a: {{ x }}: foo\n", 1, 4, "unquoted-template", 'write: a: "{{ x }}: foo"'),
    ("a: {% if x %}y{% endif %}\n", 1, 4, "unquoted-template", 'write: a: "{% if x %}y{% endif %}"'),
    ("- {{ a.b }} and\n- b\n", 1, 3, "unquoted-template", 'write: - "{{ a.b }} and"'),
    ("a: {{ x }}\n  and more\n", 1, 4, "unquoted-template", 'write: a: "{{ x }}"'),
    ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, 3, "duplicate-key", "written twice in `b`"),
    ("a: 1\n'a': 2\n", 2, 1, "duplicate-key", "at the top of the file"),
    ("- if: !(inputs.a || inputs.b)\n", 1, 7, "bang", "write: if: not (inputs.a or inputs.b)"),
    ("- if: !inputs.a && !inputs.b\n", 1, 7, "bang", "write: if: not inputs.a and not inputs.b"),
    ("- if: !inputs.a[0]\n", 1, 7, "bang", "write: if: not inputs.a[0]"),
    ("a: !env X\n", 1, 4, "bang", 'if the `!` is meant: a: "!env X"'),
    ("a: !!str 12\n", 1, 4, "bang", 'write: a: "12"'),
    ("a: !!python/object/apply:os.system [id]\n", 1, 4, "bang", "remove it"),
    ("a: {b: Not allowed: ask}\n", 1, 19, "colon-in-text", 'quote the value: b: "Not allowed: ask"'),
    ("a: 12:30:45\n", 1, 4, "ambiguous-scalar", "the number 45045 (base 60)"),
    ("a: 2026-01-02\n", 1, 4, "ambiguous-scalar", "as a date, YAML 1.2 as text"),
    ("a: 1_000\n", 1, 4, "ambiguous-scalar", 'write 1000, or "1_000" for the text'),
    ("a: 1e30001111100\n", 1, 4, "ambiguous-scalar", 'write "1e30001111100"'),
    ("a: .nan\n", 1, 4, "not-json", 'write ".nan" for the text'),
    ("a: 99999999999999999999\n", 1, 4, "not-json", "integers have at most 64 bits"),
    ("a: {no: 1}\n", 1, 5, "ambiguous-key", 'write: "no":'),
    ("on: [push]\n", 1, 1, "ambiguous-key", "        - event: push"),
    ("a: {url: http://x?y=1}\n", 1, 18, "optional-in-braces", 'quote the value: url: "http://x?y=1"'),
    ("color: #fff\n", 1, 8, "lost-comment", 'quote the value: color: "#fff"'),
    ("a: {b: Hello, world}\n", 1, 15, "comma-in-text", 'quote the value before it: b: "Hello, world"'),
    ("a: {b: [1, 2\nc: d\n", 1, 8, "unclosed", "add the closing ]"),
    ("a: 'x\nb: 'y'\nc: d\n", 1, 4, "unclosed", "add the closing '"),
    ("steps:\n\t- llm: x\n", 2, 1, "tab", "spaces"),
    ("a: b\t# c\n", 1, 5, "tab", "spaces"),
    ("a:\tb\n", 1, 3, "tab", "spaces"),
    ("a: |\n  \tb\n", 2, 3, "tab", "say how deep the block is: |2"),
    ("files: *.pdf\n", 1, 8, "unquoted-special", 'write: files: "*.pdf"'),
    ("a: @b\n", 1, 4, "unquoted-special", 'write: a: "@b"'),
    ("assert: >= 3\n", 1, 9, "unquoted-special", 'write: assert: ">= 3"'),
    ('if: "a" == inputs.x\n', 1, 9, "text-after-quote", "if: '\"a\" == inputs.x'"),
    ("a: 'it's'\n", 1, 7, "text-after-quote", 'a: "it\'s"'),
    ('a: "C:\\q"\n', 1, 7, "escape", "write: a: 'C:\\q'"),
    ("a:b\nc: d\n", 1, 2, "no-space", "write: a: b"),
    ("a: b\nc\nd: e\n", 2, 1, "no-colon", "neither `key: value` nor an item"),
    ("- a: 1\n    b: 2\n", 2, 5, "indent", "begin it in column 3"),
    ("- a: 1\n b: 2\n", 2, 2, "indent", "its dashes begin in column 1"),
    ("a: - b\n", 1, 4, "list-inline", "a: [b]"),
    ("a: &x {b: 1}\nc: {<<: *x}\n", 2, 5, "merge-key", "write the keys out"),
    ("a: &x [*x]\n", 1, 8, "alias-loop", "write the value out"),
    ("a: &x 1\nb: &x 2\n", 2, 4, "duplicate-anchor", "another name"),
    ("k" * 1100 + ": 1\n", 1, 1, "long-key", "longer than 1024"),
    ('"' + "k" * 1100 + '": 1\n', 1, 1, "long-key", "longer than 1024"),
    ("? [a]\n: b\n", 1, 3, "complex-key", "this is a list"),
    ("{{ a }}: 3\n", 1, 1, "template-key", "cannot be a template"),
    (": x\n", 1, 1, "empty-key", "before it"),
    ("a: 1\n---\nb: 2\n", 2, 1, "several-documents", "a file of its own"),
    ("a: x\u2028b: 3\n", 1, 5, "character", "U+2028"),
    ("a: \x01\n", 1, 4, "character", "U+0001"),
    ("%TAG ! tag:x\n---\na: 1\n", 1, 1, "bang", "remove the %TAG line"),
    ("", 1, 1, "empty-file", "steps:"),
    ("---\n", 1, 1, "empty-file", "steps:"),
    ("# later\n", 1, 1, "empty-file", "nothing but comments"),
]


@pytest.mark.parametrize(("text", "line", "column", "code", "words"), KIN)
def test_kin_of_the_golden_messages(text: str, line: int, column: int, code: str, words: str) -> None:
    _, problems = read_document(text, "f")
    assert [(p.line, p.column, p.code) for p in problems] == [(line, column, code)]
    assert words in f"{problems[0].message}\n{problems[0].hint}"


def test_all_faults_at_once_and_the_data_that_was_meant() -> None:
    text = "a: {{ x }} y\nb: NO\nc: x: y\nd: !foo\nd: 1\ne: *nope\nif: !z\nf: [{{ v }}]\n"
    document, problems = read_document(text, "f")
    codes = [
        "unquoted-template",
        "ambiguous-scalar",
        "colon-in-text",
        "bang",
        "duplicate-key",
        "unknown-anchor",
        "bang",
        "unquoted-template",
    ]
    assert [(p.line, p.code) for p in problems] == list(zip([1, 2, 3, 4, 5, 6, 7, 8], codes, strict=True))
    assert document is not None
    assert document.data == {"a": "{{ x }} y", "b": "NO", "c": "x: y", "d": 1, "e": None, "if": "not z", "f": ["{{ v }}"]}


def test_what_is_fine() -> None:
    text = (
        "# comment #hash\na: Hello {{ x }}  # fine\nb: \"{{ y }}\"\nc: {d: '{{ z }}', e: [1, -2.5, true, null, ~]}\nf: 09:00\ng: 0x1F\n"
        "h: |\n  x # y: z\n  \t!a\ni: >\n  a\n  b\n200: ok\ntrue: yes please\nj: http://x?y=1#z\nk: &k {l: 1}\nm: [*k, *k]\nn?: string\no: y\n"
        'p: a #\nq: "tab\t"\n'
    )
    assert load_document(text, "f").data == {
        "a": "Hello {{ x }}", "b": "{{ y }}", "c": {"d": "{{ z }}", "e": [1, -2.5, True, None, None]}, "f": "09:00", "g": 31,
        "h": "x # y: z\n\t!a\n", "i": "a b\n", "200": "ok", "true": "yes please", "j": "http://x?y=1#z", "k": {"l": 1},
        "m": [{"l": 1}, {"l": 1}], "n?": "string", "o": "y", "p": "a", "q": "tab\t",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\r\nb: |\r\n  x\r\n  y\r\n", "a: 1\rb: |\r  x\r  y\r", "--- \na: 1\nb: |\n  x\n  y\n"]
)
def test_marks_and_line_breaks_of_other_systems(text: str) -> None:
    document = load_document(text, "f")
    assert document.data == {"a": 1, "b": "x\ny\n"}
    assert document.key_at(("b",))[1] == 1


def test_empty_files_where_they_are_fine() -> None:
    assert load_document("# nothing\n", "aiflow.yaml", empty=True).data is None
    assert load_document("", "aiflow.yaml", empty=True).value_at(("a",)) == (1, 1)


PLACES = """\
steps:
  - id: a
    text: "x\\ty {{ b }}"
    set: {one: 'it''s {{ c }}', two: plain {{ d
      }} e}
  - body: |
      first {{ e }}

      second {{ f }}
    fold: >-
      one {{ g }}
      two {{ h }}

      three {{ i }}
    multi: "one
      two {{ j }}"
    anchored: &x  see {{ k }}
    again: *x
"""


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (("steps", 0, "text"), "b"), (("steps", 0, "set", "one"), "c"), (("steps", 1, "body"), "e"),
        (("steps", 1, "body"), "f"), (("steps", 1, "fold"), "g"), (("steps", 1, "fold"), "h"), (("steps", 1, "fold"), "i"),
        (("steps", 1, "multi"), "j"), (("steps", 1, "anchored"), "k"), (("steps", 1, "again"), "k"),
    ],
)  # fmt: skip
def test_places_inside_of_texts(path: tuple[Any, ...], word: str) -> None:
    text = PLACES.replace("two: plain {{ d\n      }} e}", "two: 1}")
    document = load_document(text, "f")
    value: Any = document.data
    for part in path:
        value = value[part]
    at = text.index("{{ " + word + " }}") + 3
    expected = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
    assert document.column_in(path, value.index("{{ " + word) + 3) == expected


def test_places_of_keys_values_and_the_unknown() -> None:
    document = load_document("a:\n  b: [1, {c: d}]\n  e: &x\n    f: 1\ng: *x\n", "f")
    assert document.key_at(("a", "b")) == (2, 3)
    assert document.value_at(("a", "b")) == (2, 6)
    assert document.key_at(("a", "b", 1)) == (2, 10)
    assert document.key_at(("a", "b", 1, "c")) == (2, 11)
    assert document.value_at(("a", "e")) == (4, 5)
    assert document.value_at(("g",)) == (5, 4)
    assert document.key_at(("g", "f")) == (4, 5)
    assert document.value_at(("a", "nothing", "there")) == document.value_at(("a",))
    assert document.source_of(("a", "b")) == "[1, {c: d}]"
    assert document.problem(("a", "b", 1, "c"), "m", "code", key=True).column == 11


def test_column_is_counted_in_characters_also_behind_emoji() -> None:
    document = load_document('a: {b: "😀😀 {{ x }}", c: NÖ}\n', "f")
    assert document.column_in(("a", "b"), 6) == (1, 15)
    assert document.value_at(("a", "c")) == (1, 25)


def _bomb() -> str:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]" for i in range(9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 100_000, "too-deep"), ("{" * 100_000, "too-deep"), ("- " * 100_000, "too-deep"),
        ("[" * 1_000_000, "too-large"), ("a: " + "x" * 5_000_000, "too-large"), (_bomb(), "too-many-values"),
        ("".join(f"k{n}: 1\n" for n in range(20_000)), "too-many-values"), ("a: " + "9" * 5000, "not-json"),
        ("x: [" + "1," * 50_000 + "]", "too-many-values"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_quickly(text: str, code: str) -> None:
    start = time.process_time()
    _, problems = read_document(text, "f")
    assert [p.code for p in problems] == [code]
    assert time.process_time() - start < 1.0


def test_depth_is_counted_through_aliases() -> None:
    text = "a: &a " + "[" * 25 + "]" * 25 + "\nb: " + "[" * 25 + "*a" + "]" * 25
    assert [p.code for p in read_document(text, "f")[1]] == ["too-deep"]


def test_encodings(tmp_path: Any) -> None:
    for raw in ("a: 1".encode("utf-16"), "a: 1".encode("utf-16-be"), "a: 1".encode("utf-32")):
        with pytest.raises(SpecError, match="UTF-16"):
            decode_source(raw, "f")
    with pytest.raises(SpecError) as caught:
        decode_source("a: 1\nb: Größe".encode("latin-1"), "f")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 6)
    assert decode_source("\ufeffa: ö".encode(), "f") == "\ufeffa: ö"
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * 300_000)
    for place in (path, tmp_path, tmp_path / "no", tmp_path / "a\0b"):
        with pytest.raises(SpecError):
            read_source(place, "f")


def test_fifty_steps_load_in_ten_milliseconds() -> None:
    def workflow(steps: int) -> str:
        one = '  - id: s{n}\n    llm: prompts/a.md\n    with: {{text: "{{{{ steps.a.output }}}}"}}\n    retry: 3\n'
        return "steps:\n" + "".join(one.format(n=n) for n in range(steps))

    for steps, limit in ((50, 0.010), (800, 0.150)):
        best = 9.0
        for _ in range(5):
            start = time.process_time()
            load_document(workflow(steps), "f")
            best = min(best, time.process_time() - start)
        assert best < limit * 3, f"{steps} steps took {best * 1000:.0f} ms"  # thrice: shared machines


def test_rendering() -> None:
    text, _ = GOLDEN["1"]
    problem = read_document(text, SHOWN)[1][0]
    first, hint = str(problem).split("\n")
    caret = "  4 |       text: {{ inputs.text }}\n    |             ^^^^^^^^^^^^^^^^^"
    assert render_problem(problem, text) == f"{first}\n{caret}\n{hint}"
    assert render_problem(problem) == f"{first}\n{hint}"
    assert render_problem(problem, "short") == f"{first}\n{hint}"
    tab = read_document("a:\tb\n", "f")[1][0]
    assert "  1 | a:→b\n    |   ^" in render_problem(tab, "a:\tb\n")
    assert "\x1b[31m" in render_problem(tab, "a:\tb\n", colour=True)
    assert "\x1b" not in render_problem(read_document("\x1b[2J: NO\n", "f")[1][0], "\x1b[2J: NO\n")
    both = render_problems([problem, tab], {SHOWN: text, "f": "a:\tb\n"})
    assert both.count("\n\n") == 1 and both.count("^") == 18


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=60), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1, max_size=60), json_values, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_value_survives_writing_and_loading(value: Any) -> None:
    import json

    text = json.dumps(value, indent=1, ensure_ascii=True)
    document, problems = read_document(text, "f")
    wrong = {p.code for p in problems} - {"ambiguous-scalar", "escape"}  # 1e-05 and "\ud800" are JSON, not YAML
    assert not wrong
    if not problems:
        assert document is not None and document.data == value


pieces = st.lists(
    st.sampled_from(["a", "b: ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", '"', "'", "#", " #x", "!", "&a ", "*a", "{{ x }}",
                     "?", "|", ">", "%", "@", ":", "\t", "NO", "0117", "1e3", "\\", "---", "...", "on", "é", "😀", "\r\n", "\x85", "<<: ", "1"]),
    max_size=25,
).map("".join)  # fmt: skip


@given(st.text() | pieces)
@settings(max_examples=600, deadline=None)
def test_any_text_gives_a_document_or_problems(text: str) -> None:
    document, problems = read_document(text, "f", empty=True)
    assert document is not None or problems
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in problems:
        assert 1 <= problem.line <= len(lines) and problem.column >= 1
        assert problem.message and problem.code
        render_problem(problem, text)


def _texts_as_keys(value: Any, node: yaml.Node) -> Any:
    """What another reader made of the file, with keys as they are written."""
    if isinstance(node, yaml.MappingNode):
        return {k.value: _texts_as_keys(value[_key(k)], v) for k, v in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_texts_as_keys(one, part) for one, part in zip(value, node.value, strict=True)]
    return value


def _key(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_object(node)


@given(pieces)
@settings(max_examples=600, deadline=None)
def test_what_is_accepted_means_the_same_to_other_readers(text: str) -> None:
    document, problems = read_document(text, "f")
    if problems:
        return
    assert document is not None
    node = yaml.compose(document.text, Loader=yaml.SafeLoader)
    assert node is not None
    assert document.data == _texts_as_keys(yaml.safe_load(document.text), node)


@given(st.text(alphabet="0123456789.:-+_exobnafIyYNOoTtrueFlsse ~<=", max_size=12))
@settings(max_examples=600, deadline=None)
def test_scalars_are_read_as_pyyaml_does_or_refused(text: str) -> None:
    text = text.strip()
    found = resolve(text)
    if isinstance(found, Unclear):
        return
    tag: Any = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    theirs = yaml.SafeLoader("").construct_object(yaml.ScalarNode(tag, text))
    assert theirs == found and type(theirs) is type(found)


@given(st.text(alphabet="ab \n'\"\\\té", min_size=1, max_size=30), st.sampled_from(["'", '"', "|", ">"]), st.data())
@settings(max_examples=300, deadline=None)
def test_every_character_of_a_text_is_found_again(value: str, style: str, data: st.DataObject) -> None:
    text = yaml.dump({"k": {"x": value}}, default_style=style, allow_unicode=True, width=20)
    document, problems = read_document(text, "f")
    if problems or document is None or document.data["k"]["x"] != value:
        return
    offset = data.draw(st.integers(0, len(value) - 1))
    line, column = document.column_in(("k", "x"), offset)
    char = document.text.split("\n")[line - 1][column - 1 : column]
    # a folded break is a space in the value; an escape begins with a backslash
    assert (
        char == value[offset]
        or (char == "" and value[offset] in " \n")
        or char == "\\"
        or (value[offset] == "\n" and not char.strip())
    )


@given(st.text(alphabet="ab \n'\"\\\té😀", min_size=1, max_size=30), st.sampled_from(["'", '"', "|", ">"]), st.data())
@settings(max_examples=300, deadline=None)
def test_a_place_leads_back_to_the_character(value: str, style: str, data: st.DataObject) -> None:
    text = yaml.dump({"k": [1, {"x": value}]}, default_style=style, allow_unicode=True, width=20)
    document, problems = read_document(text, "f")
    if problems or document is None or document.data["k"][1]["x"] != value:
        return
    path = ("k", 1, "x")
    line, column = document.column_in(path, data.draw(st.integers(0, len(value) - 1)))
    spot = document.path_at(line, column)
    assert spot is not None and (spot.path, spot.on_key) == (path, False)
    assert spot.index is None or document.column_in(path, spot.index) == (line, column)


def test_what_stands_at_a_place() -> None:
    document = load_document("a:\n  b: [1, {c: d}]\n  e: &x\n    f: 1\ng: *x\nlast: end\n", "f")

    def at(line: int, column: int) -> tuple[tuple[Any, ...], bool] | None:
        spot = document.path_at(line, column)
        return (spot.path, spot.on_key) if spot else None

    assert at(1, 1) == (("a",), True)
    assert at(2, 3) == (("a", "b"), True)
    assert at(2, 7) == (("a", "b", 0), False)
    assert at(2, 11) == (("a", "b", 1, "c"), True)
    assert at(2, 14) == (("a", "b", 1, "c"), False)
    assert at(3, 3) == (("a", "e"), True)
    assert at(4, 8) == (("a", "e", "f"), False)
    assert at(5, 1) == (("g",), True)
    assert at(6, 8) == (("last",), False)
    assert [at(*place) for place in ((0, 1), (2, 1), (2, 16), (6, 5000), (99, 1))] == [None] * 5
