"""Inputs of the type `secret`: sealed in the store, opened where a run is worked on.

The key is `AIFLOW_SECRET_KEY`, a text that all processes of a project have in common. Without it the embedded store, which
one machine has to itself, keeps one in `.aiflow/key` (mode 600). Who has the key and the store can read the secrets;
who has a copy of the store alone cannot.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiflow.errors import ConfigError
from aiflow.masking import MASK
from aiflow.settings import Settings
from aiflow.values import Value

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_NAME = "AIFLOW_SECRET_KEY"

LEAST_KEY = 16
"""Characters; the key is a random text, not a word."""


def seal_inputs(
    schema: Mapping[str, Any], inputs: Mapping[str, Value], settings: Settings
) -> tuple[dict[str, Value], dict[str, str]]:
    """The inputs to store, `***` in the place of secrets, and the secrets sealed, by name.

    Args: schema: JSON Schema of the inputs.
    Raises: ConfigError: there is no key.
    """
    properties = schema.get("properties", {})
    secrets = [
        name
        for name, value in inputs.items()
        if isinstance(value, str) and value and properties.get(name, {}).get("x-aiflow-type") == "secret"
    ]
    if not secrets:
        return dict(inputs), {}
    box = _box(settings)
    sealed = {name: box.encrypt(inputs[name].encode()).decode() for name in secrets}
    return {**inputs, **dict.fromkeys(secrets, MASK)}, sealed


def open_inputs(sealed: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The secrets that `seal_inputs` sealed. Raises: ConfigError: no key, or another one."""
    if not sealed:
        return {}
    from cryptography.fernet import InvalidToken

    box = _box(settings)
    try:
        return {name: box.decrypt(token.encode()).decode() for name, token in sealed.items()}
    except InvalidToken:
        names = ", ".join(f"`{name}`" for name in sealed)
        raise ConfigError(
            f"the secret inputs of this run ({names}) were sealed with another key",
            f"give every process the same {KEY_NAME}, then: aiflow retry",
        ) from None


def _box(settings: Settings) -> Fernet:
    from cryptography.fernet import Fernet

    said = settings.env.get(KEY_NAME)
    if said is not None:
        if len(said) < LEAST_KEY:
            raise ConfigError(f"{KEY_NAME} has fewer than {LEAST_KEY} characters", "make one with: openssl rand -base64 32")
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(said.encode()).digest()))
    if not settings.embedded:
        raise ConfigError(
            f"an input of the type `secret` needs {KEY_NAME}: workers on other machines must be able to open it",
            "make one with `openssl rand -base64 32` and give it to every process",
        )
    return Fernet(_key_file(settings))


def _key_file(settings: Settings) -> bytes:
    """The project's own key, made on first use; whoever comes second takes that of the first."""
    from cryptography.fernet import Fernet

    path = settings.state_dir / "key"
    try:
        if not path.exists():
            settings.state_dir.mkdir(parents=True, exist_ok=True)
            made = path.with_name(f"key.{os.getpid()}.{os.urandom(4).hex()}")
            with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(Fernet.generate_key())
                stream.flush()
                os.fsync(stream.fileno())
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(made, path)  # complete or not at all, and never over another one
            finally:
                made.unlink()
        key = path.read_bytes().strip()
        Fernet(key)
    except OSError as error:
        raise ConfigError(f"the key for secret inputs cannot be kept in {path}: {error.strerror}", f"set {KEY_NAME}") from None
    except ValueError:
        raise ConfigError(f"{path} is no key", "restore it, or remove it and start runs with secret inputs again") from None
    return key
