"""`python -m benchmarks [CASE…] [--json FILE] [--durability standard|always|both]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks.cases import CASES

COLUMNS = {"standard": "everysec", "always": "always"}
ONCE = {"http", "llm", "cli", "validate"}  # the disk plays no part


def main() -> None:
    """Run the cases and print each figure beside the number it aims for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--durability", choices=["standard", "always", "both"], default="both")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    options = parser.parse_args()
    columns = list(COLUMNS) if options.durability == "both" else [options.durability]
    rows: list[dict[str, object]] = []
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    print(f"{'figure':<34}{'aims for':>12}" + "".join(f"{COLUMNS[one]:>12}" for one in columns))
    for case in CASES:
        if options.cases and case.name not in options.cases:
            continue
        print(f"\n{case.name}: {case.what}")
        measured = {}
        for column in columns:
            if column == columns[0] or case.name not in ONCE:
                measured[column] = asyncio.run(case.run(column))
        for figure in measured[columns[0]]:
            aim, less = case.aims.get(figure, (None, True))
            wanted = "" if aim is None else f"{'<=' if less else '>='} {aim:g}"
            shown = "".join(f"{_short(measured[one][figure]) if one in measured else '':>12}" for one in columns)
            print(f"  {figure:<32}{wanted:>12}{shown}", flush=True)
            values = {COLUMNS[one]: measured[one][figure] for one in measured}
            rows.append({"case": case.name, "figure": figure, "aim": aim, "less_is_better": less, **values})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
