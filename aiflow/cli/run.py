"""`aiflow run`: start a run of a workflow file and follow it."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._errors import say
from aiflow.cli._options import (
    json_option,
    out,
    out_json,
    profile_option,
    project_option,
    project_settings,
    quiet_option,
    shown_path,
    verbose_option,
)
from aiflow.cli._text import clean
from aiflow.errors import AiflowError, ConfigError, InputError, SpecError

if TYPE_CHECKING:
    from aiflow.cli._session import Wishes
    from aiflow.language.model import Workflow
    from aiflow.language.problems import Problem
    from aiflow.settings import Settings

EXAMPLES = """\b
Examples:
  aiflow run workflows/hello.yaml
  aiflow run workflows/doc_ingest.yaml -i folder=~/papers --max-cost 2
  aiflow run report.yaml --inputs inputs.json --json > result.json
  aiflow run report.yaml -i rows=@rows.json --detach

Ctrl-C stops working and keeps the run: aiflow resume goes on with it.

\b
Exit codes: 0 ok, 1 the run failed or the file has faults, 2 usage, 4 store,
5 a person must decide (aiflow settle), 130 interrupted."""


class Dollars(click.ParamType[float]):
    """A sum above 0, `$` allowed."""

    name = "USD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            dollars = float(str(value).lstrip("$"))
        except ValueError:
            dollars = math.nan
        if not 0 < dollars < math.inf:
            self.fail(f"{value!r} is no sum of dollars above 0, such as 2.50", param, ctx)
        return dollars


@dataclass(frozen=True)
class Start:
    """A run that may begin: everything that could be refused has been looked at. `notices`: hints of the checks, too."""

    workflow: Workflow
    inputs: dict[str, Any]
    settings: Settings
    meta: dict[str, Any]
    notices: tuple[str, ...]


@click.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path())
@click.option(
    "-i", "--input", "given", multiple=True, metavar="NAME=VALUE",
    help="An input; NAME=@FILE takes it from a file (.json: as JSON).",
)
@click.option("--inputs", "inputs_file", metavar="FILE.json", help="Inputs from a JSON object in a file, `-` for stdin.")
@click.option("--detach", is_flag=True, help="Start the run, print its id, and leave it to a worker.")
@click.option("--no-wait", is_flag=True, help="Return when nothing but waits is left.")
@click.option("--fresh", is_flag=True, help="Take nothing from the cache; what is made anew is kept there.")
@click.option("--max-cost", type=Dollars(), metavar="USD", help="Fail rather than spend more on models.")
@click.option("--no-offline", is_flag=True, help="Refuse rather than answer with the offline models.")
@profile_option
@project_option
@json_option
@quiet_option
@verbose_option
def run(
    file: str,
    given: tuple[str, ...],
    inputs_file: str | None,
    detach: bool,
    no_wait: bool,
    fresh: bool,
    max_cost: float | None,
    no_offline: bool,
    profile: str | None,
    project: str | None,
    as_json_: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Start a run of a workflow FILE and follow it.

    Shows the steps while they run, then the outputs, what it cost and where things were written.
    Without any key the built-in offline models answer, and the first line says so.
    """
    from aiflow.cli._session import Wishes

    wishes = Wishes(as_json=as_json_, quiet=quiet or as_json_, verbose=verbose, no_wait=no_wait)
    try:
        start = prepare(Path(file), project, profile, read_inputs(given, inputs_file), no_offline)
    except AiflowError as error:
        return refused(error, as_json_)
    if fresh:
        start.meta["fresh"] = True
    if not (quiet or as_json_):
        for notice in start.notices:
            say(clean(notice))
    return asyncio.run(_detached(start, max_cost, as_json_) if detach else _followed(start, max_cost, wishes))


def prepare(file: Path, project: str | None, profile: str | None, given: dict[str, Any], no_offline: bool) -> Start:
    """Look at everything that can be refused, before the store is touched.

    Raises: SpecError, ConfigError, InputError.
    """
    from aiflow.cli.validate import seen_from_here
    from aiflow.language.inputs import convert_inputs
    from aiflow.language.workflow import load_runnable

    if not file.is_file():
        raise ConfigError(*_no_file(file, project))
    settings = project_settings(project, file, profile)
    hints: list[Problem] = []
    try:
        workflow = load_runnable(file, settings, hints)
    except SpecError as error:
        raise SpecError([seen_from_here(problem, settings.root) for problem in error.problems]) from None
    inputs = convert_inputs(workflow.inputs, given, from_text=True, project=settings.root)
    settings, meta, notices = choose_models(workflow, settings, profile, no_offline)
    said = [str(replace(seen_from_here(hint, settings.root), hint="")) for hint in hints]
    return Start(workflow, inputs, settings, meta, (*notices, *said))


