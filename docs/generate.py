"""Writes the reference pages of docs/language from the code: `python docs/generate.py`. A test keeps them current.

What a page says of a key, kind, filter or error stands once, in the code or in the corpus of faults; here is only the
layout, and one example for each filter, test and function, whose result is computed.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "language"
CASES = ROOT / "tests" / "cases" / "bad"

NOTE = "<!-- Made by docs/generate.py from the code; change it there. -->\n"

DATA: Mapping[str, Any] = {
    "name": "Ana Ruiz", "words": "one two three", "n": 7, "numbers": [3, 1, 2], "nothing": None,
    "people": [
        {"name": "Ana", "age": 41, "team": "a"}, {"name": "Bo", "age": 29, "team": "b"}, {"name": "Cy", "age": 35, "team": "a"},
    ],
    "order": {"id": 17, "total": 19.5}, "started": "2026-03-01T09:00:00Z",
}  # fmt: skip
"""What the examples may use: `inputs`."""

EXAMPLES: Mapping[str, str] = {
    "capitalize": "'hello WORLD' | capitalize", "center": "'a' | center(5)", "escape": "'<b>' | escape",
    "format": "'%s is %d' | format('Ana', 41)", "indent": "'a\\nb' | indent(2)", "lower": "inputs.name | lower",
    "regex_replace": "'2026-03-01' | regex_replace('(\\\\d+)-(\\\\d+)-(\\\\d+)', '\\\\3.\\\\2.\\\\1')",
    "replace": "inputs.name | replace('Ana', 'Bo')", "sha256": "('a' | sha256)[:12]", "slug": "'Größe & Preis' | slug",
    "split": "inputs.words | split", "striptags": "'<p>one <b>two</b></p>' | striptags", "title": "'hello world' | title",
    "tokens": "inputs.words | tokens", "trim": "'  a ' | trim", "truncate": "'one two three four' | truncate(12)",
    "upper": "inputs.name | upper", "urlencode": "{'q': 'a b'} | urlencode", "wordcount": "inputs.words | wordcount",
    "wordwrap": "inputs.words | wordwrap(8)", "batch": "inputs.numbers | batch(2)", "compact": "[1, null, 2] | compact",
    "dictsort": "inputs.order | dictsort", "first": "inputs.numbers | first", "flatten": "[[1, 2], [3]] | flatten",
    "groupby": "inputs.people | groupby('team') | map('first') | list", "items": "inputs.order | items",
    "join": "inputs.people | map(attribute='name') | join(', ')", "last": "inputs.numbers | last",
    "length": "inputs.people | length", "mean": "inputs.numbers | mean", "reverse": "inputs.numbers | reverse",
    "sort": "inputs.people | sort(attribute='age') | map(attribute='name') | list", "unique": "[1, 1, 2] | unique",
    "add": "inputs.started | add('3d')", "date": "inputs.started | date('%d.%m.%Y')", "filesizeformat": "13000 | filesizeformat",
    "from_json": "'[1, 2]' | from_json", "json": "inputs.order | json", "string": "7 | string", "abs": "-7 | abs",
    "float": "'2.5' | float", "int": "'42' | int", "round": "2.567 | round(1)", "list": "'abc' | list",
    "max": "inputs.numbers | max", "min": "inputs.numbers | min", "slice": "inputs.numbers | slice(2)",
    "sum": "inputs.people | sum(attribute='age')", "chunk": "'One. Two. Three.' | chunk(9)",
    "default": "inputs.nothing | default('none')", "map": "inputs.people | map(attribute='name') | list",
    "select": "inputs.numbers | select('gt', 1) | list", "reject": "inputs.numbers | reject('gt', 1) | list",
    "selectattr": "inputs.people | selectattr('age', 'ge', 35) | map(attribute='name') | list",
    "rejectattr": "inputs.people | rejectattr('team', 'eq', 'a') | map(attribute='name') | list",
    "boolean": "true is boolean", "defined": "inputs.missing is defined", "divisibleby": "6 is divisibleby 3",
    "eq": "inputs.numbers | select('eq', 3) | list", "even": "4 is even", "false": "false is false", "ge": "3 is ge 3",
    "gt": "3 is gt 3", "in": "2 is in inputs.numbers", "integer": "7 is integer", "iterable": "inputs.numbers is iterable",
    "le": "3 is le 3", "lt": "2 is lt 3", "mapping": "inputs.order is mapping", "matches": "'INV-17' is matches('INV-[0-9]+')",
    "ne": "1 is ne 2", "none": "inputs.nothing is none", "number": "2.5 is number", "odd": "7 is odd",
    "sameas": "true is sameas true", "sequence": "inputs.numbers is sequence", "true": "true is true",
    "undefined": "inputs.missing is undefined", "file": "inputs.order is file", "range": "range(3)",
    "zip": "zip([1, 2], ['a', 'b'])", "now": "now()", "uuid": "uuid()",
}  # fmt: skip
"""An example for each filter, test and function."""


def pages() -> dict[str, str]:
    """Name of each page -> its text."""
    return {
        "kinds.md": _kinds(), "modifiers.md": _modifiers(), "workflow.md": _top(), "filters.md": _filters(),
        "faults.md": _faults(),
    }  # fmt: skip


# -- kinds and keys --------------------------------------------------------------------------------------------------


def _kinds() -> str:
    from aiflow.language.vocabulary import KIND_ORDER
    from aiflow.steps._registry import kinds

    known = kinds()
    parts = [
        "# Kinds of steps\n\n" + NOTE,
        "A step has one kind: the key that says what it does. `http: https://…` is the short form,\n"
        "`http: {url: …, method: …}` the long one. Every option may hold a template unless it says *fixed*.\n"
        "How a step is done (`if`, `each`, `retry` …) is the business of its [modifiers](modifiers.md).\n",
        " · ".join(f"[`{name}`](#{name})" for name in KIND_ORDER if name in known) + "\n",
    ]
    for name in KIND_ORDER:
        if name in known:
            parts.append(_kind(known[name]))
    return "\n".join(parts)


def _kind(kind: Any) -> str:
    lines = [f"## {kind.name}\n", kind.summary + "\n"]
    if kind.later:
        lines.append("*This version checks it and cannot run it yet.*\n")
    if kind.example:
        lines.append(f"```yaml\n{kind.example.rstrip()}\n```\n")
    properties = {name: one for name, one in kind.schema.get("properties", {}).items() if name != kind.name}
    if properties:
        lines += ["| option | type | what it is | example |", "|---|---|---|---|"]
        for name, schema in properties.items():
            marks = [f"the short form `{kind.name}: …`"] if name == kind.short else []
            marks += ["fixed"] if name in kind.fixed else ["an expression without braces"] if name in kind.bare else []
            marks += ["required"] if name in kind.schema.get("required", ()) and name != kind.short else []
            marks += [f"default `{json.dumps(schema['default'])}`"] if "default" in schema else []
            said = " ".join(filter(None, (schema.get("description", ""), f"({'; '.join(marks)})" if marks else "")))
            example = schema.get("examples") or schema.get("enum") or [None]
            shown = f"`{name}: {_quoted(example[0])}`" if example[0] is not None else ""
            lines.append(f"| `{name}` | {_type(schema)} | {_cell(said)} | {_cell(shown)} |")
        lines.append("")
    facts = []
    if kind.errors:
        facts.append(f"Errors of its own: {', '.join(f'`{one}`' for one in kind.errors)}.")
    if kind.retries:
        facts.append(f"Retried {kind.retries} times by itself when that may help.")
    if kind.repeatable is False:
        facts.append("Not repeated when nobody knows whether it took effect (`repeatable`).")
    if facts:
        lines.append(" ".join(facts) + "\n")
    return "\n".join(lines)


def _modifiers() -> str:
    from aiflow.language.vocabulary import MODIFIERS

    head = (
        "# Modifiers of a step\n\n" + NOTE + "\nHow a step is done. Any modifier works on any kind. With `each` or `until` every "
        "other\nmodifier except `if` and `else` holds for each item or pass; to bound the whole, put it into a `do`.\nOrder of "
        "wrapping, from the inside: the kind, `timeout`, `retry`, `on_timeout`, `on_error`, `output`,\nthen `each` or `until`, "
        "then `if`.\n"
    )
    return head + "\n" + "\n".join(_words(MODIFIERS))


def _top() -> str:
    from aiflow.language.vocabulary import TOP

    head = "# Keys at the top of a workflow\n\n" + NOTE + "\nOnly `steps` is required. A key that begins with `x-` is ignored.\n"
    return head + "\n" + "\n".join(_words(TOP))


def _words(words: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | value | what it means | example |\n|---|---|---|---|"
    for name, word in words.items():
        example = word.examples[0] if word.examples else None
        shown = f"`{name}: {_quoted(example)}`" if example is not None else f"`{name}: {word.write}`" if word.write else ""
        value = word.wants or _type(word.schema)
        yield f"| `{name}` | {_cell(value)} | {_cell(word.text)} | {_cell(shown)} |"
    yield ""
    for name, word in words.items():
        inner = _inner(word.schema)
        if inner:
            yield f"## {name}\n\n| key | type | what it is |\n|---|---|---|"
            for key, schema in inner.items():
                yield f"| `{key}` | {_type(schema)} | {_cell(schema.get('description', ''))} |"
            yield ""


def _inner(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of a map that a word takes, directly or as items of a list."""
    for one in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        found: Mapping[str, Any] = one.get("properties", {}) if isinstance(one, Mapping) else {}
        if found:
            return found
    return {}


