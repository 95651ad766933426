"""What a field wants, judged by its name and description, and where in the text it is found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiflow.models import offline_finds as finds
from aiflow.models.offline_layout import Sentence, significant, stem
from aiflow.models.offline_reading import Reading
from aiflow.models.offline_text import Wish, answer, summary, wish_of
from aiflow.models.offline_words import LANGUAGES, NUMBER, number_of

# Role -> words in a field's name, and if none is there in its description, that say so. Order matters.
_ROLES = (
    ("quote", "quote quotes quotation evidence excerpt passage citation verbatim snippet supporting"),
    ("title", "title heading headline subject caption"),
    ("date", "date day deadline due"),
    ("email", "email mail"),
    ("link", "url link website uri href"),
    ("amount", "amount price cost budget revenue total sum"),
    ("person", "person people name names author authors who owner speaker contact customer company organisation organization"
     " organisations organizations place places location locations city country entities entity participant participants"),
    ("claim", "claim fact statement finding point insight takeaway sentence highlight decision event step action risk"
     " argument observation detail"),
    ("topic", "topic topics tag tags keyword keywords phrase phrases theme themes label labels category categories subject_area"
     " concept concepts terms term"),
    ("section", "section sections chapter chapters headings outline"),
    ("question", "question questions"),
    ("language", "language lang"),
    ("reason", "reason why rationale explanation justification because comment"),
    ("summary", "summary abstract overview tldr gist description body text content answer message notes conclusion"
     " synopsis brief"),
)  # fmt: skip
_ROLE_OF = {stem(word): role for role, words in reversed(_ROLES) for word in words.split()}
_SENTENCE_ROLES = frozenset({"claim", "quote", "reason", "summary"})

_LIMIT = re.compile(
    rf"\b(?:under|at most|up to|max(?:imum)?(?: of)?|no more than|within|in|about|around)?\s*({NUMBER})\s+words?\b", re.I
)
_LETTERS = re.compile(r"\b(?:under|at most|up to|max(?:imum)?(?: of)?|no more than)?\s*(\d+)\s+characters?\b", re.I)


def role_of(name: str, hint: str) -> str:
    """The role of a field, or ""; the name decides before the description, its last word before the first."""
    for word in reversed(re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name)):
        if role := _ROLE_OF.get(stem(word.lower())):
            return role
    head = re.split(r"[,;.(]", hint)[0]
    for word in head.split():
        if role := _ROLE_OF.get(stem(word.strip(",;:.").lower())):
            return role
    return ""


def text(name: str, hint: str, form: str, reading: Reading, focus: Sentence | None) -> str | None:
    """A text for a field, or None when the material holds none."""
    near = focus.text if focus is not None else reading.material
    if form:
        return _formatted(form, near, reading, whole=focus is None)
    if not reading.sentences:
        return None
    role = role_of(name, hint)
    label = finds.labelled(near, name) or (finds.labelled(reading.material, name) if focus is None else None)
    if label is not None and role not in _SENTENCE_ROLES:
        return str(label)
    value = _by_role(role, near, hint, reading, focus)
    return _shortened(value, hint) if value else None


def texts(name: str, hint: str, form: str, reading: Reading, focus: Sentence | None, most: int) -> list[str]:
    """The texts of a list."""
    near = focus.text if focus is not None else reading.material
    if form:
        return _all_formatted(form, near)[:most]
    role = role_of(name, hint)
    found: Sequence[str]
    match role:
        case "date":
            found = finds.dates(near)
        case "email":
            found = finds.emails(near)
        case "link":
            found = finds.links(near)
        case "amount":
            found = finds.amounts(near)
        case "person":
            found = finds.names(near)
        case "section" | "title":
            found = reading.headings
        case "question":
            found = [one.text for one in reading.sentences if one.text.endswith("?")]
        case "topic":
            found = _topics(reading, most)
        case "quote":
            found = [one.raw for one in anchors(name, hint, reading, focus, min(most, 5))]
        case _:
            found = [one.text for one in anchors(name, hint, reading, focus, min(most, 5))]
    return list(found)[:most]


def anchors(name: str, hint: str, reading: Reading, focus: Sentence | None, most: int) -> list[Sentence]:
    """The sentences that the objects of a list are about, in the order of the text."""
    if focus is not None:
        return [focus]
    usable = [one for one in reading.sentences if one.whole and _tells(one)]
    return reading.best(most, usable) if usable else []


def number(name: str, hint: str, reading: Reading, focus: Sentence | None) -> list[float]:
    """Numbers that may be meant, the likeliest first; empty when the text gives none for this field."""
    near = focus.text if focus is not None else reading.material
    label = finds.labelled(near, name)
    if label is not None:
        found = [float(label)] if isinstance(label, (int, float)) else finds.numbers(str(label))
        if found:
            return found
    words = set(significant(f"{re.sub('[_-]', ' ', name)} {hint}")) - {"numb", "integ", "0", "10", "100"}
    if "year" in words and (years := finds.years(near)):
        return [float(year) for year in years]
    if words & {"score", "rating", "confidence", "probability", "mark", "grade", "relevance"}:
        return []  # a judgement: no number of the text is one
    if words & {"count", "word"} and "word" in words:
        return [float(len(reading.material.split()))]
    pool = [focus] if focus is not None else reading.sentences
    ranked = sorted(pool, key=lambda one: -finds.overlap(words, one.words))
    return [value for one in ranked if finds.overlap(words, one.words) for value in finds.numbers(one.text)]


def numbers_in(near: str, name: str) -> list[float]:
    """All numbers, or all years when the field asks for years."""
    if "year" in name.lower():
        return [float(year) for year in dict.fromkeys(finds.years(near))]
    return list(dict.fromkeys(finds.numbers(near)))


def matching(pattern: str, near: str, most: int) -> list[str]:
    """Stretches of the text that fit a pattern, without its anchors."""
    bare = pattern.removeprefix("^").removesuffix("$")
    try:
        whole, loose = re.compile(pattern), re.compile(rf"(?<!\w)(?:{bare})(?!\w)")
        found = [match[0] for match in loose.finditer(near[:20_000]) if match[0]]
    except re.error:
        return []
    return list(dict.fromkeys(one for one in found if whole.search(one)))[:most]


def placeholder(form: str) -> str:
    """The text that says least, in a format."""
    return _PLACEHOLDERS.get(form, "")


_PLACEHOLDERS = {
    "date": "0001-01-01", "date-time": "0001-01-01T00:00:00Z", "time": "00:00:00Z", "duration": "PT0S",
    "email": "nobody@example.invalid", "idn-email": "nobody@example.invalid", "hostname": "example.invalid",
    "idn-hostname": "example.invalid", "ipv4": "0.0.0.0", "ipv6": "::", "uri": "about:blank", "iri": "about:blank",
    "uri-reference": "", "uuid": "00000000-0000-0000-0000-000000000000", "regex": "", "json-pointer": "",
}  # fmt: skip

_FORMS = {
    "time": re.compile(r"\b(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:Z|[+-]\d\d:\d\d)"),
    "uuid": re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    "ipv4": re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    "hostname": re.compile(r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b"),
    "duration": re.compile(r"\bP(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?(?<=\w)\b"),
}


def _all_formatted(form: str, near: str) -> list[str]:
    match form:
        case "date":
            return finds.dates(near)
        case "date-time":
            return finds.moments(near)
        case "email" | "idn-email":
            return finds.emails(near)
        case "uri" | "url" | "iri":
            return finds.links(near)
    pattern = _FORMS.get(form)
    return list(dict.fromkeys(match[0] for match in pattern.finditer(near))) if pattern else []


def _formatted(form: str, near: str, reading: Reading, *, whole: bool) -> str | None:
    found = _all_formatted(form, near)
    return found[0] if found else None


def _by_role(role: str, near: str, hint: str, reading: Reading, focus: Sentence | None) -> str | None:
    match role:
        case "quote":
            return focus.raw if focus is not None else _first(one.raw for one in reading.best(1))
        case "title":
            if focus is not None:
                return finds.cut_words(focus.text.rstrip("."), _word_limit(hint) or 8)
            return finds.headline(reading, _word_limit(hint) or 8)
        case "date":
            return _first(finds.dates(near))
        case "email":
            return _first(finds.emails(near))
        case "link":
            return _first(finds.links(near))
        case "amount":
            return _first(finds.amounts(near))
        case "person":
            return _first(finds.names(near))
        case "topic":
            found = _topics(reading, 3)
            return next((one for one in found if one.lower() in near.lower()), None) if focus else _first(found)
        case "section":
            return reading.sections[focus.section].heading if focus is not None else _first(reading.headings)
        case "language":
            return _language(reading.material)
        case "question":
            return _first(one.text for one in reading.sentences if one.text.endswith("?"))
    if focus is not None:
        return focus.text
    return _prose(role, hint, reading)


def _prose(role: str, hint: str, reading: Reading) -> str | None:
    wish = wish_of(hint)
    own = wish_of(reading.task)
    if own.question and role in ("summary", ""):
        return answer(reading, own.question, wish.sentences or 2)
    if wish.sentences is None and wish.words is None:
        short = role in ("claim", "reason", "")
        wish = Wish(sentences=1 if short else own.sentences or min(3, len(reading.sentences)), words=own.words)
    return summary(reading, Wish(wish.sentences or own.sentences, wish.words or _word_limit(hint), wish.paragraphs))


def _topics(reading: Reading, most: int) -> list[str]:
    """Headings where the text has several short ones, else key phrases."""
    short = [heading for heading in reading.headings if len(heading.split()) <= 8]
    count = min(most, 5)
    return short[:count] if len(short) >= 2 else finds.key_phrases(reading, count)


def _tells(sentence: Sentence) -> bool:
    """Whether a sentence states something: four words or more, no question, no announcement."""
    if sentence.kind == "row":
        return len(sentence.words) >= 2
    return len(sentence.text.split()) >= 4 and not sentence.text.rstrip().endswith(("?", ":"))


def _language(material: str) -> str:
    heard = Counter(re.findall(r"\w+", material[:5_000].lower()))
    return max(LANGUAGES, key=lambda code: (sum(heard[word] for word in LANGUAGES[code]), code == "en"))


def _word_limit(hint: str) -> int | None:
    found = _LIMIT.search(hint)
    return number_of(found[1]) if found else None


def _shortened(value: str, hint: str) -> str:
    limit = _word_limit(hint)
    if limit:
        value = finds.cut_words(value, limit)
    letters = _LETTERS.search(hint)
    if letters and len(value) > int(letters[1]):
        value = value[: int(letters[1])].rsplit(None, 1)[0].rstrip(",;:")
    return value


def _first(values: Any) -> str | None:
    return next(iter(values), None)
