"""What calls cost, and which key a model wants."""

from __future__ import annotations

from typing import Any

import pytest

from aiflow.models.prices import cost_of, counted, table_prices
from aiflow.models.resolve import credentials_missing, environment_options, provider_of, resolve
from aiflow.settings import ModelSpec, Settings


def test_own_prices_are_per_million_tokens() -> None:
    assert cost_of({"input": 0.15, "output": 0.60}, 1_000_000, 500_000) == pytest.approx(0.45)
    assert cost_of({"input": 2.0}, 500, 10) == pytest.approx(0.001)


def test_the_table_without_a_price_is_no_price() -> None:
    assert table_prices(None) is None
    assert table_prices({"max_tokens": 10}) is None
    assert table_prices({"input_cost_per_token": 0.0}) == {"input": 0.0, "output": 0.0}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ((11, 7), (11, 7, False)),
        ((0, 0), (30, 15, True)),
        ((-5, 3), (30, 15, True)),
        ((11, -1), (30, 15, True)),
        ((10**9, 7), (30, 15, True)),
        ((11, 10**9), (30, 15, True)),
        ((11, 0), (30, 15, True)),
    ],
)
def test_counts_that_cannot_be_are_estimated_on_the_safe_side(reported: tuple[int, int], expected: tuple[int, int, bool]) -> None:
    assert counted(reported, (20, 10)) == expected


def test_an_alias_is_resolved_and_anything_else_is_itself() -> None:
    spec = ModelSpec("anthropic/claude-sonnet-4-5", {"max_tokens": 4000})
    settings = Settings(root=None, models={"smart": spec})  # type: ignore[arg-type]
    assert resolve("smart", settings) is spec
    assert resolve("openai/gpt-4o", settings) == ModelSpec("openai/gpt-4o")


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o-mini", "OPENAI_API_KEY"),
        ("gpt-4o-mini", "OPENAI_API_KEY"),
        ("o3-mini", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
        ("mistral/mistral-small-latest", "MISTRAL_API_KEY"),
        ("groq/llama-3.1-8b-instant", "GROQ_API_KEY"),
        ("azure/my-deployment", "AZURE_API_KEY"),
        ("bedrock/anthropic.claude-3", "AWS_ACCESS_KEY_ID"),
        ("openrouter/openai/gpt-4o", "OPENROUTER_API_KEY"),
        ("ollama/llama3", None),
        ("offline/text", None),
        ("nobody/knows", None),
    ],
)
def test_the_variable_that_is_missing(model: str, variable: str | None) -> None:
    assert credentials_missing(ModelSpec(model), {}) == variable
    if variable is not None:
        assert credentials_missing(ModelSpec(model), {variable: ""}) == variable
        assert credentials_missing(ModelSpec(model), {variable: "x"}) != variable


@pytest.mark.parametrize(
    ("options", "env"),
    [
        ({"api_key": "k"}, {}),
        ({"api_base": "http://localhost:11434/v1"}, {}),
        ({"api_base": "http://127.0.0.1:9/v1"}, {}),
        ({}, {"OPENAI_API_KEY": "k"}),
        ({}, {"OPENAI_BASE_URL": "http://localhost:8099/v1"}),
    ],
)
def test_no_key_is_missing(options: dict[str, Any], env: dict[str, str]) -> None:
    assert credentials_missing(ModelSpec("openai/x", options), env) is None


def test_a_server_elsewhere_wants_its_key() -> None:
    spec = ModelSpec("openai/x", {"api_base": "https://llm.example/v1"})
    assert credentials_missing(spec, {}) == "OPENAI_API_KEY"


def test_several_variables_are_asked_for_one_after_the_other() -> None:
    spec = ModelSpec("azure/x")
    assert credentials_missing(spec, {"AZURE_API_KEY": "k"}) == "AZURE_API_BASE"
    assert credentials_missing(spec, {"AZURE_API_KEY": "k", "AZURE_API_BASE": "https://x"}) is None
    assert credentials_missing(ModelSpec("gemini/x"), {"GOOGLE_API_KEY": "k"}) is None


def test_keys_are_handed_over_from_the_environment_given() -> None:
    assert environment_options(ModelSpec("openai/x"), {"OPENAI_API_KEY": "k"}) == {"api_key": "k"}
    assert environment_options(ModelSpec("openai/x", {"api_base": "http://localhost/v1"}), {}) == {"api_key": "none"}
    assert environment_options(ModelSpec("openai/x", {"api_base": "http://localhost/v1", "api_key": "k"}), {}) == {}


def test_providers_by_name() -> None:
    assert provider_of("mistral/x/y") == "mistral"
    assert provider_of("some-model") is None
