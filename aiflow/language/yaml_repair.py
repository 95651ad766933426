"""What the YAML parser complains about, said in the author's words; and how to read on behind it.

The parser stops at its first error. Each diagnosis that knows what was meant gives a `Repair`: the characters to take
as one text. `parse` puts a plain word of equal length there and parses again, so all places stay and the next fault is found too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from aiflow.language.yaml_quotes import behind_quotes, inside_quotes, long_key
from aiflow.language.yaml_templates import template_repair, value_start_on_line
from aiflow.language.yaml_text import Fault, Repair, in_flow, key_of, lead, line_span, quoted, value_end
from aiflow.language.yaml_tree import Node, build_tree

MAX_REPAIRS = 20  # faults that stop the parser, reported per file


@dataclass(slots=True)
class Parsed:
    """The tree (root None: not readable), the faults so far, and the texts meant at repaired places, by offset."""

    root: Node | None
    faults: list[Fault]
    meant: dict[int, str] = field(default_factory=dict)


def parse(text: str) -> Parsed:
    """Parse, repairing what can be repaired."""
    faults: list[Fault] = []
    meant: dict[int, str] = {}
    current = text
    for _ in range(MAX_REPAIRS):
        tree = build_tree(current)
        if tree.error is None:
            return Parsed(tree.root, faults + tree.faults, meant)
        repair = diagnose(current, tree.error)
        faults.append(repair.fault)
        if repair.start < 0:
            return Parsed(None, faults + tree.faults, meant)
        meant[repair.start] = text[repair.start : repair.end] if repair.meant is None else repair.meant
        current = current[: repair.start] + "x" * (repair.end - repair.start) + current[repair.end :]
    return Parsed(None, faults, meant)


def diagnose(text: str, error: yaml.MarkedYAMLError) -> Repair:
    """Explain the parser's error."""
    problem, context = error.problem or "", error.context or ""
    at = min(error.problem_mark.index if error.problem_mark else 0, len(text))
    origin = error.context_mark.index if error.context_mark else at
    if "quoted scalar" in context:
        return inside_quotes(text, problem, origin, at)
    if repair := template_repair(text, at, origin):
        return repair
    if "scanning a tag" in context or "tag handle" in problem:
        return _bang(text, origin)
    if "alias" in context or "anchor" in context:
        return _special(text, origin)
    if text[at : at + 1] == "\t":
        return Repair(_tab_in_block(at) if "block scalar" in context else tab_fault(at))
    if "cannot start any token" in problem or "block scalar" in context:
        return _special(text, origin if "block scalar" in context else at)
    if "not allowed" in problem:
        return _not_allowed(text, problem, at)
    if "simple key" in context:
        return _no_colon(text, origin)
    return _structure(text, context, origin, at)


def tab_fault(at: int, end: int = 0) -> Fault:
    """The fault of a tab outside of texts."""
    message = "YAML does not allow tabs between keys and values, only spaces"
    return Fault(at, end or at + 1, message, "tab", "replace the tab by spaces; most editors can be told to insert spaces")


def _tab_in_block(at: int) -> Fault:
    hint = "indent with spaces; if the tab belongs to the text, say how deep the block is: |2"
    return Fault(at, at + 1, "the first line of a block of text cannot begin with a tab", "tab", hint)


def _bang(text: str, at: int) -> Repair:
    end = value_end(text, at, flow=False)
    return Repair(bang_fault(text, at, end), at, end, negated(text[at:end]) if key_of(text, at) in CONDITIONS else None)


CONDITIONS = frozenset({"if", "each", "until", "match", "switch", "assert", "that", "key"})


def negated(value: str) -> str:
    """A condition in the words of other languages, in ours."""
    return re.sub(r"!(?!=)\s*", "not ", value).replace("&&", "and").replace("||", "or")


def bang_fault(text: str, at: int, end: int) -> Fault:
    """The fault of a `!`: meant as "not", or a tag."""
    value, key = text[at:end], key_of(text, at)
    name = re.match(r"!\S*", value)
    stop = at + (name.end() if name else 1)
    if key in CONDITIONS:
        hint = f"write: {key}: {negated(value)}"
        return Fault(at, at + 1, '`!` starts a YAML tag, it does not mean "not"', "bang", hint)
    rest = value[stop - at :].strip()
    hint = "remove it" if value.startswith("!!") else f"if the `!` is meant: {lead(text, at)}{quoted(value)}"
    if value.startswith("!!str ") and rest and rest[0] not in "\"'|>":
        hint = f"write: {lead(text, at)}{quoted(rest)}"
    return Fault(at, stop, f"`{value[: stop - at]}` is a YAML tag, and aiflow has none", "bang", hint)


_MEANINGS = {
    "*": "`*` at the start of a value stands for an anchor",
    "&": "`&` at the start of a value names an anchor",
    "|": "`|` at the start of a value begins a block of text on the next line",
    ">": "`>` at the start of a value begins a block of text on the next line",
}


def _special(text: str, at: int) -> Repair:
    """A value that starts with a character that means something to YAML."""
    begin = line_span(text, at)[0]
    value = value_start_on_line(text, begin, at, False)
    if text[value : value + 1] == "!":
        return _bang(text, value)
    end = max(at + 1, value_end(text, at, flow=in_flow(text, at)))
    char = text[at : at + 1]
    shown = "a backtick" if char == "`" else f"`{char}`"
    message = _MEANINGS.get(char, f"a value cannot start with {shown}") + "; as part of a text it must be in quotes"
    return Repair(Fault(at, at + 1, message, "unquoted-special", f"write: {lead(text, at)}{quoted(text[at:end])}"), at, end)


