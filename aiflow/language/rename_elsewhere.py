"""What follows when a step, an input or an item of a workflow is renamed: its tests, and the workflows that call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from aiflow.language.check._sites import parse_site, texts
from aiflow.language.edits import Edit, RawOffsets
from aiflow.language.load import Document, load_document
from aiflow.language.references import find_references
from aiflow.language.rename import Renaming, compared_paths, key_edit, look_at, word_at, word_edit
from aiflow.language.syntax import ExpressionSyntaxError
from aiflow.language.tree import Path


def rename_in_test(text: str, task: Renaming, shown: str) -> list[Edit]:
    """Edits of a file of tests of the workflow: names and paths of steps, names of inputs, expressions.

    Raises: SpecError: the YAML has faults.  RenameError: a name is written with escapes.
    """
    doc = load_document(text, shown)
    found: list[Edit] = []
    for path, part in _parts(doc.data):
        if task.what == "input":
            found += _input(doc, part.get("inputs"), (*path, "inputs"), task)
        elif task.what == "step":
            found += _step_names(doc, part, path, task)
        for where, said, bare in _expressions(part, path):
            found += _in_expression(doc, where, said, bare, task)
    return RawOffsets(text).edits(found)


def rename_in_caller(text: str, task: Renaming, called: FilePath, file: FilePath) -> list[Edit]:
    """Edits of a workflow that calls the one whose input is renamed: the keys of `with` beside the `call`.

    Raises: SpecError: the YAML has faults.
    """
    look = look_at(text, file)
    found: list[Edit] = []
    for node, _, _, named in look.calls if task.what == "input" else ():
        if named.resolve() == called:
            found += _input(look.doc, node.data.get("with"), (*node.path, "with"), task)
    return RawOffsets(text).edits(found)


def _parts(data: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A file of tests and each of its tests, as far as they are maps."""
    if not isinstance(data, dict):
        return
    yield (), data
    tests = data.get("tests")
    for index, one in enumerate(tests if isinstance(tests, list) else ()):
        if isinstance(one, dict):
            yield ("tests", index), one


def _input(doc: Document, given: Any, path: Path, task: Renaming) -> Iterator[Edit]:
    if isinstance(given, dict) and task.old in given:
        yield key_edit(doc, (*path, task.old), task)


def _step_names(doc: Document, part: dict[str, Any], path: Path, task: Renaming) -> Iterator[Edit]:
    """Ids and paths: keys of `mock` and `expect.steps`, items of `ran` and `not_ran`, `expect.error.step`."""
    expect = part.get("expect")
    expect = expect if isinstance(expect, dict) else {}
    for where, named in (((*path, "mock"), part.get("mock")), ((*path, "expect", "steps"), expect.get("steps"))):
        for key in named if isinstance(named, dict) else ():
            if (offset := _offset(key, task)) is not None:
                yield key_edit(doc, (*where, key), task, offset)
    listed = [((*path, "expect", word, index), one) for word in ("ran", "not_ran") for index, one in _items(expect.get(word))]
    error = expect.get("error")
    if isinstance(error, dict):
        listed.append(((*path, "expect", "error", "step"), error.get("step")))
    for where, one in listed:
        if (offset := _offset(one, task)) is not None:
            yield word_edit(doc, where, offset, task, whole=one == task.old)


def _items(given: Any) -> list[tuple[int, Any]]:
    return list(enumerate(given)) if isinstance(given, list) else []


def _offset(said: Any, task: Renaming) -> int | None:
    """Where in a path the renamed step stands."""
    found = task.paths.match(said) if task.paths is not None and isinstance(said, str) else None
    return found.end("lead") if found else None


def _expressions(part: dict[str, Any], path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Templates in `mock`, conditions in `expect.that`; the last: whether it is bare."""
    for where, said in texts(part.get("mock"), (*path, "mock")):
        yield where, said, False
    expect = part.get("expect")
    that = expect.get("that") if isinstance(expect, dict) else None
    if isinstance(that, str):
        yield (*path, "expect", "that"), that, True
    for index, one in _items(that):
        if isinstance(one, str):
            yield (*path, "expect", "that", index), one, True


def _in_expression(doc: Document, path: Path, said: str, bare: bool, task: Renaming) -> Iterator[Edit]:
    tree = parse_site(said, bare)
    if isinstance(tree, ExpressionSyntaxError):
        return
    for reference in find_references(tree):
        if task.what == "item" and reference.root == task.old:
            yield word_edit(doc, path, reference.offset, task)
        elif reference.root == f"{task.what}s" and reference.path[:1] == (task.old,):
            yield word_edit(doc, path, word_at(said, reference.offsets[0]), task)
    if task.paths is not None:
        for offset in compared_paths(tree, said, task.paths):
            yield word_edit(doc, path, offset, task)
