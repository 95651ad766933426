"""What may be written inside an expression: inputs, steps that have run, fields of what they gave, filters.

Keys are completed by the YAML language server, from the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiflow.language.check._reach import reach
from aiflow.language.check._schemas import plain
from aiflow.language.check._sites import Site
from aiflow.language.explain import type_text
from aiflow.language.filters import FILTERS
from aiflow.lsp.hover import type_of
from aiflow.lsp.place import Place

VARIABLE, FIELD, FUNCTION, VALUE = 6, 5, 3, 12
"""Kinds of completions in the protocol."""

ROOTS = {
    "inputs": "what the run was given",
    "steps": "steps that have run",
    "run": "the run itself",
    "step": "this step",
    "env": "variables of the environment that the project allows",
    "secrets": "keys and passwords",
}
STEP_FIELDS = ("output", "status", "error", "errors", "attempts", "usage")

_CHAIN = re.compile(r"([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)\.(\w*)\Z")
_PART = re.compile(r"\.(\w+)|\[(\d+)\]")

Offer = tuple[str, int, str]
"""Text, kind, what it is."""


def completions(place: Place) -> list[Offer]:
    """Everything that may stand at the cursor; the editor filters by what is typed."""
    site, index = place.site, place.spot.index
    if site is None or index is None:
        return []
    before = site.text[:index]
    if not site.bare and before.rfind("{{") <= before.rfind("}}"):
        return []
    if re.search(r"\|\s*\w*\Z", before):
        return [(name, FUNCTION, (function.__doc__ or "").partition("\n")[0]) for name, function in FILTERS.items()]
    chain = _CHAIN.search(before)
    return list(_fields(place, site, chain[1]) if chain else _roots(site))


def _roots(site: Site) -> Iterator[Offer]:
    for name in site.scope:
        yield name, VARIABLE, "given here"
    for name, about in ROOTS.items():
        yield name, VARIABLE, about


def _fields(place: Place, site: Site, written: str) -> Iterator[Offer]:
    root, *_ = re.split(r"[.\[]", written, maxsplit=1)
    path = tuple(int(found[2]) if found[2] else found[1] for found in _PART.finditer(written))
    if root == "steps" and not path:
        yield from _steps(place, site)
    elif root == "steps" and len(path) == 1:
        for name in STEP_FIELDS:
            yield name, FIELD, type_text(type_of(place, root, (path[0], name))[1])
    else:
        for name, schema in _properties(type_of(place, root, path)[1]).items():
            yield name, FIELD, type_text(schema)


def _steps(place: Place, site: Site) -> Iterator[Offer]:
    for name, node in place.look.tree.by_id.items():
        if not reach(node, site.node, site.role).code:
            yield name, VARIABLE, type_text(place.look.types.output_of(node))


def _properties(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (plain(schema) or {}).get("properties", {})
    return found
