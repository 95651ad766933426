"""The error tree of aiflow.

    AiflowError                 code, exit_code, hint
    ├── SpecError               the author's file is wrong: a list of problems          exit 1
    ├── ConfigError             the operator's setup is wrong                           exit 2
    ├── InputError              the inputs given do not fit what the workflow declares  exit 2
    ├── RunError                a request that does not fit the run's state             exit 2
    ├── StoreError              Redis is away, full, loading or wrongly set up          exit 4
    └── StepError               one attempt of a step failed: type, message, data, transient, retry_after_ms
        └── ExpressionError     an expression could not be evaluated (type `expression`)

Every error builds one sentence: what is wrong, where, and (`hint`) what to do.
Exit codes: 0 ok, 1 run failed or file has faults, 2 usage, 4 store unreachable or not authorised,
5 a person is needed, 70 a bug in aiflow, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from aiflow.language.problems import Problem


class AiflowError(Exception):
    """Root of all errors that aiflow raises on purpose.

    Args:
        message: one sentence, no trailing full stop, that says what is wrong and where.
        hint: what to do about it, printed indented below; empty if there is nothing to say.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SpecError(AiflowError):
    """The author's files have faults. `problems` holds all of them, sorted by file and line."""

    code = "spec"
    exit_code = 1

    def __init__(self, problems: Sequence[Problem]) -> None:
        faults = [p for p in problems if p.severity == "error"]
        super().__init__("\n".join(str(p) for p in faults))
        self.problems = list(problems)


class ConfigError(AiflowError):
    """The operator's setup is wrong: `aiflow.yaml`, environment, credentials, a missing extra."""

    code = "config"
    exit_code = 2


class InputError(AiflowError):
    """The inputs of a run do not fit the declaration. `faults` maps an input's name to a sentence."""

    code = "inputs"
    exit_code = 2

    def __init__(self, message: str, hint: str = "", faults: dict[str, str] | None = None) -> None:
        super().__init__(message, hint)
        self.faults = faults or {}


class RunError(AiflowError):
    """A request that does not fit: no such run, not in that state, no such step."""

    code = "run"
    exit_code = 2


class StoreError(AiflowError):
    """Redis cannot serve: away, loading, out of memory, read-only, wrongly set up."""

    code = "store"
    exit_code = 4


class StepError(AiflowError):
    """One attempt of a step failed. The engine stores it as data (DSL: `error` in handlers).

    Args:
        type: one word in snake_case, e.g. `http_error`, `rate_limit`, `invalid_output`, `timeout`.
        message: a sentence; never prompts, replies or secrets.
        data: JSON values for handlers, e.g. `{"status": 503}`.
        transient: whether the same attempt may succeed later (timeouts, lost connections, 408, 429, 5xx).
        retry_after_ms: the other side asked to wait so long (`Retry-After`), or None.
        traceback: of the user's code, for the record, or empty.
    """

    code = "step"
    exit_code = 1

    def __init__(
        self,
        type: str,
        message: str,
        *,
        data: dict[str, Any] | None = None,
        transient: bool = False,
        retry_after_ms: int | None = None,
        traceback: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.type = type
        self.data = data or {}
        self.transient = transient
        self.retry_after_ms = retry_after_ms
        self.traceback = traceback


class ExpressionError(StepError):
    """An expression failed: undefined name, null in text, a limit, a wrong type. Never retried."""

    code = "expression"

    def __init__(self, message: str, hint: str = "", data: dict[str, Any] | None = None) -> None:
        super().__init__("expression", _cut(message), data=data, hint=_cut(hint))


def _cut(text: str, most: int = 500) -> str:
    """A message that quotes data does not grow with it."""
    return text if len(text) <= most else text[: most - 3] + "..."
