"""A workflow as an SVG picture: in one file, without fonts or scripts of others, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from aiflow.graph import words
from aiflow.graph.blocks import Block, Canvas, beside, bypassed, columns, framed, nothing, series
from aiflow.graph.measure import folded, shortened, text_width, wrap
from aiflow.language.model import Step, Workflow

CARD = 270  # width of a step
MARGIN = 24

_ICONS = {
    "model": "M8 1.5l1.8 4.7 4.7 1.8-4.7 1.8L8 14.5l-1.8-4.7L1.5 8l4.7-1.8z",
    "http": "M4.5 11.5l7-7M6 4.5h5.5V10",
    "email": "M1.5 3.5h13v9h-13zM1.5 4l6.5 5 6.5-5",
    "emit": "M9 1.5L3.5 9H7l-.5 5.5L12.5 7H9z",
    "call": "M1.5 1.5h9v9h-9zM5.5 13.5v1h9v-9h-1",
    "code": "M5 4L1.5 8 5 12M11 4l3.5 4L11 12",
    "data": "M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3",
    "set": "M3 6h10M3 10h10",
    "wait": "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M8 4.5V8l2.5 1.8",
    "wait_for": "M8 2a4 4 0 0 0-4 4v3l-1.5 2.5h11L12 9V6a4 4 0 0 0-4-4M6.5 14h3",
    "approve": "M8 2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6M2.5 14c.5-3 2.7-4.5 5.5-4.5s5 1.5 5.5 4.5",
    "assert": "M2.5 8.5l3.5 3.5 7.5-8",
    "stop": "M3.5 3.5h9v9h-9z",
    "fail": "M3.5 3.5l9 9M12.5 3.5l-9 9",
    "loop": "M13.5 8a5.5 5.5 0 1 1-1.8-4.1M13.5 1.5v3.2h-3.2",
    "list": "M2 4h12M2 8h12M2 12h8",
}
"""Signs of 16 by 16, drawn with strokes."""

_LIGHT = {
    "bg": "#ffffff", "card": "#ffffff", "edge": "#d0d7de", "frame": "#f6f8fa", "ink": "#1f2328", "soft": "#59636e",
    "line": "#818b98", "model": "#8250df", "outside": "#0969da", "code": "#1a7f37",
    "data": "#57606a", "wait": "#9a6700", "flow": "#57606a",
    "end": "#cf222e",
}  # fmt: skip
_DARK = {
    "bg": "#0d1117", "card": "#161b22", "edge": "#3d444d", "frame": "#12171e", "ink": "#f0f6fc", "soft": "#9198a1",
    "line": "#6e7681", "model": "#b98aff", "outside": "#58a6ff", "code": "#56d364",
    "data": "#9198a1", "wait": "#e3b341", "flow": "#9198a1",
    "end": "#ff7b72",
}  # fmt: skip
_FAMILIES = ("model", "outside", "code", "data", "wait", "flow", "end")


def svg(workflow: Workflow) -> str:
    """The picture: title, what starts a run, its steps from top to bottom, and what is done at its end."""
    flow = _whole(workflow)
    room = max(flow.width, 460)
    head = _head(workflow, room)
    width, height = room + 2 * MARGIN, head.height + flow.height + 3 * MARGIN
    canvas = Canvas()
    head.draw(canvas, MARGIN, MARGIN)
    flow.draw(canvas, MARGIN + (room - flow.width) / 2, MARGIN * 2 + head.height)
    title = f"Workflow {workflow.name}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        'role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(_described(workflow))}</desc>',
        f"<style>{_style()}</style>",
        "<defs>" + "".join(f'<path id="i-{name}" d="{d}"/>' for name, d in _ICONS.items()) + "</defs>",
        f'<rect width="{width:g}" height="{height:g}" class="bg"/>',
        *canvas.parts,
        "</svg>",
    ]
    return "\n".join(parts)


def _style() -> str:
    sans = "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
    return (
        f"text{{font-family:{sans};font-size:12px}}.title{{font-size:19px;font-weight:650}}.name{{font-size:13px;font-weight:600}}"
        ".kind,.fact,.label{font-size:11px}.line,.dash,.bar,.sign{fill:none;stroke-width:1.5}.dash{stroke-dasharray:4 4}"
        ".bar{stroke-width:4;stroke-linecap:round}.sign{stroke-linecap:round;stroke-linejoin:round;stroke-width:1.4}"
        ".handler{stroke-dasharray:5 4}"
        f"{_colours(_LIGHT)}@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}"
    )


def _colours(of: dict[str, str]) -> str:
    made = (
        f".bg{{fill:{of['bg']}}}.card,.pill,.chip{{fill:{of['card']};stroke:{of['edge']}}}"
        f".frame,.handler{{fill:{of['frame']};stroke:{of['edge']}}}.chip{{fill:{of['bg']}}}"
        f".title,.name,.gist{{fill:{of['ink']}}}.kind,.fact,.label,.text{{fill:{of['soft']}}}"
        f".line,.dash,.bar{{stroke:{of['line']}}}.head{{fill:{of['line']}}}"
    )
    return made + "".join(f".{name}{{stroke:{of[name]}}}.bar-{name}{{fill:{of[name]}}}" for name in _FAMILIES)


def _described(workflow: Workflow) -> str:
    """The steps in words, for those who cannot see the picture."""
    said = [workflow.description] if workflow.description else []
    said += [f"Starts by {one}." for one in words.triggers(workflow)]
    said += [f"{number}. {_sentence(step)}." for number, step in enumerate(workflow.steps, 1)]
    return " ".join(" ".join(said).split())


def _sentence(step: Step) -> str:
    """All that is said of a step, uncut."""
    asked = f"if {words.condition(step)}" if step.if_ is not None else ""
    what = " ".join(filter(None, (step.kind, words.gist(step))))
    named = f"{words.name_of(step)}: {what}" if words.name_of(step) else what
    return ", ".join(filter(None, (named, asked, *words.loops(step), *words.manners(step))))


def _head(workflow: Workflow, room: float) -> Block:
    """Title, description, and what starts, cancels and bounds a run."""
    lines: list[tuple[str, str]] = [("text", line) for line in folded(workflow.description, room, 12)]
    for facts in words.about(workflow):
        lines += [("fact", line) for line in wrap(facts, room, 11, 6)]
    height = 22 + 17 * len(lines)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.text(x, y + 16, shortened(workflow.name, room, 19), "title")
        for number, (style, line) in enumerate(lines):
            canvas.text(x, y + 38 + 17 * number, line, style)

    return Block(room, height, 0, True, draw)


def _whole(workflow: Workflow) -> Block:
    inputs = words.inputs(workflow)
    flow = [_pill(f"inputs: {', '.join(inputs)}" if inputs else "start"), *(_step(step) for step in workflow.steps)]
    main = series([*flow, _pill(f"→ {words.outputs(workflow)}")])
    ends = [("on error, if the run fails", workflow.on_error), ("finally, whatever happened", workflow.finally_)]
    handlers = [framed(title, "", [], _list(steps), "handler") for title, steps in ends if steps]
    return series([_unbroken(main), *(_unbroken(one) for one in handlers)], 26) if handlers else main


def _unbroken(block: Block) -> Block:
    """Without an arrow to what follows: it is not the next step."""
    return Block(block.width, block.height, block.spine, False, block.draw)


def _list(steps: Sequence[Step]) -> Block:
    return series([_step(step) for step in steps])


def _step(step: Step) -> Block:
    """A step with its condition."""
    done = _handled(step)
    if step.if_ is None:
        return done
    question = _question(f"if {words.condition(step)}", "")
    if step.else_:
        return columns(question, [("then", done), ("else", _list(step.else_))])
    return bypassed(question, done)


def _handled(step: Step) -> Block:
    """A step with its handlers, without its condition."""
    main = _body(step)
    found = [group for group in words.groups(step) if group.role in ("on_timeout", "on_error")]
    handlers = [(group.label, framed(group.label, "", [], _list(group.steps), "handler")) for group in found]
    return beside(main, handlers) if handlers else main


def _body(step: Step) -> Block:
    facts = [*words.loops(step), *words.manners(step)]
    name = words.name_of(step)
    if step.steps:
        icon = "i-loop" if words.loops(step) else "i-list"
        return framed(name or step.label, icon, facts, _list(step.steps), "frame", _sentence(step))
    if not step.branches:
        return _card(step)
    choice = _choice(step, name, facts)
    if not words.loops(step):
        return choice
    return framed(name or step.label, "i-loop", facts, _choice(step, "", []), "frame", _sentence(step))


def _choice(step: Step, name: str, facts: Sequence[str]) -> Block:
    """The branches of a `switch` or `parallel`."""
    branches = [(group.label, _list(group.steps)) for group in words.groups(step) if group.role == "branch"]
    if step.kind == "switch":
        if step.else_ and step.if_ is None:
            branches.append(("otherwise", _list(step.else_)))
        elif words.falls_through(step):
            branches.append(("no case", nothing()))
        return columns(_question(words.gist(step) or name or "switch", name if words.gist(step) else "", facts), branches)
    return columns(_question(words.gist(step), name, facts, "pill"), branches, "bar")


def _question(text: str, name: str, facts: Sequence[str] = (), style: str = "ask") -> Block:
    """What decides where the flow goes: a box with pointed sides (`pill`: a plain one)."""
    lines = [("name", shortened(name, CARD - 40, 13, True))] if name else []
    lines += [("gist", line) for line in _few(folded(text, CARD - 36, 12), 3)]
    lines += [("fact", line) for line in wrap(facts, CARD - 36, 11, 3)]
    width = max(max(text_width(line, 13 if kind == "name" else 12) for kind, line in lines) + 40, 110)
    height = 13 + 16 * len(lines)
    point = 10 if style == "ask" else 0

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.open(" · ".join(filter(None, (name, text, *facts))))
        if point:
            side, half = width - 2 * point, height / 2
            upper = f"M{x:g} {y + half:g}l{point} {-half:g}h{side:g}l{point} {half:g}"
            canvas.path(f"{upper}l{-point} {half:g}h{-side:g}z", "pill")
        else:
            canvas.box(x, y, width, height, "pill", 6)
        for number, (kind, line) in enumerate(lines):
            canvas.text(x + width / 2, y + 19 + 16 * number, line, kind, "middle")
        canvas.close()

    return Block(width, height, width / 2, True, draw, height / 2, width)


def _few(lines: list[str], most: int) -> list[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1] + "…"]


def _pill(text: str) -> Block:
    """Start and end."""
    lines = _few(folded(text, CARD, 12), 3)
    width, height = max(text_width(line, 12) for line in lines) + 32, 12 + 16 * len(lines)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.box(x, y, width, height, "pill", 14)
        for number, line in enumerate(lines):
            canvas.text(x + width / 2, y + 18 + 16 * number, line, "text", "middle")

    return Block(width, height, width / 2, True, draw)


def _card(step: Step) -> Block:
    """A step without steps in it."""
    family = words.family(step.kind)
    many = step.each is not None
    name = words.name_of(step)
    said = words.gist(step) if name else " ".join(filter(None, (step.kind, words.gist(step))))
    gist = _few(folded(said, CARD - 48, 12), 3)
    if gist:
        gist = [shortened(line, CARD - 44, 12) for line in gist]
    facts = wrap([*words.loops(step), *words.manners(step)], CARD - 48, 11, 4)
    height = (25 if name else 11) + 16 * len(gist) + 15 * len(facts) + (4 if facts else 0) + (5 if name else 6)
    icon = "i-" + (step.kind if step.kind in _ICONS else family if family in _ICONS else "list")
    extra = 8 if many else 0

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.open(_sentence(step))
        for offset in (8, 4) if many else ():
            canvas.box(x + offset, y + offset, CARD, height, "card")
        canvas.box(x, y, CARD, height, "card")
        canvas.path(f"M{x + 6:g} {y:g}a8 8 0 0 0-6 8v{height - 16:g}a8 8 0 0 0 6 8z", f"bar-{family}")
        canvas.icon(icon, x + 17, y + (9 if name else 8), f"sign {family}")
        below = y + 20
        if name:
            room = CARD - 60 - text_width(step.kind, 11)
            canvas.text(x + 41, y + 21, shortened(name, room, 13, True), "name")
            canvas.text(x + CARD - 12, y + 21, step.kind, "kind", "end")
            below = y + 38
        for number, line in enumerate(gist):
            canvas.text(x + 41, below + 16 * number, line, "gist")
        below += 16 * len(gist) + 2
        for number, line in enumerate(facts):
            canvas.text(x + 41, below + 15 * number, line, "fact")
        canvas.close()

    goes_on = step.kind not in words.ENDS or many
    return Block(CARD + extra, height + extra, CARD / 2, goes_on, draw, height / 2, CARD + extra)
