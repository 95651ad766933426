"""A tree of YAML nodes to plain Python values, refusing what readers of YAML would take differently (DSL 3.16)."""

from __future__ import annotations

import re
from typing import Any

from aiflow.language.yaml_places import value_start
from aiflow.language.yaml_repair import CONDITIONS, Parsed, bang_fault, negated, tab_fault
from aiflow.language.yaml_scalars import Unclear, resolve
from aiflow.language.yaml_templates import template_fault
from aiflow.language.yaml_text import Fault, key_of, lead, line_span, quoted, value_end
from aiflow.language.yaml_tree import Node

_STEP_LISTS = frozenset({"steps", "do", "else", "on_error", "on_timeout", "finally"})
_WHAT = {
    "fail": "the message", "message": "the message", "stop": "the reason", "reason": "the reason", "llm": "the prompt",
    "approve": "the question", "shell": "the script", "run": "the script", "description": "the description",
}  # fmt: skip
_LOST = re.compile(r"[ \t]+(#)(?=[\w{\"'])")
_UNSURE_FIRST = frozenset("0123456789+-.~<=nNtTfFyYoO")

Path = tuple[Any, ...]


def build_values(text: str, parsed: Parsed) -> tuple[Any, list[Fault]]:
    """The data of the document, and the faults found on the way (the parser's are not repeated)."""
    builder = _Values(text, parsed.meant)
    data = builder.value(parsed.root, ()) if parsed.root is not None else None
    if "\t" in text and parsed.root is not None:
        builder.faults.extend(_tabs(text, builder.spans))
    return data, builder.faults


