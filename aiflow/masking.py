"""Secrets out of everything that is written down: results, errors, log lines.

A secret is found as it is and in the forms in which texts carry other texts: escaped for JSON (twice as well), Python, HTML
and URLs, in base64 (at any offset, as in `Authorization: Basic`), and line by line when it has several long lines.
What a program makes of it otherwise (a hash, half of it) is not found.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from aiflow.errors import ExpressionError, StepError
from aiflow.values import Value

MASK = "***"

SHORT = 4
"""Characters; a shorter secret is masked only where it stands alone, or every text with an `a` would be full of stars."""

LONG_LINE = 16
"""Characters of a line that is masked also without the others (of a private key)."""

BASE64_BYTES = 8
"""Shorter secrets leave too little of themselves in base64."""


class Masker:
    """Knows the secrets of a run."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._forms: list[str] = []
        self._short: list[re.Pattern[str]] = []

    @property
    def knows_any(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._known)

    def add(self, secret: str) -> None:
        """Mask this text from now on."""
        if not secret.strip() or secret in self._known:
            return
        self._known.add(secret)
        if len(secret) < SHORT:
            self._short.append(re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)"))
            return
        self._forms = sorted({*self._forms, *_forms(secret)}, key=lambda form: (-len(form), form))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        for pattern in self._short:
            text = pattern.sub(MASK, text)
        return text

    def value(self, value: Value) -> Value:
        """The value without secrets in its texts and keys; itself when there is nothing to mask."""
        if not self._known:
            return value
        try:
            return self._masked(value)
        except RecursionError:
            raise ExpressionError("the result is nested too deep") from None

    def error(self, error: StepError) -> None:
        """Take secrets out of an error, in place."""
        if self._known:
            error.message, error.hint, error.traceback = map(self.text, (error.message, error.hint, error.traceback))
            error.data = self.value(error.data)

    def _masked(self, value: Value) -> Value:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(item) for item in value]
        return value


def _forms(secret: str) -> set[str]:
    plain = {secret}
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        plain.update(line for line in lines if len(line) >= LONG_LINE)
    found: set[str] = set()
    for text in plain:
        found.update(_escaped(text))
    return {form for form in found if len(form) >= SHORT}


def _escaped(text: str) -> set[str]:
    once = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    raw = text.encode("utf-8", "surrogatepass")
    urls = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    return {
        text,
        *once,
        *(json.dumps(form, ensure_ascii=False)[1:-1] for form in once),
        repr(text)[1:-1],
        html.escape(text),
        *urls,
        *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in urls),
        *_in_base64(raw),
    }


def _in_base64(raw: bytes) -> set[str]:
    """What base64 makes of the bytes wherever they begin, without the letters that depend on their neighbours."""
    if len(raw) < BASE64_BYTES:
        return set()
    found = set()
    for offset in range(3):
        first = (offset * 8 + 5) // 6
        whole = (offset + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"\0" * offset + raw).decode()[first:whole])
    return found
