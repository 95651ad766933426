"""Templates without quotes: `text: {{ inputs.text }}` is a map in a map to YAML, or an error some words later."""

from __future__ import annotations

import re

from aiflow.language.yaml_text import Fault, Repair, lead, line_span, quoted, value_end


def template_fault(text: str, start: int, brace: int, end: int) -> Fault:
    """The fault of a template without quotes. `start` to `end` is the value, `brace` the place of its first brace."""
    opening = text[brace : brace + 2]
    if start == brace and opening == "{{":
        message = "a value that starts with `{{` must be in quotes; YAML reads a bare `{` as the start of a map"
    elif start == brace:
        message = f"a value that starts with `{opening}` must be in quotes; YAML reads a bare `{{` as the start of a map"
    else:
        message = f"a value with `{opening}` inside {{ }} or [ ] must be in quotes; YAML reads a bare `{{` as the start of a map"
    hint = f"write: {lead(text, start)}{quoted(text[start:end])}"
    return Fault(brace, end, message, "unquoted-template", hint)


def template_repair(text: str, at: int, origin: int) -> Repair | None:
    """The first unquoted `{{` or `{%` before `at` on its line; else one that opens the collection at `origin`."""
    for place, limit in ((at, at), (origin, at), (_line_before(text, at), at)):
        begin, end = line_span(text, place)
        brace = _first_brace(text, begin, min(end, limit + 1))
        if brace is None:
            continue
        start, flow = brace
        value = value_start_on_line(text, begin, start, flow)
        stop = value_end(text, value, flow=flow)
        if stop > start + 1:
            return Repair(template_fault(text, value, start, stop), value, stop)
    return None


def _line_before(text: str, at: int) -> int:
    begin = line_span(text, at)[0]
    return max(0, begin - 1)


_TOKEN = re.compile(
    r"""\s*(?:(?P<quote>"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?)|(?P<brace>\{[{%])|(?P<open>[\[{,])|(?P<rest>[^\s{\[,]+))"""
)


def _first_brace(text: str, begin: int, end: int) -> tuple[int, bool] | None:
    """Offset of an unquoted template on the line and whether it stands in a flow collection."""
    flow, place, fresh = False, begin, True
    line_end = line_span(text, begin)[1]
    if "{{" not in text[begin:line_end] and "{%" not in text[begin:line_end]:
        return None
    while place < end and (match := _TOKEN.match(text, place, line_end)):
        if match["brace"]:
            if flow or fresh or text[match.start("brace") + 1] == "%":
                return (match.start("brace"), flow) if match.start("brace") < end else None
        elif match["rest"] and match["rest"].startswith("#"):
            return None
        flow = flow or match["open"] is not None
        fresh = bool(match["open"]) or (match["rest"] or "").endswith((":", "-"))
        place = match.end()
    return None


def value_start_on_line(text: str, begin: int, brace: int, flow: bool) -> int:
    """Where the plain text that holds the brace starts."""
    before = text[begin:brace]
    last = 0
    for match in re.finditer(r":\s+|[\[{,]\s*|(?:^|\s)-\s+|^\s+" if flow else r":\s+|^\s*(?:-\s+)+|^\s+", before):
        last = match.end()
    return begin + last
