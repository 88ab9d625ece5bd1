"""Models in the store: what is written with each, which types may be loaded, and the registry."""

import contextlib
import importlib
import io
import logging
import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

from utils.errors import TrackingError
from utils.tracking.store import open_store, stored

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
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
    "sklearn.utils._bunch.Bunch",
)
"""Types of scikit-learn that skops may load beside its own list; they hold arrays, no code."""

TRUSTED_TABLES = (
    "polars.dataframe.frame.DataFrame",
    "polars.series.series.Series",
    "scipy.sparse._csr.csr_matrix",
)
"""Types of tables that skops may load: columns and matrices of values, as they are read from files, no code."""

TRUSTED_BOOSTING = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)
"""Types of LightGBM and XGBoost that skops may load: their models are texts and numbers."""

OWN = "utils."
"""Types of this package may be loaded: whoever loads a model of ours has the package."""

PACKED = "model.skops"
CARD = "model_card.md"

_WARNINGS_OF_MLFLOW = (
    "Operation with range is deprecated",
    ".*Any type hint is inferred as AnyType",
    "Hint: Inferred schema contains integer column",
)


class Predictor(Protocol):
    """What every stored model can do."""

    def predict(self, rows: Any, /, **options: Any) -> Any:  # noqa: ANN401 - arrays, frames or tensors
        """Return one prediction for each row."""


class Storage(NamedTuple):
    """How a model can be stored.

    Attributes:
        serialization: ``"skops"`` where every type in the model may be trusted, else ``"cloudpickle"``.
        trusted: types that skops must be told to load.
        refused: types that stand against skops, or the reason that it gives.
        size: bytes that the model takes.
    """

    serialization: Literal["skops", "cloudpickle"]
    trusted: tuple[str, ...]
    refused: tuple[str, ...]
    size: int


def storage(model: object) -> Storage:
    """Find out how a model can be stored, and how large it will be.

    Args:
        model: a fitted scikit-learn estimator.
    """
    import skops.io  # type: ignore[import-untyped]

    try:
        written = skops.io.dumps(model, compression=zipfile.ZIP_LZMA)
        needed = skops.io.get_untrusted_types(data=written)
    except Exception as error:  # whatever skops meets in a foreign object
        return _pickled(model, (f"skops cannot write it ({type(error).__name__})",))
    refused = _refused(needed)
    return _pickled(model, refused) if refused else Storage("skops", tuple(needed), (), len(written))


def save(
    client: "MlflowClient",
    run_id: str,
    model: Predictor,
    example: object,
    name: str,
    serialization: str,
    trusted: Sequence[str],
    packages: Sequence[str] = (),
    beside: Mapping[str, str] | None = None,
) -> str:
    """Write a model into a run and return its address ``models:/m-...``."""
    from mlflow.models import Model, infer_signature

    rows = example.to_pandas() if hasattr(example, "to_pandas") else example
    run = client.get_run(run_id)
    made = client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run_id, params=run.data.params)
    flavor = _flavor(model, serialization, trusted, packages)
    flavor["flavor"] = _Packing(flavor["flavor"], beside or {})
    with warnings.catch_warnings(), _quiet("mlflow.sklearn"):
        for known in _WARNINGS_OF_MLFLOW:
            warnings.filterwarnings("ignore", known)
        info = Model.log(
            artifact_path=None,
            run_id=run_id,
            model_id=made.model_id,
            signature=_open(infer_signature(rows, _predict(model, rows))),
            input_example=rows,
            **flavor,
        )
    return f"models:/{info.model_id}"


