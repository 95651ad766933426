"""Configuration: what wins over what, and faults of `aiflow.yaml` in their place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiflow import settings as settings_module
from aiflow._project_checks import CHECKS, read_project_file
from aiflow.errors import ConfigError
from aiflow.settings import ModelSpec, Settings, find_root, load_settings, secret, with_profile

PROJECT = """\
models:
  fast: openai/gpt-4o-mini
  smart: {model: anthropic/claude-sonnet-4-5, max_tokens: 4000, prices: {input: 3, output: 15.0}}
  embedder: openai/text-embedding-3-small
profiles:
  offline: {fast: offline/text, embedder: offline/embedding}
  careful: {fast: {model: openai/gpt-4o, timeout: 1m}, defaults: {llm: {temperature: 0}}}
defaults:
  llm: {model: fast, cache: 30d}
limits:
  openai: {rate: 500/min}
stores:
  artifacts: ./out
network: {allow: [10.0.0.0/8, 127.0.0.1]}
lease: 20s
retention: 7d
email: smtp://localhost:1025
x-team: {anything: [goes]}
"""


def load(root: Path, text: str | None = None, profile: str | None = None, **environ: str) -> Settings:
    if text is not None:
        (root / "aiflow.yaml").write_text(text)
    return load_settings(root=root, profile=profile, environ=environ)


def refusal(root: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(root, text)
    return caught.value.message + ("\n    " + caught.value.hint if caught.value.hint else "")


def test_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings(
        root=tmp_path, state_dir=tmp_path / ".aiflow", artifacts=str(tmp_path / ".aiflow" / "artifacts")
    )
    assert load(tmp_path).embedded


def test_the_project_file(tmp_path: Path) -> None:
    found = load(tmp_path, PROJECT)
    assert found.models["fast"] == ModelSpec("openai/gpt-4o-mini")
    assert found.models["smart"] == ModelSpec(
        "anthropic/claude-sonnet-4-5", {"max_tokens": 4000}, {"input": 3, "output": 15.0}
    )
    assert found.defaults == {"llm": {"model": "fast", "cache": "30d"}}
    assert found.limits == {"openai": {"rate": "500/min"}}
    assert found.artifacts == str(tmp_path / "out")
    assert found.network_allow == ("10.0.0.0/8", "127.0.0.1")
    assert (found.lease_ms, found.retention_ms) == (20_000, 7 * 86_400_000)
    assert found.email == "smtp://localhost:1025"
    assert found.profile is None


def test_a_profile_is_laid_over_models_and_defaults(tmp_path: Path) -> None:
    found = load(tmp_path, PROJECT, profile="careful")
    assert found.profile == "careful"
    assert found.models["fast"] == ModelSpec("openai/gpt-4o", {"timeout": "1m"})
    assert found.models["embedder"].model == "openai/text-embedding-3-small"
    assert found.defaults == {"llm": {"model": "fast", "cache": "30d", "temperature": 0}}


def test_which_profile(tmp_path: Path) -> None:
    assert load(tmp_path, PROJECT, AIFLOW_PROFILE="offline").profile == "offline"
    assert load(tmp_path, PROJECT, profile="careful", AIFLOW_PROFILE="offline").profile == "careful"
    assert load(tmp_path, PROJECT + "profile: careful\n").profile == "careful"
    assert with_profile(load(tmp_path, ""), "offline").profile == "offline"
    with pytest.raises(ConfigError, match="no profile `carefull`") as caught:
        load(tmp_path, PROJECT, profile="carefull")
    assert caught.value.hint == "aiflow.yaml and aiflow know: careful, offline"


def test_what_wins(tmp_path: Path) -> None:
    text = "store: redis://file:1/0\n"
    assert load(tmp_path, text).redis_url == "redis://file:1/0"
    (tmp_path / ".env").write_text("REDIS_URL=redis://dotenv:1/0\nTOKEN='from the file'\n")
    assert load(tmp_path, text).redis_url == "redis://dotenv:1/0"
    assert load(tmp_path, text, REDIS_URL="redis://process:1/0").redis_url == "redis://process:1/0"
    both = load(tmp_path, text, REDIS_URL="redis://process:1/0", AIFLOW_REDIS_URL="redis://ours:1/0")
    assert both.redis_url == "redis://ours:1/0"
    assert both.env["TOKEN"] == "from the file"
    assert load(tmp_path, text, TOKEN="process").env["TOKEN"] == "process"


def test_the_environment(tmp_path: Path) -> None:
    found = load(
        tmp_path, AIFLOW_STATE_DIR="/var/lib/aiflow", AIFLOW_DURABILITY="always", AIFLOW_ARTIFACTS="s3://bucket/x",
        AIFLOW_BLOB_LIMIT="1000", AIFLOW_LEASE="2s", AIFLOW_RETENTION="1d", AIFLOW_NAMESPACE="team.a",
    )
    assert found.state_dir == Path("/var/lib/aiflow")
    assert (found.durability, found.artifacts, found.blob_limit) == ("always", "s3://bucket/x", 1000)
    assert (found.lease_ms, found.retention_ms, found.namespace) == (2000, 86_400_000, "team.a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIFLOW_DURABILITY", "sometimes"), ("AIFLOW_BLOB_LIMIT", "64k"), ("AIFLOW_LEASE", "10"), ("AIFLOW_LEASE", "10ms"),
        ("AIFLOW_RETENTION", "1 month"), ("AIFLOW_NAMESPACE", "{x}"), ("AIFLOW_NAMESPACE", "ä"),
    ],
)
def test_faults_in_the_environment_name_the_variable_or_value(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, **{name: value})
    assert name in caught.value.message or value in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modles: {}\n", "aiflow.yaml:1:1: unknown key `modles` [unknown-key]\n    did you mean `models`?"),
        ("limits:\n  a: {rat: 1/s}\n", "aiflow.yaml:2:7: unknown key `rat` [unknown-key]\n    did you mean `rate`?"),
        ("limits:\n  a: {rate: 500}\n", "aiflow.yaml:2:13: `500` is not a rate [rate]"),
        ("limits:\n  a: {rate: 5/month}\n", "aiflow.yaml:2:13: `5/month` is not a rate [rate]"),
        ("limits:\n  a: {at_once: 0}\n", "aiflow.yaml:2:16: `at_once` must be a whole number of at least 1 [value]"),
        ("lease: 10\n", "aiflow.yaml:1:8: `10` has no unit"),
        ("lease: 10ms\n", "aiflow.yaml:1:8: `lease` must be at least 1000 ms"),
        ("durability: yes\n", "aiflow.yaml:1:13: `durability` must be one of `standard`, `always`"),
        ("models: [a]\n", "aiflow.yaml:1:9: `models` must be a map"),
        ("models:\n  fast: {api_base: x}\n", "aiflow.yaml:2:3: model `fast` needs `model: provider/name`"),
        ("models:\n  fast: [a, b]\n", "aiflow.yaml:2:9: model `fast` must be a name or a map"),
        ("models:\n  a: {model: x, prices: {input: much}}\n", "aiflow.yaml:2:33: price `input` must be dollars"),
        ("profiles:\n  p: offline\n", "aiflow.yaml:2:6: profile `p` must be a map of models"),
        ("network: {allow: [10.0.0.0/8, office]}\n", "aiflow.yaml:1:31: `office` is not a network"),
        ("network: {allow: 10.0.0.0/8}\n", "is not a network"),
        ("namespace: 'a{b}'\n", "aiflow.yaml:1:12: `namespace` may hold letters"),
        ("blob_limit: 1\n", "aiflow.yaml:1:13: `blob_limit` must be a whole number of at least 1024"),
        ("stores: ./out\n", "aiflow.yaml:1:9: `stores` must be a map with `artifacts`"),
        ("defaults: {llm: fast}\n", "aiflow.yaml:1:17: `llm` must be a map of options"),
        ("lease: 10s\nlease: 20s\n", "aiflow.yaml:2:1: `lease` is written twice (first on line 1)"),
        ("a: &x 1\n", "aiflow.yaml:1:4: anchors and aliases are not read here"),
        ("a: [1\n", "not YAML"),
        ("- a\n", "aiflow.yaml:1:1: the file must be a map of settings"),
        ("[" * 100_000, "nested more than 40 levels deep"),
        ("a: " + "x" * 300_000, "larger than 256 kB"),
    ],
)
def test_faults_in_the_file(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


def test_all_faults_at_once_in_order(tmp_path: Path) -> None:
    said = refusal(tmp_path, "lease: soon\nmodles: {}\ndurability: maybe\n")
    assert re.findall(r"^aiflow\.yaml:(\d+)", said, re.MULTILINE) == ["1", "2", "3"]


def test_words_that_yaml_1_1_would_change_stay_text(tmp_path: Path) -> None:
    (tmp_path / "aiflow.yaml").write_text("defaults:\n  http: {on: NO, at: 10:30, day: 2026-01-02, big: 1e3, ok: true}\n")
    assert read_project_file(tmp_path / "aiflow.yaml")["defaults"]["http"] == {
        "on": "NO", "at": "10:30", "day": "2026-01-02", "big": 1000.0, "ok": True,
    }


def test_empty_sections_are_no_fault(tmp_path: Path) -> None:
    assert load(tmp_path, "".join(f"{key}:\n" for key in CHECKS)).models == {}
    assert load(tmp_path, "# nothing\n").models == {}


@given(st.text(alphabet=st.sampled_from("ab: -[]{}\n\t&*!|>'\"#,~0.é"), max_size=60))
def test_any_text_is_settings_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-text"
    folder.mkdir(exist_ok=True)
    path = folder / "aiflow.yaml"
    path.write_text(text, "utf-8")
    try:
        assert isinstance(read_project_file(path), dict)
    except ConfigError as error:
        assert error.message.startswith("aiflow.yaml:")


def test_files_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "aiflow.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path)
    (tmp_path / "aiflow.yaml").unlink()
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path)


def test_the_other_ending_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "aiflow.yml").write_text("lease: 1s\n")
    with pytest.raises(ConfigError, match="is not read"):
        load(tmp_path)


def test_the_project_folder(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "workflows" / "sub"
    deep.mkdir(parents=True)
    assert find_root(deep) == tmp_path / "a"
    (deep / "flow.yaml").write_text("")
    assert find_root(deep / "flow.yaml") == tmp_path / "a"
    (tmp_path / "b" / "c").mkdir(parents=True)
    assert find_root(tmp_path / "b" / "c") == tmp_path / "b" / "c"
    (tmp_path / "b" / "aiflow.yaml").write_text("")
    assert find_root(tmp_path / "b" / "c") == tmp_path / "b"


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "SECRETS_FOLDER", tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "MOUNTED").write_text("m\n")
    (tmp_path / "token.txt").write_text("from a file\n")
    (tmp_path / ".env").write_text("A=dotenv\nB=dotenv\n")
    found = load(tmp_path, A="process", EMPTY="", T_FILE="token.txt", GONE_FILE="/no/such")
    assert secret(found, "A") == "process"
    assert secret(found, "B") == "dotenv"
    assert secret(found, "T") == "from a file"
    assert secret(found, "MOUNTED") == "m"
    assert secret(found, "EMPTY") is None
    assert secret(found, "NOWHERE") is None
    with pytest.raises(ConfigError, match="`GONE` cannot be read from /no/such"):
        secret(found, "GONE")
    for name in ("../MOUNTED", "a b", "", "é"):
        with pytest.raises(ConfigError, match="cannot be the name of a secret"):
            secret(found, name)
