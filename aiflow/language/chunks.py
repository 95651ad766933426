"""Cuts long text into chunks that end where a paragraph, sentence or word ends."""

from __future__ import annotations

from collections.abc import Callable

from aiflow.errors import ExpressionError

_SENTENCE_ENDS = (". ", "! ", "? ", ".\n", "!\n", "?\n", '." ', ".) ", ".” ", "… ", "。", "！", "？")
_WORD_ENDS = (" ", "\n", "\t", "\u00a0")


def chunk(text: str, size: int, overlap: int = 0, made: Callable[[int], None] = lambda length: None) -> list[str]:
    """Chunks of at most `size` characters, each beginning up to `overlap` characters before the end of the last.

    A chunk ends after the last paragraph of its second half, else its last sentence, else its last word, else
    at `size`. No character is lost: without overlap the chunks joined are the text. The empty text gives no chunk.

    Args: made: called with the length of each chunk.
    Raises: ExpressionError: `size` is less than 1, or `overlap` is not less than half of it.
    """
    if type(size) is not int or size < 1:
        raise ExpressionError(f"`chunk` needs a size of at least 1, not {size}")
    if type(overlap) is not int or overlap < 0 or (overlap and overlap * 2 >= size):
        raise ExpressionError(f"the overlap of `chunk` must be less than half of its size, {size}, not {overlap}")
    chunks = []
    start = 0
    while len(text) - start > size:
        end = _cut(text, start + size // 2 + 1, start + size)
        made(end - start)
        chunks.append(text[start:end])
        start = _restart(text, start + 1, end, overlap)
    if start < len(text):
        made(len(text) - start)
        chunks.append(text[start:])
    return chunks


def _cut(text: str, low: int, high: int) -> int:
    """The best place to cut, from `low` to `high`."""
    found = text.rfind("\n\n", max(0, low - 2), high)
    if found >= 0:
        return found + 2
    for ends in (_SENTENCE_ENDS, _WORD_ENDS):
        best = max(_after(text, end, low, high) for end in ends)
        if best >= 0:
            return best
    return high


def _after(text: str, end: str, low: int, high: int) -> int:
    found = text.rfind(end, max(0, low - len(end)), high)
    return found + len(end) if found >= 0 else -1


def _restart(text: str, low: int, end: int, overlap: int) -> int:
    """Where the next chunk begins: at a word, at most `overlap` before `end`."""
    if not overlap:
        return end
    start = max(low, end - overlap)
    if text[start - 1] in _WORD_ENDS:
        return start
    found = [place for place in (text.find(word_end, start, end) for word_end in _WORD_ENDS) if place >= 0]
    return min(found) + 1 if found and min(found) + 1 < end else start
