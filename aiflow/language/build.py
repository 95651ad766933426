"""From a document without faults to the `Workflow` that is stored and run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from aiflow.durations import parse_duration
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.config import kind_defaults, long_form, modifier_default, with_defaults
from aiflow.language.model import Concurrency, Retry, Step, Workflow
from aiflow.language.tree import Node
from aiflow.steps._kind import StepKind

_EACH_ROLES = ("if", "each")
"""Expressions of an `each` or `until` step that are evaluated once, before its items or passes."""


def build(inspection: Inspection) -> Workflow:
    """The workflow. Only for documents in which the checks found no fault."""
    return _Builder(inspection).workflow()


def parse_retry(given: Any) -> Retry | None:
    """`retry` as written, or None for no further attempts.

    Raises: ValueError: a duration in it is none.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return Retry(times=given) if given else None
    if not isinstance(given, dict) or not given.get("times"):
        return None
    asked: dict[str, Any] = {"times": given["times"]}
    for word, name in (("delay", "delay_ms"), ("max_delay", "max_delay_ms")):
        if word in given:
            asked[name] = parse_duration(given[word])
    if "backoff" in given:
        asked["backoff"] = float(given["backoff"])
    if "jitter" in given:
        asked["jitter"] = given["jitter"]
    if "if" in given:
        asked["condition"] = given["if"]
    return Retry(**asked)


def parse_concurrency(given: Any) -> Concurrency | None:
    """`concurrency` of a workflow as written."""
    if given is None:
        return None
    return Concurrency(**({"limit": given} if isinstance(given, int) else given))


def _bound(given: Any) -> dict[str, Any]:
    """`max` as written: a number of passes, or a duration."""
    if given is None:
        return {}
    return {"max": given} if isinstance(given, int) else {"max": 0, "max_ms": parse_duration(given)}


