"""Boxes for pictures of structured flows: each has a size, an entrance at the top, an exit at the bottom, and can be drawn.

Everything is put together from the inside out: lists stand below each other, branches beside each other, handlers to the
right of what they handle. Lengths are pixels; no graph has to be solved, since the flow is nested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from aiflow.graph.measure import shortened, text_width, wrap

GAP = 22  # between steps, room for an arrow
BESIDE = 28  # between branches
WIDEST = 1120  # branches that would be wider stand below each other


class Canvas:
    """Collects the elements of a picture, what lies behind first."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, style: str, anchor: str = "") -> None:
        place = f' text-anchor="{anchor}"' if anchor else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{style}"{place}>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, style: str, radius: float = 8) -> None:
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" class="{style}"/>')

    def path(self, d: str, style: str) -> None:
        self.parts.append(f'<path d="{d}" class="{style}"/>')

    def line(self, points: Sequence[tuple[float, float]], style: str = "line", arrow: bool = False) -> None:
        """A line of straight pieces with round corners; `arrow`: with a head at its end, which points down or aside."""
        self.path(_rounded(points), style)
        if arrow:
            (x0, y0), (x, y) = points[-2], points[-1]
            if y > y0:
                self.path(f"M{x - 4:g} {y - 6:g}L{x:g} {y:g}L{x + 4:g} {y - 6:g}z", "head")
            else:
                side = 6 if x < x0 else -6
                self.path(f"M{x + side:g} {y - 4:g}L{x:g} {y:g}L{x + side:g} {y + 4:g}z", "head")

    def open(self, title: str) -> None:
        """Begin a group with a title, which viewers show as a tooltip."""
        self.parts.append(f"<g><title>{escape(title)}</title>")

    def close(self) -> None:
        self.parts.append("</g>")

    def icon(self, name: str, x: float, y: float, style: str) -> None:
        self.parts.append(f'<use href={quoteattr("#" + name)} x="{x:g}" y="{y:g}" class="{style}"/>')


@dataclass(frozen=True)
class Block:
    """A part of the picture.

    Attributes:
        spine: x of its entrance and exit.  goes_on: whether anything can follow it.
        draw: draws it with its left upper corner at (x, y).
        middle: y of what handlers start from.  side: x of the right edge there.
    """

    width: float
    height: float
    spine: float
    goes_on: bool
    draw: Callable[[Canvas, float, float], None]
    middle: float = 0
    side: float = 0


def series(blocks: Sequence[Block], gap: float = GAP) -> Block:
    """Blocks below each other, with arrows."""
    spine = max(block.spine for block in blocks)
    width = spine + max(block.width - block.spine for block in blocks)
    height = sum(block.height for block in blocks) + gap * (len(blocks) - 1)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        for number, block in enumerate(blocks):
            if number and blocks[number - 1].goes_on:
                canvas.line([(x + spine, y - gap), (x + spine, y)], arrow=block.height > 0)
            block.draw(canvas, x + spine - block.spine, y)
            y += block.height + gap

    return Block(width, height, spine, blocks[-1].goes_on, draw)


def nothing() -> Block:
    """A branch in which nothing is done."""
    return Block(40, 0, 20, True, lambda canvas, x, y: None)


def bypassed(question: Block, done: Block) -> Block:
    """A question, and what is done when the answer is yes; else the line leads around it."""
    inner = series([question, done])
    gutter, foot = 18, 16
    spine, height = inner.spine + gutter, inner.height + foot

    def draw(canvas: Canvas, x: float, y: float) -> None:
        middle = x + spine
        left = x + spine - question.spine
        across = y + question.height / 2
        canvas.line([(left, across), (x + 6, across), (x + 6, y + height), (middle, y + height)])
        if done.goes_on:
            canvas.line([(middle, y + inner.height), (middle, y + height)])
        inner.draw(canvas, x + gutter, y)
        canvas.text(left - 4, y + question.height / 2 - 5, "no", "label", "end")
        canvas.text(middle + 7, y + question.height + 14, "yes", "label")

    return Block(inner.width + gutter, height, spine, True, draw)


def columns(head: Block, branches: Sequence[tuple[str, Block]], bar: str = "line") -> Block:
    """A head, and branches beside each other (below each other when they are many). `bar`: style of the line they start from."""
    width = sum(block.width for _, block in branches) + BESIDE * (len(branches) - 1)
    if width > WIDEST and len(branches) > 1:
        return _stacked(head, branches)
    tops = [max(block.width, text_width(label, 11) + 16) for label, block in branches]
    width = max(sum(tops) + BESIDE * (len(tops) - 1), head.width)
    start = (width - sum(tops) - BESIDE * (len(tops) - 1)) / 2
    lefts = [start + sum(tops[:n]) + BESIDE * n for n in range(len(tops))]
    spines = [left + (top - block.width) / 2 + block.spine for left, top, (_, block) in zip(lefts, tops, branches, strict=True)]
    spine = head.spine + (width - head.width) / 2
    fork, body = head.height + 14, head.height + 52
    tallest = max(block.height for _, block in branches)
    join = body + tallest + 16
    goes_on = any(block.goes_on for _, block in branches)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.line([(x + spine, y + head.height), (x + spine, y + fork)])
        for place, (label, block) in zip(spines, branches, strict=True):
            canvas.line([(x + spine, y + fork), (x + place, y + fork), (x + place, y + body)], arrow=block.height > 0)
            if block.goes_on:
                canvas.line([(x + place, y + body + block.height), (x + place, y + join), (x + spine, y + join)])
            chip(canvas, x + place, y + fork + 18, label)
            block.draw(canvas, x + place - block.spine, y + body)
        if bar == "bar":
            ends = [place for place, (_, block) in zip(spines, branches, strict=True) if block.goes_on]
            canvas.line([(x + min(spines), y + fork), (x + max(spines), y + fork)], "bar")
            if ends:
                canvas.line([(x + min(ends), y + join), (x + max(ends), y + join)], "bar")
        head.draw(canvas, x + spine - head.spine, y)

    side = spine - head.spine + head.width
    return Block(width, join if goes_on else body + tallest, spine, goes_on, draw, head.height / 2, side)


