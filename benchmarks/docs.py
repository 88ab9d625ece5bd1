"""Write what was measured, and what follows from it, between the markers of ``docs/scaling.md``."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plan
from benchmarks.registry import Row, from_record, power_law
from benchmarks.report import quantity, table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- measured: {} -->", "<!-- end of measured -->"
STAGE = (
    "stage", "largest measured", "CPU", "a second and core", "peak memory", "exponent", "an hour, one core", "in 16 GB",
)  # fmt: skip
HOUR, MEMORY_MB = 3_600, 16_000
CONSTANT = 1.05
"""Growth of memory between the two largest sizes that counts as none."""

Records = Sequence[Mapping[str, Any]]


def renew(records: Records, page: Path = PAGE) -> Path:
    """Write every section of the page anew.

    Raises:
        RuntimeError: if a marker or a result is missing; the page is as before.
    """
    page.write_text(written(records, page.read_text(encoding="utf-8")), encoding="utf-8")
    return page


def written(records: Records, text: str) -> str:
    """The text of the page with its sections from these results.

    Raises:
        RuntimeError: if a marker or a result is missing.
    """
    for name, section in SECTIONS.items():
        begin = BEGIN.format(name)
        pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(END)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise RuntimeError(f"the page must have one section from {begin!r} to {END!r}: put it back")
        replacement = f"{begin}\n{section(records)}\n{END}"
        text = pattern.sub(lambda _, new=replacement: new, text)
    return text


def one_machine(records: Records) -> str:
    """What one core and one machine do with each stage: measured, and continued by its growth to an hour and 16 GB."""
    return table(STAGE, [_stage(row) for row in _growing(records) if row.unit == "s"])


def growth_by_size(records: Records) -> str:
    """Cost and memory at each size."""
    rows = [(row, point) for row in _growing(records) for point in row.points]
    cells = [
        (row.case, f"{point.size:,.0f}", quantity(point.value, row.unit),
         "" if point.peak_mb is None else f"{point.peak_mb:,.0f} MB")
        for row, point in rows
    ]  # fmt: skip
    return table(("stage", "size", "cost", "peak memory"), cells)


def assumed(_: Records) -> str:
    """The assumptions of the plan."""
    return table(("assumption", "value"), [(what, _short(value)) for what, value in plan.assumptions(plan.Assumed())])


def taken(records: Records) -> str:
    """The measured numbers that the plan uses."""
    known = plan.measured(records)
    rows = [
        ("a raw line to its place in a session, through parts on disk", quantity(known.line * 1e6, "µs")),
        ("the score of a session", quantity(known.session * 1e6, "µs")),
        ("the answer to one event over HTTP, dearest model", quantity(known.request * 1e6, "µs")),
        ("an epoch of a network on distinct windows", quantity(known.epoch, "s")),
        ("a raw line", quantity(known.raw_bytes, "bytes")),
        ("a raw line, gzip", quantity(known.gzip_bytes, "bytes")),
        ("a parsed line, Parquet", quantity(known.parsed_bytes, "bytes")),
        ("a session, Parquet", quantity(known.session_bytes, "bytes")),
        ("lines of a session", f"{known.lines:.3g}"),
        ("distinct among n sessions", f"{known.distinct[0]:.3g} x n ^ {known.distinct[1]:.3f}"),
    ]
    return table(("measured, CPU of one core", "value"), rows)


def planned(records: Records) -> str:
    """What the stream needs."""
    found = plan.needs(plan.measured(records), plan.Assumed())
    return table(("what", "how much", "how it is computed"), [(one.what, _amount(one), one.how) for one in found])


def breaking(records: Records) -> str:
    """What ends first."""
    found = plan.limits(plan.measured(records), plan.Assumed())
    header = ("what ends", "at events a second, mean of a day", "what is done then")
    return table(header, [(one.what, _short(one.events), one.remedy) for one in found])


def bars(records: Records) -> str:
    """How many of the speed bars are met."""
    judged = [record for record in records if record["met"] is not None]
    missed = [f"{record['case']}" for record in judged if not record["met"]]
    absent = sum(bool(record["problem"]) for record in records)
    tail = (f"; missed: {', '.join(missed)}" if missed else "") + (
        f"; {absent} rows could not be measured" if absent else ""
    )
    return f"{len(judged) - len(missed)} of {len(judged)} speed bars are met{tail}."


SECTIONS: dict[str, Callable[[Records], str]] = {
    "bars": bars,
    "one machine": one_machine,
    "growth": growth_by_size,
    "assumptions": assumed,
    "taken": taken,
    "needs": planned,
    "limits": breaking,
}


def _growing(records: Records) -> list[Row]:
    """Rows with three sizes or more.

    Raises:
        RuntimeError: if there is none.
    """
    rows = [
        from_record(record) for record in records if len(record["points"]) >= 3 and record["unit"] in ("s", "distinct")
    ]
    if not rows:
        raise RuntimeError("the page needs results of growth, found none: run python -m benchmarks")
    return rows


def _stage(row: Row) -> tuple[str, ...]:
    last = row.points[-1]
    return (
        row.case,
        row.size,
        quantity(last.value, row.unit),
        _short(last.size / last.value),
        "" if last.peak_mb is None else f"{last.peak_mb:,.0f} MB",
        f"{row.exponent:.2f}",
        _short(_reached(row, HOUR)),
        _held(row),
    )


def _reached(row: Row, seconds: float) -> float:
    """Size that a core reaches in so many seconds, if cost grows on as it did, but at least in proportion."""
    last, slope = row.points[-1], max(power_law(row.points)[1], 1.0)
    return float(last.size * (seconds / last.value) ** (1 / slope))


def _held(row: Row) -> str:
    """Size that fits into memory, if memory grows on as between the two largest sizes."""
    before, last = row.points[-2:]
    if before.peak_mb is None or last.peak_mb is None:
        return ""
    if last.peak_mb < CONSTANT * before.peak_mb:
        return "any size"
    a_megabyte = (last.size - before.size) / (last.peak_mb - before.peak_mb)
    return _short(last.size + (MEMORY_MB - last.peak_mb) * a_megabyte)


def _amount(one: plan.Need) -> str:
    value = _short(one.value)
    return f"$ {value}" if one.unit == "$" else f"{value} {one.unit}".strip()


def _short(value: float) -> str:
    """Three digits, with a word for thousands and more."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:,.3g} {word}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
