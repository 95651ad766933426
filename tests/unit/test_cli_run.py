"""What `aiflow run` makes of its options, and which models a run may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiflow.cli import _models as models
from aiflow.cli.run import choose_models, read_inputs
from aiflow.errors import ConfigError, InputError
from aiflow.language.model import PromptSource, Step, Workflow
from aiflow.settings import ModelSpec, Settings


def test_inputs_come_from_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[1, 2]")
    (tmp_path / "note.txt").write_text("hello\n")
    (tmp_path / "all.json").write_text('{"a": 1, "b": "from the file"}')
    given = (f"rows=@{tmp_path}/rows.json", f"note=@{tmp_path}/note.txt", "b=x=y", "at=@@name")
    assert read_inputs(given, str(tmp_path / "all.json")) == {
        "a": 1, "b": "x=y", "rows": [1, 2], "note": "hello\n", "at": "@name",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [("novalue", "NAME=VALUE"), ("=x", "NAME=VALUE"), ("a=@/nowhere.json", "cannot be read"), ("a=@{}/bad.json", "line 1, column 2")],
)
def test_bad_inputs_are_refused(given: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{x}")
    with pytest.raises(InputError, match=said):
        read_inputs((given.format(tmp_path),), None)


@pytest.mark.parametrize("text", ["[1]", "NaN", '{"a": NaN}', "", "[" * 100_000])
def test_an_inputs_file_must_be_a_json_object(text: str, tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text(text)
    with pytest.raises(InputError):
        read_inputs((), str(tmp_path / "inputs.json"))


def _workflow(*steps: Step, defaults: dict[str, object] | None = None) -> Workflow:
    prompt = PromptSource("p.md", "---\nmodel: smart\n---\nHello\n", "0")
    return Workflow(name="w", file="w.yaml", steps=list(steps), prompts={"p.md": prompt}, defaults=defaults or {})


def _llm(model: object = None, prompt: str | None = None, label: str = "llm@1") -> Step:
    config: dict[str, object] = {} if model is None else {"model": model}
    return Step(kind="llm", label=label, sub=label, config=config, prompt=prompt)


MODELS = {"fast": ModelSpec("openai/gpt-4o-mini"), "smart": ModelSpec("anthropic/claude-sonnet-4-5")}


def test_models_are_found_where_the_kinds_look_for_them() -> None:
    embed = Step(kind="embed", label="e", sub="e", config={"model": "vectors"})
    workflow = _workflow(_llm("fast"), _llm(None, "p.md"), _llm(["a", "b"]), _llm("{{ item }}"), embed)
    found = models.models_named(workflow, Settings(root=Path("/p")))
    assert [one.names for one in found] == [("fast",), ("smart",), ("a", "b"), ("vectors",)]


def test_models_of_defaults_are_found() -> None:
    settings = Settings(root=Path("/p"), defaults={"llm": {"model": "fast"}})
    assert models.models_named(_workflow(_llm()), settings)[0].names == ("fast",)


def test_without_any_key_the_offline_models_stand_in() -> None:
    settings = Settings(root=Path("/p"), models=MODELS)
    chosen, meta, notices = choose_models(_workflow(_llm("fast"), _llm("openai/gpt-4o")), settings, None, False)
    assert chosen.models["fast"].model == chosen.models["openai/gpt-4o"].model == "offline/text"
    assert meta["offline"] is True and "OPENAI_API_KEY" in notices[0]


def test_the_projects_own_offline_profile_goes_first() -> None:
    profiles = {"offline": {"fast": {"model": "offline/text", "max_tokens": 7}}}
    settings = Settings(root=Path("/p"), models=MODELS, profiles=profiles)
    chosen, _, _ = choose_models(_workflow(_llm("fast"), _llm("smart")), settings, None, False)
    assert chosen.models["fast"].options == {"max_tokens": 7} and chosen.models["smart"].model == "offline/text"


def test_with_keys_the_real_models_are_asked() -> None:
    settings = Settings(root=Path("/p"), models=MODELS, env={"OPENAI_API_KEY": "k"})
    assert choose_models(_workflow(_llm("fast")), settings, None, False) == (settings, {}, ())


def test_one_key_of_a_list_is_enough() -> None:
    settings = Settings(root=Path("/p"), models=MODELS, env={"OPENAI_API_KEY": "k"})
    assert choose_models(_workflow(_llm(["smart", "fast"])), settings, None, False)[1] == {}


@pytest.mark.parametrize(
    ("settings", "profile", "no_offline"),
    [
        (Settings(root=Path("/p"), models=MODELS, redis_url="redis://x"), None, False),
        (Settings(root=Path("/p"), models=MODELS), None, True),
        (Settings(root=Path("/p"), models=MODELS, profiles={"prod": {}}, profile="prod"), "prod", False),
        (Settings(root=Path("/p"), models=MODELS, env={"ANTHROPIC_API_KEY": "k"}), None, False),
    ],
    ids=["real Redis", "--no-offline", "a profile was asked for", "one model has a key, the other none"],
)
def test_a_missing_key_is_an_error(settings: Settings, profile: str | None, no_offline: bool) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        choose_models(_workflow(_llm("fast"), _llm("smart")), settings, profile, no_offline)
    assert caught.value.exit_code == 2
