"""Checks of single columns and small sets of them: A001, A002, A006 (by its documentation), A007, A010 and A013."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from utils.audit import strength
from utils.audit.finding import Finding, Severity, percent
from utils.audit.strength import Strength, Target
from utils.datasets.dtypes import is_ordered, is_text
from utils.datasets.identity import identity_kind, words
from utils.features.target_encoding import Codes, codes

SUSPICIOUS_AUC = 0.98
"""A column that reaches this alone must be explained; good measurements (bytes sent, NSL-KDD: 0.97) stay below."""

LEAKING_AUC = 0.99
"""One column that misorders less than one pair in a hundred is all but the label."""

IDENTITY_LEAKING = 0.97
"""AUC of an identity alone: an address has no business in telling attacks, so the bar is lower."""

IDENTITY_TELLING = 0.75
"""Balanced accuracy from which an identity is worth a finding of its own."""

YEAR_FIRST = r"^\d{4}-\d{2}-\d{2}"
"""Times that are written so sort as texts do."""

NULL_HEAVY = 0.5
"""Share of missing values above which a column says more about its collection than about its subject."""

ROWS_A_VALUE = 20
"""A rule counts as a rule only if it has this many rows for each value it distinguishes."""

ANOMALIES_A_VALUE = 5
PAIR_VALUES = 50
PAIR_COLUMNS = 30
"""Columns with few values of which pairs are tried; the cost grows with the square."""

LABEL_NAME = re.compile(
    r"(is_?)?(label|class|classification|target|attack|anomaly|anomalous|outlier|verdict|difficulty|malicious"
    r"|ground_?truth)(e?s)?([_ ](type|name|category|class|label|level|id))?|attempted[_ ]category",
    re.IGNORECASE,
)
LABEL_REASON = re.compile(
    r"saw the (labels?|answers?)|(made|derived|computed|taken|comes?) from the labels?|belongs to the label"
    r"|^(is|names|holds|gives|carries) the (label|class|attack|answer)\b(?!:)|another (form|name) of the label",
    re.IGNORECASE,
)
"""Reasons such as "is the label: 1 for every outlier" tell how the label was made from a column, not the reverse."""
TRANSDUCTIVE = re.compile(
    r"transductive|over all (graphs|rows|sessions)|whole file|train(ing)? and test (rows )?together", re.IGNORECASE
)
CLUSTER_NAME = re.compile(r"clusters?|cluster[_ ]?(id|label|no)|segment|communit(y|ies)", re.IGNORECASE)
IDENTITY_REMEDY = "Keep it out of the features; use it only to group rows or to put them in order."


def single_feature_separates(frame: pl.DataFrame, label: str, columns: Iterable[str]) -> list[Finding]:
    """A001: find columns that alone tell the classes apart too well to be true.

    The strength is the out-of-fold AUC of :mod:`utils.audit.strength`; missing values count as a value. Below
    ``SUSPICIOUS_AUC`` a column is merely good; from ``LEAKING_AUC`` on it is all but the label.

    Args:
        frame: any table; rows without a label are left out.
        label: Boolean column.
        columns: columns to look at.

    Returns:
        One finding for each such column.

    Source:
        Kaufman et al., "Leakage in Data Mining", TKDD 2012; Arp et al., "Dos and Don'ts of Machine Learning in Computer
        Security", USENIX Security 2022 (spurious correlations).
    """
    rows, on = _labelled(frame, label)
    if not on.usable:
        return []
    found = ((name, strength.measure(rows[name], on)) for name in _known(rows, columns, label))
    return [_separating(name, measured, on) for name, measured in found if measured.auc >= SUSPICIOUS_AUC]


def identity_columns(
    frame: pl.DataFrame, label: str | None, columns: Iterable[str], declared: Iterable[str] = ()
) -> list[Finding]:
    """A002: find identities, addresses, ports and times, and how well each alone tells the class.

    A column counts if it is declared, or by its name, type or content (:mod:`utils.datasets.identity`). High from an
    AUC of ``IDENTITY_LEAKING`` on; columns that tell little are put together in one finding of severity low.

    Args:
        frame: any table.
        label: Boolean column, ``None`` where there is none.
        columns: columns to look at.
        declared: those of them that are known to be identities or times.

    Returns:
        One finding for each telling column, and one for all the others together.

    Source:
        D'hooge et al., "Establishing the Contaminating Effect of Metadata Feature Inclusion in Machine-Learned Network
        Intrusion Detection Models", DIMVA 2022; Arp et al. 2022.
    """
    known = set(declared)
    names = _known(frame, columns, label)
    whys = {name: "by its role" if name in known else identity_kind(frame[name]) for name in names}
    suspects = {name: why for name, why in whys.items() if why}
    rows, on = _labelled(frame, label)
    if not on.usable:
        lacking = "too few rows of one class" if label else "no labels"
        return _quiet_identities(list(suspects), f"there are {lacking} to measure it against")
    measured = {name: _identity_strength(rows[name], on) for name in suspects}
    loud = [name for name in suspects if measured[name].balanced_accuracy >= IDENTITY_TELLING]
    quiet = [name for name in suspects if name not in loud]
    best = max((measured[name].balanced_accuracy for name in quiet), default=0.0)
    telling = [_telling_identity(name, suspects[name], measured[name]) for name in loud]
    return telling + _quiet_identities(quiet, f"best balanced accuracy of one alone {best:.3f}, out of fold")


def uninformative_columns(frame: pl.DataFrame, columns: Iterable[str]) -> list[Finding]:
    """A007: find columns with one value only and columns that are mostly missing.

    Args:
        frame: any table.
        columns: columns to look at.

    Returns:
        At most one finding of either kind.

    Source:
        skore's checks and every data validation guide; Breck et al., "Data Validation for Machine Learning",
        MLSys 2019.
    """
    names = [name for name in columns if name in frame.columns and not isinstance(frame.schema[name], pl.Object)]
    if frame.height < 2:
        return []
    missing = {name: _missing(frame[name]) / frame.height for name in names}
    constant = tuple(name for name in names if missing[name] == 1 or (missing[name] == 0 and _is_constant(frame[name])))
    heavy = tuple(name for name in names if NULL_HEAVY < missing[name] < 1)
    found = []
    if constant:
        found.append(_constant(constant, len(names), frame.height))
    if heavy:
        found.append(_null_heavy(heavy, missing))
    return found


def label_is_a_rule(frame: pl.DataFrame, label: str, columns: Iterable[str]) -> list[Finding]:
    """A010: find columns, alone or in pairs, of which the label is an exact function.

    One column is a rule if each of its values has one label only and it either has few values or splits at one or two
    cuts. A pair is a rule if each combination of their values has one label only. Rules by value need ``ROWS_A_VALUE``
    rows and ``ANOMALIES_A_VALUE`` anomalies for each value or combination, so chance makes none.

    Args:
        frame: any table; rows without a label are left out.
        label: Boolean column.
        columns: columns to look at.

    Returns:
        One finding for each such column and each such pair.

    Source:
        Kaufman et al. 2012 (the target must not be deducible from what would not be known); Kapoor and Narayanan,
        "Leakage and the reproducibility crisis in machine-learning-based science", Patterns 2023 (proxy features).
    """
    rows, on = _labelled(frame, label)
    if not on.usable:
        return []
    coded = {name: codes(rows[name]) for name in _known(rows, columns, label)}
    rules = {name: _rule(rows[name], code, on) for name, code in coded.items()}
    alone = [_one_column_rule(name, rule) for name, rule in rules.items() if rule]
    rest = {name: code for name, code in coded.items() if not rules[name] and 1 < code.max(initial=0) < PAIR_VALUES}
    few = dict(itertools.islice(rest.items(), PAIR_COLUMNS))
    pairs = (pair for pair in itertools.combinations(few, 2) if _pair_rule(few[pair[0]], few[pair[1]], on))
    return alone + [_two_column_rule(pair, on) for pair in pairs]


def label_from_cluster(frame: pl.DataFrame, cluster: str, label: str | None = None) -> list[Finding]:
    """A010: tell whether labels were made from clusters of the very features that a model will see.

    Args:
        frame: any table.
        cluster: column with the cluster of each row.
        label: Boolean or String column with the names; ``None`` if nobody labelled the rows, in which case any
            name that is given to the clusters would be such a label.

    Returns:
        At most one finding.

    Source:
        Kapoor and Narayanan 2023; the ML-PT events, of which the 50 smallest clusters are called attacks.
    """
    if cluster not in frame.columns or (label is not None and label not in frame.columns):
        return []
    sizes = frame.group_by(cluster).len()["len"].sort()
    if frame.height < ROWS_A_VALUE * len(sizes) or len(sizes) < 2:
        return []
    spread = f"{len(sizes):,} clusters of {sizes[0]:,} to {sizes[-1]:,} rows"
    if label is None:
        return [_cluster_finding(cluster, "medium", f"{spread}; the rows have no label of their own")]
    named = (
        frame.drop_nulls(label)
        .group_by(cluster)
        .agg(pl.len(), pl.col(label).n_unique().alias("labels"), pl.col(label).first())
    )
    if named.is_empty() or named["labels"].max() != 1 or named[label].n_unique() < 2:
        return []
    by_size = ", and their size decides which" if _decided_by_size(named, label) else ""
    return [_cluster_finding(cluster, "high", f"{spread}; each has one label only{by_size}")]


def label_made_columns(
    frame: pl.DataFrame, label: str, columns: Iterable[str], reasons: Mapping[str, str] | None = None
) -> list[Finding]:
    """A013: find columns that were made from the label.

    Some are the label by another name, others, such as the difficulty of NSL-KDD, look like features and are not.

    Args:
        frame: any table; rows without a label are left out.
        label: Boolean column.
        columns: columns to look at.
        reasons: for withheld columns, why.

    Returns:
        At most one finding, which lists how well each of the columns alone tells the classes apart.

    Source:
        Kaufman et al. 2012; Tavallaee et al., CISDA 2009, for ``difficulty`` (votes of 21 models that saw the labels).
    """
    told = reasons or {}
    rows, on = _labelled(frame, label)
    names = tuple(name for name in _known(rows, columns, label) if is_label_made(name, told.get(name, "")))
    if not names or not on.usable:
        return []
    measured = {name: strength.measure(rows[name], on).auc for name in names}
    each = ", ".join(f"{name} {auc:.3f}" for name, auc in measured.items())
    return [
        Finding(
            "A013",
            "high" if max(measured.values()) >= LEAKING_AUC else "medium",
            "Columns were made from the label.",
            f"Out-of-fold AUC of each alone: {each}.",
            "Never offer them to a model; use them to describe results.",
            columns=names,
        )
    ]


def is_label_made(name: str, reason: str = "") -> bool:
    """Say whether the name of a column, or the reason for withholding it, tells that it was made from the label."""
    return bool(LABEL_NAME.fullmatch(name) or LABEL_REASON.search(reason))


def computed_over_all_rows(columns: Iterable[str], notes: Mapping[str, str]) -> list[Finding]:
    """A006: find columns whose documentation says that they were computed over train and test together.

    Where the transformer is at hand, :func:`utils.audit.fitted_on_all` proves it.

    Args:
        columns: columns to look at.
        notes: what is documented about each column (reason, description); without a note the name is read.

    Returns:
        At most one finding.

    Source:
        Kapoor and Narayanan 2023 (pre-processing on training and test set); Arp et al. 2022 (data snooping).
    """
    names = tuple(columns)
    found = tuple(
        name
        for name in names
        if TRANSDUCTIVE.search(notes.get(name, name)) or (name not in notes and "global" in words(name))
    )
    if not found:
        return []
    return [
        Finding(
            "A006",
            "medium",
            "Features were computed over all rows together, so each test row has shaped the features of training.",
            f"By their documentation or their names: {len(found)} of {len(names)} columns.",
            "Recompute them from the training part only, or compare a model without them.",
            columns=found,
        )
    ]


def _labelled(frame: pl.DataFrame, label: str | None) -> tuple[pl.DataFrame, Target]:
    """Rows that have a label, and the label as numbers; no rows where there is no Boolean label."""
    if label is None or frame.schema.get(label) != pl.Boolean:
        return frame.clear(), strength.target(pl.Series(dtype=pl.Boolean))
    rows = frame if not frame[label].null_count() else frame.filter(pl.col(label).is_not_null())
    return rows, strength.target(rows[label])


def _known(frame: pl.DataFrame, columns: Iterable[str], label: str | None) -> list[str]:
    return [name for name in dict.fromkeys(columns) if name in frame.columns and name != label]


def _separating(name: str, measured: Strength, on: Target) -> Finding:
    leaking = measured.auc >= LEAKING_AUC
    return Finding(
        "A001",
        "high" if leaking else "medium",
        f"{name} alone tells the classes apart" + ("." if leaking else " better than a measurement should."),
        f"Out-of-fold AUC {measured.auc:.4f}, balanced accuracy {measured.balanced_accuracy:.4f} on {on.described}.",
        "Find out how the label was made; withhold the column unless it is known before the verdict, "
        "and show it beside every model as the baseline to beat.",
        columns=(name,),
    )


def _identity_strength(values: pl.Series, on: Target) -> Strength:
    """Better of two views: each value for itself, and (numbers, times) neighbouring values together."""
    views = [strength.measure(values, on, binned=False), strength.measure(_in_order(values), on)]
    best = max(views, key=lambda view: view.balanced_accuracy)
    return Strength(best.auc, best.balanced_accuracy, views[0].telling)


def _in_order(values: pl.Series) -> pl.Series:
    """Texts of times that begin with the year as their places in time; other values as they are."""
    if is_text(values.dtype) and values.cast(pl.String).str.contains(YEAR_FIRST).all():
        return values.cast(pl.String).rank("dense")
    return values


def _telling_identity(name: str, why: str, measured: Strength) -> Finding:
    value = f"; most telling value {measured.telling}" if measured.telling else ""
    return Finding(
        "A002",
        "high" if measured.auc >= IDENTITY_LEAKING else "medium",
        f"{name} names or dates a row ({why}) and tells the class by itself.",
        f"Balanced accuracy {measured.balanced_accuracy:.3f}, AUC {measured.auc:.3f}, out of fold{value}.",
        IDENTITY_REMEDY,
        columns=(name,),
    )


def _quiet_identities(names: Sequence[str], evidence: str) -> list[Finding]:
    if not names:
        return []
    what = "Identities, addresses, ports or times that say little about the class."
    return [
        Finding("A002", "low", what, evidence[0].upper() + evidence[1:] + ".", IDENTITY_REMEDY, columns=tuple(names))
    ]


def _missing(values: pl.Series) -> int:
    nans = int(values.is_nan().sum()) if values.dtype.is_float() else 0
    return values.null_count() + nans


def _is_constant(values: pl.Series) -> bool:
    return bool(values.n_unique() == 1)


def _constant(names: tuple[str, ...], of: int, rows: int) -> Finding:
    return Finding(
        "A007",
        "low",
        "Features with one value only.",
        f"{len(names)} of {of} features: the same in all {rows:,} rows.",
        "Drop them: they carry nothing, and a scaler may divide by their zero spread.",
        columns=names,
    )


def _null_heavy(names: tuple[str, ...], missing: Mapping[str, float]) -> Finding:
    worst = max(names, key=lambda name: missing[name])
    return Finding(
        "A007",
        "low",
        "Features that are mostly missing.",
        f"{len(names)} of {len(missing)} features lack most of their values; {worst} lacks {percent(missing[worst])}.",
        "Ask why they are missing before filling them in: a model learns the reason, not the value.",
        columns=names,
    )


def _cells(code: Codes, on: Target) -> Codes:
    """Rows by code and class, of the codes that occur: shape (codes, 2)."""
    cells = np.bincount(code * 2 + on.label, minlength=(int(code.max(initial=0)) + 1) * 2).reshape(-1, 2)
    return np.asarray(cells[cells.sum(axis=1) > 0])


def _is_pure(cells: Codes) -> bool:
    return not bool((cells.min(axis=1) > 0).any())


def _has_support(cells: Codes, on: Target) -> bool:
    anomalous = int((cells[:, 1] > 0).sum())
    return len(on.label) >= ROWS_A_VALUE * len(cells) and on.positives >= ANOMALIES_A_VALUE * anomalous


def _rule(values: pl.Series, code: Codes, on: Target) -> str:
    """State the exact rule by which one column gives the label; empty if there is none."""
    cells = _cells(code, on)
    if not _is_pure(cells):
        return ""
    sides = cells[:, 1] > 0
    cuts = int(np.count_nonzero(sides[1:] != sides[:-1]))
    if is_ordered(values.dtype) and cuts == 1 and code.min() > 0:
        return _threshold_rule(values, on, high_is_anomalous=bool(sides[-1]))
    if is_ordered(values.dtype) and cuts <= 2:
        return f"{cuts} cuts, or the lack of a value, give the label exactly"
    return f"each of its {len(cells):,} values has one label only" if _has_support(cells, on) else ""


def _threshold_rule(values: pl.Series, on: Target, *, high_is_anomalous: bool) -> str:
    upper = pl.Series(on.label == int(high_is_anomalous))
    low, high = values.filter(~upper).max(), values.filter(upper).min()
    names = ("normal", "anomalous") if high_is_anomalous else ("anomalous", "normal")
    return f"up to {low!s} is {names[0]}, from {high!s} on {names[1]}, without exception"


def _one_column_rule(name: str, rule: str) -> Finding:
    return Finding(
        "A010",
        "high",
        f"The label is an exact function of {name}.",
        f"{name}: {rule}.",
        "Withhold the column: the label was made from it, or it from the label.",
        columns=(name,),
    )


def _pair_rule(one: Codes, other: Codes, on: Target) -> bool:
    cells = _cells(one * (int(other.max()) + 1) + other, on)
    return _is_pure(cells) and _has_support(cells, on)


def _two_column_rule(pair: tuple[str, str], on: Target) -> Finding:
    return Finding(
        "A010",
        "high",
        f"The label is an exact function of {pair[0]} and {pair[1]} together.",
        f"Every combination of their values has one label only, in {on.described}.",
        "Find out how the label was made; withhold at least one of the two.",
        columns=pair,
    )


def _decided_by_size(named: pl.DataFrame, label: str) -> bool:
    """Whether all clusters of one label are smaller than all of another."""
    ends = named.group_by(label).agg(pl.col("len").min().alias("low"), pl.col("len").max().alias("high")).sort("low")
    return bool((ends["high"].head(-1) < ends["low"].tail(-1)).all())


def _cluster_finding(cluster: str, severity: Severity, evidence: str) -> Finding:
    return Finding(
        "A010",
        severity,
        f"Names given to the values of {cluster} are an exact function of the features.",
        evidence + ".",
        "Do not report how well a model predicts such names as detection: check a sample by hand or label otherwise.",
        columns=(cluster,),
    )
