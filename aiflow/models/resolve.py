"""Names of models: aliases, providers, and which key a provider needs. Knows nothing of litellm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiflow.settings import ModelSpec, Settings

OFFLINE = "offline/"
OFFLINE_MODELS = ("offline/text", "offline/embedding")


@dataclass(frozen=True)
class Provider:
    """How the environment speaks for a provider.

    Attributes:
        keys: variables that must be set, in the order in which they are asked for.
        options: option of the call -> variables that give it, the first that is set wins.
    """

    keys: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]


def _keyed(*variables: str, base: tuple[str, ...] = ()) -> Provider:
    options = {"api_key": variables}
    if base:
        options["api_base"] = base
    return Provider(keys=variables[:1], options=options)


_AWS = Provider(
    keys=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    options={
        "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
        "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "aws_session_token": ("AWS_SESSION_TOKEN",),
        "aws_region_name": ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"),
    },
)
_VERTEX = Provider(
    keys=("GOOGLE_APPLICATION_CREDENTIALS",),
    options={
        "vertex_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",),
        "vertex_project": ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"),
        "vertex_location": ("VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION"),
    },
)
_AZURE = Provider(
    keys=("AZURE_API_KEY", "AZURE_API_BASE"),
    options={
        "api_key": ("AZURE_API_KEY",),
        "api_base": ("AZURE_API_BASE",),
        "api_version": ("AZURE_API_VERSION",),
    },
)

PROVIDERS: Mapping[str, Provider] = {
    "openai": _keyed("OPENAI_API_KEY", base=("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    "anthropic": _keyed("ANTHROPIC_API_KEY", base=("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")),
    "gemini": _keyed("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "vertex_ai": _VERTEX,
    "azure": _AZURE,
    "azure_ai": _keyed("AZURE_AI_API_KEY", base=("AZURE_AI_API_BASE",)),
    "bedrock": _AWS,
    "sagemaker": _AWS,
    "mistral": _keyed("MISTRAL_API_KEY", base=("MISTRAL_API_BASE",)),
    "codestral": _keyed("CODESTRAL_API_KEY"),
    "groq": _keyed("GROQ_API_KEY"),
    "cohere": _keyed("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": _keyed("COHERE_API_KEY", "CO_API_KEY"),
    "deepseek": _keyed("DEEPSEEK_API_KEY"),
    "openrouter": _keyed("OPENROUTER_API_KEY"),
    "together_ai": _keyed("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
    "fireworks_ai": _keyed("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY"),
    "perplexity": _keyed("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "xai": _keyed("XAI_API_KEY"),
    "huggingface": _keyed("HUGGINGFACE_API_KEY", "HF_TOKEN"),
    "replicate": _keyed("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
    "voyage": _keyed("VOYAGE_API_KEY"),
    "jina_ai": _keyed("JINA_AI_API_KEY"),
    "nvidia_nim": _keyed("NVIDIA_NIM_API_KEY"),
    "cerebras": _keyed("CEREBRAS_API_KEY"),
    "sambanova": _keyed("SAMBANOVA_API_KEY"),
    "dashscope": _keyed("DASHSCOPE_API_KEY"),
    "moonshot": _keyed("MOONSHOT_API_KEY"),
    "ollama": Provider(keys=(), options={"api_base": ("OLLAMA_API_BASE",)}),
    "ollama_chat": Provider(keys=(), options={"api_base": ("OLLAMA_API_BASE",)}),
    "hosted_vllm": Provider(
        keys=(), options={"api_base": ("HOSTED_VLLM_API_BASE",), "api_key": ("HOSTED_VLLM_API_KEY",)}
    ),
    "lm_studio": Provider(
        keys=(), options={"api_base": ("LM_STUDIO_API_BASE",), "api_key": ("LM_STUDIO_API_KEY",)}
    ),
}

# Names without a provider that litellm knows by sight.
_BARE = (
    (re.compile(r"gpt-|chatgpt-|o[134](-|$)|text-embedding-(3|ada)|ft:gpt-"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal"})


_NOT_OF_THE_ANSWER = frozenset(
    "api_key aws_access_key_id aws_secret_access_key aws_session_token vertex_credentials timeout params".split()
)
"""Options that decide who pays and how long one waits. (`params` are spread out beside the others.)"""


def resolve(name: str, settings: Settings) -> ModelSpec:
    """What `name` stands for: an alias of `aiflow.yaml`, or itself as a litellm name."""
    return settings.models.get(name) or ModelSpec(model=name)


def is_offline(name: str) -> bool:
    """Whether aiflow answers by itself, without a network."""
    return name.startswith(OFFLINE)


def provider_of(model: str) -> str | None:
    """`openai` of `openai/gpt-4o-mini` and of `gpt-4o-mini`; None when nobody can tell from the name."""
    if "/" in model:
        return model.split("/", 1)[0]
    return next((provider for pattern, provider in _BARE if pattern.match(model)), None)


def environment_options(spec: ModelSpec, env: Mapping[str, str]) -> dict[str, str]:
    """Options of the call that the environment gives for the model's provider; `spec.options` go before them."""
    provider = PROVIDERS.get(provider_of(spec.model) or "")
    found: dict[str, str] = {}
    if provider is None:
        return found
    for option, variables in provider.options.items():
        value = next((env[name] for name in variables if env.get(name)), None)
        if value is not None:
            found[option] = value
    if "api_key" not in found and "api_key" not in spec.options and is_local(_base(spec, env)):
        found["api_key"] = "none"  # litellm's clients want some text even where the server asks for no key
    return found


def essence(spec: ModelSpec, env: Mapping[str, str]) -> dict[str, Any]:
    """What of a model decides on its answers: its name, where it is asked, its options. No keys, no prices, no timeouts."""
    options = {**environment_options(spec, env), **spec.options, **spec.options.get("params", {})}
    return {"model": spec.model, "options": {name: one for name, one in options.items() if name not in _NOT_OF_THE_ANSWER}}


def credentials_missing(spec: ModelSpec, env: Mapping[str, str]) -> str | None:
    """The environment variable that must be set before this model can be called, or None.

    None also where nobody can tell: an unknown provider. A server on this machine needs no key.
    """
    if is_offline(spec.model) or "api_key" in spec.options:
        return None
    provider = PROVIDERS.get(provider_of(spec.model) or "")
    if provider is None or is_local(_base(spec, env)):
        return None
    given = environment_options(spec, env)
    for variable in provider.keys:
        option = next((name for name, names in provider.options.items() if variable in names), None)
        if option is None or (option not in given and option not in spec.options):
            return variable
    return None


def is_local(address: str | None) -> bool:
    """Whether a URL points at this machine."""
    if not address:
        return False
    try:
        return (urlsplit(address).hostname or "") in _LOCAL_HOSTS
    except ValueError:
        return False


def _base(spec: ModelSpec, env: Mapping[str, str]) -> str | None:
    if base := spec.options.get("api_base") or spec.options.get("base_url"):
        return str(base)
    provider = PROVIDERS.get(provider_of(spec.model) or "")
    names = provider.options.get("api_base", ()) if provider else ()
    return next((env[name] for name in names if env.get(name)), None)
