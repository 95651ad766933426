"""Finds things in a text by their form: dates, numbers, addresses, names, labelled values, key phrases."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

from aiflow.models.offline_layout import ADDRESS, SHAPED, is_header, significant, stem, table
from aiflow.models.offline_reading import Reading
from aiflow.models.offline_words import MONTHS, NUMBERS, STOP_WORDS, UNITS

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL = re.compile(r"https?://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
_NUMBER = re.compile(r"(?<![\w.,-])[-+]?(?:\d{1,3}(?:[,\u202f\u00a0]\d{3})+|\d+)(?:\.\d+)?(?![\w]|[.,]\d)")
_MONEY = re.compile(
    r"(?:[$€£¥]\s?\d[\d,]*(?:\.\d+)?(?:\s?(?:million|billion|[kmb]n?))?|\d[\d,.]*\s?(?:euros?|dollars?|EUR|USD|GBP))\b", re.I
)
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_DATES = re.compile(
    rf"(?P<y>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}})(?!\d)"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?(?P<m2>{_MONTH})\b\.?,?\s+(?:de\s+)?(?P<y2>\d{{4}})\b"
    rf"|\b(?P<m3>{_MONTH})\.?\s+(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y3>\d{{4}})\b"
    rf"|\b(?P<d4>\d{{1,2}})\.(?P<m4>\d{{1,2}})\.(?P<y4>\d{{4}})\b"
    rf"|\b(?P<a5>\d{{1,2}})/(?P<b5>\d{{1,2}})/(?P<y5>\d{{4}})\b",
    re.I,
)
_TIMES = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?")
_CAPITALS = re.compile(
    r"\b[A-ZÀ-Þ][\w’'&-]+(?:[ \t]+(?:of|the|de|la|van|von|der|du|&)(?=[ \t]+[A-ZÀ-Þ])"
    r"|[ \t]+[A-ZÀ-Þ]\.(?=[ \t]+[A-ZÀ-Þ])|[ \t]+[A-ZÀ-Þ][\w’'&-]*)*"
)
_NO_TOPIC = STOP_WORDS | UNITS | NUMBERS.keys()
_PHRASE_END = re.compile(r"[^\w\s'’-]|\n")


def dates(text: str) -> list[str]:
    """Full dates as `2024-03-05`, in the order of the text, each once. Which of 3/4/2024 is the month nobody knows: left out."""
    found = (_iso(match) for match in _DATES.finditer(text))
    return list(dict.fromkeys(day for day in found if day is not None))


def moments(text: str) -> list[str]:
    """Dates with a time of day, RFC 3339; those without a zone are left out."""
    found = (match[0].replace(" ", "T", 1) for match in _TIMES.finditer(text))
    return list(dict.fromkeys(one for one in found if one[-1] == "Z" or one[-6] in "+-"))


def numbers(text: str) -> list[float]:
    """Numbers that stand alone, in order; parts of dates are not numbers here."""
    bare = _DATES.sub(" ", text)
    return [float(re.sub(r"[,\u202f\u00a0]", "", match[0])) for match in _NUMBER.finditer(bare)]


def years(text: str) -> list[int]:
    """Years 1500 to 2099."""
    return [int(match[0]) for match in _YEAR.finditer(text)]


def amounts(text: str) -> list[str]:
    """Sums of money as written."""
    return list(dict.fromkeys(match[0].strip() for match in _MONEY.finditer(text)))


def links(text: str) -> list[str]:
    """Addresses of web pages."""
    return list(dict.fromkeys(match[0] for match in URL.finditer(text)))


def emails(text: str) -> list[str]:
    """Email addresses."""
    return list(dict.fromkeys(match[0].rstrip(".") for match in EMAIL.finditer(text)))


def names(text: str) -> list[str]:
    """Names of people, places, organisations: words with capitals inside a sentence; frequent ones first."""
    counts: Counter[str] = Counter()
    inside: set[str] = set()
    for match in _CAPITALS.finditer(text):
        parts = match[0].split()
        while parts and parts[0].lower() in STOP_WORDS:
            parts.pop(0)
        name = " ".join(parts).strip(".'’")
        if len(name) < 2 or name.lower() in MONTHS:
            continue
        counts[name] += 1
        before = text[: match.start()].rstrip()
        if len(parts) > 1 or (before and before[-1] not in ".!?:\n•-*#|\"“" and "\n" not in text[len(before) : match.start()]):
            inside.add(name)
    return [name for name, _ in counts.most_common() if name in inside]


def labelled(text: str, name: str) -> Any:
    """The value of a label in the text: `Company: Acme`, `"company": "Acme"`, `company="Acme"`; None when there is none."""
    words = r"[\s_-]*".join(re.escape(word) for word in re.split(r"[\s_-]+", name) if word)
    if not words:
        return None
    quoted = re.search(rf'"{words}"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false)', text, re.I)
    if quoted:
        try:
            return json.loads(quoted[1])
        except ValueError:
            return None
    attribute = re.search(rf'\b{words}="([^"\n]+)"', text, re.I)
    if attribute:
        return attribute[1]
    line = re.search(rf"(?im)^[ \t]*(?:[-*•]\s+)?[*_]*{words}[*_]*[ \t]*[:=][*_]*[ \t]*(\S[^\n]*)$", text)
    return line[1].strip().rstrip(",;") if line else None


def key_phrases(reading: Reading, count: int) -> list[str]:
    """What the text is about, in its own words: runs of two to four words between stop words, or single words said often."""
    weights = reading.weights
    scores: dict[str, float] = {}
    shown: dict[str, str] = {}
    often: Counter[str] = Counter()
    for words in _runs(reading):
        for size in range(1, min(4, len(words)) + 1):
            for at in range(len(words) - size + 1):
                phrase = words[at : at + size]
                key = " ".join(stem(word.lower()) for word in phrase)
                often[key] += 1
                shown.setdefault(key, " ".join(phrase))
                scores[key] = sum(weights.get(part, 0.0) for part in key.split()) / (1 + 0.35 * (size - 1))
    ranked = sorted(scores, key=lambda key: (-scores[key] * (often[key] ** 0.8) * _form(shown[key], often[key]), key))
    chosen: list[str] = []
    taken: set[str] = set()
    for key in ranked:
        parts = set(key.split())
        if len(chosen) == count or (len(chosen) >= 3 and often[key] == 1 and not shown[key][0].isupper()):
            break
        if not parts & taken:
            chosen.append(shown[key])
            taken |= parts
    return chosen


def headline(reading: Reading, most_words: int) -> str:
    """A heading or subject line of the text, else how its main sentence begins, in at most so many words; "" for no text."""
    subject = re.search(r"(?im)^\s*(?:subject|re|title|betreff|objet)\s*:\s*(\S.*)$", reading.material)
    written = [section.heading for section in reading.sections if section.heading and section.level < SHAPED]
    for heading in [*written, *([subject[1]] if subject else []), *reading.headings]:
        return cut_words(heading.strip(), most_words)
    if columns := columns_of(reading):
        return cut_words(", ".join(columns), most_words)
    usable = [one for one in reading.sentences if not one.leans]
    main = reading.best(1, usable or None)
    return _opening(main[0].text.rstrip("."), most_words) if main else ""


def _opening(text: str, most_words: int) -> str:
    """The words before the last comma of the first `most_words`, if there are three or more; else all of these."""
    cut = cut_words(text, most_words)
    clause = re.split(r"[,;:]\s", cut)
    whole = ", ".join(clause[:-1]) if len(clause) > 1 and cut != text else cut
    return whole if len(whole.split()) >= 3 else cut


def columns_of(reading: Reading) -> list[str]:
    """The names of the columns, when the material is a table with a header."""
    lines = [line for line in reading.material.splitlines() if line.strip()]
    cells = table(lines) if reading.sentences and all(one.kind == "row" for one in reading.sentences) else None
    return [name for name in cells[0] if name] if cells and is_header(cells[0]) else []


def cut_words(text: str, most: int) -> str:
    """At most so many words, without a dangling stop word or comma at the end."""
    words = text.split()
    if len(words) <= most:
        return text
    words = words[:most]
    while len(words) > 1 and words[-1].lower().strip(",;:") in STOP_WORDS:
        words.pop()
    return " ".join(words).rstrip(",;:")


def overlap(words: Iterable[str], text_words: Iterable[str]) -> int:
    """How many of the words are in the text."""
    return len(set(words) & set(text_words))


def closest(reading: Reading, question: str) -> list[tuple[float, int]]:
    """Sentences by how much of the question's words they hold, weighed by rareness: (score, order), best first."""
    asked = set(significant(question))
    if not asked:
        return []
    spread: Counter[str] = Counter(word for one in reading.sentences for word in set(one.words))
    counts = re.search(r"\b(?:when|how (?:much|many|long|old|far|often)|what (?:year|date|time))\b", question, re.I)
    found = []
    for one in reading.sentences:
        shared = asked & set(one.words)
        if shared:
            score = sum(1 / spread[word] ** 0.5 for word in shared) * (len(shared) / len(asked))
            found.append((score * (1.5 if counts and re.search(r"\d", one.text) else 1.0), one.order))
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))


