"""What may stand in `aiflow.yaml`: every key with its check."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from aiflow._project_file import ProjectFile, Way
from aiflow.durations import parse_duration

Check: TypeAlias = Callable[[ProjectFile, Way, Any], None]
"""Notes what is wrong with a value."""

SHORTEST_LEASE_MS = 1_000
"""Below a second a busy machine would take its own workers for dead."""

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_RATE = re.compile(r"[1-9]\d*\s*/\s*\d*(?:s|min|h|d)")


def read_project_file(path: Path) -> dict[str, Any]:
    """The settings in `aiflow.yaml`, of the right shape. Raises: ConfigError: with all faults."""
    file = ProjectFile(path, path.name)
    file.load()
    for key, value in file.data.items():
        check = CHECKS.get(key)
        if check is not None:
            if value is not None:  # `models:` with everything below it commented out
                check(file, (key,), value)
        elif not key.startswith("x-"):
            _unknown(file, (key,), CHECKS)
    if file.faults:
        raise file.error()
    return file.data


def _unknown(file: ProjectFile, way: Way, known: Mapping[str, Any]) -> None:
    near = difflib.get_close_matches(str(way[-1]), known, 1)
    hint = f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(f"`{name}`" for name in known)
    file.fault(way, f"unknown key `{way[-1]}` [unknown-key]", hint, at_key=True)


def _text(file: ProjectFile, way: Way, value: Any) -> None:
    if not isinstance(value, str) or not value:
        file.fault(way, f"`{way[-1]}` must be text [type]")


def _word(*words: str) -> Check:
    def check(file: ProjectFile, way: Way, value: Any) -> None:
        if value not in words:
            file.fault(way, f"`{way[-1]}` must be one of " + ", ".join(f"`{word}`" for word in words) + " [value]")

    return check


def _whole(least: int) -> Check:
    def check(file: ProjectFile, way: Way, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            file.fault(way, f"`{way[-1]}` must be a whole number of at least {least} [value]")

    return check


def _duration(least_ms: int) -> Check:
    def check(file: ProjectFile, way: Way, value: Any) -> None:
        try:
            if parse_duration(value if isinstance(value, str) else str(value)) < least_ms:
                file.fault(way, f"`{way[-1]}` must be at least {least_ms} ms [value]")
        except ValueError as error:
            file.fault(way, f"{error} [duration]")

    return check


def _name(file: ProjectFile, way: Way, value: Any) -> None:
    if not isinstance(value, str) or not _NAMESPACE.fullmatch(value):
        file.fault(way, f"`{way[-1]}` may hold letters, digits and `_.:-` only [value]")


def _map_of(check: Check) -> Check:
    """A map of free names, each value checked by `check`."""

    def check_all(file: ProjectFile, way: Way, value: Any) -> None:
        if not isinstance(value, dict):
            file.fault(way, f"`{way[-1]}` must be a map [type]")
            return
        for name, item in value.items():
            check(file, (*way, name), item)

    return check_all


def _fields(known: Mapping[str, Check]) -> Check:
    """A map that has only the keys of `known`."""

    def check_fields(file: ProjectFile, way: Way, value: Any) -> None:
        if not isinstance(value, dict):
            file.fault(way, f"`{way[-1]}` must be a map with " + ", ".join(f"`{name}`" for name in known) + " [type]")
            return
        for name, item in value.items():
            if name in known:
                known[name](file, (*way, name), item)
            else:
                _unknown(file, (*way, name), known)

    return check_fields


def _anything(file: ProjectFile, way: Way, value: Any) -> None:
    """Checked where it is used."""


def _model(file: ProjectFile, way: Way, value: Any) -> None:
    if isinstance(value, str) and value:
        return
    if not isinstance(value, dict):
        file.fault(way, f"model `{way[-1]}` must be a name or a map [type]", "write: openai/gpt-4o-mini")
        return
    if not isinstance(value.get("model"), str):
        file.fault(way, f"model `{way[-1]}` needs `model: provider/name` [missing-key]", at_key=True)
    for field in ("params", "prices"):
        if not isinstance(value.get(field, {}), dict):
            file.fault((*way, field), f"`{field}` must be a map [type]")
    for name, price in (value["prices"].items() if isinstance(value.get("prices"), dict) else ()):
        if isinstance(price, bool) or not isinstance(price, (int, float)) or price < 0:
            file.fault((*way, "prices", name), f"price `{name}` must be dollars per million tokens [type]")


def _profile(file: ProjectFile, way: Way, value: Any) -> None:
    if not isinstance(value, dict):
        file.fault(way, f"profile `{way[-1]}` must be a map of models [type]", "write: {fast: offline/text}")
        return
    for name, item in value.items():
        (_DEFAULTS if name == "defaults" else _model)(file, (*way, name), item)


def _rate(file: ProjectFile, way: Way, value: Any) -> None:
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        file.fault(way, f"`{value}` is not a rate [rate]", "write for example 500/min; units are s, min, h, d")


def _networks(file: ProjectFile, way: Way, value: Any) -> None:
    import ipaddress

    for index, item in enumerate(value if isinstance(value, list) else [None]):
        try:
            ipaddress.ip_network(str(item), strict=False)
        except ValueError:
            file.fault((*way, index), f"`{item}` is not a network [value]", "write a list such as [10.0.0.0/8, 127.0.0.1]")


def _map_only(file: ProjectFile, way: Way, value: Any) -> None:
    if not isinstance(value, dict) and way[-1] not in ("retry", "timeout"):  # the language checks what is in them
        file.fault(way, f"`{way[-1]}` must be a map of options [type]")


_DEFAULTS = _map_of(_map_only)

CHECKS: Mapping[str, Check] = {
    "models": _map_of(_model),
    "profiles": _map_of(_profile),
    "profile": _text,
    "defaults": _DEFAULTS,
    "limits": _map_of(_fields({"rate": _rate, "at_once": _whole(1)})),
    "store": _text,
    "stores": _fields({"artifacts": _text}),
    "durability": _word("standard", "always"),
    "state_dir": _text,
    "blob_limit": _whole(1024),
    "network": _fields({"allow": _networks}),
    "lease": _duration(SHORTEST_LEASE_MS),
    "retention": _duration(0),
    "namespace": _name,
    "email": _anything,
}
"""Every key of `aiflow.yaml`."""