def choose_models(
    workflow: Workflow, settings: Settings, profile: str | None, no_offline: bool
) -> tuple[Settings, dict[str, Any], tuple[str, ...]]:
    """(settings to run with, facts for the record, notices): real models, or the offline ones (DSL 3.17).

    Raises: ConfigError: a model cannot be called for want of a key.
    """
    from aiflow.cli import _models as models

    named = models.models_named(workflow, settings)
    asked = profile or settings.env.get("AIFLOW_PROFILE")
    if settings.profile == "offline":
        if no_offline:
            raise ConfigError("the profile `offline` is in force and --no-offline refuses it", "choose another --profile")
        return models.offline_settings(settings, named), {"offline": True, "profile": "offline"}, ()
    meta = {"profile": settings.profile} if settings.profile else {}
    missing = models.missing_keys(named, settings)
    if not missing:
        return settings, meta, ()
    if settings.embedded and not no_offline and not asked and models.should_go_offline(named, settings):
        variables = ", ".join(sorted(set(missing.values())))
        notice = f"no {variables} set: the built-in offline models answer (profile `offline`, --no-offline refuses)"
        return models.offline_settings(settings, named), {"offline": True, "profile": "offline"}, (notice,)
    raise models.no_key_error(missing, settings, settings.embedded and not no_offline)


def read_inputs(given: tuple[str, ...], inputs_file: str | None) -> dict[str, Any]:
    """The inputs from the command line; -i goes before --inputs. Raises InputError."""
    inputs = _json_object(inputs_file) if inputs_file else {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"-i {text}: an input is given as NAME=VALUE", f"write: -i {name.strip() or 'name'}=value")
        inputs[name.strip()] = _value(name, value)
    return inputs


def _value(name: str, value: str) -> Any:
    if not value.startswith("@"):
        return value
    if value.startswith("@@"):
        return value[1:]
    path = Path(value[1:]).expanduser()
    text = _read(path, f"-i {name}={value}", "write `@@` for a text that begins with `@`")
    if path.suffix.lower() != ".json":
        return text
    return _parse(text, f"-i {name}={value}")


def _json_object(source: str) -> dict[str, Any]:
    if source == "-":
        text = sys.stdin.read()
    else:
        text = _read(Path(source).expanduser(), f"--inputs {source}", "")
    found = _parse(text, f"--inputs {source}")
    if not isinstance(found, dict):
        raise InputError(f"--inputs {source}: is no JSON object", 'write: {"name": "value"}')
    return found


def _read(path: Path, what: str, hint: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{what}: the file is not UTF-8 text", hint) from None
    except OSError as error:
        raise InputError(f"{what}: the file cannot be read: {error.strerror}", hint) from None


def _parse(text: str, what: str) -> Any:
    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise InputError(f"{what}: is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what}: is not JSON: {error}") from None


def _no_file(file: Path, project: str | None) -> tuple[str, str]:
    """What to say of a file that is not there: with the nearest name of those that are."""
    import difflib

    from aiflow.settings import find_root

    if file.is_dir():
        return f"{shown_path(file)} is a folder, not a workflow file", "name a file in it"
    root = Path(project) if project else find_root(Path.cwd())
    known = [shown_path(path) for path in sorted((root / "workflows").glob("*.y*ml"))]
    by_name = {name: path for path in known for name in (path, Path(path).name, Path(path).stem)}
    near = difflib.get_close_matches(str(file), by_name, 1, 0.6) or difflib.get_close_matches(file.stem, by_name, 1, 0.6)
    hint = f"did you mean {by_name[near[0]]}?" if near else f"workflows here: {', '.join(known[:8])}" if known else ""
    return f"there is no file {file}", hint


def refused(error: AiflowError, as_json: bool) -> int:
    """Say why a run did not begin; the exit code."""
    if as_json:
        out_json({"status": "refused", "error": _error_json(error)})
    if isinstance(error, SpecError):
        from aiflow.cli.validate import print_problems

        print_problems(error.problems)
        return error.exit_code
    from aiflow.cli._errors import error_text

    say(error_text(error))
    return error.exit_code


def _error_json(error: AiflowError) -> dict[str, Any]:
    body: dict[str, Any] = {"type": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, SpecError):
        from aiflow.cli.validate import problem_json

        body["problems"] = [problem_json(problem) for problem in error.problems]
    if isinstance(error, InputError):
        body["faults"] = error.faults
    return body


async def _followed(start: Start, max_cost: float | None, wishes: Wishes) -> int:
    from aiflow.app import App
    from aiflow.cli._session import Session, follow_to_end, say_safe

    async with App(start.settings) as app:
        others = len(await app.inspector.open_runs())
        rid = None
        async with Session(app, wishes) as session:
            rid = await app.client.start(start.workflow, start.inputs, max_cost=max_cost, meta=start.meta)
            if not wishes.quiet:
                say(f"run {rid}")
                if others:
                    say(f"unfinished runs of this project go on meanwhile: {others} (aiflow runs --status running)")
            code = await follow_to_end(app, rid, session)
        if session.interrupts.asked.is_set() and code == 130:
            say_safe(rid)
        return code


async def _detached(start: Start, max_cost: float | None, as_json: bool) -> int:
    from aiflow.app import App

    async with App(start.settings) as app:
        rid = await app.client.start(start.workflow, start.inputs, max_cost=max_cost, meta=start.meta)
        if as_json:
            from aiflow.cli._result import run_json

            info = await app.inspector.run(rid)
            assert info is not None
            out_json(run_json(info))
        else:
            out(rid)
        if not await app.inspector.workers():
            say(f"no worker is running: start one with `aiflow worker`, or follow the run with `aiflow resume {rid}`")
    return 0
