"""The block that a failed run prints (DSL 3.9), and the result of one that went well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiflow.cli._follow import limit_lines
from aiflow.cli._result import Findings, failure_lines, natural, result_lines, run_json
from aiflow.inspector import RunInfo

ERROR = {
    "type": "invalid_output", "message": "the model left out `quote`\x1b[2J", "step": "docs[3].facts[7]", "data": {},
    "attempts": 2, "index": 7, "transient": False, "at": "workflows/doc_ingest.yaml:31:9",
}  # fmt: skip


def _run(status: str, **facts: Any) -> RunInfo:
    usage = {"tokens_in": 10, "tokens_out": 5, "cost": 0.41, "calls": 3}
    made = {
        "run_id": "R", "workflow": "w", "version": "v", "inputs": {}, "outputs": None, "error": None, "created_ms": 1000,
        "started_ms": 1000, "finished_ms": 5200, "usage": usage, "meta": {},
    }  # fmt: skip
    return RunInfo(status=status, **{**made, **facts})


def test_a_failure_says_where_what_and_how_to_go_on() -> None:
    assert failure_lines(_run("failed", error=ERROR), Path.cwd(), "R") == [
        "workflows/doc_ingest.yaml:31:9: step docs[3].facts[7] failed: invalid_output",
        "  the model left out `quote`",
        "  attempts: 2   cost so far: $0.41   retry: aiflow retry R",
    ]


def test_an_unknown_outcome_asks_a_person() -> None:
    lines = failure_lines(_run("failed", error={**ERROR, "type": "outcome_unknown"}), Path.cwd(), "R")
    assert lines[-1].endswith("settle: aiflow settle R docs[3].facts[7] --done (or --redo)")


def test_too_many_failures_names_the_first() -> None:
    errors = [{"index": n, "item": {"name": f"f{n}.pdf"}, "error": {"type": "unreadable", "message": "damaged"}} for n in range(7)]
    error = {**ERROR, "type": "too_many_failures", "data": {"errors": errors}}
    lines = failure_lines(_run("failed", error=error), Path.cwd(), "R")
    assert "    [0] f0.pdf: unreadable: damaged" in lines and "    … and 2 more" in lines


def test_a_cancelled_run_says_why() -> None:
    lines = failure_lines(_run("cancelled", error={"type": "cancelled", "message": "enough"}), Path.cwd(), "R")
    assert lines[0] == "run R was cancelled: enough"


def test_a_result_has_outputs_failures_files_cost_and_the_way_on(tmp_path: Path) -> None:
    findings = Findings(failed=[("docs[2]", "bad.pdf", ERROR)], written=["out/x.md"], rows={"sqlite:a.db": 3})
    lines = result_lines(_run("ok", outputs={"n": 1, "names": []}), findings, tmp_path, "R")
    assert lines[:5] == [
        "n:      1", "names:  none", "", "1 item failed, as the workflow allows:",
        "  docs[2] bad.pdf: invalid_output: the model left out `quote`",
    ]  # fmt: skip
    assert lines[6:] == [
        f"wrote   {tmp_path}/out/x.md", "        sqlite:a.db (3 rows)", "models  3 calls, 10 tokens in, 5 out, $0.41",
        "took    4.2 s", "run     R   details: aiflow show R",
    ]  # fmt: skip


def test_json_has_times_as_text_and_null_where_there_is_none() -> None:
    made = run_json(_run("running", finished_ms=None))
    assert made["started_at"] == "1970-01-01T00:00:01.000Z" and made["finished_at"] is None


def test_paths_sort_as_people_count() -> None:
    assert sorted(["a[10]", "a[2]", "a[2].b[11]", "a[2].b[9]"], key=natural) == ["a[2]", "a[2].b[9]", "a[2].b[11]", "a[10]"]


def test_reused_results_are_counted(tmp_path: Path) -> None:
    run = _run("ok", outputs={"n": 1})
    assert "cache   2 results reused (--fresh takes none)" in result_lines(run, Findings(cached=2), tmp_path, "R")
    assert "cache   at least 1 result reused (--fresh takes none)" in result_lines(run, Findings(cached=1, partial=True), tmp_path, "R")


def test_who_waits_for_which_limit() -> None:
    assert limit_lines([("docs[3].ask", "openai"), ("docs[4].ask", "openai"), ("x", "few")]) == [
        "docs[3].ask and 1 more: waiting for limit openai",
        "x: waiting for limit few",
    ]
