"""Pictures of rows in two or three dimensions, and how much of the neighbourhoods each keeps.

A picture is no measurement: t-SNE makes distances and sizes of groups meaningless. What can be measured is whether rows
that are neighbours in the picture are neighbours in the table (trustworthiness), and whether they are of one kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from sklearn.neighbors import NearestNeighbors

from utils import settings
from utils.classifiers.representations.codes import AutoencoderCodes
from utils.classifiers.representations.components import PrincipalComponents
from utils.classifiers.representations.trials import Plan, distinct_training
from utils.datasets.contract import Roles
from utils.detectors.projection import Projection, project
from utils.errors import DataError
from utils.evaluation.inputs import Floats, Ints, codes
from utils.evaluation.splits import Split
from utils.features.flows import FlowFeatures

SAMPLE = 1_500
NEIGHBOURS = 15
FEWEST_POINTS = 5
FLAT = 2
MOST_KINDS = 7
OTHER_KINDS = "other kinds"
ORIGINAL = "the table itself"
SCHEMA = {
    "view": pl.String,
    "dimensions": pl.Int64,
    **dict.fromkeys(("trustworthiness", "neighbours_kept", "same_kind"), pl.Float64),
}


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures of the same rows.

    Attributes:
        pictures: coordinates by name: principal components, t-SNE in 2-D and in 3-D.
        labels: true for an anomaly, for the drawn rows.
        kinds: kind of each drawn row, ``"normal"`` for normal rows.
        kept: one row a view: ``view``, ``dimensions``, ``trustworthiness`` (1: no row has a neighbour that it has not
            in the table), ``neighbours_kept`` (share of the nearest neighbours in the table that are so in the view),
            ``same_kind`` (share of the nearest neighbours that are of the row's own kind).
        distinct: distinct rows that the sample was drawn from.
    """

    pictures: Mapping[str, Projection]
    labels: pl.Series
    kinds: pl.Series
    kept: pl.DataFrame
    distinct: int

    @property
    def shown_kinds(self) -> pl.Series:
        """Kind of each drawn row as a legend has room for it: all but the largest are other kinds."""
        largest = self.kinds.value_counts().sort("count", self.kinds.name, descending=[True, False])
        named = largest.head(MOST_KINDS)[self.kinds.name]
        return self.kinds.to_frame("kind").select(
            pl.when(pl.col("kind").is_in(named.implode())).then("kind").otherwise(pl.lit(OTHER_KINDS))
        )["kind"]


def look(
    frame: pl.DataFrame,
    roles: Roles,
    split: Split,
    *,
    only: pl.Series | None = None,
    sample: int = SAMPLE,
    sizes: Sequence[int] = (2, 25),
    epochs: int = 30,
    seed: int = settings.SEED,
) -> Views:
    """Draw distinct training rows of a table.

    Args:
        frame: a labelled table.
        roles: what its columns mean.
        split: training and test part; the test part is not looked at.
        only: mask of rows to draw from (rows of ``frame``).
        sample: most rows in a picture.
        sizes: numbers of principal components and of codes whose neighbourhoods are measured too, where the table has
            more columns.
        epochs: most epochs of the autoencoders.
        seed: of the draw, t-SNE and the autoencoders.

    Raises:
        DataError: if a class has fewer than 10 distinct rows, or there are fewer than 5 distinct points.
    """
    rows = distinct_training(frame, roles, split, Plan(seed=seed), only)
    points = np.asarray(FlowFeatures(roles, columns=rows.columns).fit_transform(rows.frame))
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    points = points[first]
    if len(points) < FEWEST_POINTS:
        raise DataError(f"a picture needs {FEWEST_POINTS} distinct points, found {len(points)}: give more rows")
    label, kinds = pl.Series("label", rows.y)[first], rows.kinds[first]
    pictures = _pictures(points, kinds, sample, seed)
    drawn = pictures["t-SNE, 2-D"].rows
    places = {name: picture.coordinates for name, picture in pictures.items()}
    places |= {name: values[drawn] for name, values in _narrowed(points, sizes, epochs, seed).items()}
    kept = neighbourhoods(points[drawn], places, kinds.gather(drawn))
    return Views(pictures, label.gather(drawn), kinds.gather(drawn), kept, len(points))


def neighbourhoods(
    points: Floats, views: Mapping[str, Floats], kinds: pl.Series, neighbours: int = NEIGHBOURS
) -> pl.DataFrame:
    """How much of the neighbourhoods of a table other coordinates of the same rows keep.

    Args:
        points: rows of the table (n, d), distinct.
        views: other coordinates of the same rows, by name, each (n, any).
        kinds: kind of each row (n,).
        neighbours: how many nearest neighbours are compared; fewer where there are few rows.

    Returns:
        As :attr:`Views.kept`, the table itself first.

    Raises:
        DataError: if there are fewer than 5 rows.

    Source:
        Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN 2001 (trustworthiness).
    """
    from sklearn.manifold import trustworthiness

    if len(points) < FEWEST_POINTS:
        raise DataError(f"neighbourhoods need {FEWEST_POINTS} rows, found {len(points)}: give more")
    number = min(neighbours, (len(points) - 1) // 2)
    kind = codes(kinds, len(points))
    near = _nearest(points, number)
    found: list[tuple[Any, ...]] = [(ORIGINAL, points.shape[1], 1.0, 1.0, _same(near, kind))]
    for name, places in views.items():
        trust = float(trustworthiness(points, places, n_neighbors=number))
        own = _nearest(places, number)
        found.append((name, places.shape[1], trust, _shared(near, own), _same(own, kind)))
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def _pictures(points: Floats, kinds: pl.Series, sample: int, seed: int) -> dict[str, Projection]:
    return {
        "principal components, 2-D": project(points, 2, "pca", sample, seed, groups=kinds),
        "t-SNE, 2-D": project(points, 2, "tsne", sample, seed, groups=kinds),
        "t-SNE, 3-D": project(points, 3, "tsne", sample, seed, groups=kinds),
    }


def _narrowed(points: Floats, sizes: Sequence[int], epochs: int, seed: int) -> dict[str, Floats]:
    """Components and codes of all points; two components are a picture already."""
    found = {}
    for size in sorted(size for size in set(sizes) if size < points.shape[1]):
        if size > FLAT:
            found[f"principal components, {size}-D"] = PrincipalComponents(size).fit_transform(points)
        found[f"autoencoder codes, {size}-D"] = AutoencoderCodes(size, epochs=epochs, seed=seed).fit_transform(points)
    return found


def _nearest(places: Floats, number: int) -> Ints:
    """Nearest other rows of each row (n, number)."""
    found = NearestNeighbors(n_neighbors=number).fit(places).kneighbors(return_distance=False)
    return np.asarray(found, dtype=np.int64)


def _shared(first: Ints, second: Ints) -> float:
    """Mean share of neighbours that two lists of neighbours have in common."""
    common = (first[:, :, None] == second[:, None, :]).any(axis=2)
    return float(common.mean())


def _same(near: Ints, kind: Ints) -> float:
    """Mean share of neighbours of the row's own kind."""
    return float((kind[near] == kind[:, None]).mean())
