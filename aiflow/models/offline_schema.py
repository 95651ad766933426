"""Small operations on JSON Schemas, for the model that fills them: types, merging, values within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from aiflow.models.json_answer import first_fault

NOTHING = object()
"""The text does not hold it."""


def kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema allows, in its order; guessed from its other words when it names none."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return [kinds]
    if kinds:
        return list(kinds)
    if schema.keys() & {"properties", "required", "additionalProperties", "patternProperties", "minProperties"}:
        return ["object"]
    if schema.keys() & {"items", "prefixItems", "minItems", "maxItems", "contains"}:
        return ["array"]
    if schema.keys() & {"minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"}:
        return ["number"]
    return ["string"]


def own(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a schema asks of a text by itself."""
    return {key: schema[key] for key in ("minLength", "maxLength", "pattern", "format") if key in schema}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both schemas at once, as far as a walk needs it: properties and required together, else the narrower word."""
    made = dict(one)
    for key, value in other.items():
        if key not in made:
            made[key] = value
        elif key == "properties":
            both = dict(made[key])
            for name, inner in value.items():
                old = both.get(name)
                both[name] = merged(old, inner) if isinstance(old, Mapping) and isinstance(inner, Mapping) else inner
            made[key] = both
        elif key == "required":
            made[key] = [*made[key], *(name for name in value if name not in made[key])]
        elif key in ("minimum", "minLength", "minItems", "exclusiveMinimum"):
            made[key] = max(made[key], value)
        elif key in ("maximum", "maxLength", "maxItems", "exclusiveMaximum"):
            made[key] = min(made[key], value)
        elif key == "enum":
            made[key] = [item for item in made[key] if item in value]
        elif key == "type":
            both_types = [kind for kind in kinds(made) if kind in kinds(other)]
            made[key] = both_types or value
        elif key == "allOf":
            made[key] = [*made[key], *value]
    return made


def sized(text: str, schema: Mapping[str, Any]) -> str:
    """Cut at a word, or repeated, to the length that the schema asks for."""
    most, least = schema.get("maxLength"), int(schema.get("minLength", 0))
    if most is not None and len(text) > most:
        cut = text[:most]
        word = cut.rsplit(None, 1)[0].rstrip(",;:") if " " in cut and text[most : most + 1].strip() else cut
        text = word if len(word) >= least else cut
    while len(text) < least:
        text += "-" * (least - len(text)) if not text.strip() else (" " + text)[: least - len(text)]
    return text


def fitted(value: float, schema: Mapping[str, Any], *, whole: bool) -> Any:
    """The number if it is within the bounds, else NOTHING."""
    if whole and value != int(value):
        return NOTHING
    number: float = int(value) if value == int(value) and (whole or abs(value) < 1e15) else value
    own = {key: schema[key] for key in schema.keys() & _BOUNDS}
    return number if first_fault(number, own) is None else NOTHING


# With nothing else in its schema, any text is good.
LOOSE = frozenset({"type", "description", "title"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


def neutral(schema: Mapping[str, Any], *, whole: bool) -> float:
    """The middle of a range with two ends, else the number nearest to 0."""
    step = float(schema.get("multipleOf", 1 if whole else 0)) or 0.0
    unit = step or 1e-3
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    low = low + unit if low is not None and "minimum" not in schema else low
    high = high - unit if high is not None and "maximum" not in schema else high
    if low is not None and high is not None:
        value = (low + high) / 2
    else:
        value = max(low, 0) if low is not None else min(high, 0) if high is not None else 0
    if step:
        value = math.floor(value / step + 1e-9) * step
        value = value + step if low is not None and value < low else value
    return int(value) if value == int(value) else value


def unique(values: Sequence[Any]) -> list[Any]:
    """Each value once, in order; they need not be hashable."""
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept
