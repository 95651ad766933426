"""How faults are put into words: nearest names, values as people read them, YAML to propose."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from aiflow.language.vocabulary import ID_PATTERN


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    words = [one for one in known if isinstance(one, str)]
    lowered = {one.lower().replace("-", "_"): one for one in reversed(words)}
    plain = word.lower().replace("-", "_")
    if plain in lowered:
        return lowered[plain]
    found = get_close_matches(plain, lowered, n=1, cutoff=0.6)
    if found:
        return lowered[found[0]]
    if len(plain) < 3:
        return None
    return next((one for one in words if one.lower().startswith(plain) or (len(one) > 2 and plain.startswith(one.lower()))), None)


def better_name(given: str) -> str:
    """A name of the language's form that is like the given text; empty when there is none."""
    if "{{" in given:
        return ""
    given = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode()
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", given).lower()
    snake = re.sub(r"[^a-z0-9_]+", "_", snake).strip("_")[:64]
    if snake[:1].isdigit():
        snake = f"step_{snake}"
    return snake if re.fullmatch(ID_PATTERN, snake) else ""


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The hint ``did you mean `steps`?``, or what is said when nothing is near."""
    found = nearest(word, known)
    return f"did you mean `{found}`?" if found else otherwise


def listed(words: Iterable[str]) -> str:
    """`a, b, c`, or `none`."""
    return ", ".join(words) or "none"


def said(value: Any) -> str:
    """A value in a sentence: `the text "ten"`, `the number 3`, `true`, `a list`, `a map`, `null`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value if len(value) <= 40 else value[:37] + "..."}"'
        case list():
            return "a list"
    return "a map"


def flow(value: Any) -> str:
    """The value as YAML on one line, shortened to `...` where it is long."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return text_flow(value)
        case list():
            inner = ", ".join(flow(one) for one in value)
            return f"[{inner}]" if len(inner) <= 60 else "[...]"
        case dict():
            inner = ", ".join(f"{key}: {flow(one)}" for key, one in value.items())
            return f"{{{inner}}}" if len(inner) <= 60 else "{...}"
    return str(value)


def text_flow(value: str) -> str:
    """A text as YAML on one line, quoted where it must be."""
    if "\n" in value or len(value) > 70:
        return "..."
    risky = (
        not value
        or value != value.strip()
        or value[0] in "{}[]&*!|>%@`'\"#,?-:"
        or any(part in value for part in (": ", " #", " *", "{{", "{%"))
    )
    if not risky and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "~") and not _numeric(value):
        return value
    if '"' in value and "'" not in value:
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def block(key: str, value: Any, indent: str) -> str:
    """`key: value` below a hint, with room for what is too long."""
    return f"{indent}{key}: {flow(value)}"


def _numeric(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def path_text(root: str, path: Iterable[str | int | None]) -> str:
    """A reference as it is written: `steps.docs.output[0].name`; `[...]` for an index that is computed."""
    parts = [root]
    for key in path:
        if key is None:
            parts.append("[...]")
        elif isinstance(key, str) and key.isidentifier():
            parts.append(f".{key}")
        else:
            parts.append(f"[{key!r}]")
    return "".join(parts)


def reference_text(node: Any) -> str:
    """The same for a syntax tree of dots and indexes."""
    from jinja2 import nodes

    from aiflow.language.facts import path_of
    from aiflow.language.syntax import chain

    root, keys = chain(node)
    return path_text(root.name, path_of(keys)) if isinstance(root, nodes.Name) else "this"