_KEY_START = re.compile(r"\s*(?:-\s+)*")


def _not_allowed(text: str, problem: str, at: int) -> Repair:
    begin, end = line_span(text, at)
    if "sequence" in problem:
        message = "a list cannot begin on the line of its key"
        value = text[at:end].strip()
        hint = f"put it on the next line, or write: {lead(text, at)}[{value.removeprefix('-').strip()}]"
        return Repair(Fault(at, at + 1, message, "list-inline", hint), at, value_end(text, at, flow=False))
    if "mapping keys" in problem:
        return _special(text, at)
    first = re.match(r"""\s*(?:-\s+)*(?:"[^"]*"|'[^']*'|[^\s"'#][^:\n]*?):\s+""", text[begin:at])
    if first:
        start = begin + first.end()
        stop = value_end(text, start, flow=False)
        hint = f"quote the value: {lead(text, start)}{quoted(text[start:stop])}"
        return Repair(Fault(at, at + 1, "`: ` inside an unquoted value starts a new key", "colon-in-text", hint), start, stop)
    return Repair(_too_deep(text, begin, at))


def _too_deep(text: str, begin: int, at: int) -> Fault:
    """A `key:` that YAML reads as a continuation of the text above."""
    start = begin + _KEY_START.match(text[begin:at]).end()  # type: ignore[union-attr]
    name = text[start:at].strip()
    if len(name) > 1000:
        return long_key(start, at)
    above = text[: max(0, begin - 1)].rstrip()
    above_begin, above_end = line_span(text, max(0, len(above) - 1))
    line = text[above_begin:above_end]
    if glued := re.match(r"\s*(?:-\s+)*([\w.?-]+):(?=\S)", line):
        place = above_begin + glued.end() - 1
        hint = f"write: {glued[1]}: {line[glued.end() :].strip()}"
        return Fault(place, place + 1, "there must be a space after the colon of a key", "no-space", hint)
    column = len(_KEY_START.match(line)[0]) + 1  # type: ignore[index]
    message = f"`{name}` continues the value of the line above, because it is indented deeper"
    return Fault(start, at, message, "indent", f"begin it in column {column} to make it a key beside the one above")


def _no_colon(text: str, at: int) -> Repair:
    end = value_end(text, at, flow=False)
    words = text[at:end]
    if glued := re.match(r"([\w.?-]+):(?=\S)", words):
        hint = f"write: {glued[1]}: {words[glued.end() :]}"
        place = at + glued.end() - 1
        return Repair(Fault(place, place + 1, "there must be a space after the colon of a key", "no-space", hint))
    shown = words if len(words) <= 40 else words[:37] + "..."
    hint = "a text over several lines is indented deeper than its key, or follows a `|`"
    return Repair(Fault(at, end, f"`{shown}` is neither `key: value` nor an item of a list", "no-colon", hint))


def _structure(text: str, context: str, origin: int, at: int) -> Repair:
    if not context and "%" not in text[at : at + 1]:
        message = "the document ended above this line; a file holds one"
        return Repair(Fault(at, at + 1, message, "several-documents", "remove the line `...`"))
    if repair := behind_quotes(text, at):
        return repair
    if "flow" in context and text[at : at + 1] == ":" and line_span(text, at)[0] == line_span(text, origin)[0]:
        start = value_start_on_line(text, line_span(text, at)[0], at, True)
        stop = value_end(text, start, flow=True)
        hint = f"quote the value: {lead(text, start)}{quoted(text[start:stop])}"
        return Repair(Fault(at, at + 1, "`: ` inside an unquoted value starts a new key", "colon-in-text", hint), start, stop)
    if "flow" in context and text[origin : origin + 1] in ("{", "["):
        return Repair(_unclosed(text, origin, at))
    char = text[at : at + 1]
    if char in ("}", "]", ","):
        return Repair(Fault(at, at + 1, f"`{char}` closes nothing here", "unclosed", "remove it, or quote the value"))
    if char == ":":
        return Repair(Fault(at, at + 1, "there is no key before this colon", "empty-key", "write the key's name before it"))
    if text[at : at + 1] == "%":
        return Repair(Fault(at, at + 1, "aiflow reads YAML 1.1 and 1.2", "yaml", "remove the line that starts with %"))
    return Repair(_misaligned(text, context, origin, at))


def _unclosed(text: str, origin: int, at: int) -> Fault:
    opening = text[origin]
    closing = "}" if opening == "{" else "]"
    hint = f"add the closing {closing}"
    line = text[origin : line_span(text, origin)[1]]
    if re.search(r"[ \t]#", line):
        hint += "; on this line everything after ` #` is a comment"
    last = text[:at].rstrip()[-1:]
    if line_span(text, at)[0] == line_span(text, origin)[0]:
        return Fault(
            at,
            at + 1,
            f"a `,` or the closing `{closing}` is missing before this",
            "unclosed",
            f"the {opening} began in the same line",
        )
    if last in ("'", '"') or text[at : at + 1] in ("'", '"'):
        hint += ", or a quote that is missing above"
    return Fault(origin, origin + 1, f"this `{opening}` is never closed", "unclosed", hint)


def _misaligned(text: str, context: str, origin: int, at: int) -> Fault:
    begin, end = line_span(text, at)
    column = origin - line_span(text, origin)[0] + 1
    what = "list" if "collection" in context or "sequence" in context else "map"
    line = text.count("\n", 0, origin) + 1
    message = f"this does not line up with the {what} that began on line {line}"
    hint = f"its {'dashes' if what == 'list' else 'keys'} begin in column {column}"
    return Fault(at, max(at + 1, end), message, "indent", hint)
