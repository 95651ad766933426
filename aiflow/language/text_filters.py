"""Filters on text. Every one takes its input as text (null is an error) and counts what it makes before making it."""

from __future__ import annotations

import hashlib
import html
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from aiflow.errors import ExpressionError
from aiflow.language.limits import ITEM_SIZE, Budget, in_force
from aiflow.language.operations import as_text
from aiflow.values import Value

WRAP_LIMIT = 100_000
"""Characters that `wordwrap` takes: it is slow."""

TRIM_LIMIT = 1_000
"""Characters to cut off: each letter is looked for among them."""

QUOTE_PIECE = 10_000
"""Characters that are encoded for an address at once: some milliseconds."""

PATTERN_LIMIT = 500
"""Characters of a regular expression."""

REPEAT_LIMIT = 10_000
"""Product of all `{n}` in a regular expression: they are spread out when it is compiled."""

_WORD = re.compile(r"[^-\s({\[<]+")
_CLOSED = re.compile(r"\(\?(?:R|&|P>|[-+]?\d|\w*x)")
"""Recursion keeps all it tries in memory; in `x` the numbers of a repetition may stand apart."""

_COUNTED = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_DIRECTIVE = re.compile(r"%(?:\((\w+)\))?([#0\- +]*)(\d*|\*)(?:\.(\d+|\*))?[hlL]?(.?)")


def capitalize(value: Value) -> str:
    """First letter upper case, the others lower."""
    return as_text(value).capitalize()


def center(value: Value, width: int = 80, *, budget: Budget) -> str:
    """In the middle of `width` characters."""
    text = as_text(value)
    budget.ahead(width)
    return text.center(width)


def escape(value: Value) -> str:
    """For HTML: `&lt;` and so on."""
    text = as_text(value)
    in_force().ahead(len(text) + 4 * sum(map(text.count, "&<>\"'")))
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def format(value: Value, *args: Value, **named: Value) -> str:
    """`"%s has %.2f" | format(name, amount)`; widths up to 999."""
    text, budget = as_text(value), in_force()
    if args and named:
        raise ExpressionError("`format` takes values by place or by name, not both")
    given: Any = {key: _formatted(item) for key, item in named.items()} or tuple(map(_formatted, args))
    texts = {key: len(item) for key, item in (given.items() if named else enumerate(given)) if isinstance(item, str)}
    size = len(text) + (0 if named else sum(texts.values()))
    for match in _DIRECTIVE.finditer(text):
        budget.tick()
        name, _, width, precision, kind = match.groups(default="")
        if "*" in (width, precision) or len(width) > 3 or len(precision) > 3:
            raise ExpressionError("a width in `format` is a number up to 999")
        if kind not in "sdifeEgGxXo%" or not kind:
            raise ExpressionError(f"`format` does not know `%{kind}`", "write %s, %d or %.2f; a percent sign is %%")
        size += int(width or 0) + int(precision or 0) + (texts.get(name, 0) if named else 0)
    budget.ahead(size)
    return str(text % given)


def indent(value: Value, width: int | str = 4, first: bool = False, blank: bool = False, *, budget: Budget) -> str:
    """Every line moved to the right; the first one if `first`, empty ones if `blank`."""
    text = as_text(value)
    start = width if isinstance(width, str) else " " * _bounded(width, 1_000, "indent")
    budget.ahead(len(text) + (text.count("\n") + 1) * len(start))
    lines = text.split("\n")
    moved = [start + line if line or blank else line for line in lines[1:]]
    return "\n".join([start + lines[0] if first else lines[0], *moved])


def lower(value: Value) -> str:
    """Lower case."""
    return as_text(value).lower()


