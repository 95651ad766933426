"""How the offline model reads: instructions apart from material, material as sentences, sentences by weight.

Nothing here is random, learnt or fetched: the same text always reads the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from aiflow.models.calls import Message, text_of
from aiflow.models.offline_words import (
    ABBREVIATIONS,
    INSTRUCTION_STARTS,
    MONTHS,
    SOFT_ABBREVIATIONS,
    STOP_WORDS,
    TITLES,
)

MATERIAL_LIMIT = 400_000
"""Characters that are looked at; what comes later is left out."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9À-ÞА-Я])|[.!?…]+[\"'”’)\]]*\s*$|[。！？]")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$")
_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,3}[.)])\s+")
_MARK = re.compile(r"\s*\((?:low|medium|high)\)\s*$")
ADDRESS = re.compile(r"https?://\S+|\S+@\S+|\b[\w-]+\.(?:md|txt|pdf|csv|html?|docx?|json)\b|\(\d+ parts?\)")
_TAGGED = re.compile(r"<(\w[\w-]*)[^>]*>\n?(.*?)\n?</\1>|```[^\n]*\n(.*?)```|\"\"\"\n?(.*?)\"\"\"", re.S)
_LEANING = re.compile(
    r"^(?:it|its|this|that|these|those|they|their|he|she|his|her|such|but|and|or|so|however|also|moreover|then|as a result)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement of the material.

    Attributes:
        text: in one line, without list marks.  raw: its exact words in the material.
        order: place among all.  section: number of its section.  first: it opens its section or paragraph.
        kind: `prose`, `item` of a list, or `row` of a table.
        words: its words that carry meaning, in small letters and without endings.
    """

    text: str
    raw: str
    order: int
    section: int
    kind: str
    first: bool
    words: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Begins and ends like a sentence; the first and last of a cut text often do not."""
        if self.kind != "prose":
            return bool(self.text)
        start = self.text.lstrip("\"'“‘([")[:1]
        return not start.islower() and self.text.rstrip("\"'”’)]")[-1:] in ".!?…。！？:"

    @property
    def leans(self) -> bool:
        """Begins with a word that points back at the sentence before."""
        return bool(_LEANING.match(self.text))


@dataclass
class Section:
    """A heading with what stands below it; the text before the first heading has heading "" ."""

    heading: str
    level: int
    sentences: list[Sentence] = field(default_factory=list)


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
        return _sections(self.material)

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


def split_task(text: str) -> tuple[str, str]:
    """Instructions and material of one message.

    Marked material (a fence, a tag) is taken as it is. Else the blocks that sound like instructions are taken from
    the front, or failing that from the end; what is left is the material.
    """
    text = re.sub(r"(?<=[^\n])\n(?=#{1,6} )", "\n\n", text)
    marked = list(_TAGGED.finditer(text))
    inner = "\n\n".join(next(group for group in one.groups()[1:] if group is not None) for one in marked)
    if len(inner) >= 80:
        return _TAGGED.sub("", text).strip(), inner
    blocks = [block for block in re.split(r"\n\s*\n", text.strip("\n")) if block.strip()]
    if len(blocks) <= 1:
        return _split_block(text)
    start = 0
    while start < min(3, len(blocks) - 1) and _instructs(blocks[start]):
        start += 1
        if blocks[start - 1].rstrip().endswith(":"):
            break
    end = len(blocks)
    while end > start + 1 and end > len(blocks) - 2 and _instructs(blocks[end - 1], start > 0, at_end=True):
        end -= 1
    if start == 0 and end == len(blocks) and _is_short(blocks[0]) and blocks[0].rstrip().endswith(("?", ":")):
        start = 1
    return "\n\n".join(blocks[:start] + blocks[end:]), "\n\n".join(blocks[start:end])


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence of a paragraph."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        before = text[start : match.start()]
        last = before.rsplit(None, 1)[-1].lower().strip("(\"'“") if before.strip() else ""
        if match[0].startswith(".") and _abbreviates(before, last, text[match.end() :].lstrip()):
            continue
        spans.append((start, match.end()))
        start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return [_trimmed(text, a, b) for a, b in spans if text[a:b].strip()]


def _abbreviates(before: str, last: str, after: str) -> bool:
    """Whether the dot after `last` shortens a word and ends no sentence; `after` is what follows it."""
    if not after:
        return False
    if last in ABBREVIATIONS:
        return True
    following = re.match(r"\w+", after)
    starts = following is not None and following[0].lower() in STOP_WORDS | TITLES
    if last in SOFT_ABBREVIATIONS:
        return not starts
    if re.fullmatch(r"\d{1,2}", last):  # 5. März, but also the end of a sentence: a month tells them apart
        return following is not None and following[0].lower() in MONTHS
    is_unit = bool(re.search(r"\d\s*\w$", before))
    return bool(re.fullmatch(r"[^\W\d]|\w\.\w", last)) and not is_unit and not starts


def significant(text: str) -> tuple[str, ...]:
    """The words of a text that carry meaning: small letters, plural endings cut, no stop words."""
    words = (word.lower() for word in _WORD.findall(ADDRESS.sub(" ", text)))
    return tuple(stem(word) for word in words if word not in STOP_WORDS and (len(word) > 2 or word.isdigit()))


def stem(word: str) -> str:
    """Cuts the endings that make one word look like two."""
    for ending, least in (("'s", 2), ("’s", 2), ("ies", 3), ("ing", 4), ("ed", 4), ("es", 4), ("s", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


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
    return score if sentence.whole else score * 0.3


def plain_words(text: str) -> str:
    """Without the marks of Markdown for emphasis, code and links."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"(\*\*|__|`)(.+?)\1", r"\2", text).strip()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _is_short(block: str) -> bool:
    return len(block.split()) <= 80


def _instructs(block: str, asked: bool = False, at_end: bool = False) -> bool:
    """Whether a block tells what to do. With `asked` (there was an instruction already) only a question counts."""
    if not _is_short(block) or _HEADING.match(block) or _ITEM.match(block):
        return False
    first = block.strip().lower()
    if re.match(r"(?:question|task|instructions?|q)\s*:", first):
        return True
    if asked:
        return False
    if at_end and first.endswith("?") and len(first.split()) <= 40 and len(split_sentences(block.strip())) == 1:
        return True
    return first.endswith(":") or bool(INSTRUCTION_STARTS.match(first))


def _split_block(text: str) -> tuple[str, str]:
    """One block: `Summarise this: ...` and an instruction on a line of its own are told apart, the rest is not."""
    whole = text.strip()
    head, mark, rest = whole.partition("\n")
    if mark and _instructs(head):
        return head, rest
    label = re.match(r"([^\n]{3,200}?[^\s\d]):\s+(?=\S)", whole)
    if label and INSTRUCTION_STARTS.match(label[1].lower()) and len(whole) - label.end() > 20:
        return label[0].strip(), whole[label.end() :]
    if INSTRUCTION_STARTS.match(whole.lower()):
        spans = split_sentences(whole)
        if len(spans) >= 3:
            return whole[: spans[0][1]], whole[spans[0][1] :].strip()
        return whole, ""
    if _is_short(whole):
        parts = [whole[start:end] for start, end in split_sentences(whole)]
        told = [part for part in parts if INSTRUCTION_STARTS.match(part.lower())]
        if told and len(told) < len(parts):
            return " ".join(told), " ".join(part for part in parts if part not in told)
    if whole.endswith("?") and len(split_sentences(whole)) <= 1:
        return whole, ""
    return "", whole
