"""Write the results as one table: on the screen and in Markdown for people, in JSON for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.registry import Row

HEADER = ("case", "ours", "baseline", "ratio", "bar", "met?", "size", "data", "peak memory")


def markdown(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table with aligned columns."""
    cells = [HEADER, *(_cells(row) for row in rows)]
    width = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = [" | ".join(cell.ljust(size) for cell, size in zip(line, width, strict=True)) for line in cells]
    rule = " | ".join("-" * size for size in width)
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def write(rows: Sequence[Row], folder: Path) -> tuple[Path, Path]:
    """Write ``results.json`` and ``results.md``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    about = _conditions()
    figures = [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows]
    json_file, md_file = folder / "results.json", folder / "results.md"
    json_file.write_text(json.dumps({"conditions": about, "rows": figures}, indent=2) + "\n", encoding="utf-8")
    note = ", ".join(f"{name} {value}" for name, value in about.items())
    md_file.write_text(f"{markdown(rows)}\n\nMedian CPU seconds; {note}.\n", encoding="utf-8")
    return json_file, md_file


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.case,
        _duration(row.ours),
        "" if row.baseline is None else _duration(row.baseline),
        "" if row.ratio is None else f"{row.ratio:.0f}x",
        str(row.bar or ""),
        {None: "", True: "yes", False: "NO"}[row.met],
        row.size,
        row.data,
        "" if row.peak_mb is None else f"{row.peak_mb:,.0f} MB",
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"


def _conditions() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("polars", "pandas", "numpy")},
        "cores": os.cpu_count(),
        "polars threads": os.environ.get("POLARS_MAX_THREADS", "default"),
    }
