"""What the shape checks say: keys that are not known, values that do not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from aiflow.language.check._fit import Misfit
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import did_you_mean, flow, listed, nearest, said
from aiflow.language.foreign import (
    FOREIGN_OPTIONS,
    FOREIGN_SENTENCES,
    FOREIGN_STEP,
    FOREIGN_TOP,
    FOREIGN_TOP_SENTENCES,
    FOREIGN_VALUES,
)
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import (
    KIND_ORDER,
    MODIFIERS,
    TOP,
    Word,
)
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

_HANDING = ("call", "emit", "email", "python", "shell")
"""Kinds that hand over what stands in `with`."""

_ITEMS = {"triggers": "a trigger", "cancel_on": "`cancel_on`"}
"""Words with a list of maps, and what one of these is called."""


def kind_names() -> list[str]:
    """The kinds of this version in the order of the documentation."""
    known = kinds()
    return [name for name in KIND_ORDER if name in known] + [name for name in known if name not in KIND_ORDER]


def hint_for_kind(kind: StepKind) -> str:
    """How a step of the kind may begin."""
    first = kind.example.strip().splitlines()
    lines = [line.strip().removeprefix("- ") for line in first]
    found = next((line for line in lines if line.startswith(f"{kind.name}:") and not line.endswith(":")), "")
    return f"write for example: {found}" if found else f"write: {kind.name}: ..."


def unknown_top_key(look: Inspection, key: Any, value: Any, data: Mapping[str, Any]) -> str:
    """Report a key at the top; gives the key that was probably meant, or empty."""
    path, text = (key,), str(key)
    near = nearest(text, TOP)
    if text in FOREIGN_TOP:
        ours = FOREIGN_TOP[text]
        look.at_key(path, f"unknown key `{text}`", "foreign-word", f"aiflow says: {_top_translated(text, ours, value)}")
        return ours
    if text in FOREIGN_TOP_SENTENCES:
        look.at_key(path, f"unknown key `{text}`", "foreign-word", FOREIGN_TOP_SENTENCES[text])
        return ""
    if text in kinds() or (text in MODIFIERS and near is None):
        hint = f"put it into a step: steps:\n        - {text}: {flow(value)}"
    else:
        hint = f"did you mean `{near}`?" if near and near not in data else f"it takes: {', '.join(TOP)}"
    look.at_key(path, f"unknown key `{text}` at the top of a workflow", "unknown-key", hint)
    return near or ""


def unknown_step_key(look: Inspection, node: Node, key: Any, value: Any) -> str | None:
    """Report a key of a step; gives the key that was probably meant, or None."""
    path, text = (*node.path, key), str(key)
    options = node.kind.schema.get("properties", {}) if node.kind is not None else {}
    known = [one for one in (*MODIFIERS, *kind_names()) if one not in node.data]
    in_step = f" in {node.called()}"
    if node.kind is not None and text in options and not node.kind.whole:
        look.at_key(path, f"unknown key `{text}`{in_step}; it is an option of `{node.kind.name}`", "unknown-key",
                    f"write: {_moved_in(node, node.kind, text, value)}")  # fmt: skip
        return None
    if text in FOREIGN_SENTENCES:
        look.at_key(path, f"unknown key `{text}`", "foreign-word", FOREIGN_SENTENCES[text])
        return ""
    ours = FOREIGN_STEP.get(text)
    if text == "delay" and "until" in node.data:
        ours = "every"
    if (
        ours is not None
        and ours not in node.data
        and (ours in MODIFIERS or node.kind is None)
        and (ours in MODIFIERS or ours in kinds())
    ):
        look.at_key(path, f"unknown key `{text}`", "foreign-word", f"aiflow says: {_translated(text, ours, value)}")
        return ours
    near = nearest(text, known)
    otherwise = f"`{ours}` is written already" if ours in node.data else _step_takes(node)
    look.at_key(path, f"unknown key `{text}`{in_step}", "unknown-key", f"did you mean `{near}`?" if near else otherwise)
    return near


def unknown_option(look: Inspection, node: Node | None, kind: StepKind, key: Any, value: Any, path: Path) -> None:
    """Report an option that the kind does not have."""
    properties = kind.schema.get("properties", {})
    where = f"step `{node.id}`: " if node is not None and node.id else ""
    message = f"{where}unknown option `{key}` for `{kind.name}`"
    ours = FOREIGN_OPTIONS.get(kind.name, {}).get(str(key))
    if str(key) in MODIFIERS and ours is None and str(key) not in properties:
        if node is not None:
            node.meant.add(str(key))
        hint = f"`{key}` stands beside `{kind.name}`, not in it" + (
            f": write at the step: {key}: {flow(value)}" if node is not None else ""
        )
    elif _is_data(kind, str(key)):
        if node is not None:
            node.meant.add("with")
        hint = f"what is handed over stands beside `{kind.name}`: write at the step: with: {flow(value)}"
    elif ours == "schema" and not isinstance(value, dict):
        hint = "say what the answer holds: schema: {title: string, tags(array): string}"
    elif ours is not None and ours in properties:
        hint = f"aiflow says: {ours}: {flow(value)}"
    else:
        hint = did_you_mean(str(key), properties, f"it takes: {listed(properties)}")
    look.at_key(path, message, "unknown-key", hint)
    look.wrong.add(path)


def _is_data(kind: StepKind, key: str) -> bool:
    """Whether an option that a kind does not have is what `with` is for."""
    return kind.name in _HANDING and (FOREIGN_STEP.get(key) == "with" or key in ("data", "payload", "variables", "context"))


def say_misfit(
    look: Inspection, path: Path, misfit: Misfit, key: str, word: Word, value: Any, *, whole: bool, of: str = ""
) -> None:
    """Report a value that does not fit."""
    name = key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in misfit.path)
    full = f"`{name}`" + (f" of `{of}`" if of else "")
    if key in _ITEMS and len(misfit.path) > 1:
        full = f"`{'.'.join(map(str, misfit.path[1:]))}` of {_ITEMS[key]}"
    if misfit.what == "unknown":
        hint = did_you_mean(misfit.name, misfit.known, f"it takes: {listed(map(str, misfit.known))}")
        if (ours := _foreign_option(key, misfit)) is not None:
            shown = "replace" if misfit.name == "cancel-in-progress" else flow(value)
            unit = "s" if ours in ("delay", "max_delay") and isinstance(value, (int, float)) else ""
            hint = f"aiflow says: {ours}: {shown}{unit}"
        where = _ITEMS.get(key, f"`{key}`")
        look.at_key(path, f"unknown key `{misfit.name}` in {where}", "unknown-key", hint)
        look.wrong.add(path)
        return
    if misfit.what == "missing":
        subject = f"`{name}`" if key not in _ITEMS else f"this item of `{key}`"
        look.at_value(path, f"{subject} needs `{misfit.name}`", "missing-key", f"add: {misfit.name}: ...", length=1)
        return
    if _no_unit(misfit, key, value):
        look.at_value(path, f"{value} has no unit, so it is not a duration", "duration", f"write {value}s (units: s, m, h, d, w)")
        return
    wants = word.wants if whole and word.wants else misfit.wants
    if misfit.what == "enum" and isinstance(value, str):
        texts = [one for one in misfit.known if isinstance(one, str)]
        message = f"{full} must be {wants}, not `{value}`"
        look.at_value(path, message, "wrong-type", did_you_mean(value, texts, _other_value(key, value)))
        return
    if misfit.what == "pattern" and isinstance(value, str) and " such as " in wants:
        message = f"{full} must look like `{wants.partition(' such as ')[2]}`, not `{value}`"
        hint = f"write: {key}: {word.write}" if word.write and whole else ""
        if misfit.path and misfit.path[-1] == "webhook":
            hint = f"write: webhook: /{value.strip('/')}"
        if key == "python":
            given = _module_and_function(value, look.settings.root)
            fits = re.search(str(word.schema.get("pattern", "")), given) is not None
            hint = f"write: python: {given}" if fits else "put the code into a function of a .py file: python: module:function"
        look.at_value(path, message, "wrong-type", hint)
        return
    said_of = (
        f"; {flow(value)} does not say how often"
        if key == "retry" and isinstance(value, bool) and whole
        else (f", this is {said(value)}")
    )
    look.at_value(path, f"{full} must be {wants or 'something else'}{said_of}", "wrong-type", _remedy(path, misfit, word, value))


def option_meant(key: str, misfit: Misfit) -> str | None:
    """The option of a word that an unknown key in its map probably stands for."""
    return _foreign_option(key, misfit) or nearest(misfit.name, misfit.known)


def _foreign_option(key: str, misfit: Misfit) -> str | None:
    ours = FOREIGN_OPTIONS.get(key, {}).get(misfit.name)
    near = nearest(misfit.name, misfit.known)
    return ours if ours is not None and (near in (None, ours) or misfit.name not in ours) else None


def _other_value(key: str, value: str) -> str:
    """What other tools call a value that is not near ours."""
    ours = FOREIGN_VALUES.get(key, {}).get(value.lower())
    return f"write: {key}: {ours}" if ours else ""


def _no_unit(misfit: Misfit, key: str, value: Any) -> bool:
    """Whether a number stands where a duration was meant, not a number of passes."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return misfit.format.endswith("duration") and number and key != "max"


