"""Runs, figures, models and results in MLflow: the only package that talks to it.

The store is ``mlflow.db`` beside the notebooks, its artefacts are in ``mlartifacts`` beside it, and both can be moved
together (see :mod:`utils.artifact_store`). ``MLFLOW_TRACKING_URI`` names another SQLite file or a server instead.
MLflow is imported when the first run starts, never by importing this package::

    with tracking.start("hdfs", "exploration", notebook="01_exploration", stage="exploration", dataset=data) as run:
        run.log_metrics({"sessions": 575_059})
        run.log_figure(figure, "balance")
        run.log_results({"anomaly_share": 0.029})
"""

from utils.tracking.models import load_model, register, set_alias
from utils.tracking.runs import Run, end_left_running, log_notebook, results, runs_of_session, start
from utils.tracking.store import open_store, store_file, store_uri

__all__ = [
    "Run",
    "end_left_running",
    "load_model",
    "log_notebook",
    "open_store",
    "register",
    "results",
    "runs_of_session",
    "set_alias",
    "start",
    "store_file",
    "store_uri",
]
