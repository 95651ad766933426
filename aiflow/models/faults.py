"""What litellm raises, as `StepError`: by HTTP status and the provider's own code, never by class name alone.

Messages hold no keys, no prompts and no replies: a provider's own sentence is quoted only when it repeats
nothing of what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from aiflow.errors import StepError
from aiflow.models.calls import Message, text_of
from aiflow.models.resolve import provider_of

RETRY_AFTER_CAP_MS = 3_600_000
"""Nobody is asked to wait longer than an hour, whatever the header says."""

QUOTE_LIMIT = 300
"""Characters of a provider's own sentence."""

ECHO_LENGTH = 16
"""So many letters and digits in a row that were also sent count as an echo of the prompt."""

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_SPENT = ("insufficient_quota", "billing", "spend_limit", "credit balance", "quota_exceeded_permanently")
_UNAVAILABLE_REASONS = frozenset({"credentials", "quota"})
_KEYS = re.compile(
    r"(?:sk|pk|rk|gsk|xai|hf|r8|AIza|AKIA)[-_A-Za-z0-9*.]{6,}|Bearer\s+\S+|(?:key|token|api_key)=[^\s&]+", re.I
)


def unavailable(error: StepError) -> bool:
    """Whether the next model of a list is worth asking: this one could not be reached or may not be used."""
    if error.type in ("connection", "rate_limit", "timeout") or error.data.get("reason") in _UNAVAILABLE_REASONS:
        return True
    return error.transient and int(error.data.get("status", 0)) >= 500


def credentials_error(model: str, variable: str) -> StepError:
    """The key is not set; found out before anything was sent."""
    return StepError(
        "llm_error",
        f"no credentials for {model}: the environment variable {variable} is not set",
        data={"model": model, "reason": "credentials", "variable": variable},
        hint=f"export {variable}=..., or write it into .env beside aiflow.yaml",
    )


def timeout_error(model: str, timeout_ms: int) -> StepError:
    """No whole answer in time."""
    seconds = f"{timeout_ms / 1000:g} s"
    return StepError("timeout", f"{model} did not answer within {seconds}", data={"model": model}, transient=True)


def none_answered(failures: Sequence[StepError]) -> StepError:
    """All models of a list were unavailable; waits as long as the one that is back first asks for."""
    kinds = {error.type for error in failures}
    waits = [error.retry_after_ms for error in failures if error.retry_after_ms is not None]
    return StepError(
        kinds.pop() if len(kinds) == 1 else "llm_error",
        "no model answered: " + "; ".join(error.message for error in failures),
        data={"errors": [{"type": error.type, "message": error.message, **error.data} for error in failures]},
        transient=any(error.transient for error in failures),
        retry_after_ms=min(waits) if waits else None,
    )


def as_step_error(
    error: BaseException, model: str, messages: Sequence[Message] = (), secrets: Sequence[str] = ()
) -> StepError:
    """The error of one call.

    Args: messages: what was sent, so that no echo of it is quoted.  secrets: texts that must not appear.
    """
    chain = list(_chain(error))
    names = {cls.__name__ for link in chain for cls in type(link).__mro__}
    status = _status(chain)
    if status is None:
        return _without_answer(error, model, names, messages, secrets)
    code = _code(chain)
    data: dict[str, Any] = {"model": model, "status": status}
    if code:
        data["code"] = code
    said = _quotable(chain, messages, secrets)
    wait = retry_after_ms(_headers(chain))
    if status == 429:
        return _limited(model, code, said, data, wait)
    if status in (401, 403):
        data["reason"] = "credentials"
        return StepError("llm_error", f"{model} refused the credentials (HTTP {status})", data=data)
    if status == 404:
        return StepError("llm_error", f"{model} is not known to its provider (HTTP 404){said}", data=data)
    if status == 408:
        return StepError(
            "timeout", f"{model} ran out of time (HTTP 408)", data=data, transient=True, retry_after_ms=wait
        )
    transient = status in _TRANSIENT
    word = "failed" if transient else "refused the request"
    return StepError(
        "llm_error", f"{model} {word} (HTTP {status}){said}", data=data, transient=transient, retry_after_ms=wait
    )


