"""YAML as data: JSON values by the rules of YAML 1.2 (`no` and `2026-11-23` are texts), within limits.

Not the reader of workflow files, which keeps positions and is stricter; data come from elsewhere and are taken as they are.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from aiflow.steps._text import Unreadable

MOST_DEPTH = 100
"""The C parser of PyYAML overflows its stack at some ten thousand."""

MOST_NODES = 2_000_000
"""Counted with aliases spread out: nine lines of aliases can stand for a billion."""


MOST_CHARACTERS = 64_000_000
"""Of texts, counted alike: an alias makes a long text as often as it is used once the value is written."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Scalars as in the core schema of YAML 1.2, without `.nan` and `.inf`, which JSON cannot say."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def yaml_value(text: str) -> Any:
    """The one document in `text`. Raises: Unreadable: syntax, several documents, tags, too deep or too large."""
    try:
        _measure(text)
        return _plain_keys(yaml.load(text, Loader=_Loader))  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise Unreadable(f"{place}{error.problem or 'no YAML'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(str(error).splitlines()[0]) from error


def _measure(text: str) -> None:
    """Refuse what would not fit into memory, from the events alone, before anything is built."""
    sizes: dict[str, tuple[int, int]] = {}
    open_nodes: list[tuple[str | None, int, int]] = []
    total = characters = 0
    for event in yaml.parse(text, Loader=_Loader):
        match event:
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                open_nodes.append((event.anchor, total, characters))
                total += 1
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                anchor, before, shorter = open_nodes.pop()
                if anchor:
                    sizes[anchor] = total - before, characters - shorter
            case yaml.AliasEvent():
                more, longer = sizes.get(event.anchor or "", (1, 0))
                total, characters = total + more, characters + longer
            case yaml.ScalarEvent():
                total, characters = total + 1, characters + len(event.value)
                if event.anchor:
                    sizes[event.anchor] = 1, len(event.value)
        if len(open_nodes) > MOST_DEPTH:
            raise Unreadable(f"it is nested deeper than {MOST_DEPTH}")
        if total > MOST_NODES:
            raise Unreadable(f"it has more than {MOST_NODES} values, aliases spread out")
        if characters > MOST_CHARACTERS:
            raise Unreadable(f"it has more than {MOST_CHARACTERS // 1_000_000} million characters, aliases spread out")


def _plain_keys(value: Any) -> Any:
    """JSON has only texts as keys."""
    if isinstance(value, dict):
        return {_key(key): _plain_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_keys(item) for item in value]
    if isinstance(value, (set, bytes)):
        raise Unreadable("it has a value that JSON cannot hold")
    return value


def _key(key: Any) -> str:
    match key:
        case str():
            return key
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[key]
        case int() | float():
            return str(key)
    raise Unreadable("it has a list or map as a key")
