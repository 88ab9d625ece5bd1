"""The table of results in README.md, written from the store between two marks.

Every number comes from the store. Words that no run records (what the evidence is, what the audit found in words) are
those of the table that stands there already; for a new data set they are empty until somebody writes them.
"""

import contextlib
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from utils.errors import DataError
from utils.leaderboard import stages
from utils.leaderboard.board import Leaderboard

BEGIN = "<!-- results: written by `python -m utils.leaderboard readme` from the store -->"
END = "<!-- end of results -->"
NOTHING = "–"
LEFT_OUT = {"by new kinds": "; by kinds left out", "by look-alikes": "; by look-alikes"}
"""What is said of a threshold that was not chosen by F1, by the beginning of its description."""

_ROW = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<evidence>[^|]*) \|[^|]*\|[^|]*\| (?P<found>[^|]*) \|", re.MULTILINE)
_FOUND = re.compile(r"\d+ high, \d+ open(?:: (?P<words>.*))?")
_SPAN = re.compile(f"{re.escape(BEGIN)}\n(?P<table>.*?){re.escape(END)}", re.DOTALL)

Row = Mapping[str, Any]


class Words(NamedTuple):
    """What people wrote about a data set: what its evidence is, and what the audit found in it."""

    evidence: str = ""
    found: str = ""


def update(file: Path, board: Leaderboard) -> bool:
    """Write the table into a README; complete or not at all.

    Args:
        file: a text with the marks :data:`BEGIN` and :data:`END`, each on a line of its own.
        board: the leaderboard.

    Returns:
        Whether anything has changed.

    Raises:
        DataError: if the file cannot be read or written or lacks the marks, or the store holds no results.
    """
    try:
        before = file.read_text(encoding="utf-8")
        after = replaced(before, board)
        if after != before:
            _write(file, after)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DataError(f"{file} cannot be read and written ({said}): check the path and its rights") from error
    return after != before


def replaced(text: str, board: Leaderboard) -> str:
    """Return the text of a README with the table made again.

    Raises:
        DataError: if the text lacks the marks, or the store holds no results.
    """
    found = _SPAN.search(text)
    if found is None:
        raise DataError(
            f"the README must hold the lines {BEGIN} and {END}, found none: write them where the table goes"
        )
    if board.note:
        raise DataError(f"the table of results cannot be made: {board.note}")
    return f"{text[: found.start('table')]}{table(board, words_of(found['table']))}{text[found.end('table') :]}"


def words_of(table: str) -> dict[str, Words]:
    """Read what people wrote in a table, by data set."""
    return {
        row["name"]: Words(row["evidence"].strip(), (told["words"] or "") if told else "")
        for row in _ROW.finditer(table)
        for told in [_FOUND.match(row["found"].strip())]
    }


def table(board: Leaderboard, words: Mapping[str, Words]) -> str:
    """Write the results as a Markdown table, one line a data set.

    Args:
        board: the leaderboard.
        words: what people wrote, by data set.
    """
    best = _of_one_table(board.best)
    data = {row["data_set"]: row for row in board.data.iter_rows(named=True)}
    names = list(dict.fromkeys([*data, *(name for name, _ in best)]))
    columns = ["one rule: F1", "no labels: best AUC", "with labels: F1"]
    graphs = any(kind == stages.GRAPHS for _, kind in best)
    head = ["data set", "evidence", "rows", "anomalies", "what the audit found", *columns, *["host graphs"] * graphs]
    lines = [_line(head), "|---|---|--:|--:|---|" + "---|" * (len(head) - 5)]
    for name in names:
        reached = {kind: row for (owner, kind), row in best.items() if owner == name}
        cells = [rule_cell(reached), unlabelled_cell(reached), labelled_cell(reached), graphs_cell(reached)]
        lines.append(
            _line([f"`{name}`", *_data_cells(data.get(name, {}), words.get(name, Words())), *cells[: 3 + graphs]])
        )
    return "\n".join(lines) + "\n"