def _stacked(head: Block, branches: Sequence[tuple[str, Block]]) -> Block:
    """Branches in frames below each other: a line on the left leads into each, one on the right out of it."""
    frames = [framed(label, "", [], block, "frame") for label, block in branches]
    rail, top = 24, head.height + 28
    width = max(max(frame.width for frame in frames) + 2 * rail, head.width)
    spine = width / 2
    height = top + sum(frame.height + 14 for frame in frames) + 8
    goes_on = any(block.goes_on for _, block in branches)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        below = y + top
        for frame in frames:
            left = x + (width - frame.width) / 2
            start, fork, target = y + head.height, y + head.height + 14, below + 17
            canvas.line([(x + spine, start), (x + spine, fork), (x + 6, fork), (x + 6, target), (left, target)], arrow=True)
            if frame.goes_on:
                right, out = x + width - 6, below + frame.height - 17
                canvas.line([(left + frame.width, out), (right, out), (right, y + height), (x + spine, y + height)])
            frame.draw(canvas, left, below)
            below += frame.height + 14
        head.draw(canvas, x + spine - head.spine, y)

    return Block(width, height, spine, goes_on, draw, head.height / 2, spine - head.spine + head.width)


def framed(title: str, icon: str, facts: Sequence[str], inner: Block, style: str, tooltip: str = "") -> Block:
    """A block in a frame with a title and further words above it."""
    room = max(inner.width, min(text_width(title, 13) + 24, 420), 190)
    notes = wrap(facts, room - 4, 11, 4)
    title = shortened(title, room - (22 if icon else 0), 13)
    top = 26 + 15 * len(notes) + (8 if notes else 4)
    width, height = room + 28, top + inner.height + 16
    left = 14 + (room - inner.width) / 2

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.open(tooltip or title)
        canvas.box(x, y, width, height, style, 10)
        if icon:
            canvas.icon(icon, x + 13, y + 9, "sign flow")
        canvas.text(x + (34 if icon else 14), y + 22, title, "name")
        for number, note in enumerate(notes):
            canvas.text(x + 14, y + 39 + 15 * number, note, "fact")
        canvas.close()
        inner.draw(canvas, x + left, y + top)

    return Block(width, height, left + inner.spine, inner.goes_on, draw, 18, width)


def beside(main: Block, handlers: Sequence[tuple[str, Block]]) -> Block:
    """A block, and to its right what is done when it fails, reached by broken lines."""
    gap, foot = 44, 18
    tallest = sum(block.height for _, block in handlers) + 20 * (len(handlers) - 1)
    reach = max(main.width, main.side)
    width = reach + gap + max(block.width for _, block in handlers) + 14
    height = max(main.height, tallest) + foot
    returns = any(block.goes_on for _, block in handlers)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        left, top, start = x + reach + gap, y, y + main.middle
        for number, (_, block) in enumerate(handlers):
            out, target = x + reach + gap / 2, top + 18
            canvas.line([(x + main.side, start), (out, start), (out, target), (left, target)], "dash", arrow=True)
            if block.goes_on:
                back = [(left + block.spine, top + block.height), (left + block.spine, y + height)]
                if number < len(handlers) - 1:  # around the handlers below it
                    back = [(left + block.width, target), (x + width - 6, target), (x + width - 6, y + height)]
                canvas.line([*back, (x + main.spine, y + height)], "dash")
            block.draw(canvas, left, top)
            top += block.height + 20
        if main.goes_on:
            canvas.line([(x + main.spine, y + main.height), (x + main.spine, y + height)])
        main.draw(canvas, x, y)

    return Block(width, height, main.spine, main.goes_on or returns, draw, main.middle, main.side)


def chip(canvas: Canvas, x: float, y: float, label: str) -> None:
    """A label on a line, in the middle of which it stands."""
    label = shortened(label, 250, 11)
    width = text_width(label, 11) + 14
    canvas.box(x - width / 2, y - 10, width, 19, "chip", 9.5)
    canvas.text(x, y + 3.5, label, "label", "middle")


def _rounded(points: Sequence[tuple[float, float]], radius: float = 7) -> str:
    """The path of a line with round corners."""
    made = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, (abs(x - x0) + abs(y - y0)) / 2, (abs(x1 - x) + abs(y1 - y)) / 2)
        before, after = (x - r * _sign(x - x0), y - r * _sign(y - y0)), (x + r * _sign(x1 - x), y + r * _sign(y1 - y))
        made.append(f"L{before[0]:g} {before[1]:g}Q{x:g} {y:g} {after[0]:g} {after[1]:g}")
    made.append(f"L{points[-1][0]:g} {points[-1][1]:g}")
    return "".join(made)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
