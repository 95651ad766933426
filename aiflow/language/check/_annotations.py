"""Annotations of Python as types, as far as they can be told from one source file without importing anything."""

from __future__ import annotations

import ast
from typing import Any

from aiflow.language.check._schemas import BOOLEAN, INTEGER, NULL, NUMBER, STRING, Type

_PLAIN = {"str": STRING, "int": INTEGER, "float": NUMBER, "bool": BOOLEAN, "None": NULL}
_LISTS = frozenset({"list", "List", "tuple", "Tuple", "set", "Set", "frozenset", "FrozenSet", "Sequence"})
_MAPS = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_DEPTH = 12
"""Annotations inside each other; deeper nothing is known."""


class Annotations:
    """The annotations of one module."""

    def __init__(self, tree: ast.Module) -> None:
        self._classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def argument(self, node: ast.expr | None) -> Type:
        """What may be handed to a parameter; JSON values come as they are, so classes say nothing."""
        return self._type(node, 0, result=False)

    def result(self, node: ast.expr | None) -> Type:
        """What is returned, as a step gives it on: dataclasses and typed dicts as maps."""
        return self._type(node, 0, result=True)

    def _type(self, node: ast.expr | None, depth: int, *, result: bool) -> Type:
        if depth > _DEPTH:
            return None
        match node:
            case ast.Constant(value=None):
                return NULL
            case ast.Constant(value=str() as text):
                try:
                    return self._type(ast.parse(text, mode="eval").body, depth + 1, result=result)
                except SyntaxError:
                    return None
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return self._named(name, depth, result=result)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return self._one_of([left, right], depth, result=result)
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
                return self._subscript(name, inner.elts if isinstance(inner, ast.Tuple) else [inner], depth, result=result)
        return None

    def _named(self, name: str, depth: int, *, result: bool) -> Type:
        if name in _PLAIN:
            return _PLAIN[name]
        if name in _LISTS:
            return {"type": "array"}
        if name in _MAPS:
            return {"type": "object"}
        return self._class(self._classes[name], depth, result=result) if name in self._classes else None

    def _subscript(self, name: str, inner: list[ast.expr], depth: int, *, result: bool) -> Type:
        match name:
            case "Literal":
                values = [one.value for one in inner if isinstance(one, ast.Constant) and isinstance(one.value, (str, int))]
                return {"enum": values} if len(values) == len(inner) else None
            case "Optional":
                return self._type(inner[0], depth + 1, result=result)
            case "Union":
                return self._one_of(inner, depth, result=result)
            case "Annotated" | "Required" | "NotRequired" | "ReadOnly" | "Final":
                return self._type(inner[0], depth + 1, result=result)
        if name in _LISTS:
            same = len(inner) == 1 or isinstance(inner[-1], ast.Constant) and inner[-1].value is ...
            return {"type": "array", "items": (self._type(inner[0], depth + 1, result=result) if same else None) or {}}
        if name in _MAPS:
            further = self._type(inner[1], depth + 1, result=result) if len(inner) == 2 else None
            return {"type": "object", **({"additionalProperties": further} if further else {})}
        return None

    def _one_of(self, parts: list[ast.expr], depth: int, *, result: bool) -> Type:
        """A union: of a type and None the type; of others nothing is known."""
        found = [self._type(one, depth + 1, result=result) for one in parts]
        rest = [one for one in found if one != NULL]
        return rest[0] if len(rest) == 1 else None

    def _class(self, node: ast.ClassDef, depth: int, *, result: bool) -> Type:
        """A typed dict, or for results a dataclass, by its fields."""
        bases = [_name(one) for one in node.bases]
        typed = "TypedDict" in bases
        if not typed and not (result and not bases and any(_is_dataclass(one) for one in node.decorator_list)):
            return None
        fields: dict[str, Any] = {}
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                fields[one.target.id] = self._type(one.annotation, depth + 1, result=result) or {}
        closed = result and bases in ([], ["TypedDict"])
        return {"type": "object", "properties": fields, **({"additionalProperties": False} if closed else {})}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_dataclass(node: ast.expr) -> bool:
    return _name(node.func if isinstance(node, ast.Call) else node) == "dataclass"
