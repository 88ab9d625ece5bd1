"""Class shares as they are stated: weights that bring rows to them, and the mixture of rates that they make."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from utils.datasets.contract import NORMAL
from utils.datasets.wording import listed
from utils.errors import DataError
from utils.evaluation import inputs
from utils.evaluation.inputs import Floats, Ints, Values


def reweight(classes: Values, shares: float | Mapping[str, float], weight: Values | None = None) -> Floats:
    """Weights under which the classes have the stated shares; their mean over the units is 1.

    Args:
        classes: verdicts, or the class of each row (rows,).
        shares: share of the anomalies, or the share of each class by name.
        weight: counts or importances that the rows have already (rows,).

    Returns:
        One importance a row (rows,), for the ``weight`` of any metric or model.

    Raises:
        DataError: if the shares do not fit the classes, or a class has a share and no weight.
    """
    if isinstance(shares, Mapping):
        names = inputs.as_series(classes).cast(pl.String)
    else:
        names = pl.Series(np.where(inputs.as_labels(classes), "anomaly", NORMAL), dtype=pl.String)
        shares = {"anomaly": as_share(shares), NORMAL: 1 - shares}
    names = inputs.as_names(names, len(names), "classes")
    weights = inputs.as_weights(weight, len(names))
    each = np.ones(len(names)) if weights is None else weights.astype(np.float64)
    present, place, wanted = matched(names, shares)
    sums = np.bincount(place, each, minlength=len(present))
    if empty := [name for name, share, mass in zip(present, wanted, sums, strict=True) if share > 0 and not mass > 0]:
        raise DataError(f"a class with a share must have weight, found none in {listed(empty)}: add rows")
    factors = np.divide(wanted, sums, out=np.zeros_like(sums), where=sums > 0)
    return np.asarray(each * factors[place] * each.sum())


def as_share(number: float) -> float:
    """Check a share.

    Raises:
        DataError: if it does not lie in 0..1.
    """
    if not 0 <= number <= 1:
        raise DataError(f"a share or rate must lie in 0..1, found {number}: write 1 % as 0.01")
    return float(number)


def matched(names: pl.Series, shares: Mapping[str, float]) -> tuple[list[str], Ints, Floats]:
    """Match stated shares with the classes of rows: class names, class of each row, share of each class.

    Raises:
        DataError: if they do not name the same classes or do not sum to 1.
    """
    present = sorted(names.unique().to_list())
    unknown = sorted(set(present) - set(shares)) + sorted(name for name in set(shares) - set(present) if shares[name])
    if unknown:
        raise DataError(f"shares and classes must be the same, found no match for {listed(unknown)}: add them")
    wanted = np.array([as_share(shares[name]) for name in present])
    if abs(wanted.sum() - 1) > 1e-6:
        raise DataError(f"shares must sum to 1, found {wanted.sum():g}: divide them by their sum")
    place = names.replace_strict(present, range(len(present)), return_dtype=pl.Int64).to_numpy()
    return present, np.asarray(place, dtype=np.int64), wanted / wanted.sum()
