"""Processed tables of sessions: event counts and lengths; sessions of raw lines by way of their templates."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from scipy import sparse

from utils.datasets import hdfs, sessions
from utils.datasets.contract import Dataset, Defect, Roles
from utils.features import log_sessions
from utils.features.log_templates import LogTemplates
from utils.features.tables.keys import WEIGHT, Part, divided, keys, part, training, weight_of, widened, without_answers

EVENTS, LINE_IDS, FIRST_LINE = "events", "line_ids", "first_line"
LINES, SESSIONS, BLOCKS, SEQUENCES, TEMPLATES = "lines", "sessions", "blocks", "sequences", "templates"
DURATION = "duration_s"
MOST_EVENTS = 200
LONGEST_NOTE = 120
WITHHELD = {
    EVENTS: "the sequence",
    LINE_IDS: "numbers of the lines, so that an alarm leads back to them",
    WEIGHT: "how many sessions have this sequence: the weight of the row",
}
TEMPLATE_COLUMNS = {
    "template": "for people to read",
    "n_lines": "how many lines are of this template",
    "known": "whether a training line is of this template",
}


def build(dataset: Dataset, seed: int) -> Iterator[tuple[str, Part]]:
    """Make the tables of sessions that the frames of a data set allow.

    Args:
        dataset: with distinct ``sequences``, raw ``lines`` or sessions of ``events``; others give no table.
        seed: of the division into training and test, where sessions have no order.

    Yields:
        ``sequences`` (one row for each distinct sequence, label and side, with the number of its sessions), the
        sessions of raw lines under the name of their frame and the ``templates`` of these lines, or ``sessions`` of
        events.
    """
    if SEQUENCES in dataset.frames:
        yield SEQUENCES, _distinct(dataset)
    if LINES in dataset.frames and (SESSIONS in dataset.frames or BLOCKS in dataset.frames):
        yield from _of_lines(dataset, seed)
    elif SESSIONS in dataset.frames and dataset.roles[SESSIONS].sequence == EVENTS:
        frame, roles = dataset[SESSIONS], dataset.roles[SESSIONS]
        made = _withheld(keys(frame, roles), frame.select(EVENTS), roles)
        made = divided(widened(made, _lasting(frame, roles)), seed, frame[FIRST_LINE])
        yield SESSIONS, counted(made)


def counted(made: Part) -> Part:
    """Add lengths and counts of the events of training to a divided table with a column ``events``.

    The most frequent events of training have a column each, ``count_<event>``; the rest share ``other_events``, and
    events that training did not have ``unseen_events``. None is dropped for being constant: training may be all normal.
    """
    fitted = log_sessions.SessionCounts().fit(made.frame.filter(training(made)))
    counts = fitted.transform(made.frame)
    names = fitted.get_feature_names_out()
    known = np.arange(len(names) - 1)
    frequent = np.sort(known[np.argsort(-_in_training(made, counts)[:-1], kind="stable")][:MOST_EVENTS])
    columns = {str(names[place]): _whole(counts[:, [place]]) for place in frequent}
    rest = np.setdiff1d(known, frequent)
    if rest.size:
        columns["other_events"] = _whole(counts[:, rest])
    columns["unseen_events"] = _whole(counts[:, [-1]])
    sizes = made.frame.select(n_events=pl.col(EVENTS).list.len(), n_event_types=pl.col(EVENTS).list.n_unique())
    made = widened(made, sizes.hstack(pl.DataFrame(columns)))
    withheld = {name: why for name, why in made.roles.withheld.items() if name != EVENTS}
    return without_answers(made._replace(roles=replace(made.roles, sequence=EVENTS, withheld=withheld)))


def _distinct(dataset: Dataset) -> Part:
    """Reduce sessions that hold the number of their sequence to distinct rows."""
    found, roles = dataset[SESSIONS], dataset.roles[SESSIONS]
    kept = [name for name in (roles.label, roles.anomaly_type, roles.split) if name]
    rows = found.group_by(hdfs.SEQUENCE_ID, *kept, maintain_order=True).agg(pl.len().alias(WEIGHT))
    joined = rows.join(dataset[SEQUENCES], on=hdfs.SEQUENCE_ID, how="left", maintain_order="left")
    return counted(_withheld(keys(joined, roles), joined.select(EVENTS, WEIGHT), roles, "distinct sequence"))


def _of_lines(dataset: Dataset, seed: int) -> Iterator[tuple[str, Part]]:
    name = BLOCKS if BLOCKS in dataset.frames else SESSIONS
    found, lines, roles = dataset[name], dataset[LINES], dataset.roles[name]
    text, order = ("Content", "LineId") if "Content" in lines.columns else ("content", "line_id")
    numbers = found[LINE_IDS] if LINE_IDS in found.columns else _numbers(found, lines, text, order)
    made = widened(_withheld(keys(found, roles), numbers.to_frame(), roles), _lasting(found, roles))
    made = divided(made, seed, found[FIRST_LINE] if FIRST_LINE in found.columns else None)
    places = lines[order].search_sorted(numbers.explode(empty_as_null=False))
    learned = pl.Series(training(made)).repeat_by(numbers.list.len()).explode(empty_as_null=False)
    parser = LogTemplates().fit(lines[text].gather(places.filter(learned).unique().sort()))
    read = parser.transform(lines[text])
    offsets = np.concatenate([[0], np.cumsum(numbers.list.len().to_numpy())])
    events = log_sessions.list_column(read["template_id"].gather(places), offsets, EVENTS)
    templates = _templates(read)
    counts = counted(widened(made, events.to_frame(), {EVENTS: WITHHELD[EVENTS]}))
    yield name, _noted(counts._replace(defects=(*counts.defects, *_alike(templates.frame))), templates.frame)
    yield TEMPLATES, templates


def _alike(templates: pl.DataFrame) -> tuple[Defect, ...]:
    """Tell that all lines of a log have one template, so that their number is all that counts say."""
    if templates.height != 1 or templates["n_lines"][0] < 2:
        return ()
    handling = "sessions differ in length and time only; read the file as events or as a table to use its fields"
    return (Defect(f"lines that all look like {templates['template'][0][:60]}", templates["n_lines"][0], handling),)


def _noted(made: Part, templates: pl.DataFrame) -> Part:
    """Say for each count of a template what its lines look like."""
    texts = {f"count_{name}": text for name, text in templates.select("template_id", "template").iter_rows()}
    notes = {name: f"lines such as {texts[name][:LONGEST_NOTE]}" for name in made.roles.features if name in texts}
    return made._replace(roles=replace(made.roles, notes=notes))


def _lasting(found: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """How long each session took, where that is known."""
    return found.select(name for name in (DURATION,) if name in roles.features)


def _numbers(blocks: pl.DataFrame, lines: pl.DataFrame, text: str, order: str) -> pl.Series:
    """Numbers of the lines of each block, in their order."""
    grouped = sessions.by_identifier(lines, hdfs.BLOCK_PATTERN, text=text, order=order, event=order)
    named = grouped.select(pl.col(sessions.SESSION).alias("BlockId"), pl.col(EVENTS).alias(LINE_IDS))
    return blocks.join(named, on="BlockId", how="left", maintain_order="left")[LINE_IDS]


def _templates(read: pl.DataFrame) -> Part:
    """One row a template that occurs: how many lines have it, and whether training had it."""
    found = read.group_by("template_id", maintain_order=True).agg(
        pl.col("template").first(), n_lines=pl.len(), known=pl.col("known").first()
    )
    return Part(found, Roles(unit="template", identity=("template_id",), withheld=TEMPLATE_COLUMNS))


def _withheld(kept: pl.DataFrame, columns: pl.DataFrame, roles: Roles, unit: str = "") -> Part:
    return part(kept, columns, roles, {name: WITHHELD[name] for name in columns.columns}, unit)


def _in_training(made: Part, counts: sparse.csr_matrix) -> np.ndarray:
    """How often each event occurs in training, counted once for each session."""
    learned, weight = training(made).cast(pl.Float64), weight_of(made.frame, made.roles)
    return np.asarray((counts > 0).T @ (learned if weight is None else learned * weight).to_numpy())


def _whole(counts: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(counts.sum(axis=1)).ravel().astype(np.int32)
