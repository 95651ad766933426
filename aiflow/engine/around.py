"""What surrounds a frame: the prefixes of the blocks that it sees, the loops that it stands in, and where its records go.

A frame is named by its path: `` (the root), `docs[3]` (an item), `sides.*[0]` (a branch of a `parallel`). What its steps
record stands below its *home*: for an item its own path, for a branch that of the block which the `parallel` stands in
(the steps of a branch have the names of both in their own part: `sides.left.draft`). Passes of an `until` are no frames:
they run in the one that the step stands in, at `review[2]`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiflow.engine.scope import Results
from aiflow.plan import BRANCHES, CompiledStep
from aiflow.store.runs import FanState, Lost
from aiflow.values import Value, decode

if TYPE_CHECKING:
    from aiflow.engine.run import RunContext


@dataclass(frozen=True)
class Around:
    """Where a frame stands.

    Attributes:
        prefixes: for each block that can be seen, the path of its frame or pass.
        loop: `item`, `index`, `previous` of the loops around, and what items of a handler see of it.
        home: what the records of its steps stand below.
        own: path of the record of the frame itself, "" for the root.
        fan: for an item or branch the step with the `each` or `parallel`; None for the root.
        item: of the innermost `each`, when the frame is its item.
        branch: name of the branch, "" for others.
    """

    prefixes: dict[int, str]
    loop: dict[str, Value]
    home: str = ""
    own: str = ""
    fan: CompiledStep | None = None
    item: Value = None
    branch: str = ""

    @property
    def index(self) -> int | None:
        """Number of the innermost item or pass."""
        return self.loop.get("index")

    def item_of(self, cs: CompiledStep, path: str, index: int, item: Value, previous: Value) -> Around:
        """The surroundings of one item of an `each` in a frame with these."""
        loop = {**self.loop, cs.step.as_: item, "index": index, "previous": previous}
        prefixes = {**self.prefixes, cs.step.body_block or 0: path}
        return Around(prefixes, loop, path, path, cs, item)

    def branch_of(self, cs: CompiledStep, fan: str, index: int) -> Around:
        """The surroundings of one branch of a `parallel`."""
        name = branch_names(cs)[index]
        block = cs.step.block if cs.step.body_block is None else cs.step.body_block
        own = record_path(cs, fan, index)
        return replace(self, home=self.prefixes.get(block, ""), own=own, fan=cs, item=None, branch=name)


def branch_names(cs: CompiledStep) -> tuple[str, ...]:
    """The branches of a `parallel`, in the order of the file."""
    return tuple(cs.branches)


def is_split(fan: str) -> bool:
    """Whether a fan-out is that of a `parallel`."""
    return fan.endswith(BRANCHES)


def record_path(cs: CompiledStep, fan: str, index: int) -> str:
    """Where the record of an item, or of a branch, stands."""
    if is_split(fan):
        return fan[: -len(BRANCHES)] + branch_names(cs)[index]
    return f"{fan}[{index}]"


async def surroundings(run: RunContext, path: str) -> Around:
    """Of the frame at `path`, or of the lanes of the fan-out at `path`; reads the items of the loops around.

    Raises: Lost: a fan-out around is not there any more.  StepError: the plan does not know it.
    """
    around = Around({0: ""}, {})
    position = 0
    while (end := path.find("]", position)) >= 0:
        start = path.index("[", position)
        around = await _within(run, around, path[:start], int(path[start + 1 : end]))
        position = end + 1
    return around


async def _within(run: RunContext, around: Around, fan: str, index: int) -> Around:
    cs = run.plan.fan_at(fan)
    path = f"{fan}[{index}]"
    if cs.until is not None and not is_split(fan):
        loop = {**around.loop, "index": index, "previous": await previous_of(_results(run), cs, fan, index)}
        block = cs.step.body_block or 0
        return replace(around, prefixes={**around.prefixes, block: path}, loop=loop, home=path)
    store = run.host.store
    state = await store.fan_state(run.rid, fan)
    if state is None:
        raise Lost
    around = replace(around, loop={**around.loop, **scope_of(run, state)})
    if is_split(fan):
        return around.branch_of(cs, fan, index)
    number, place = divmod(index, state.page_size)
    page = await store.page(run.rid, fan, number)
    return around.item_of(cs, path, index, page[place], await previous_of(_results(run), cs, fan, index))


def _results(run: RunContext) -> Results:
    return Results(run.host.store, run.host.blobs, run.rid)


async def previous_of(results: Results, cs: CompiledStep, fan: str, index: int) -> Value:
    """`previous`: the output of the item before, with `concurrency: 1`, or of the pass before."""
    if index == 0 or not cs.uses_previous or (cs.until is None and cs.step.concurrency != 1):
        return None
    path = f"{fan}[{index - 1}]"
    await results.load(path, "")
    record = results.get(path)
    return record.output if record else None


def scope_of(run: RunContext, state: FanState) -> dict[str, Value]:
    """What the items of a handler see of it: `error`, and the status of the run."""
    if not state.scope:
        return {}
    scope: dict[str, Value] = decode(state.scope)
    if "status" in scope:
        scope["run"] = {**run.view, "status": scope.pop("status")}
    return scope
