"""Safety: templates where they could run as a command, secrets where they would be stored, keys written in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.check._words import path_text
from aiflow.language.config import long_form
from aiflow.language.references import Reference
from aiflow.language.tree import Node, Path

_TEMPLATE = re.compile(r"""(?P<quote>["']?)\{\{-?\s*(?P<inner>.*?)\s*-?\}\}(?P=quote)""", re.DOTALL)
_KEYS = (
    (re.compile(r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}"), "a key of a model provider"),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), "an AWS access key"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{40,}"), "a GitHub token"),
    (re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"), "a Google API key"),
    (re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}"), "a Slack token"),
    (re.compile(r"\b[sr]k_live_[0-9A-Za-z]{20,}"), "a Stripe key"),
    (re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{10,}"), "a token (JWT)"),
    (re.compile(r"://[^/\s:@{}]+:[^/\s@{}]{3,}@"), "a password in a URL"),
)
_PATHS = {("email", "template"): "the path of an email", ("call", "workflow"): "the path of a workflow"}
_OPEN_KINDS = ("http", "email")
_OPEN_WITH = ("python", "shell")


def check(look: Inspection) -> None:
    """All faults of safety."""
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name == "shell":
            _shell(look, node)
        if node.kind is not None:
            _fixed(look, node)
    for site in look.sites:
        for reference in site.references:
            if not _may_see_secrets(site) and _is_secret(look, reference):
                _stored(look, site, reference)
    _nested_secrets(look)
    _written_keys(look)


def _shell(look: Inspection, node: Node) -> None:
    assert node.kind is not None
    value = node.data["shell"]
    script = long_form(node.kind, value, look.file.parent).get("run")
    path: Path = (*node.path, "shell", "run") if isinstance(value, dict) else (*node.path, "shell")
    if not isinstance(script, str) or look.is_wrong(path):
        return
    found = _TEMPLATE.search(script)
    if found is None:
        return
    offset = found.start() + len(found["quote"])
    message = "a shell script cannot contain {{ }}: the value could run as a command"
    look.at_offset(path, offset, message, "template-in-shell", _as_variables(script, isinstance(value, dict)), length=2)
    look.wrong.add(path)


def _as_variables(script: str, long: bool) -> str:
    names: dict[str, str] = {}

    def variable(found: re.Match[str]) -> str:
        inner = found["inner"]
        word = _variable_name(inner)
        while names.get(word, inner) != inner:
            word += "_2"
        names[word] = inner
        before = script[: found.start()].rpartition("\n")[2]
        if not found["quote"] and before.count("'") % 2 == 1:
            return f"""'"${word}"'"""  # out of the single quotes, in which nothing is replaced, and in again
        quoted = not found["quote"] and before.count('"') % 2 == 1
        return f"${{{word}}}" if quoted else f'"${word}"'

    fixed = _TEMPLATE.sub(variable, script)
    line = (
        next(one for one, old in zip(fixed.splitlines(), script.splitlines(), strict=False) if one != old or "\n" not in script)
        if (len(fixed.splitlines()) == len(script.splitlines()))
        else fixed.splitlines()[0]
    )
    given = ", ".join(f'{name}: "{{{{ {inner} }}}}"' for name, inner in names.items())
    key = "run" if long else "shell"
    shown = f"{key}: {line.strip()}" if "\n" not in script.strip() else f"{line.strip()}"
    return f"pass it as a variable:\n        {shown}\n        with: {{{given}}}"


def _variable_name(inner: str) -> str:
    words: list[str] = re.findall(r"[A-Za-z_]\w*", inner.split("|")[0])
    useful = [word for word in words if word not in ("inputs", "steps", "output", "item", "env")] or words
    return useful[-1].lower() if useful else "value"


def _fixed(look: Inspection, node: Node) -> None:
    """Templates in options that are fixed; prompts and schemas have a check of their own."""
    assert node.kind is not None
    if node.kind.name == "llm" or not node.kind.fixed:
        return
    value = node.data[node.kind.name]
    config = long_form(node.kind, value, look.file.parent)
    for option in node.kind.fixed:
        given = config.get(option)
        if isinstance(given, str) and "{{" in given:
            path: Path = (*node.path, node.kind.name, option) if isinstance(value, dict) else (*node.path, node.kind.name)
            if not look.is_wrong(path):
                what = _PATHS.get((node.kind.name, option), f"`{option}` of `{node.kind.name}`")
                message = f"{what} cannot contain a template: it is checked before the run"
                hint = "write it as it is"
                if (node.kind.name, option) in _PATHS:
                    hint = "write the path as it is; choose between files with `switch`"
                elif option == "query":
                    hint = "values come from `params`: ... where name = :name"
                look.at_value(path, message, "fixed-option", hint)


def _may_see_secrets(site: Site) -> bool:
    node = site.node
    if site.role == "triggers":
        return site.word == "secret"
    if node is None or node.kind is None:
        return site.role == "defaults" and len(site.path) > 1 and site.path[1] in _OPEN_KINDS
    if site.role == "config":
        return node.kind.name in _OPEN_KINDS
    return site.role == "with" and node.kind.name in _OPEN_WITH


def _is_secret(look: Inspection, reference: Reference) -> bool:
    if reference.root == "secrets":
        return True
    if reference.root != "inputs" or not reference.path:
        return False
    declared = look.definitions.inputs.get("properties", {}).get(reference.path[0])
    return isinstance(declared, dict) and declared.get("x-aiflow-type") == "secret"


def _nested_secrets(look: Inspection) -> None:
    """Only a whole input can be sealed; a secret inside of a list or map would be stored."""
    for name, declared in look.definitions.inputs.get("properties", {}).items():
        if isinstance(declared, dict) and declared.get("x-aiflow-type") != "secret" and _has_secret(declared):
            message = f"there is a `secret` inside of the input `{name}`, and there it would be stored with the run"
            written = next((key for key in look.data["inputs"] if re.match(r"\w*", key)[0] == name), None)  # type: ignore[index]
            path: Path = ("inputs",) if written is None else ("inputs", written)
            look.at_value(path, message, "secret-stored", "make it an input of its own")


def _has_secret(schema: Any) -> bool:
    if isinstance(schema, dict):
        return schema.get("x-aiflow-type") == "secret" or any(_has_secret(one) for one in schema.values())
    return isinstance(schema, list) and any(_has_secret(one) for one in schema)


def _stored(look: Inspection, site: Site, reference: Reference) -> None:
    written = path_text(reference.root, reference.path)
    message = f"`{written}` is secret, and here it would be stored with the run"
    hint = "secrets may go only into `http`, `email` and the `secret` of a trigger, and into `with` of `python` and `shell`"
    look.at_offset(site.path, reference.offset, message, "secret-stored", hint, length=len(written))


def _written_keys(look: Inspection) -> None:
    for path, text in _all_texts(look.data, ()):
        for pattern, what in _KEYS:
            found = pattern.search(text)
            if found:
                name = next((str(part) for part in reversed(path) if isinstance(part, str)), "KEY")
                variable = re.sub(r"\W+", "_", name).upper()
                look.at_offset(
                    path,
                    found.start(),
                    f"this looks like {what}; a workflow file is no place for it",
                    "written-secret",
                    f'take it out of the file, make a new one, and write "{{{{ secrets.{variable} }}}}"',
                    length=min(len(found[0]), 12),
                )
                break


def _all_texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if len(value) >= 12:
            yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _all_texts(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _all_texts(one, (*path, index))
