"""Keep the results as one table: in JSON for programs, in Markdown for people, one file each, renewed after each case.

A case that is measured again replaces its rows; the others stay, each with its day and commit.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.registry import CASES, TOPIC_OF, TOPICS, Bar, Row

JSON, MARKDOWN = "results.json", "results.md"
HEADER = ("case", "ours", "baseline", "against", "ratio", "bar", "met?", "size", "data", "peak memory", "measured")
GROWTH = ("case", "sizes", "cost", "peak memory", "exponent", "in words")
ROOT = Path(__file__).resolve().parents[1]
RESULTS = "benchmarks/results"

Record = dict[str, Any]


def read(folder: Path) -> list[Record]:
    """The rows of a result folder; none where there is no result yet.

    Raises:
        RuntimeError: if the file is not one of results.
    """
    path = folder / JSON
    if not path.exists():
        return []
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return [dict(row) for row in stored["rows"] if row["name"]]
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"{path} must hold the results of benchmarks, found something else: remove it") from None


def records(name: str, rows: Sequence[Row], seconds: float, cpu: float) -> list[Record]:
    """Rows of a case, with its topic, wall and CPU seconds of the whole case, the day and the commit."""
    about = {
        "name": name,
        "topic": TOPIC_OF.get(name, TOPICS[-1]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "case_seconds": round(seconds, 1),
        "case_cpu_seconds": round(cpu, 1),
    }
    return [about | row.record() for row in rows]


def merged(stored: Sequence[Record], new: Sequence[Record], name: str) -> list[Record]:
    """All rows by topic and case, those of one case replaced."""
    kept = [row for row in stored if row["name"] != name] + list(new)
    places = {known: place for place, known in enumerate(CASES)}
    return sorted(kept, key=lambda row: (TOPICS.index(row["topic"]), places.get(row["name"], len(places))))


def write(rows: Sequence[Record], folder: Path) -> tuple[Path, Path]:
    """Write ``results.json`` and ``results.md``, each whole or not at all; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    about = conditions()
    text = json.dumps({"conditions": about, "rows": rows}, indent=1, default=float) + "\n"
    note = ", ".join(f"{name} {value}" for name, value in about.items())
    parts = [summary(rows), markdown(rows), growth(rows), f"Median CPU seconds where no other unit is said; {note}."]
    files = folder / JSON, folder / MARKDOWN
    for path, content in zip(files, (text, "\n\n".join(part for part in parts if part) + "\n"), strict=True):
        beside = path.with_suffix(path.suffix + ".part")
        beside.write_text(content, encoding="utf-8")
        beside.replace(path)
    return files


def summary(rows: Sequence[Record]) -> str:
    """How many bars are met, which are not, and what could not be measured, in a few lines."""
    judged = [row for row in rows if row["met"] is not None]
    missed = [row["case"] for row in judged if not row["met"]]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} bars met."]
    lines += [f"Missed: {'; '.join(missed)}."] if missed else []
    lines += [f"Not measured: {row['case']}: {row['problem']}." for row in rows if row["problem"]]
    return "\n".join(lines)


def markdown(rows: Sequence[Record]) -> str:
    """Format rows as Markdown tables with aligned columns, one a topic."""
    parts = []
    for topic in TOPICS:
        chosen = [_cells(row) for row in rows if row["topic"] == topic]
        parts += [f"## {topic.capitalize()}\n\n{table(HEADER, chosen)}"] if chosen else []
    return "\n\n".join(parts)


def growth(rows: Sequence[Record]) -> str:
    """How cost grows with size, a row for each case with several sizes."""
    chosen = [_growth_cells(row) for row in rows if len(row["points"]) > 1]
    return f"## How cost grows\n\n{table(GROWTH, chosen)}" if chosen else ""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    cells = [header, *rows]
    width = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = [" | ".join(cell.ljust(size) for cell, size in zip(line, width, strict=True)) for line in cells]
    return "\n".join(f"| {line} |" for line in (lines[0], " | ".join("-" * size for size in width), *lines[1:]))


def quantity(value: float, unit: str) -> str:
    """A value with its unit, in a readable size."""
    if unit == "s":
        return f"{value:,.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"
    digits = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def in_words(exponent: float) -> str:
    """What an exponent of growth means when the size is ten times as large."""
    return f"ten times the size costs {10**exponent:.3g} times as much"


def commit() -> str:
    """The commit that is measured, with a plus where the code differs from it; empty without Git."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "utils", "benchmarks", f":!{RESULTS}")
    except (OSError, subprocess.SubprocessError):
        return ""
    return name + ("+" if changed else "")


def _git(*arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)
    return run.stdout.strip()


def conditions() -> dict[str, Any]:
    """Machine and versions."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("polars", "pandas", "numpy")},
        "cores": os.cpu_count(),
        "polars threads": os.environ.get("POLARS_MAX_THREADS", "default"),
    }


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    bar = Bar(**row["bar"]) if row["bar"] else ""
    return (
        row["case"],
        "" if row["ours"] is None else quantity(row["ours"], row["unit"]),
        "" if row["baseline"] is None else quantity(row["baseline"], row["unit"]),
        row["against"],
        "" if row["ratio"] is None else _times(row["ratio"]),
        str(bar),
        "not measured" if row["problem"] else {None: "", True: "yes", False: "NO"}[row["met"]],
        row["size"],
        row["data"],
        "" if row["peak_mb"] is None else f"{row['peak_mb']:,.0f} MB",
        f"{row['date']} {row['commit']}".strip(),
    )


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def _growth_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    points, exponent = row["points"], row["exponent"]
    memory = [point["peak_mb"] for point in points]
    return (
        row["case"],
        ", ".join(f"{point['size']:,.0f}" for point in points),
        ", ".join(quantity(point["value"], row["unit"]) for point in points),
        "" if None in memory else ", ".join(f"{peak:,.0f}" for peak in memory) + " MB",
        "" if exponent is None else f"{exponent:.2f}",
        "" if exponent is None or row["unit"] != "s" else in_words(exponent),
    )
