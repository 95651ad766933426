"""Filters on lists and maps. They give new lists; nothing they are given is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from aiflow.errors import ExpressionError
from aiflow.language.limits import ITEM_SIZE, NODE_SIZE, Budget, in_force
from aiflow.language.lookup import Missing, follow
from aiflow.language.operations import LONG_TEXT, as_text, weigh
from aiflow.values import File, Value, canonical, type_name

ATTRIBUTE_LIMIT = 1_000
"""Characters of the name of a field."""

COMPARISONS_PER_ITEM = 16
"""In sorting some ten thousand items."""

COUNT_LIMIT = 100_000
"""Items of a batch, slices of a list."""


def batch(value: Value, linecount: int, fill_with: Value = None, *, budget: Budget) -> list[list[Value]]:
    """Lists of `linecount` items; the last one filled up with `fill_with` unless that is null."""
    items, size = as_list(value, "batch"), _count(linecount, "batch")
    budget.spend(len(items) * ITEM_SIZE + -(-len(items) // size) * (NODE_SIZE - ITEM_SIZE))
    parts = [items[at : at + size] for at in range(0, len(items), size)]
    if parts and fill_with is not None:
        budget.spend((size - len(parts[-1])) * ITEM_SIZE)
        parts[-1] += [fill_with] * (size - len(parts[-1]))
    return parts


def compact(value: Value) -> Value:
    """Without the nulls; of a map: without the keys that are null."""
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if item is not None}
    return [item for item in as_list(value, "compact") if item is not None]


def dictsort(value: Value, case_sensitive: bool = False, by: str = "key", reverse: bool = False) -> list[list[Value]]:
    """Pairs `[key, value]` of a map, sorted by `key` or `value`."""
    if by not in ("key", "value"):
        raise ExpressionError("`dictsort` sorts by 'key' or 'value'")
    at = 0 if by == "key" else 1
    return sorted(items(value), key=lambda pair: _folded(pair[at], case_sensitive), reverse=reverse)


def first(value: Value) -> Value:
    """The first item or letter; null if there is none."""
    found = value if isinstance(value, str) else as_list(value, "first")
    return found[0] if found else None


def flatten(value: Value, levels: int | None = None, *, budget: Budget) -> list[Value]:
    """Lists in lists become one list; only so many levels if given."""
    flat: list[Value] = []
    size = 0
    waiting: list[tuple[Value, int]] = [(item, 0) for item in reversed(as_list(value, "flatten"))]
    while waiting:
        item, depth = waiting.pop()
        budget.tick()
        if isinstance(item, list) and (levels is None or depth < levels):
            size += len(item) * ITEM_SIZE
            budget.ahead(size)
            waiting.extend((inner, depth + 1) for inner in reversed(item))
        else:
            flat.append(item)
    return flat


def groupby(value: Value, attribute: str, default: Value = None, case_sensitive: bool = False) -> list[list[Value]]:
    """Pairs `[what they share, [items]]`, in order of what they share."""
    groups: dict[Any, tuple[Value, list[Value]]] = {}
    get = plucker(attribute) if default is None else plucker(attribute, default)
    for item in as_list(value, "groupby"):
        shared = get(item)
        key = _folded(shared, case_sensitive)
        groups.setdefault(_hashable(key), (shared, []))[1].append(item)
    return [list(pair) for pair in sorted(groups.values(), key=lambda pair: _folded(pair[0], case_sensitive))]


def items(value: Value) -> list[list[Value]]:
    """Pairs `[key, value]` of a map."""
    if not isinstance(value, Mapping):
        raise ExpressionError(f"`items` needs a map, not {type_name(value)}")
    return [[key, item] for key, item in value.items()]


def join(value: Value, d: str = "", attribute: str | int | None = None, *, budget: Budget) -> str:
    """The items as one text, with `d` between them. A null among them is an error: use `compact`."""
    found = as_list(value, "join")
    between = as_text(d)
    try:
        texts = _texts(found if attribute is None else map(plucker(attribute), found), len(between), budget)
    except ExpressionError as error:
        if None in found:
            raise ExpressionError("null cannot be joined into text", "write: ... | compact | join(...)") from None
        raise error
    return between.join(texts)


def _texts(found: Iterable[Value], between: int, budget: Budget) -> list[str]:
    """Each as text, with a look at what they come to as they are joined."""
    texts: list[str] = []
    size = 0
    for item in found:
        texts.append(item if item.__class__ is str else as_text(item))
        size += len(texts[-1]) + between
        if size > budget.left:
            budget.ahead(size - between)
    return texts


def last(value: Value) -> Value:
    """The last item or letter; null if there is none."""
    found = value if isinstance(value, str) else as_list(value, "last")
    return found[-1] if found else None


def length(value: Value) -> int:
    """Items of a list, keys of a map, letters of a text."""
    if isinstance(value, (str, list, Mapping)):
        return len(value)
    raise ExpressionError(f"`length` needs a list, map or text, not {type_name(value)}")


def list_(value: Value) -> list[Value]:
    """A list: the keys of a map, the letters of a text."""
    if isinstance(value, str):
        in_force().ahead(len(value) * ITEM_SIZE)
    return list(value) if isinstance(value, (str, Mapping)) else as_list(value, "list")


def max_(value: Value, case_sensitive: bool = False, attribute: str | None = None) -> Value:
    """The largest item; null if there is none."""
    return max(as_list(value, "max"), key=_order(attribute, case_sensitive), default=None)


def mean(value: Value) -> float | None:
    """Average of numbers; null if there are none."""
    numbers = [_number(item, "mean") for item in as_list(value, "mean")]
    return sum(numbers) / len(numbers) if numbers else None


def min_(value: Value, case_sensitive: bool = False, attribute: str | None = None) -> Value:
    """The smallest item; null if there is none."""
    return min(as_list(value, "min"), key=_order(attribute, case_sensitive), default=None)


def reverse(value: Value) -> Value:
    """Last to first."""
    return value[::-1] if isinstance(value, str) else as_list(value, "reverse")[::-1]


def slice_(value: Value, slices: int, fill_with: Value = None, *, budget: Budget) -> list[list[Value]]:
    """`slices` lists of about the same length, in order; shorter ones get `fill_with` unless that is null."""
    found, count = as_list(value, "slice"), _count(slices, "slice")
    budget.spend(len(found) * ITEM_SIZE + count * NODE_SIZE)
    each, longer = divmod(len(found), count)
    parts, at = [], 0
    for number in range(count):
        end = at + each + (number < longer)
        parts.append(found[at:end] + ([fill_with] if fill_with is not None and longer and number >= longer else []))
        at = end
    return parts


def sort(
    value: Value, reverse: bool = False, case_sensitive: bool = False, attribute: str | int | None = None
) -> list[Value]:
    """Sorted; by one attribute, or several: `attribute='last,first'`. Equal ones keep their order."""
    names = attribute.split(",") if isinstance(attribute, str) else [attribute]
    keys = [_order(name, case_sensitive) for name in names]
    by = keys[0] if len(keys) == 1 else lambda item: [key(item) for key in keys]
    return sorted(as_list(value, "sort"), key=by, reverse=reverse)


def sum_(value: Value, attribute: str | int | None = None, start: int | float = 0) -> int | float:
    """Sum of numbers."""
    found = as_list(value, "sum") if attribute is None else map(plucker(attribute), as_list(value, "sum"))
    return sum((_number(item, "sum") for item in found), start)


def unique(value: Value, case_sensitive: bool = False, attribute: str | int | None = None) -> list[Value]:
    """The first of equal items."""
    seen: set[Any] = set()
    kept = []
    key = _order(attribute, case_sensitive)
    for item in as_list(value, "unique"):
        mark = _hashable(key(item))
        if mark not in seen:
            seen.add(mark)
            kept.append(item)
    return kept


def as_list(value: Value, name: str) -> list[Value]:
    """The value, if it is a list. Raises ExpressionError naming the filter."""
    if isinstance(value, list):
        return value
    remedy = "write: ... | default([])" if value is None else ""
    raise ExpressionError(f"`{name}` needs a list, not {type_name(value)}", remedy)


_REQUIRED = object()


def pluck(item: Value, attribute: str | int, default: Value = _REQUIRED, project: Path | None = None) -> Value:
    """`attribute` of an item: `name`, `item.name`, `0`, `points.0.x`. Keys of maps and lists, fields of files.

    Raises: ExpressionError: it is not there and there is no default.
    """
    return plucker(attribute, default, project)(item)


def plucker(
    attribute: str | int, default: Value = _REQUIRED, project: Path | None = None, *, soft: bool = False
) -> Callable[[Value], Any]:
    """`pluck` for many items. Args: soft: give a `Missing` for what is not there."""
    keys = _keys(attribute)
    only = keys[0] if len(keys) == 1 else None

    def get(item: Value) -> Any:
        if type(item) is dict and only in item and (found := item[only]) is not None:
            return found
        found = follow(item, "item", keys, project)
        if isinstance(found, Missing) and not soft:
            if default is _REQUIRED:
                raise found.error()
            return default
        return default if found is None and default is not _REQUIRED else found

    return get


def _keys(attribute: str | int) -> list[str | int]:
    if not isinstance(attribute, (str, int)):
        raise ExpressionError("`attribute` is the name of a field")
    if isinstance(attribute, str) and len(attribute) > ATTRIBUTE_LIMIT:
        raise ExpressionError(f"`attribute` has more than {ATTRIBUTE_LIMIT} characters")
    parts = attribute.split(".") if isinstance(attribute, str) else [attribute]
    if any(isinstance(part, str) and part.startswith("__") for part in parts):
        raise ExpressionError(f"`{attribute}` is not a field")
    return [int(part) if isinstance(part, str) and part.isdecimal() and len(part) < 10 else part for part in parts]


def _order(attribute: str | int | None, case_sensitive: bool) -> Callable[[Value], Any]:
    if attribute is None:
        return lambda item: _folded(item, case_sensitive)
    get = plucker(attribute)
    return lambda item: _folded(get(item), case_sensitive)


def _folded(value: Value, case_sensitive: bool) -> Any:
    if isinstance(value, str):
        if len(value) > LONG_TEXT:
            weigh(value, COMPARISONS_PER_ITEM)
        if case_sensitive:
            return value
        in_force().spend(len(value))
        return value.lower()
    if isinstance(value, (int, float)):
        return value
    if value is None or isinstance(value, (Mapping, File)):
        raise ExpressionError(f"{type_name(value)} has no order", "name a field: attribute='...'")
    return weigh(value, COMPARISONS_PER_ITEM)


def _hashable(value: Value) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        made = canonical(weigh(value))
        in_force().spend(len(made))
        return made
    return value


def _number(value: Value, name: str) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"`{name}` needs numbers, and there is {type_name(value)} among them")


def _count(value: Value, name: str) -> int:
    if type(value) is int and 1 <= value <= COUNT_LIMIT:
        return value
    raise ExpressionError(f"`{name}` needs a whole number from 1 to {COUNT_LIMIT}, not {value!r:.40}")
