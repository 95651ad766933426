"""The layout of a text: headings, paragraphs, lists and tables, taken apart into statements."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiflow.models.offline_words import ABBREVIATIONS, MONTHS, SOFT_ABBREVIATIONS, STOP_WORDS, TITLES

HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$")
ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,3}[.)])\s+")
ADDRESS = re.compile(r"https?://\S+|\S+@\S+|\b[\w-]+\.(?:md|txt|pdf|csv|html?|docx?|json)\b|\(\d+ parts?\)")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9À-ÞА-Я])|[.!?…]+[\"'”’)\]]*\s*$|[。！？]")
_MARK = re.compile(r"\s*\((?:low|medium|high)\)\s*$")
_LEANING = re.compile(
    r"^(?:it|its|this|that|these|those|they|their|he|she|his|her|such|but|and|or|so|however|also|moreover|then|"
    r"as a result)\b",
    re.I,
)
_CELLS = re.compile(r"[^:;.]{1,40}: [^:;]+; [^:;.]{1,40}: ")
_UNDERLINE = re.compile(r"\s*(={3,}|-{3,})\s*")
_NUMBERING = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2})*[.)]|\d{1,2}(?:\.\d{1,2})+|[IVX]+\.|[a-z]\))\s+")

SHAPED = 6
"""Level of a heading that is one by its shape only."""

TITLE_LENGTH = 60
"""Characters; a line of its own that is no longer and ends without a stop is read as a heading."""


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
    def tabular(self) -> bool:
        """A row, or the words of one."""
        return self.kind == "row" or bool(_CELLS.match(self.text))

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


def sections_of(material: str) -> list[Section]:
    """The material by headings, in order; at least one section."""
    sections = [Section("", 0)]
    order = 0
    for block in _blocks(material):
        heading = HEADING.match(block) if "\n" not in block else None
        if heading:
            title = plain_words(_NUMBERING.sub("", heading[1]) or heading[1])
            sections.append(Section(title, block.lstrip().index(" ")))
            continue
        section = sections[-1]
        for kind, raw, text in _statements(block):
            if text:
                place = len(sections) - 1
                first = not section.sentences
                section.sentences.append(Sentence(text, raw, order, place, kind, first, significant(text)))
                order += 1
    return [section for section in sections if section.sentences or section.heading] or sections


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


def plain_words(text: str) -> str:
    """Without the marks of Markdown for emphasis, code and links."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"(\*\*|__|`)(.+?)\1", r"\2", text).strip()


def _blocks(material: str) -> list[str]:
    """Paragraphs, lists and tables; each heading is a block of its own, written with `#`."""
    blocks: list[str] = []
    chunks = [chunk for chunk in re.split(r"\n[ \t\r]*\n", material) if chunk.strip()]
    for place, chunk in enumerate(chunks):
        lines: list[str] = []
        for line in _with_headings(chunk.strip("\n").split("\n"), last=place == len(chunks) - 1):
            if HEADING.match(line):
                blocks += ["\n".join(lines)] if lines else []
                blocks.append(line)
                lines = []
            elif line.strip():
                lines.append(line)
        blocks += ["\n".join(lines)] if lines else []
    return blocks


def _with_headings(lines: list[str], *, last: bool) -> list[str]:
    """The lines of a block, headings that are only set apart by their shape marked with `######`."""
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[1]):
        return [f"# {lines[0].strip()}", *lines[2:]]
    if len(lines) == 1:
        return [f"###### {lines[0].strip()}"] if _titles(lines[0].strip()) and not last else lines
    if not any(_titles(line.strip()) for line in lines) or table(lines) is not None:
        return lines
    longest = max(len(line) for line in lines)
    marked: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        before = marked[-1].rstrip() if marked else "."
        opens = before.startswith("###### ") or before[-1:] in ".!?"
        start = following.lstrip("\"'“‘( ")[:1]
        begins = (start.isupper() or start.isdigit()) and not (ITEM.match(line) and ITEM.match(following))
        if opens and begins and _titles(line.strip()) and longest >= 1.5 * len(line):
            marked.append(f"###### {line.strip()}")
        else:
            marked.append(line)
    return marked


def _titles(line: str) -> bool:
    """Whether a line has the shape of a heading."""
    start = _NUMBERING.sub("", line)[:1]
    if all(word.isdigit() or word.lower() in MONTHS for word in re.findall(r"\w+", line)):
        return False  # the date of a letter
    fits = 2 <= len(line) <= TITLE_LENGTH and line[-1] not in ".,;:!?…"
    return fits and start.isupper() and line[0] not in "-*•–" and "|" not in line and "@" not in line


def _statements(block: str) -> list[tuple[str, str, str]]:
    """Kind, exact words and readable words of each statement of a block."""
    lines = [line for line in block.split("\n") if line.strip()]
    cells = table(lines)
    if cells is not None:
        return list(_rows(lines, cells))
    found: list[tuple[str, str, str]] = []
    paragraph: list[str] = []
    for line in [*lines, None]:
        if line is None or ITEM.match(line):
            found += _of_paragraph("\n".join(paragraph))
            paragraph = []
        if line is not None:
            paragraph.append(line)
    return found


def _of_paragraph(text: str) -> list[tuple[str, str, str]]:
    mark = ITEM.match(text)
    body = text[mark.end() :] if mark else text
    found = []
    for start, end in split_sentences(body):
        raw = body[start:end]
        shown = plain_words(" ".join(re.sub(r"(?m)^\s*>\s?", "", raw).split()))
        found.append(("item", raw, _MARK.sub("", shown)) if mark else ("prose", raw, shown))
    return found


def table(lines: Sequence[str]) -> list[list[str]] | None:
    """The cells of each line, if the lines are a table: most have equally many, and they are no prose."""
    if len(lines) < 2:
        return None
    for mark in ("|", "\t", ";", ","):
        if all(mark in line for line in lines):
            cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark, skipinitialspace=mark == "|")]
            widths = [len(row) for row in cells]
            usual = max(set(widths), key=widths.count)
            prose = mark in ",;" and sum(line.count(f"{mark} ") for line in lines) > sum(line.count(mark) for line in lines) / 2
            if usual >= 2 and widths.count(usual) >= 0.8 * len(widths) and not prose and len(cells) == len(lines):
                return cells
    return None


def _rows(lines: Sequence[str], cells: list[list[str]]) -> list[tuple[str, str, str]]:
    """Each row in words: `service: Replace chain; minutes: 15` when the first row names the columns."""
    names = cells[0] if is_header(cells[0]) else []
    found = []
    for line, row in zip(lines[1:] if names else lines, cells[1:] if names else cells, strict=True):
        if re.fullmatch(r"[\s|:;,-]*", line):
            continue
        if names:
            text = "; ".join(f"{name}: {cell}" for name, cell in zip(names, row, strict=False) if cell and name)
        else:
            text = ", ".join(cell for cell in row if cell)
        found.append(("row", line.strip(), text))
    return found


def is_header(row: Sequence[str]) -> bool:
    """Whether a row names columns: words, no numbers, none twice."""
    named = [cell for cell in row if cell]
    words = all(re.match(r"[^\W\d][\w .()/%€$-]*$", cell) and len(cell) <= 40 for cell in named)
    return len(named) >= 2 and words and len(set(named)) == len(named)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
