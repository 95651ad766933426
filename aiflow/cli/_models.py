"""Which models a workflow names, whether they can be called here, and what `offline` puts in their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from aiflow.errors import ConfigError
from aiflow.language.model import Step, Workflow
from aiflow.models.resolve import OFFLINE_MODELS, credentials_missing, is_offline, resolve
from aiflow.settings import ModelSpec, Settings, with_profile

KINDS = {"llm": OFFLINE_MODELS[0], "embed": OFFLINE_MODELS[1]}
"""Kind of step that calls a model -> the offline model that can stand in."""


@dataclass(frozen=True)
class Named:
    """One step's models: `names` in the order in which they are tried."""

    names: tuple[str, ...]
    kind: str


def models_named(workflow: Workflow, settings: Settings) -> list[Named]:
    """The models that the steps of a workflow, and of those that it calls, name.

    Names that only the run knows (templates) are left out.
    """
    found: list[Named] = []
    for step, one in _steps(workflow):
        names = _names(_model_of(step, one, settings))
        if names and Named(names, step.kind) not in found:
            found.append(Named(names, step.kind))
    return found


def missing_keys(named: list[Named], settings: Settings) -> dict[str, str]:
    """Models without a key -> the variable to set. A list of models is fine when one of them can be called."""
    missing: dict[str, str] = {}
    for one in named:
        wanted = {name: credentials_missing(resolve(name, settings), settings.env) for name in one.names}
        if all(wanted.values()):
            missing.update({name: variable for name, variable in wanted.items() if variable})
    return missing


def should_go_offline(named: list[Named], settings: Settings) -> bool:
    """Whether no model that needs a key has one (DSL 3.17), so that `offline` may stand in."""
    paid = [name for one in named for name in one.names if not is_offline(resolve(name, settings).model)]
    return bool(paid) and all(credentials_missing(resolve(name, settings), settings.env) for name in paid)


def offline_settings(settings: Settings, named: list[Named]) -> Settings:
    """The settings with the profile `offline`, and every model that it leaves out replaced by an offline one."""
    settings = settings if settings.profile == "offline" else with_profile(settings, "offline")
    models = dict(settings.models)
    for one in named:
        for name in one.names:
            if not is_offline(resolve(name, settings).model):
                models[name] = ModelSpec(KINDS[one.kind])
    return replace(settings, models=models)


def no_key_error(missing: dict[str, str], settings: Settings, offline_allowed: bool) -> ConfigError:
    """What to say when models cannot be called."""
    lines = []
    for name, variable in missing.items():
        meant = resolve(name, settings).model
        lines.append(f"model `{name}`" + (f" ({meant})" if meant != name else "") + f" needs {variable}")
    message = "; ".join(lines) + (", which is not set" if len(lines) == 1 else "; they are not set")
    hint = "set it in the environment or in .env"
    if offline_allowed:
        hint += ", or run without a key: --profile offline"
    return ConfigError(message, hint)


def _steps(workflow: Workflow) -> Iterator[tuple[Step, Workflow]]:
    """The steps that ask models, called workflows included, each with the workflow that it stands in."""
    from aiflow.language.model import walk_paths, with_called

    return ((step, one) for one in with_called(workflow) for _, step in walk_paths(one) if step.kind in KINDS)


def _model_of(step: Step, workflow: Workflow, settings: Settings) -> Any:
    """As the kinds choose: the step, its prompt, the workflow's defaults, those of aiflow.yaml."""
    defaults = settings.defaults.get(step.kind) or {}
    said = step.config.get("model")
    if step.prompt is not None and said is None:
        from aiflow.language.prompts import parse_prompt

        said = parse_prompt(workflow.prompts[step.prompt]).options.get("model")
    return said or (workflow.defaults.get(step.kind) or {}).get("model") or defaults.get("model")


def _names(model: Any) -> tuple[str, ...]:
    names = model if isinstance(model, list) else [model]
    return tuple(name for name in names if isinstance(name, str) and "{{" not in name)
