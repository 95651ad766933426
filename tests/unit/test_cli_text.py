"""Texts for terminals: nothing in data steers the terminal, and what is printed reads well."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiflow.cli import _text as text


@given(st.text())
def test_clean_leaves_nothing_that_steers_a_terminal(raw: str) -> None:
    cleaned = text.clean(raw)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in cleaned)
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b2Jb", "ab"),
        ("safe \u202eexe.txt", "safe exe.txt"),
        ("line one\r\nline two\ttab", "line one\nline two\ttab"),
        ("Größe 数 ✓", "Größe 数 ✓"),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert text.clean(raw) == cleaned


@given(st.text(), st.integers(2, 50))
def test_one_line_is_one_short_line(raw: str, most: int) -> None:
    made = text.one_line(raw, most)
    assert "\n" not in made and len(made) <= most


@pytest.mark.parametrize(
    ("ms", "said"),
    [(None, ""), (0, "0 ms"), (340, "340 ms"), (4200, "4.2 s"), (59_999, "60.0 s"), (185_000, "3m05s"), (7_800_000, "2h10m"),
     (273_600_000, "3d4h")],
)  # fmt: skip
def test_span(ms: int | None, said: str) -> None:
    assert text.span(ms) == said


@pytest.mark.parametrize(
    ("dollars", "said"), [(0, "$0.00"), (0.41, "$0.41"), (0.0012, "$0.0012"), (1234.5, "$1,234.50"), (1e-9, "<$0.000001")]
)
def test_money(dollars: float, said: str) -> None:
    assert text.money(dollars) == said


def test_table_aligns_wide_characters() -> None:
    lines = text.table([("数", "a"), ("abc", "b")])
    assert lines == ["数   a", "abc  b"]


def test_values_align_keys_and_show_kinds_of_values() -> None:
    a_file = {"path": "out/x.md", "name": "x.md", "ext": "md", "size": 3, "mime": "text/markdown", "sha256": "0"}
    lines = text.values(
        {"n": 3, "page": a_file, "names": ["a", "b"], "none": None, "flag": True, "nested": {"a": [1]}, "two": "x\ny"}
    )
    assert lines[:5] == ["n:       3", "page:    out/x.md", "names:   a, b", "none:    none", "flag:    true"]
    assert lines[5:] == ["nested:", "  {", '    "a": [', "      1", "    ]", "  }", "two:", "  x", "  y"]


def test_values_do_not_let_data_steer_the_terminal() -> None:
    shown = "\n".join(text.values({"a\x1b[2J": "x\x1b[31m", "list": ["\x1b[1m"], "map": {"k": "\u202e"}}))
    assert "\x1b" not in shown and "\u202e" not in shown


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False)],
)
def test_colours(environment: dict[str, str], terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    assert text.colourful(stream) is expected
