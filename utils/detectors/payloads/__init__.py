"""Attacks in what clients send: a detector for payloads of any source, with its training set.

- :class:`PayloadDetector` scores texts, names the most likely family and says in a sentence what speaks for it.
- :func:`training_set` joins labelled payloads with simulated variety; :func:`held_out_scores` gives scores on which a
  threshold may be chosen: each kind of benign text is judged by a detector that has not seen this kind.
- :class:`MarkReader` makes columns of the marks, for models that read tables.
"""

from utils.detectors.payloads.detector import PayloadDetector
from utils.detectors.payloads.reader import MarkReader
from utils.detectors.payloads.training import (
    TrainingSet,
    alarm_threshold,
    has_payloads,
    held_out_scores,
    training_set,
)

__all__ = [
    "MarkReader",
    "PayloadDetector",
    "TrainingSet",
    "alarm_threshold",
    "has_payloads",
    "held_out_scores",
    "training_set",
]
