"""The published schema of `aiflow.yaml`: current, and of one mind with the checks of the file."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from aiflow._project_checks import CHECKS, read_project_file
from aiflow.errors import ConfigError
from aiflow.language.project_schema import FIELDS, compose, render
from tests.unit.test_settings import PROJECT

ROOT = Path(__file__).parent.parent.parent


def test_the_written_schema_is_current() -> None:
    file = ROOT / "schemas" / "project.schema.json"
    assert file.read_text(encoding="utf-8") == render(), "write it again: aiflow schema --write"


def test_it_knows_every_key() -> None:
    jsonschema.Draft7Validator.check_schema(compose())
    assert {*FIELDS, "defaults"} == CHECKS.keys()
    assert [name for name, one in compose()["properties"].items() if not one.get("description")] == []


@pytest.mark.parametrize(
    "text",
    [
        PROJECT.replace(", cache: 30d", ""),
        "models:\n",
        "x-a: 1",
        "models: {a: {model: b, params: {}, further: 1}}",
        "models: {a: {params: {}}}",
        "models: {a: {model: b, params: 1}}",
        "models: {a: {model: b, prices: {input: -1}}}",
        "models: [a]",
        "modles: {}",
        "profiles: {a: {fast: b, defaults: {llm: {}}}}",
        "profiles: {a: b}",
        "profile: a",
        "profile: 1",
        "limits: {a: {rate: 500 / 10min}}",
        "limits: {a: {rate: 0/min}}",
        "limits: {a: {rate: often}}",
        "limits: {a: {rte: 1/s}}",
        "stores: {artifacts: a}",
        "stores: {artifact: a}",
        "durability: always",
        "durability: never",
        "durability:\n",
        "blob_limit: 1024",
        "blob_limit: 1",
        "blob_limit: many",
        "network: {allow: [10.0.0.0/8]}",
        "network: {allow: 10.0.0.0/8}",
        "network: {deny: []}",
        "lease: 10s",
        "lease: soon",
        "retention: P30D",
        "retention: 1 month",
        "namespace: a.b",
        "namespace: a b",
        "email: smtp://localhost",
        "email: {host: a}",
    ],
)
def test_it_accepts_what_is_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "aiflow.yaml"
    file.write_text(text)
    fits = jsonschema.Draft7Validator(compose()).is_valid(yaml.safe_load(text))
    try:
        read_project_file(file)
    except ConfigError:
        assert not fits
    else:
        assert fits
