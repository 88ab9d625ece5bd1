"""Compiled loops over trees and texts; imported at first use, because numba takes a while to import."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from utils.classifiers.compiled.trees import Nodes

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def sums(matrix: Array, nodes: Nodes, begin: np.floating[Any], tiny: float) -> Array:
    """Add up what rows get from trees, one tree after the other, in the precision of the values.

    Args:
        matrix: rows, float64 (n, columns).
        nodes: of all trees.
        begin: what the sums begin with, in the precision of the values.
        tiny: magnitudes up to it count as 0.

    Returns:
        Sums, in the precision of the values (n,).
    """
    roots, left, right, default, feature, threshold, value = nodes
    found = np.empty(len(matrix), dtype=value.dtype)
    for row in range(len(matrix)):
        total = begin
        for tree in range(len(roots)):
            node = roots[tree]
            while left[node] >= 0:
                number = matrix[row, feature[node]]
                if abs(number) <= tiny:
                    number = 0.0
                if number <= threshold[node]:
                    node = left[node]
                elif number == number:
                    node = right[node]
                else:
                    node = default[node]
            total += value[node]
        found[row] = total
    return found


@njit(cache=True, nogil=True)
def logistic(sums: Array, slope: float) -> Array:
    """Probabilities of log-odds as LightGBM computes them, in double precision (n,)."""
    found = np.empty(len(sums), dtype=np.float64)
    for row in range(len(sums)):
        found[row] = 1.0 / (1.0 + math.exp(-slope * sums[row]))
    return found


@njit(cache=True, nogil=True)
def single_logistic(sums: Array) -> Array:
    """Probabilities of log-odds as XGBoost computes them, in single precision (n,)."""
    found = np.empty(len(sums), dtype=np.float32)
    one, most = np.float32(1.0), np.float32(88.7)
    for row in range(len(sums)):
        found[row] = one / (np.float32(math.exp(min(-sums[row], most))) + one)
    return found


@njit(cache=True, nogil=True)
def characters(data: Array, kinds: Array, digit: int, upper: int, lower: int, special: int) -> tuple[Array, Array]:
    """Count what :mod:`utils.features.web_events.bytewise` counts in the bytes of one text.

    Args:
        data: UTF-8 bytes (n,).
        kinds: kind of each byte (256,).
        digit: the kinds of bytes whose runs are measured; upper and lower case are one.
        upper: of upper case.
        lower: of lower case.
        special: of special characters.

    Returns:
        How often each byte occurs (256,), and stretches after slashes, the longest runs of digits, of letters, of
        special characters and of one byte (5,).
    """
    histogram, seen = np.zeros(256, dtype=np.int64), np.zeros(5, dtype=np.int64)
    runs = np.zeros(256, dtype=np.int64)
    run, same, before, last = 0, 0, -1, -1
    for place in range(len(data)):
        byte = data[place]
        kind = kinds[byte]
        if kind == upper:
            kind = lower
        slash = byte == 47 or byte == 92
        seen[0] += (last == 47 or last == 92) and not slash
        run = run + 1 if kind == before else 1
        same = same + 1 if byte == last else 1
        before, last = kind, byte
        runs[kind] = max(runs[kind], run)
        seen[4] = max(seen[4], same)
        histogram[byte] += 1
    seen[1], seen[2], seen[3] = runs[digit], runs[lower], runs[special]
    return histogram, seen


@njit(cache=True, nogil=True, error_model="numpy")
def derive(numbers: Array, formula: Array, first: Array, second: Array, limit: float, out: Array) -> None:
    """Write what is made of two columns each into the last columns of the features.

    Args:
        numbers: as they were read, missing ones NaN (n, columns).
        formula: 0 quotient, 1 difference, 2 product, 3 quotient by the root (derived,).
        first: column of each (derived,).
        second: the other column (derived,).
        limit: largest magnitude; what is not defined is 0.
        out: features, they are changed (n, outputs).
    """
    start = out.shape[1] - len(formula)
    for row in range(len(numbers)):
        for place in range(len(formula)):
            one, other = numbers[row, first[place]], numbers[row, second[place]]
            if formula[place] == 0:
                made = one / other
            elif formula[place] == 1:
                made = one - other
            elif formula[place] == 2:
                made = one * other
            else:
                made = one / math.sqrt(other)
            if made != made:
                made = 0.0
            out[row, start + place] = min(max(made, -limit), limit)


@njit(cache=True, nogil=True, error_model="numpy")
def read(
    numbers: Array,
    fill: Array,
    low: Array,
    high: Array,
    keep: bool,
    logged: Array,
    unit: Array,
    flagged: Array,
    start: int,
    out: Array,
) -> Array:
    """Put training values in place of what is not finite, and flag it, as ``FlowFeatures`` does.

    Args:
        numbers: missing ones NaN; they are changed (n, columns).
        fill: stands for missing ones (columns,).
        low: stands for minus infinity (columns,).
        high: stands for infinity (columns,).
        keep: whether missing ones stay.
        logged: columns of which the logarithm is taken (logged,).
        unit: magnitudes of these are divided by it; empty where all are 1.
        flagged: columns with an indicator (flagged,).
        start: first column of the indicators.
        out: features, they are changed (n, outputs).

    Returns:
        Magnitudes to take the logarithm of (n, logged).
    """
    logs = np.empty((len(numbers), len(logged)), dtype=np.float64)
    most = np.finfo(np.float64).max
    for row in range(len(numbers)):
        for place in range(len(flagged)):
            out[row, start + place] = not math.isfinite(numbers[row, flagged[place]])
        for column in range(numbers.shape[1]):
            number = numbers[row, column]
            if number != number:
                if not keep:
                    numbers[row, column] = fill[column]
            elif number == np.inf:
                numbers[row, column] = high[column]
            elif number == -np.inf:
                numbers[row, column] = low[column]
        for place in range(len(logged)):
            magnitude = abs(numbers[row, logged[place]])
            if len(unit):
                magnitude = magnitude / unit[place]
                if magnitude > most:
                    magnitude = most
            logs[row, place] = magnitude
    return logs


@njit(cache=True, nogil=True, error_model="numpy")
def write(
    numbers: Array,
    logs: Array,
    centre: Array,
    spread: Array,
    logged: Array,
    shown: Array,
    starts: Array,
    native: bool,
    codes: Array,
    limit: float,
    out: Array,
) -> None:
    """Scale numbers and lay out codes, as ``FlowFeatures`` does.

    Args:
        numbers: what :func:`read` left; they are changed (n, columns).
        logs: logarithms of some of them (n, logged).
        centre: subtracted (columns,).
        spread: divided by (columns,).
        logged: columns of the logarithms (logged,).
        shown: columns that become features (shown,).
        starts: first output of each nominal column (nominal,).
        native: whether codes are written as they are.
        codes: of each nominal column (nominal, n).
        limit: largest magnitude.
        out: features, they are changed (n, outputs).
    """
    for row in range(len(numbers)):
        for place in range(len(logged)):
            numbers[row, logged[place]] = math.copysign(logs[row, place], numbers[row, logged[place]])
        for place in range(len(shown)):
            column = shown[place]
            number = (numbers[row, column] - centre[column]) / spread[column]
            if number > limit:
                number = limit
            elif number < -limit:
                number = -limit
            out[row, place] = number
        for place in range(len(starts)):
            code = codes[place, row]
            if native:
                out[row, starts[place]] = np.nan if code < 0 else code
            elif code >= 0:
                out[row, starts[place] + code] = 1.0
