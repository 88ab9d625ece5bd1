"""Two or three coordinates for rows of many, to look at: principal components or t-SNE of a sample.

A projection is a picture, not a measurement: t-SNE keeps neighbours together and makes distances and sizes of groups
meaningless; principal components keep distances as far as so few directions can.

Sources:
    Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 1901; van der
    Maaten and Hinton, "Visualizing data using t-SNE", Journal of Machine Learning Research 2008; Kobak and Berens,
    "The art of using t-SNE for single-cell transcriptomics", Nature Communications 2019 (start from principal
    components).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from utils.datasets import require
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.inputs import Floats, Ints, Values, codes
from utils.settings import SEED

Method = Literal["pca", "tsne"]
SAMPLE = 1_500
LEAST_OF_GROUP = 12
"""Rows of each group that a sample holds if there are so many."""
PERPLEXITY = 30.0
FIRST_COMPONENTS = 30
"""Components that t-SNE works on: more of them only cost time."""
FEWEST_ROWS = 5
"""Rows below which neighbours mean nothing to t-SNE."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Coordinates to draw.

    Attributes:
        coordinates: of the drawn rows, centred (m, 2) or (m, 3).
        rows: which rows they are, rising (m,).
        axes: title of each axis, for principal components with the share of the variance.
        method: ``"pca"`` or ``"tsne"``.
    """

    coordinates: Floats
    rows: Ints
    axes: tuple[str, ...]
    method: Method


def project(
    points: ArrayLike,
    dimensions: Literal[2, 3] = 2,
    method: Method = "pca",
    sample: int = SAMPLE,
    seed: int = SEED,
    *,
    groups: Values | None = None,
) -> Projection:
    """Find coordinates for a sample of rows.

    Args:
        points: rows (n, d), finite numbers.
        dimensions: 2 or 3.
        method: ``"pca"`` for principal components of all rows, ``"tsne"`` for t-SNE of the sample.
        sample: most rows that get coordinates.
        seed: of the sample and of t-SNE.
        groups: group of each row, for example its cluster (n,): the sample then holds some rows of each, so that small
            groups can be seen; shares of groups in the picture are not those of the data.

    Returns:
        Coordinates, which rows they are of, and titles of the axes. Directions that the rows do not have are 0.

    Raises:
        SchemaError: if the points are no matrix of numbers.
        DataError: if there is no row, one is not finite, groups do not fit, or t-SNE gets fewer than 5 rows.
        SettingsError: if a setting is not one of those above.
    """
    require.choice("dimensions", dimensions, (2, 3))
    require.choice("method", method, ("pca", "tsne"))
    matrix = _matrix(points)
    rows = sampled(len(matrix), sample, seed, groups)
    wanted = dimensions if method == "pca" else max(dimensions, FIRST_COMPONENTS)
    components, shares = _components(matrix, rows, wanted)
    if method == "pca":
        axes = tuple(
            f"component {place + 1} ({100 * share:.0f} % of the variance)" for place, share in enumerate(shares)
        )
        return Projection(components, rows, axes, method)
    axes = tuple(f"t-SNE {place + 1} (no unit)" for place in range(dimensions))
    return Projection(_neighbours_kept(components, dimensions, seed), rows, axes, method)


def sampled(n_rows: int, sample: int = SAMPLE, seed: int = SEED, groups: Values | None = None) -> Ints:
    """Draw rows to look at, at least some of each group if there is room.

    Args:
        n_rows: rows there are.
        sample: most rows that are drawn.
        seed: of the draw.
        groups: group of each row (n_rows,).

    Returns:
        Row numbers, rising.

    Raises:
        DataError: if groups do not fit, or one is missing.
        SettingsError: if no row is asked for.
    """
    if sample < 1:
        raise SettingsError(f"a sample must hold at least 1 row, found {sample}: ask for more")
    order = np.random.default_rng(seed).permutation(n_rows)
    if groups is not None:
        members = pl.Series("group", codes(groups, n_rows)[order])
        place = members.to_frame().select(pl.int_range(pl.len()).over("group")).to_series().to_numpy()
        # Stable: within the first rows of each group, and within the others, the random order stays.
        order = order[np.argsort(np.where(place < LEAST_OF_GROUP, place, LEAST_OF_GROUP), kind="stable")]
    return np.sort(order[:sample]).astype(np.int64)


def _matrix(points: ArrayLike) -> Floats:
    try:
        matrix = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"a projection needs a matrix of numbers, found {error}: encode texts first") from error
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(f"a projection needs rows with at least one column, found the shape {matrix.shape}: give some")
    if not np.isfinite(matrix).all():
        broken = int((~np.isfinite(matrix)).any(axis=1).sum())
        raise DataError(f"a projection needs finite numbers, found {broken:,} rows with others: fill or drop them")
    return matrix


def _components(matrix: Floats, rows: Ints, wanted: int) -> tuple[Floats, Floats]:
    """Principal components of all rows, of the sampled ones; their shares of the variance. Missing ones are 0."""
    largest = np.maximum(np.abs(matrix).max(axis=0), np.finfo(float).tiny)
    # Numbers near the largest float have no square: the matrix is brought to a common size first.
    scaled = matrix / largest.max()
    centre = scaled.mean(axis=0)
    centred = scaled - centre
    values, vectors = np.linalg.eigh(centred.T @ centred)
    strongest = np.argsort(values, kind="stable")[::-1][:wanted]
    directions = vectors[:, strongest]
    # The sign of a direction is arbitrary: its largest weight is made positive, so that pictures do not flip.
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    total = max(float(values.sum()), np.finfo(float).tiny)
    found = np.zeros((len(rows), wanted))
    found[:, : directions.shape[1]] = centred[rows] @ directions * largest.max()
    shares = np.zeros(wanted)
    shares[: len(strongest)] = np.maximum(values[strongest], 0.0) / total
    return found, shares


def _neighbours_kept(components: Floats, dimensions: int, seed: int) -> Floats:
    """t-SNE from the first components.

    Raises:
        DataError: if there are too few rows.
    """
    from sklearn.manifold import TSNE

    if len(components) < FEWEST_ROWS:
        raise DataError(f"t-SNE needs at least {FEWEST_ROWS} rows, found {len(components)}: use principal components")
    spread = float(components.std())
    start = components[:, :dimensions] / spread * 1e-4 if spread > 0 else np.zeros((len(components), dimensions))
    perplexity = min(PERPLEXITY, (len(components) - 1) / 3)
    model = TSNE(dimensions, perplexity=perplexity, init=start, random_state=seed, max_iter=500, n_jobs=1)
    return np.asarray(model.fit_transform(components / spread if spread > 0 else components), dtype=np.float64)