def register(model: str, name: str, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> int:
    """Register a stored model under a name.

    Args:
        model: address that :meth:`Run.log_model` returned.
        name: registered name, one a data set.
        alias: alias to point at the new version, such as ``"champion"``.
        tags: tags that the version has from the first moment on.

    Returns:
        The number of the new version.

    Raises:
        TrackingError: if the store cannot be written or there is no such model.
    """
    from mlflow.exceptions import MlflowException

    client = open_store()
    with stored(f"model {name!r}"), _quiet("mlflow.store.model_registry.abstract_store"):
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        model_id, given = model.removeprefix("models:/"), dict(tags or {})
        made = client.create_model_version(name, source=model, model_id=model_id, tags=given)
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
    return load_address(f"models:/{name}@{alias}")


def load_address(address: str) -> Predictor:
    """Load the model at an address such as ``models:/api@champion`` or ``models:/api/3`` through MLflow.

    Raises:
        TrackingError: if there is no such model, or its files are damaged or of other versions.
    """
    open_store(write=False)
    import mlflow

    try:
        flavors = mlflow.models.get_model_info(address).flavors
        loader = mlflow.tensorflow if "tensorflow" in flavors else mlflow.sklearn
        return cast("Predictor", loader.load_model(address))
    except Exception as error:  # whatever MLflow, skops or Keras meet in a damaged file, or one of other versions
        raise _not_loaded(address, error) from error


def load_packed(file: Path, address: str) -> Predictor:
    """Load a model that skops wrote, without MLflow; no type that is not trusted is ever made.

    Args:
        file: what skops wrote.
        address: how the model is called in errors.

    Raises:
        TrackingError: if the file is damaged or holds types that are not trusted.
    """
    import skops.io

    try:
        needed = skops.io.get_untrusted_types(file=file)
        if refused := _refused(needed):
            raise TrackingError(f"model {address} must hold trusted types only, found {refused[0]}: register it again")
        return cast("Predictor", skops.io.load(file, trusted=needed))
    except TrackingError:
        raise
    except Exception as error:  # whatever skops meets in a damaged file, or one of other versions
        raise _not_loaded(address, error) from error


def _not_loaded(address: str, error: Exception) -> TrackingError:
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return TrackingError(f"model {address} cannot be loaded ({said}): run the notebook that registers it")


def _refused(needed: Sequence[str]) -> tuple[str, ...]:
    """Types that skops must not load."""
    known = {*TRUSTED, *TRUSTED_TABLES, *TRUSTED_BOOSTING}
    unknown = (name for name in needed if not name.startswith(OWN) and name not in known)
    return tuple(name for name in unknown if not _is_estimator(name))


def _is_estimator(name: str) -> bool:
    """Whether a type is an estimator of scikit-learn itself, as those are that skops trusts by default."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("sklearn."):
        return False
    from sklearn.base import BaseEstimator

    try:
        found = getattr(importlib.import_module(module), kind, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, BaseEstimator)


def read_beside(name: str, file: str, *, alias: str = CHAMPION, number: int | None = None) -> str | None:
    """Read a text that is stored beside a registered model.

    Args:
        name: registered name.
        file: name of the file, such as ``"profile.json"``.
        alias: alias of the version.
        number: the version itself, instead of an alias.

    Returns:
        The text; ``None`` where the version has no such file.

    Raises:
        TrackingError: if there is no such version, or its files cannot be read.
    """
    client = open_store(write=False)
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    said = f"@{alias}" if number is None else f"/{number}"
    try:
        version = number if number is not None else client.get_model_version_by_alias(name, alias).version
        files = get_artifact_repository(client.get_model_version_download_uri(name, str(version)))
        if file not in {found.path for found in files.list_artifacts()}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(files.download_artifacts(file, folder)).read_text(encoding="utf-8")
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{file} of model models:/{name}{said} cannot be read ({error}): register it again"
        ) from error


def _open(signature: "ModelSignature") -> "ModelSignature":
    """Let columns of whole numbers take any number: a column with a missing value comes as floats."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    given = signature.inputs
    if given is None or not given.has_input_names() or given.is_tensor_spec():
        return signature
    whole = (DataType.integer, DataType.long)
    columns = [ColSpec(AnyType(), one.name) if one.type in whole else one for one in given.inputs]
    return ModelSignature(Schema(columns), signature.outputs)


def discard(client: "MlflowClient", model_id: str) -> None:
    """Delete a stored model and its files, of which MLflow itself would keep the files."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(client.get_logged_model(model_id).artifact_location).delete_artifacts()
    client.delete_logged_model(model_id)


def _predict(model: Predictor, rows: object) -> object:
    return model.predict(rows, verbose=0) if _is_keras(model) else model.predict(rows)


def _is_keras(model: object) -> bool:
    return any(kind.__module__.startswith("keras.") for kind in type(model).__mro__)


class _Packing:
    """A flavour of MLflow that also compresses what skops has written, and puts texts beside the model."""

    def __init__(self, flavor: Any, beside: Mapping[str, str]) -> None:  # noqa: ANN401 - a module of MLflow
        self._flavor = flavor
        self._beside = beside

    def save_model(self, *, path: str, mlflow_model: Any, **options: Any) -> None:  # noqa: ANN401 - as MLflow calls it
        self._flavor.save_model(path=path, mlflow_model=mlflow_model, **options)
        folder = Path(path)
        if (folder / PACKED).exists():
            _pack(folder / PACKED)
        for name, text in self._beside.items():
            (folder / name).write_text(text, encoding="utf-8")
        mlflow_model.model_size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        mlflow_model.save(str(folder / "MLmodel"))


def _pack(file: Path) -> None:
    """Compress the entries of a zip file, which skops leaves as they are: a quarter to a tenth of the size is left."""
    packed = io.BytesIO()
    with zipfile.ZipFile(file) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as made:
        for entry in plain.infolist():
            made.writestr(entry.filename, plain.read(entry))
    file.write_bytes(packed.getvalue())


def _pickled(model: object, refused: tuple[str, ...]) -> Storage:
    import cloudpickle  # type: ignore[import-untyped]

    try:
        size = len(cloudpickle.dumps(model))
    except (TypeError, pickle.PicklingError):
        size = 0
    return Storage("cloudpickle", (), refused, size)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger from warning of what was chosen knowingly."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _flavor(model: object, serialization: str, trusted: Sequence[str], packages: Sequence[str]) -> dict[str, Any]:
    import mlflow

    if _is_keras(model):
        needed = _requirements("keras", "tensorflow-cpu", "tensorflow", "numpy", *packages)
        return {"flavor": mlflow.tensorflow, "model": model, "pip_requirements": needed}
    chosen = {
        "flavor": mlflow.sklearn,
        "sk_model": model,
        "serialization_format": serialization,
        "pip_requirements": _requirements("scikit-learn", "numpy", "pandas", serialization, *packages),
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
