"""The kind `python`: finding functions, calling them, what they give, print and raise."""

import asyncio
import datetime
import decimal
import enum
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiflow import values
from aiflow.steps import _functions
from aiflow.steps._results import NoJson, json_value
from aiflow.steps.python import run as run_python
from aiflow.values import File
from tests.support.steps import Bench

MODULE = """
import asyncio, logging, threading, time
from aiflow.errors import StepError
calls = []
def add(a, b=1): return a + b
async def later(a): await asyncio.sleep(0); return [a]
def anything(**given): return given
def context(ctx): return [ctx.key, ctx.attempt, ctx.run.id, str(ctx.run.dir), ctx.path]
async def talks(ctx, n):
    print("printed", n, end=" "); await asyncio.sleep(0.01); print("on"); logging.getLogger("mine").warning("careful %d", n)
    ctx.log("said", level="error"); ctx.progress(0.5, "half"); print("rest", end="")
def talks_in_thread(n): print("thread", n); logging.getLogger("mine").info("info")
def floods():
    for n in range(5000): print("x" * 9000)
def breaks(): return inner()
def inner(): raise KeyError("price")
async def breaks_later():
    try: inner()
    except KeyError as error: raise RuntimeError("no price") from error
def own(): raise StepError("out_of_stock", "none left", data={"n": 0}, transient=True)
def leaves(): raise SystemExit(3)
async def leaves_later(): raise SystemExit(3)
async def times_out(): raise TimeoutError("slow")
async def cancels(): raise asyncio.CancelledError
def stops(): raise StopIteration(5)
def sleeps(): time.sleep(0.3); return threading.get_ident()
def gives(): return open
def positional(a, /): return a
class Tools:
    @staticmethod
    async def twice(n): return 2 * n
    def __call__(self, n): return n
tool = Tools()
value = 5
async def nothing(): return None
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "shop.py").write_text(MODULE)
    before = list(sys.path)
    yield Bench(tmp_path)
    sys.path[:] = before
    sys.modules.pop("shop", None)


async def call(bench: Bench, name: str, **data: Any) -> Any:
    return await bench.output("python", {"function": name}, data)


async def failure(bench: Bench, name: str, **data: Any) -> Any:
    return await bench.error("python", {"function": name}, data)


async def test_calls(bench: Bench) -> None:
    assert await call(bench, "shop:add", a=2) == 3
    assert await call(bench, "shop:add", a=2, b=5) == 7
    assert await call(bench, "shop:later", a=2) == [2]
    assert await call(bench, "shop:anything", x=1, ctx=2) == {"x": 1, "ctx": 2}
    assert await call(bench, "shop:Tools.twice", n=4) == 8
    assert await call(bench, "shop:tool", n=4) == 4
    assert await call(bench, "shop:context") == ["01RUN:step", 1, "01RUN", str(bench.context().run_dir), "step"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("nosuch:f", {}, "no module `nosuch`"),
        ("nosuch.deep:f", {}, "no module"),
        ("shop:ad", {}, "no function `ad`"),
        ("shop:value", {}, "is a int, not a function"),
        ("shop:add", {"a": 1, "c": 2}, "no parameter `c`"),
        ("shop:add", {}, "needs `a`"),
        ("shop:context", {"ctx": 1}, "`ctx` is given by aiflow"),
        ("shop:positional", {"a": 1}, "parameters without names"),
        ("shop:gives", {}, "builtin_function_or_method"),
    ],
)
async def test_refusals(bench: Bench, name: str, data: dict[str, Any], words: str) -> None:
    error = await failure(bench, name, **data)
    assert error.type == "python_error"
    assert words in error.message


async def test_a_module_that_breaks(bench: Bench) -> None:
    (bench.project / "broken_one.py").write_text("import shop\n1 / 0\n")
    (bench.project / "broken_two.py").write_text("import not_installed_anywhere\n")
    (bench.project / "broken_three.py").write_text("def (")
    error = await failure(bench, "broken_one:f")
    assert "ZeroDivisionError" in error.message
    assert "broken_one.py" in error.traceback
    assert "aiflow/steps" not in error.traceback
    assert "not_installed_anywhere" in (await failure(bench, "broken_two:f")).message
    assert "SyntaxError" in (await failure(bench, "broken_three:f")).message


async def test_exceptions(bench: Bench) -> None:
    error = await failure(bench, "shop:breaks")
    assert (error.type, error.message, error.data) == ("python_error", "KeyError: 'price'", {"exception": "KeyError"})
    assert "in breaks" in error.traceback
    assert "in inner" in error.traceback
    assert "aiflow/steps" not in error.traceback
    error = await failure(bench, "shop:breaks_later")
    assert error.message == "RuntimeError: no price"
    assert "direct cause" in error.traceback
    for name in ("leaves", "leaves_later"):
        assert (await failure(bench, f"shop:{name}")).data == {"exception": "SystemExit"}
    assert (await failure(bench, "shop:times_out")).transient
    assert (await failure(bench, "shop:cancels")).data == {"exception": "CancelledError"}
    assert (await failure(bench, "shop:stops")).type == "python_error"
    error = await failure(bench, "shop:own")
    assert (error.type, error.data, error.transient) == ("out_of_stock", {"n": 0}, True)


async def test_prints_go_to_the_log(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await call(bench, "shop:talks", n=7)
    assert bench.lines == [
        ("info", "printed 7 on"),
        ("warning", "mine: careful 7"),
        ("error", "said"),
        ("info", "50% half"),
        ("info", "rest"),
    ]
    print("outside")
    assert capsys.readouterr().out == "outside\n"


async def test_prints_are_told_apart(tmp_path: Path, bench: Bench) -> None:
    benches = [Bench(bench.project) for _ in range(5)]
    await asyncio.gather(*(call(one, "shop:talks", n=n) for n, one in enumerate(benches)))
    assert [one.lines[0] for one in benches] == [("info", f"printed {n} on") for n in range(5)]
    await call(bench, "shop:talks_in_thread", n=1)
    assert ("info", "thread 1") in bench.lines


async def test_floods_are_cut(bench: Bench) -> None:
    await call(bench, "shop:floods")
    assert len(bench.lines) == 1001
    assert len(bench.lines[0][1]) == 4000
    assert bench.lines[-1][0] == "warning"


async def test_sync_functions_do_not_hold_up_others(bench: Bench) -> None:
    await call(bench, "shop:add", a=1)
    started = time.perf_counter()
    threads = await asyncio.gather(*(call(bench, "shop:sleeps") for _ in range(60)))
    assert len(set(threads)) == 60
    assert time.perf_counter() - started < 2.5


async def test_two_projects_with_a_module_of_the_same_name(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "shop.py").write_text("def add(a): return 'other'")
    assert await call(bench, "shop:add", a=1) == 2
    assert await call(Bench(other), "shop:add", a=1) == "other"
    assert await call(bench, "shop:add", a=1) == 2


async def test_overhead(bench: Bench) -> None:
    """Measured 4 us over a bare call on the build machine; the bound leaves room for a busy one."""
    ctx, config = bench.context(), {"function": "shop:nothing"}
    await run_python(ctx, config)
    function = _functions.resolve(bench.project, "shop:nothing").call

    async def per_call(once: Any) -> float:
        best = 1.0
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(1000):
                await once()
            best = min(best, (time.perf_counter() - started) / 1000)
        return best

    assert await per_call(lambda: run_python(ctx, config)) - await per_call(function) < 40e-6


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    tags: tuple[str, ...]


class Model(pydantic.BaseModel):
    when: datetime.date
    inner: list[int]


class Record(msgspec.Struct):
    id: uuid.UUID


class Text(str):
    pass


FILE = File("a", "a", "", 1, "text/plain", "00")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((1, [2.5, None], {"k": True}), [1, [2.5, None], {"k": True}]),
        ({None: "b", True: "c", 1.5: "d", 7: "e"}, {"null": "b", "true": "c", "1.5": "d", "7": "e"}),
        (Point(1.5, ("a",)), {"x": 1.5, "tags": ["a"]}),
        (Model(when=datetime.date(2026, 1, 2), inner=[1]), {"when": "2026-01-02", "inner": [1]}),
        ([Record(uuid.UUID(int=1))], [{"id": "00000000-0000-0000-0000-000000000001"}]),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00Z"),
        (decimal.Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
        (Text("x"), "x"),
        ({"f": FILE}, {"f": FILE}),
        (2**70, 2**70),
    ],
)
def test_results(given: Any, made: Any) -> None:
    assert json_value(given) == made
    assert values.encode(json_value(given))


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rows": [1, object()]}, "the result at `rows[1]` is a object"),
        (Path("/x"), "PosixPath"),
        (float("nan"), "nan"),
        ([float("inf")], "inf"),
        ({(1, 2): 3}, "tuple as a key"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        (CYCLE, "contains itself"),
        ((n for n in ()), "generator"),
        (Point, "type"),
        (print, "builtin"),
    ],
)
def test_no_results(given: Any, words: str) -> None:
    with pytest.raises(NoJson, match=r".") as caught:
        json_value(given)
    assert words in str(caught.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(json_values)
def test_json_stays_as_it_is(value: Any) -> None:
    assert json_value(value) == value
