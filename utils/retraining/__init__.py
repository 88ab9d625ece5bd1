"""Retraining without notebooks: from data to a registered champion as one pipeline, with gates.

The functions are those of the notebooks, so the same data, seed and budget give the same model: load, audit, make
tables, fit and judge the candidate of the data set (a log: the model of its sessions), and let it challenge the
champion in office. Where a gate of :mod:`utils.retraining.gates` closes, nothing is trained. A model that does not win
the paired test is not registered, and the champion stays.

A run is opened only when there is something to record, so that whoever interrupts the training leaves nothing behind;
what an interrupted registration had written is taken back (:mod:`utils.retraining.leftovers`)::

    from utils import retraining

    print(retraining.retrain("api").sentence)
"""

from utils.retraining.gates import GateClosed
from utils.retraining.pipeline import FAILED, Outcome, Status, retrain, retrain_all

__all__ = ["FAILED", "GateClosed", "Outcome", "Status", "retrain", "retrain_all"]
