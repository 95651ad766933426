"""Choices that the text is asked to make: yes or no, one of several values, how sure, how glad."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from aiflow.models import offline_finds as finds
from aiflow.models.offline_layout import significant
from aiflow.models.offline_words import HEDGES, NEGATIONS, NEGATIVE, POSITIVE, STRONG_HEDGES, URGENT

_SCALES = (("low", "high"), ("weak", "strong"), ("unlikely", "likely"), ("minor", "major"), ("uncertain", "certain"))
_NEUTRAL = ("other", "unknown", "none", "neutral", "unclear", "medium", "unsure", "mixed", "n/a", "not_stated", "general")


def held(name: str, hint: str, near: str) -> bool | None:
    """Whether the text says what the field names; None when it does not speak of it."""
    label = finds.labelled(near, name)
    if isinstance(label, bool):
        return label
    if isinstance(label, str) and label.lower() in ("yes", "true", "no", "false"):
        return label.lower() in ("yes", "true")
    skipped = {"has", "contain", "include", "mention", "whether", "true", "text", "false"}
    wanted = set(significant(re.sub("[_-]", " ", name) or hint)) - skipped
    if wanted & {"urgent", "urgency"}:
        return bool(URGENT & set(re.findall(r"\w+", near.lower())))
    for sentence in re.split(r"(?<=[.!?])\s+", near):
        if wanted and wanted <= set(significant(sentence)):
            return not NEGATIONS.search(sentence)
    return None


def choice(options: list[Any], name: str, hint: str, near: str) -> Any:
    """The value of an enum that the text speaks for, else the most neutral one."""
    label = finds.labelled(near, name)
    if label is not None:
        for option in options:
            if str(option).lower() == str(label).lower():
                return option
    words = {str(option).lower(): option for option in options}
    if len(words) < len(options) or not options:
        return options[0] if options else None
    if "positive" in words and "negative" in words:
        return words[_sentiment(near, "neutral" in words or "mixed" in words, words)]
    for low, high in _SCALES:
        if low in words and high in words:
            return words[_level(name, hint, near, low, high, words)]
    ranked = choices(options, near)
    if ranked:
        return ranked[0]
    return next((words[word] for word in _NEUTRAL if word in words), options[0])


def choices(options: list[Any], near: str) -> list[Any]:
    """The values of an enum that the text names, the most often named first."""
    heard = Counter(significant(near))
    counts = {place: sum(heard[word] for word in significant(str(option))) for place, option in enumerate(options)}
    return [options[place] for place in sorted(counts, key=lambda place: (-counts[place], place)) if counts[place]]


def _level(name: str, hint: str, near: str, low: str, high: str, words: dict[str, Any]) -> str:
    middle = next((word for word in ("medium", "moderate", "middle", "normal") if word in words), None)
    about = f"{name} {hint}".lower()
    if re.search(r"confiden|certain|sure|reliab|likel|strength", about):
        if STRONG_HEDGES.search(near):
            return low
        return (middle or low) if HEDGES.search(near) else high
    if re.search(r"priorit|urgen|sever|impact", about):
        heard = set(re.findall(r"\w+", near.lower()))
        return high if URGENT & heard else middle or low
    return middle or low


def _sentiment(near: str, neutral: bool, words: dict[str, Any]) -> str:
    heard = re.findall(r"\w+", near.lower())
    balance = sum(word in POSITIVE for word in heard) - sum(word in NEGATIVE for word in heard)
    if balance == 0 and neutral:
        return "neutral" if "neutral" in words else "mixed"
    return "positive" if balance >= 0 else "negative"
