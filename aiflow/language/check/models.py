"""Models: that one is named for each step that needs one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import nearest
from aiflow.language.config import kind_defaults, long_form, with_defaults
from aiflow.language.tree import Node, Path
from aiflow.models.resolve import OFFLINE_MODELS

_ASKING = ("llm", "embed")


def check(look: Inspection) -> None:
    """Steps without a model, names that are neither an alias nor a provider's."""
    for node in look.tree.nodes:
        if node.kind is not None and node.kind.name in _ASKING:
            _step(look, node)
    defaults = look.data.get("defaults")
    for kind in _ASKING:
        given = defaults.get(kind) if isinstance(defaults, dict) else None
        if isinstance(given, dict):
            _names(look, kind, ("defaults", kind, "model"), given.get("model"))


def _step(look: Inspection, node: Node) -> None:
    assert node.kind is not None
    path: Path = (*node.path, node.kind.name)
    if look.is_wrong(path):
        return
    value = node.data[node.kind.name]
    config = long_form(node.kind, value, look.file.parent)
    options: Mapping[str, Any] = {}
    prompt_schema = False
    if node.kind.name == "llm" and "prompt" in config:
        prompt = look.definitions.prompt_at(config["prompt"])
        if prompt is None:
            return
        options, prompt_schema = prompt.options, prompt.schema is not None
    full = {**options, **with_defaults(config, kind_defaults(node.kind, *look.layers), options)}
    if not full.get("model"):
        alias = next(iter(look.settings.models), "")
        hint = f"write: model: {alias or 'openai/gpt-4o-mini'}, or for all: defaults: {{{node.kind.name}: {{model: ...}}}}"
        look.at_key(path, f"no model is named for this `{node.kind.name}`", "no-model", hint)
        return
    if isinstance(value, dict):
        _names(look, node.kind.name, (*path, "model"), value.get("model"))
    if node.kind.name == "llm" and (full.get("schema") is not None or prompt_schema):
        _schema(look, path, full["model"])


def _schema(look: Inspection, path: Path, given: Any) -> None:
    """A hint when none of the models can be held to the schema, as far as litellm's table says."""
    names = [name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str)]
    models = [look.settings.models[name].model if name in look.settings.models else name for name in names]
    if not models or any("/" not in model and "-" not in model for model in models):
        return
    from aiflow.models.tables import refuses_schemas

    if all(refuses_schemas(model) for model in models):
        message = f"litellm says that {models[0]} cannot be held to a schema: it is only told the schema, and may not follow it"
        look.at_key(path, message, "schema-not-held", "take another model, or allow more repairs: repair: 2", "hint")


def _names(look: Inspection, kind: str, path: Path, given: Any) -> None:
    """A name without a provider must be an alias; a near miss of one is a typing error. What is built in is known by name."""
    names = given if isinstance(given, list) else [given]
    for index, name in enumerate(names):
        if not isinstance(name, str) or "{{" in name or name in look.settings.models:
            continue
        where = (*path, index) if isinstance(given, list) else path
        if name.startswith("offline/"):
            built_in = OFFLINE_MODELS[_ASKING.index(kind)]
            if name != built_in:
                look.at_value(where, f"there is no built-in model `{name}` for `{kind}`", "unknown-model", f"write: {built_in}")
            continue
        if "/" not in name and (near := nearest(name, look.settings.models)):
            look.at_value(where, f"aiflow.yaml has no model `{name}`", "unknown-model", f"did you mean `{near}`?")
