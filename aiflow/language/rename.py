"""Renaming a step, an input or an item: every word of the file that means it, and nothing else of the text.

Words are found by the positions that the checks use: ids and names where they are declared, references in expressions
(`steps.old`, `steps['old']`), paths of steps compared with `error.step`. Before the edits are given back the new text is
read again: each expression must refer to what it referred to before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal

from jinja2 import nodes

from aiflow.errors import AiflowError
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.check._words import did_you_mean, listed
from aiflow.language.definitions import Definitions
from aiflow.language.edits import Edit, RawOffsets, apply_edits
from aiflow.language.load import Document, load_document
from aiflow.language.references import Reference
from aiflow.language.syntax import ExpressionSyntaxError, chain, offset_of
from aiflow.language.tree import Node, Path, Tree, plant
from aiflow.language.vocabulary import ID_PATTERN, RESERVED_NAMES
from aiflow.language.yaml_scalars import resolve
from aiflow.settings import Settings

What = Literal["step", "input", "item"]


class RenameError(AiflowError):
    """A name cannot be changed: there is none of that name, the new one is taken or no name, or it cannot be done safely."""

    code = "rename"
    exit_code = 2


@dataclass(frozen=True)
class Renaming:
    """What is renamed in a workflow.

    Attributes: paths: for a step, where it stands in a run: pattern of its paths up to its own name.
    """

    what: What
    old: str
    new: str
    paths: re.Pattern[str] | None = None


def rename_step(text: str, old: str, new: str, file: FilePath = FilePath("workflow.yaml")) -> list[Edit]:
    """Edits that give the step `old` the id `new`.

    Args: file: where the text comes from; a short `llm` text may name a prompt file beside it.
    Raises: RenameError.  SpecError: the YAML has faults.
    """
    return rename(text, "step", old, new, file)[0]


def rename(text: str, what: What, old: str, new: str, file: FilePath) -> tuple[list[Edit], Renaming]:
    """Like `rename_step`, for a step, an input or the item of an `each` (all of that name)."""
    before = look_at(text, file)
    task = _task(before, what, old, new)
    edits = list(dict.fromkeys(_words(before, task)))
    _same_meaning(before, look_at(apply_edits(before.doc.text, edits), file), task)
    return RawOffsets(text).edits(edits), task


def what_is(text: str, name: str, file: FilePath) -> tuple[What, str]:
    """What a name given on the command line means: a step, else an item; with `inputs.` before it an input.

    Raises: RenameError: there is none.  SpecError: the YAML has faults.
    """
    look = look_at(text, file)
    root, dot, rest = name.partition(".")
    if dot and root == "inputs":
        return "input", rest
    name = rest if dot and root == "steps" else name
    if name not in look.tree.by_id and any(node.item_name == name for node in look.tree.nodes):
        return "item", name
    if name not in look.tree.by_id and name in look.definitions.input_names:
        raise RenameError(f"there is no step `{name}` in {look.doc.shown}, but an input", f"write: inputs.{name}")
    return "step", name


def look_at(text: str, file: FilePath) -> Inspection:
    """The document, its steps and its expressions, not checked. Raises: SpecError: the YAML has faults."""
    doc = load_document(text, str(file))
    inputs = doc.data.get("inputs") if isinstance(doc.data, dict) else None
    root = file.absolute().parent
    return Inspection(doc, plant(doc.data), Settings(root=root), root / file.name, Definitions(root, root / file.name, inputs))


def _task(look: Inspection, what: What, old: str, new: str) -> Renaming:
    """The request, checked against the file. Raises: RenameError."""
    tree = look.tree
    known = {
        "step": list(tree.by_id),
        "input": look.definitions.input_names,
        "item": [node.item_name for node in tree.nodes if node.has_each],
    }[what]
    if old not in known:
        otherwise = f"the {what}s are: {listed(dict.fromkeys(known))}" if known else f"it has no {what}s"
        raise RenameError(f"there is no {what} `{old}` in {look.doc.shown}", did_you_mean(old, known, otherwise))
    if new == old:
        raise RenameError(f"the {what} `{old}` already has this name")
    _check_form(what, new)
    if new in known or (what == "item" and new in RESERVED_NAMES):
        why = "already taken" if new in known else "a word with a meaning of its own in expressions"
        taken = listed(dict.fromkeys(known))
        raise RenameError(f"`{new}` is {why} in {look.doc.shown}", f"choose another name; taken are: {taken}")
    _check_readable(look, old)
    return Renaming(what, old, new, _path_pattern(tree, tree.by_id[old]) if what == "step" else None)


def _check_form(what: What, new: str) -> None:
    pattern = "[A-Za-z_][A-Za-z0-9_]*" if what == "input" else ID_PATTERN
    if not re.fullmatch(pattern, new):
        raise RenameError(
            f"`{new}` cannot be the name of {'an' if what != 'step' else 'a'} {what}",
            "a name begins with a small letter; then small letters, digits and _ (64 at most)",
        )


def _check_readable(look: Inspection, old: str) -> None:
    """An expression with a fault may hide a reference."""
    for site in look.sites:
        if isinstance(site.parsed, ExpressionSyntaxError) and re.search(rf"\b{re.escape(old)}\b", site.text):
            line, column = look.doc.value_at(site.path)
            message = f"{look.doc.shown}:{line}:{column}: this expression has a fault and names `{old}`: {site.parsed.message}"
            raise RenameError(message, "mend it first, then rename")


def _words(look: Inspection, task: Renaming) -> Iterator[Edit]:
    """Every word to change, as edits of the document's text."""
    doc = look.doc
    for path in _declared(look, task):
        if path[-1] in ("id", "as"):
            yield word_edit(doc, path, 0, task, whole=True)
        else:
            yield key_edit(doc, path, task)
    for site in look.sites:
        for reference in site.references:
            if (place := _place(reference, site, task)) is not None:
                yield word_edit(doc, site.path, word_at(site.text, place), task)
        if task.paths is not None and site.tree is not None:
            for offset in compared_paths(site.tree, site.text, task.paths):
                yield word_edit(doc, site.path, offset, task)


