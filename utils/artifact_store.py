"""Resolve ``mlflow-artifacts:`` addresses to the folder beside the SQLite store when no server runs.

MLflow finds :func:`artifact_repository` through the entry point group ``mlflow.artifact_repository`` of this package.
Runs recorded without a server then carry the same movable addresses (``mlflow-artifacts:/hdfs/...``) that a server
gives them, so the store and its artefacts can be cloned or moved together and opened with a plain ``mlflow ui``.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

SQLITE = "sqlite:///"
FOLDER = "mlartifacts"


def artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> "ArtifactRepository":
    """Return the repository that holds the artefacts at an ``mlflow-artifacts:`` address.

    Args:
        artifact_uri: the address that a run, an experiment or a logged model carries.
        tracking_uri: the store it belongs to; MLflow's current one by default.
        registry_uri: passed on.

    Raises:
        mlflow.exceptions.MlflowException: if the address leads out of the artefact folder.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
    from mlflow.tracking import get_tracking_uri

    store = tracking_uri or get_tracking_uri()
    if not store.startswith(SQLITE):
        return MlflowArtifactsRepository(artifact_uri, store, registry_uri)
    folder = Path(store.removeprefix(SQLITE)).resolve().parent / FOLDER
    path = (folder / unquote(urlsplit(artifact_uri).path).lstrip("/")).resolve()
    if not path.is_relative_to(folder):
        raise MlflowException.invalid_parameter_value(
            f"{artifact_uri} leads out of {FOLDER}: an artefact address must stay inside it"
        )
    return LocalArtifactRepository(path.as_uri(), store, registry_uri)
