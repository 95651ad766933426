"""`aiflow.yaml` as values, with the line and column of each, so that a fault can be shown in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from aiflow.errors import ConfigError

Way: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top to a value."""

SIZE_LIMIT, DEPTH_LIMIT, NODE_LIMIT = 262_144, 40, 10_000
"""Bytes, levels and values; a file beyond them is an accident, and the C parser crashes on deep nesting."""

FAULTS_SHOWN = 50
"""Of one file; the others come after those are mended."""

PARSER_DEPTH = "nesting depth"
"""In what libyaml says when it gives up by itself."""

_INTEGER = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
_WORDS: Mapping[str, Any] = {"null": None, "~": None, "": None, "true": True, "false": False}


class ProjectFile:
    """One `aiflow.yaml`. `data` holds its values; `faults` what is wrong, each (line, column, sentence, remedy)."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path, self.shown = path, shown
        self.data: dict[str, Any] = {}
        self.faults: list[tuple[int, int, str, str]] = []
        self._keys: dict[Way, tuple[int, int]] = {}
        self._values: dict[Way, tuple[int, int]] = {}

    def fault(self, way: Way, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note a fault at a value, or at its key."""
        self.faults.append((*self.place(way, at_key=at_key), message, hint))

    def place(self, way: Way, *, at_key: bool = False) -> tuple[int, int]:
        """Line and column of a value, or of its key."""
        places = self._keys if at_key else self._values
        return places.get(way) or self._values.get(way) or (1, 1)

    def error(self) -> ConfigError:
        """All faults as one error, in the order of the file."""
        if len(self.faults) == 1:
            line, column, message, hint = self.faults[0]
            return ConfigError(f"{self.shown}:{line}:{column}: {message}", hint)
        texts = []
        for line, column, message, hint in sorted(self.faults)[:FAULTS_SHOWN]:
            texts.append(f"{self.shown}:{line}:{column}: {message}" + (f"\n    {hint}" if hint else ""))
        if len(self.faults) > FAULTS_SHOWN:
            texts.append(f"and {len(self.faults) - FAULTS_SHOWN} more faults")
        return ConfigError("\n".join(texts))

    def load(self) -> None:
        """Fill `data`. Scalars are read as YAML 1.2 reads them: `on` and `10:30` are text."""
        import yaml

        try:
            with self.path.open("rb") as stream:
                raw = stream.read(SIZE_LIMIT + 1)
            if len(raw) > SIZE_LIMIT:
                self.faults.append((1, 1, f"the file is larger than {SIZE_LIMIT // 1024} kB", ""))
                return
            text = raw.decode("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"{self.shown} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.shown} is not UTF-8 text: byte {error.start} is wrong") from error
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            if not self._scan(text, yaml, loader):
                return
            root = yaml.compose(text, Loader=loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problem = str(getattr(error, "problem", None) or error)
            said = f"nested more than {DEPTH_LIMIT} levels deep" if PARSER_DEPTH in problem else f"not YAML: {problem}"
            self.faults.append((line, column, said, ""))
            return
        data = self._value(root, (), yaml) if root is not None else {}
        if isinstance(data, dict):
            self.data = data
        elif data is not None:
            self.fault((), "the file must be a map of settings", "write for example `models: {fast: openai/gpt-4o-mini}`")

    def _scan(self, text: str, yaml: Any, loader: Any) -> bool:
        """Refuse what must not reach the recursive composer; True if nothing was found."""
        depth = count = 0
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            count += isinstance(event, yaml.NodeEvent)
            mark = event.start_mark
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                fault, hint = "anchors and aliases are not read here", "repeat the value"
            elif depth > DEPTH_LIMIT:
                fault, hint = f"nested more than {DEPTH_LIMIT} levels deep", ""
            elif count > NODE_LIMIT:
                fault, hint = f"more than {NODE_LIMIT} values in one file", ""
            else:
                continue
            self.faults.append((mark.line + 1, mark.column + 1, fault, hint))
            return False
        return True

    def _value(self, node: Any, way: Way, yaml: Any) -> Any:
        mark = node.start_mark
        self._values[way] = (mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._map(node, way, yaml)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*way, index), yaml) for index, item in enumerate(node.value)]
        return node.value if node.style else _scalar(node.value)  # style: a quote, `|`, `>`; none when plain

    def _map(self, node: Any, way: Way, yaml: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if name in found:
                first = self._keys[(*way, name)][0]
                self.faults.append((line, column, f"`{name}` is written twice (first on line {first})", "keep one of them"))
                continue
            self._keys[(*way, name)] = (line, column)
            found[name] = self._value(value, (*way, name), yaml)
        return found


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.capitalize()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