class _Builder:
    def __init__(self, inspection: Inspection) -> None:
        self.look = inspection
        self.data = inspection.data
        self.layers = inspection.layers
        self.folder: Path = inspection.file.parent
        self.sites: dict[int | None, list[Site]] = {}
        for site in inspection.sites:
            self.sites.setdefault(None if site.node is None else site.node.order, []).append(site)

    def workflow(self) -> Workflow:
        look, data, tree = self.look, self.data, self.look.tree
        outputs = data.get("outputs")
        steps = [self.step(node) for node in tree.steps]
        on_error = [self.step(node) for node in tree.on_error]
        finally_ = [self.step(node) for node in tree.finally_]
        calls = self._calls()
        return Workflow(
            name=data.get("name") or look.file.stem,
            file=look.definitions.shown(look.file),
            description=data.get("description") or "",
            inputs=look.definitions.inputs,
            steps=steps,
            outputs=outputs,
            output_refs=_ids([site for site in self.sites.get(None, []) if site.role == "outputs"]),
            places={key: look.doc.key_at((key,)) for key in ("outputs", "timeout") if key in data},
            on_error=on_error,
            finally_=finally_,
            budget=None if data.get("budget") is None else float(data["budget"]),
            timeout_ms=None if data.get("timeout") is None else parse_duration(data["timeout"]),
            defaults=_merged(*self.layers),
            prompts=look.definitions.prompt_sources(),
            files=look.definitions.file_contents(),
            step_ids={name: (node.block, node.sub) for name, node in tree.by_id.items()},
            calls=calls,
            triggers=data.get("triggers") or [],
            cancel_on=data.get("cancel_on") or [],
            concurrency=parse_concurrency(data.get("concurrency")),
            throttle=data.get("throttle"),
            source=look.doc.text,
        )

    def _calls(self) -> dict[str, Workflow]:
        """The called workflows by path as written."""
        workflows = self.look.workflows
        found: dict[str, Workflow] = {}
        for _, _, written, file in self.look.calls:
            look = None if workflows is None else workflows.read(file).look
            if look is not None and written not in found:
                found[written] = build(look)
        return found

    def step(self, node: Node) -> Step:
        """One step with everything below it."""
        kind, data = node.kind, node.data
        assert kind is not None
        refs, body_refs = self._refs(node)
        config, prompt = self._config(node, kind)
        line, column = self.look.doc.key_at((*node.path, kind.name))
        return Step(
            kind=kind.name,
            label=node.label,
            sub=node.sub,
            block=node.block,
            id=node.id,
            name=data.get("name"),
            config=config,
            with_=data.get("with") or {},
            output=data["output"] if "output" in data else msgspec.UNSET,
            if_=data.get("if"),
            else_=self._steps(node, "else"),
            each=data.get("each"),
            as_=node.item_name or "item",
            concurrency=data.get("concurrency") or 10,
            allow_failures=data.get("allow_failures") or 0,
            body_block=node.body_block,
            timeout_ms=self._timeout(kind, data),
            retry=self._retry(kind, data),
            on_error=self._handler(node, "on_error"),
            on_timeout=self._handler(node, "on_timeout"),
            repeatable=data.get("repeatable"),
            throttle=data.get("throttle"),
            cache_ms=self._cache(kind, data),
            until=data.get("until"),
            every_ms=parse_duration(data["every"]) if "every" in data else 0,
            **_bound(data.get("max")),
            steps=self._steps(node, "do") or [],
            branches={name: [self.step(one) for one in nested] for name, nested in node.branches.items()},
            join=data.get("join") or "all",
            match=data.get("match"),
            refs=refs,
            body_refs=body_refs,
            prompt=prompt,
            line=line,
            column=column,
        )

    def _steps(self, node: Node, word: str) -> list[Step] | None:
        return [self.step(one) for one in node.lists[word]] if word in node.lists else None

    def _handler(self, node: Node, word: Literal["on_error", "on_timeout"]) -> Any:
        given = node.data.get(word)
        return self._steps(node, word) if isinstance(given, list) else given

    def _config(self, node: Node, kind: StepKind) -> tuple[dict[str, Any], str | None]:
        """The options, and the key of the prompt or email file that they name."""
        definitions = self.look.definitions
        written = long_form(kind, node.data[kind.name], self.folder)
        if kind.whole or kind.lists:
            return written, None
        named, read = {"llm": ("prompt", definitions.prompt_at), "email": ("template", definitions.email_at)}.get(
            kind.name, ("", definitions.prompt_at)
        )
        prompt = read(written[named]) if named in written else None
        options = prompt.options if prompt is not None else {}
        config = with_defaults(written, kind_defaults(kind, *self.layers), options)
        if "schema" in kind.fixed and config.get("schema") is not None:
            config["schema"] = definitions.schema_of(config["schema"])
        return config, definitions.prompt_key(written[named]) if prompt is not None else None

    def _timeout(self, kind: StepKind, data: Mapping[str, Any]) -> int | None:
        given = data.get("timeout")
        if given is None:
            given = modifier_default(kind, "timeout", *self.layers)
        return None if given is None else parse_duration(given)

    def _cache(self, kind: StepKind, data: Mapping[str, Any]) -> int | None:
        """`cache` of the step, else of `defaults` for its kind; a result of no age is never reused."""
        given = data.get("cache")
        for layer in reversed(self.layers) if given is None else ():
            options = layer.get(kind.name)
            if isinstance(options, dict) and options.get("cache") is not None:
                given = options["cache"]
                break
        if given is None or given is False or not kind.cacheable:
            return None
        return 0 if given is True else parse_duration(given) or None

    def _retry(self, kind: StepKind, data: Mapping[str, Any]) -> Retry | None:
        given = data.get("retry")
        if given is None:
            given = modifier_default(kind, "retry", *self.layers)
        return parse_retry(kind.retries if given is None else given)

    def _refs(self, node: Node) -> tuple[list[str], list[str]]:
        """`refs` and `body_refs` of `model.Step`."""
        sites = self.sites.get(node.order, [])
        if not node.repeats:
            return _ids(sites), []
        once = [site for site in sites if site.role in _EACH_ROLES]
        return _ids(once), _ids([site for site in sites if site.role not in _EACH_ROLES])


def _ids(sites: list[Site]) -> list[str]:
    """Ids of the steps that expressions refer to, each once, in order of appearance."""
    found: dict[str, None] = {}
    for site in sites:
        for reference in site.references:
            if reference.root == "steps" and reference.path and isinstance(reference.path[0], str):
                found[reference.path[0]] = None
    return list(found)


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = {**merged[key], **value} if both else value
    return merged
