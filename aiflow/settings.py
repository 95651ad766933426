"""Configuration: the project folder, `aiflow.yaml`, the environment, profiles.

Order, the first that says something wins: command-line flag, `AIFLOW_*` in the environment, `.env` beside
`aiflow.yaml`, `aiflow.yaml`, the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiflow.errors import ConfigError

PROJECT_FILE = "aiflow.yaml"

SECRETS_FOLDER = Path("/run/secrets")
"""Where Docker and systemd put secrets, one file each."""


@dataclass(frozen=True)
class ModelSpec:
    """What a model name stands for.

    Attributes:
        model: a litellm name such as `openai/gpt-4o-mini`, or `offline/text`, `offline/embedding`.
        options: laid under the request: `api_base`, `timeout`, `max_tokens`, `params`, ...
        prices: dollars per million tokens `{"input": 0.15, "output": 0.6}`, or None: litellm's price table.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Settings:
    """Everything that is configured, resolved once at start.

    Attributes:
        root: the project folder (the nearest one upwards with `aiflow.yaml` or `workflows/`, else the current one), absolute.
        redis_url: a real Redis or Valkey (`AIFLOW_REDIS_URL`, `REDIS_URL`, `store:` in aiflow.yaml), or None: the embedded one.
        state_dir: `<root>/.aiflow` (embedded store, blobs, run folders).
        durability: `standard` (AOF everysec) or `always` (fsync per commit), for the embedded server.
        artifacts: where large values and files go: a folder or an fsspec URL.
        blob_limit: bytes; larger results go to `artifacts`.
        models: aliases, a profile laid over them.  profiles: as written.  profile: the one in force, or None.
        defaults: per kind, options of every step: `{"llm": {...}}`.
        limits: named limits: `{"openai": {"rate": "500/min", "at_once": 20}}`.
        network_allow: networks that `http` and `read` may reach although private.
        lease_ms: after so long without a sign of life a worker's frames are taken over.
        retention_ms: how long finished runs are kept.
        namespace: prefix of every key.
        plain_models: the aliases before a profile was laid over them, or None when none was.
        env: the process environment with `.env` laid under it.
        email: how mail is sent, as written, or None.
    """

    root: Path
    redis_url: str | None = None
    state_dir: Path = Path(".aiflow")
    durability: str = "standard"
    artifacts: str = ""
    blob_limit: int = 65_536
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    profile: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    network_allow: tuple[str, ...] = ()
    lease_ms: int = 10_000
    retention_ms: int = 30 * 86_400_000
    namespace: str = "aiflow"
    env: Mapping[str, str] = field(default_factory=dict)
    plain_models: Mapping[str, ModelSpec] | None = None

    email: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether the store is the server that aiflow starts by itself."""
        return self.redis_url is None


def find_root(start: Path) -> Path:
    """The project folder: the nearest one, from `start` upwards, with `aiflow.yaml` or `workflows/`, else `start`."""
    start = start.absolute()
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file() or (candidate / "workflows").is_dir():
            return candidate
    return folder


def load_settings(
    *, root: Path | None = None, profile: str | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Resolve the configuration of a project.

    Args:
        root: the project folder; None: found from the current one.
        profile: from the command line, before `AIFLOW_PROFILE`.
        environ: instead of the process environment.
    Raises: ConfigError: a fault in `aiflow.yaml` (file:line:column) or in the environment.
    """
    import os

    root = (root if root is not None else find_root(Path.cwd())).absolute()
    process = dict(os.environ if environ is None else environ)
    env = {**_dotenv(root / ".env"), **process}
    data = _project_data(root)
    state_dir = root / (env.get("AIFLOW_STATE_DIR") or data.get("state_dir") or ".aiflow")
    settings = Settings(
        root=root,
        redis_url=env.get("AIFLOW_REDIS_URL") or env.get("REDIS_URL") or data.get("store"),
        state_dir=state_dir,
        durability=_durability(env.get("AIFLOW_DURABILITY") or data.get("durability") or "standard"),
        artifacts=_artifacts(root, state_dir, env.get("AIFLOW_ARTIFACTS") or _in(data, "stores").get("artifacts")),
        blob_limit=_whole(env, "AIFLOW_BLOB_LIMIT", data.get("blob_limit", Settings.blob_limit)),
        models={name: model_spec(item) for name, item in _in(data, "models").items()},
        profiles=_in(data, "profiles"),
        defaults=_in(data, "defaults"),
        limits=_in(data, "limits"),
        network_allow=tuple(_in(data, "network").get("allow", ())),
        lease_ms=_duration(env, "AIFLOW_LEASE", data.get("lease"), Settings.lease_ms, least_ms=1000),
        retention_ms=_duration(env, "AIFLOW_RETENTION", data.get("retention"), Settings.retention_ms),
        namespace=_namespace(env.get("AIFLOW_NAMESPACE") or data.get("namespace") or Settings.namespace),
        env=env,
        email=data.get("email"),
    )
    chosen = profile or env.get("AIFLOW_PROFILE") or data.get("profile")
    return with_profile(settings, chosen) if chosen else settings