def _remedy(path: Path, misfit: Misfit, word: Word, value: Any) -> str:
    key = str(path[-1]) if path else ""
    if key in _ITEMS and isinstance(value, dict) and value:
        first, one = next(iter(value.items()))
        return f"put a dash before it: - {first}: {flow(one)}"
    if key in _ITEMS and word.write:
        return f"write: {key}: {word.write}"
    wants = misfit.wants
    if isinstance(value, str):
        number = _number(value)
        if number is not None and ("number" in wants):
            return f"write: {key}: {number}"
        if "true or false" in wants and value.lower() in ("yes", "no", "on", "off", "true", "false"):
            return f"write: {key}: {'true' if value.lower() in ('yes', 'on', 'true') else 'false'}"
        if "a list" in wants and "a text" not in wants:
            return f"write: {key}: [{flow(value)}]"
    if isinstance(value, bool) and wants.startswith("a text") and word.schema.get("examples"):
        return f"write: {key}: {flow(word.schema['examples'][0])}"
    if isinstance(value, (int, float)) and wants.startswith("a text") and not word.write:
        return f'write: {key}: "{str(value).lower() if isinstance(value, bool) else value}"'
    return f"write: {key}: {word.write}" if word.write and not misfit.path else ""


def _top_translated(text: str, ours: str, value: Any) -> str:
    """A key at the top in our words."""
    match ours:
        case "triggers" if text in ("schedule", "cron"):
            return f"triggers: [{{cron: {flow(value)}}}]" if isinstance(value, str) else "triggers: [{cron: ...}]"
        case "triggers" if isinstance(value, str):
            return f"triggers: [{{event: {flow(value)}}}]"
        case "triggers" if not isinstance(value, dict) or not value.keys() & {"event", "cron", "webhook"}:
            return 'triggers: [{event: NAME}], [{cron: "0 9 * * *"}] or [{webhook: /path}]'
        case "triggers":
            return f"triggers: [{flow(value)}]"
        case "defaults" if text in ("retries", "retry"):
            return f"defaults: {{retry: {flow(value)}}}"
        case "defaults":
            return f"defaults: {{llm: {{model: {flow(value)}}}}}"
        case "steps" if isinstance(value, dict):
            return "steps: [...], a list of steps that run from top to bottom"
        case "timeout" if isinstance(value, (int, float)):
            return f"timeout: {value}{'m' if text == 'timeout-minutes' else 's'}"
    return f"{ours}: {flow(value)}"


