"""What trivial baselines reach, and what nothing can pass: the numbers that stand beside every score."""

import numpy as np
import polars as pl

from utils.evaluation import counting
from utils.evaluation.counting import Sample
from utils.evaluation.inputs import Values


def dummy(y: Values, weight: Values | None = None) -> pl.DataFrame:
    """What trivial baselines are expected to reach, without drawing anything.

    ``always`` and ``never`` raise an alarm on every and on no row, ``coin`` on each row with the anomalies' share as
    its chance, and scores at random. Expectations are exact: F1 of the coin is the sum over the number of alarms, of
    which the anomalies' share are true on average; average precision of a random order is that of Bestgen, "Exact
    expected average precision of the random baseline", 2015. With importances, they are those of endless data.

    Returns:
        One row a baseline: ``baseline`` and a column for each metric; NaN where a metric is not defined.

    Raises:
        DataError: if the inputs do not fit together.
    """
    rows = counting.sample(y, weight)
    normals, anomalies = counting.cells(rows.y.astype(np.int64), rows.weight, 2)
    silent, alarmed = np.array([0, 0, anomalies, normals]), np.array([anomalies, normals, 0, 0])
    fixed = {"always": alarmed, "never": silent}
    share = _share(anomalies, normals)
    ranked = {"average_precision": share or np.nan, "roc_auc": 0.5 if anomalies and normals else np.nan}
    lines = [
        {"baseline": name, **{metric: float(counting.DECISION[metric](cell)) for metric in counting.DECISION}, **ranked}
        for name, cell in fixed.items()
    ]
    return pl.DataFrame([*lines, _coin(anomalies, normals, exact=rows.importance is None) | _random_order(rows)])


def f1_ceiling(rows: pl.DataFrame, things: str, label: str, weight: str | None = None) -> float | None:
    """Highest F1 that anything can reach that sees no more of a row than one column, whatever it has learned.

    Equal things get equal verdicts. F1 is highest when they are flagged in order of their share of anomalies down to
    some point; all points are tried.

    Args:
        rows: rows without a label are left out.
        things: column with what is seen, such as the sequence of a session; of any type that can be grouped.
        label: Boolean column.
        weight: column with how many each row stands for; 1 by default.

    Returns:
        The F1; ``None`` if there is no anomaly.

    Source:
        Lipton, Elkan and Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML PKDD 2014.
    """
    if rows.schema.get(label) != pl.Boolean:
        return None
    mass = (pl.lit(1) if weight is None else pl.col(weight)).cast(pl.Int64)
    counts = (
        rows.filter(pl.col(label).is_not_null())
        .select(things, label, mass.alias("rows"))
        .group_by(things)
        .agg(pl.col("rows").sum(), pl.col("rows").filter(pl.col(label)).sum().alias("anomalous"))
    )
    anomalies = int(counts["anomalous"].sum())
    if not anomalies:
        return None
    ranked = counts.sort(pl.col("anomalous") / pl.col("rows"), descending=True)
    f1 = 2 * ranked["anomalous"].cum_sum() / (ranked["rows"].cum_sum() + anomalies)
    return float(f1.to_numpy().max())


def _coin(anomalies: float, normals: float, *, exact: bool) -> dict[str, object]:
    share = _share(anomalies, normals)
    both = bool(anomalies and normals)
    return {
        "baseline": "coin",
        "f1": _coin_f1(anomalies, normals) if exact else share or np.nan,
        "precision": share or np.nan,
        "recall": share or np.nan,
        "false_alarm_rate": share if normals else np.nan,
        "accuracy": share**2 + (1 - share) ** 2,
        "balanced_accuracy": 0.5 if both else np.nan,
        "mcc": 0.0 if both else np.nan,
    }


def _coin_f1(anomalies: float, normals: float) -> float:
    """Expected F1 of alarms by coin: of A alarms, A times the anomalies' share are true on average."""
    from scipy import stats

    rows = anomalies + normals
    if not anomalies:
        return float("nan")
    share = anomalies / rows
    reach = 12 * np.sqrt(rows * share * (1 - share)) + 1
    alarms = np.arange(max(0, int(rows * share - reach)), min(rows, int(rows * share + reach)) + 1)
    chance = stats.binom.pmf(alarms, rows, share)
    return float((chance * 2 * alarms * share / (alarms + anomalies)).sum())


def _random_order(rows: Sample) -> dict[str, float]:
    """Expected average precision and ROC-AUC of a random order."""
    from scipy.special import digamma

    normals, anomalies = counting.cells(rows.y.astype(np.int64), rows.weight, 2)
    size = anomalies + normals
    if not anomalies:
        return {"average_precision": np.nan, "roc_auc": np.nan}
    if rows.importance is not None or size == 1:
        return {"average_precision": anomalies / size, "roc_auc": 0.5 if normals else np.nan}
    harmonic = float(np.euler_gamma + digamma(size + 1))
    expected = (harmonic + (anomalies - 1) / (size - 1) * (size - harmonic)) / size
    return {"average_precision": float(expected), "roc_auc": 0.5 if normals else np.nan}


def _share(anomalies: float, normals: float) -> float:
    return float(anomalies / (anomalies + normals)) if anomalies + normals else float("nan")