def with_profile(settings: Settings, name: str) -> Settings:
    """The settings with a profile laid over `models` and `defaults`.

    A profile maps aliases to models; its key `defaults` is laid over `defaults`, kind by kind. `offline`
    need not be declared.
    Raises: ConfigError: there is no such profile.
    """
    if name not in settings.profiles and name != "offline":
        known = ", ".join(sorted({*settings.profiles, "offline"}))
        raise ConfigError(f"there is no profile `{name}`", f"{PROJECT_FILE} and aiflow know: {known}")
    laid = dict(settings.profiles.get(name, {}))
    defaults = dict(settings.defaults)
    for kind, options in laid.pop("defaults", {}).items():
        defaults[kind] = {**defaults.get(kind, {}), **options}
    models = {**settings.models, **{alias: model_spec(item) for alias, item in laid.items()}}
    plain = settings.models if settings.plain_models is None else settings.plain_models
    return replace(settings, models=models, defaults=defaults, profile=name, plain_models=plain)


def settings_of_run(settings: Settings, profile: str | None) -> Settings:
    """The settings with the models that a run was started with, whatever profile this process has.

    Raises: ConfigError: the run's profile is not there (any more).
    """
    if settings.plain_models is not None:
        settings = replace(settings, models=settings.plain_models, profile=None, plain_models=None)
    return settings if profile is None else with_profile(settings, profile)


def model_spec(item: str | Mapping[str, Any]) -> ModelSpec:
    """What `models:` says of one alias: a name, or a map of `model`, `prices` and options."""
    if isinstance(item, str):
        return ModelSpec(item)
    options = {key: value for key, value in item.items() if key not in ("model", "prices")}
    return ModelSpec(item["model"], options, item.get("prices"))


def secret(settings: Settings, name: str) -> str | None:
    """A secret: environment variable (process, then `.env`), the file that `<name>_FILE` names, `/run/secrets/<name>`.

    Raises: ConfigError: `name` cannot be that of a secret, or its file cannot be read.
    """
    if not name.isidentifier() or not name.isascii():
        raise ConfigError(f"`{name}` cannot be the name of a secret", "use letters, digits and `_`")
    if value := settings.env.get(name):
        return value
    if named := settings.env.get(f"{name}_FILE"):
        return _secret_file(name, settings.root / named)
    mounted = SECRETS_FOLDER / name
    return _secret_file(name, mounted) if mounted.is_file() else None


def _secret_file(name: str, path: Path) -> str | None:
    try:
        return path.read_text("utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"secret `{name}` cannot be read from {path}: {why}") from None


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {key: value for key, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{path} cannot be read: {why}") from None


def _project_data(root: Path) -> dict[str, Any]:
    path = root / PROJECT_FILE
    if path.is_file():
        from aiflow._project_checks import read_project_file

        return read_project_file(path)
    if (root / "aiflow.yml").is_file():
        raise ConfigError(f"{root / 'aiflow.yml'} is not read", f"rename it to {PROJECT_FILE}")
    return {}


def _in(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return data.get(key) or {}


def _artifacts(root: Path, state_dir: Path, said: str | None) -> str:
    """A URL as it is; a folder made absolute."""
    if not said:
        return str(state_dir / "artifacts")
    return said if "://" in said else str(root / said)


def _durability(word: str) -> str:
    if word not in ("standard", "always"):
        raise ConfigError(f"AIFLOW_DURABILITY is `{word}`", "write `standard` or `always`")
    return word


def _whole(env: Mapping[str, str], name: str, otherwise: int) -> int:
    said = env.get(name)
    if not said:
        return otherwise
    if not said.isascii() or not said.isdigit() or int(said) < 1:
        raise ConfigError(f"{name} is `{said}`, not a whole number")
    return int(said)


def _duration(env: Mapping[str, str], name: str, written: str | None, otherwise: int, least_ms: int = 0) -> int:
    """Milliseconds said by the environment or the file."""
    said = env.get(name)
    if not said and not written:
        return otherwise
    from aiflow.durations import parse_duration

    try:
        found = parse_duration(said or written or "")
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    if found < least_ms:
        raise ConfigError(f"{name} must be at least {least_ms} ms")
    return found


def _namespace(name: str) -> str:
    if not name.isascii() or not all(letter.isalnum() or letter in "_.:-" for letter in name) or len(name) > 100:
        raise ConfigError(f"the namespace `{name}` may hold letters, digits and `_.:-` only")
    return name
