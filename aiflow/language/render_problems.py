"""Problems as text for a terminal: the sentence, the line of the source with a caret, and what to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aiflow.language.problems import Problem

_RED, _YELLOW, _BLUE, _BOLD, _DIM, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[34m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_WIDEST = 160  # characters of a source line that are shown

Sources = Mapping[str, str] | Callable[[str], str | None]


def render_problem(problem: Problem, source: str | None = None, *, colour: bool = False) -> str:
    """One problem in several lines, without a line break at the end.

    Args:
        source: the text of the file, or None: then no line of it is shown.
        colour: with ANSI colours; without, the first and the hint's lines are those of `str(problem)`.
    """
    lines = [_first(problem, colour)]
    lines.extend(_excerpt(problem, source, colour) if source is not None else [])
    lines.extend(f"    {line}" for line in problem.hint.splitlines())
    return "\n".join(lines)


def render_problems(problems: Iterable[Problem], sources: Sources, *, colour: bool = False) -> str:
    """All problems in the order given, an empty line between them.

    Args: sources: text by the file's shown name, as a map or a function (None: not at hand).
    """
    find = sources if callable(sources) else sources.get
    return "\n\n".join(render_problem(problem, find(problem.file), colour=colour) for problem in problems)


def _first(problem: Problem, colour: bool) -> str:
    head = str(problem).split("\n", 1)[0]
    if not colour:
        return _printable(head)
    place = f"{problem.file}:{problem.line}:{problem.column}:"
    word = f"{_BLUE}hint:{_OFF} " if problem.severity == "hint" else ""
    tint = _YELLOW if problem.severity == "hint" else _RED
    return f"{_BOLD}{_printable(place)}{_OFF} {word}{_printable(problem.message)} {tint}[{problem.code}]{_OFF}"


def _excerpt(problem: Problem, source: str, colour: bool) -> list[str]:
    all_lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not 1 <= problem.line <= len(all_lines):
        return []
    line = _printable(all_lines[problem.line - 1].removeprefix("\ufeff"))
    if not line.strip():
        return []
    column = min(problem.column - 1, len(line))
    cut = max(0, column - _WIDEST // 2) if len(line) > _WIDEST else 0
    shown = line[cut : cut + _WIDEST]
    width = max(1, min(problem.length, len(shown) - (column - cut)))
    number = str(problem.line)
    mark = " " * (column - cut) + "^" * width
    if colour:
        tint = _YELLOW if problem.severity == "hint" else _RED
        return [f"  {_DIM}{number} |{_OFF} {shown}", f"  {' ' * len(number)} {_DIM}|{_OFF} {tint}{mark}{_OFF}"]
    return [f"  {number} | {shown}", f"  {' ' * len(number)} | {mark}"]


def _printable(text: str) -> str:
    """Tabs as an arrow; control and direction characters, which could repaint a terminal, as a box."""
    return "".join(
        "→"
        if char == "\t"
        else "\ufffd"
        if ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        else char
        for char in text
    )
