"""Filters and tests of the language: what they give, refuse and may use."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiflow.errors import ExpressionError
from aiflow.language.chunks import chunk
from aiflow.language.expressions import compile_value
from aiflow.language.filters import FILTERS, TESTS, signature_of

ROWS = [{"n": "b", "v": 2, "t": ["x"]}, {"n": "a", "v": 3, "t": []}, {"n": "B", "v": 1, "t": ["y", "z"]}]
SCOPE = {"rows": ROWS, "l": [3, None, 1, 2], "nul": None, "s": "Hello big  World", "m": {"b": 1, "a": None, "items": "mine"},
         "at": "2026-03-01T09:30:00Z", "local": "2026-03-01T09:30:00.250+01:00"}  # fmt: skip


def value(expression: str) -> Any:
    return compile_value("{{ " + expression + " }}").evaluate(SCOPE)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("l | compact", [3, 1, 2]),
        ("m | compact", {"b": 1, "items": "mine"}),
        ("[[1], [2, [3]], 4] | flatten", [1, 2, 3, 4]),
        ("[[1], [2, [3]], 4] | flatten(1)", [1, 2, [3], 4]),
        ("l | compact | mean", 2.0),
        ("[] | mean", None),
        ("m | json", '{"b": 1, "a": null, "items": "mine"}'),
        ("m | tojson", '{"b": 1, "a": null, "items": "mine"}'),
        ("'[1, {\"a\": \"é\"}]' | from_json", [1, {"a": "é"}]),
        ("m | items", [["b", 1], ["a", None], ["items", "mine"]]),
        ("m.items", "mine"),
        ("at | add('3d')", "2026-03-04T09:30:00Z"),
        ("at | add('-90m')", "2026-03-01T08:00:00Z"),
        ("local | add('1h')", "2026-03-01T10:30:00.250+01:00"),
        ("at | date('%d.%m.%Y %H:%M')", "01.03.2026 09:30"),
        ("at | date", "2026-03-01"),
        ("'Größe & Preis, Ñandú!' | slug", "grosse-preis-nandu"),
        ("'abc' | sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (r"'a1b22' | regex_replace('[0-9]+', '#')", "a#b#"),
        (r"'John Smith' | regex_replace('(\\w+) (\\w+)', '\\2, \\1')", "Smith, John"),
        ("'abcdefgh' | tokens", 2),
        ("s is matches('big')", True),
        ("s is matches('^big')", False),
        ("rows | map(attribute='n') | list", ["b", "a", "B"]),
        ("rows | map(attribute='t.0', default='-')", ["x", "-", "y"]),
        ("['a', 'b'] | map('upper')", ["A", "B"]),
        ("rows | selectattr('v', 'ge', 2) | map(attribute='n')", ["b", "a"]),
        ("rows | rejectattr('t') | map(attribute='n')", ["a"]),
        ("rows | selectattr('q', 'defined')", []),
        ("l | select('number') | sort", [1, 2, 3]),
        ("l | reject('none') | sort(reverse=true)", [3, 2, 1]),
        ("rows | sort(attribute='n,v') | map(attribute='v')", [3, 1, 2]),
        ("rows | groupby('v') | map('first')", [1, 2, 3]),
        ("rows | sum(attribute='v')", 6),
        ("rows | max(attribute='v')", ROWS[1]),
        ("rows | map(attribute='n') | unique", ["b", "a"]),
        ("[1, 2, 3, 4, 5] | batch(2, 0)", [[1, 2], [3, 4], [5, 0]]),
        ("[1, 2, 3, 4, 5] | slice(3)", [[1, 2], [3, 4], [5]]),
        ("[1, 2] | join(', ')", "1, 2"),
        ("'a,b' | split(',')", ["a", "b"]),
        ("'x' | default('y')", "x"),
        ("nul | default('y')", "y"),
        ("nul.a.b[0] | default('y')", "y"),
        ("gone.a | default('y')", "y"),
        ("'' | default('y')", ""),
        ("'' | default('y', true)", "y"),
        ("0 | d(1)", 0),
        ("'42' | int + 1", 43),
        ("'x' | int(default=7)", 7),
        ("'1.5' | float", 1.5),
        ("2.567 | round(1)", 2.6),
        ("'<b>A &amp; B</b>  <i' | striptags", "A & B <i"),
        ("'a <b>' | e", "a &lt;b&gt;"),
        ("s | truncate(9)", "Hello..."),
        ("'a\nb' | indent(2)", "a\n  b"),
        ("'%s is %.2f' | format('x', 1.234)", "x is 1.23"),
        ("{'q': 'a b', 'n': 1} | urlencode", "q=a+b&n=1"),
        ("[1, 2] | reverse", [2, 1]),
        ("'hello world' | title", "Hello World"),
        ("[] | first", None),
        ("m | dictsort", [["a", None], ["b", 1], ["items", "mine"]]),
    ],
)  # fmt: skip
def test_what_filters_give(expression: str, expected: Any) -> None:
    made = value(expression)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("nul | upper", "null cannot be put into text"),
        ("l | join(',')", "null cannot be joined"),
        ("s | sort", "`sort` needs a list, not text"),
        ("[1, 'a'] | sort", "needs items of one type"),
        ("l | sum", "needs numbers, and there is null"),
        ("'x' | int", "'x' is not a whole number"),
        ("rows | map(attribute='q')", "`item.q` does not exist"),
        ("rows | map(attribute='__class__')", "is not a field"),
        ("rows | map(s)", "there is no filter"),
        ("rows | map('round', 1)", "needs a number, not map"),
        ("'{' | from_json", "this is not JSON"),
        ("'NaN' | from_json", "this is not JSON"),
        ("at | add('3 days')", "is not a duration"),
        ("'2026-03-01T09:30:00' | add('3d')", "no time zone"),
        ("at | date('%999999d')", "does not know `%9`"),
        ("s | regex_replace('(', '')", "is not a regular expression"),
        ("s | regex_replace('(((a{100}){100}){100}){100}', '')", "multiply to"),
        ("('a' ~ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!') is matches('^(a|aa)+$')", "takes too long"),
        ("s | chunk(0)", "size of at least 1"),
        ("s | chunk(10, 5)", "less than half"),
        ("s | length > 'a'", "have no order"),
        ("'%99999999d' | format(1)", "up to 999"),
    ],
)  # fmt: skip
def test_what_filters_refuse(expression: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(expression)
    assert words in caught.value.message


def test_filters_of_jinja_that_are_left_out() -> None:
    assert not {"safe", "attr", "pprint", "xmlattr", "random"} & set(FILTERS)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_survives_any_value(name: str) -> None:
    least = signature_of("filter", name).least
    for given_value in [None, True, 0, -1.5, "", "text", [], [None], [[1, 2]], [{"a": 1}], {}, {"a": [1]}, "\ud800"]:
        for argument in ["a", 1, None, ["x"]]:
            scope = {"v": given_value, "x": argument}
            text = "{{ v | " + name + "(" + ", ".join(["x"] * least) + ") }}"
            try:
                made = compile_value(text).evaluate(scope)
            except ExpressionError:
                continue
            json.dumps(made)


@pytest.mark.parametrize("name", [name for name in sorted(TESTS) if name.isidentifier()])
def test_every_test_survives_any_value(name: str) -> None:
    least = signature_of("test", name).least
    for given_value in [None, True, 0, "", "text", [], {"a": 1}]:
        text = "{{ v is " + ("not " if name == "in" else "") + name + "(" + ", ".join(["x"] * least) + ") }}"
        if name in ("in", "true", "false", "none"):
            text = "{{ [v] | select('" + name + "'" + ", x" * least + ") | length }}"
        try:
            made = compile_value(text).evaluate({"v": given_value, "x": "a"})
        except ExpressionError:
            continue
        assert isinstance(made, (bool, int))


TEXTS = st.text(alphabet="abc .!?\n。é", max_size=400)


@given(TEXTS, st.integers(1, 50), st.integers(0, 30))
def test_chunks_lose_nothing(text: str, size: int, overlap: int) -> None:
    overlap = min(overlap, max(0, (size - 1) // 2))
    chunks = chunk(text, size, overlap)
    assert all(0 < len(part) <= size for part in chunks)
    assert chunks == chunk(text, size, overlap)
    assert "".join(chunk(text, size)) == text
    end = 0
    for part in chunks:
        start = next(at for at in range(end, max(-1, end - overlap - 1), -1) if text.startswith(part, at) and at + len(part) > end)
        end = start + len(part)
    assert end == len(text)


def test_chunks_end_where_sense_ends() -> None:
    text = "One two three. Four five six.\n\nSeven eight nine. Ten eleven twelve thirteen"
    assert chunk(text, 40) == ["One two three. Four five six.\n\n", "Seven eight nine. Ten eleven twelve ", "thirteen"]
    assert chunk("one two three four", 12, 5)[1].startswith("two")


def test_chunks_of_ten_megabytes_are_fast() -> None:
    text = ("Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 20 + "\n\n") * 9_000
    start = time.thread_time()
    chunks = compile_value("{{ t | chunk(1200, overlap=150) }}").evaluate({"t": text})
    assert len(text) > 10_000_000 and len(chunks) > 8_000
    assert time.thread_time() - start < 3


@settings(max_examples=50)
@given(st.lists(st.one_of(st.integers(-9, 9), st.text(max_size=3), st.none(), st.booleans(), st.lists(st.integers(), max_size=2))))
def test_unique_keeps_the_first_of_equals(items: list[Any]) -> None:
    made = compile_value("{{ l | unique(case_sensitive=true) }}").evaluate({"l": [i for i in items if i is not None]})
    assert [json.dumps(i) for i in made] == list(dict.fromkeys(json.dumps(i) for i in items if i is not None))