def _declared(look: Inspection, task: Renaming) -> Iterator[Path]:
    """Where the name is given: the path of the value of `id` or `as`, or that of a key of `inputs`."""
    if task.what == "step":
        yield (*look.tree.by_id[task.old].path, "id")
    elif task.what == "item":
        for node in look.tree.nodes:
            if node.item_name == task.old and "as" not in node.data:
                line = look.line_of((*node.path, "each"))
                raise RenameError(f"the `each` on line {line} has no `as`", f"add there: as: {task.new}")
            if node.item_name == task.old:
                yield (*node.path, "as")
    else:
        for key in look.data["inputs"]:
            if isinstance(key, str) and re.match(rf"{re.escape(task.old)}(?![A-Za-z0-9_])", key):
                yield ("inputs", key)
        triggers = look.data.get("triggers")
        for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
            given = trigger.get("inputs") if isinstance(trigger, dict) else None
            if isinstance(given, dict) and task.old in given:
                yield ("triggers", index, "inputs", task.old)


def _place(reference: Reference, site: Site, task: Renaming) -> int | None:
    """The offset of the word in the expression that names what is renamed."""
    if task.what == "item":
        node = site.scope.get(task.old)
        is_item = reference.root == task.old and node is not None and node.item_name == task.old
        return reference.offset if is_item else None
    root = "steps" if task.what == "step" else "inputs"
    return reference.offsets[0] if reference.root == root and reference.path[:1] == (task.old,) else None


def word_at(text: str, offset: int) -> int:
    """Where a word of an expression begins, behind blanks and a quote."""
    while text[offset : offset + 1] in ("'", '"', " ", "\t", "\n"):
        offset += 1
    return offset


def compared_paths(tree: nodes.Node, text: str, paths: re.Pattern[str]) -> Iterator[int]:
    """Offsets of the step's name in paths that an expression compares with `error.step`."""
    comparisons: list[nodes.Compare] = [*([tree] if isinstance(tree, nodes.Compare) else []), *tree.find_all(nodes.Compare)]
    for comparison in comparisons:
        sides = [comparison.expr, *(operand.expr for operand in comparison.ops)]
        if not any(_is_error_step(side) for side in sides):
            continue
        constants = [one for side in sides for one in [side, *side.find_all(nodes.Const)] if isinstance(one, nodes.Const)]
        for one in constants:
            found = paths.match(one.value) if isinstance(one.value, str) else None
            if found and text[offset_of(one) + 1 :].startswith(one.value):
                yield offset_of(one) + 1 + found.end("lead")


def _is_error_step(node: nodes.Node) -> bool:
    root, keys = chain(node)
    words = [key.value for key in keys if isinstance(key, nodes.Const)]
    return isinstance(root, nodes.Name) and root.name == "error" and words == ["step"]


def _path_pattern(tree: Tree, node: Node) -> re.Pattern[str]:
    """Matches paths that lead to or through a step; the group `lead` ends before its own name (DSL 3.19)."""
    sub, block = node.sub, node.block
    while (owner := tree.blocks[block]) is not None:
        sub, block = f"{owner.sub}.{sub}", owner.block
    lead = sub[: len(sub) - len(node.label)]
    steps = re.escape(lead).replace(r"\.", r"(?:\[\d+\])*\.")
    return re.compile(rf"(?P<lead>{steps}|){re.escape(node.label)}(?=\Z|[.\[])")


def word_edit(doc: Document, path: Path, offset: int, task: Renaming, whole: bool = False) -> Edit:
    """The edit of the word at a character of a text. `whole`: the text is nothing but the name."""
    start = doc.offset_at(path, offset)
    return _checked(doc, start, task, quotable=whole)


def key_edit(doc: Document, path: Path, task: Renaming, offset: int = 0) -> Edit:
    """The edit of the word at a character of a key."""
    return _checked(doc, doc.key_offset(path) + offset, task, quotable=path[-1] == task.old)


def _checked(doc: Document, start: int, task: Renaming, quotable: bool) -> Edit:
    """Raises: RenameError: the word does not stand there as it is (written with escapes, say)."""
    end = start + len(task.old)
    if doc.text[start:end] != task.old:
        line = doc.text.count("\n", 0, start) + 1
        raise RenameError(f"{doc.shown}:{line}: `{task.old}` is written with escapes here", "write it plainly, then rename")
    plain = doc.text[max(0, start - 1) : start] not in ("'", '"')
    needs_quotes = quotable and plain and not isinstance(resolve(task.new), str)
    return Edit(start, end, f'"{task.new}"' if needs_quotes else task.new)


def _same_meaning(before: Inspection, after: Inspection, task: Renaming) -> None:
    """Raises: RenameError: an expression would refer to something else than before."""
    for old, new in zip(before.sites, after.sites, strict=True):
        if [_renamed(one, old, task) for one in old.references] != [(one.root, one.path) for one in new.references]:
            line, column = before.doc.value_at(old.path)
            raise RenameError(
                f"{before.doc.shown}:{line}:{column}: with the name `{task.new}` this expression would mean something else",
                "choose another name",
            )


def _renamed(reference: Reference, site: Site, task: Renaming) -> tuple[str, tuple[Any, ...]]:
    if _place(reference, site, task) is None:
        return reference.root, reference.path
    return (task.new, reference.path) if task.what == "item" else (reference.root, (task.new, *reference.path[1:]))
