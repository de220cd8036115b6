"""`make bench`: runs all measures (or those whose name has a given word), writes var/bench.jsonl, prints a table."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import traceback
from pathlib import Path

from tools import bench
from tools.bench import harness
from tools.place import ROOT

OUTPUT = ROOT / "var" / "bench.jsonl"


def main(words: list[str]) -> int:
    for module in pkgutil.iter_modules([str(Path(bench.__file__).parent)]):
        if module.name.startswith("bench_"):
            importlib.import_module(f"tools.bench.{module.name}")
    chosen = [
        function
        for function in harness.declared
        if not words or any(word in f"{function.__module__}.{function.__name__}" for word in words)
    ]
    failures = 0
    for function in chosen:
        print(f"  {function.__name__} …", file=sys.stderr, flush=True)
        try:
            function()
        except harness.Skip as exc:
            print(f"  {function.__name__} is left out: {exc}", file=sys.stderr)
        except Exception:  # one broken measure must not hide the others
            traceback.print_exc()
            failures += 1
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(result.as_json(), ensure_ascii=False) + "\n" for result in harness.results]
    OUTPUT.write_text("".join(lines))
    print(table(harness.results))
    return 1 if failures else 0


def table(results: list[harness.Result]) -> str:
    if not results:
        return "nothing was measured"
    rows = [("measure", "value", "baseline", "ratio", "goal", "")]
    for result in results:
        baseline = "" if result.baseline is None else f"{result.baseline:g} {result.unit}"
        rows.append(
            (
                result.name,
                f"{result.value:g} {result.unit}",
                f"{baseline} {result.baseline_name or ''}".strip(),
                "" if result.ratio is None else f"{result.ratio:g} x",
                result.goal or "",
                {True: "ok", False: "MISSED", None: ""}[result.ok],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