def _runs(reading: Reading) -> Iterable[list[str]]:
    texts = [one.text for one in reading.sentences if one.kind != "row"] + reading.headings
    for text in texts:
        for part in _PHRASE_END.split(ADDRESS.sub(".", _lowered(text))):
            run: list[str] = []
            for word in [*part.split(), ""]:
                plain = word.strip("'’-")
                if not plain or plain.isdigit() or plain.lower() in _NO_TOPIC:
                    if run:
                        yield run
                    run = []
                else:
                    run.append(plain)


def _lowered(text: str) -> str:
    """With a small first letter, unless it begins a name (the next word has a capital, or the first has two)."""
    words = text.split(None, 2)
    if not words or not words[0][:1].isupper() or any(letter.isupper() for letter in words[0][1:]):
        return text
    if len(words) > 1 and words[1][:1].isupper():
        return text
    return text[:1].lower() + text[1:]


def _form(phrase: str, often: int) -> float:
    """Prefers phrases that look like names of things over single words and verb forms."""
    words = phrase.split()
    value = 1.0 if len(words) > 1 else 0.8 if words[0][0].isupper() else 0.5
    if often == 1 and not phrase[0].isupper():
        value *= 0.4
    if re.search(r"(?:ly|ed)$", words[-1]) or re.search(r"ly$", words[0]):
        value *= 0.5
    if len(words) == 1 and len(words[0]) < 4:
        value *= 0.5
    return value


def _iso(match: re.Match[str]) -> str | None:
    parts = match.groupdict()
    if parts["y"]:
        day = (parts["y"], parts["m"], parts["d"])
    elif parts["y2"]:
        day = (parts["y2"], str(MONTHS[parts["m2"].lower()]), parts["d2"])
    elif parts["y3"]:
        day = (parts["y3"], str(MONTHS[parts["m3"].lower()]), parts["d3"])
    elif parts["y4"]:
        day = (parts["y4"], parts["m4"], parts["d4"])
    else:
        first, second = int(parts["a5"]), int(parts["b5"])
        if first <= 12 and second <= 12 and first != second:
            return None
        month, number = (first, second) if second > 12 else (second, first)
        day = (parts["y5"], str(month), str(number))
    try:
        return date(*(int(part) for part in day)).isoformat()
    except ValueError:
        return None
