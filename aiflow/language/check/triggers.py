"""Triggers, `cancel_on` and `wait_for`: what starts a run or reaches it from outside, and how it is told apart."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from jinja2 import nodes

from aiflow.language.check._fit import has_template
from aiflow.language.check._handed import check_value
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._schemas import OWN_EVENTS
from aiflow.language.check._sites import Site
from aiflow.language.check._words import flow, listed, nearest, path_text, reference_text
from aiflow.language.config import long_form
from aiflow.language.definitions import EVENTS
from aiflow.language.foreign import FOREIGN_OPTIONS
from aiflow.language.references import Reference
from aiflow.language.syntax import start_of
from aiflow.language.tree import Path

_STARTS = ("event", "cron", "webhook")
_PARTNERS = {"timezone": "cron", "catch_up": "cron", "method": "webhook", "secret": "webhook"}
_DOES = {
    "timezone": "`timezone` is that of a `cron` line",
    "catch_up": "`catch_up` makes up for missed times of a `cron` line",
    "method": "`method` is that of a `webhook`",
    "secret": "`secret` signs the requests of a `webhook`",
}
_OTHER_NAMES = {
    "email.open": "email.opened", "email.click": "email.clicked", "email.bounce": "email.bounced", "run.success": "run.ok",
    "run.succeeded": "run.ok", "run.completed": "run.ok", "run.done": "run.ok", "run.error": "run.failed",
    "run.finished": "run.ok",
}  # fmt: skip


def check(look: Inspection) -> None:
    """All faults of what comes from outside."""
    triggers = look.data.get("triggers")
    first: dict[tuple[str, str, str], int] = {}
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else []):
        if isinstance(trigger, dict) and not look.is_wrong(("triggers", index)):
            _trigger(look, trigger, ("triggers", index))
            _twice(look, trigger, index, first)
    cancels = look.data.get("cancel_on")
    for index, one in enumerate(cancels if isinstance(cancels, list) else []):
        if isinstance(one, dict):
            _names(look, ("cancel_on", index, "event"), one.get("event"))
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name in ("wait_for", "emit"):
            value = node.data[node.kind.name]
            path: Path = (*node.path, node.kind.name)
            config = long_form(node.kind, value, look.file.parent)
            where = (*path, "event") if isinstance(value, dict) else path
            _names(look, where, config.get("event"), sent=node.kind.name == "emit")
    for site in look.sites:
        if site.word == "match" and site.tree is not None and not any(path == site.path for path, _ in look.said):
            _match(look, site)


def _trigger(look: Inspection, trigger: Mapping[str, Any], path: Path) -> None:
    starts = [word for word in _STARTS if word in trigger]
    if not starts:
        known = FOREIGN_OPTIONS["triggers"]
        meant = [known.get(str(key)) or nearest(str(key), _STARTS) for key in trigger if key not in _PARTNERS]
        if not any(word in _STARTS for word in meant):
            message = "a trigger needs `event`, `cron` or `webhook`, which says what starts a run"
            look.at_value(path, message, "missing-key", "write for example: - event: user.signed_up", length=1)
        return
    if len(starts) > 1:
        message = f"a trigger is one of `event`, `cron`, `webhook`; this has `{starts[0]}` and `{starts[1]}`"
        lines = "\n".join(f"        - {word}: {flow(trigger[word])}" for word in starts)
        look.at_key((*path, starts[1]), message, "two-kinds", f"make {len(starts)} triggers:\n{lines}")
        return
    for key, partner in _PARTNERS.items():
        if key in trigger and partner not in trigger:
            hint = "remove it" if key != "timezone" else 'remove it, or write: cron: "0 9 * * *"'
            look.at_key((*path, key), f"{_DOES[key]}, and this trigger has none", "needs-partner", hint)
    if starts[0] == "event":
        _names(look, (*path, "event"), trigger["event"])
    elif isinstance(trigger[starts[0]], str) and has_template(trigger[starts[0]]):
        message = f"`{starts[0]}` of a trigger cannot contain a template: it is read before any run"
        look.at_value((*path, starts[0]), message, "fixed-option", "write it as it is")
    _inputs(look, trigger, path, starts[0])
    secret = trigger.get("secret")
    if isinstance(secret, str) and secret and not has_template(secret):
        message = "the secret of a webhook stands in the file, where everybody can read it"
        look.at_value((*path, "secret"), message, "written-secret", 'make a new one, and write "{{ secrets.WEBHOOK_KEY }}"')


def _twice(look: Inspection, trigger: Mapping[str, Any], index: int, first: dict[tuple[str, str, str], int]) -> None:
    """The same request or time in two triggers: one would hide the other, or start two runs at once."""
    for word, other in (("webhook", trigger.get("method", "POST")), ("cron", trigger.get("timezone", "UTC"))):
        given = trigger.get(word)
        if not isinstance(given, str) or "if" in trigger:
            continue
        key = (word, " ".join(given.split()), str(other))
        if key in first:
            line = look.line_of(("triggers", first[key], word))
            message = f"the same `{word}` starts this workflow already (line {line})"
            look.at_value(("triggers", index, word), message, "duplicate-trigger", "remove one of them")
        first.setdefault(key, index)


def _inputs(look: Inspection, trigger: Mapping[str, Any], path: Path, start: str) -> None:
    """The inputs of the run that a trigger gives, and those that nobody would give."""
    declared: Mapping[str, Any] = look.definitions.inputs.get("properties", {})
    given = trigger.get("inputs")
    if given is not None and not isinstance(given, dict):
        return
    needed = [
        name
        for name in look.definitions.inputs.get("required", ())
        if "default" not in (declared.get(name) or {}) and name not in (given or {})
    ]
    for key, value in (given or {}).items():
        if key in declared:
            check_value(look, (*path, "inputs", key), key, value, declared[key], "this workflow", "trigger-input-type")
        elif not look.definitions.inputs_open:
            near = nearest(str(key), declared)
            hint = f"did you mean `{near}`?" if near else f"the inputs are: {listed(declared)}"
            look.at_key((*path, "inputs", key), f"this workflow has no input `{key}`", "trigger-input-unknown", hint)
            needed = [name for name in needed if name != near]
    if needed and (given is not None or start == "cron"):
        names = " and ".join(f"`{name}`" for name in needed)
        what = f"the input{'s' if len(needed) > 1 else ''} {names}"
        message = f"this trigger does not give {what}, so every run would be refused"
        template = ", ".join(f"{name}: ..." for name in needed)
        hint = f"add: inputs: {{{template}}}, or give {'them defaults' if len(needed) > 1 else 'it a default'}"
        look.at_key((*path, "inputs" if given is not None else start), message, "trigger-input-missing", hint)


def _names(look: Inspection, path: Path, given: Any, *, sent: bool = False) -> None:
    """Names of events: fixed, and not almost one that aiflow sends."""
    named = [((*path, index), one) for index, one in enumerate(given)] if isinstance(given, list) else [(path, given)]
    for where, name in named:
        if not isinstance(name, str) or look.is_wrong(where):
            continue
        if has_template(name):
            message = "the name of an event cannot contain a template: runs listen for it from their start"
            look.at_value(
                where, message, "fixed-option", "write the name; tell events apart with: match: event.data.id == ..."
            )
        elif not name.strip() or len(name.split()) > 1:
            message = f'"{name}" cannot be the name of an event: it has spaces' if name.strip() else "an event needs a name"
            fixed = ".".join(name.lower().split()) or "order.paid"
            look.at_value(where, message, "bad-event", f"write: {fixed}")
        elif name.startswith(("email.", "run.")) and name not in OWN_EVENTS and not sent:
            near = _OTHER_NAMES.get(name) or nearest(name, OWN_EVENTS)
            head = name.partition(".")[0]
            own = listed(one for one in OWN_EVENTS if one.startswith(f"{head}."))
            hint = f"did you mean {near}? (aiflow sends {own})" if near else f"aiflow sends {own}"
            look.at_value(where, f"aiflow sends no event `{name}`", "unknown-event", hint, "hint")
        else:
            _described(look, where, name)


def _described(look: Inspection, where: Path, name: str) -> None:
    """An event that the project describes, or almost one."""
    look.definitions.event_data(name)
    known = look.definitions.event_names
    near = get_close_matches(name, known, 1, 0.85) if name not in known else []
    if near:
        hint = f"did you mean {near[0]}? ({EVENTS}/{near[0]}.json describes it)"
        look.at_value(where, f"nothing describes the event `{name}`", "unknown-event", hint, "hint")


def _match(look: Inspection, site: Site) -> None:
    """`match` ties the incoming event to this run: it looks at the event, and at something besides."""
    roots = {reference.root for reference in site.references}
    if "event" not in roots:
        message = "this `match` never looks at the incoming event, so every event or none would match"
        look.at_value(site.path, message, "match-ignores-event", _compare_hint(site.references))
        return
    tree: Any = site.tree
    both = None
    for node in [tree, *tree.find_all(nodes.Compare)]:
        if not isinstance(node, nodes.Compare) or len(node.ops) != 1:
            continue
        left, right = _looks_at(node.expr), _looks_at(node.ops[0].expr)
        if left == right == "event":
            both = both or node
        elif "event" in (left, right):
            return
    if both is not None and roots == {"event"}:
        side: Any = both.ops[0].expr
        written = reference_text(side)
        message = "both sides of this comparison are the incoming event, so it says nothing about this run"
        name = written.rpartition(".")[2]
        hint = f"the event that started this run is run.{written}; an input: inputs.{name}"
        look.at_offset(site.path, start_of(both.expr), message, "match-ignores-run", hint, length=len(site.text.strip()))


def _looks_at(node: nodes.Node) -> str:
    """`event`, `other` or nothing: what a side of a comparison refers to."""
    names = {one.name for one in [node, *node.find_all(nodes.Name)] if isinstance(one, nodes.Name)}
    return "event" if "event" in names else "other" if names or isinstance(node, nodes.Const) else ""


def _compare_hint(references: list[Reference]) -> str:
    for reference in references:
        keys = [key for key in reference.path if isinstance(key, str)]
        if keys:
            return f"compare a field of it: event.data.{keys[-1]} == {path_text(reference.root, reference.path)}"
    return "compare a field of it: event.data.id == inputs.id"
