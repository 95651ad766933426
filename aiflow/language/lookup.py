"""From a value to what a dot or an index names: keys of maps, items of lists, fields of files. Never methods."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Undefined
from jinja2.runtime import LoopContext
from markupsafe import Markup

from aiflow.errors import ExpressionError, StepError
from aiflow.values import FILE_FIELDS, File, Value, type_name

FILE_TEXT_LIMIT = 64 << 20
"""Bytes that `file.text` reads at most; larger files are for `python` and `shell`."""

NAME_LENGTH = 80
"""Characters; longer keys of data are no names that someone mistyped."""

LOOP_FIELDS = frozenset("index index0 revindex revindex0 first last length previtem nextitem depth depth0".split())

_PLAIN = frozenset({str, int, float, bool, type(None), list, dict, File})


class Missing(Undefined):
    """What is not there. Dots and indexes lead to itself, `default` answers for it, any other use raises."""

    __slots__ = ("_at", "_keys", "_label", "_value")

    def __init__(self, hint: str | None = None, obj: Any = None, name: str | None = None, exc: Any = None) -> None:
        super().__init__(hint, obj, name)
        self._label: str = name or ""
        self._keys: Sequence[Any] = ()
        self._at = 0
        self._value: Any = None

    @classmethod
    def under(cls, value: Any, label: str, keys: Sequence[Any], at: int) -> Missing:
        """`keys[at]` is not in `value`."""
        self = cls(name=label)
        self._keys, self._at, self._value = keys, at, value
        return self

    def error(self) -> ExpressionError:
        """Names the whole path and the nearest name that exists."""
        path = path_text(self._label, self._keys)
        if not self._keys:
            return ExpressionError(f"`{path}` does not exist", data={"name": self._label})
        parent = path_text(self._label, self._keys[: self._at])
        key = self._keys[self._at]
        if self._value is None:
            return ExpressionError(
                f"`{path}` does not exist: `{parent}` is null", f"if that may be, write: {path} | default(...)"
            )
        if isinstance(self._value, (Mapping, File)):
            return ExpressionError(f"`{path}` does not exist{_where(path, parent, key)}", _nearest(self._value, key))
        kind = type_name(self._value)
        if isinstance(key, int) and isinstance(self._value, (list, str)):
            return ExpressionError(f"`{path}` does not exist: `{parent}` has {len(self._value)} items")
        hint = f"for all items write: {parent} | map(attribute='{key}')" if kind == "list" else ""
        return ExpressionError(f"`{path}` does not exist: `{parent}` is {_article(kind)}", hint)

    def _raise(self, *_: Any, **__: Any) -> NoReturn:
        raise self.error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _raise
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = _raise
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __complex__ = _raise
    __iter__ = __len__ = __bool__ = __contains__ = __call__ = __str__ = _raise
    __eq__ = __ne__ = __hash__ = _raise


def follow(value: Any, label: str, keys: Sequence[Any], project: Path | None) -> Any:
    """The value at the end of the path, or a `Missing`.

    Args: label: the name of `value`, for messages.  project: folder that `file.text` starts from.
    """
    at = 0
    for key in keys:
        if type(value) is dict:
            try:
                value = value[key]
            except (KeyError, TypeError):
                return Missing.under(value, label, keys, at)
        else:
            found = _step(value, key, project)
            if found is _NOTHING:
                return value if isinstance(value, Missing) else Missing.under(value, label, keys, at)
            value = found
        at += 1
    return value


def plain_value(value: Any, label: str = "") -> Value:
    """The value as JSON data; lazy maps become dicts. Raises ExpressionError for functions and what is missing."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Missing):
        raise value.error()
    if isinstance(value, Mapping):
        return {str(key): plain_value(item, label) for key, item in value.items()}
    if isinstance(value, (tuple, range)):
        return [plain_value(item, label) for item in value]
    if isinstance(value, (Markup, str)):
        return str.__str__(value)
    if callable(value) and not isinstance(value, LoopContext):
        raise ExpressionError(f"`{label}` is a function", f"write: {label}()")
    raise ExpressionError(f"`{label}` is not a value ({type_name(value)})")


def read_text(file: File, project: Path | None) -> str:
    """The content of a file as text (UTF-8).

    Raises: StepError: `file_changed`, `not_found`, `unreadable`.
    """
    if project is None:
        raise StepError("unreadable", "`text` of a file cannot be read here", hint="use map(attribute='text') or a `read` step")
    path = project / file.path
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise StepError("unreadable", f"{file.path} is not a file")
            content = stream.read(FILE_TEXT_LIMIT + 1)
    except FileNotFoundError:
        raise StepError("not_found", f"the file {file.path} is gone") from None
    except OSError as error:
        raise StepError("unreadable", f"{file.path} cannot be read: {error.strerror}") from None
    if len(content) > FILE_TEXT_LIMIT:
        raise StepError("unreadable", f"{file.path} is larger than {FILE_TEXT_LIMIT >> 20} MB")
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise StepError("file_changed", f"{file.path} has changed since the run found it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StepError("unreadable", f"{file.path} is not UTF-8 text", hint="use a `read` step") from None


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The most similar word, or None. Looked for among the first thousand that are no longer than a name is."""
    if len(word) > NAME_LENGTH:
        return None
    words = [w for w in words[:1000] if len(w) <= NAME_LENGTH]
    found = get_close_matches(word, words, 1, 0.6) or [w for w in words if w.lower() == word.lower()]
    return found[0] if found else None


def path_text(label: str, keys: Sequence[Any]) -> str:
    """`steps.docs.output[3].name`"""
    parts = [label]
    for key in keys:
        named = isinstance(key, str) and len(key) <= NAME_LENGTH and key.isidentifier()
        parts.append(f".{key}" if named else f"[{key!r:.60}]")
    return "".join(parts)


def _step(value: Any, key: Any, project: Path | None) -> Any:
    if isinstance(value, (list, tuple, str)):
        if type(key) is int and -len(value) <= key < len(value):
            return value[key]
    elif isinstance(value, File):
        if key == "text":
            return read_text(value, project)
        if key in FILE_FIELDS:
            return getattr(value, key)
    elif isinstance(value, LoopContext):
        if key in LOOP_FIELDS:
            return getattr(value, key)
    elif isinstance(value, Mapping):
        try:
            return value[key]
        except (KeyError, TypeError):
            return _NOTHING
    return _NOTHING


def _nearest(value: Mapping[str, Any] | File, key: Any) -> str:
    names = [*FILE_FIELDS, "text"] if isinstance(value, File) else [str(name) for name in value]
    near = nearest(str(key), names)
    if near:
        return f"did you mean `{near}`?"
    shown = ", ".join(f"`{name:.60}`" for name in names[:12]) + (", ..." if len(names) > 12 else "")
    return f"it has {shown}" if names else "it is an empty map"


def _where(path: str, parent: str, key: Any) -> str:
    return "" if path == path_text(parent, [key]) else f": `{parent}` has no `{key}`"


def _article(kind: str) -> str:
    return kind if kind in ("text", "true/false", "null") else f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


_NOTHING = object()