def retry_after_ms(headers: Mapping[str, str], now: datetime | None = None) -> int | None:
    """Milliseconds that the headers ask to wait, at most an hour; None when they ask nothing sensible."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        if (text := lower.get("retry-after-ms")) is not None:
            ms = float(text)
        elif (text := lower.get("retry-after")) is None:
            return None
        elif re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", text):
            ms = float(text) * 1000
        else:
            moment = parsedate_to_datetime(text)
            ms = (moment - (now or datetime.now(UTC))).total_seconds() * 1000
    except (ValueError, TypeError, OverflowError):
        return None
    return min(int(ms), RETRY_AFTER_CAP_MS) if ms >= 0 else None


def _limited(model: str, code: str, said: str, data: dict[str, Any], wait: int | None) -> StepError:
    if wait is None and any(word in (code + " " + said).lower() for word in _SPENT):
        data["reason"] = "quota"
        return StepError("rate_limit", f"{model}: the account has no quota left (HTTP 429)", data=data)
    return StepError(
        "rate_limit", f"{model}: too many requests (HTTP 429)", data=data, transient=True, retry_after_ms=wait
    )


def _without_answer(
    error: BaseException, model: str, names: set[str], messages: Sequence[Message], secrets: Sequence[str]
) -> StepError:
    """No HTTP answer of the provider is in the chain: it was never asked, never reached, or gave no JSON."""
    data = {"model": model}
    own_status = getattr(error, "status_code", None)
    if names & {"TimeoutException", "APITimeoutError", "TimeoutError", "Timeout"}:
        return StepError("timeout", f"{model} did not answer in time", data=data, transient=True)
    if names & {"TransportError", "APIConnectionError", "ClientError", "ConnectionError", "gaierror"}:
        return StepError(
            "connection", f"the connection to {model} failed or was lost", data=data, transient=True
        )
    if "UnsupportedParamsError" in names:
        return StepError(
            "llm_error",
            f"{model} does not take one of the options given{_quote(str(error).split(' To drop ')[0], messages, secrets)}",
            data=data,
            hint="leave the option out, or let it be dropped: params: {drop_params: true}",
        )
    if own_status in (400, 404) and "LLM Provider NOT provided" in str(error):
        provider = provider_of(model)
        what = f"no provider `{provider}` is known" if provider else "the provider is missing"
        return StepError(
            "llm_error",
            f"there is no model {model}: {what}",
            data=data,
            hint="write provider/name, such as openai/gpt-4o-mini, or an alias of aiflow.yaml",
        )
    if own_status in (400, 401, 403, 404, 422):
        said = _quote(str(error), messages, secrets)
        return StepError("llm_error", f"{model} cannot be called this way{said}", data={**data, "status": own_status})
    return StepError("llm_error", f"{model} gave an answer that is no completion", data=data, transient=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(chain: Sequence[BaseException]) -> int | None:
    """The status of an HTTP answer that really came: litellm invents answers for connections that broke."""
    for link in reversed(chain):
        if type(link).__name__ == "HTTPStatusError" or type(link).__module__.startswith("openai"):
            status = getattr(getattr(link, "response", None), "status_code", None)
            if isinstance(status, int) and status >= 400:
                return status
    for link in chain:
        status = getattr(link, "status_code", None)
        if isinstance(status, int) and status >= 400 and _has_headers(link):
            return status
    return None


def _has_headers(link: BaseException) -> bool:
    response = getattr(link, "response", None)
    return bool(getattr(link, "litellm_response_headers", None) or getattr(response, "headers", None))


def _headers(chain: Sequence[BaseException]) -> dict[str, str]:
    for link in reversed(chain):
        for holder in (getattr(link, "response", None), link):
            headers = getattr(holder, "headers", None) or getattr(holder, "litellm_response_headers", None)
            if headers:
                return {str(name): str(value) for name, value in dict(headers).items()}
    return {}


def _body(chain: Sequence[BaseException]) -> dict[str, Any]:
    for link in reversed(chain):
        body = getattr(link, "body", None)
        if isinstance(body, dict):
            inner = body.get("error", body)
            return inner if isinstance(inner, dict) else body
    return {}


def _code(chain: Sequence[BaseException]) -> str:
    body = _body(chain)
    code = body.get("code") or body.get("type") or ""
    return code if isinstance(code, str) and re.fullmatch(r"[\w.-]{1,64}", code) else ""


def _quotable(chain: Sequence[BaseException], messages: Sequence[Message], secrets: Sequence[str]) -> str:
    said = _body(chain).get("message")
    return _quote(said, messages, secrets) if isinstance(said, str) else ""


def _quote(said: str, messages: Sequence[Message], secrets: Sequence[str]) -> str:
    """`: <sentence>`, or nothing when the sentence repeats what was sent."""
    said = re.sub(r"^(?:litellm\.)?\w+(?:Error|Exception): ", "", " ".join(said.split()))
    for secret in secrets:
        said = said.replace(secret, "***") if len(secret) >= 4 else said
    said = _KEYS.sub("***", said)[:QUOTE_LIMIT].rstrip(". ")
    return "" if not said or _echoes(said, messages) else f": {said}"


def _echoes(said: str, messages: Sequence[Message]) -> bool:
    heard = _letters(said)
    sent = _letters(" ".join(text_of(message) for message in messages))
    if len(sent) < ECHO_LENGTH:
        return bool(sent) and sent in heard
    return any(heard[at : at + ECHO_LENGTH] in sent for at in range(max(1, len(heard) - ECHO_LENGTH + 1)))


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()
