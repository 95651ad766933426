"""Tells the instructions of a request from the text that they are about."""

from __future__ import annotations

import re

from aiflow.models.offline_layout import HEADING, ITEM, split_sentences
from aiflow.models.offline_words import INSTRUCTION_STARTS

_TAGGED = re.compile(r"<(\w[\w-]*)[^>]*>\n?(.*?)\n?</\1>|```[^\n]*\n(.*?)```|\"\"\"\n?(.*?)\"\"\"", re.S)


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


def _is_short(block: str) -> bool:
    return len(block.split()) <= 80


def _instructs(block: str, asked: bool = False, at_end: bool = False) -> bool:
    """Whether a block tells what to do. With `asked` (there was an instruction already) only a question counts."""
    if not _is_short(block) or HEADING.match(block) or ITEM.match(block):
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
