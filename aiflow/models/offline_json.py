"""offline/text, as JSON: a value for any JSON Schema, filled from what the material holds.

Names and descriptions of fields say what to look for. What the text does not hold becomes null, an empty list or an
empty text where the schema allows it, else the plainest value that fits; the result is always validated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiflow.errors import StepError
from aiflow.models import offline_fields as fields
from aiflow.models import offline_judgement as judgement
from aiflow.models import offline_schema as shape
from aiflow.models.json_answer import first_fault
from aiflow.models.offline_layout import Sentence
from aiflow.models.offline_patterns import example_of
from aiflow.models.offline_reading import Reading

MAX_DEPTH = 12
"""Schemas may refer to themselves; deeper values are made as small as they may be."""

MAX_ITEMS = 8
"""Of a list whose length the schema leaves open."""


@dataclass(frozen=True)
class Place:
    """Where in the answer a value goes, and what part of the text it is about.

    Attributes:
        name, hint: of the field: its key and description.
        focus: the sentence that this object or item is about, or None: the whole text.
        depth: of nesting.  must: a value has to be made, even if the text holds none.
    """

    name: str = ""
    hint: str = ""
    focus: Sentence | None = None
    depth: int = 0
    must: bool = True


def fill(schema: Mapping[str, Any], reading: Reading) -> Any:
    """A value that is valid against the schema.

    Raises: StepError: `invalid_output`: none was found (contradictory or very unusual schemas).
    """
    value = _Filler(schema, reading).make(schema, Place())
    fault = first_fault(value, schema)
    if fault is not None:
        raise StepError(
            "invalid_output",
            f"offline/text found no value for this schema: it {fault.said}",
            data={"path": fault.path, "model": "offline/text"},
            hint="use a model, or a simpler schema",
        )
    return value


class _Filler:
    """Walks one schema over one reading."""

    def __init__(self, root: Mapping[str, Any], reading: Reading) -> None:
        self.root = root
        self.reading = reading

    def make(self, schema: Any, place: Place) -> Any:
        """A value for a schema, or NOTHING when the text holds none and `place.must` is false."""
        schema = self._plain(schema)
        if schema.get("description"):
            place = replace(place, hint=str(schema["description"]))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return judgement.choice(list(schema["enum"]), place.name, place.hint, self._text(place))
        for word in ("oneOf", "anyOf"):
            if word in schema:
                return self._branch(schema, word, place)
        kinds = shape.kinds(schema)
        maybe_null = "null" in kinds and len(kinds) > 1
        kind = next((one for one in kinds if one != "null"), "null")
        value = self._of_kind(kind, schema, replace(place, must=place.must and not maybe_null))
        if value is shape.NOTHING and maybe_null:
            return None
        if value is shape.NOTHING and place.must:
            return schema["default"] if "default" in schema else self._plainest(kind, schema, place)
        return value

    def _of_kind(self, kind: str, schema: Mapping[str, Any], place: Place) -> Any:
        match kind:
            case "object":
                return self._object(schema, place)
            case "array":
                return self._array(schema, place)
            case "string":
                return self._string(schema, place)
            case "integer" | "number":
                return self._number(schema, place, whole=kind == "integer")
            case "boolean":
                held = judgement.held(place.name, place.hint, self._text(place))
                return shape.NOTHING if held is None else held
        return None

    def _object(self, schema: Mapping[str, Any], place: Place) -> Any:
        required = set(schema.get("required", ()))
        made: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            needed = name in required
            if not needed and place.depth >= MAX_DEPTH:
                continue
            value = self.make(inner, Place(name, "", place.focus, place.depth + 1, needed))
            if value is not shape.NOTHING and (needed or inner is not False):
                made[name] = value
        for name in sorted(required - made.keys()):
            made[name] = self.make(self._extra(schema, name), Place(name, "", place.focus, place.depth + 1))
        for number in range(len(made), int(schema.get("minProperties", 0))):
            name = f"key_{number + 1}"
            made[name] = self.make(self._extra(schema, name), Place("", "", place.focus, place.depth + 1))
        return self._conditions(schema, made, place)

    def _conditions(self, schema: Mapping[str, Any], made: dict[str, Any], place: Place) -> dict[str, Any]:
        """What `if`/`then`/`else` and the `dependent...` words ask for beside what is there."""
        for name, names in schema.get("dependentRequired", {}).items():
            for other in names if name in made else ():
                if other not in made:
                    inner = schema.get("properties", {}).get(other, self._extra(schema, other))
                    made[other] = self.make(inner, Place(other, "", place.focus, place.depth + 1))
        if "if" in schema and place.depth < MAX_DEPTH:
            holds = first_fault(made, self._rooted(schema["if"])) is None
            more = schema.get("then" if holds else "else")
            if isinstance(more, Mapping):
                rest = {key: value for key, value in schema.items() if key not in ("if", "then", "else")}
                again = self.make(shape.merged(rest, self._plain(more)), replace(place, depth=place.depth + 1))
                if isinstance(again, dict):
                    return again
        return made

    def _extra(self, schema: Mapping[str, Any], name: str) -> Any:
        for pattern, inner in schema.get("patternProperties", {}).items():
            if re.search(pattern, name):
                return inner
        more = schema.get("additionalProperties", {})
        return {} if more is False else more

    def _array(self, schema: Mapping[str, Any], place: Place) -> Any:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(MAX_ITEMS, least)))
        made = [self.make(one, replace(place, depth=place.depth + 1)) for one in schema.get("prefixItems", ())]
        inner = self._plain(schema.get("items", {} if "prefixItems" not in schema else False))
        if schema.get("items") is not False and place.depth < MAX_DEPTH:
            made += self._items(inner, schema, place, most - len(made))
        if "contains" in schema and least == 0:
            least = int(schema.get("minContains", 1))
        if "contains" in schema:
            made = [self.make(schema["contains"], Place(depth=place.depth + 1)), *made]
        if schema.get("uniqueItems"):
            made = shape.unique(made)
        while len(made) < least:
            more = self._one_more(inner, made, bool(schema.get("uniqueItems")), place)
            if more is shape.NOTHING:
                break
            made.append(more)
        return made[:most] if made or place.must or least == 0 else shape.NOTHING

    def _items(self, inner: Mapping[str, Any], schema: Mapping[str, Any], place: Place, most: int) -> list[Any]:
        """As many items as the text gives."""
        if most <= 0:
            return []
        kind = next((one for one in shape.kinds(inner) if one != "null"), "string")
        hint = " ".join(part for part in (place.hint, str(inner.get("description", ""))) if part)
        if kind == "string" and "enum" not in inner and "const" not in inner:
            values = fields.texts(place.name, hint, inner.get("format", ""), self.reading, place.focus, most)
            if "pattern" in inner:
                values = fields.matching(inner["pattern"], self.reading.material, most)
            return [value for value in values if self._fits(value, inner)][:most]
        if kind in ("integer", "number") and "enum" not in inner:
            found = fields.numbers_in(self._text(place), place.name)
            fit = [shape.fitted(value, inner, whole=kind == "integer") for value in found]
            return [value for value in fit if value is not shape.NOTHING][:most]
        if "enum" in inner:
            return judgement.choices(list(inner["enum"]), self._text(place))[:most]
        if kind == "object":
            about = fields.anchors(place.name, hint, self.reading, place.focus, most)
            made = [self.make(inner, Place("", "", one, place.depth + 1)) for one in about]
            return [value for value in made if value is not shape.NOTHING]
        return []

    def _one_more(self, inner: Mapping[str, Any], made: Sequence[Any], unique: bool, place: Place) -> Any:
        value = self.make(inner, Place(place.name, place.hint, place.focus, place.depth + 1))
        if not unique or value not in made:
            return value
        for number in range(len(made) + 1):
            for other in (inner.get("enum") or (number, str(number), f"{value} {number}")):
                if other not in made and first_fault(other, self._rooted(inner)) is None:
                    return other
        return shape.NOTHING

    def _string(self, schema: Mapping[str, Any], place: Place) -> Any:
        form, pattern = schema.get("format", ""), schema.get("pattern")
        value: str | None
        if pattern is not None:
            found = fields.matching(pattern, self._text(place), 1) or fields.matching(pattern, self.reading.material, 1)
            value = found[0] if found else None
        else:
            value = fields.text(place.name, place.hint, form, self.reading, place.focus)
        if value is not None and pattern is None and form == "":
            value = shape.sized(value, schema)
        if value is not None and self._fits(value, shape.own(schema)):
            return value
        return shape.NOTHING

    def _number(self, schema: Mapping[str, Any], place: Place, *, whole: bool) -> Any:
        found = fields.number(place.name, place.hint, self.reading, place.focus)
        for value in found:
            fit = shape.fitted(value, schema, whole=whole)
            if fit is not shape.NOTHING:
                return fit
        return shape.NOTHING

    def _plainest(self, kind: str, schema: Mapping[str, Any], place: Place) -> Any:
        """The value that says least, where one must be and the text holds none."""
        match kind:
            case "string":
                if "pattern" in schema:
                    return example_of(schema["pattern"])
                return shape.sized(fields.placeholder(schema.get("format", "")), schema)
            case "integer" | "number":
                return shape.neutral(schema, whole=kind == "integer")
            case "boolean":
                return False
            case "array":
                return []
            case "object":
                return {}
        return None

    def _branch(self, schema: Mapping[str, Any], word: str, place: Place) -> Any:
        """The first branch that the text has a value for, else the first that can be made."""
        rest = {key: value for key, value in schema.items() if key != word}
        whole = self._rooted(schema)
        tries = [shape.merged(rest, self._plain(branch)) for branch in schema[word]]
        if place.depth > MAX_DEPTH:
            tries.sort(key=lambda one: shape.kinds(one) != ["null"] and "properties" in one)
        can_be_null = any(shape.kinds(one) == ["null"] for one in tries)
        for must in (False, True):
            for branch in tries:
                if shape.kinds(branch) == ["null"] and (not must or place.must is False):
                    continue
                value = self.make(branch, replace(place, must=must and not can_be_null))
                if value is not shape.NOTHING and first_fault(value, whole) is None:
                    return value
        if can_be_null:
            return None
        return self.make(tries[0], place) if place.must and tries else shape.NOTHING

    def _plain(self, schema: Any) -> dict[str, Any]:
        """Without references and `allOf`."""
        if not isinstance(schema, Mapping):
            return {} if schema is not False else {"not": {}}
        made = dict(schema)
        for _ in range(20):
            if "$ref" in made:
                target = self._target(str(made.pop("$ref")))
                made = shape.merged(made, target)
            elif "allOf" in made:
                parts = made.pop("allOf")
                for part in parts:
                    made = shape.merged(made, self._plain(part))
            else:
                break
        return made

    def _target(self, reference: str) -> Mapping[str, Any]:
        found: Any = self.root
        for part in reference.lstrip("#").strip("/").split("/"):
            if part:
                key = part.replace("~1", "/").replace("~0", "~")
                found = found.get(key, {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}

    def _rooted(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """With the definitions of the root, so that it can be validated alone."""
        return {**{key: self.root[key] for key in ("$defs", "definitions") if key in self.root}, **schema}

    def _fits(self, value: str, schema: Mapping[str, Any]) -> bool:
        return not schema.keys() - shape.LOOSE or first_fault(value, self._rooted(schema)) is None

    def _text(self, place: Place) -> str:
        return place.focus.text if place.focus is not None else self.reading.material