def regex_replace(value: Value, pattern: str, replacement: str = "", ignorecase: bool = False, *, budget: Budget) -> str:
    r"""Every match replaced; `\1` or `\g<name>` in the replacement is a group."""
    text, found = as_text(value), compile_pattern(pattern, ignorecase)
    template = as_text(replacement)
    grown = len(text)

    def expand(match: Any) -> str:
        nonlocal grown
        budget.tick()
        made = str(match.expand(template)) if "\\" in template else template
        grown += len(made)
        budget.ahead(grown)
        return made

    with _Timed(pattern):
        return _whole(str(found.sub(expand, text, timeout=_seconds(text))))


def matches(value: Value, pattern: str, ignorecase: bool = False) -> bool:
    """Whether the pattern is found anywhere; `^...$` for the whole."""
    text, found = as_text(value), compile_pattern(pattern, ignorecase)
    with _Timed(pattern):
        return found.search(text, timeout=_seconds(text)) is not None


def replace(value: Value, old: Value, new: Value, count: int | None = None, *, budget: Budget) -> str:
    """Every `old` (or the first `count`) becomes `new`."""
    text, before, after = as_text(value), as_text(old), as_text(new)
    times = text.count(before) if count is None else min(text.count(before), _bounded(count, 2**31, "count"))
    budget.ahead(len(text) + times * (len(after) - len(before)))
    return text.replace(before, after, -1 if count is None else count)


def sha256(value: Value) -> str:
    """Hex digest of the text."""
    return hashlib.sha256(as_text(value).encode("utf-8", "surrogatepass")).hexdigest()


def slug(value: Value) -> str:
    """`Größe & Preis` becomes `grosse-preis`: for file names and addresses."""
    text = as_text(value).casefold()
    # Letter by letter: what goes away need not be put in order, which takes the square of a run of accents.
    plain = {ord(letter): _without_accents(letter) for letter in set(text)}
    in_force().ahead(len(text) * max(map(len, plain.values()), default=0))
    return re.sub(r"[\W_]+", "-", text.translate(plain)).strip("-")


def split(value: Value, separator: str | None = None, *, budget: Budget) -> list[str]:
    """Parts between separators; without one: words."""
    text = as_text(value)
    budget.spend(len(text) + ITEM_SIZE * (text.count(separator) if separator else 0))
    return text.split(separator or None)


def striptags(value: Value) -> str:
    """Text of HTML: tags out, entities resolved, runs of blanks to one."""
    first, *rest = as_text(value).split("<")
    kept = [first]
    for part in in_force().each(rest):
        _, end, after = part.partition(">")
        kept.append(after if end else "<" + part)
    return " ".join(html.unescape("".join(kept)).split())


def title(value: Value) -> str:
    """Every Word Like This."""
    def word(match: re.Match[str]) -> str:
        budget.tick()
        return match[0][:1].upper() + match[0][1:].lower()

    budget = in_force()
    return _WORD.sub(word, as_text(value))


