"""Emails: something to send, somebody to send it to, a subject, what the email file is given. Addresses of `approve`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.check._fit import has_template
from aiflow.language.check._handed import Wants, handed_over
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._paths import say_missing
from aiflow.language.check._words import flow
from aiflow.language.config import kind_defaults, long_form
from aiflow.language.foreign import FOREIGN_OPTIONS
from aiflow.language.prompts import Prompt
from aiflow.language.tree import Node, Path

_BODIES = ("template", "text", "html")
_RECIPIENTS = ("to", "cc", "bcc")
_ADDRESSES = {"email": ("to", "cc", "bcc", "from", "reply_to"), "approve": ("to",)}
_MEANT = FOREIGN_OPTIONS["email"]


def check(look: Inspection) -> None:
    """All faults of `email` steps, and of addresses."""
    for node in look.tree.nodes:
        if node.kind is None or look.is_wrong((*node.path, node.kind.name)):
            continue
        if node.kind.name == "email":
            _email(look, node)
        if node.kind.name in _ADDRESSES:
            _addresses(look, node.data[node.kind.name], (*node.path, node.kind.name), node.kind.name)
    defaults = look.data.get("defaults")
    if isinstance(defaults, dict):
        _addresses(look, defaults.get("email"), ("defaults", "email"), "email")


def _addresses(look: Inspection, options: Any, path: Path, kind: str) -> None:
    """Addresses that stand in the file."""
    for option in _ADDRESSES[kind] if isinstance(options, dict) else ():
        given = options.get(option)
        for index, one in enumerate(given if isinstance(given, list) else [given]):
            where = (*path, option, index) if isinstance(given, list) else (*path, option)
            if isinstance(one, str) and "@" not in one and not has_template(one) and not look.is_wrong(where):
                hint = f"write for example: {option}: ana@acme.example"
                if one.strip().startswith(("inputs.", "steps.", "env.")):
                    hint = f'an expression stands in braces: {option}: "{{{{ {one.strip()} }}}}"'
                look.at_value(where, f"`{one}` is no email address: it has no @", "bad-address", hint)


def _email(look: Inspection, node: Node) -> None:
    assert node.kind is not None
    value, path = node.data["email"], (*node.path, "email")
    if not isinstance(value, (str, dict)):
        return
    written = long_form(node.kind, value, look.file.parent)
    config = {**kind_defaults(node.kind, *look.layers), **written}
    letter = _template(look, node, written, path) if "template" in written else None
    if letter is None and "template" in written:
        return
    known = node.kind.schema["properties"]
    if not _body(look, written, config, path) or any(key not in known for key in written):
        return
    said: Mapping[str, Any] = letter.options if letter is not None else {}
    given = {key: one for key, one in {**said, **config}.items() if one is not None}
    add = f"add to the front matter of {written['template']}" if letter is not None else "add"
    if not any(key in given for key in _RECIPIENTS):
        hint = f'{add}: to: ..., or for all: defaults: {{email: {{to: "{{{{ inputs.email }}}}"}}}}'
        look.at_key(path, "this email goes to nobody: there is no `to`", "missing-key", hint)
    elif "subject" not in given:
        look.at_key(path, "this email has no `subject`", "missing-key", f"{add}: subject: ...")


def _body(look: Inspection, written: Mapping[str, Any], config: Mapping[str, Any], path: Path) -> bool:
    present = [word for word in _BODIES if word in written]
    if "template" in present and len(present) > 1:
        message = f"`email` takes a template, or `text` and `html`; this has `template` and `{present[1]}`"
        look.at_key((*path, present[1]), message, "wrong-type", "keep one of them")
        return False
    if not present and not any(word in config for word in _BODIES) and not any(key in _MEANT for key in written):
        look.at_key(path, "`email` needs `template`, `text` or `html`", "missing-key", "add: text: ...")
        return False
    return True


def _template(look: Inspection, node: Node, written: Mapping[str, Any], path: Path) -> Prompt | None:
    """The email file, None when something is wrong with it."""
    name = written["template"]
    where = (*path, "template") if isinstance(node.data["email"], dict) else path
    if not isinstance(name, str) or look.is_wrong(where) or has_template(name):
        return None
    if " " in name.strip() and not name.endswith(".md") or "\n" in name:
        hint = f"write: email: {{to: ..., subject: ..., text: {flow(name)}}}"
        look.at_value(where, "`email` names the file of a letter; this is the letter itself", "wrong-type", hint)
        return None
    target = look.definitions.locate(name)
    if not target.is_file():
        say_missing(look, where, name, target, "emails")
        return None
    letter = look.definitions.email_at(name)
    if letter is not None:
        handed_over(look, node, Wants(name, "email-input", letter.inputs, "declare it in the front matter"))
    return letter
