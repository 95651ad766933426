"""How the offline model reads: the task, and the material by sentences, each with its weight.

Nothing here is random, learnt or fetched: the same text always reads the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from aiflow.models.calls import Message, text_of
from aiflow.models.offline_layout import Section, Sentence, sections_of, significant
from aiflow.models.offline_task import split_task

MATERIAL_LIMIT = 400_000
"""Characters that are looked at; what comes later is left out."""


class Reading:
    """What was asked, and the material to answer from.

    Attributes:
        task: the instructions, with those of the system message first.
        material: the text to work on; empty when the request brings none.
    """

    def __init__(self, task: str, material: str) -> None:
        self.task = task
        self.material = material[:MATERIAL_LIMIT]

    @cached_property
    def sections(self) -> list[Section]:
        """The material by headings, in order; at least one."""
        return sections_of(self.material)

    @cached_property
    def sentences(self) -> list[Sentence]:
        """All statements, in order."""
        return [sentence for section in self.sections for sentence in section.sentences]

    @cached_property
    def headings(self) -> list[str]:
        """All headings, in order, each once."""
        return list(dict.fromkeys(section.heading for section in self.sections if section.heading))

    @cached_property
    def weights(self) -> dict[str, float]:
        """How much each word says about the material: frequent, but not everywhere (TF-IDF centroid)."""
        counts: Counter[str] = Counter()
        spread: Counter[str] = Counter()
        for sentence in self.sentences:
            counts.update(sentence.words)
            spread.update(set(sentence.words))
        for section in self.sections:  # a heading says what its text is about
            counts.update(significant(section.heading))
        total = len(self.sentences) or 1
        return {word: count * math.log(1 + total / (1 + spread[word])) for word, count in counts.items()}

    @cached_property
    def scores(self) -> list[float]:
        """Of each sentence, by order: nearness to the centroid, place, completeness."""
        weights = self.weights
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return [_score(sentence, weights, length, len(self.sentences)) for sentence in self.sentences]

    def best(self, count: int, among: Sequence[Sentence] | None = None) -> list[Sentence]:
        """The sentences that say most without saying the same twice, at most `count`, in the order of the text."""
        pool = self.sentences if among is None else among
        usable = [sentence for sentence in pool if sentence.whole] or list(pool)
        chosen: list[Sentence] = []
        for sentence in sorted(usable, key=lambda one: (-self.scores[one.order], one.order)):
            if len(chosen) == count:
                break
            if not any(alike(sentence, other) for other in chosen):
                chosen.append(sentence)
        return sorted(chosen, key=lambda one: one.order)


def read(messages: Sequence[Message]) -> Reading:
    """Takes a request apart: the last user message's body is the material, everything else the task."""
    system = "\n\n".join(text_of(one) for one in messages if one["role"] == "system")
    last = next((text_of(one) for one in reversed(messages) if one["role"] == "user"), "")
    task, material = split_task(last)
    return Reading("\n\n".join(part for part in (system, task) if part), material)


def alike(one: Sentence, other: Sentence) -> bool:
    """Whether two sentences say much the same: over six tenths of the words of the shorter are in both."""
    a, b = set(one.words), set(other.words)
    if not a or not b:
        return one.text == other.text
    return len(a & b) > 0.6 * min(len(a), len(b))


def _score(sentence: Sentence, weights: dict[str, float], length: float, total: int) -> float:
    words = set(sentence.words)
    if not words:
        return 0.0
    norm = math.sqrt(sum(weights[word] ** 2 for word in words)) or 1.0
    score = sum(weights[word] ** 2 for word in words) / (norm * length)
    count = len(sentence.text.split())
    score *= min(1.0, count / 6) * (1.0 if count <= 40 else 40 / count)
    score *= 1.25 if sentence.order == 0 else 1.1 if sentence.first else 1.0
    score *= 1.0 + 0.15 * (1 - sentence.order / max(total, 1))
    score *= 0.6 if sentence.leans else 1.0
    score *= 0.5 if sentence.text.rstrip().endswith(("?", ":")) else 1.0
    score *= 0.5 if sentence.tabular else 1.0
    return score if sentence.whole else score * 0.3
