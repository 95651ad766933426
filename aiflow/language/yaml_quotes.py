"""Quotes that are never closed, closed too late, or only around a part of a value; escapes that YAML does not know."""

from __future__ import annotations

import re

import yaml

from aiflow.language.yaml_text import Fault, Repair, in_flow, lead, line_span, quoted, value_end
from aiflow.language.yaml_tree import Loader


def long_key(start: int, end: int) -> Fault:
    """The fault of a key that YAML cannot read for its length, or of a text that looks like one."""
    message = "this key is longer than 1024 characters, or it is a text with a colon that needs quotes"
    return Fault(start, end, message, "long-key", "put the whole value in quotes, or shorten the key")


def inside_quotes(text: str, problem: str, origin: int, at: int) -> Repair:
    quote = text[origin]
    if "end of stream" in problem or "document indicator" in problem:
        return Repair(Fault(origin, origin + 1, "this quote is never closed", "unclosed", f"add the closing {quote}"))
    slash = text.rfind("\\", origin, at + 1)
    if slash < 0:
        return Repair(Fault(at, at + 1, f"{problem} inside quotes", "yaml"))
    end = _closing(text, origin)
    message = f"`{text[slash : slash + 2]}` is no escape that YAML knows, in double quotes"
    value = text[origin + 1 : end - 1]
    hint = f"write: {lead(text, origin)}'{value}'" if "'" not in value and "\n" not in value else "write the backslash twice"
    return Repair(Fault(slash, slash + 2, message, "escape", hint), origin, end, value)


def _closing(text: str, origin: int) -> int:
    """Just behind the closing double quote, or the end of the line."""
    found = re.compile(r'"(?:[^"\\]|\\.)*"', re.S).match(text, origin)
    return found.end() if found else line_span(text, origin)[1]


def behind_quotes(text: str, at: int) -> Repair | None:
    """Text behind a closing quote: a value that only begins with a quoted word, or a quote that closed too late."""
    found = _quote_before(text, at)
    if found is None:
        return None
    start, stop = found
    if text[at : at + 1] == ":" and stop - start > 1000:
        return Repair(long_key(start, stop))
    if "\n" in text[start:stop]:
        line = text.count("\n", 0, at) + 1
        message = f"this quote is not closed on its line, but only by the next one on line {line}"
        return Repair(Fault(start, start + 1, message, "unclosed", f"add the closing {text[start]}"))
    value_stop = value_end(text, start, flow=in_flow(text, start))
    value = text[start:value_stop]
    if value[-1] == value[0] and value.count(value[0]) == 3:
        value = value[1:-1]
    message = "more text follows after the closing quote"
    if text[at - 1] == text[start] and text[at : at + 1].isalnum():
        message = "this quote closes the text, and more follows"
        at -= 1
    hint = f"put the whole value in quotes: {lead(text, start)}{quoted(value)}"
    return Repair(Fault(at, max(at + 1, value_stop), message, "text-after-quote", hint), start, value_stop, value)


def _quote_before(text: str, at: int) -> tuple[int, int] | None:
    """The quoted scalar that ends right before `at`, by reading the tokens up to there."""
    last: tuple[int, int] | None = None
    try:
        for token in yaml.scan(text, Loader=Loader):
            if token.start_mark.index >= at:
                break
            quote = isinstance(token, yaml.ScalarToken) and token.style in ("'", '"')
            last = (token.start_mark.index, token.end_mark.index) if quote else None
    except yaml.YAMLError:
        pass
    return last if last and not text[last[1] : at].strip(" \t") else None
