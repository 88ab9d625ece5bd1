"""Shapley values of any model, estimated from random orders of its columns; and exact ones of linear models."""

from collections.abc import Callable

import numpy as np

from utils.errors import SettingsError
from utils.evaluation.inputs import Bools, Floats
from utils.explain.trees import Attribution

CELLS = 4_000_000
"""Numbers that are scored at once."""

LEAST_ORDERS = 4


def sampled(
    score: Callable[[Floats], Floats],
    matrix: Floats,
    background: Floats,
    member: Bools,
    *,
    orders: int,
    seed: int,
    scale: str,
) -> Attribution:
    """Estimate Shapley values from random orders; each order is also taken backwards, which halves the noise or more.

    In each order the columns of a background row take the values of the explained row one after the other; what the
    output changes by is the column's. The changes of one order add up to the difference of the two outputs, so the
    values always add up to the model's output.

    Args:
        score: output of the model for encoded rows.
        matrix: rows to explain (n, outputs).
        background: rows to draw from (m, outputs).
        member: which outputs are made of which column (outputs, columns); those of one column change together.
        orders: number of orders, an even number from 4 on.
        seed: of orders and draws.
        scale: what the output is.

    Returns:
        The values of the COLUMNS (n, columns) with their standard errors.

    Raises:
        SettingsError: if the number of orders is odd or too small.

    Source:
        Strumbelj and Kononenko, "Explaining prediction models and individual predictions with feature contributions",
        Knowledge and Information Systems 41 (2014); backwards orders: Mitchell et al., "Sampling permutations for
        Shapley value estimation", JMLR 2022.
    """
    if orders < LEAST_ORDERS or orders % 2:
        wanted = f"Shapley values are estimated from an even number of orders from {LEAST_ORDERS} on"
        raise SettingsError(f"{wanted}, found {orders}: choose such a number")
    rng = np.random.default_rng(seed)
    columns = member.shape[1]
    pairs = np.zeros((orders // 2, len(matrix), columns))
    base = 0.0
    for pair in pairs:
        order, start = rng.permutation(columns), background[rng.integers(len(background))]
        for one in (order, order[::-1]):
            change, first = _walk(score, matrix, start, member, one)
            pair += change / 2
            base += first / orders
    error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    method = f"Shapley values estimated from {orders} orders of the columns and {len(background):,} background rows"
    return Attribution(pairs.mean(axis=0), base, score(matrix), scale, method, error)


def linear(
    coefficients: Floats, intercept: float, matrix: Floats, background: Floats, output: Floats, scale: str
) -> Attribution:
    """Shapley values of a linear model: each coefficient times the distance from the mean of the background.

    Args:
        coefficients: one for each output of the features (outputs,).
        intercept: constant of the model.
        matrix: rows to explain (n, outputs).
        background: rows to compare with (m, outputs).
        output: output of the model for the rows (n,).
        scale: what it is.

    Source:
        Strumbelj and Kononenko 2014, section 3.2: exact where columns vary independently of each other.
    """
    middle = background.mean(axis=0)
    method = f"exact Shapley values of a linear model, compared with the mean of {len(background):,} background rows"
    return Attribution(
        (matrix - middle) * coefficients, float(middle @ coefficients) + intercept, output, scale, method
    )


def _walk(
    score: Callable[[Floats], Floats], matrix: Floats, start: Floats, member: Bools, order: np.ndarray
) -> tuple[Floats, float]:
    """Changes of the output along one order (n, columns), and the output of the background row."""
    taken = np.zeros((len(order) + 1, len(start)), dtype=np.bool_)
    for place, column in enumerate(order):
        taken[place + 1] = taken[place] | member[:, column]
    change = np.zeros((len(matrix), len(order)))
    step = max(1, CELLS // taken.size)
    first = float(score(start[None])[0])
    for begin in range(0, len(matrix), step):
        rows = matrix[begin : begin + step]
        mixed = np.where(taken[None], rows[:, None], start).reshape(-1, matrix.shape[1])
        outputs = score(mixed).reshape(len(rows), -1)
        change[begin : begin + step, order] = np.diff(outputs, axis=1)
    return change, first
