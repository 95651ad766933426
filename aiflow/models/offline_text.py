"""offline/text, in words: extractive summaries, digests and answers. It only ever says what the material says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiflow.models.offline_finds import closest, cut_words, key_phrases
from aiflow.models.offline_layout import Section, Sentence
from aiflow.models.offline_reading import Reading
from aiflow.models.offline_words import NUMBER, number_of

NOTHING = "The text does not say."
NO_MATERIAL = "(offline/text only works on text that it is given, and was given none; this needs a model.)"

_SENTENCES = re.compile(rf"\b({NUMBER})[\s-]+(?:\w+\s+)?sentences?\b", re.I)
_WORDS = re.compile(r"\b(\d{2,4})\s+words?\b", re.I)
_BULLETS = re.compile(rf"\b(?:({NUMBER})\s+)?(?:\w+\s+)?(?:bullets?|bullet[ -]points?|key points|points|takeaways|items)\b", re.I)
_EACH = re.compile(r"\b(?:bullet|line|item|point|sentence|entry)s?\s+(?:per|for each|for every)\b", re.I)
_PARAGRAPHS = re.compile(rf"\b({NUMBER})\s+(?:\w+\s+)?paragraphs?\b", re.I)
_QUESTION = re.compile(r"[^.!?\n:]*\?|(?:question|q)\s*:\s*[^\n]+", re.I)


@dataclass(frozen=True)
class Wish:
    """What the instructions ask for, as far as they are understood.

    Attributes:
        sentences, words, paragraphs: how many at most, or None when not said.
        bullets: None: none are wanted; else how many at most, 0 for no number.
        each: one bullet per section.  markdown: with a heading.  question: asked of the material.
    """

    sentences: int | None = None
    words: int | None = None
    paragraphs: int | None = None
    bullets: int | None = None
    each: bool = False
    markdown: bool = False
    question: str = ""


def wish_of(task: str) -> Wish:
    """Reads lengths and forms out of instructions such as `three sentences at most` or `one bullet per document`."""
    bullets = _BULLETS.search(task)
    questions: list[str] = _QUESTION.findall(task)
    return Wish(
        sentences=_count(_SENTENCES, task),
        words=_count(_WORDS, task),
        paragraphs=_count(_PARAGRAPHS, task),
        bullets=(number_of(bullets[1]) or 0 if bullets[1] else 0) if bullets else None,
        each=bool(_EACH.search(task)),
        markdown=bool(re.search(r"\b(?:digest|report|minutes|notes|briefing|newsletter)\b", task, re.I))
        and bool(re.search(r"\bmarkdown\b|\bone[- ]page\b|\bheadings?\b", task, re.I)),
        question=questions[-1].strip() if questions else "",
    )


def reply(reading: Reading) -> str:
    """The answer to a request, from its material alone."""
    if not reading.sentences:
        return f"{NO_MATERIAL} {reading.task}".strip() if reading.task else NO_MATERIAL
    wish = wish_of(reading.task)
    if wish.question:
        return answer(reading, wish.question, wish.sentences or 2)
    parts = [section for section in reading.sections if section.heading]
    if wish.each and len(parts) > 1:
        return _digest(reading, parts, wish)
    if wish.bullets is not None:
        lines = [f"- {one.text}" for one in reading.best(wish.bullets or 5)]
        return "\n".join(lines)
    return summary(reading, wish)


def answer(reading: Reading, question: str, count: int = 2) -> str:
    """The sentences that hold most of the question's words, or that the text does not say."""
    ranked = closest(reading, question)
    if not ranked or ranked[0][0] < 0.15 or _unheard_name(question, reading.material):
        return NOTHING
    good = [order for score, order in ranked[:count] if score >= 0.5 * ranked[0][0]]
    return " ".join(_ended(reading.sentences[order].text) for order in sorted(good))


def summary(reading: Reading, wish: Wish, among: list[Sentence] | None = None) -> str:
    """The sentences that say most, in their order; in as many sentences, words and paragraphs as wished."""
    pool = reading.sentences if among is None else among
    count = wish.sentences or (3 * wish.paragraphs if wish.paragraphs else min(5, max(1, (len(pool) + 3) // 4)))
    chosen = reading.best(count, pool)
    while wish.words and len(chosen) > 1 and sum(len(one.text.split()) for one in chosen) > wish.words:
        weakest = min(chosen, key=lambda one: reading.scores[one.order])
        chosen = [one for one in chosen if one is not weakest]
    groups = max(1, min(wish.paragraphs or 1, len(chosen)))
    size = -(-len(chosen) // groups) if chosen else 1
    paragraphs = [chosen[at : at + size] for at in range(0, len(chosen), size)]
    text = "\n\n".join(" ".join(_ended(one.text) for one in group) for group in paragraphs)
    return cut_words(text, wish.words) if wish.words else text


def _digest(reading: Reading, parts: list[Section], wish: Wish) -> str:
    """A paragraph over everything, then a line for each section."""
    blocks = ["# Digest"] if wish.markdown else []
    if wish.paragraphs:
        blocks.append(_overview(reading, parts))
    blocks.append("\n".join(_line(reading, part) for part in parts))
    return "\n\n".join(blocks)


def _overview(reading: Reading, parts: list[Section]) -> str:
    """What the sections are about, and the sentences of most weight from different sections."""
    themes = key_phrases(reading, 3)
    text = f"{len(parts)} documents"
    if themes:
        text += f"; most is said about {_listed(themes)}"
    leads = [one for part in parts for one in reading.best(1, part.sentences)]
    chosen = reading.best(min(3, max(1, len(parts) // 2)), leads)
    return " ".join([_ended(text), *(_ended(one.text) for one in chosen)])


def _line(reading: Reading, part: Section) -> str:
    text = " ".join(_ended(one.text) for one in reading.best(2, part.sentences))
    heading, note = re.fullmatch(r"(.*?)(\s*\([^()]*\))?", part.heading, re.S).groups()  # type: ignore[union-attr]
    note = re.sub(r"\b1 (\w+)s\b", r"1 \1", note or "")
    return f"- **{heading}**{note}: {text or 'no text.'}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _unheard_name(question: str, material: str) -> bool:
    """Whether the question is about something with a name that the material never mentions."""
    names = re.findall(r"(?<=[a-z,] )[A-ZÀ-Þ][\w-]{2,}", question)
    heard = material.lower()
    return any(name.lower() not in heard for name in names)


def _ended(text: str) -> str:
    return text if text.rstrip("\"'”’)*_").endswith((".", "!", "?", "…", "。", "！", "？", ":")) else f"{text}."


def _count(pattern: re.Pattern[str], task: str) -> int | None:
    found = pattern.search(task)
    return number_of(found[1]) if found else None