def _translated(text: str, ours: str, value: Any) -> str:
    """The key in our words, with the value where it can stay as it is."""
    match text:
        case "unless":
            return f"if: not {value}" if isinstance(value, str) else "if: not ..."
        case "continue-on-error" | "continue_on_error" | "ignore_errors":
            return "on_error: continue"
        case "timeout-minutes":
            return f"timeout: {value}m" if isinstance(value, (int, float)) else "timeout: ..."
        case "timeout_seconds" | "timeoutSeconds" | "time_limit":
            return f"timeout: {value}s" if isinstance(value, (int, float)) else "timeout: ..."
        case "attempts" | "max_attempts":
            more = max(value - 1, 0) if isinstance(value, int) and not isinstance(value, bool) else "..."
            return f"retry: {more}  (further attempts after the first)"
    if ours in ("id", "as") and isinstance(value, str):
        return f"{ours}: {value}"
    if ours == "switch":
        return "switch: [{if: ..., do: [...]}, ...], or switch: inputs.kind with `cases` beside it"
    if ours == "parallel":
        return "parallel: {left: [...], right: [...]}"
    if ours == "wait_for" and not isinstance(value, (str, list)):
        return "wait_for: NAME, with match: event.data.id == ... beside it"
    if ours == "every" and isinstance(value, (int, float)):
        return f"every: {value}s"
    if ours == "with" and not isinstance(value, dict):
        return "with: {name: value}"
    if ours in MODIFIERS:
        if ours in ("on_error", "retry") and isinstance(value, (dict, bool)):
            return f"{ours}: {MODIFIERS[ours].write}"
        bare = ours in ("if", "each", "until", "match") and isinstance(value, str)
        return f"{ours}: {_without_braces(value) if bare else flow(value)}"
    return f"{ours}: {flow(value)}"


def _without_braces(value: str) -> str:
    inner = value.strip().removeprefix("${{").removeprefix("{{").removesuffix("}}").strip()
    return inner if "{{" not in inner else value


def _moved_in(node: Node, kind: StepKind, key: str, value: Any) -> str:
    given = node.data[kind.name]
    if isinstance(given, dict):
        options = {**given, key: value}
    else:
        short = kind.short or "..."
        if kind.name == "llm" and isinstance(given, str) and not given.endswith(".md"):
            short = "text"
        options = {short: given, key: value}
    return f"{kind.name}: {flow(options)}"


def _step_takes(node: Node) -> str:
    if node.kind is None:
        return f"a step has one kind ({', '.join(kind_names())}) and modifiers ({', '.join(MODIFIERS)})"
    return f"beside `{node.kind.name}` it takes: {', '.join(MODIFIERS)}"


def _module_and_function(value: str, root: FilePath) -> str:
    module, _, function = value.partition(":")
    module = module.removesuffix(".py").replace("/", ".").strip(".")
    is_module = "\0" not in module and root.joinpath(*module.split(".")).with_suffix(".py").is_file()
    if not function and "." in module and not is_module:
        module, _, function = module.rpartition(".")
    return f"{module}:{function.removesuffix('()') or 'FUNCTION'}"


def _number(value: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return None
