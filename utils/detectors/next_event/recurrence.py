"""Recurrent networks as plain arrays, one step at a time with numpy: what Keras has trained, without TensorFlow.

The state after a token depends on the state before it and on the token alone, so a caller may advance any number of
histories at once, and each distinct history once (:mod:`.prefixes`).

Sources:
    Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997); Cho et al., "Learning Phrase
    Representations using RNN Encoder-Decoder", EMNLP 2014 (GRU, in the variant of Keras whose reset gate acts after
    the product).
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Cell = Literal["lstm", "gru"]
Singles = NDArray[np.float32]
Arrays = list[Singles]
State = list[tuple[Singles, ...]]

CELLS: tuple[Cell, ...] = ("lstm", "gru")
PARTS = 3
"""Arrays of a recurrent layer: kernel, recurrent kernel, bias."""


class Layer(NamedTuple):
    """A recurrent layer.

    Attributes:
        kernel: weights of the inputs, shape (inputs, gates x units).
        recurrent: weights of the state, shape (units, gates x units).
        bias: shape (gates x units,) for an LSTM, (2, gates x units) for a GRU.
    """

    kernel: Singles
    recurrent: Singles
    bias: Singles

    @property
    def units(self) -> int:
        """Numbers in the state."""
        return len(self.recurrent)


class Network:
    """One trained network: a token in, the state on, probabilities of the next token out.

    Args:
        arrays: in the order of Keras: the embedding (codes, size) if there is one, kernel, recurrent kernel and bias of
            each recurrent layer, matrix and bias of the dense layer.
        cell: ``"lstm"`` or ``"gru"``.
    """

    def __init__(self, arrays: Sequence[Singles], cell: Cell) -> None:
        embedded = len(arrays) % PARTS == 0
        *parts, self._matrix, self._bias = arrays[embedded:]
        self._layers = [Layer(*parts[place : place + PARTS]) for place in range(0, len(parts), PARTS)]
        first = self._layers[0]
        self._inputs = arrays[0] @ first.kernel if embedded else first.kernel
        self._advance = _lstm if cell == "lstm" else _gru
        self._held = 2 if cell == "lstm" else 1

    def begin(self, histories: int = 1) -> State:
        """State before any token.

        Args:
            histories: how many states.
        """
        return [
            tuple(np.zeros((histories, layer.units), np.float32) for _ in range(self._held)) for layer in self._layers
        ]

    def step(self, state: State, tokens: NDArray[np.integer[Any]]) -> State:
        """Advance each history by one token.

        Args:
            state: of n histories.
            tokens: one code each, shape (n,).
        """
        given, after = self._inputs[tokens], []
        for place, (layer, before) in enumerate(zip(self._layers, state, strict=True)):
            after.append(self._advance(given if place == 0 else given @ layer.kernel, before, layer))
            given = after[-1][0]
        return after

    def probabilities(self, state: State) -> Singles:
        """Probability of each code to come next, shape (n, codes)."""
        logits = state[-1][0] @ self._matrix + self._bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits


def gathered(state: State, rows: NDArray[np.integer[Any]]) -> State:
    """Copy the states of some histories, each as often as it is named."""
    return [tuple(part[rows] for part in layer) for layer in state]


def _lstm(given: Singles, before: tuple[Singles, ...], layer: Layer) -> tuple[Singles, ...]:
    hidden, kept = before
    units = layer.units
    gates = hidden @ layer.recurrent
    gates += given
    gates += layer.bias
    new = np.tanh(gates[:, 2 * units : 3 * units])
    into, forget, out = (_sigmoid(gates[:, place * units : (place + 1) * units]) for place in (0, 1, 3))
    cell = forget * kept + into * new
    return out * np.tanh(cell), cell


def _gru(given: Singles, before: tuple[Singles, ...], layer: Layer) -> tuple[Singles, ...]:
    (hidden,) = before
    units = layer.units
    inner = hidden @ layer.recurrent + layer.bias[1]
    outer = given + layer.bias[0]
    update, reset = (
        _sigmoid(outer[:, place * units : (place + 1) * units] + inner[:, place * units : (place + 1) * units])
        for place in (0, 1)
    )
    new = np.tanh(outer[:, 2 * units :] + reset * inner[:, 2 * units :])
    return (update * hidden + (1 - update) * new,)


def _sigmoid(values: Singles) -> Singles:
    """Logistic function by way of tanh, which does not overflow."""
    halved: Singles = np.tanh(np.float32(0.5) * values)
    halved += 1
    halved *= np.float32(0.5)
    return halved
