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