class _Values:
    """Walks the tree; depth is bounded by `MAX_DEPTH`, so recursion is safe."""

    def __init__(self, text: str, meant: dict[int, str]) -> None:
        self.text, self.meant = text, meant
        self.faults: list[Fault] = []
        self.spans: list[tuple[int, int]] = []
        self.silent = 0  # inside of an alias: its faults were reported at the anchor

    def fault(self, start: int, end: int, message: str, code: str, hint: str = "") -> None:
        if not self.silent:
            self.faults.append(Fault(start, end, message, code, hint))

    def note(self, node: Node) -> None:
        """Remember a text that may hold tabs."""
        if node.style in ("'", '"'):
            self.spans.append((node.start, node.end))
        elif node.style in ("|", ">"):
            header = line_span(self.text, node.start)[1]
            self.spans.append((header, node.end))
            if glued := re.compile(r"[|>][-+0-9]*(#)").match(self.text, value_start(self.text, node), header):
                message = "a comment behind `|` or `>` needs a space before it"
                self.fault(glued.start(1), header, message, "lost-comment", "put a space before the #")

    def value(self, node: Node, path: Path) -> Any:
        """The value of any node."""
        if node.target is not None:
            self.silent += 1
            try:
                return self.value(node.target, path)
            finally:
                self.silent -= 1
        if node.tag is not None and node.start not in self.meant:
            return self.tagged(node, path)
        if node.kind == "scalar":
            return self.scalar(node)
        if node.kind == "list":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        return self.map(node, path)

    def tagged(self, node: Node, path: Path) -> Any:
        at = self.text.find("!", node.start)
        end = value_end(self.text, at, flow=node.flow)
        fault = bang_fault(self.text, at, end)
        self.fault(fault.start, fault.end, fault.message, fault.code, fault.hint)
        if node.kind == "scalar":
            if key_of(self.text, at) in CONDITIONS:
                return negated(self.text[at:end])
            return node.value or self.text[at:end]
        node.tag = None
        return self.value(node, path)

    def scalar(self, node: Node) -> Any:
        self.note(node)
        if node.style == "*":  # an anchor that is not there
            return None
        if node.style is not None:
            if node.style == '"' and re.search("[\ud800-\udfff]", node.value):
                self.fault(
                    node.start, node.end, "half of a surrogate pair is not a character", "escape", "write the character itself"
                )
            return node.value
        if node.start in self.meant:
            return self.meant[node.start]
        self.plain(node)
        found = node.value if node.value and node.value[0] not in _UNSURE_FIRST else resolve(node.value)
        if isinstance(found, Unclear):
            start = value_start(self.text, node)
            self.fault(start, node.end, found.message, found.code, found.hint)
            return node.value
        return found

    def plain(self, node: Node) -> None:
        """What can go wrong around an unquoted text: a lost rest, a question mark in braces."""
        text, end = self.text, node.end
        if text[end : end + 1] in (" ", "\t") and (lost := _LOST.match(text, end)):
            self.lost(node, lost.start(1))
        if node.flow and "?" in node.value:
            at = text.find("?", node.start)
            begin = value_start(text, node)
            inside = "{ }" if lead(text, begin) not in ("", "- ") else "{ } and [ ]"
            hint = f"quote the value: {lead(text, begin)}{quoted(node.value)}"
            self.fault(at, at + 1, f"`?` cannot stand unquoted inside {inside}", "optional-in-braces", hint)

    def lost(self, node: Node, at: int) -> None:
        text, start = self.text, value_start(self.text, node)
        end = line_span(text, at)[1]
        key = key_of(text, start) if node.value else key_of(text, at)
        what = _WHAT.get(key, f"`{key}`" if key else "the text")
        left = f'only "{node.value}"' if node.value else "empty"
        begin = start if node.value else at
        whole = quoted(text[begin:end].rstrip())
        hint = f"quote the value: {lead(text, begin)}{whole}  (or put a space after # if a comment is meant)"
        self.fault(at, end, f"everything after ` #` is a comment, so {what} is {left}", "lost-comment", hint)

    def map(self, node: Node, path: Path) -> Any:
        text = self.text
        start = value_start(text, node)
        if node.flow and text[start + 1 : start + 2] in ("{", "%"):
            fault = template_fault(text, start, start, end := value_end(text, start, flow=False) if not path else node.end)
            self.fault(fault.start, fault.end, fault.message, fault.code, fault.hint)
            return text[start:end]
        data: dict[str, Any] = {}
        seen: dict[str, Node] = {}
        for place, (key_node, value_node) in enumerate(node.pairs):
            key = self.key(key_node, value_node, node, path)
            if node.flow and _has_no_value(text, key_node, value_node):
                self.no_value(key_node, node.pairs[place - 1] if place else None)
            if key in seen:
                self.duplicate(key, key_node, seen[key], path)
            seen.setdefault(key, key_node)
            data[key] = self.value(value_node, (*path, key))
        return data

    def duplicate(self, key: str, node: Node, first: Node, path: Path) -> None:
        line = self.text.count("\n", 0, first.start) + 1
        where = _place_words(path)
        message = f"`{key}` is written twice {where} (first on line {line}); the first one would be silently lost"
        self.fault(node.start, node.end, message, "duplicate-key", "keep one of them")

    def key(self, node: Node, value: Node, parent: Node, path: Path) -> str:
        """The text of a key. Whatever it looks like, a key is a text."""
        while node.target is not None:
            node = node.target
        if node.kind != "scalar":
            self.complex_key(node, path)
            return self.text[node.start : node.end]
        self.note(node)
        if node.tag is not None:
            self.fault(node.start, node.end, "a key cannot have a YAML tag", "bang", f"write: {node.value}:")
        if node.style is None:
            self.plain_key(node, value, parent, path)
        return self.meant.get(node.start, node.value)

    def plain_key(self, node: Node, value: Node, parent: Node, path: Path) -> None:
        name, text = node.value, self.text
        if not name:
            self.fault(node.start, node.end, "there is no key before this colon", "empty-key", "write the key's name before it")
        elif name == "<<":
            hint = "write the keys out, or use the whole map: key: *name"
            self.fault(node.start, node.end, "`<<` merges maps in YAML 1.1 only; aiflow does without", "merge-key", hint)
        elif isinstance(found := resolve(name), Unclear):
            self.ambiguous_key(node, value, found, path)
        if parent.flow and "?" in name:
            at = text.find("?", node.start)
            self.fault(
                at, at + 1, "`?` cannot stand unquoted inside { }", "optional-in-braces", self.optional_hint(node, value, parent)
            )

    def complex_key(self, node: Node, path: Path) -> None:
        text, start = self.text, value_start(self.text, node)
        if node.flow and text[start : start + 2] == "{{":
            hint = "keys are fixed; they cannot be templates"
            self.fault(start, node.end, "a key cannot be a template", "template-key", hint)
            return
        what = "a map" if node.kind == "map" else "a list"
        self.fault(start, start + 1, f"a key must be a text, this is {what}", "complex-key", "quote it if a text is meant")

    def ambiguous_key(self, node: Node, value: Node, found: Unclear, path: Path) -> None:
        name = node.value
        if path and name.lower() == "on" and "steps" in path[:1] and isinstance(path[-1], int):
            message = f"YAML 1.1 reads the key `{name}` as true, and no step has it"
            hint = "to wait for an event write: wait_for: NAME; what starts a run stands at the top: triggers"
            self.fault(node.start, node.end, message, "ambiguous-key", hint)
            return
        if not path and name.lower() == "on":
            message = f"YAML 1.1 reads the key `{name}` as true; aiflow calls this section `triggers`"
            self.fault(node.start, node.end, message, "ambiguous-key", "write: triggers:\n" + self.triggers(value))
            return
        if not found.first:
            return
        message = f"YAML 1.1 reads the key `{name}` as {found.first}, YAML 1.2 as {found.second}"
        self.fault(node.start, node.end, message, "ambiguous-key", f'write: "{name}":')

    def triggers(self, value: Node) -> str:
        """The lines of a `triggers` list made of what stood under `on`."""
        value = value.target or value
        entries = value.items if value.kind == "list" else [value]
        lines = []
        for entry in entries[:5]:
            entry = entry.target or entry
            if entry.kind == "scalar":
                lines.append(f"- event: {entry.value or '...'}")
                continue
            known = [
                f"{k.value}: {self.source(v)}"
                for k, v in entry.pairs
                if k.value in ("event", "cron", "webhook") and v.kind == "scalar"
            ]
            lines.append("- " + "\n  ".join(known or ["event: ..."]))
        return "\n".join("        " + line for part in lines for line in part.split("\n"))

    def source(self, node: Node) -> str:
        return self.text[node.start : node.end]

    def optional_hint(self, node: Node, value: Node, parent: Node) -> str:
        text = self.text
        whole = text[parent.start : parent.end]
        if "\n" in whole or len(whole) > 200:
            whole = "{...}"
        else:
            for key, _ in reversed(parent.pairs):
                if key.style is None and "?" in key.value and key.kind == "scalar":
                    a, b = key.start - parent.start, key.end - parent.start
                    whole = f'{whole[:a]}"{key.value}"{whole[b:]}'
        own_line = f"{node.value}: {self.source(value)}"
        what = "input" if key_of(text, parent.start) in ("inputs", "") else "key"
        return f"write: {lead(text, parent.start)}{whole}, or put the {what} on its own line: {own_line}"

    def no_value(self, node: Node, before: tuple[Node, Node] | None) -> None:
        """`{a: Hello, world}`: YAML takes `world` as a key without value."""
        message, hint = f"`{node.value}` has no value", f"write: {node.value}: ..."
        if before is not None and before[1].kind == "scalar":
            key, value = before
            message += "; the comma before it ended the value there"
            text = self.text[value_start(self.text, value) : node.end]
            hint = f"quote the value before it: {key.value}: {quoted(text)}"
        self.fault(node.start, node.end, message, "comma-in-text", hint)


def _has_no_value(text: str, key: Node, value: Node) -> bool:
    empty = value.kind == "scalar" and value.style is None and value.start == value.end
    return empty and key.kind == "scalar" and bool(key.value) and ":" not in text[key.end : value.end]


def _place_words(path: Path) -> str:
    if not path:
        return "at the top of the file"
    if isinstance(path[-1], int):
        owner = next((part for part in reversed(path) if isinstance(part, str)), "")
        grand = path[-3] if len(path) >= 3 else ""
        return "in this step" if owner in _STEP_LISTS or grand in ("parallel", "cases") else "in this item"
    return f"in `{path[-1]}`"


_TAB_OR_COMMENT = re.compile(r"(?<!\S)#[^\n]*|\t+")


def _tabs(text: str, spans: list[tuple[int, int]]) -> list[Fault]:
    """Tabs outside of quotes, blocks and comments; libyaml takes some of them, other readers do not."""
    found: list[Fault] = []
    at = 0
    for start, end in [*sorted(spans), (len(text), len(text))]:
        for match in _TAB_OR_COMMENT.finditer(text, at, max(at, start)):
            if match[0][0] == "\t":
                found.append(tab_fault(match.start(), match.end()))
        at = max(at, end)
    return found[:20]
