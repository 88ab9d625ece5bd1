"""Models in the store: what is written with each, which types may be loaded, and the registry."""

import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol, cast

from utils.errors import TrackingError
from utils.tracking.store import open_store, stored

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"

TRUSTED = (
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.tree._tree.Tree",
)
"""Types of scikit-learn that skops may load beside its own list; they hold arrays, no code."""


_WARNINGS_OF_MLFLOW = ("Operation with range is deprecated", ".*Any type hint is inferred as AnyType")


class Predictor(Protocol):
    """What every stored model can do."""

    def predict(self, rows: Any, /, **options: Any) -> Any:  # noqa: ANN401 - arrays, frames or tensors
        """Return one prediction for each row."""


def save(
    client: "MlflowClient",
    run_id: str,
    model: Predictor,
    example: object,
    name: str,
    serialization: str,
    trusted: Sequence[str],
) -> str:
    """Write a model into a run and return its address ``models:/m-...``."""
    from mlflow.models import Model, infer_signature

    rows = example.to_pandas() if hasattr(example, "to_pandas") else example
    run = client.get_run(run_id)
    made = client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run_id, params=run.data.params)
    with warnings.catch_warnings():
        for known in _WARNINGS_OF_MLFLOW:
            warnings.filterwarnings("ignore", known)
        info = Model.log(
            artifact_path=None,
            run_id=run_id,
            model_id=made.model_id,
            signature=infer_signature(rows, _predict(model, rows)),
            input_example=rows,
            **_flavor(model, serialization, trusted),
        )
    return f"models:/{info.model_id}"


def register(model: str, name: str, *, alias: str | None = None) -> int:
    """Register a stored model under a name.

    Args:
        model: address that :meth:`Run.log_model` returned.
        name: registered name, one a data set.
        alias: alias to point at the new version, such as ``"champion"``.

    Returns:
        The number of the new version.

    Raises:
        TrackingError: if the store cannot be written or there is no such model.
    """
    from mlflow.exceptions import MlflowException

    client = open_store()
    with stored(f"model {name!r}"):
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = client.create_model_version(name, source=model, model_id=model.removeprefix("models:/"))
    if alias is not None:
        set_alias(name, int(made.version), alias=alias)
    return int(made.version)


def set_alias(name: str, number: int, *, alias: str = CHAMPION) -> None:
    """Let an alias point at one version of a registered model.

    Raises:
        TrackingError: if the store cannot be written or there is no such version.
    """
    client = open_store()
    with stored(f"alias {alias!r} of model {name!r}"):
        client.set_registered_model_alias(name, alias, str(number))


def load_model(name: str, *, alias: str = CHAMPION) -> Predictor:
    """Load the estimator or Keras model that an alias of a registered model points at.

    Raises:
        TrackingError: if there is no such model.
    """
    open_store(write=False)
    import mlflow
    from mlflow.exceptions import MlflowException

    address = f"models:/{name}@{alias}"
    try:
        flavors = mlflow.models.get_model_info(address).flavors
        loader = mlflow.tensorflow if "tensorflow" in flavors else mlflow.sklearn
        return cast("Predictor", loader.load_model(address))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"model {address} cannot be loaded ({error}): run the notebook that registers it"
        ) from error


def _predict(model: Predictor, rows: object) -> object:
    return model.predict(rows, verbose=0) if _is_keras(model) else model.predict(rows)


def _is_keras(model: object) -> bool:
    return any(kind.__module__.startswith("keras.") for kind in type(model).__mro__)


def _flavor(model: object, serialization: str, trusted: Sequence[str]) -> dict[str, Any]:
    import mlflow

    if _is_keras(model):
        needed = _requirements("keras", "tensorflow-cpu", "tensorflow", "numpy")
        return {"flavor": mlflow.tensorflow, "model": model, "pip_requirements": needed}
    chosen = {
        "flavor": mlflow.sklearn,
        "sk_model": model,
        "serialization_format": serialization,
        "pip_requirements": _requirements("scikit-learn", "numpy", "pandas", serialization),
    }
    return chosen | ({"skops_trusted_types": [*TRUSTED, *trusted]} if serialization == "skops" else {})


def _requirements(*packages: str) -> list[str]:
    pins = []
    for package in ("mlflow", *packages):
        try:
            pins.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return pins