def _type(schema: Mapping[str, Any]) -> str:
    names = {"string": "text", "integer": "whole number", "boolean": "true, false", "array": "list", "object": "map"}
    if "enum" in schema:
        return _cell(", ".join(f"`{json.dumps(one).strip(chr(34))}`" for one in schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if str(schema.get("format", "")).endswith("duration"):
        return "duration"
    if schema.get("format") == "aiflow-expression":
        return "expression"
    given = schema.get("type")
    if isinstance(given, list):
        return " or ".join(names.get(one, one) for one in given)
    return names.get(str(given), str(given) if given else "any")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _quoted(value: Any) -> str:
    """A value as it would stand in the file."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000, allow_unicode=True)
    return text.strip().removesuffix("...").strip()


# -- expressions -----------------------------------------------------------------------------------------------------


def _filters() -> str:
    from aiflow.language.filters import FILTERS, FUNCTIONS, TESTS

    data = yaml.safe_dump({"inputs": dict(DATA)}, sort_keys=False, width=110, default_flow_style=None).rstrip()
    parts = [
        "# Filters, tests and functions\n\n" + NOTE,
        "What may stand in an expression besides operators; [expressions](expressions.md) says how they are read. The examples\n"
        f"are computed from these inputs:\n\n```yaml\n{data}\n```\n",
        "## Filters\n\n`value | filter(arguments)`. None of them changes what it is given.\n",
        *_table(FILTERS, "filter"),
        "## Tests\n\n`value is test`, also by name in `select`, `reject`, `selectattr` and `rejectattr`.\n",
        *_table({name: one for name, one in TESTS.items() if name[0].isalpha()}, "test"),
        "## Functions\n",
        *_table({name: one or _said_of(name) for name, one in FUNCTIONS.items()}, "function"),
    ]
    return "\n".join(parts)


def _said_of(name: str) -> Any:
    def now() -> None:
        """The time of the checkpoint before the step: the same in every attempt."""

    def uuid() -> None:
        """A UUID that is derived from the key of the step: the same in every attempt."""

    return {"now": now, "uuid": uuid}[name]


def _table(table: Mapping[str, Any], what: str) -> Iterator[str]:
    others: dict[Any, list[str]] = {}
    for name, function in table.items():
        others.setdefault(function, []).append(name)
    yield f"| {what} | what it gives | example | result |\n|---|---|---|---|"
    for function, names in others.items():
        first = next((name for name in names if name in EXAMPLES), names[0])
        also = [f"`{name}`" for name in names if name != first]
        said = (inspect.getdoc(function) or "").split("\n\n")[0] + (f" Also: {', '.join(also)}." if also else "")
        source = EXAMPLES.get(first, "")
        called = f"{first}{_arguments(function)}" if what == "filter" else first
        yield f"| `{called}` | {_cell(said)} | `{_cell(source)}` | {_result(source)} |"
    yield ""


def _arguments(function: Any) -> str:
    shown = []
    for name, one in list(inspect.signature(function).parameters.items())[1:]:
        if name == "budget":
            continue
        if one.kind is one.VAR_POSITIONAL:
            shown.append("…")
        elif one.kind is not one.VAR_KEYWORD:
            shown.append(name if one.default is one.empty else f"{name}={_literal(one.default)}")
    return f"({', '.join(shown)})" if shown else ""


def _literal(value: Any) -> str:
    if type(value) is object:  # a mark for "not given"
        return "…"
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _result(source: str) -> str:
    from aiflow.language.expressions import compile_bare

    if not source:
        return ""
    scope = {"inputs": DATA, "now": lambda: "2026-03-01T09:00:00.000Z", "uuid": lambda: "5f0c0c5e-7a0f-5d9c-9d0e-2c7d2d1b0a11"}
    return f"`{_cell(json.dumps(compile_bare(source).evaluate(scope), ensure_ascii=False))}`"


# -- faults ----------------------------------------------------------------------------------------------------------


def _faults() -> str:
    parts = [
        "# What the checker finds\n\n" + NOTE,
        "`aiflow validate` reports all faults of all files at once, each with its place, and with what to write instead.\n"
        "The word in brackets is the code. One example for each:\n",
    ]
    parts += [_fault(code, case, message) for code, (case, message) in sorted(faults().items())]
    return "\n".join(parts)


def faults() -> dict[str, tuple[Path, str]]:
    """For each code the shortest file of the corpus that shows it, and what is said."""
    found: dict[str, tuple[int, Path, str]] = {}
    for case in sorted(CASES.glob("*.yaml")):
        text = case.with_suffix(".txt").read_text("utf-8")
        messages = re.split(r"\n(?=\S)", text.strip("\n"))
        for message in messages:
            code = re.search(r"\[([a-z0-9-]+)\]$", message.split("\n")[0])
            weight = len(case.read_text("utf-8")) + 200 * (len(messages) - 1)
            if code and (code[1] not in found or weight < found[code[1]][0]):
                found[code[1]] = (weight, case, message)
    return {code: (case, message) for code, (_, case, message) in found.items()}


def _fault(code: str, case: Path, message: str) -> str:
    from aiflow.language.check._shape_words import kind_names

    said = message.replace("{kinds}", ", ".join(kind_names()))
    return f"## {code}\n\n```yaml\n{case.read_text('utf-8').rstrip()}\n```\n\n```text\n{said}\n```\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text.rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