def _of_one_table(best: pl.DataFrame) -> dict[tuple[str, str], Row]:
    """Rows by data set and kind: of the table with most kinds, so that one line speaks of one table; graphs beside."""
    graphs = pl.col("kind").is_in([stages.GRAPHS, stages.GRAPHS_LABELLED])
    kinds = best.filter(~graphs).group_by("data_set", "table", maintain_order=True).agg(pl.len().alias("n"))
    chosen = kinds.sort("n", descending=True, maintain_order=True).unique("data_set", keep="first", maintain_order=True)
    shown = best.filter(
        pl.struct("data_set", "table").is_in(chosen.select(pl.struct("data_set", "table")).to_series().implode())
        | graphs
    )
    found: dict[tuple[str, str], Row] = {}
    for row in shown.iter_rows(named=True):
        found.setdefault((row["data_set"], row["kind"]), row)
    return found


def rule_cell(reached: Mapping[str, Row]) -> str:
    """What one rule reaches: F1 with its interval, or over draws of the training part, and the rule."""
    row = reached.get(stages.RULE)
    if row is None:
        return NOTHING
    return f"{_over_draws(row) or _value(row, 'f1')} `{row['method']}`"


def unlabelled_cell(reached: Mapping[str, Row]) -> str:
    """What is found without labels: the best AUC, or for sessions of logs F1."""
    row = reached.get(stages.UNLABELLED)
    if row is not None:
        return f"{_value(row, 'auc')} {row['method']}"
    row = reached.get(stages.SEQUENCES)
    if row is None:
        return NOTHING
    return "; ".join(filter(None, [f"F1 {_value(row, 'f1')} {row['method']}", _over_draws(row)]))


def labelled_cell(reached: Mapping[str, Row]) -> str:
    """What the champion reaches with labels, at how many false alarms; for sessions of logs the strictest splits."""
    row = reached.get(stages.LABELLED)
    if row is not None:
        alarms = "" if row["alarms"] is None else f", {row['alarms']:.0f} false alarms in 1,000"
        chosen = (said for rule, said in LEFT_OUT.items() if str(row["threshold"]).startswith(rule))
        return f"{_value(row, 'f1')}{alarms}{next(chosen, '')}"
    row = reached.get(stages.SEQUENCES_LABELLED)
    return NOTHING if row is None else f"{_value(row, 'f1')} {row['method']}, {row['protocol']}"


def graphs_cell(reached: Mapping[str, Row]) -> str:
    """What the graph of hosts reaches."""
    row = reached.get(stages.GRAPHS)
    if row is None:
        return NOTHING
    metric = "f1" if row["f1"] is not None else "auc"
    return f"{'AUC' if metric == 'auc' else 'F1'} {_value(row, metric)} {row['method']}"


def _data_cells(row: Row, words: Words) -> list[str]:
    """Evidence, rows, share of anomalies and findings."""
    if not row:
        return [words.evidence or NOTHING, *[NOTHING] * 3]
    rows = NOTHING if row["rows"] is None else f"{row['rows']:,.0f}{' (simulated)' * (row['source'] == 'simulated')}"
    share = NOTHING if row["anomaly_share"] is None else f"{100 * row['anomaly_share']:.1f} %"
    if row["findings_high"] is None or row["findings_high_open"] is None:
        return [words.evidence or NOTHING, rows, share, NOTHING]
    found = f"{row['findings_high']:.0f} high, {row['findings_high_open']:.0f} open"
    return [words.evidence or NOTHING, rows, share, f"{found}: {words.found}" if words.found else found]


def _over_draws(row: Row) -> str:
    """Mean F1 over draws of the training part, and the worst of them."""
    if row["mean"] is None or row["worst"] is None:
        return ""
    return f"{digits(row['mean'])} over draws, worst {digits(row['worst'])}"


def _value(row: Row, metric: str) -> str:
    value, low, high = (row[f"{metric}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return NOTHING
    return digits(value) if low is None or high is None else f"{digits(value)} [{digits(low)}, {digits(high)}]"


def digits(value: float) -> str:
    """Write a share with three digits and without its zero: ``.919``."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(re.sub(r'[|]', '/', cell) for cell in cells)} |"


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
