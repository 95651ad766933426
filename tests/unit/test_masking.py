"""Secrets are found in every form in which a text carries another one."""

import base64
import html
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiflow.errors import StepError
from aiflow.masking import Masker
from aiflow.values import File

SECRET = 'p"ä/ss wö\'rd+&<\\1'


def masker(*secrets: str) -> Masker:
    made = Masker()
    for secret in secrets:
        made.add(secret)
    return made


FORMS = [
    SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], json.dumps(json.dumps(SECRET)[1:-1])[1:-1], repr(SECRET)[1:-1],
    quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), urlencode({"": SECRET})[1:], quote_plus(SECRET).lower(), html.escape(SECRET),
    base64.b64encode(SECRET.encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode(),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_a_longer_text(form: str) -> None:
    assert masker(SECRET).text(f"key={form}&x").startswith("key=***")
    assert form not in masker(SECRET).text(f"Authorization: {form}")


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=4, max_size=40).filter(str.strip), st.text(max_size=20), st.text(max_size=20))
@example("0000", "0", "\0")
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    known = masker(secret)
    text = before + secret + after
    found = known.value({text: [text, {secret: text}], "n": 1})
    for shown in _texts(found):
        assert secret not in shown or "*" in secret, "what a mask and its neighbours make is no secret"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from _texts(part)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=8, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_no_secret_survives_in_base64(secret: bytes, before: bytes, after: bytes) -> None:
    text = secret.hex()
    packed = base64.b64encode(before + text.encode() + after).decode()
    shown = masker(text).text(packed)
    assert "***" in shown
    rest = max(shown.split("***"), key=len)
    assert len(rest) <= 4 * (max(len(before), len(after)) + 2)


def test_short_secrets_are_masked_where_they_stand_alone() -> None:
    assert masker("abc").text("abc, cabcab: (abc)") == "***, cabcab: (***)"
    assert masker("", " \n").text("a b") == "a b"


def test_a_key_of_several_lines_is_masked_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nx\n-----END KEY-----\n"
    assert masker(key).text("at MIIEvQIBADANBgkqhkiG9w0BAQ: x") == "at ***: x"


def test_values_keep_their_shape() -> None:
    file = File("a", "a", "", 0, "text/plain", "00")
    value = {"a": [1, 2.5, None, True, file, "no secret"]}
    assert masker().value(value) is value
    assert masker("1234").value({**value, "n": 1234}) == {**value, "n": 1234}, "numbers stay numbers"
    assert masker("1234").value({"1234": "x1234"}) == {"***": "x***"}


def test_errors_are_masked_in_every_part() -> None:
    error = StepError("x", f"no {SECRET}", data={"said": [SECRET]}, hint=SECRET, traceback=f"line\n{SECRET}")
    masker(SECRET).error(error)
    assert SECRET not in repr((error.message, error.data, error.hint, error.traceback))
    assert error.data == {"said": ["***"]}