def tokens(value: Value) -> int:
    """About how many tokens a model would count: one per four bytes of UTF-8, rounded up."""
    return -(-len(as_text(value).encode("utf-8", "surrogatepass")) // 4)


def trim(value: Value, chars: str | None = None) -> str:
    """Without blanks (or `chars`) at both ends."""
    if chars is not None and len(as_text(chars)) > TRIM_LIMIT:
        raise ExpressionError(f"`trim` takes up to {TRIM_LIMIT} characters")
    return as_text(value).strip(chars)


def truncate(value: Value, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    """At most `length` characters with `end`, cut between words unless `killwords`; `leeway` more are left alone."""
    text = as_text(value)
    if length < len(end) or leeway < 0:
        raise ExpressionError(f"`truncate` needs a length of at least {len(end)} and a leeway of at least 0")
    if len(text) <= length + leeway:
        return text
    kept = text[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def upper(value: Value) -> str:
    """Upper case."""
    return as_text(value).upper()


def urlencode(value: Value) -> str:
    """For addresses: a text, or the `a=b&c=d` of a map or list of pairs."""
    if isinstance(value, str) or not isinstance(value, (Mapping, list)):
        return _quoted(as_text(value), "/", quote)
    pairs = value.items() if isinstance(value, Mapping) else [(key, item) for key, item in value]
    budget, made, size = in_force(), [], 0
    for key, item in budget.each(pairs):
        made.append(f"{_quoted(as_text(key), '', quote_plus)}={_quoted(as_text(item), '', quote_plus)}")
        size += len(made[-1]) + 1
        budget.ahead(size)
    return "&".join(made)


def wordcount(value: Value) -> int:
    """Words in the text."""
    return sum(1 for _ in in_force().each(re.finditer(r"\w+", as_text(value))))


def wordwrap(
    value: Value,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str = "\n",
    break_on_hyphens: bool = True,
    *,
    budget: Budget,
) -> str:
    """Lines of at most `width` characters."""
    text = as_text(value)
    if len(text) > WRAP_LIMIT:
        raise ExpressionError(f"`wordwrap` takes up to {WRAP_LIMIT} characters, this text has {len(text)}")
    options: dict[str, Any] = {"break_long_words": break_long_words, "break_on_hyphens": break_on_hyphens}
    wrapper = textwrap.TextWrapper(
        max(1, width), expand_tabs=False, replace_whitespace=False, drop_whitespace=True, **options
    )
    lines = []
    for line in text.splitlines():
        budget.tick()
        lines.extend(wrapper.wrap(line) or [""])
        budget.check()
    budget.ahead(len(text) + len(lines) * len(as_text(wrapstring)))
    return wrapstring.join(lines)


def compile_pattern(pattern: str, ignorecase: bool = False) -> Any:
    """A compiled `regex` pattern. Raises ExpressionError: not a pattern, or one that could eat the memory."""
    import regex  # type: ignore[import-untyped]

    if not isinstance(pattern, str) or len(pattern) > PATTERN_LIMIT:
        raise ExpressionError(f"a regular expression is a text of up to {PATTERN_LIMIT} characters")
    if _CLOSED.search(pattern):
        raise ExpressionError(f"the regular expression `{pattern:.60}` uses recursion or the flag `x`", "write it without")
    spread = 1
    for least, most in _COUNTED.findall(pattern):
        spread *= max(1, int((least or "0")[:9]), int((most or "0")[:9]))
    if spread > REPEAT_LIMIT:
        raise ExpressionError(f"the repetitions in the regular expression `{pattern:.60}` multiply to {spread}")
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignorecase else 0)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ExpressionError(f"`{pattern:.60}` is not a regular expression: {error}") from None


class _Timed:
    """Turns the timeout and template errors of `regex` into ExpressionError."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise ExpressionError(
                f"the regular expression `{self._pattern:.60}` takes too long on this text",
                "write it without nested repetitions such as (a+)+",
            ) from None
        if error is not None and type(error).__module__.startswith("regex"):
            raise ExpressionError(f"the replacement does not fit the regular expression: {error}") from None


def _seconds(text: str) -> float:
    """Time that a regular expression may take: most of the 100 ms of an evaluation, and more on a long text."""
    budget = in_force()
    budget.check()
    return max(0.005, min(0.08 + len(text) * 50e-9, budget.seconds_left()))


def _without_accents(letter: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))


def _quoted(text: str, safe: str, how: Callable[..., str]) -> str:
    """The text for an address, in pieces, so that its size and the time are looked at on the way."""
    budget, made, size = in_force(), [], 0
    for at in range(0, len(text), QUOTE_PIECE):
        made.append(how(text[at : at + QUOTE_PIECE].encode("utf-8", "surrogatepass"), safe=safe))
        size += len(made[-1])
        budget.ahead(size)
        budget.check()
    return "".join(made)


def _whole(text: str) -> str:
    """The text, if all of its characters can be written as UTF-8."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ExpressionError("the text has half a character (a surrogate), which nothing can store") from None
    return text


def _formatted(value: Value) -> Value:
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else as_text(value)


def _bounded(number: int, most: int, what: str) -> int:
    if not isinstance(number, int) or not 0 <= number <= most:
        raise ExpressionError(f"`{what}` takes an integer from 0 to {most}")
    return number
