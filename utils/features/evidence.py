"""What can be shown about features: which carry signal, what became of columns, how much work distinct things save.

Everything here returns tables or selections for a reader; nothing is fitted for a model. Whatever needs labels is
measured on training rows.
"""

import contextlib
from collections.abc import Iterator, Mapping

import polars as pl

from utils import settings
from utils.datasets import sessions
from utils.datasets.contract import Dataset, Roles
from utils.errors import DataError
from utils.features import call_graph, log_sessions, log_templates, selection, tables, web_events
from utils.features.flows import FlowFeatures
from utils.features.selection import Selection, Stability
from utils.features.tables import Table, weight_column, weight_of
from utils.features.tables.graphs import BEHAVIORS, EDGES, GRAPHS, ID
from utils.features.tables.sequences import BLOCKS, EVENTS, LINE_IDS, LINES

WINDOW = 10
TRAIN = "train"


def learnable(processed: Mapping[str, Dataset]) -> Iterator[tuple[Table, pl.DataFrame, Roles, list[str]]]:
    """Go through all tables with features.

    Args:
        processed: processed data sets by name.

    Yields:
        Data set and table, its training rows, what the columns mean, and the features that are no free text.
    """
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            roles = dataset.roles[table]
            features = tables.measurable(frame, roles)
            if features:
                yield (name, table), _training(frame, roles), roles, features


def choices(processed: Mapping[str, Dataset], *, seed: int = settings.SEED) -> dict[Table, Selection]:
    """Choose features of every table, on its training rows.

    Args:
        processed: processed data sets by name.
        seed: of the cross-validation.

    Returns:
        By data set and table; where training has one class only, no feature is judged by the label.
    """
    return {
        table: selection.select(rows, _two_classes(rows, roles), features, weight=weight_column(roles), seed=seed)
        for table, rows, roles, features in learnable(processed)
    }


def stabilities(
    processed: Mapping[str, Dataset], *, resamples: int, seed: int = settings.SEED
) -> dict[Table, Stability]:
    """Measure for every table with two classes in training whether other rows would choose the same features.

    Args:
        processed: processed data sets by name.
        resamples: bootstrap resamples.
        seed: of the resamples.
    """
    return {
        table: selection.stability(rows, label, features, resamples=resamples, seed=seed, weight=weight_column(roles))
        for table, rows, roles, features in learnable(processed)
        if (label := _two_classes(rows, roles))
    }


def verdicts(chosen: Mapping[Table, Selection]) -> pl.DataFrame:
    """Count the features of each table by what became of them.

    Returns:
        One row a table: ``data set``, ``table``, ``features``, then one column for each verdict, and ``strongest``, the
        feature with the highest area under the ROC curve alone.
    """
    rows = []
    for (name, table), choice in chosen.items():
        counts = choice.table["verdict"].value_counts()
        strongest = choice.table.filter(pl.col("auc").is_not_null()).sort("auc", descending=True).head(1)
        text = f"{strongest['feature'][0]} ({strongest['auc'][0]:.3f})" if strongest.height else "no label in training"
        found = dict(counts.iter_rows())
        named = {verdict: found.get(verdict, 0) for verdict in selection.VERDICTS}
        rows.append({"data set": name, "table": table, "features": choice.table.height, **named, "strongest": text})
    return pl.DataFrame(rows)


def treatments(processed: Mapping[str, Dataset]) -> pl.DataFrame:
    """What the transformer of typed columns decides on training rows: kind, logarithm, categories, missing values.

    Args:
        processed: processed data sets by name; tables that are no typed rows (graphs, texts, sessions) are left out,
            and so are those of which no column varies in training.
    """
    reports = []
    for (name, table), rows, _, features in learnable(processed):
        if table not in typed_tables(processed[name]):
            continue
        with contextlib.suppress(DataError):
            fitted = FlowFeatures(columns=features).fit(rows)
            reports.append(fitted.report_.select(pl.lit(name).alias("data set"), pl.all()))
    return pl.concat(reports, how="diagonal_relaxed") if reports else pl.DataFrame()


def typed_tables(dataset: Dataset) -> list[str]:
    """Tables of a processed data set whose rows are typed columns and nothing else."""
    return [
        table
        for table, roles in dataset.roles.items()
        if roles.features and table != GRAPHS and not roles.sequence and not tables.texts_of(dataset[table], roles)
    ]


def heaviest_tail(table: Table, rows: pl.DataFrame, treated: pl.DataFrame) -> str | None:
    """Name the feature that a logarithm changes most.

    Args:
        table: data set and table.
        rows: its training rows.
        treated: what :func:`treatments` found.

    Returns:
        Of the features that get a logarithm, the one of the highest skewness; nothing if none gets one.
    """
    if treated.is_empty():
        return None
    logged = treated.filter((pl.col("data set") == table[0]) & (pl.col("logarithm") != ""))["column"].to_list()
    known = {name: rows[name].skew() or 0.0 for name in logged if name in rows.columns}
    return max(known, key=lambda name: known[name], default=None)


def results(
    name: str, made: Dataset, chosen: Mapping[Table, Selection], stable: Mapping[Table, Stability]
) -> dict[str, float]:
    """Numbers of one data set for the record of a run: tables, rows, features by verdict, stability of the choice."""
    own = {table: choice for (owner, table), choice in chosen.items() if owner == name}
    found = {"tables": float(len(made.frames)), "rows": float(sum(frame.height for frame in made.frames.values()))}
    for table, choice in own.items():
        found |= {f"{table}_features": float(choice.table.height), f"{table}_kept": float(len(choice.kept))}
        strongest = choice.table["auc"].max() if choice.table["auc"].count() else None
        found |= {f"{table}_best_single_auc": float(strongest)} if isinstance(strongest, float) else {}
    return found | {f"{table}_stability": each.index for (owner, table), each in stable.items() if owner == name}


