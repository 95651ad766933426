"""offline/embedding: vectors from hashed words. Near texts share words, nothing more is understood."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from hashlib import blake2b

DIMENSIONS = 256

_WORD = re.compile(r"[^\W_]+")


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector of length 1 from the words and word pairs of a text; all zero for a text without words.

    Words count by the square root of how often they occur, pairs half. The same in every process and on every machine.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    counts: dict[str, float] = {}
    for word in words:
        counts[word] = counts.get(word, 0.0) + 1.0
    for first, second in zip(words, words[1:], strict=False):
        pair = f"{first} {second}"
        counts[pair] = counts.get(pair, 0.0) + 0.25
    vector = [0.0] * dimensions
    for gram, count in counts.items():
        number = _hash(gram)
        vector[(number >> 1) % dimensions] += math.sqrt(count) * (1.0 if number & 1 else -1.0)
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


@lru_cache(maxsize=20_000)
def _hash(gram: str) -> int:
    return int.from_bytes(blake2b(gram.encode("utf-8", "replace"), digest_size=8).digest(), "big")
