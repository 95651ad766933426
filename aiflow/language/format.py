"""`format_text`: a workflow file in the one usual layout, saying exactly what it said.

Keys in the usual order, two blanks a level, conditions without braces and needless quotes (V4). All else stays. The result
is read again: its data, but for the conditions, and its comments must be those of before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from aiflow.errors import AiflowError, SpecError
from aiflow.language.bare import unbrace
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.definitions import Definitions
from aiflow.language.edits import Edit, apply_edits
from aiflow.language.key_order import key_orders
from aiflow.language.layout import laid_out
from aiflow.language.load import Document, load_document, read_document
from aiflow.language.syntax import ExpressionSyntaxError, parse_bare
from aiflow.language.tree import Path, plant
from aiflow.language.yaml_text import quoted
from aiflow.language.yaml_tree import Node, build_tree
from aiflow.settings import Settings

_BRACES = re.compile(r"\s*\{\{[-+]?\s*(.*?)\s*[-+]?\}\}\s*", re.DOTALL)


class FormatError(AiflowError):
    """The text in the usual layout would not say the same; a fault of the formatter, and nothing is written."""

    code = "format"


def format_text(text: str, shown: str = "workflow.yaml") -> str:
    """The file in the usual layout, with its own line ends.

    Args: shown: the file's name in messages.
    Raises: SpecError: the YAML has faults.  FormatError: the result would say something else.
    """
    before = load_document(text, shown)
    edits, meant = _conditions(before)
    loose = apply_edits(before.text, edits)
    made = _lay_out(loose, shown)
    _check(before, meant, made)
    if "\r\n" in text:
        made = made.replace("\n", "\r\n")
    return "\ufeff" + made if text.startswith("\ufeff") else made


def _lay_out(text: str, shown: str) -> str:
    root = build_tree(text).root
    return text if root is None else laid_out(text, root, key_orders(load_document(text, shown).data, root))


def _conditions(doc: Document) -> tuple[list[Edit], dict[Path, str]]:
    """Edits that write bare expressions without braces and quotes, and what the changed ones are then."""
    if not isinstance(doc.data, dict) or "steps" not in doc.data:
        return [], {}
    edits: dict[Edit, None] = {}
    meant: dict[Path, str] = {}
    for site in _sites(doc):
        written = doc.source_of(site.path)
        value = _without_braces(site)
        if not site.bare or value is None or written[:1] in ("|", ">", "*", "&") or "\n" in written or "\n" in value:
            continue
        if value != site.text:
            meant[site.path] = value
        plain = _plain(value, flow=doc.in_flow(site.path))
        new = value if plain else written if value == site.text else quoted(value)
        if new != written:
            start = doc.value_offset(site.path)
            edits[_keeping_the_comment(doc.text, Edit(start, start + len(written), new))] = None
    return list(edits), meant


def _sites(doc: Document) -> list[Site]:
    file = FilePath(doc.shown).absolute()
    settings = Settings(root=file.parent)
    return Inspection(doc, plant(doc.data), settings, file, Definitions(file.parent, file, None)).sites


def _without_braces(site: Site) -> str | None:
    """The expression that a text stands for; None when it is none."""
    try:
        tree = unbrace(site.text, site.word)
        if tree is None:
            return site.text
        found = _BRACES.fullmatch(site.text)
        return found[1] if found and parse_bare(found[1]) == tree else None
    except ExpressionSyntaxError:
        return None


def _plain(value: str, flow: bool) -> bool:
    """Whether every YAML reader takes the text for itself without quotes."""
    document, faults = read_document(f"[{value}, x]" if flow else f"k: {value}\nl: x", "")
    return not faults and document is not None and document.data == ([value, "x"] if flow else {"k": value, "l": "x"})


def _keeping_the_comment(text: str, edit: Edit) -> Edit:
    """With blanks, so that a comment behind the value stays in its column."""
    behind = re.compile(r"[ \t]+(?=#)").match(text, edit.end)
    missing = edit.end - edit.start - len(edit.text)
    return Edit(edit.start, edit.end, edit.text + " " * missing) if behind and missing > 0 else edit


def _check(before: Document, meant: dict[Path, str], made: str) -> None:
    """Raises: FormatError: the new text does not say what the old one said, or has lost a comment."""
    try:
        after = load_document(made, before.shown)
    except SpecError as error:
        raise _different(before.shown, error.message) from error
    if not _same(before.data, after.data, meant, ()):
        raise _different(before.shown, "its data would change")
    if Counter(comments_of(before.text)) != Counter(comments_of(made)):
        raise _different(before.shown, "a comment would change")


def _different(shown: str, why: str) -> FormatError:
    return FormatError(f"{shown} cannot be laid out: {why}", "this is a fault of aiflow, please report it; the file is as it was")


def _same(one: Any, other: Any, meant: dict[Path, str], path: Path) -> bool:
    """Whether two values are equal, types included, but for the changed conditions."""
    if path in meant:
        return bool(other == meant[path])
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key], meant, (*path, key)) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(one[n], other[n], meant, (*path, n)) for n in range(len(one)))
    return bool(one == other)


def comments_of(text: str) -> list[str]:
    """Every comment of a YAML text, from its `#` to the end of the line."""
    masked = list(text)
    root = build_tree(text).root
    for node in _scalars(root) if root is not None else ():
        for place in range(node.start, node.end):
            masked[place] = "\n" if text[place] == "\n" else "x"
    return [found[1].rstrip() for found in re.finditer(r"(?:^|(?<=\s))(#[^\n]*)", "".join(masked), re.MULTILINE)]


def _scalars(node: Node) -> Iterator[Node]:
    if node.kind == "scalar":
        yield node
    for part in (*node.items, *(part for pair in node.pairs for part in pair)):
        yield from _scalars(part)