def degrees_by_counting(dataset: Dataset, processed: Dataset) -> pl.DataFrame:
    """Compare global degrees counted over training graphs with those counted over all graphs, test graphs included.

    Args:
        dataset: call graphs with their edges.
        processed: its tables.

    Returns:
        One row a feature: ``training graphs`` and ``all graphs`` (medians over the test graphs), ``ratio`` (median of
        the ratios), ``rank correlation`` (Spearman, test graphs); no row where the edges are not at hand, or no graph
        is for the test.
    """
    if EDGES not in dataset.frames or GRAPHS not in processed.frames:
        return pl.DataFrame()
    tested = processed[GRAPHS][processed.roles[GRAPHS].split or "split"] == "test"
    names = [name for name in processed.roles[GRAPHS].features if name in call_graph.GLOBAL]
    if not names or not tested.any():
        return pl.DataFrame()
    counted = call_graph.CallGraphFeatures(features=tuple(names), degrees="transductive").fit(dataset[EDGES])
    everywhere = counted.describe(dataset[EDGES], ids=dataset[BEHAVIORS][ID]).filter(tested).drop(ID)
    training = processed[GRAPHS].filter(tested).select(names)
    return pl.DataFrame([_compared(name, training[name], everywhere[name]) for name in names])


def damages(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Count damaged rows of web events by column and kind of damage.

    Args:
        data: data sets by name; those without web events give no row.
    """
    found = [
        web_events.damage(dataset["events"]).select(pl.lit(name).alias("data set"), pl.all())
        for name, dataset in data.items()
        if "events" in dataset.frames and "MATCHED_VARIABLE_VALUE" in dataset["events"].columns
    ]
    return pl.concat(found) if found else pl.DataFrame()


def parsing(data: Mapping[str, Dataset], processed: Mapping[str, Dataset]) -> pl.DataFrame:
    """How raw lines became templates, and how well these agree with published event types where there are some.

    Returns:
        One row a data set with raw lines: ``data set``, ``lines`` (those in sessions), ``templates``, ``unseen`` (share
        of the lines of test sessions whose statement training did not have), ``grouping accuracy``, ``true templates``.
    """
    rows = []
    for name, made in processed.items():
        if "templates" in made.frames:
            rows.append({"data set": name, **_parsed(data[name], made)})
    return pl.DataFrame(rows)


def reductions(processed: Mapping[str, Dataset]) -> pl.DataFrame:
    """How many sessions and windows are distinct: what is worked on once and counted many times.

    Returns:
        One row a table of sessions: ``sessions``, ``distinct sessions``, ``windows`` (of ten events, with begin and end
        of the session), ``distinct windows``, and the two ratios.
    """
    rows = []
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            if dataset.roles[table].sequence == EVENTS and frame.height:
                rows.append({"data set": name, "table": table, **_reduced(frame, dataset.roles[table])})
    return pl.DataFrame(rows)


def _training(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Training rows of a table; all rows where there are no sides."""
    return frame.filter(pl.col(roles.split) == TRAIN) if roles.split else frame


def _two_classes(rows: pl.DataFrame, roles: Roles) -> str | None:
    known = rows[roles.label].drop_nulls().n_unique() if roles.label else 0
    return roles.label if known == 2 else None


def _compared(name: str, training: pl.Series, everywhere: pl.Series) -> dict[str, object]:
    both = pl.DataFrame({"training": training, "all": everywhere}).drop_nulls()
    return {
        "feature": name,
        "training graphs": both["training"].median(),
        "all graphs": both["all"].median(),
        "ratio": (both["training"] / both["all"]).median(),
        "rank correlation": both.select(pl.corr("training", "all", method="spearman")).item(),
    }


def _parsed(dataset: Dataset, made: Dataset) -> dict[str, object]:
    table = BLOCKS if BLOCKS in made.frames else "sessions"
    frame, lines = made[table], dataset[LINES]
    flat = frame.select("split", EVENTS, LINE_IDS).explode(EVENTS, LINE_IDS).drop_nulls(LINE_IDS)
    unseen = flat.join(made["templates"].filter(~pl.col("known")), left_on=EVENTS, right_on="template_id", how="semi")
    found: dict[str, object] = {
        "lines": flat[LINE_IDS].n_unique(),
        "templates": made["templates"].height,
        "unseen": unseen.filter(split="test").height / max(flat.filter(split="test").height, 1),
    }
    if "EventId" not in lines.columns:
        return found | {"grouping accuracy": None, "true templates": None}
    known = flat.unique(LINE_IDS).join(lines, left_on=LINE_IDS, right_on="LineId", how="left")
    measured = log_templates.agreement(known["EventId"], known[EVENTS])
    return found | {"grouping accuracy": measured.grouping, "true templates": measured.true_groups}


def _reduced(frame: pl.DataFrame, roles: Roles) -> dict[str, object]:
    vocabulary = log_sessions.Vocabulary.fit(frame[EVENTS])
    sequences = log_sessions.encode(frame[EVENTS], vocabulary)
    each, weight = (frame[EVENTS].list.len() + 1).cast(pl.Int64), weight_of(frame, roles)
    distinct = sessions.distinct_sequences(frame, EVENTS).table.height
    windows = len(log_sessions.distinct_windows(log_sessions.windows(sequences, WINDOW)).counts)
    every = frame.height if weight is None else int(weight.sum())
    cut = int((each if weight is None else each * weight.cast(pl.Int64)).sum())
    return {
        "sessions": every,
        "distinct sessions": distinct,
        "sessions, times fewer": every / max(distinct, 1),
        "windows": cut,
        "distinct windows": windows,
        "windows, times fewer": cut / max(windows, 1),
    }
